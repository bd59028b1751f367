"""Every verb and every public name in environments that lack something: one line, with the right extra."""

import json
import os
import re
import subprocess
import sys
import tomllib
from pathlib import Path
from typing import Any

import pytest

import ugatit_fast
from ugatit_fast.assets import sample_photos, shipped_weights
from ugatit_fast.backends import extras as table
from ugatit_fast.backends.extras import EXTRAS, libraries_needed
from ugatit_fast.cli import VERBS
from ugatit_fast.commands.arguments import say_next
from ugatit_fast.errors import BackendUnavailable
from ugatit_fast.machine import pip_install

ROOT = Path(__file__).parents[1]
ENVIRONMENTS = [(), *((extra,) for extra in EXTRAS), ("cpu", "torch"), ("cpu", "train")]
NAMES = {"build_engine": {"torch"}, "load_generator": {"torch"}, "Translator": set[str]()}
"""Public names, and what getting them takes; running an engine takes more."""


def commands(engine: Path, folder: Path) -> list[tuple[list[str], set[str]]]:
    """A command of each verb and form, and the extras that it takes before it finds that it has nothing to work on."""
    photo, weights = str(sample_photos()[0]), str(shipped_weights())
    clip = folder / "clip.mp4"
    clip.touch()
    return [
        (["doctor"], set()),
        (["--help"], set()),
        (["weights"], set()),
        (["demo", "-o", f"{folder}/demo"], {"cpu"}),
        (["weights"], set()),
        (["inspect", weights], {"torch"}),
        (["inspect", str(engine)], set()),
        (["inspect", "hf://a/b/c.pt", "--offline"], {"hub", "torch"}),
        (["build-engine", weights, "-o", f"{folder}/e.onnx", "--size", "16"], {"cpu", "torch"}),
        (["convert", weights, f"{folder}/c.safetensors"], {"torch"}),
        (["verify", str(engine), weights], {"torch"}),
        (["translate", str(engine), photo, "-o", f"{folder}/out"], {"cpu"}),
        (["translate", str(engine), str(clip), "-o", f"{folder}/out"], {"cpu", "video"}),
        (["translate", str(engine), photo, "-o", f"{folder}/out", "--on", "ray", "--replicas", "99"], {"ray"}),
        (["train", "--data", str(folder), "--output", f"{folder}/run"], {"torch"}),
        (["train", "export-official", "x.pt", "y.pt"], {"torch"}),
        (["data", "check", str(folder)], {"torch"}),
        (["data", "example", f"{folder}/example", "--count", "1"], {"example-data"}),
        (["evaluate", str(folder), str(folder)], {"torch"}),
        (["camera", str(engine), "--input", f"{folder}/none.mp4"], {"video"}),
        (["serve", f"{folder}/none.onnx"], {"serve"}),
        (["compare", str(engine), f"A={engine}", "--photos", photo, "-o", f"{folder}/report"], {"cpu"}),
        (["study", f"{folder}/report"], {"serve"}),
        (["study", "result", f"{folder}/report"], set()),
        (["export-triton-repo", str(engine), f"{folder}/repository"], set()),
        (["compat", "--phase", "train", "--dataset", "none"], {"torch"}),
        (["compat", "--phase", "test", "--dataset", "none"], {"torch"}),
        (["bench", f"{folder}/none.pt"], {"torch"}),
    ]


def libraries(extras: Any) -> set[str]:
    return {library for extra in extras for library in EXTRAS[extra]}


def suggested(line: str) -> set[str]:
    found = re.search(r'pip install "[^"]*\[([\w,-]+)\]"', line)
    return set(found[1].split(",")) if found else set()


@pytest.mark.slow
@pytest.mark.timeout(300)
@pytest.mark.parametrize("installed", ENVIRONMENTS, ids=lambda extras: "+".join(extras) or "bare")
def test_one_line_with_the_right_extra(installed: tuple[str, ...], light_engine: Path, tmp_path: Path) -> None:
    every = commands(light_engine, tmp_path)
    asked = {"extras": installed, "commands": [arguments for arguments, _ in every], "names": list(NAMES)}
    done = subprocess.run(
        [sys.executable, "-m", "tests.bare_environment", json.dumps(asked)],
        capture_output=True, text=True, cwd=tmp_path, check=True, env=os.environ | {"PYTHONPATH": str(ROOT)},
    )  # fmt: skip
    answer = json.loads(done.stdout.splitlines()[-1])
    there = libraries(installed)
    wrong: list[tuple[list[str], object, list[str]]] = []
    for (arguments, needed), outcome in zip(every, answer["commands"], strict=True):
        errors = [line for line in outcome["err"].splitlines() if line.startswith("error:")]
        missing = libraries(needed) - there
        offered = suggested(errors[0]) if errors else set()
        cured = len(errors) == 1 and libraries(offered) & missing and not libraries(offered) <= there
        if outcome["code"] not in (0, 1) or (missing and not cured) or (offered and not missing):
            wrong.append((arguments, outcome["code"], errors))
    for name, needed in NAMES.items():
        said = answer["names"][name]
        missing = libraries(needed) - there
        if bool(missing) != said.startswith("BackendUnavailable: ") or not missing <= libraries(suggested(said)):
            wrong.append(([name], 0, [said]))
    assert wrong == []
    can = {"torch", "onnx", "onnxruntime"} <= there
    assert bool(answer["lacking_to_build"]) is not can
    assert {"torch", "onnx", "onnxruntime"} <= there | libraries(answer["lacking_to_build"])


def test_every_verb_is_among_them(tmp_path: Path) -> None:
    assert set(VERBS) <= {arguments[0] for arguments, _ in commands(tmp_path / "e.onnx", tmp_path)}
    assert set(NAMES) == set(ugatit_fast.HOMES)


def test_the_table_is_that_of_the_package() -> None:
    packages = {"scikit-image": "skimage", "scikit-learn": "sklearn", "python-multipart": "python_multipart"}
    packages |= {"prometheus-client": "prometheus_client", "tensorrt-rtx": "tensorrt_rtx"}
    packages |= {"pillow-heif": "pillow_heif", "pillow-jxl-plugin": "pillow_jxl"}
    said = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))["project"]["optional-dependencies"]
    assert set(EXTRAS) == set(said) - {"dev"}
    for extra, requirements in said.items():
        for requirement in requirements if extra != "dev" else ():
            name = re.match(r"[\w-]+", requirement)[0]  # type: ignore[index]
            assert packages.get(name, name) in EXTRAS[extra]


def test_what_comes_next_can_be_typed_as_it_stands(capsys: pytest.CaptureFixture[str]) -> None:
    say_next("ugatit-fast build-engine x.pt")
    say_next("ugatit-fast build-engine x.pt", ["cpu", "torch"])
    plain, with_pip = capsys.readouterr().err.splitlines()
    assert plain == "next: ugatit-fast build-engine x.pt"
    assert with_pip == f"next: {pip_install('cpu', 'torch')} && ugatit-fast build-engine x.pt"


# Installed, and broken --------------------------------------------------------------------------------------------

BROKEN = {
    "a library of its own is missing": "import library_that_nobody_has",
    "a part of it is missing": "import onnx_of_tests._C",
    "the system's loader": "raise OSError('libcudart.so.13: cannot open shared object file')",
    "an import error": "raise ImportError('DLL load failed while importing _C: not found')",
    "anything": "raise AttributeError('module numpy has no attribute int\\nmore')",
}


@pytest.mark.parametrize("how", BROKEN)
def test_a_library_that_cannot_be_imported(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, how: str) -> None:
    package = tmp_path / "onnx_of_tests"
    package.mkdir()
    (package / "__init__.py").write_text(BROKEN[how])
    monkeypatch.syspath_prepend(tmp_path)
    monkeypatch.setattr(table, "LIBRARIES", frozenset({"onnx_of_tests"}))
    with pytest.raises(BackendUnavailable) as raised, libraries_needed(("torch",)):
        import onnx_of_tests  # type: ignore[import-not-found]  # noqa: F401
    message = str(raised.value)
    assert "onnx_of_tests is installed but can't be imported (" in message
    assert "pip install --force-reinstall onnx_of_tests" in message
    assert "\n" not in message


def test_bugs_stay_what_they_are() -> None:
    for error in (ModuleNotFoundError("No module named 'x'", name="x"), KeyError("y"), ImportError("z")):
        with pytest.raises(type(error)), libraries_needed(("torch",)):
            raise error
