"""Servers that listen on a real port."""

import http.client
import os
import re
import socket
import subprocess
import sys
import threading
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path

from ugatit_fast.serve.app import create_app
from ugatit_fast.serve.server import listen, server_of
from ugatit_fast.serve.service import Served
from ugatit_fast.serve.settings import ServeSettings

PROGRAM = (sys.executable, "-m", "ugatit_fast.cli")


@contextmanager
def hosted(
    translators: Sequence[Served], settings: ServeSettings | None = None, *, access_log: bool = False
) -> Iterator[int]:
    """A server on a thread of this process; gives its port."""
    settings = settings or ServeSettings()
    server = server_of(create_app(settings, translators), settings, access_log=access_log)
    with listen("127.0.0.1", 0) as listening:
        port = listening.getsockname()[1]
        thread = threading.Thread(target=server.run, args=([listening],))
        thread.start()
        try:
            yield port
        finally:
            server.should_exit = True
            thread.join(20)
            assert not thread.is_alive()


@contextmanager
def served(*arguments: str | Path, program: Sequence[str] = PROGRAM) -> Iterator[tuple[subprocess.Popen[str], int]]:
    """`ugatit-fast serve` in a process of its own; gives it and its port once it is ready."""
    command = [*program, "serve", *map(str, arguments), "--port", "0", "--threads", "1"]
    environment = os.environ | {"OMP_NUM_THREADS": "1"}
    process = subprocess.Popen(command, stderr=subprocess.PIPE, text=True, env=environment)
    try:
        assert process.stderr is not None
        said = ""
        while not (found := re.search(r"serving .*:(\d+);", said)):
            line = process.stderr.readline()
            assert line, said
            said += line
        port = int(found.group(1))
        while get(port, "/readyz")[0] != 200:
            time.sleep(0.05)
        yield process, port
    finally:
        process.kill()
        process.wait()


def get(port: int, path: str) -> tuple[int, bytes]:
    return ask(port, "GET", path)


def ask(
    port: int, method: str, path: str, body: bytes | None = None, headers: dict[str, str] | None = None
) -> tuple[int, bytes]:
    connection = http.client.HTTPConnection("127.0.0.1", port, timeout=30)
    connection.request(method, path, body, headers or {})
    response = connection.getresponse()
    content = response.read()
    connection.close()
    return response.status, content


def raw(port: int, *pieces: bytes) -> socket.socket:
    """A connection on which `pieces` have been sent."""
    connection = socket.create_connection(("127.0.0.1", port), timeout=20)
    for piece in pieces:
        connection.sendall(piece)
    return connection


def status_of(connection: socket.socket) -> int:
    """Of one whole answer, on a connection that stays open."""
    response = http.client.HTTPResponse(connection)
    response.begin()
    response.read()
    return response.status


def all_of(connection: socket.socket) -> bytes:
    """What comes on a connection until the server closes it."""
    received = b""
    while chunk := connection.recv(65536):
        received += chunk
    connection.close()
    return received
