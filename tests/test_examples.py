"""Every example, run as a user runs it; Gradio, which isn't among our dependencies, by a stand-in."""

import runpy
import subprocess
import sys
import threading
from collections.abc import Callable
from http.server import BaseHTTPRequestHandler, HTTPServer
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest

from tests.media.pictures import photo
from ugatit_fast import Translator
from ugatit_fast.media.fitting import fit_image
from ugatit_fast.media.images import Pixels, load_image, save_image

EXAMPLES = Path(__file__).resolve().parents[1] / "examples"


def run(name: str, *arguments: str | Path) -> None:
    subprocess.run([sys.executable, EXAMPLES / name, *map(str, arguments)], check=True, timeout=60)


@pytest.fixture
def picture(tmp_path: Path) -> Path:
    path = tmp_path / "photo.png"
    save_image(path, photo(40, 48))
    return path


def translated(engine: Path, image: Pixels) -> Pixels:
    with Translator(engine) as translator:
        result: Pixels = translator.run(fit_image(image, (32, 32), "crop")[None])[0]
    return result


def test_each_is_listed() -> None:
    listed = (EXAMPLES / "README.md").read_text()
    assert all(f"`{path.name}`" in listed for path in EXAMPLES.glob("*.py"))


def test_translate_one(light_engine: Path, picture: Path, tmp_path: Path) -> None:
    run("translate_one.py", light_engine, picture, tmp_path / "out.png")
    np.testing.assert_array_equal(load_image(tmp_path / "out.png"), translated(light_engine, load_image(picture)))


def test_translate_video(light_engine: Path, tmp_path: Path) -> None:
    av = pytest.importorskip("av", reason="needs the extra video")
    frames = [photo(64, 48, seed) for seed in range(5)]
    with av.open(tmp_path / "clip.mp4", "w") as clip:
        stream = clip.add_stream("libx264", rate=10)
        stream.width, stream.height, stream.pix_fmt = 64, 48, "yuv420p"
        for frame in frames:
            clip.mux(stream.encode(av.VideoFrame.from_ndarray(frame, format="rgb24")))
        clip.mux(stream.encode(None))
    run("translate_video.py", light_engine, tmp_path / "clip.mp4", tmp_path / "out.mp4")
    with av.open(tmp_path / "clip.mp4") as clip, av.open(tmp_path / "out.mp4") as out:
        shown = [frame.to_ndarray(format="rgb24") for frame in clip.decode(video=0)]
        found = [frame.to_ndarray(format="rgb24") for frame in out.decode(video=0)]
        assert out.streams.video[0].average_rate == 10
    assert len(found) == len(frames)
    for before, after in zip(shown, found, strict=True):
        expected = translated(light_engine, before).astype(float)
        assert np.abs(expected.mean((0, 1)) - after.mean((0, 1))).max() < 10  # what the codec loses on 32 pixels


class Server(BaseHTTPRequestHandler):
    """Notes a request, and answers."""

    requests: list[tuple[str, str | None, str | None, bytes]]

    def do_POST(self) -> None:
        body = self.rfile.read(int(self.headers["Content-Length"]))
        self.requests.append((self.path, self.headers["Content-Type"], self.headers["Authorization"], body))
        self.send_response(200)
        self.end_headers()
        self.wfile.write(b"the translation")

    def log_message(self, *_: object) -> None:
        pass


def test_client(picture: Path, tmp_path: Path) -> None:
    Server.requests = []
    with HTTPServer(("127.0.0.1", 0), Server) as server:
        threading.Thread(target=server.serve_forever, daemon=True).start()
        address = f"http://127.0.0.1:{server.server_port}"
        run("client.py", picture, tmp_path / "out.png", address)
        run("client.py", picture, tmp_path / "out.png", address, "a key")
        server.shutdown()
    assert (tmp_path / "out.png").read_bytes() == b"the translation"
    body = picture.read_bytes()
    assert Server.requests == [
        ("/v1/translate", "image/png", None, body), ("/v1/translate", "image/png", "Bearer a key", body)
    ]  # fmt: skip


def test_gradio(light_engine: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    made: dict[str, Any] = {}

    def interface(translate: Callable[[Pixels], Pixels], *_: str, **options: Any) -> SimpleNamespace:
        made.update(options, translate=translate)
        return SimpleNamespace(launch=lambda: made.update(launched=True))

    monkeypatch.setitem(sys.modules, "gradio", SimpleNamespace(Interface=interface))  # type: ignore[arg-type]
    monkeypatch.setattr(sys, "argv", ["gradio_app.py", str(light_engine)])
    runpy.run_path(str(EXAMPLES / "gradio_app.py"))
    np.testing.assert_array_equal(made["translate"](photo(40, 48)), translated(light_engine, photo(40, 48)))
    assert made["launched"]
    assert made["analytics_enabled"] is False
