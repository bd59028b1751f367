"""Hosting the app on this machine: one address, one process, a stop that finishes what was accepted."""

import asyncio
import ipaddress
import signal
import socket
from collections.abc import Sequence
from contextlib import ExitStack
from pathlib import Path

import uvicorn
from fastapi import FastAPI
from uvicorn.protocols.http.h11_impl import H11Protocol, RequestResponseCycle

from ugatit_fast.choices import Loading
from ugatit_fast.errors import InputError
from ugatit_fast.machine import stopping_signals
from ugatit_fast.progress import Say
from ugatit_fast.serve.app import create_app
from ugatit_fast.serve.service import Served
from ugatit_fast.serve.settings import ServeSettings
from ugatit_fast.translator import Translator, describe_engine

HEADERS_TIMEOUT_S = 10
"""How long a request's headers may take; a browser sends them in one packet."""
CONNECTIONS_PER_PLACE = 4
"""Connections for every photo that may be in hand, so that some can be uploading, and others idle."""
SPARE_CONNECTIONS = 64
BACKLOG = 1024


LOGS: dict[str, object] = {
    "version": 1,
    "disable_existing_loggers": False,
    "formatters": {
        "plain": {"()": "uvicorn.logging.DefaultFormatter", "fmt": "%(levelprefix)s %(message)s"},
        "access": {
            "()": "uvicorn.logging.AccessFormatter",
            "fmt": '%(asctime)s %(client_addr)s "%(request_line)s" %(status_code)s',
            "use_colors": False,
        },
    },
    "handlers": {
        name: {"class": "logging.StreamHandler", "formatter": name, "stream": "ext://sys.stderr"}
        for name in ("plain", "access")
    },
    "loggers": {
        "uvicorn": {"handlers": ["plain"], "level": "WARNING", "propagate": False},
        "uvicorn.access": {"handlers": ["access"], "level": "INFO", "propagate": False},
    },
}
"""uvicorn's, all on stderr: what goes wrong, and where it is asked for, when who asked what and what they got."""


class ImpatientProtocol(H11Protocol):
    """HTTP/1.1 that closes a connection whose next request doesn't begin in time; uvicorn alone waits for ever."""

    impatience: asyncio.TimerHandle | None = None

    def connection_made(self, transport: asyncio.Transport) -> None:  # type: ignore[override]
        super().connection_made(transport)
        self.watch()

    def data_received(self, data: bytes) -> None:
        super().data_received(data)
        self.watch()

    def connection_lost(self, exc: Exception | None) -> None:
        super().connection_lost(exc)
        self.relax()

    @property
    def answering(self) -> bool:
        cycle: RequestResponseCycle | None = self.cycle  # uvicorn's type leaves out that it is None at first
        return cycle is not None and not cycle.response_complete

    def watch(self) -> None:
        """Start the clock where no request is being answered; data alone doesn't set it back."""
        if self.answering:
            self.relax()
        elif self.impatience is None:
            self.impatience = self.loop.call_later(HEADERS_TIMEOUT_S, self.give_up)

    def relax(self) -> None:
        if self.impatience is not None:
            self.impatience.cancel()
            self.impatience = None

    def give_up(self) -> None:
        if not self.answering:
            self.transport.close()


def is_loopback(host: str) -> bool:
    """Whether only this machine can reach an address."""
    try:
        return ipaddress.ip_address(host).is_loopback
    except ValueError:
        return host == "localhost"


def check_address(host: str, settings: ServeSettings) -> None:
    """Raises InputError for an address that others can reach where everyone would be let in."""
    if not is_loopback(host) and settings.api_key is None:
        raise InputError(
            f"{host} can be reached from other machines, so an API key is needed: "
            "--api-key-file FILE, or the variable UGATIT_API_KEY"
        )


def listen(host: str, port: int) -> socket.socket:
    """A listening socket; port 0 is any free one. Raises InputError."""
    family = socket.AF_INET6 if ":" in host else socket.AF_INET
    try:
        return socket.create_server((host, port), family=family, backlog=BACKLOG)
    except (OSError, OverflowError) as error:
        reason = (getattr(error, "strerror", None) or str(error)).partition(" (")[0]  # Python adds the address
        raise InputError(f"cannot listen on {host}, port {port} ({reason}); choose another --port or --host") from error


def serve(
    translators: Sequence[Served],
    settings: ServeSettings,
    *,
    host: str,
    port: int,
    access_log: bool = False,
    say: Say,
) -> None:
    """Serve until SIGTERM or Ctrl-C, then finish what was accepted, within twice `settings.timeout_s`.

    Raises InputError where the address can't be had, or can be reached from elsewhere and there is no API key.
    """
    directions = " and ".join(f"{translator.spec.direction} ({translator.device})" for translator in translators)
    host_app(
        create_app(settings, translators),
        settings,
        f"serving {directions}",
        host=host,
        port=port,
        access_log=access_log,
        say=say,
    )


def host_app(
    app: FastAPI, settings: ServeSettings, doing: str, *, host: str, port: int, access_log: bool = False, say: Say
) -> None:
    """As `serve`, for any app behind a `Guard`; `doing` is what it says that it does at its address."""
    check_address(host, settings)
    with listen(host, port) as listening:
        address = f"http://{f'[{host}]' if ':' in host else host}:{listening.getsockname()[1]}"
        say(f"{doing} at {address}; Ctrl-C stops")
        server = server_of(app, settings, access_log=access_log)
        # uvicorn raises the signal again once it has stopped; a service that stops when told to has succeeded.
        with stopping_signals(signal.SIGTERM):
            server.run([listening])


def serve_engines(
    engines: Sequence[Path],
    settings: ServeSettings,
    loading: Loading,
    *,
    host: str,
    port: int,
    access_log: bool = False,
    say: Say,
) -> None:
    """Load engines, with their heat maps where they have any, and `serve` them. Raises as `Translator` does, too."""
    with ExitStack() as stack:
        specs = [describe_engine(engine, loading.trust_plan) for engine in engines]
        say(f"loading {' and '.join(engine.name for engine in engines)}")
        translators = [
            stack.enter_context(
                Translator(
                    engine,
                    device=loading.device,
                    heatmap=spec.heatmap,
                    threads=loading.threads,
                    tune=loading.tune,
                    trust_plan=loading.trust_plan,
                    style=loading.style,
                    say=say,
                )
            )
            for engine, spec in zip(engines, specs, strict=True)
        ]
        serve(translators, settings, host=host, port=port, access_log=access_log, say=say)


def server_of(app: FastAPI, settings: ServeSettings, *, access_log: bool = False) -> uvicorn.Server:
    """The server that hosts the app, not yet running. access_log: write a line for each request to stderr."""
    config = uvicorn.Config(
        app,
        http=ImpatientProtocol,
        ws="none",
        log_config=LOGS,
        access_log=access_log,
        proxy_headers=False,
        server_header=False,
        limit_concurrency=CONNECTIONS_PER_PLACE * settings.max_queue + SPARE_CONNECTIONS,
        timeout_graceful_shutdown=int(2 * settings.timeout_s),
    )
    return uvicorn.Server(config)
