"""What the app's tests don't reach: the scans of JPEG files, the pace of bodies, and names."""

import asyncio
import io
from collections.abc import AsyncIterator

import httpx
import pytest
from PIL import Image

from tests.serve.clients import a_photo, detail, encoded, serving
from ugatit_fast.errors import InputError
from ugatit_fast.serve.settings import ServeSettings
from ugatit_fast.serve.uploads import MAX_JPEG_SCANS, plain_name, refuse_endless_jpeg


def progressive(**options: object) -> bytes:
    file = io.BytesIO()
    Image.new("RGB", (320, 240), "teal").save(file, "JPEG", progressive=True, **options)
    return file.getvalue()


def with_scans(count: int) -> bytes:
    """A progressive JPEG file whose last scan comes `count` times."""
    jpeg = progressive()
    last = jpeg.rindex(b"\xff\xda")
    return jpeg[:last] + jpeg[last:-2] * count + jpeg[-2:]


def test_a_jpeg_of_endless_scans_is_refused_at_once() -> None:
    endless = with_scans(10_000)
    text = detail(serving(lambda client: client.post("/v1/translate", content=endless, headers={
        "content-type": "image/jpeg"})), 422)  # fmt: skip
    assert "scans" in text


@pytest.mark.parametrize(
    "jpeg",
    [
        encoded(a_photo(), "JPEG"),
        progressive(),
        progressive(exif=Image.Exif(), restart_marker_blocks=1),
        progressive(icc_profile=b"\xff\xda" * 30_000),  # not scans: they lie in segments
        progressive() + b"\xff\xda\x00\x02" * 1000,  # nor are these: a film or a second picture follows
        with_scans(MAX_JPEG_SCANS - 20),
        b"\xff\xd8",
        b"\xff\xd8\xff\xda",
        encoded(a_photo()) + b"\xff\xda" * 1000,
    ],
    ids=["baseline", "progressive", "restarts", "profile", "trailer", "many", "empty", "cut", "png"],
)
def test_ordinary_files_pass(jpeg: bytes) -> None:
    refuse_endless_jpeg(jpeg, "it")
    file = io.BytesIO(jpeg)
    refuse_endless_jpeg(file, "it")
    assert file.tell() == 0


def test_the_limit_is_where_it_says() -> None:
    scans = progressive().count(b"\xff\xda")
    refuse_endless_jpeg(with_scans(MAX_JPEG_SCANS - scans + 1), "it")
    with pytest.raises(InputError, match="it is a JPEG"):
        refuse_endless_jpeg(with_scans(MAX_JPEG_SCANS - scans + 2), "it")


@pytest.mark.parametrize(
    ("path", "kind"),
    [
        ("/v1/translate", "image/png"),
        ("/v1/translate", "multipart/form-data; boundary=b"),
        ("/v1/translate/batch", "application/zip"),
        ("/v1/translate/batch", "multipart/form-data; boundary=b"),
    ],
)
def test_a_body_that_trickles_in_is_408_and_one_that_never_ends_413(path: str, kind: str) -> None:
    settings = ServeSettings(body_timeout_s=0.1, max_upload_mib=1, max_archive_mib=1, max_files=1)
    head = b'--b\r\nContent-Disposition: form-data; name="f"; filename="f"\r\n\r\n'

    async def trickle() -> AsyncIterator[bytes]:
        yield head
        while True:
            await asyncio.sleep(0.02)
            yield b"x"

    async def flood() -> AsyncIterator[bytes]:
        yield head
        for _ in range(100):
            yield bytes(100_000)

    def send(body: AsyncIterator[bytes]) -> httpx.Response:
        return serving(lambda client: client.post(path, content=body, headers={"content-type": kind}), settings)

    assert "slowly" in detail(send(trickle()), 408)
    assert "MiB" in detail(send(flood()), 413)


def test_plain_names() -> None:
    assert plain_name("C:\\photos\\me.jpg") == "me.jpg"
    assert plain_name("../../etc/passwd") == "passwd"
    assert plain_name("a\r\nSet-Cookie: b.png") == "aSet-Cookie: b.png"
    assert plain_name("") == plain_name("/") == plain_name("\x00") == "the photo"
    assert plain_name("x" * 1000 + ".png").endswith("x.png")
    assert len(plain_name("x" * 1000)) <= 120
