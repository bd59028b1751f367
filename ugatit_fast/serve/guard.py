"""Around the whole app: who may come in, the headers of every answer, and the count of them."""

import hmac
import logging
from time import perf_counter

from starlette.datastructures import Headers, MutableHeaders
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from ugatit_fast.serve.metrics import Metrics
from ugatit_fast.serve.problems import CLIENT_GONE, Problem
from ugatit_fast.serve.settings import ServeSettings

OPEN_PATHS = ("/", "/docs", "/openapi.json", "/healthz", "/readyz")
"""What needs no key, as nothing under `PAGE_PATH` does: it is the same on every server, or says only that it is up."""
PAGE_PATH = "/page"
CONTENT_SECURITY_POLICY = (
    "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self' blob:; connect-src 'self'; "
    "base-uri 'none'; form-action 'none'; frame-ancestors 'none'"
)
HEADERS = {
    "Content-Security-Policy": CONTENT_SECURITY_POLICY,
    "Permissions-Policy": "camera=(self), microphone=(), geolocation=()",
    "Referrer-Policy": "no-referrer",
    "X-Content-Type-Options": "nosniff",
    "Cross-Origin-Resource-Policy": "same-origin",
}
FAILED = Problem(500, "the server failed; its log says why")
log = logging.getLogger(__name__)


class Guard:
    """ASGI middleware."""

    def __init__(self, app: ASGIApp, settings: ServeSettings, metrics: Metrics, paths: frozenset[str]) -> None:
        """paths: those that the metrics tell apart."""
        self.app = app
        self.settings = settings
        self.metrics = metrics
        self.paths = paths

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http":
            await self.app(scope, receive, send)
            return
        start = perf_counter()
        status = CLIENT_GONE

        async def send_guarded(message: Message) -> None:
            nonlocal status
            if message["type"] == "http.response.start":
                status = message["status"]
                MutableHeaders(scope=message).update(HEADERS)
            await send(message)

        try:
            self.check(scope)
            await self.app(scope, receive, send_guarded)
        except Problem as problem:
            await problem.response()(scope, receive, send_guarded)
        except Exception:
            log.exception("%s %s failed", scope["method"], scope["path"])
            if status != CLIENT_GONE:  # half an answer is out: all that is left is to break the connection
                raise
            await FAILED.response()(scope, receive, send_guarded)
        finally:
            path = scope["path"] if scope["path"] in self.paths else "other"
            self.metrics.requests.labels(path, str(status)).inc()
            self.metrics.request_seconds.labels(path).observe(perf_counter() - start)

    def check(self, scope: Scope) -> None:
        """Raises Problem for a request that mustn't come in."""
        headers = Headers(scope=scope)
        if self.settings.hosts and host_name(headers.get("host", "")) not in self.settings.hosts:
            raise Problem(421, f"this server goes by {', '.join(self.settings.hosts)}; use one of these names")
        if headers.get("sec-fetch-site") == "cross-site" and scope["method"] not in ("GET", "HEAD"):
            raise Problem(403, "pages of other sites may not send anything here")
        path = scope["path"]
        if self.settings.api_key is None or path in OPEN_PATHS or path.startswith(PAGE_PATH + "/"):
            return
        scheme, _, key = headers.get("authorization", "").partition(" ")
        right = hmac.compare_digest(key.strip().encode(), self.settings.api_key.encode())
        if scheme.lower() != "bearer" or not right:
            raise Problem(
                401, "this needs the server's API key: Authorization: Bearer KEY", {"WWW-Authenticate": "Bearer"}
            )


def host_name(host: str) -> str:
    """A Host header without its port; IPv6 addresses keep their brackets."""
    return host.rpartition(":")[0] if not host.endswith("]") and ":" in host else host
