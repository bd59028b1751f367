"""Files from the network, chunk by chunk, with errors that say what to do."""

import http.client
import urllib.error
import urllib.request
from collections.abc import Iterator
from contextlib import contextmanager

from ugatit_fast.errors import InputError

CHUNK_BYTES = 2**20
SILENCE_SECONDS = 60
"""A server that sends nothing for so long is given up."""


def chunks(url: str, otherwise: str) -> Iterator[bytes]:
    """The content at `url`, up to 1 MiB at a time.

    otherwise: what to do where it can't be had, for the message. Raises InputError, also where less came than was
    announced.
    """
    with network_errors(url, otherwise), urllib.request.urlopen(url, timeout=SILENCE_SECONDS) as response:
        announced = response.headers.get("Content-Length")
        received = 0
        while chunk := response.read(CHUNK_BYTES):
            received += len(chunk)
            yield chunk
    if announced is not None and received != int(announced):
        raise InputError(
            f"cannot fetch {url} (the connection ended after {received} of {announced} bytes); try again, "
            f"or {otherwise}"
        )


@contextmanager
def network_errors(url: str, otherwise: str) -> Iterator[None]:
    """Turn what goes wrong on the way into an InputError."""
    try:
        yield
    except (OSError, http.client.HTTPException) as error:
        reason = error.reason if type(error) is urllib.error.URLError else error
        raise InputError(f"cannot fetch {url} ({reason}); check the network, or {otherwise}") from error
