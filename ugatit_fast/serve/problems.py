"""What went wrong with a request, as clients are told: a problem object (RFC 9457) of one line."""

from collections.abc import Mapping
from http import HTTPStatus

from starlette.responses import JSONResponse

PROBLEM_TYPE = "application/problem+json"
CLIENT_GONE = 499
"""The status of requests whose client left; only the metrics ever see it."""


class Problem(Exception):
    """A request that can't be answered: its status, and a sentence on what was expected, what came, what to do."""

    def __init__(self, status: int, detail: str, headers: Mapping[str, str] | None = None) -> None:
        super().__init__(detail)
        self.status = status
        self.detail = detail
        self.headers = headers

    def response(self) -> JSONResponse:
        title = "Client Gone" if self.status == CLIENT_GONE else HTTPStatus(self.status).phrase
        return JSONResponse(
            {"type": "about:blank", "title": title, "status": self.status, "detail": " ".join(self.detail.split())},
            self.status,
            self.headers,
            PROBLEM_TYPE,
        )
