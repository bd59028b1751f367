"""Thousands of damaged uploads through the app and a real engine: each a problem or a picture, never a failure."""

import asyncio
import io
import random
import zipfile
from collections import Counter
from collections.abc import Iterator
from pathlib import Path
from typing import NamedTuple

import httpx
import numpy as np
import pytest
from PIL import Image

from tests.media.pictures import photo
from tests.serve.clients import decoded, detail, encoded, serving
from ugatit_fast.serve.settings import ServeSettings
from ugatit_fast.translator import Translator

UPLOADS = 2400
ALLOWED = {200, 400, 406, 413, 415, 422}
BOUNDARY = b"frontier"
ACCEPTS = ("image/png", "image/webp", "image/jpeg", "multipart/form-data", "*/*", "text/html", "image/*;q=x", ",;,q=")
TYPES = (
    "image/png", "image/jpeg", "application/octet-stream", "application/zip", "multipart/form-data; boundary=frontier",
    "multipart/form-data; boundary=", "multipart/form-data; boundary=\xff", "text/plain", "", "image/", ";;;",
)  # fmt: skip
QUERIES = ("", "", "?fit=pad", "?fit=squash", "?fit=%00", "?direction=A2B", "?direction=B2A", "?format=x")
EXTREMES = (b"\xff\xff\xff\xff", b"\0\0\0\0", b"\x7f\xff\xff\xff", b"\0\0\0\x80")


class Upload(NamedTuple):
    path: str
    content: bytes
    headers: dict[str, str]


def files() -> list[bytes]:
    """A small file of every kind that can be read."""
    picture = Image.fromarray(photo(48, 40))
    frames = [Image.fromarray(photo(24, 20, seed=seed)) for seed in range(3)]
    kinds: list[tuple[Image.Image, str, dict[str, object]]] = [
        (picture, "JPEG", {}),
        (picture, "JPEG", {"progressive": True, "exif": Image.Exif(), "icc_profile": b"profile"}),
        (picture.convert("CMYK"), "JPEG", {}),
        (picture, "PNG", {}),
        (picture.convert("RGBA"), "PNG", {"dpi": (72, 72)}),
        (picture.quantize(16), "PNG", {"transparency": 3}),
        (Image.fromarray(np.arange(1920, dtype=np.uint16).reshape(40, 48) * 30), "PNG", {}),
        (frames[0], "PNG", {"save_all": True, "append_images": frames[1:]}),
        (picture, "WEBP", {}),
        (picture.convert("RGBA"), "WEBP", {"lossless": True}),
        (frames[0], "WEBP", {"save_all": True, "append_images": frames[1:]}),
        (frames[0], "GIF", {"save_all": True, "append_images": frames[1:]}),
        (picture, "TIFF", {"compression": "tiff_lzw"}),
        (picture, "TIFF", {"compression": "tiff_deflate"}),
        (picture.convert("1"), "TIFF", {"compression": "group4"}),
        (picture, "BMP", {}),
        (picture.quantize(16), "BMP", {}),
        (picture, "PPM", {}),
    ]
    if Image.SAVE.get("AVIF"):
        kinds.append((picture, "AVIF", {}))
    written = []
    for image, name, options in kinds:
        file = io.BytesIO()
        image.save(file, name, **options)
        written.append(file.getvalue())
    return written


def damaged(content: bytes, chance: random.Random) -> bytes:
    """Bits turned, numbers made extreme, ends cut, pieces dropped, doubled or replaced by noise; or left alone."""
    data = bytearray(content)
    for _ in range(chance.choice((0, 1, 1, 2, 5))):
        if not data:
            break
        at = chance.randrange(len(data)) if chance.random() < 0.5 else chance.randrange(min(64, len(data)))
        length = chance.choice((1, 2, 4, 16, 200))
        match chance.randrange(7):
            case 0:
                data[at] ^= 1 << chance.randrange(8)
            case 1:
                data[at : at + 4] = chance.choice(EXTREMES)
            case 2:
                del data[at:]
            case 3:
                del data[at : at + length]
            case 4:
                data[at:at] = data[at : at + length] * chance.choice((1, 50))
            case 5:
                data[at : at + length] = chance.randbytes(length)
            case 6:
                data += chance.randbytes(length)
    return bytes(data)


def form(contents: list[bytes], chance: random.Random) -> bytes:
    parts = [
        b'--%s\r\nContent-Disposition: form-data; name="f"; filename="%s"\r\nContent-Type: image/png\r\n\r\n%s\r\n'
        % (BOUNDARY, chance.choice((b"a.png", b"../x", b"", b"\xff\xfe", b"a" * 300, b'q\\"')), content)
        for content in contents
    ]
    return b"".join(parts) + b"--%s--\r\n" % BOUNDARY


def archive(contents: list[bytes], chance: random.Random) -> bytes:
    packed = io.BytesIO()
    with zipfile.ZipFile(packed, "w", chance.choice((zipfile.ZIP_STORED, zipfile.ZIP_DEFLATED))) as target:
        for i, content in enumerate(contents):
            target.writestr(chance.choice((f"{i}.png", f"d/{i}", f"..\\{i}", f"é{i}.jpg")), content)
    return packed.getvalue()


def uploads(count: int) -> Iterator[Upload]:
    chance = random.Random(20190725)
    originals = files()
    for _ in range(count):
        contents = [damaged(content, chance) for content in chance.choices(originals, k=chance.choice((1, 1, 2, 3)))]
        path, kind = "/v1/translate", chance.choice(TYPES[:3])
        content = contents[0]
        if chance.random() < 0.4:
            kind, content = TYPES[4], form(contents, chance)
            path = chance.choice(("/v1/translate", "/v1/translate/batch"))
        elif chance.random() < 0.3:
            path, kind, content = "/v1/translate/batch", "application/zip", archive(contents, chance)
        if chance.random() < 0.3:
            content = damaged(content, chance)
        if chance.random() < 0.1:
            kind = chance.choice(TYPES)
        headers = {"content-type": kind}
        if chance.random() < 0.3:
            headers["accept"] = chance.choice(ACCEPTS)
        yield Upload(path + chance.choice(QUERIES), content, headers)


def check(upload: Upload, response: httpx.Response, spec_size: tuple[int, int]) -> int:
    """The status, once the answer has been found sound."""
    assert response.status_code in ALLOWED, (upload, response.content[:300])
    if response.status_code != 200:
        detail(response, response.status_code)
    elif response.headers["content-type"].startswith("image/"):
        height, width, _ = decoded(response.content).shape
        assert height <= spec_size[0]
        assert width <= spec_size[1]
        assert "pad" in upload.path or (height, width) == spec_size
    elif response.headers["content-type"] == "application/zip":
        with zipfile.ZipFile(io.BytesIO(response.content)) as found:
            assert found.testzip() is None
            assert not any("/" in name or "\\" in name or ".." in name for name in found.namelist())
    return response.status_code


@pytest.mark.slow
@pytest.mark.filterwarnings("ignore::UserWarning:PIL")
def test_damaged_uploads(light_engine: Path) -> None:
    with Translator(light_engine, heatmap=True, threads=1) as translator:

        async def ask(client: httpx.AsyncClient) -> Counter[int]:
            size = translator.spec.height, translator.spec.width
            statuses: Counter[int] = Counter()
            waiting = uploads(UPLOADS)

            async def send_all() -> None:
                for upload in waiting:
                    sent = [(name.encode(), value.encode("latin-1")) for name, value in upload.headers.items()]
                    response = await client.post(upload.path, content=upload.content, headers=sent)
                    statuses[check(upload, response, size)] += 1

            await asyncio.gather(*(send_all() for _ in range(4)))
            headers = {"content-type": "image/png"}
            good = await client.post("/v1/translate", content=encoded(photo(32, 32)), headers=headers)
            assert good.status_code == 200
            return statuses

        found = serving(ask, ServeSettings(max_megapixels=1), [translator])

    assert found.total() == UPLOADS
    assert found[200] > UPLOADS / 10
    assert found[422] > UPLOADS / 10
