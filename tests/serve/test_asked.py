"""What a request asks for beside its photo: a part of it, pasted back or not, at a size."""

import io
import zipfile
from collections.abc import Iterator
from pathlib import Path

import httpx
import numpy as np
import pytest
from PIL import Image

from tests.media.pictures import photo
from tests.serve.clients import decoded, detail, encoded, fake, serving
from tests.serve.test_app import form_parts
from tests.translate.face_models import Sure, write_yunet
from ugatit_fast.choices import Box
from ugatit_fast.errors import BackendUnavailable, InputError
from ugatit_fast.media.fitting import fit_image, paste_image
from ugatit_fast.serve import asked
from ugatit_fast.serve.settings import ServeSettings

IMAGE = photo(64, 64)
PNG = {"content-type": "image/png"}
FORM = PNG | {"accept": "multipart/form-data"}
FACE = Box(8, 16, 32, 32)
"""The square about the face that `model` finds."""


@pytest.fixture
def model(tmp_path: Path) -> Path:
    return write_yunet(tmp_path / "yunet.onnx", [Sure(8, row=4, column=3, face=(12, 16))])


@pytest.fixture
def no_detector(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    monkeypatch.setattr("ugatit_fast.translate.faces.packaged_model", lambda: None)
    asked.faces_of.cache_clear()
    yield
    asked.faces_of.cache_clear()


def ask(
    path: str, settings: ServeSettings | None = None, *, content: bytes | None = None, **request: object
) -> httpx.Response:
    translators = [fake(heatmap=True)]
    content = encoded(IMAGE) if content is None else content
    return serving(lambda client: client.post(path, content=content, **request), settings, translators)  # type: ignore[arg-type]


def part_of(image: np.ndarray, box: Box) -> np.ndarray:  # type: ignore[type-arg]
    return image[box.top : box.top + box.height, box.left : box.left + box.width]


def translated(box: Box, side: int = 32) -> np.ndarray:  # type: ignore[type-arg]
    return 255 - fit_image(part_of(IMAGE, box), (side, side), "crop")


def test_a_part_of_the_photo_is_translated(model: Path) -> None:
    settings = ServeSettings(face_model=model)
    for crop, box in (
        ("face", FACE),
        ("box=4,8,40,40", Box(4, 8, 40, 40)),
        ("center", Box(0, 0, 64, 64)),
        ("whole", Box(0, 0, 64, 64)),
    ):
        response = ask(f"/v1/translate?crop={crop}", settings, headers=PNG)
        np.testing.assert_array_equal(decoded(response.content), translated(box))


def test_what_the_server_does_unless_told_otherwise(model: Path) -> None:
    faces = ServeSettings(crop="face", face_model=model)
    np.testing.assert_array_equal(decoded(ask("/v1/translate", faces, headers=PNG).content), translated(FACE))
    whole = ask("/v1/translate?crop=whole", faces, headers=PNG)
    np.testing.assert_array_equal(decoded(whole.content), translated(Box(0, 0, 64, 64)))
    pasting = ServeSettings(crop=Box(4, 8, 40, 40), paste_back=True)
    assert decoded(ask("/v1/translate", pasting, headers=PNG).content).shape == IMAGE.shape
    assert decoded(ask("/v1/translate?paste_back=false", pasting, headers=PNG).content).shape == (32, 32, 3)


def test_pasted_back_everything_has_the_photo_s_size(model: Path) -> None:
    response = ask("/v1/translate?crop=face&paste_back=true", ServeSettings(face_model=model), headers=FORM)
    parts = form_parts(response)
    assert list(parts) == ["input", "translation", "heatmap"]
    np.testing.assert_array_equal(decoded(parts["translation"]), paste_image(IMAGE, translated(FACE), FACE))
    assert Image.open(io.BytesIO(parts["translation"])).format == "PNG"
    for beside in ("input", "heatmap"):
        with Image.open(io.BytesIO(parts[beside])) as image:
            assert (image.format, image.size) == ("JPEG", (64, 64))
    assert np.abs(decoded(parts["input"]).astype(int) - IMAGE).mean() < 8
    outside = decoded(parts["heatmap"])[:12].astype(int)
    assert np.abs(outside - IMAGE[:12]).mean() < 8


def test_a_size_of_its_own() -> None:
    for size, shape in (("48", (48, 48, 3)), ("64x32", (64, 32, 3))):
        response = ask(f"/v1/translate?size={size}", headers=PNG)
        assert decoded(response.content).shape == shape
    everything = form_parts(ask("/v1/translate?size=64", headers=FORM))
    assert {decoded(picture).shape for picture in everything.values()} == {(64, 64, 3)}


def test_photos_of_several_sizes_at_once_get_their_own() -> None:
    async def all_at_once(client: httpx.AsyncClient) -> list[tuple[int, int]]:
        import asyncio

        sizes = [32, 64, 48, 32, 64, 48, 32]
        answers = [client.post(f"/v1/translate?size={size}", content=encoded(IMAGE), headers=PNG) for size in sizes]
        pictures = [decoded(answer.content) for answer in await asyncio.gather(*answers)]
        return [(size, picture.shape[0]) for size, picture in zip(sizes, pictures, strict=True)]

    for size, got in serving(all_at_once, ServeSettings(max_batch=4)):
        assert size == got


def test_a_batch_is_treated_alike(model: Path) -> None:
    response = serving(
        lambda client: client.post(
            "/v1/translate/batch?crop=face&paste_back=1&size=64",
            files=[("files", ("a.png", encoded(IMAGE))), ("files", ("b.png", encoded(IMAGE)))],
        ),
        ServeSettings(face_model=model),
    )
    with zipfile.ZipFile(io.BytesIO(response.content)) as archive:
        for name in ("a.png", "b.png"):
            expected = paste_image(IMAGE, translated(FACE, 64), FACE)
            np.testing.assert_array_equal(decoded(archive.read(name)), expected)


@pytest.mark.parametrize(
    ("query", "says"),
    [
        ("crop=frob", "expected center, face or box=X,Y,W,H"),
        ("crop=box=1,2", "expected center, face or box=X,Y,W,H"),
        ("crop=box=60,60,10,10", "reaches outside"),
        ("size=frob", "height x width"),
        ("size=0", "height x width"),
        ("size=33", "cannot translate at 33x33"),
        ("size=516", "at up to 512 pixels a side"),
        ("size=32x100000000", "at up to 512 pixels a side"),
        ("paste_back=frob", "paste_back"),
    ],
)
def test_what_cannot_be_done_is_said(query: str, says: str) -> None:
    assert says in detail(ask(f"/v1/translate?{query}", headers=PNG), 422)


def test_a_photo_without_a_face_says_so(tmp_path: Path) -> None:
    settings = ServeSettings(face_model=write_yunet(tmp_path / "none.onnx", []))
    assert "shows no face" in detail(ask("/v1/translate?crop=face", settings, headers=PNG), 422)


def test_an_engine_of_one_size_says_so() -> None:
    from dataclasses import replace

    translator = fake()
    translator.spec = replace(translator.spec, any_size=False)
    ask_it = lambda client: client.post("/v1/translate?size=64", content=encoded(IMAGE), headers=PNG)  # noqa: E731
    assert "serves 32x32 images only" in detail(serving(ask_it, translators=[translator]), 422)


@pytest.mark.usefixtures("no_detector")
def test_without_a_detector_the_server_says_what_to_install() -> None:
    async def look(client: httpx.AsyncClient) -> tuple[dict[str, object], httpx.Response]:
        model = (await client.get("/v1/model")).json()
        return model, await client.post("/v1/translate?crop=face", content=encoded(IMAGE), headers=PNG)

    model, response = serving(look)
    assert model["faces"] is False
    assert "[face]" in str(model["why_no_faces"])
    assert "[face]" in detail(response, 400)
    with pytest.raises(BackendUnavailable, match=r"\[face\]"):
        ServeSettings(crop="face")


def test_what_is_served_says_what_can_be_asked(model: Path) -> None:
    settings = ServeSettings(face_model=model, crop=Box(1, 2, 3, 4), paste_back=True, max_side=64)
    said = serving(lambda client: client.get("/v1/model"), settings).json()
    assert (said["faces"], said["why_no_faces"]) == (True, None)
    assert (said["crop"], said["paste_back"], said["limits"]["side"]) == ("box=1,2,3,4", True, 64)
    assert said["engines"][0]["any_size"] is True
    with pytest.raises(InputError, match="can't be loaded"):
        serving(lambda client: client.get("/v1/model"), ServeSettings(face_model=model.with_name("none.onnx")))
