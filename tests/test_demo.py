"""The demonstration and what ships for it: small, right, made of the weights beside it, and in need of no PyTorch."""

import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest

from benchmarks.shipped_engines import SIZE, build_shipped
from ugatit_fast.assets import SHIPPED_PAIR, card_of, sample_photos, shipped_card, shipped_engine, shipped_weights
from ugatit_fast.backends.eager import EagerBackend
from ugatit_fast.checkpoint import read_checkpoint
from ugatit_fast.choices import Direction
from ugatit_fast.cli import main
from ugatit_fast.engine import read_spec
from ugatit_fast.export.verify import verify
from ugatit_fast.media.fitting import fit_image
from ugatit_fast.media.images import Pixels, load_image

BUILDERS = ("torch", "onnx", "onnxscript", "triton")
"""What building an engine takes, and running one for CPUs does not."""


def test_what_ships_is_small() -> None:
    files = [file(direction) for file in (shipped_weights, shipped_engine) for direction in ("A2B", "B2A")]
    assert sum(file.stat().st_size for file in files) < 16_000_000


@pytest.mark.parametrize("file", [SHIPPED_PAIR, shipped_weights("B2A"), shipped_engine("A2B")])
def test_the_model_card_is_beside_them_and_inspect_says_where(
    file: str | Path, capsys: pytest.CaptureFixture[str], tmp_path: Path
) -> None:
    assert main(["inspect", str(file)]) == 0
    assert f"model card             {shipped_card()}\n" in capsys.readouterr().out
    assert shipped_weights().name in shipped_card().read_text(encoding="utf-8")
    assert card_of(tmp_path / shipped_weights().name) is None, "a file of that name elsewhere"


@pytest.mark.parametrize("direction", ["A2B", "B2A"])
def test_the_shipped_weights_translate(direction: Direction) -> None:
    """Another picture than the photo, of the same thing: light and dark lie where they lay."""
    photo = fit_image(load_image(sample_photos()[0]), SIZE, "crop")
    picture = EagerBackend(shipped_weights(direction), device="cpu").run(photo[None])[0][0]
    assert np.abs(picture.astype(int) - photo).mean() > 8
    assert np.corrcoef(picture.mean(-1).ravel(), photo.mean(-1).ravel())[0, 1] > 0.7


@pytest.mark.parametrize("direction", ["A2B", "B2A"])
def test_the_shipped_engine_is_that_of_the_shipped_weights(direction: Direction) -> None:
    """`verify` compares their SHA-256 first; where this fails, run `python -m benchmarks.shipped_engines --force`."""
    weights = read_checkpoint(shipped_weights(direction))
    spec = read_spec(shipped_engine(direction))
    assert (spec.network.direction, spec.heatmap, spec.any_size) == (direction, True, True)
    assert verify(shipped_engine(direction), weights).passes("fp32")


def test_the_shipped_engine_is_made_anew_to_the_byte(tmp_path: Path) -> None:
    build_shipped("A2B", tmp_path / "again.onnx")
    assert (tmp_path / "again.onnx").read_bytes() == shipped_engine("A2B").read_bytes()


def test_the_demonstration_needs_no_builder_and_says_what_comes_next(tmp_path: Path) -> None:
    """As on a machine where they aren't installed: importing them fails."""
    program = (
        f"import sys; sys.modules.update(dict.fromkeys({BUILDERS!r}));"
        "from ugatit_fast.cli import main; sys.exit(main(sys.argv[1:]))"
    )
    command = [sys.executable, "-c", program, "demo", "-o", str(tmp_path / "demo")]
    done = subprocess.run(command, check=False, capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    assert f"look at {tmp_path / 'demo' / 'index.html'}" in done.stdout
    assert "next: ugatit-fast weights" in done.stderr
    for photo in sample_photos():
        assert load_image(tmp_path / "demo" / photo.name).shape == (*SIZE, 3)
        assert (tmp_path / "demo" / "gallery" / "heatmap" / photo.name).exists()


@pytest.mark.parametrize("photo", sample_photos(), ids=lambda photo: photo.stem)
def test_the_shipped_weights_print_in_two_inks(photo: Path) -> None:
    """Paper, blacks, and hardly a colour that isn't a mixture of the inks; of the photo's own, more aren't."""
    inks = pytest.importorskip("ugatit_fast.train.example.two_ink_print", exc_type=ImportError)
    steps = np.linspace(0, 1, 12)
    mixtures = np.array(
        [inks.PAPER * (1 - a * (1 - inks.CORAL)) * (1 - b * (1 - inks.NAVY)) for a in steps for b in steps]
    )

    def foreign(picture: Pixels) -> float:
        """Share of pixels far from every mixture, in 8-bit levels."""
        colours = picture.reshape(-1, 1, 3).astype(np.float64)
        return float((np.linalg.norm(colours - mixtures, axis=-1).min(axis=1) > 40).mean())

    before = fit_image(load_image(photo), SIZE, "crop")
    after = EagerBackend(shipped_weights(), device="cpu").run(before[None])[0][0]
    assert foreign(after) < 0.05
    assert foreign(after) < foreign(before)
    lightness = after.mean(-1)
    assert (lightness < 60).mean() > 0.05
    assert (lightness > 215).mean() > 0.1
