"""https:// addresses, with a local server in place of the web."""

import hashlib
import http.client
import socket
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.weights.server import Web, serving
from ugatit_fast.errors import CheckpointError, InputError
from ugatit_fast.weights import web

CONTENT = bytes(range(256)) * 4096
"""A mebibyte."""


@pytest.fixture
def served() -> Iterator[Web]:
    with serving({"/anime.pt": CONTENT}) as state:
        yield state


def test_a_file_is_fetched_once(served: Web, cache_of_its_own: Path) -> None:
    told: list[str] = []
    moved: list[tuple[str, int, int]] = []
    address = f"{served.origin}/anime.pt"
    file = web.fetch(address, say=told.append, progress=lambda *step: moved.append(step))
    assert file.read_bytes() == CONTENT
    assert file.name == "anime.pt"
    assert cache_of_its_own in file.parents
    assert told == [f"fetching {address} to {file.parent}"]
    assert moved[-1] == ("anime.pt", len(CONTENT), len(CONTENT))
    assert web.fetch(address) == file
    assert web.fetch(address.replace("//", "/", 1), offline=True) == file, "a Path keeps no two slashes"
    assert served.asked == [None]
    assert {path.name for path in file.parent.iterdir()} == {".lock", "anime.pt"}


def test_offline_only_looks_in_the_cache(served: Web) -> None:
    with pytest.raises(CheckpointError, match="not in the cache; fetch it once while online"):
        web.fetch(f"{served.origin}/anime.pt", offline=True)
    assert served.asked == []


def test_a_broken_connection_goes_on_where_it_broke(served: Web) -> None:
    served.breaks_after = [300_000, 200_000]
    assert web.fetch(f"{served.origin}/anime.pt").read_bytes() == CONTENT
    assert served.asked == [None, "bytes=300000-", "bytes=500000-"]


def test_a_run_that_ended_is_gone_on_with_by_the_next(served: Web, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(web, "TRIES", 1)
    served.breaks_after = [300_000]
    with pytest.raises(CheckpointError, match="broke off after 300000 bytes; try again, it goes on from there"):
        web.fetch(f"{served.origin}/anime.pt")
    assert web.fetch(f"{served.origin}/anime.pt").read_bytes() == CONTENT
    assert served.asked[-1] == "bytes=300000-"


def test_another_file_at_the_address_is_begun_anew(served: Web, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(web, "TRIES", 1)
    served.breaks_after = [300_000]
    with pytest.raises(CheckpointError, match="broke off"):
        web.fetch(f"{served.origin}/anime.pt")
    served.etag, served.files["/anime.pt"] = '"2"', CONTENT[::-1]
    assert web.fetch(f"{served.origin}/anime.pt").read_bytes() == CONTENT[::-1]


def test_a_shorter_file_at_the_address_is_begun_anew(served: Web, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(web, "TRIES", 1)
    served.breaks_after = [300_000]
    with pytest.raises(CheckpointError, match="broke off"):
        web.fetch(f"{served.origin}/anime.pt")
    served.files["/anime.pt"] = CONTENT[:1000]
    assert web.fetch(f"{served.origin}/anime.pt").read_bytes() == CONTENT[:1000]


def test_without_a_mark_of_its_version_nothing_is_gone_on_with(served: Web) -> None:
    served.etag, served.breaks_after = None, [300_000]
    with pytest.raises(CheckpointError, match=r"broke off after 300000 bytes; try again$"):
        web.fetch(f"{served.origin}/anime.pt")
    assert web.fetch(f"{served.origin}/anime.pt").read_bytes() == CONTENT
    assert served.asked == [None, None]


@pytest.mark.parametrize(
    ("known", "message"),
    [({"size_bytes": 7}, "expected 7 bytes, got 1048576"), ({"sha256": "0" * 64}, "expected SHA-256 000")],
)
def test_a_file_that_is_not_the_known_one_is_not_kept(
    served: Web, cache_of_its_own: Path, known: dict[str, object], message: str
) -> None:
    with pytest.raises(CheckpointError, match=message):
        web.fetch(f"{served.origin}/anime.pt", **known)  # type: ignore[arg-type]
    assert [path.name for path in cache_of_its_own.rglob("*") if path.is_file()] == [".lock"]


def test_a_file_that_is_the_known_one_is_kept(served: Web) -> None:
    digest = hashlib.sha256(CONTENT).hexdigest()
    assert web.fetch(f"{served.origin}/anime.pt", size_bytes=len(CONTENT), sha256=digest).is_file()


def test_a_page_is_no_file(served: Web) -> None:
    served.content_type = "text/html; charset=utf-8"
    with pytest.raises(CheckpointError, match="is a web page, not a file: open it in a browser"):
        web.fetch(f"{served.origin}/anime.pt")


def test_what_is_not_there(served: Web) -> None:
    with pytest.raises(CheckpointError, match="the server says 404 Not Found"):
        web.fetch(f"{served.origin}/other.pt")


def test_a_disk_that_is_too_small(served: Web, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(web.shutil, "disk_usage", lambda _: type("Usage", (), {"free": 1000}))
    with pytest.raises(CheckpointError, match="free some space"):
        web.fetch(f"{served.origin}/anime.pt")


@pytest.mark.parametrize(
    "address",
    [
        "http://example.org/a.pt", "https://localhost/a.pt", "https://127.0.0.1/a.pt", "https://10.1.2.3/a.pt",
        "https://192.168.0.1:8000/a.pt", "https://169.254.169.254/latest", "https://[::1]/a.pt", "https://[fd00::1]/a.pt",
        "https://[::ffff:127.0.0.1]/a.pt", "https://printer.local/a.pt", "https://user:word@example.org/a.pt",
    ],
)  # fmt: skip
def test_only_public_addresses_over_https(address: str) -> None:
    with pytest.raises(CheckpointError, match="not fetched"):
        web.fetch(address)


def test_a_name_that_leads_home_is_not_asked(monkeypatch: pytest.MonkeyPatch) -> None:
    """As a name server can have it; 0x7f.1 is one of many spellings that the system understands."""
    answer = [(socket.AF_INET, socket.SOCK_STREAM, 6, "", ("127.0.0.1", 443))]
    monkeypatch.setattr(socket, "getaddrinfo", lambda *_, **__: answer)
    with pytest.raises(CheckpointError, match=r"is not asked: 127\.0\.0\.1 is no public address"):
        web.fetch("https://weights.example.org/a.pt")


def test_who_answered_is_looked_at_too(monkeypatch: pytest.MonkeyPatch) -> None:
    """A name may have changed its address between the look and the connection."""

    class Peer:
        def getpeername(self) -> tuple[str, int]:
            return "192.168.0.1", 443

        def close(self) -> None:
            pass

    def connect(connection: http.client.HTTPSConnection) -> None:
        connection.sock = Peer()  # type: ignore[assignment]

    public = [(socket.AF_INET, socket.SOCK_STREAM, 6, "", ("93.184.216.34", 443))]
    monkeypatch.setattr(socket, "getaddrinfo", lambda *_, **__: public)
    monkeypatch.setattr(http.client.HTTPSConnection, "connect", connect)
    with pytest.raises(CheckpointError, match=r"192\.168\.0\.1 is no public address"):
        web.PublicConnection("weights.example.org").connect()


def test_a_redirection_home_is_not_followed(served: Web) -> None:
    served.redirects["/moved.pt"] = "https://127.0.0.1/anime.pt"
    with pytest.raises(CheckpointError, match=r"127\.0\.0\.1 is no public address"):
        web.fetch(f"{served.origin}/moved.pt")


def test_a_redirection_is_followed(served: Web) -> None:
    served.redirects["/moved.pt"] = f"{served.origin}/anime.pt"
    assert web.fetch(f"{served.origin}/moved.pt").read_bytes() == CONTENT


@pytest.mark.parametrize(
    ("address", "name"),
    [
        ("https://a.org/x/anime.pt?download=1", "anime.pt"),
        ("https://a.org/", "weights"),
        ("https://a.org/..", "weights"),
        ("https://a.org/a%2Fb.zip", "b.zip"),
        ("https://a.org/my%20net.zip", "my_net.zip"),
    ],
)
def test_names_of_files(address: str, name: str) -> None:
    assert web.name_of(address) == name


def test_what_a_list_of_ours_names_says_what_else_to_do(served: Web) -> None:
    served.breaks_after = [300_000]
    assert web.fetch_known(f"{served.origin}/anime.pt", "look").read_bytes() == CONTENT
    assert served.asked == [None, "bytes=300000-"]
    with pytest.raises(InputError, match=r"the server says 404 .*, or see the page"):
        web.fetch_known(f"{served.origin}/nothing.zip", "see the page")


@pytest.mark.parametrize("address", ["http://127.0.0.1/x.zip", "http://localhost/x.zip", "ftp://example.org/x.zip"])
def test_plain_addresses_must_be_public_too(address: str) -> None:
    with pytest.raises(InputError, match=r"not fetched: .*, or see the page"):
        web.fetch_known(address, "see the page")


def test_plain_names_that_lead_home_are_not_asked(monkeypatch: pytest.MonkeyPatch) -> None:
    answer = [(socket.AF_INET, socket.SOCK_STREAM, 6, "", ("10.0.0.1", 80))]
    monkeypatch.setattr(socket, "getaddrinfo", lambda *_, **__: answer)
    for name in ("http_proxy", "HTTP_PROXY", "all_proxy", "ALL_PROXY"):
        monkeypatch.delenv(name, raising=False)
    with pytest.raises(InputError, match=r"10\.0\.0\.1 is no public address"):
        web.fetch_known("http://weights.example.org/x.zip", "see the page")


def test_weights_are_not_fetched_without_encryption() -> None:
    with pytest.raises(CheckpointError, match="begins with https://"):
        web.fetch("http://example.org/x.pt")
