"""https://... -> a file in the user's cache, fetched once: resumed where it broke off, checked where more is known.

Only public addresses are asked: neither this machine's own nor its network's, also where a name or a redirection leads
there. Whoever has a proxy lets that decide about names.
"""

import hashlib
import http.client
import ipaddress
import re
import shutil
import socket
import ssl
import urllib.error
import urllib.parse
import urllib.request
from collections.abc import Iterator
from contextlib import contextmanager
from http.client import HTTPResponse
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

from ugatit_fast.errors import CheckpointError, InputError
from ugatit_fast.files import locked, make_folder, write_errors
from ugatit_fast.machine import cache_folder
from ugatit_fast.progress import Phased, Say
from ugatit_fast.version import __version__

CHUNK_BYTES = 2**20
SILENCE_SECONDS = 60
"""A server that sends nothing for so long is given up."""
TRIES = 5
"""How often a connection that breaks is made again in one go."""
TEST_SERVERS: set[str] = set()
"""Origins such as http://127.0.0.1:8000 that may be asked all the same. Only tests put any here."""

ADDRESS = re.compile(r"https?:/{1,2}(?=[^/])")
"""One slash too: a Path keeps no two."""


def is_address(text: str) -> bool:
    return ADDRESS.match(text) is not None


def fetch(
    address: str,
    *,
    plain: bool = False,
    offline: bool = False,
    size_bytes: int | None = None,
    sha256: str | None = None,
    say: Say = lambda _: None,
    progress: Phased = lambda *_: None,
) -> Path:
    """The file behind an address, downloaded unless that was done before.

    plain: also by http://. offline: only look in the cache. size_bytes, sha256: what is known of the file, checked when
    it has come.
    say: called with a line when a download begins. progress: called with the file's name, its bytes so far and in all.
    What has come of a download that breaks off is kept, and the next one goes on from there. Raises CheckpointError for
    an address that isn't public or can't be fetched, a page in place of a file, and a file that isn't the known one;
    InputError where the cache can't be written.
    """
    address = ADDRESS.sub(lambda scheme: f"{scheme[0].partition(':')[0]}://", address)
    check_address(address, plain=plain)
    folder = cache_folder() / "downloads" / hashlib.sha256(address.encode()).hexdigest()[:16]
    file = folder / name_of(address)
    if not file.is_file():
        if offline:
            raise CheckpointError(f"{address} is not in the cache; fetch it once while online")
        make_folder(folder)
        with write_errors(file), locked(folder / ".lock", wait=True):
            if not file.is_file():  # another process may have fetched it meanwhile
                say(f"fetching {address} to {folder}")
                download = Download(address, file, plain=plain)
                download.run(progress)
                check(address, download.partial, size_bytes, sha256)
                download.partial.replace(file)
    return file


def fetch_known(address: str, otherwise: str, *, say: Say = lambda _: None, progress: Phased = lambda *_: None) -> Path:
    """As `fetch`, for an address of a list of ours, which may begin with http:// too.

    otherwise: what to do where it can't be had, for the message. Raises InputError.
    """
    try:
        return fetch(address, plain=True, say=say, progress=progress)
    except CheckpointError as error:
        raise InputError(f"{error}, or {otherwise}") from error


def name_of(address: str) -> str:
    """A file's name for what is behind an address."""
    last = urllib.parse.unquote(urlsplit(address).path).rpartition("/")[2]
    return re.sub(r"[^\w.-]", "_", last).lstrip(".") or "weights"


def check(address: str, file: Path, size_bytes: int | None, sha256: str | None) -> None:
    """CheckpointError, and the file deleted, where it isn't the one that is known."""
    size = file.stat().st_size
    if size_bytes is not None and size != size_bytes:
        wrong = f"expected {size_bytes} bytes, got {size}"
    elif sha256 is not None and (found := digest_of(file)) != sha256:
        wrong = f"expected SHA-256 {sha256}, got {found}"
    else:
        return
    file.unlink()
    raise CheckpointError(f"{address} is not the file that is known: {wrong}; it may have been replaced")


def digest_of(file: Path) -> str:
    with file.open("rb") as opened:
        return hashlib.file_digest(opened, "sha256").hexdigest()


# A download that can break off -------------------------------------------------------------------------------------


class Download:
    """One file on its way. What has come lies beside it, with what tells whether the server still has the same."""

    def __init__(self, address: str, file: Path, *, plain: bool) -> None:
        self.address, self.file, self.plain = address, file, plain
        self.partial = file.with_name(f"{file.name}.part")
        self.validator = file.with_name(f"{file.name}.validator")

    def run(self, progress: Phased) -> None:
        """Until all of it has come. Raises CheckpointError."""
        for _ in range(TRIES):
            with network_errors(self.address):
                if self.go_on(progress):
                    self.validator.unlink(missing_ok=True)
                    return
            if not self.may_go_on:
                break
        raise CheckpointError(
            f"cannot fetch {self.address}: the connection broke off after {self.have} bytes; try again"
            + (", it goes on from there" if self.may_go_on else "")
        )

    @property
    def have(self) -> int:
        return self.partial.stat().st_size if self.partial.exists() else 0

    @property
    def may_go_on(self) -> bool:
        """Whether the server said how to tell that it still has the same file."""
        return self.validator.exists() and self.partial.exists()

    def go_on(self, progress: Phased) -> bool:
        """Ask for what is missing and append what comes. Whether that was all."""
        with self.asked() as response:
            self.refuse_page(response)
            begin = self.have if response.status == http.client.PARTIAL_CONTENT else 0
            announced = response.headers.get("Content-Length")
            total = begin + int(announced) if announced else None
            self.check_space((total or 0) - begin)
            self.note(response)
            with self.partial.open("ab" if begin else "wb") as target:
                try:
                    while chunk := response.read(CHUNK_BYTES):
                        with write_errors(self.partial):
                            target.write(chunk)
                        progress(self.file.name, target.tell(), max(total or 0, target.tell()))
                except (OSError, http.client.HTTPException):  # it broke off; what has come is kept
                    return False
        return total is None or self.have == total

    def asked(self) -> Any:
        """The server's answer, which begins where what has come ends, if the server still has the same file."""
        headers = {"User-Agent": f"ugatit-fast/{__version__}", "Accept-Encoding": "identity"}
        if self.may_go_on:
            headers |= {"Range": f"bytes={self.have}-", "If-Range": self.validator.read_text(encoding="latin-1")}
        request = urllib.request.Request(self.address, headers=headers)
        try:
            return opener(self.address, plain=self.plain).open(request, timeout=SILENCE_SECONDS)
        except urllib.error.HTTPError as error:
            if error.code == http.client.REQUESTED_RANGE_NOT_SATISFIABLE and self.may_go_on:
                self.partial.unlink()  # all of it, or of another file: from the beginning
                return self.asked()
            raise

    def refuse_page(self, response: HTTPResponse) -> None:
        if response.headers.get_content_type() == "text/html":
            raise CheckpointError(
                f"{self.address} is a web page, not a file: open it in a browser, download the file, and give that"
            )

    def check_space(self, size_bytes: int) -> None:
        free = shutil.disk_usage(self.file.parent).free
        if size_bytes > free:
            raise CheckpointError(
                f"{self.address} has {size_bytes / 1e9:.1f} GB; {self.file.parent} has {free / 1e9:.1f} GB left: "
                "free some space"
            )

    def note(self, response: HTTPResponse) -> None:
        """Keep what tells this version of the file from others: a strong ETag, or when it was changed."""
        tag = response.headers.get("ETag", "")
        said = tag if tag and not tag.startswith("W/") else response.headers.get("Last-Modified", "")
        if said:
            self.validator.write_text(said, encoding="latin-1")
        else:
            self.validator.unlink(missing_ok=True)


@contextmanager
def network_errors(address: str) -> Iterator[None]:
    """Turn what goes wrong on the way into a CheckpointError."""
    try:
        yield
    except urllib.error.HTTPError as error:
        raise CheckpointError(f"cannot fetch {address}: the server says {error.code} {error.reason}") from error
    except (OSError, http.client.HTTPException) as error:
        reason = error.reason if type(error) is urllib.error.URLError else error
        raise CheckpointError(
            f"cannot fetch {address} ({reason}); check the address and the network, and try again"
        ) from error


# Public addresses only ---------------------------------------------------------------------------------------------


def check_address(address: str, *, plain: bool) -> None:
    """CheckpointError for an address that is not https, carries a password, or names a place that isn't public.

    plain: http will do.
    """
    parts = urlsplit(address)
    if f"{parts.scheme}://{parts.netloc}" in TEST_SERVERS:
        return
    if parts.scheme != "https" and not (plain and parts.scheme == "http"):
        raise CheckpointError(f"{address} is not fetched: expected an address that begins with https://")
    if parts.username or parts.password:
        raise CheckpointError("an address with a password in it is not fetched; download the file, and give that")
    host = parts.hostname or ""
    if host == "localhost" or host.endswith((".localhost", ".local", ".internal")) or not is_public(host, unknown=True):
        raise CheckpointError(f"{address} is not fetched: {host} is no public address")


def is_public(host: str, *, unknown: bool) -> bool:
    """Whether an IP address belongs to the public network; `unknown` for what is no IP address."""
    try:
        number = ipaddress.ip_address(host.partition("%")[0])
    except ValueError:
        return unknown
    mapped = getattr(number, "ipv4_mapped", None)
    return (mapped or number).is_global


class PlainConnection(http.client.HTTPConnection):
    """HTTP to public addresses."""

    through_proxy = False

    def connect(self) -> None:
        """Look before connecting, and again at who answered: a name may have changed its address in between."""
        if not self.through_proxy:
            for *_, (host, *_) in socket.getaddrinfo(self.host, self.port, type=socket.SOCK_STREAM):
                self.refuse(str(host))
        super().connect()
        if not self.through_proxy:
            self.refuse(self.sock.getpeername()[0])

    def refuse(self, number: str) -> None:
        if not is_public(number, unknown=False):
            self.close()
            raise CheckpointError(f"{self.host} is not asked: {number} is no public address")


class PublicConnection(PlainConnection, http.client.HTTPSConnection):
    """HTTPS to public addresses; through a proxy, to wherever that lets us."""

    def set_tunnel(self, *arguments: Any, **options: Any) -> None:
        self.through_proxy = True
        super().set_tunnel(*arguments, **options)


class PlainHandler(urllib.request.HTTPHandler):
    """Makes `PlainConnection`s; to a proxy, which need not be public, others."""

    def http_open(self, request: urllib.request.Request) -> http.client.HTTPResponse:
        return self.do_open(http.client.HTTPConnection if request.has_proxy() else PlainConnection, request)


class PublicHandler(urllib.request.HTTPSHandler):
    """Makes `PublicConnection`s."""

    def https_open(self, request: urllib.request.Request) -> http.client.HTTPResponse:
        return self.do_open(PublicConnection, request, context=ssl.create_default_context())


class CheckedRedirects(urllib.request.HTTPRedirectHandler):
    """Follows redirections to addresses that might have been asked for."""

    def __init__(self, *, plain: bool) -> None:
        self.plain = plain

    def redirect_request(self, request: urllib.request.Request, *rest: Any) -> urllib.request.Request | None:
        check_address(rest[-1], plain=self.plain)
        return super().redirect_request(request, *rest)


def opener(address: str, *, plain: bool) -> urllib.request.OpenerDirector:
    """What asks a server for a file: no other protocol than HTTPS, or `plain` HTTP, but for a test's own server."""
    made = urllib.request.OpenerDirector()
    handlers: list[urllib.request.BaseHandler] = [
        urllib.request.ProxyHandler(),
        PublicHandler(),
        *([PlainHandler()] if plain else []),
        CheckedRedirects(plain=plain),
        urllib.request.HTTPDefaultErrorHandler(),
        urllib.request.HTTPErrorProcessor(),
        urllib.request.UnknownHandler(),
    ]
    if address.startswith(tuple(TEST_SERVERS)):
        handlers = [urllib.request.HTTPHandler(), *(one for one in handlers[1:] if not isinstance(one, PlainHandler))]
    for handler in handlers:
        made.add_handler(handler)
    return made
