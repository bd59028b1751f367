"""Apps and clients that tests of the server are made of."""

import asyncio
import io
import json
from collections.abc import Awaitable, Callable, Sequence
from typing import TypeVar

import httpx
import numpy as np
from PIL import Image

from tests.media.pictures import photo
from tests.translate.fake_translator import BACK_SPEC, SPEC, FakeTranslator
from ugatit_fast.choices import Direction
from ugatit_fast.media.images import Pixels
from ugatit_fast.serve.app import create_app
from ugatit_fast.serve.service import Served
from ugatit_fast.serve.settings import ServeSettings

Answer = TypeVar("Answer")
Ask = Callable[[httpx.AsyncClient], Awaitable[Answer]]
SIZE = (SPEC.width, SPEC.height)


def fake(
    direction: Direction = "A2B", *, heatmap: bool = False, before: Callable[[int], None] = lambda call: None
) -> FakeTranslator:
    """A translator that inverts colours."""
    return FakeTranslator({"A2B": SPEC, "B2A": BACK_SPEC}[direction], heatmap=heatmap, before=before)


def serving(
    ask: Ask[Answer], settings: ServeSettings | None = None, translators: Sequence[Served] | None = None
) -> Answer:
    """Run an app and a client of it, in this process, for as long as `ask` takes."""

    async def run() -> Answer:
        app = create_app(settings or ServeSettings(), translators or [fake()])
        transport = httpx.ASGITransport(app)
        async with (
            app.router.lifespan_context(app),
            httpx.AsyncClient(transport=transport, base_url="http://localhost") as client,
        ):
            return await ask(client)

    return asyncio.run(run())


def encoded(pixels: Pixels, name: str = "PNG") -> bytes:
    file = io.BytesIO()
    Image.fromarray(pixels).save(file, name)
    return file.getvalue()


def a_photo(seed: int = 0) -> Pixels:
    """Of the size that `fake` serves, so that its translation is just 255 minus it."""
    return photo(*SIZE, seed=seed)


def decoded(content: bytes) -> Pixels:
    return np.array(Image.open(io.BytesIO(content)).convert("RGB"))


def detail(response: httpx.Response, status: int) -> str:
    """The detail of a problem, found to be one line with nothing in it that clients shouldn't see."""
    assert response.status_code == status, (response.status_code, response.content[:300])
    assert response.headers["content-type"] == "application/problem+json"
    problem = json.loads(response.content)
    assert set(problem) == {"type", "title", "status", "detail"}
    assert problem["status"] == status
    text = str(problem["detail"])
    assert text.strip()
    assert "\n" not in text
    assert "Traceback" not in text
    assert ".py" not in text
    return text
