"""The app in this process, over a translator that inverts colours."""

import asyncio
import io
import json
import logging
import re
import threading
import zipfile
from email import message_from_bytes
from email.message import Message

import httpx
import numpy as np
import pytest
from PIL import Image

from tests.media.pictures import photo
from tests.serve.clients import SIZE, a_photo, decoded, detail, encoded, fake, serving
from ugatit_fast.errors import InputError
from ugatit_fast.media.tiles import heatmap_overlay
from ugatit_fast.serve.app import create_app
from ugatit_fast.serve.settings import ServeSettings

PHOTO = encoded(a_photo())
PNG = {"content-type": "image/png"}
KEY = "0123456789abcdef"


def form_parts(response: httpx.Response) -> dict[str, bytes]:
    header = f"Content-Type: {response.headers['content-type']}\r\n\r\n".encode()
    message = message_from_bytes(header + response.content)
    parts: list[Message] = message.get_payload()  # type: ignore[assignment]
    return {str(part.get_param("name", header="content-disposition")): part.get_payload(decode=True) for part in parts}  # type: ignore[misc]


def members(response: httpx.Response) -> dict[str, bytes]:
    assert response.status_code == 200, response.content[:300]
    assert response.headers["content-type"] == "application/zip"
    with zipfile.ZipFile(io.BytesIO(response.content)) as archive:
        assert archive.testzip() is None
        return {name: archive.read(name) for name in archive.namelist()}


def zipped(files: dict[str, bytes]) -> bytes:
    packed = io.BytesIO()
    with zipfile.ZipFile(packed, "w", zipfile.ZIP_DEFLATED) as archive:
        for name, content in files.items():
            archive.writestr(name, content)
    return packed.getvalue()


def post(
    path: str, settings: ServeSettings | None = None, *, heatmap: bool = False, **request: object
) -> httpx.Response:
    return serving(lambda client: client.post(path, **request), settings, [fake(heatmap=heatmap)])  # type: ignore[arg-type]


# One photo ---------------------------------------------------------------------------------------------------------


def test_a_raw_body_and_a_form_give_the_same_translation() -> None:
    raw = post("/v1/translate", content=PHOTO, headers=PNG)
    form = post("/v1/translate", files={"anything": ("me.png", PHOTO)})
    assert raw.headers["content-type"] == "image/png"
    assert (decoded(raw.content) == 255 - a_photo()).all()
    assert form.content == raw.content


@pytest.mark.parametrize(
    ("accept", "kind", "name"),
    [
        ("image/webp", "image/webp", "WEBP"),
        ("image/jpeg", "image/jpeg", "JPEG"),
        ("image/avif,image/webp;q=0.8,image/png;q=0.9,*/*;q=0.5", "image/png", "PNG"),
        ("image/*;q=0.5, image/jpeg", "image/jpeg", "JPEG"),
        ("text/html, */*;q=0.1", "image/png", "PNG"),
        ("", "image/png", "PNG"),
        ("image/jpg", "image/jpeg", "JPEG"),
        ("image/pjpeg, image/png;q=0.5", "image/jpeg", "JPEG"),
        ("image/x-png", "image/png", "PNG"),
        ("image/webp;q=high", "image/webp", "WEBP"),
        ("image/png;q=0.12345, image/webp;q=.2", "image/webp", "WEBP"),
        ("image/png;q=0, image/*", "image/webp", "WEBP"),
    ],
)
def test_accept_decides_the_format(accept: str, kind: str, name: str) -> None:
    response = post("/v1/translate", content=PHOTO, headers=PNG | {"accept": accept})
    assert response.headers["content-type"] == kind
    assert Image.open(io.BytesIO(response.content)).format == name
    assert abs(decoded(response.content).astype(int) - (255 - a_photo().astype(int))).mean() < 8


def test_a_form_back_holds_all_pictures() -> None:
    headers = PNG | {"accept": "multipart/form-data"}
    parts = form_parts(post("/v1/translate", content=PHOTO, headers=headers, heatmap=True))
    assert list(parts) == ["input", "translation", "heatmap"]
    assert (decoded(parts["input"]) == a_photo()).all()
    assert (decoded(parts["translation"]) == 255 - a_photo()).all()
    looked = a_photo()[::4, ::4].mean(axis=2, dtype=np.float32)
    assert (decoded(parts["heatmap"]) == heatmap_overlay(a_photo(), looked)).all()
    assert list(form_parts(post("/v1/translate", content=PHOTO, headers=headers))) == ["input", "translation"]


def test_what_else_is_in_a_form_is_passed_over() -> None:
    fields = {"fit": "frob", "token": "x" * 1000, "": ""}
    for address, files in (
        ("", [("a", ("1.png", PHOTO))]),
        ("/batch", [("a", ("1.png", PHOTO)), ("b", ("2.png", PHOTO))]),
    ):
        plain = post(f"/v1/translate{address}", files=files)
        with_fields = post(f"/v1/translate{address}", files=files, data=fields)
        assert with_fields.status_code == plain.status_code == 200
        assert len(with_fields.content) == len(plain.content)


@pytest.mark.parametrize(
    ("disposition", "name"),
    [
        ("filename=\"=?utf-8?B?w7wucG5n?=\"; filename*=UTF-8''%C3%BC.png", "ü.png"),
        ("filename*=UTF-8''%C3%BC.png; filename=\"fallback.png\"", "ü.png"),
        ("filename*=utf-8'de'%E6%97%A5.png; filename=\"x.png\"", "日.png"),
        ("filename*=ISO-8859-1''%FC.png; filename=\"x.png\"", "ü.png"),
        ('filename="=?utf-8?Q?=C3=BC=2Epng?="', "ü.png"),
        ('filename="=?iso-8859-1?Q?=FC.png?="', "ü.png"),
        ('filename="ü.png"', "ü.png"),
        ('filename="a%20b.png"', "a%20b.png"),
        ('filename="a;b.png"', "a;b.png"),
        ("filename=plain.png", "plain.png"),
        ('filename="=?klingon?Q?=FC?="', "=?klingon?Q?=FC?=.png"),
        ("filename=\"x.png\"; filename*=klingon''%FC", "x.png"),
        ('filename="=?nonsense.png"', "=?nonsense.png"),
        ("filename=\"a.png\"; filename*=UTF-8''..%2F..%2Fetc%2Fb.png", "b.png"),
    ],
)
def test_names_as_clients_send_them(disposition: str, name: str) -> None:
    parts = b"".join(
        f"--b\r\nContent-Disposition: form-data; name=f; {one}\r\n\r\n".encode() + PHOTO + b"\r\n"
        for one in (disposition, "filename=other.png")
    )
    headers = {"content-type": "multipart/form-data; boundary=b"}
    response = post("/v1/translate/batch", content=parts + b"--b--\r\n", headers=headers)
    with zipfile.ZipFile(io.BytesIO(response.content)) as archive:
        assert archive.namelist() == [name, "other.png"]


def test_names_in_an_archive_of_macos() -> None:
    """In UTF-8, but not marked so."""
    file = io.BytesIO()
    with zipfile.ZipFile(file, "w") as archive:
        archive.writestr("Mu@@ller.png", PHOTO)
        archive.writestr("other.png", PHOTO)
    content = file.getvalue().replace(b"Mu@@ller.png", "Mu\u0308ller.png".encode())
    response = post("/v1/translate/batch", content=content, headers={"content-type": "application/zip"})
    with zipfile.ZipFile(io.BytesIO(response.content)) as archive:
        assert archive.namelist() == ["Mu\u0308ller.png", "other.png"]


def test_fit_by_request_and_by_setting() -> None:
    wide = encoded(photo(SIZE[0] * 2, SIZE[1]))
    for settings, query, expected in (
        (ServeSettings(), "", SIZE),
        (ServeSettings(), "?fit=pad", (SIZE[0], SIZE[1] // 2)),
        (ServeSettings(fit="pad"), "", (SIZE[0], SIZE[1] // 2)),
        (ServeSettings(fit="pad"), "?fit=squash", SIZE),
    ):
        response = post(f"/v1/translate{query}", settings, content=wide, headers=PNG)
        assert Image.open(io.BytesIO(response.content)).size == expected


def test_two_directions() -> None:
    async def ask(client: httpx.AsyncClient) -> None:
        model = (await client.get("/v1/model")).json()
        assert [engine["direction"] for engine in model["engines"]] == ["A2B", "B2A"]
        for direction in ("A2B", "B2A"):
            response = await client.post(f"/v1/translate?direction={direction}", content=PHOTO, headers=PNG)
            assert response.status_code == 200
        counted = (await client.get("/metrics")).text
        assert 'ugatit_pictures_total{direction="A2B"} 1.0' in counted
        assert 'ugatit_pictures_total{direction="B2A"} 1.0' in counted
        assert "expected" not in detail(await client.post("/v1/translate?direction=C2D", content=PHOTO), 422)

    serving(ask, translators=[fake("A2B"), fake("B2A")])
    assert "A2B" in detail(post("/v1/translate?direction=B2A", content=PHOTO, headers=PNG), 400)
    with pytest.raises(InputError, match="one A2B and one B2A"):
        create_app(ServeSettings(), [fake("A2B"), fake("A2B")])


@pytest.mark.parametrize(
    ("request_", "status", "says"),
    [
        ({"content": b"", "headers": PNG}, 422, "empty"),
        ({"content": b"GIF89a", "headers": PNG}, 422, "damaged"),
        ({"content": PHOTO[:-200], "headers": PNG}, 422, "cut-off"),
        ({"content": b"<html>", "headers": PNG}, 422, "not an image"),
        ({"content": PHOTO, "headers": {"content-type": "text/html"}}, 415, "text/html"),
        ({"content": PHOTO, "headers": {"content-type": "application/x-www-form-urlencoded"}}, 415, "form"),
        ({"content": PHOTO}, 415, "no type"),
        ({"content": b"x", "headers": {"content-type": "multipart/form-data"}}, 400, "boundary"),
        ({"content": b"x", "headers": {"content-type": "multipart/form-data; boundary=b"}}, 400, "form"),
        ({"files": [("a", ("1.png", PHOTO)), ("b", ("2.png", PHOTO))]}, 400, "at most 1"),
        ({"files": {"file": ("1.png", PHOTO)}, "data": {f"f{n}": "x" for n in range(21)}}, 400, "20 other fields"),
        ({"content": PHOTO, "headers": PNG | {"accept": "text/html"}}, 406, "image/webp"),
        ({"content": PHOTO, "headers": PNG | {"content-length": "99999999999"}}, 413, "MiB"),
        ({"content": PHOTO, "headers": PNG | {"content-length": "-1"}}, 413, "MiB"),
        ({"params": {"fit": "frob"}, "content": PHOTO, "headers": PNG}, 422, "squash"),
    ],
)
def test_what_cannot_be_translated_is_a_clear_problem(request_: dict[str, object], status: int, says: str) -> None:
    assert says in detail(post("/v1/translate", **request_), status)


def test_mislabelled_photos_are_told_by_content() -> None:
    response = post("/v1/translate", content=encoded(a_photo(), "BMP"), headers={"content-type": "image/jpeg"})
    assert (decoded(response.content) == 255 - a_photo()).all()


def test_no_name_can_break_a_line_or_show_a_path() -> None:
    boundary = (
        b'--b\r\nContent-Disposition: form-data; name="f"; filename="../etc/a\x07\xc2\x85b.png"\r\n\r\nx\r\n--b--\r\n'
    )
    headers = {"content-type": "multipart/form-data; boundary=b"}
    text = detail(post("/v1/translate", content=boundary, headers=headers), 422)
    assert "ab.png" in text
    assert ".." not in text


def test_pixels_are_limited_before_decoding() -> None:
    bomb = io.BytesIO()
    Image.new("1", (20_000, 20_000)).save(bomb, "PNG")
    assert len(bomb.getvalue()) < 100_000
    assert "64 megapixels" in detail(post("/v1/translate", content=bomb.getvalue(), headers=PNG), 422)


def test_of_an_animation_the_first_frame_is_translated() -> None:
    frames = [Image.fromarray(np.full((*SIZE, 3), level, np.uint8)) for level in (10, 250, 90)]
    for name in ("GIF", "WEBP", "PNG"):
        file = io.BytesIO()
        frames[0].save(file, name, save_all=True, append_images=frames[1:] * 300, lossless=True)
        translated = decoded(post("/v1/translate", content=file.getvalue(), headers=PNG).content)
        assert (translated == 245).all()


# Several -----------------------------------------------------------------------------------------------------------


def test_a_batch_keeps_names_and_order_and_explains_failures() -> None:
    files = [("f", ("b.jpg", encoded(a_photo(1)))), ("f", ("a.png", encoded(a_photo(2)))),
             ("f", ("folder/b.png", encoded(a_photo(3)))), ("f", ("notes.txt", b"hello"))]  # fmt: skip
    response = post("/v1/translate/batch", files=files)
    assert response.headers["x-failures"] == "1"
    found = members(response)
    assert list(found) == ["b.png", "a.png", "b-2.png", "failures.json"]
    for name, seed in (("b.png", 1), ("a.png", 2), ("b-2.png", 3)):
        assert (decoded(found[name]) == 255 - a_photo(seed)).all()
    (failure,) = json.loads(found["failures.json"])
    assert failure["photo"] == "notes.txt"
    assert "not an image" in failure["reason"]


@pytest.mark.parametrize("as_form", [True, False])
def test_a_zip_in_gives_a_zip_out(as_form: bool) -> None:
    packed = zipped({f"holiday/{i}.png": encoded(a_photo(i)) for i in range(20)} | {"__MACOSX/._0.png": b"x"})
    sent = {"files": {"f": ("all.zip", packed)}} if as_form else {
        "content": packed, "headers": {"content-type": "application/zip"}
    }  # fmt: skip
    found = members(post("/v1/translate/batch?format=webp", **sent))
    assert list(found) == [f"{i}.webp" for i in range(20)]
    assert all(Image.open(io.BytesIO(content)).format == "WEBP" for content in found.values())


def stored_with(method: int) -> bytes:
    packed = io.BytesIO()
    with zipfile.ZipFile(packed, "w", method) as archive:
        archive.writestr("a.png", PHOTO)
    return packed.getvalue()


def encrypted() -> bytes:
    packed = bytearray(zipped({"a.png": PHOTO}))
    for signature, flags in ((b"PK\x03\x04", 6), (b"PK\x01\x02", 8)):
        packed[packed.index(signature) + flags] |= 1
    return bytes(packed)


def with_zip64() -> bytes:
    packed = zipped({"a.png": PHOTO})
    end = packed.index(b"PK\x05\x06")
    return packed[:end] + b"PK\x06\x07" + bytes(16) + packed[end:]


@pytest.mark.parametrize(
    ("packed", "says"),
    [
        (b"not a zip", "not a zip"),
        (zipped({}), "no files"),
        (zipped({"../a.png": PHOTO}), "outside"),
        (zipped({"/etc/a.png": PHOTO}), "outside"),
        (zipped({f"{i}.png": b"" for i in range(9)}), "expected at most 8"),
        (zipped({f"{i}{'x' * 60_000}.png": b"" for i in range(8)}), "too many files"),
        (zipped({"a.png": bytes(1_100_000)}), "at most 1 MiB"),
        (zipped({f"{i}.png": bytes(1_000_000) for i in range(4)}), "unpack to more"),
        (encrypted(), "encrypted"),
        (with_zip64(), "too many files"),
        (stored_with(zipfile.ZIP_LZMA), "deflate"),
        (stored_with(zipfile.ZIP_BZIP2), "deflate"),
        (zipped({"a.zip": zipped({"a.png": PHOTO})}), "not an image"),
        (zipped({"a.png": PHOTO})[:-30], "zip"),
    ],
)
def test_bad_archives_are_refused(packed: bytes, says: str) -> None:
    settings = ServeSettings(max_files=8, max_upload_mib=1, max_archive_mib=3)
    headers = {"content-type": "application/zip"}
    assert says in detail(post("/v1/translate/batch", settings, content=packed, headers=headers), 422)


def test_a_form_of_too_many_or_too_large_photos() -> None:
    settings = ServeSettings(max_files=2, max_upload_mib=1, max_archive_mib=3)
    three = [("f", (f"{i}.png", PHOTO)) for i in range(3)]
    assert "at most 2" in detail(post("/v1/translate/batch", settings, files=three), 400)
    large = {"f": ("large.png", PHOTO + bytes(2**20))}
    assert "larger than 1 MiB" in detail(post("/v1/translate/batch", settings, files=large), 422)
    assert "no file" in detail(post("/v1/translate/batch", content=b"--b--\r\n", headers={
        "content-type": "multipart/form-data; boundary=b"}), 400)  # fmt: skip


# Load --------------------------------------------------------------------------------------------------------------


def test_beyond_the_queue_is_503_with_when_to_come_back() -> None:
    go = threading.Event()

    async def ask(client: httpx.AsyncClient) -> None:
        async def send(seed: int) -> httpx.Response:
            return await client.post("/v1/translate", content=encoded(a_photo(seed)), headers=PNG)

        accepted = [asyncio.create_task(send(seed)) for seed in range(3)]
        while "ugatit_photos_in_hand 3.0" not in (await client.get("/metrics")).text:
            await asyncio.sleep(0.001)
        refused = await send(9)
        assert "3 photos are in hand" in detail(refused, 503)
        assert 1 <= int(refused.headers["retry-after"]) <= 60
        go.set()
        for seed, response in enumerate(await asyncio.gather(*accepted)):
            assert (decoded(response.content) == 255 - a_photo(seed)).all()
        assert (await send(4)).status_code == 200

    serving(ask, ServeSettings(max_queue=3), [fake(before=lambda call: go.wait(10))])  # type: ignore[arg-type, return-value]


def test_each_of_many_clients_gets_its_own_in_batches() -> None:
    translator = fake()

    async def ask(client: httpx.AsyncClient) -> list[httpx.Response]:
        send = [client.post("/v1/translate", content=encoded(a_photo(seed)), headers=PNG) for seed in range(40)]
        return await asyncio.gather(*send)

    for seed, response in enumerate(serving(ask, ServeSettings(max_batch=4), [translator])):
        assert (decoded(response.content) == 255 - a_photo(seed)).all()
    sizes = [shape[0] for shape in translator.shapes]  # type: ignore[attr-defined]
    assert sum(sizes) == 40
    assert max(sizes) == 4


def test_what_takes_too_long_is_504_and_frees_its_place() -> None:
    go = threading.Event()

    async def ask(client: httpx.AsyncClient) -> None:
        assert "0.05 s" in detail(await client.post("/v1/translate", content=PHOTO, headers=PNG), 504)
        go.set()
        assert "ugatit_photos_in_hand 0.0" in (await client.get("/metrics")).text

    serving(ask, ServeSettings(timeout_s=0.05), [fake(before=lambda call: go.wait(10))])  # type: ignore[arg-type, return-value]


def test_a_failing_engine_is_500_without_its_secrets(caplog: pytest.LogCaptureFixture) -> None:
    errors = [RuntimeError("CUDA error at /secret/path")]

    def fail(_: int) -> None:
        if errors:
            raise errors.pop()

    async def ask(client: httpx.AsyncClient) -> None:
        text = detail(await client.post("/v1/translate", content=PHOTO, headers=PNG), 500)
        assert "secret" not in text
        assert (await client.post("/v1/translate", content=PHOTO, headers=PNG)).status_code == 200

    with caplog.at_level(logging.ERROR):
        serving(ask, translators=[fake(before=fail)])
    assert "/v1/translate failed" in caplog.text
    assert "secret" in caplog.text


# Guard -------------------------------------------------------------------------------------------------------------


def test_the_key_guards_everything_but_the_page_and_health() -> None:
    async def ask(client: httpx.AsyncClient) -> None:
        for path in ("/", "/docs", "/page/app.js", "/healthz", "/openapi.json"):
            assert (await client.get(path)).status_code == 200
        for headers in ({}, {"authorization": f"Bearer {KEY}x"}, {"authorization": KEY}, {"authorization": "Bearer é"}):
            sent = {name: value.encode() for name, value in headers.items()}
            response = await client.get("/v1/model", headers=sent)
            assert "Bearer" in detail(response, 401)
            assert response.headers["www-authenticate"] == "Bearer"
        assert (await client.get("/metrics")).status_code == 401
        assert (await client.post("/v1/translate", content=PHOTO, headers=PNG)).status_code == 401
        right = {"authorization": f"bearer {KEY}"}
        assert (await client.post("/v1/translate", content=PHOTO, headers=PNG | right)).status_code == 200

    serving(ask, ServeSettings(api_key=KEY))


def test_other_sites_and_other_names_are_turned_away() -> None:
    async def ask(client: httpx.AsyncClient) -> None:
        assert "localhost" in detail(await client.get("/", headers={"host": "evil.example:80"}), 421)
        assert (await client.get("/", headers={"host": "[::1]:8000"})).status_code == 200
        assert (await client.get("/", headers={"host": "localhost"})).status_code == 200
        cross = {"sec-fetch-site": "cross-site"}
        assert "other sites" in detail(await client.post("/v1/translate", content=PHOTO, headers=PNG | cross), 403)
        assert (await client.get("/", headers=cross)).status_code == 200

    serving(ask, ServeSettings(hosts=("localhost", "[::1]")))


def test_every_answer_carries_the_security_headers() -> None:
    async def ask(client: httpx.AsyncClient) -> None:
        for path in ("/", "/docs", "/page/style.css", "/v1/model", "/nothing", "/metrics"):
            headers = (await client.get(path)).headers
            assert "default-src 'none'" in headers["content-security-policy"]
            assert headers["x-content-type-options"] == "nosniff"
            assert "access-control-allow-origin" not in headers

    serving(ask)


@pytest.mark.parametrize(
    ("method", "path", "status"),
    [("GET", "/nothing", 404), ("GET", "/page/../app.py", 404), ("GET", "/page/%2e%2e/app.py", 404),
     ("PUT", "/v1/translate", 405), ("GET", "/v1/translate", 405)],
)  # fmt: skip
def test_wrong_addresses_are_problems_too(method: str, path: str, status: int) -> None:
    detail(serving(lambda client: client.request(method, path)), status)


# State -------------------------------------------------------------------------------------------------------------


def test_ready_once_warm_and_alive_at_once() -> None:
    go = threading.Event()
    translator = fake()
    translator.warmup = lambda: go.wait(10)  # type: ignore[assignment, method-assign, return-value]

    async def ask(client: httpx.AsyncClient) -> None:
        assert (await client.get("/healthz")).text == "ok\n"
        assert (await client.head("/healthz")).status_code == 200
        assert "warming up" in detail(await client.get("/readyz"), 503)
        go.set()
        while (await client.get("/readyz")).status_code != 200:
            await asyncio.sleep(0.001)

    serving(ask, translators=[translator])


def test_an_engine_that_cannot_warm_up_is_never_ready(caplog: pytest.LogCaptureFixture) -> None:
    def fail() -> None:
        raise RuntimeError("no memory")

    translator = fake()
    translator.warmup = fail  # type: ignore[method-assign]

    async def ask(client: httpx.AsyncClient) -> None:
        while "can't run" not in caplog.text:
            await asyncio.sleep(0.001)
        assert (await client.get("/healthz")).status_code == 200
        detail(await client.get("/readyz"), 503)

    serving(ask, translators=[translator])


def test_metrics_tell_paths_and_statuses_apart_but_not_every_name() -> None:
    async def ask(client: httpx.AsyncClient) -> str:
        await client.post("/v1/translate", content=PHOTO, headers=PNG)
        await client.post("/v1/translate", content=b"", headers=PNG)
        for i in range(3):
            await client.get(f"/random/{i}")
        return (await client.get("/metrics")).text

    text = serving(ask)
    assert 'ugatit_requests_total{path="/v1/translate",status="200"} 1.0' in text
    assert 'ugatit_requests_total{path="/v1/translate",status="422"} 1.0' in text
    assert 'ugatit_requests_total{path="other",status="404"} 3.0' in text
    assert "random" not in text
    assert 'ugatit_stage_seconds_count{stage="decode"} 1.0' in text


def test_two_apps_in_one_process_count_apart() -> None:
    post("/v1/translate", content=PHOTO, headers=PNG)
    text = serving(lambda client: client.get("/metrics")).text
    assert 'path="/v1/translate"' not in text


def test_the_reference_is_one_page_about_every_route_that_loads_nothing_from_elsewhere() -> None:
    async def ask(client: httpx.AsyncClient) -> tuple[str, dict[str, object]]:
        return (await client.get("/docs")).text, (await client.get("/openapi.json")).json()["paths"]

    page, paths = serving(ask)
    assert set(paths) == {
        "/v1/translate",
        "/v1/translate/batch",
        "/v1/style",
        "/v1/model",
        "/healthz",
        "/readyz",
        "/metrics",
    }
    assert all(f"<code>{path}</code>" in page for path in paths)
    assert "//" not in page.replace("<!doctype", "")
    assert "<script" not in page
    assert all(said[0].isalpha() for said in re.findall("<dd>(.*?)</dd>", page))


def test_settings_that_cannot_work_are_refused() -> None:
    for wrong in ({"max_queue": 0}, {"timeout_s": 0}, {"max_wait_ms": -1}, {"fit": "frob"}, {"api_key": "short"},
                  {"api_key": "with spaces in it"}):  # fmt: skip
        with pytest.raises(InputError):
            ServeSettings(**wrong)  # type: ignore[arg-type]
    assert KEY not in repr(ServeSettings(api_key=KEY))
