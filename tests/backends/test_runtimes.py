"""The table of runtimes: that it is complete, that everybody reads it, and that nobody says otherwise."""

import re
import subprocess
import sys
import tomllib
from dataclasses import fields
from itertools import product
from pathlib import Path
from typing import get_args

import pytest

from tests.machines import ABSENT, GPU_MACHINE, H100, RTX_4090, FakeMachine, library, rtx_library, torch_build
from ugatit_fast.backends.doctor import check_engine
from ugatit_fast.backends.needs import TENSORRT, TENSORRT_RTX, LibraryPart, dotted
from ugatit_fast.backends.runtimes import BUILT, ROWS, RUNTIMES, Runtime, choose_backend
from ugatit_fast.choices import BackendChoice, BuiltKind, EngineKind, Precision
from ugatit_fast.errors import BackendUnavailable
from ugatit_fast.export.build import WRITERS
from ugatit_fast.export.options import TensorRTOptions

ROOT = Path(__file__).parents[2]
MACHINES = [
    FakeMachine(GPU_MACHINE | dict.fromkeys(absent, ABSENT) | {"torch": torch} | plans, gpu, refusal, card)
    for absent, torch, plans, (gpu, refusal, card) in product(
        ((), ("triton",), ("onnx",), ("openvino",), ("onnxruntime",), ("triton", "onnx", "onnxruntime", "openvino")),
        (ABSENT, torch_build(None), torch_build("13.0"), torch_build("13.0", gpu=True)),
        (
            *({"tensorrt": one} for one in map(library, ("10.9.0.34", "10.16.1.11", "11.4.0.106", "12.0.0"))),
            *({"tensorrt": ABSENT, "tensorrt_rtx": one} for one in (ABSENT, rtx_library("1.6.1"), rtx_library())),
        ),
        (
            (False, None, RTX_4090),
            (True, None, RTX_4090),
            (True, None, H100),
            (True, "neither PyTorch nor cuda-python reaches it", RTX_4090),
        ),
    )
]
"""Everything there is, with and without each thing that engines need."""


def test_every_kind_has_a_row_and_every_row_a_name() -> None:
    assert set(RUNTIMES) == set(get_args(EngineKind))
    assert tuple(runtime.kind for runtime in BUILT) == get_args(BuiltKind) == get_args(BackendChoice)[1:]
    assert set(WRITERS) == {runtime.kind for runtime in BUILT}
    assert all(runtime.open is not None and runtime.suffix for runtime in BUILT)
    assert len({runtime.suffix for runtime in BUILT}) == len(BUILT)


@pytest.mark.parametrize("runtime", ROWS, ids=lambda runtime: runtime.kind)
def test_a_row_agrees_with_itself(runtime: Runtime) -> None:
    assert runtime.default_precision in runtime.forms
    assert set(runtime.forms) <= set(get_args(Precision))
    assert set(runtime.options) <= {one.name for one in fields(TensorRTOptions)}
    assert (runtime.describe is not None) == bool(runtime.options) == (runtime.contents == "plans")


@pytest.mark.parametrize("runtime", BUILT, ids=lambda runtime: runtime.kind)
def test_doctor_and_the_builder_agree_on_every_machine(runtime: Runtime) -> None:
    verdicts = set()
    for machine in MACHINES:
        told = check_engine(runtime, machine)
        runs, builds = runtime.missing("run", machine) is None, runtime.missing("build", machine) is None
        assert runs == ("can't be run" not in told.value)
        assert (runs and builds) == (told.status == "ok")
        kind: BackendChoice = runtime.kind  # type: ignore[assignment]  # those of BUILT are
        if builds:
            assert choose_backend(kind, lambda _: None, machine) == runtime.kind
        else:
            with pytest.raises(BackendUnavailable, match="can't be built here: it needs"):
                choose_backend(kind, lambda _: None, machine)
        verdicts.add((runs, builds))
    assert {(True, True), (False, False)} <= verdicts  # the machines tell the kinds apart


@pytest.mark.parametrize("fast", [False, True])
def test_auto_takes_the_fastest_that_doctor_promises(fast: bool) -> None:
    taken = set()
    asked = [runtime for runtime in BUILT if fast or runtime.default_precision != "int8"]
    for machine in MACHINES:
        able = [runtime.kind for runtime in asked if check_engine(runtime, machine).status == "ok"]
        if not able:
            with pytest.raises(BackendUnavailable, match="not onnxruntime: needs"):
                choose_backend("auto", lambda _: None, machine, fast=fast)
            continue
        said: list[str] = []
        assert choose_backend("auto", said.append, machine, fast=fast) == able[0]
        passed_over = [runtime.kind for runtime in asked[: [runtime.kind for runtime in asked].index(able[0])]]
        assert all(f"not {kind}: needs" in said[0] for kind in passed_over)
        taken.add(able[0])
    assert taken == {runtime.kind for runtime in asked}


def test_auto_passes_cuda_over_without_triton() -> None:
    """As on Windows, where PyTorch has CUDA and no Triton: picked, it would have ended in a traceback."""
    machine = FakeMachine(GPU_MACHINE | dict.fromkeys(("triton", "tensorrt", "tensorrt_rtx"), ABSENT), gpu=True)
    said: list[str] = []
    assert choose_backend("auto", said.append, machine) == "onnxruntime"
    assert "not cuda: needs triton" in said[0]


def test_an_h100_is_no_rtx_card() -> None:
    machine = FakeMachine(GPU_MACHINE | {"tensorrt": ABSENT}, gpu=True, card=H100)
    known = "sm_75, sm_80, sm_86, sm_89, sm_120, sm_121"
    assert RUNTIMES["tensorrt-rtx"].missing("build", machine) is None
    assert RUNTIMES["tensorrt-rtx"].missing("run", machine) == (
        f"needs a GPU that TensorRT for RTX knows ({known}) in place of NVIDIA H100 (sm_90); "
        "build a tensorrt or a cuda engine for this one"
    )
    assert choose_backend("auto", lambda _: None, machine) == "cuda"


def test_a_plan_for_rtx_cards_is_built_without_one() -> None:
    machine = FakeMachine(GPU_MACHINE)
    assert choose_backend("tensorrt-rtx", lambda _: None, machine) == "tensorrt-rtx"
    told = check_engine(RUNTIMES["tensorrt-rtx"], machine)
    assert told.value == "can be built; can't be run: needs an NVIDIA GPU with its driver"


@pytest.mark.parametrize(("number", "fits"), [("10.9.0.34", False), ("10.16.1", True), ("11.4", True), ("12.0", False)])
def test_one_range_of_tensorrt(number: str, fits: bool) -> None:
    machine = FakeMachine(GPU_MACHINE | {"tensorrt": library(number)}, gpu=True)
    reason = RUNTIMES["tensorrt"].missing("run", machine)
    assert (reason is None) == fits
    assert fits or "TensorRT >= 10.16, < 12 in place of" in str(reason)


@pytest.mark.parametrize("part", [TENSORRT, TENSORRT_RTX], ids=lambda part: part.extra)
def test_the_extra_installs_a_tensorrt_that_fits(part: LibraryPart) -> None:
    extras = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]["optional-dependencies"]
    found = re.fullmatch(part.extra + r">=([\d.]+),<(\d+)", *extras[part.extra])
    assert found is not None
    assert part.versions is not None
    lowest, below = part.versions
    assert lowest <= tuple(map(int, found[1].split("."))) < below
    assert found[2] == dotted(below)
    for runtime in ROWS:
        assert all(part.extra in extras for part in runtime.libraries)


def test_a_cpu_is_asked_nothing_of_a_gpu() -> None:
    """Opening an onnxruntime engine looks at ONNX Runtime alone: no torch, no driver."""
    code = (
        "import sys; from ugatit_fast.backends.runtimes import RUNTIMES; heavy = {'torch', 'onnxruntime', 'numpy'}\n"
        "assert not heavy & sys.modules.keys()\n"
        "assert RUNTIMES['onnxruntime'].missing('run') is None\n"
        "sys.exit('torch' in sys.modules)"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, cwd=ROOT, check=False)
    assert (done.returncode, done.stderr) == (0, "")


def test_nobody_else_asks_which_kind_it_is() -> None:
    asking = re.compile(r"\bkind\s*(==|!=|in)\s*[(\"'](" + "|".join(get_args(EngineKind)) + ")")
    folders = ("ugatit_fast", "export", "kernels", "benchmarks", "train")
    files = [file for folder in folders for file in (ROOT / folder).rglob("*.py")]
    assert len(files) > 100
    assert [file.name for file in files if asking.search(file.read_text(encoding="utf-8").replace("(\n", "("))] == []


@pytest.mark.parametrize("runtime", BUILT, ids=lambda runtime: runtime.kind)
def test_the_tables_in_the_docs_are_this_table(runtime: Runtime) -> None:
    design = table_of(ROOT / "docs" / "design.md", "## Engines")
    readme = table_of(ROOT / "README.md", "## Engines")
    assert [row[0] for row in design] == [f"`{runtime.kind}`" for runtime in BUILT]
    kind, file, precision, size, machine, _ = next(row for row in design if row[0] == f"`{runtime.kind}`")
    assert file.startswith(f"`{runtime.suffix}`")
    assert precision == ", ".join(sorted(runtime.forms, key=lambda one: one != runtime.default_precision))
    assert size == ("any" if runtime.any_size else "one")
    assert machine == ("an NVIDIA GPU" if runtime.on_gpu else "any")
    assert f"{kind} (`{runtime.suffix}`)" in {row[0] for row in readme}
    assert len(readme) == len(BUILT)


def table_of(page: Path, heading: str) -> list[list[str]]:
    """The cells of the first table below a heading, without its head."""
    lines = iter(page.read_text(encoding="utf-8").splitlines())
    while next(lines) != heading:
        pass
    rows = []
    for line in lines:
        if line.startswith("|"):
            rows.append([cell.strip() for cell in line.strip("|").split("|")])
        elif rows:
            break
    return rows[2:]
