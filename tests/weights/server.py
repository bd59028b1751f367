"""A local server that stands in for the web: whole files, parts of them, and connections that break off."""

import http.server
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field

from ugatit_fast.weights import web


@dataclass
class Web:
    """What the server has, and how it treats those who ask."""

    origin: str = ""
    files: dict[str, bytes] = field(default_factory=dict)
    """Path -> content."""
    content_type: str = "application/octet-stream"
    etag: str | None = '"1"'
    breaks_after: list[int] = field(default_factory=list)
    """For each answer from the first on: how many bytes it sends before the connection breaks; then none does."""
    redirects: dict[str, str] = field(default_factory=dict)
    asked: list[str | None] = field(default_factory=list)
    """The Range of each request."""


def handler_of(state: Web) -> type[http.server.BaseHTTPRequestHandler]:
    class Handler(http.server.BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            asked = self.headers.get("Range")
            state.asked.append(asked)
            if self.path in state.redirects:
                self.send_response(302)
                self.send_header("Location", state.redirects[self.path])
                self.end_headers()
                return
            if self.path not in state.files:
                self.send_error(404)
                return
            content = state.files[self.path]
            begin = 0
            if asked and self.headers.get("If-Range") == state.etag:
                begin = int(asked.removeprefix("bytes=").rstrip("-"))
            if begin >= len(content):
                self.send_error(416)
                return
            self.send_response(206 if begin else 200)
            self.send_header("Content-Type", state.content_type)
            self.send_header("Content-Length", str(len(content) - begin))
            if state.etag:
                self.send_header("ETag", state.etag)
            self.end_headers()
            end = begin + state.breaks_after.pop(0) if state.breaks_after else len(content)
            self.wfile.write(content[begin:end])

        def log_message(self, *_: object) -> None:
            pass

    return Handler


@contextmanager
def serving(files: dict[str, bytes]) -> Iterator[Web]:
    """Serve `files`; the one address that isn't public and may be asked all the same."""
    state = Web(files=files)
    with http.server.ThreadingHTTPServer(("127.0.0.1", 0), handler_of(state)) as listening:
        state.origin = f"http://127.0.0.1:{listening.server_port}"
        threading.Thread(target=listening.serve_forever, args=(0.01,), daemon=True).start()
        web.TEST_SERVERS.add(state.origin)
        try:
            yield state
        finally:
            web.TEST_SERVERS.discard(state.origin)
            listening.shutdown()
