"""Styles that requests ask for: by a seed, by numbers, or by a picture whose style is seen first."""

import asyncio

import httpx
import numpy as np
import pytest

from tests.serve.clients import a_photo, decoded, detail, encoded, serving
from tests.translate.fake_translator import STYLED_SPEC, FakeTranslator
from ugatit_fast.choices import drawn_style
from ugatit_fast.serve.settings import ServeSettings

PHOTO = encoded(a_photo())
HEADERS = {"Content-Type": "image/png"}


async def asked(client: httpx.AsyncClient, style: str | None = None, path: str = "/v1/translate") -> httpx.Response:
    params = {} if style is None else {"style": style}
    return await client.post(path, content=PHOTO, headers=HEADERS, params=params)


def test_a_request_says_the_style() -> None:
    translator = FakeTranslator(STYLED_SPEC)

    async def ask(client: httpx.AsyncClient) -> list[httpx.Response]:
        return [await asked(client, style) for style in (None, "7", "40,0,0")]

    answers = serving(ask, translators=[translator])
    assert [answer.status_code for answer in answers] == [200] * 3
    none, seeded, numbers = translator.styles
    assert none is None
    assert seeded is not None
    assert np.array_equal(seeded, drawn_style(3, 7))
    assert numbers is not None
    assert np.array_equal(numbers, np.array([40, 0, 0], np.float32))
    assert np.array_equal(decoded(answers[2].content), 215 - a_photo())


def test_a_picture_s_style_is_seen_and_then_asked_for() -> None:
    async def ask(client: httpx.AsyncClient) -> httpx.Response:
        assert (await client.get("/v1/model")).json()["engines"][0]["style_length"] == 3
        return await asked(client, path="/v1/style")

    answer = serving(ask, translators=[FakeTranslator(STYLED_SPEC)])
    assert answer.json()["style"] == pytest.approx([a_photo().mean()] * 3)


def test_a_batch_is_of_one_style() -> None:
    """Pictures of equal styles go together, others apart."""
    translator = FakeTranslator(STYLED_SPEC)

    async def ask(client: httpx.AsyncClient) -> list[httpx.Response]:
        return list(await asyncio.gather(*(asked(client, style) for style in ("1,0,0", "2,0,0", "1,0,0", "2,0,0"))))

    answers = serving(ask, ServeSettings(max_batch=4, max_wait_ms=2000, timeout_s=30), [translator])
    assert sorted(shape[0] for shape in translator.shapes) == [2, 2]
    shades = [254, 253, 254, 253]
    assert all(np.array_equal(decoded(a.content), s - a_photo()) for a, s in zip(answers, shades, strict=True))


@pytest.mark.parametrize(
    ("style", "said"),
    [("1,2", "has 3 numbers, got 2"), ("/etc/passwd", "/v1/style"), ("nan,0,0", "finite"), ("4294967296", "seed")],
)
def test_what_is_no_style(style: str, said: str) -> None:
    answer = serving(lambda client: asked(client, style), translators=[FakeTranslator(STYLED_SPEC)])
    assert said in detail(answer, 422)


@pytest.mark.parametrize("path", ["/v1/translate", "/v1/style"])
def test_an_engine_of_one_style(path: str) -> None:
    answer = serving(lambda client: asked(client, "7", path))
    assert "draws in one style only" in detail(answer, 422)


def test_a_style_of_what_is_no_picture() -> None:
    async def ask(client: httpx.AsyncClient) -> httpx.Response:
        return await client.post("/v1/style", content=b"no picture", headers=HEADERS)

    assert detail(serving(ask, translators=[FakeTranslator(STYLED_SPEC)]), 422)
