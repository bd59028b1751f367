"""What people type into a translator, and that it comes back in the same kind."""

import io
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest
import torch
from PIL import Image

from tests.conftest import random_pictures
from ugatit_fast.errors import InputError
from ugatit_fast.media.fitting import fit_image
from ugatit_fast.media.images import Pixels, decode_image, encode_image
from ugatit_fast.translator import Translator


@pytest.fixture(scope="module")
def translator(light_engine: Path) -> Iterator[Translator]:
    with Translator(light_engine) as opened:
        yield opened


@pytest.fixture(scope="module")
def photo() -> Pixels:
    """Of another shape than the engine's 32x32."""
    return random_pictures(1, 90, 120, seed=5)[0]


@pytest.fixture(scope="module")
def expected(translator: Translator, photo: Pixels) -> Pixels:
    """What `translate` makes of it: the middle, at the engine's size."""
    picture: Pixels = translator.translate(fit_image(photo, (32, 32), "crop")[None]).pictures[0]
    return picture


@pytest.mark.parametrize("kind", [str, Path])
def test_a_path_gives_a_pillow_image(
    translator: Translator, photo: Pixels, expected: Pixels, tmp_path: Path, kind: type[str] | type[Path]
) -> None:
    (tmp_path / "me.png").write_bytes(encode_image(photo, ".png"))
    result = translator(kind(tmp_path / "me.png"))
    assert isinstance(result, Image.Image)
    assert np.array_equal(np.asarray(result), expected)


@pytest.mark.parametrize(("suffix", "kept"), [(".png", "PNG"), (".jpg", "JPEG"), (".webp", "WEBP"), (".bmp", "PNG")])
def test_bytes_give_bytes_of_the_same_format(
    translator: Translator, photo: Pixels, expected: Pixels, suffix: str, kept: str
) -> None:
    given = io.BytesIO()
    Image.fromarray(photo).save(given, suffix[1:].replace("jpg", "jpeg"))
    result = translator.run(given.getvalue())
    assert isinstance(result, bytes)
    assert Image.open(io.BytesIO(result)).format == kept
    assert decode_image(result, "it").shape == (32, 32, 3)
    if suffix == ".png":
        assert np.array_equal(decode_image(result, "it"), expected)


def test_a_pillow_image_gives_one(translator: Translator, photo: Pixels, expected: Pixels) -> None:
    assert np.array_equal(np.asarray(translator(Image.fromarray(photo))), expected)
    grey = translator(Image.fromarray(photo).convert("LA"))
    assert (grey.mode, grey.size) == ("RGB", (32, 32))


def test_one_array_gives_one(translator: Translator) -> None:
    picture = random_pictures(1, 40, 32)[0]
    assert np.array_equal(translator(picture), translator(picture[None])[0])
    tensor = torch.rand(3, 32, 40) * 2 - 1
    result = translator(tensor)
    assert isinstance(result, torch.Tensor)
    assert torch.equal(result, translator(tensor[None])[0])


def test_many_give_many_each_in_its_kind(translator: Translator, photo: Pixels, expected: Pixels) -> None:
    pictures = random_pictures(2, 32, 32)
    given = [Image.fromarray(photo), pictures[0], encode_image(photo, ".png"), pictures, torch.zeros(3, 40, 32)]
    image, one, content, batch, tensor = translator(given)
    assert np.array_equal(np.asarray(image), expected)
    assert np.abs(one.astype(int) - translator(pictures[0])).max() <= 1
    assert np.array_equal(decode_image(content, "it"), expected)
    assert (batch.shape, tensor.shape) == ((2, 32, 32, 3), (3, 40, 32))
    assert isinstance(tensor, torch.Tensor)
    assert translator([]) == []


def test_neighbours_of_one_size_share_a_call(translator: Translator, monkeypatch: pytest.MonkeyPatch) -> None:
    counts: list[int] = []
    translate = Translator.translate
    monkeypatch.setattr(
        Translator,
        "translate",
        lambda self, images, style: counts.append(len(images)) or translate(self, images, style),
    )
    translator([*random_pictures(3, 32, 32), random_pictures(1, 40, 32)[0]])
    assert counts == [3, 1]


def test_heat_maps_come_beside_each(light_engine: Path, photo: Pixels) -> None:
    with Translator(light_engine, heatmap=True) as translator:
        image, attention = translator(Image.fromarray(photo))
        assert (image.size, attention.shape) == ((32, 32), (8, 8))
        (pictures, maps) = translator([photo[:32, :32], torch.zeros(2, 3, 32, 32)])
        assert [len(pictures), maps[0].shape, maps[1].shape] == [2, (8, 8), (2, 8, 8)]
        assert isinstance(maps[1], torch.Tensor)


@pytest.mark.parametrize(
    ("given", "message"),
    [
        (7, "expected a picture: a path, .* got int"),
        (b"no picture", "the picture is not an image"),
        ("absent.jpg", "absent.jpg can't be read"),
        (
            np.zeros((3, 32, 32), np.uint8),
            r"must be \(n, h, w, 3\) RGB, got .*; uint8 batches have the colours last",
        ),
        ([np.zeros((2, 2), np.uint8)], r"must be \(n, h, w, 3\) RGB"),
        (np.zeros((30, 32, 3), np.uint8), "cannot translate 30x32"),
    ],
)
def test_what_is_no_picture(translator: Translator, given: object, message: str) -> None:
    with pytest.raises(InputError, match=message):
        translator(given)  # type: ignore[arg-type]


def test_a_damaged_pillow_image(translator: Translator, photo: Pixels) -> None:
    content = encode_image(photo, ".png")
    with pytest.raises(InputError, match="the Pillow image can't be read"):
        translator(Image.open(io.BytesIO(content[: len(content) // 2])))
