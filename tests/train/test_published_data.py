import http.server
import io
import threading
import zipfile
from collections.abc import Iterator
from pathlib import Path
from urllib.parse import urlsplit

import numpy as np
import pytest

from ugatit_fast.cli import main
from ugatit_fast.errors import InputError
from ugatit_fast.media.images import encode_image, load_image
from ugatit_fast.train import published_data as module
from ugatit_fast.train.published_data import PublishedData, get_data, published_data
from ugatit_fast.weights import web

OF_THE_PAPER = {"selfie2anime", "horse2zebra", "cat2dog", "photo2portrait", "photo2vangogh"}


def picture(level: int) -> bytes:
    return encode_image(np.full((16, 16, 3), level, np.uint8), ".png")


def packed(*names: str) -> bytes:
    """A zip file; each picture is as grey as its place in it, so that it can be told where it went."""
    content = io.BytesIO()
    with zipfile.ZipFile(content, "w") as archive:
        for i, name in enumerate(names):
            archive.writestr(name, picture(i))
    return content.getvalue()


WHOLE = packed(
    "set/trainA/a.png", "set/trainB/deep/b.png", "set/testA/c.png", "set/testB/d.png", "__MACOSX/trainA/e.png"
)


@pytest.fixture
def server(monkeypatch: pytest.MonkeyPatch) -> Iterator[dict[str, bytes]]:
    """A list of three data sets, two on a local server: what it sends, and what it announces the length of."""
    sends = {"body": WHOLE, "announced": WHOLE}

    class Handler(http.server.BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            self.send_response(200 if sends["body"] else 404)
            self.send_header("Content-Length", str(len(sends["announced"])))
            self.end_headers()
            self.wfile.write(sends["body"])

        def log_message(self, *_: object) -> None:
            pass

    with http.server.HTTPServer(("127.0.0.1", 0), Handler) as listening:
        threading.Thread(target=listening.serve_forever, args=(0.01,), daemon=True).start()
        address = f"http://127.0.0.1:{listening.server_port}/set.zip"
        entries = {
            "plain": PublishedData(page="http://page", archive=address),
            "turned": PublishedData(page="http://page", archive=address, swapped=True),
            "browser": PublishedData(page="http://page", by_hand="http://drive/file"),
        }
        monkeypatch.setattr(web, "TEST_SERVERS", {f"http://127.0.0.1:{listening.server_port}"})
        monkeypatch.setattr(module, "published_data", lambda: entries)
        yield sends
        listening.shutdown()


def test_the_list_is_that_of_the_paper_and_says_how_to_get_each() -> None:
    entries = published_data()
    assert set(entries) == OF_THE_PAPER
    for name, entry in entries.items():
        assert (entry.archive is None) != (entry.by_hand is None), name
        for address in (entry.page, entry.archive or entry.by_hand):
            parts = urlsplit(address)
            assert parts.scheme in ("http", "https"), name
            assert parts.netloc, name
        assert entry.archive is None or entry.archive.endswith(".zip"), name


@pytest.mark.usefixtures("server")
def test_a_data_set_is_fetched_unpacked_and_checked(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["data", "get", "plain", str(tmp_path / "set")]) == 0
    said = capsys.readouterr()
    assert "trainA   1 pictures\ntrainB   1 pictures\ntestA    1 pictures" in said.out
    assert "fetching http://127.0.0.1" in said.err
    assert sorted(str(file.relative_to(tmp_path)) for file in tmp_path.rglob("*.png")) == [
        "set/testA/c.png",
        "set/testB/d.png",
        "set/trainA/a.png",
        "set/trainB/deep/b.png",
    ]
    assert [file.name for file in tmp_path.iterdir()] == ["set"]


@pytest.mark.usefixtures("server")
def test_domains_change_places_where_the_list_says_so(tmp_path: Path) -> None:
    get_data("turned", tmp_path / "set")
    assert load_image(tmp_path / "set" / "trainB" / "a.png")[0, 0, 0] == 0
    assert load_image(tmp_path / "set" / "trainA" / "deep" / "b.png")[0, 0, 0] == 1
    assert load_image(tmp_path / "set" / "testA" / "d.png")[0, 0, 0] == 3


@pytest.mark.usefixtures("server")
def test_what_only_a_browser_gets_is_told_and_taken_from_a_file(tmp_path: Path) -> None:
    with pytest.raises(InputError, match=r"open http://drive/file, then ugatit-fast data get browser .* --archive"):
        get_data("browser", tmp_path / "set")
    (tmp_path / "mine.zip").write_bytes(WHOLE)
    told: list[tuple[str, int, int]] = []
    get_data("browser", tmp_path / "set", tmp_path / "mine.zip", on_progress=lambda *step: told.append(step))
    assert told == [("unpacked", i, 4) for i in range(1, 5)]
    assert (tmp_path / "set" / "trainA" / "a.png").is_file()


@pytest.mark.parametrize(
    ("body", "announced", "message"),
    [
        (b"", b"", r"404.*see http://page and give its zip file with --archive"),
        (WHOLE[:-9], WHOLE, "broke off after .*give its zip file with --archive"),
        (b"<html>moved</html>", b"<html>moved</html>", "is not a zip archive"),
        (packed("trainA/a.png", "b.png"), packed("trainA/a.png", "b.png"), "no pictures in a folder trainB;"),
        (packed("trainA/../../a.png"), packed("trainA/../../a.png"), "outside"),
    ],
    ids=["not found", "cut off", "a page", "a folder missing", "outside"],
)
def test_a_download_gone_wrong_leaves_nothing(
    tmp_path: Path, server: dict[str, bytes], body: bytes, announced: bytes, message: str
) -> None:
    server.update(body=body, announced=announced)
    with pytest.raises(InputError, match=message):
        get_data("plain", tmp_path / "set")
    assert list(tmp_path.iterdir()) == []


@pytest.mark.usefixtures("server")
def test_an_unknown_name_and_a_folder_that_is_there(tmp_path: Path) -> None:
    with pytest.raises(InputError, match="expected one of plain, turned, browser"):
        get_data("anime", tmp_path / "set")
    with pytest.raises(InputError, match="name a new folder"):
        get_data("plain", tmp_path)
