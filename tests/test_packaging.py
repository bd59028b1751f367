"""The wheel holds one top-level name and each file once; importing the package is cheap; the repository is portable."""

import re
import shutil
import subprocess
import sys
import zipfile
from collections import Counter
from email.parser import Parser
from pathlib import Path

import pytest

import ugatit_fast

ROOT = Path(__file__).resolve().parents[1]
FOLDERS = {"kernels": "kernels", "export": "export", "train": "train", "assets": "assets", "bench": "benchmarks/suite"}
"""Those that install as ugatit_fast.<name>."""
HEAVY = {"torch", "triton", "onnx", "onnxruntime", "onnxscript", "tensorrt"}


@pytest.fixture(scope="module")
def wheel(tmp_path_factory: pytest.TempPathFactory) -> zipfile.ZipFile:
    """A wheel built without the network from a copy of the sources, so that the checkout stays clean."""
    source = tmp_path_factory.mktemp("source")
    for name in ("setup.py", "pyproject.toml", "README.md", "LICENSE"):
        shutil.copy(ROOT / name, source)
    for folder in ("ugatit_fast", *FOLDERS.values()):
        shutil.copytree(ROOT / folder, source / folder, symlinks=True, ignore=shutil.ignore_patterns("__pycache__"))
    build = "from setuptools import build_meta; build_meta.build_wheel('dist')"
    subprocess.run([sys.executable, "-c", build], cwd=source, check=True, capture_output=True, text=True)
    (built,) = (source / "dist").glob("*.whl")
    return zipfile.ZipFile(built)


def sources_as_installed() -> set[str]:
    """Every Python file and asset of the checkout, under the name it has in the wheel."""
    python_files = [p for p in (ROOT / "ugatit_fast").rglob("*.py") if not linked(p)]
    names = {p.relative_to(ROOT).as_posix() for p in python_files}
    for name, folder in FOLDERS.items():
        pattern = "*" if name == "assets" else "**/*.py"
        names |= {
            f"ugatit_fast/{name}/{p.relative_to(ROOT / folder).as_posix()}" for p in (ROOT / folder).glob(pattern)
        }
    return names


def linked(path: Path) -> bool:
    """Path.rglob follows links to folders on some Python versions only."""
    return path.resolve() != path


def test_wheel_has_one_top_level_name(wheel: zipfile.ZipFile) -> None:
    top_level = {name.split("/")[0] for name in wheel.namelist()}
    assert {name for name in top_level if not name.endswith(".dist-info")} == {"ugatit_fast"}


def test_wheel_holds_every_source_once_and_nothing_else(wheel: zipfile.ZipFile) -> None:
    names = Counter(name for name in wheel.namelist() if name.startswith("ugatit_fast/"))
    assert set(names.values()) == {1}
    packaged = {name for name in names if name.endswith(".py") or name.startswith("ugatit_fast/assets/")}
    assert packaged == sources_as_installed()


def test_wheel_is_typed_and_ships_the_sample_photos_with_their_provenance(wheel: zipfile.ZipFile) -> None:
    assert {
        "ugatit_fast/py.typed",
        "ugatit_fast/assets/astronaut.jpg",
        "ugatit_fast/assets/grace_hopper.jpg",
        "ugatit_fast/assets/PROVENANCE.md",
    } <= set(wheel.namelist())


def test_wheel_ships_the_page_of_the_server(wheel: zipfile.ZipFile) -> None:
    page = (ROOT / "ugatit_fast" / "serve" / "page").iterdir()
    assert {f"ugatit_fast/serve/page/{file.name}" for file in page} <= set(wheel.namelist())


def test_wheel_metadata(wheel: zipfile.ZipFile) -> None:
    (name,) = (name for name in wheel.namelist() if name.endswith(".dist-info/METADATA"))
    metadata = Parser().parsestr(wheel.read(name).decode())
    assert metadata["Version"] == ugatit_fast.__version__
    required = [line for line in metadata.get_all("Requires-Dist", []) if "extra ==" not in line]
    core = {re.split(r"[^\w-]", line)[0] for line in required}
    assert core == {"numpy", "pillow", "safetensors", "cyclopts", "rich"}


@pytest.mark.parametrize("name", FOLDERS)
def test_links_are_relative(name: str) -> None:
    link = ROOT / "ugatit_fast" / name
    assert link.is_symlink()
    assert link.readlink() == Path("..") / FOLDERS[name]


def test_import_is_light() -> None:
    code = f"import sys, ugatit_fast; print(*sorted({HEAVY} & sys.modules.keys()))"
    done = subprocess.run([sys.executable, "-c", code], cwd=ROOT, check=True, capture_output=True, text=True)
    assert done.stdout.split() == []


def test_no_file_names_a_package_index_or_a_private_path() -> None:
    if not (ROOT / ".git").exists():
        pytest.skip("not a git checkout: no list of the repository's files")
    listed = ["git", "ls-files", "-z", "--cached", "--others", "--exclude-standard"]
    names = subprocess.run(listed, cwd=ROOT, check=True, capture_output=True, text=True).stdout.split("\0")
    forbidden = re.compile(
        r"index-ur[l]|find-link[s]|pythonhoste[d]|\bpypi\.\w|download\.pytorch\.\w"
        r"|(?<![\w.-])/(?:home|root|Users|wor[k])/" + f"|{re.escape(str(ROOT))}/"
    )
    found = []
    for path in (ROOT / name for name in names if name):
        if not path.is_file() or path.is_symlink():
            continue
        text = path.read_bytes().decode("utf-8", errors="ignore")
        found += [f"{path.relative_to(ROOT)}: {match.group()}" for match in forbidden.finditer(text)]
    assert found == []
