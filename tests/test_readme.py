"""What README names exists, and what it says of its example is so; `test_documents.py` runs its commands."""

import io
import re
import tomllib
import zipfile
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from ugatit_fast.assets import sample_photos
from ugatit_fast.bench.random_weights import write_random_checkpoint
from ugatit_fast.model import GeneratorConfig

ROOT = Path(__file__).resolve().parents[1]
README = (ROOT / "README.md").read_text(encoding="utf-8")
SPOKEN_OF = re.compile(r"`(?:pip install (?:-c constraints\.txt )?)?\"?\.?\[([\w,-]+)\]\"?`|\.\[([\w,-]+)\]")


@pytest.fixture
def somewhere(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A folder with the files that README speaks of, the weights small ones."""
    weights = tmp_path / "selfie2anime_params_latest.pt"
    write_random_checkpoint(weights, GeneratorConfig(ch=8, n_res=1, light=True), seed=3)
    with zipfile.ZipFile(tmp_path / "selfie2anime.zip", "w") as archive:
        archive.write(weights, "selfie2anime/selfie2anime.pt")
    (tmp_path / "me.jpg").write_bytes(sample_photos()[0].read_bytes())
    monkeypatch.chdir(tmp_path)
    return tmp_path


def test_extras_and_targets_that_are_spoken_of_exist() -> None:
    extras = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]["optional-dependencies"]
    spoken = [name for groups in SPOKEN_OF.findall(README) for group in groups for name in group.split(",") if name]
    assert len(spoken) > 10
    assert set(spoken) <= set(extras)
    targets = re.findall(r"^(\w+):", (ROOT / "Makefile").read_text(), re.MULTILINE)
    assert set(re.findall(r"`make (\w+)`", README)) <= set(targets)


def test_nothing_is_installed_by_a_name_that_does_not_exist() -> None:
    """There is no release: what is to be installed is named as it is in a checkout, or by `pip_install`."""
    named = "ugatit-fast" + "["
    folders = ("ugatit_fast", "kernels", "export", "train", "benchmarks", "docs", "examples", "tests")
    files = [ROOT / "README.md", *(file for folder in folders for file in (ROOT / folder).rglob("*"))]
    texts = [file for file in files if file.suffix in (".py", ".md") and not file.is_symlink()]
    found = {file.relative_to(ROOT) for file in texts if named in file.read_text(encoding="utf-8")}
    assert found <= {Path("tests/test_readme.py")}


def test_the_arrays_of_the_example_come_back_as_said(somewhere: Path) -> None:
    """What the comment beside the example says."""
    from ugatit_fast import Translator

    picture = np.zeros((32, 32, 3), np.uint8)
    content = io.BytesIO()
    Image.fromarray(picture).save(content, "WEBP")
    with Translator("selfie2anime.zip") as translator:
        array, again, image = translator([picture, content.getvalue(), Image.fromarray(picture)])
    assert (type(array), type(again), type(image)) == (np.ndarray, bytes, Image.Image)
