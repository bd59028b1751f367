"""The camera's page, for browsers on this machine: a picture that keeps changing (MJPEG), and how it is going (JSON).

Nobody else may look: it listens on the loopback address, answers to its own name only (a foreign page could give the
address another), and lets no other site show the picture.
"""

import json
import threading
from http import HTTPStatus
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from importlib.resources import files
from types import TracebackType

from ugatit_fast.camera.live import Live
from ugatit_fast.errors import InputError

HOST = "127.0.0.1"
PAGE = {
    "/": ("page.html", "text/html; charset=utf-8"),
    "/page.css": ("page.css", "text/css; charset=utf-8"),
    "/page.js": ("page.js", "text/javascript; charset=utf-8"),
}
HEADERS = {
    "Cache-Control": "no-store",
    "Content-Security-Policy": "default-src 'none'; img-src 'self' data:; script-src 'self'; style-src 'self'; "
    "connect-src 'self'; base-uri 'none'; form-action 'none'; frame-ancestors 'none'",
    "Cross-Origin-Resource-Policy": "same-origin",
    "Referrer-Policy": "no-referrer",
    "X-Content-Type-Options": "nosniff",
}
BOUNDARY = b"ugatit-fast-frame"
LINGER_SECONDS = 2.0
"""How long the server goes on after the end, so that a page that is open can say why."""
IDLE_SECONDS = 1.0


class CameraServer:
    """Serves a page for `live` on a thread of its own; a context manager."""

    def __init__(self, live: Live, port: int) -> None:
        """port: 0 takes a free one. Raises InputError where it is taken."""
        try:
            self.http = PageServer(live, port)
        except (OSError, OverflowError) as error:
            raise InputError(
                f"port {port} can't be used ({error}); choose another with --port, or 0 for any"
            ) from error
        self.url = f"http://{HOST}:{self.http.server_port}/"
        self.thread = threading.Thread(target=self.http.serve_forever, name="ugatit-fast-page", daemon=True)

    def __enter__(self) -> "CameraServer":
        self.thread.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        if self.http.looked_at.is_set():
            self.http.told.wait(LINGER_SECONDS)
        self.http.shutdown()
        self.http.server_close()


class PageServer(ThreadingHTTPServer):
    """Serves the page of one camera, on this machine only."""

    daemon_threads = True
    block_on_close = False  # a browser keeps its connection

    def __init__(self, live: Live, port: int) -> None:
        super().__init__((HOST, port), PageHandler)
        self.live = live
        self.looked_at = threading.Event()
        self.told = threading.Event()
        """A page has learnt of the end."""

    def handle_error(self, request: object, client_address: object) -> None:
        """A browser that goes away in the middle of a picture is no error."""


class PageHandler(BaseHTTPRequestHandler):
    """Answers one connection."""

    server: PageServer
    timeout = 30

    def do_GET(self) -> None:
        port = self.server.server_port
        if self.headers.get("Host") not in (f"{HOST}:{port}", f"localhost:{port}"):
            self.send_error(HTTPStatus.MISDIRECTED_REQUEST)
        elif self.path in PAGE:
            name, kind = PAGE[self.path]
            self.answer(kind, files("ugatit_fast.camera").joinpath(name).read_bytes())
        elif self.path == "/status":
            self.send_status()
        elif self.path == "/stream":
            self.send_stream()
        else:
            self.send_error(HTTPStatus.NOT_FOUND)

    def answer(self, kind: str, content: bytes) -> None:
        self.begin(kind)
        self.send_header("Content-Length", str(len(content)))
        self.end_headers()
        self.wfile.write(content)

    def begin(self, kind: str) -> None:
        self.send_response(HTTPStatus.OK)
        self.send_header("Content-Type", kind)
        for name, value in HEADERS.items():
            self.send_header(name, value)

    def send_status(self) -> None:
        self.server.looked_at.set()
        status = self.server.live.describe()
        self.answer("application/json", json.dumps(status).encode())
        if not status["running"]:
            self.server.told.set()

    def send_stream(self) -> None:
        self.begin(f"multipart/x-mixed-replace; boundary={BOUNDARY.decode()}")
        self.end_headers()
        # Browsers show a part when the next begins: so each ends with the boundary of the next.
        self.wfile.write(b"--" + BOUNDARY)
        number = 0
        while True:
            newer = self.server.live.wait_for_newer(number, IDLE_SECONDS)
            if newer is not None:
                number, picture = newer
                head = b"\r\nContent-Type: image/jpeg\r\nContent-Length: %d\r\n\r\n" % len(picture)
                self.wfile.write(head + picture + b"\r\n--" + BOUNDARY)
            elif not self.server.live.status().running:
                return

    def log_message(self, format: str, *args: object) -> None:  # noqa: A002 - the base class's name
        """Say nothing of each request."""
