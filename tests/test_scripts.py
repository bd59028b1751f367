"""Scripts say what they do, and none writes over a committed result unless told to."""

import runpy
import sys
from collections.abc import Callable
from importlib import import_module
from pathlib import Path
from types import SimpleNamespace

import pytest

from ugatit_fast.bench import environment
from ugatit_fast.bench.outputs import add_output, output_of, script_parser
from ugatit_fast.bench.suite import default_output
from ugatit_fast.cli import main
from ugatit_fast.errors import InputError

ROOT = Path(__file__).resolve().parents[1]
SCRIPTS = [
    *(file for file in sorted((ROOT / "benchmarks").rglob("*.py")) if '__name__ == "__main__"' in file.read_text()),
    *sorted((ROOT / "examples").glob("*.py")),
]


def test_all_are_looked_at() -> None:
    names = {script.name for script in SCRIPTS}
    assert {"gpu.py", "cpu_runtimes.py", "serve_load.py", "showcase.py", "readme.py", "gradio_app.py"} <= names


@pytest.mark.parametrize("script", SCRIPTS, ids=lambda script: script.name)
def test_help(script: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> None:
    monkeypatch.setattr(sys, "argv", [str(script), "--help"])
    if script.name == "translate_video.py":
        pytest.importorskip("av", reason="needs the extra video")
    with pytest.raises(SystemExit) as ended:
        runpy.run_path(str(script), run_name="__main__")
    assert not ended.value.code
    said = capsys.readouterr().out
    assert "sage: " in said
    assert len(said) > 150


WORK = {
    "benchmarks.shipped_engines": "build_shipped",
    "benchmarks.showcase": "EagerBackend",
    "benchmarks.kernel_table": "compile_all",
    "benchmarks.tensorrt_plans": "measure",
    "benchmarks.cpu_runtimes": "run_suite",
    "benchmarks.eight_bits": "run_suite",
    "benchmarks.gpu": "run",
}
"""Scripts with a default place for what they write -> what they do first."""


def test_every_default_place_is_known() -> None:
    with_default = {f"benchmarks.{one.stem}" for one in SCRIPTS if "add_output(parser" in one.read_text()}
    assert with_default == set(WORK)


@pytest.mark.parametrize("name", WORK)
def test_no_result_is_replaced_untold(
    name: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    if name == "benchmarks.kernel_table":
        pytest.importorskip("triton", reason="needs the extra kernels")
    module = import_module(name)

    def began(*_: object, **__: object) -> None:
        raise InterruptedError

    monkeypatch.setattr(module, WORK[name], began)
    stem = environment.file_stem(environment.machine().name)
    if WORK[name] == "run_suite":
        (tmp_path / f"{stem}.json").touch()
        monkeypatch.setattr(module, "RESULTS", tmp_path)
    if name == "benchmarks.gpu":
        (tmp_path / "benchmarks" / "results").mkdir(parents=True)
        (tmp_path / "benchmarks" / "results" / f"{stem}-batch-32.json").touch()
        monkeypatch.setattr(module, "ROOT", tmp_path)
        monkeypatch.setattr(module, "has_nvidia_gpu", lambda: True)
    monkeypatch.setitem(sys.modules, "tensorrt_rtx", SimpleNamespace(__version__="0"))  # type: ignore[arg-type]

    def run(*arguments: str) -> None:
        monkeypatch.setattr(sys, "argv", [name, *arguments])
        module.main()

    with pytest.raises(SystemExit) as ended:
        run()
    assert ended.value.code == 2
    assert "is there already; replace it with --force, or name another place with --output" in capsys.readouterr().err
    for told in (["--force"], ["--output", str(tmp_path / "elsewhere")]):
        with pytest.raises(InterruptedError):
            run(*told)


def test_what_is_named_is_taken_and_what_is_free_too(tmp_path: Path) -> None:
    parser = script_parser("Does it.")
    add_output(parser, tmp_path, "folder")
    asked: Callable[..., Path] = lambda *words: output_of(parser, parser.parse_args(words), "a.json")  # noqa: E731
    assert asked() == tmp_path
    (tmp_path / "a.json").touch()
    with pytest.raises(SystemExit):
        asked()
    assert asked("--force") == tmp_path
    assert asked("-o", str(tmp_path / "b")) == tmp_path / "b"


def test_bench_keeps_an_older_result(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.chdir(tmp_path)
    taken = default_output(force=False)
    taken.write_text("older")
    with pytest.raises(InputError, match="is there already"):
        default_output(force=False)
    assert default_output(force=True) == taken
    assert main(["bench", "--quick"]) == 1
    assert "--force" in capsys.readouterr().err
    assert taken.read_text() == "older"
