import errno
import http.client
import json
import os
import re
import shutil
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator
from itertools import product
from pathlib import Path
from typing import cast

import av
import pytest

from tests.media.videos import grey, write_video
from tests.translate.face_models import Sure, write_yunet
from tests.translate.fake_translator import FakeTranslator
from ugatit_fast.camera import live as live_module
from ugatit_fast.camera.capture import CameraReader, reason_of, system_of
from ugatit_fast.camera.live import Live
from ugatit_fast.camera.server import BOUNDARY, CameraServer
from ugatit_fast.cli import main
from ugatit_fast.errors import InputError
from ugatit_fast.media.clip import ClipError, Frame
from ugatit_fast.media.images import Pixels, decode_image
from ugatit_fast.media.video import VideoReader
from ugatit_fast.translate.framing import Framing
from ugatit_fast.translate.options import TranslateOptions

PATIENCE = 10


def start(
    video: Path, translator: FakeTranslator | None = None, *, paced: bool = True, reader: VideoReader | None = None
) -> Live:
    framing = Framing(TranslateOptions(), (32, 32))
    return Live(translator or FakeTranslator(), reader or VideoReader(video), framing, paced=paced)


class Unplugged(VideoReader):
    """Gives four frames, and is then gone."""

    def frames(self) -> Iterator[Frame]:
        for _, frame in zip(range(4), super().frames(), strict=False):
            yield frame
        time.sleep(0.05)
        raise ClipError("the camera /dev/video0 has gone (No such device); plug it in, and start again")


class Hanging(VideoReader):
    def frames(self) -> Iterator[Frame]:
        time.sleep(0.5)
        yield from ()


# Newest first


def test_what_is_shown_is_the_camera_beside_its_translation(tmp_path: Path) -> None:
    with start(write_video(tmp_path / "a.mp4", 3)) as live:
        live.run()
        newer = live.wait_for_newer(0, PATIENCE)
    assert newer is not None
    pixels = decode_image(newer[1], "picture")
    assert pixels.shape == (32, 64, 3)
    assert abs(int(pixels[24, 24, 1]) - grey(2)) < 8
    assert abs(int(pixels[24, 56, 1]) - (255 - grey(2))) < 8
    assert not live.status().running
    assert live.status().message == "the video has ended"


def test_frames_are_dropped_rather_than_late(tmp_path: Path) -> None:
    """The engine takes longer than a frame lasts: it sees the last one soon after it came, and not all before it."""
    lateness: list[float] = []
    began = time.monotonic()
    video = write_video(tmp_path / "a.mp4", 30, rate=30)
    translator = FakeTranslator(before=lambda call: time.sleep(0.1))
    with start(video, translator) as live:
        live.run()
        lateness.append(time.monotonic() - began)
    status = live.status()
    assert 3 <= status.shown <= 15
    assert status.dropped == 30 - status.shown
    assert lateness[0] < 1 + 1.5  # one after the other, it would take 3 s


def test_a_file_is_shown_at_its_own_times(tmp_path: Path) -> None:
    began = time.monotonic()
    with start(write_video(tmp_path / "a.mp4", 6, rate=10)) as live:
        live.run()
    assert time.monotonic() - began >= 0.5


# The end


def test_an_unplugged_camera(tmp_path: Path) -> None:
    video = write_video(tmp_path / "a.mp4", 10)
    live = start(video, reader=Unplugged(video), paced=False)
    with pytest.raises(ClipError, match="has gone"), live:
        live.run()
    assert "plug it in" in live.status().message
    assert not live.status().running


def test_a_camera_that_hangs(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(live_module, "STALL_SECONDS", 0.1)
    video = write_video(tmp_path / "a.mp4", 2)
    with pytest.raises(ClipError, match=r"sent nothing for 0\.1 s"), start(video, reader=Hanging(video)) as live:
        live.run()


def test_no_camera(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sys, "platform", "linux")
    with pytest.raises(InputError, match="there is no camera /dev/video99"):
        CameraReader("/dev/video99")
    (tmp_path / "video0").write_text("no camera")
    with pytest.raises(InputError, match="can't be opened"):
        CameraReader(str(tmp_path / "video0"))


@pytest.mark.parametrize(
    ("code", "reason"),
    [(errno.EBUSY, "another program"), (errno.EACCES, "group video"), (errno.ENODEV, "plugged in"), (22, "is it a")],
)
def test_why_a_camera_cannot_be_opened(code: int, reason: str) -> None:
    assert reason in reason_of(av.FFmpegError(code, os.strerror(code)))


def test_systems() -> None:
    assert system_of("linux")[0] == "v4l2"
    with pytest.raises(InputError, match="cameras can't be read on plan9"):
        system_of("plan9")


# The page


@pytest.fixture
def served(tmp_path: Path) -> Iterator[tuple[Live, CameraServer]]:
    live = start(write_video(tmp_path / "a.mp4", 100, rate=20))
    running = threading.Thread(target=live.run)
    with CameraServer(live, 0) as server, live:
        running.start()
        yield live, server
    running.join()


def get(server: CameraServer, path: str, host: str | None = None) -> http.client.HTTPResponse:
    connection = http.client.HTTPConnection("127.0.0.1", server.http.server_port, timeout=PATIENCE)
    connection.request("GET", path, headers={"Host": host} if host else {})
    return connection.getresponse()


def test_the_stream_is_whole_pictures_in_order(served: tuple[Live, CameraServer]) -> None:
    response = get(served[1], "/stream")
    assert response.headers["Content-Type"] == f"multipart/x-mixed-replace; boundary={BOUNDARY.decode()}"
    levels = []
    for _ in range(5):
        assert response.readline() == b"--" + BOUNDARY + b"\r\n"
        headers = http.client.parse_headers(response)
        assert headers["Content-Type"] == "image/jpeg"
        picture: Pixels = decode_image(response.read(int(headers["Content-Length"])), "part")
        levels.append(int(picture[24, 24, 1]))
        assert response.readline() == b"\r\n"
    assert len(set(levels)) == 5


def test_a_page_opened_late_begins_with_a_boundary(served: tuple[Live, CameraServer]) -> None:
    served[0].wait_for_newer(3, PATIENCE)
    assert get(served[1], "/stream").readline() == b"--" + BOUNDARY + b"\r\n"


def test_status(served: tuple[Live, CameraServer]) -> None:
    served[0].wait_for_newer(8, PATIENCE)
    status = json.loads(get(served[1], "/status").read())
    assert status["running"]
    assert status["shown"] >= 8
    assert 5 < status["frames_per_second"] < 40


@pytest.mark.parametrize("path", ["/", "/page.css", "/page.js"])
def test_the_page_needs_nothing_from_elsewhere(served: tuple[Live, CameraServer], path: str) -> None:
    response = get(served[1], path)
    assert response.status == 200
    assert "'self'" in response.headers["Content-Security-Policy"]
    assert response.headers["Cross-Origin-Resource-Policy"] == "same-origin"
    assert b"://" not in response.read()


@pytest.mark.parametrize("path", ["/missing", "/../cli.py", "/page.css?x", "//etc/passwd"])
def test_nothing_else_is_served(served: tuple[Live, CameraServer], path: str) -> None:
    assert get(served[1], path).status == 404


@pytest.mark.parametrize("path", ["/", "/stream", "/status"])
def test_only_to_its_own_name(served: tuple[Live, CameraServer], path: str) -> None:
    """A page elsewhere can give this address a name of its own, and would then be of the same origin."""
    assert get(served[1], path, host="evil.example").status == 421


def test_a_port_in_use(served: tuple[Live, CameraServer]) -> None:
    for port in (served[1].http.server_port, 70_000):
        with pytest.raises(InputError, match="choose another with --port"):
            CameraServer(served[0], port)


# On the command line


@pytest.mark.parametrize("following", [False, True])
def test_a_video_in_place_of_the_camera(
    light_engine: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str], following: bool
) -> None:
    video = write_video(tmp_path / "a.mp4", 5)
    model = write_yunet(tmp_path / "yunet.onnx", [Sure(8, row=2, column=2, face=(12, 16))])
    faces = ["--crop", "face", "--face-model", str(model)] if following else []
    assert main(["camera", str(light_engine), "--input", str(video), "--port", "0", *faces]) == 0
    said = capsys.readouterr()
    assert "look at http://127.0.0.1:" in said.out
    assert "the video has ended" in said.err


def test_bad_input(light_engine: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    (tmp_path / "a.mp4").write_text("hello")
    for options in (
        ["--input", str(tmp_path / "a.mp4")],
        ["--input", str(tmp_path / "missing.mp4")],
        ["--device", "/dev/video99"],
        ["--device", "/dev/video0", "--input", "a.mp4"],
    ):
        assert main(["camera", str(light_engine), *options]) == 1
        assert capsys.readouterr().err.startswith("error: ")


@pytest.mark.slow
def test_in_a_browser(light_engine: Path, tmp_path: Path) -> None:
    """The real command, the real page: the picture changes, can be held, and the page says why it ended."""
    playwright = pytest.importorskip("playwright.sync_api")
    from tests.axe import FORCED, SCHEMES, SIZES, violations

    chromium = shutil.which("chromium") or shutil.which("google-chrome")
    if chromium is None:
        pytest.skip("no Chromium on this machine")
    video = write_video(tmp_path / "a.mp4", 900, rate=15)
    # A background job ignores Ctrl-C, and so would its children.
    program = (
        "import signal; signal.signal(signal.SIGINT, signal.default_int_handler); import sys, ugatit_fast.cli as c; "
    )
    command = [sys.executable, "-c", program + "sys.exit(c.main(sys.argv[1:]))", "camera", str(light_engine)]
    environment = os.environ | {"OMP_NUM_THREADS": "1"}
    with (
        subprocess.Popen(
            [*command, "--input", str(video), "--port", "0"], stdout=subprocess.PIPE, text=True, env=environment
        ) as running,
        playwright.sync_playwright() as driver,
    ):
        assert running.stdout is not None
        url = running.stdout.readline().split()[2].rstrip(";")
        browser = driver.chromium.launch(
            executable_path=chromium,
            args=["--no-sandbox", "--disable-gpu", "--disable-background-networking"],
        )
        page = browser.new_page()
        problems: list[str] = []
        page.on("console", lambda message: problems.append(message.text) if message.type == "error" else None)
        page.goto(url, wait_until="commit")

        def looks() -> list[int]:
            """The colours in the middle of both halves."""
            return cast(
                list[int],
                page.evaluate(
                    """() => {
                        const shown = document.querySelector("figure :not([hidden]):is(img, canvas)");
                        const canvas = new OffscreenCanvas(64, 32);
                        const context = canvas.getContext("2d");
                        context.drawImage(shown, 0, 0);
                        return [...context.getImageData(24, 24, 1, 1).data, ...context.getImageData(56, 24, 1, 1).data];
                    }"""
                ),
            )

        def eventually(true: Callable[[], bool]) -> bool:
            deadline = time.monotonic() + PATIENCE
            while not true() and time.monotonic() < deadline:
                page.wait_for_timeout(50)
            return true()

        # Not page.wait_for_function, which evaluates strings in the page, as its security policy forbids.
        assert eventually(lambda: page.evaluate("document.getElementById('picture').naturalWidth") == 64)
        assert eventually(lambda: bool(re.match("[0-9.]+ pictures", page.locator("#rate").text_content() or "")))
        first = looks()
        assert eventually(lambda: looks() != first)
        page.get_by_role("button", name="Hold").click()
        held = looks()
        page.wait_for_timeout(500)
        assert looks() == held
        page.get_by_role("button", name="Hold").click()
        assert eventually(lambda: looks() != held)
        assert problems == []
        for scheme, forced, (width, height) in product(SCHEMES, FORCED, SIZES):
            page.set_viewport_size({"width": width, "height": height})
            page.emulate_media(color_scheme=scheme, forced_colors=forced)
            assert violations(page) == []
        running.send_signal(signal.SIGINT)
        page.get_by_role("alert").wait_for(timeout=10_000)
        assert violations(page) == []
        assert "ended" in (page.get_by_role("alert").text_content() or "")
        assert running.wait(timeout=20) == 130
        browser.close()
