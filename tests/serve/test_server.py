"""The server on a real port: clients that dawdle, leave or talk nonsense, and a stop in the middle of work."""

import io
import re
import signal
import socket
import subprocess
import sys
import threading
import time
import zipfile
from pathlib import Path

import pytest

from tests.media.pictures import photo
from tests.serve.clients import a_photo, decoded, encoded, fake
from tests.serve.hosts import all_of, ask, get, hosted, raw, served, status_of
from ugatit_fast import cli
from ugatit_fast.errors import InputError
from ugatit_fast.machine import pip_install
from ugatit_fast.serve import server
from ugatit_fast.serve.server import is_loopback, listen, serve
from ugatit_fast.serve.settings import ServeSettings

PHOTO = encoded(a_photo())
PNG = {"Content-Type": "image/png"}
HEAD = b"POST /v1/translate HTTP/1.1\r\nHost: localhost\r\nContent-Type: image/png\r\n"
REQUEST = HEAD + b"Content-Length: %d\r\n\r\n" % len(PHOTO) + PHOTO


def in_hand(port: int) -> bytes:
    return next(line for line in get(port, "/metrics")[1].splitlines() if line.startswith(b"ugatit_photos_in_hand "))


def wait_until_in_hand(port: int, count: int) -> None:
    while float(in_hand(port).split()[1]) != count:
        time.sleep(0.01)


def test_headers_that_do_not_end_close_the_connection(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(server, "HEADERS_TIMEOUT_S", 0.2)
    with hosted([fake()]) as port:
        assert all_of(raw(port)) == b""
        assert all_of(raw(port, b"GET / HT")) == b""
        second = raw(port, b"GET /healthz HTTP/1.1\r\nHost: localhost\r\n\r\n")
        assert status_of(second) == 200
        second.sendall(b"GET /healthz")
        assert all_of(second) == b""
        with pytest.raises(OSError, match=r"[Bb]roken pipe|reset"):
            trickle(raw(port, b"GET / HTTP/1.1\r\n"))  # data alone wins no time
        assert get(port, "/healthz")[0] == 200


def trickle(connection: socket.socket) -> None:
    for _ in range(100):
        connection.sendall(b"X: y\r\n")
        time.sleep(0.02)


def test_a_body_that_stops_is_answered_and_closed() -> None:
    with hosted([fake()], ServeSettings(body_timeout_s=0.1)) as port:
        answer = all_of(raw(port, HEAD, b"Content-Length: 5000\r\n\r\n", b"part"))
        assert answer.startswith(b"HTTP/1.1 408 ")
        assert b"application/problem+json" in answer
        assert ask(port, "POST", "/v1/translate", PHOTO, PNG)[0] == 200


@pytest.mark.parametrize(
    ("sent", "status"),
    [
        (b"\x16\x03\x01\x02\x00\x01\x00\x01\xfc", b"400"),
        (b"GET / HTTP/1.1\r\n\r\n", b"400"),
        (HEAD + b"Content-Length: 5\r\nContent-Length: 6\r\n\r\n", b"400"),
        (HEAD + b"Content-Length: 1e9\r\n\r\n", b"400"),
        (HEAD + b"Transfer-Encoding: chunked\r\nConnection: close\r\n\r\nzz\r\n", b"4"),
        (HEAD + b"Content-Length: 99999999999\r\nConnection: close\r\n\r\n", b"413"),
        (HEAD + b"Expect: 100-continue\r\nContent-Length: 99999999999\r\nConnection: close\r\n\r\n", b"413"),
    ],
)
def test_nonsense_is_a_4xx(sent: bytes, status: bytes) -> None:
    with hosted([fake()]) as port:
        assert all_of(raw(port, sent)).startswith(b"HTTP/1.1 " + status)
        assert get(port, "/healthz")[0] == 200


def test_headers_without_end_are_a_400() -> None:
    with hosted([fake()]) as port:
        connection = raw(port, b"GET /healthz HTTP/1.0\r\nHost: " + b"a" * 15_000)
        # Apart, so that the limit of 16 KiB is passed by the last that is sent: bytes that come after the answer, and
        # find nobody to read them, make the system take the answer back.
        connection.sendall(b"a" * 3_000)
        assert all_of(connection).startswith(b"HTTP/1.1 400")
        assert get(port, "/healthz")[0] == 200


def test_a_client_that_leaves_frees_its_place() -> None:
    go = threading.Event()
    translator = fake(before=lambda call: go.wait(20))  # type: ignore[arg-type, return-value]
    with hosted([translator], ServeSettings(max_queue=2)) as port:
        staying, leaving = raw(port, REQUEST), raw(port, REQUEST)
        wait_until_in_hand(port, 2)
        assert ask(port, "POST", "/v1/translate", PHOTO, PNG)[0] == 503
        leaving.close()
        wait_until_in_hand(port, 1)
        go.set()
        assert status_of(staying) == 200
        staying.close()
        raw(port, HEAD, b"Content-Length: 5000\r\n\r\n", b"part").close()  # leaves in the middle of its upload
        assert ask(port, "POST", "/v1/translate", PHOTO, PNG)[0] == 200
        while b'status="499"' not in get(port, "/metrics")[1]:
            time.sleep(0.01)
    assert sum(shape[0] for shape in translator.shapes) <= 3  # type: ignore[attr-defined]


def test_a_leaving_batch_client_stops_the_batch() -> None:
    reached = threading.Event()

    def slow(call: int) -> None:
        reached.set()
        time.sleep(0.02)

    packed = io.BytesIO()
    with zipfile.ZipFile(packed, "w") as archive:
        for i in range(150):
            archive.writestr(f"{i}.png", PHOTO)
    body = packed.getvalue()
    translator = fake(before=slow)
    with hosted([translator]) as port:
        head = b"POST /v1/translate/batch HTTP/1.1\r\nHost: localhost\r\nContent-Type: application/zip\r\n"
        leaving = raw(port, head + b"Content-Length: %d\r\n\r\n" % len(body) + body)
        assert reached.wait(10)
        leaving.close()
        wait_until_in_hand(port, 0)
    assert len(translator.shapes) < 150  # type: ignore[attr-defined]


def test_a_connection_serves_many_requests_in_turn() -> None:
    with hosted([fake()]) as port:
        pipelined = raw(port, REQUEST * 5, b"GET /healthz HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n\r\n")
        assert all_of(pipelined).count(b"HTTP/1.1 200") == 6


@pytest.mark.slow
def test_sigterm_finishes_what_was_accepted(light_engine: Path) -> None:
    packed = io.BytesIO()
    with zipfile.ZipFile(packed, "w") as archive:
        for seed in range(150):
            archive.writestr(f"{seed}.png", encoded(photo(300, 300, seed=seed)))
    answers: list[tuple[int, bytes]] = []
    with served(light_engine) as (process, port):
        headers = {"Content-Type": "application/zip"}
        client = threading.Thread(
            target=lambda: answers.append(ask(port, "POST", "/v1/translate/batch", packed.getvalue(), headers))
        )
        client.start()
        wait_until_some_are_translated(port)
        process.send_signal(signal.SIGTERM)
        client.join(60)
        assert process.wait(20) == 0
        assert process.stderr is not None
        assert process.stderr.read() == ""
    ((status, content),) = answers
    assert status == 200
    with zipfile.ZipFile(io.BytesIO(content)) as found:
        assert len(found.namelist()) == 150
        assert decoded(found.read("149.png")).shape == (32, 32, 3)


def wait_until_some_are_translated(port: int) -> None:
    while b'ugatit_pictures_total{direction="A2B"}' not in get(port, "/metrics")[1]:
        time.sleep(0.01)


# The command -------------------------------------------------------------------------------------------------------


def failed(capsys: pytest.CaptureFixture[str], *arguments: str | Path) -> str:
    assert cli.main(["serve", *map(str, arguments)]) == 1
    (line,) = [line for line in capsys.readouterr().err.splitlines() if not line.startswith("loading ")]
    assert line.startswith("error: ")
    return line


def test_known_failures_are_one_line(
    capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch, light_engine: Path, tmp_path: Path
) -> None:
    monkeypatch.delenv("UGATIT_API_KEY", raising=False)
    assert "check the path" in failed(capsys, tmp_path / "no.onnx")
    assert "API key is needed" in failed(capsys, light_engine, "--host", "0.0.0.0")
    assert "both engines translate A2B" in failed(capsys, light_engine, light_engine)
    assert "max queue" in failed(capsys, light_engine, "--max-queue", "0")
    assert "key can't be read" in failed(capsys, light_engine, "--api-key-file", tmp_path / "none")
    assert "cannot listen" in failed(capsys, light_engine, "--port", "99999")
    (tmp_path / "key").write_text("short")
    assert "at least 16" in failed(capsys, light_engine, "--api-key-file", tmp_path / "key")
    with listen("127.0.0.1", 0) as taken:
        port = str(taken.getsockname()[1])
        assert f"port {port} (Address already in use)" in failed(capsys, light_engine, "--port", port)


def test_asking_for_help_is_cheap() -> None:
    heavy = {"torch", "onnxruntime", "fastapi", "uvicorn", "starlette", "numpy", "PIL"}
    program = (
        "import sys; from ugatit_fast.cli import main; main(['serve', '--help']);"
        f"print(sorted({heavy!r} & set(sys.modules)), file=sys.stderr)"
    )
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=True)
    assert done.stderr.strip() == "[]"


def test_the_guide_knows_every_option_and_its_default() -> None:
    guides = [(Path(__file__).parents[2] / "docs" / name).read_text() for name in ("serving.md", "deploy.md")]
    for argument in cli.app["serve"].assemble_argument_collection(parse_docstring=True).filter_by(parse=True):
        if argument.name.startswith("--"):
            assert any(argument.name in guide for guide in guides), argument.name
    for name in ("max_wait_ms", "max_queue", "timeout_s", "max_upload_mib", "max_megapixels", "max_archive_mib",
                 "max_files", "max_side", "body_timeout_s"):  # fmt: skip
        assert f"| `--{name.replace('_', '-')}` | {getattr(ServeSettings, name):g} |" in guides[0]


def test_a_missing_library_names_its_extra(
    capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch, light_engine: Path
) -> None:
    monkeypatch.delitem(sys.modules, "ugatit_fast.serve.server")
    monkeypatch.setitem(sys.modules, "uvicorn", None)
    assert pip_install("serve") in failed(capsys, light_engine)


def test_only_this_machine_is_served_without_a_key() -> None:
    assert all(map(is_loopback, ("127.0.0.1", "127.8.8.8", "::1", "localhost")))
    assert not any(map(is_loopback, ("0.0.0.0", "::", "192.168.0.1", "example.org", "")))
    with pytest.raises(InputError, match="API key"):
        serve([fake()], ServeSettings(), host="::", port=0, say=print)


@pytest.mark.parametrize("access_log", [True, False])
def test_a_line_for_each_request_where_it_is_asked_for(capfd: pytest.CaptureFixture[str], access_log: bool) -> None:
    with hosted([fake()], access_log=access_log) as port:
        assert get(port, "/healthz")[0] == 200
        assert get(port, "/nowhere?a=b")[0] == 404
    out, err = capfd.readouterr()
    assert not out
    lines = [line for line in err.splitlines() if "HTTP/1.1" in line]
    assert len(lines) == (2 if access_log else 0)
    if access_log:
        when = r"\d{4}-\d\d-\d\d \d\d:\d\d:\d\d,\d{3} 127\.0\.0\.1:\d+"
        assert re.fullmatch(rf'{when} "GET /healthz HTTP/1\.1" 200 OK', lines[0])
        assert re.fullmatch(rf'{when} "GET /nowhere\?a=b HTTP/1\.1" 404 Not Found', lines[1])


def test_the_command_line_asks_for_it(light_engine: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    asked: list[bool] = []
    monkeypatch.setattr(server, "serve", lambda *_, access_log, **__: asked.append(access_log))
    for flags in (["--access-log"], []):
        assert cli.main(["serve", str(light_engine), *flags]) == 0
    assert asked == [True, False]
    assert cli.main(["serve", str(light_engine), "--access-log", "--on", "ray"]) == 1
