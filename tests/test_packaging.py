"""The wheel holds one top-level name and each file once, the source distribution all that its tests need, and both work
where they are installed; importing the package is cheap; the repository is portable.
"""

import io
import os
import re
import shutil
import subprocess
import sys
import sysconfig
import tarfile
import venv
import zipfile
from collections import Counter
from collections.abc import Iterator
from email.parser import Parser
from importlib.metadata import distribution
from pathlib import Path

import pytest

import ugatit_fast
from tests.serve.clients import decoded
from tests.serve.hosts import ask, served
from tests.weights.server import serving
from ugatit_fast.assets import SHIPPED_PAIR, shipped_engine
from ugatit_fast.bench.random_weights import write_random_checkpoint
from ugatit_fast.media.images import load_image
from ugatit_fast.model import GeneratorConfig

ROOT = Path(__file__).resolve().parents[1]
FOLDERS = {"kernels": "kernels", "export": "export", "train": "train", "assets": "assets", "bench": "benchmarks/suite"}
"""Those that install as ugatit_fast.<name>."""
HEAVY = {"torch", "triton", "onnx", "onnxruntime", "onnxscript", "tensorrt", "tensorrt_rtx"}


NOT_SHIPPED = re.compile(r"\.gitignore|\.ci/run|\.github/.*")
"""Of use to the repository alone."""
WRITTEN_BY_SETUPTOOLS = re.compile(r"PKG-INFO|setup\.cfg|ugatit_fast\.egg-info/.*")


def copied_to(folder: Path) -> Path:
    """The sources, so that building leaves the checkout clean."""
    made = (".*", "build", "dist", "demo", "*.egg-info", "__pycache__")
    shutil.copytree(ROOT, folder, symlinks=True, ignore=shutil.ignore_patterns(*made))
    shutil.copy(ROOT / ".dockerignore", folder)
    return folder


def built(kind: str, source: Path) -> Path:
    """The one `wheel` or `sdist` of a folder of sources, built without the network."""
    build = f"from setuptools import build_meta; build_meta.build_{kind}('dist')"
    subprocess.run([sys.executable, "-c", build], cwd=source, check=True, capture_output=True, text=True)
    (made,) = (source / "dist").iterdir()
    return made


@pytest.fixture(scope="module")
def wheel_file(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return built("wheel", copied_to(tmp_path_factory.mktemp("wheel") / "source"))


@pytest.fixture(scope="module")
def wheel(wheel_file: Path) -> Iterator[zipfile.ZipFile]:
    with zipfile.ZipFile(wheel_file) as opened:
        yield opened


@pytest.fixture(scope="module")
def unpacked(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The source distribution, built and unpacked again."""
    folder = tmp_path_factory.mktemp("sdist")
    with tarfile.open(built("sdist", copied_to(folder / "source"))) as archive:
        archive.extractall(folder, filter="data")
    (sources,) = folder.glob("ugatit_fast-*")
    return sources


@pytest.fixture(scope="module")
def installed(wheel_file: Path, tmp_path_factory: pytest.TempPathFactory) -> tuple[str, ...]:
    """The console script of an environment that holds the wheel, and sees the libraries of this one behind it.

    -I: neither the working directory nor PYTHONPATH leads to the checkout.
    """
    folder = tmp_path_factory.mktemp("installed")
    venv.create(folder, symlinks=True)
    (packages,) = (folder / "lib").glob("python*/site-packages")
    libraries = {str(Path(str(distribution("numpy").locate_file(""))).resolve()), sysconfig.get_path("purelib")}
    (packages / "libraries.pth").write_text("".join(f"{path}\n" for path in sorted(libraries)))
    pip = [sys.executable, "-m", "pip", "--python", str(folder / "bin" / "python"), "install", "--quiet"]
    offline = ["--no-deps", "--no-index", "--ignore-installed", "--disable-pip-version-check", str(wheel_file)]
    subprocess.run([*pip, *offline], check=True, capture_output=True, text=True)
    python = str(folder / "bin" / "python")
    where = [python, "-I", "-c", "import ugatit_fast; print(ugatit_fast.__file__)"]
    found = subprocess.run(where, cwd=folder, check=True, capture_output=True, text=True).stdout.strip()
    assert Path(found) == packages / "ugatit_fast" / "__init__.py"
    return python, "-I", str(folder / "bin" / "ugatit-fast")


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


@pytest.mark.parametrize("room", ["serve", "study"])
def test_wheel_ships_the_pages_of_servers(wheel: zipfile.ZipFile, room: str) -> None:
    page = (ROOT / "ugatit_fast" / room / "page").iterdir()
    assert {f"ugatit_fast/{room}/page/{file.name}" for file in page} <= set(wheel.namelist())


def test_wheel_ships_the_forms_of_written_pages(wheel: zipfile.ZipFile) -> None:
    assert {"ugatit_fast/translate/gallery.html", "ugatit_fast/study/report.html"} <= set(wheel.namelist())


def test_wheel_metadata(wheel: zipfile.ZipFile) -> None:
    (name,) = (name for name in wheel.namelist() if name.endswith(".dist-info/METADATA"))
    metadata = Parser().parsestr(wheel.read(name).decode())
    assert metadata["Version"] == ugatit_fast.__version__
    required = [line for line in metadata.get_all("Requires-Dist", []) if "extra ==" not in line]
    core = {re.split(r"[^\w-]", line)[0] for line in required}
    assert core == {"numpy", "pillow", "safetensors", "cyclopts", "rich"}


def test_the_wheel_holds_no_papers(wheel: zipfile.ZipFile) -> None:
    """What MANIFEST.in names for the source distribution stays there."""
    papers = {name for name in wheel.namelist() if name.startswith("ugatit_fast/") and name.endswith(".md")}
    assert papers == {"ugatit_fast/assets/PROVENANCE.md", "ugatit_fast/assets/photo2print-card.md"}


def test_the_wheel_holds_the_list_of_data_sets(wheel: zipfile.ZipFile) -> None:
    assert {f"ugatit_fast/train/{name}" for name in ("published_data.toml", "run_page.html")} <= set(wheel.namelist())


def test_the_source_distribution_holds_all_that_the_repository_does(unpacked: Path) -> None:
    held = {path.relative_to(unpacked).as_posix() for path in files_below(unpacked)}
    extra = {name for name in held if WRITTEN_BY_SETUPTOOLS.fullmatch(name)}
    assert held - extra == {name for name in tracked() if not NOT_SHIPPED.fullmatch(name)}
    assert {name: (unpacked / "ugatit_fast" / name).readlink() for name in FOLDERS} == {
        name: Path("..") / folder for name, folder in FOLDERS.items()
    }


@pytest.mark.slow
@pytest.mark.timeout(300)
def test_the_source_distribution_passes_its_own_tests(unpacked: Path) -> None:
    """A few: they need what is behind the links, the documents, the benchmarks' results and the test data."""
    golden = "tests/tensor_bundle/test_tensor_bundle.py::test_golden_checkpoint_bit_for_bit"
    some = ["tests/test_arrows.py", "tests/test_tree.py", "tests/test_docker.py", "tests/benchmarks/test_report.py"]
    command = [sys.executable, "-m", "pytest", "-q", "-p", "no:cacheprovider", *some, golden]
    environment = {**os.environ, "PYTHONPATH": str(unpacked)}
    done = subprocess.run(command, cwd=unpacked, env=environment, check=False, capture_output=True, text=True)
    assert done.returncode == 0, done.stdout[-3000:] + done.stderr[-1000:]
    assert "skipped" not in done.stdout


def test_the_source_distribution_builds_the_same_wheel(unpacked: Path, wheel: zipfile.ZipFile) -> None:
    with zipfile.ZipFile(built("wheel", unpacked)) as other:
        assert sorted(other.namelist()) == sorted(wheel.namelist())
        assert all(other.read(name) == wheel.read(name) for name in wheel.namelist())


@pytest.mark.slow
@pytest.mark.timeout(300)
def test_the_installed_wheel_demonstrates_translates_and_serves(installed: tuple[str, ...], tmp_path: Path) -> None:
    def ran(*arguments: str) -> str:
        done = subprocess.run([*installed, *arguments], cwd=tmp_path, check=False, capture_output=True, text=True)
        assert done.returncode == 0, done.stderr
        return done.stdout

    assert "index.html" in ran("demo")
    engine = shipped_engine()
    photo = ROOT / "assets" / "astronaut.jpg"
    ran("translate", str(engine), str(photo), "-o", "translated")
    picture = load_image(tmp_path / "translated" / "astronaut.jpg")
    assert picture.std() > 10
    with served(engine, program=installed) as (_, port):
        status, answer = ask(port, "POST", "/v1/translate", photo.read_bytes(), {"Content-Type": "image/jpeg"})
    assert status == 200
    assert decoded(answer).shape == picture.shape  # PNG of what is a JPEG beside it


@pytest.mark.slow
@pytest.mark.timeout(300)
def test_the_first_hour(installed: tuple[str, ...], tmp_path: Path) -> None:
    """The demonstration, the list of weights, an archive from the web to a picture; where there is no PyTorch, what to
    install, and after it is there and gone again, the engine that was built meanwhile.
    """
    write_random_checkpoint(tmp_path / "anime.pt", GeneratorConfig(ch=8, n_res=1, light=True), seed=3)
    archive = io.BytesIO()
    with zipfile.ZipFile(archive, "w") as packed:
        packed.writestr("__MACOSX/selfie2anime/._anime.pt", b"fork")
        packed.write(tmp_path / "anime.pt", "selfie2anime/anime.pt")
    (tmp_path / "me.jpg").write_bytes((ROOT / "assets" / "astronaut.jpg").read_bytes())
    python, isolated, _ = installed

    with serving({"/selfie2anime.zip": archive.getvalue()}) as web:

        def ran(*arguments: str, without: tuple[str, ...] = ()) -> tuple[int, str, str]:
            program = (
                f"import sys; sys.modules.update(dict.fromkeys({without!r}));"
                f"from ugatit_fast.weights import web; web.TEST_SERVERS.add({web.origin!r});"
                "from ugatit_fast.cli import main; sys.exit(main(sys.argv[1:]))"
            )
            environment = {**os.environ, "XDG_CACHE_HOME": str(tmp_path / "cache")}
            command = [python, isolated, "-c", program, *arguments]
            done = subprocess.run(command, cwd=tmp_path, env=environment, check=False, capture_output=True, text=True)
            return done.returncode, done.stdout, done.stderr

        bare = ("torch", "onnx", "onnxscript", "triton", "huggingface_hub")
        code, out, err = ran("demo", without=bare)
        assert (code, "look at demo/index.html" in out, "ugatit-fast weights" in err) == (0, True, True), err
        code, out, _ = ran("weights", without=bare)
        assert (code, f"ugatit-fast translate {SHIPPED_PAIR} PHOTO" in out) == (0, True)
        code, _, err = ran("translate", SHIPPED_PAIR, "me.jpg", "-o", "shipped", without=bare)
        assert (code, load_image(tmp_path / "shipped" / "me.jpg").shape) == (0, (256, 256, 3)), err

        address = f"{web.origin}/selfie2anime.zip"
        code, _, err = ran("translate", address, "me.jpg", without=bare)
        assert code == 1
        assert err.splitlines()[-1].startswith("error: this needs torch, which is not installed: pip install")
        code, out, err = ran("translate", address, "me.jpg")
        assert (code, "look at translated/index.html" in out) == (0, True), err
        assert load_image(tmp_path / "translated" / "me.jpg").shape == (256, 256, 3)
        code, _, err = ran("translate", address, "me.jpg", "--offline", "-o", "again", without=bare)
        assert (code, "building" in err) == (0, False), err
        assert (tmp_path / "again" / "me.jpg").read_bytes() == (tmp_path / "translated" / "me.jpg").read_bytes()
        assert len(web.asked) == 1


@pytest.mark.parametrize("name", FOLDERS)
def test_links_are_relative(name: str) -> None:
    link = ROOT / "ugatit_fast" / name
    assert link.is_symlink()
    assert link.readlink() == Path("..") / FOLDERS[name]


def test_import_is_light() -> None:
    code = f"import sys, ugatit_fast; print(*sorted({HEAVY} & sys.modules.keys()))"
    done = subprocess.run([sys.executable, "-c", code], cwd=ROOT, check=True, capture_output=True, text=True)
    assert done.stdout.split() == []


def tracked() -> list[str]:
    """The repository's files, those not yet added among them."""
    if not (ROOT / ".git").exists():
        pytest.skip("not a git checkout: no list of the repository's files")
    listed = ["git", "ls-files", "-z", "--cached", "--others", "--exclude-standard"]
    names = subprocess.run(listed, cwd=ROOT, check=True, capture_output=True, text=True).stdout.split("\0")
    return [name for name in names if name and ((ROOT / name).is_symlink() or (ROOT / name).exists())]


def files_below(folder: Path) -> Iterator[Path]:
    """Files and links, which aren't followed."""
    for path in folder.iterdir():
        if path.is_dir() and not path.is_symlink():
            yield from files_below(path)
        else:
            yield path


def test_no_file_names_a_package_index_or_a_private_path() -> None:
    forbidden = re.compile(
        r"index-ur[l]|find-link[s]|pythonhoste[d]|\bpypi\.\w|download\.pytorch\.\w"
        r"|(?<![\w.-])/(?:home|root|Users|wor[k])/" + f"|{re.escape(str(ROOT))}/"
    )
    found = []
    for path in (ROOT / name for name in tracked()):
        if not path.is_file() or path.is_symlink():
            continue
        text = path.read_bytes().decode("utf-8", errors="ignore")
        found += [f"{path.relative_to(ROOT)}: {match.group()}" for match in forbidden.finditer(text)]
    assert found == []
