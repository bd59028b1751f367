import ast
import subprocess
import sys
from importlib import import_module
from importlib.util import find_spec
from pathlib import Path

import pytest

from ugatit_fast.bench.contenders import CPU, CUDA, Contender, Lazily
from ugatit_fast.bench.limits import limits_of

EVERY = [*CPU, *CUDA, *limits_of("cpu"), *limits_of("cuda")]


@pytest.mark.parametrize("contender", EVERY, ids=lambda one: f"{one.target} {one.name} {one.precision}")
def test_every_entry_names_a_function(contender: Contender) -> None:
    for lazily in (contender.load, contender.build):
        if lazily is None:
            continue
        if "tensorrt" in lazily.module and find_spec("tensorrt") is None:
            pytest.skip("tensorrt is not installed")
        assert callable(getattr(import_module(lazily.module), lazily.name))


def test_names_tell_contenders_apart() -> None:
    for table in (CPU, CUDA):
        names = [(one.name, one.precision) for one in table]
        assert len(set(names)) == len(names)


def test_every_rival_says_how_to_get_it() -> None:
    assert all(one.install for one in EVERY if one.kind != "limit")


def test_a_missing_parent_package_is_a_reason_and_no_crash() -> None:
    one = Contender("x", "ours", "cpu", "fp32", ("no_such.module",), "", Lazily("a", "b"))
    assert one.missing() == "no_such.module not installed"


def test_mnn_is_converted_without_the_module_that_runs_pip() -> None:
    """MNN.tools.mnnconvert installs packages when it is imported, and once took protobuf with it."""
    tree = ast.parse(Path(import_module("ugatit_fast.bench.mnn_rival").__file__ or "").read_text())
    imported = [node.module for node in ast.walk(tree) if isinstance(node, ast.ImportFrom)]
    imported += [name.name for node in ast.walk(tree) if isinstance(node, ast.Import) for name in node.names]
    assert not any((name or "").startswith("MNN.tools") for name in imported)


def test_the_table_and_a_process_import_no_runtime() -> None:
    """Else a contender's peak memory would be that of libraries it doesn't use."""
    code = (
        "import sys; import ugatit_fast.bench.contenders, ugatit_fast.bench.session, ugatit_fast.bench.worker; "
        "sys.exit(', '.join({'torch', 'onnxruntime', 'onnx', 'PIL', 'triton'} & set(sys.modules)) or 0)"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=False)
    assert (done.returncode, done.stderr) == (0, "")
