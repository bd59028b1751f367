"""A Ray cluster: one that is there already, or one of this machine's own for as long as it is needed."""

import logging
import os
import secrets
import socket
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from ugatit_fast.choices import Device
from ugatit_fast.errors import BackendUnavailable, InputError, first_line
from ugatit_fast.machine import available_cores
from ugatit_fast.translator import Translator, describe_engine

OBJECT_STORE_BYTES = 256 * 2**20
"""Nothing large goes through Ray's shared memory: pictures stay where they are, on disk or in a request."""
REACHED_WITHIN_S = 5
LOCAL = "local"
PRIVATE = {"RAY_ENABLE_WINDOWS_OR_OSX_CLUSTER": "0", "RAY_AUTH_MODE": "token"}
"""Makes a Ray of our own listen on the loopback address, whatever the system, and to nobody without the token."""


@dataclass(frozen=True, kw_only=True)
class RayOptions:
    """How many engines of a kind, and where."""

    replicas: int = 1
    """Processes, each with an engine of its own."""
    gpus_per_replica: float | None = None
    """GPUs for each of them, 0.5 for two on one GPU; None is 1 for an engine for GPUs, and otherwise 0."""
    address: str = LOCAL
    """Of a Ray cluster, such as auto or HOST:6379; local starts one on this machine, which ends with the command."""
    device: Device = "auto"
    threads: int | None = None
    """Of each replica, and the cores that Ray sets aside for it; None is an even share of this machine's."""
    trust_plan: bool = False
    """As for `Translator`."""

    def __post_init__(self) -> None:
        if self.replicas < 1:
            raise InputError(f"expected at least 1 replica, got {self.replicas}")
        if self.gpus_per_replica is not None and not self.gpus_per_replica >= 0:
            raise InputError(f"expected 0 or more GPUs a replica, got {self.gpus_per_replica:g}")

    @property
    def cores(self) -> int:
        """Of each replica."""
        return self.threads or max(1, available_cores() // self.replicas)

    def resources(self, engine: Path) -> dict[str, float]:
        """What a replica is given, as Ray names it. Raises EngineError where there is no engine."""
        spec = describe_engine(engine, self.trust_plan)
        for_gpu = spec.kind in ("cuda", "tensorrt") or self.device == "cuda"
        gpus = float(for_gpu) if self.gpus_per_replica is None else self.gpus_per_replica
        return {"num_cpus": self.cores, "num_gpus": gpus}

    def open(self, engine: Path, *, heatmap: bool) -> Translator:
        """Load an engine; in a replica."""
        return Translator(engine, device=self.device, heatmap=heatmap, threads=self.cores, trust_plan=self.trust_plan)


def import_ray() -> Any:
    """Ray, which sends no usage statistics when we start it. Raises BackendUnavailable."""
    os.environ["RAY_USAGE_STATS_ENABLED"] = "0"
    os.environ.setdefault("RAY_BACKEND_LOG_LEVEL", "fatal")  # its errors come as exceptions, its notes in its log files
    os.environ.setdefault("RAY_ACCEL_ENV_VAR_OVERRIDE_ON_ZERO", "0")  # what Ray will do by itself, and warns of
    try:
        import ray
    except ImportError as error:
        raise BackendUnavailable(
            f'working on Ray needs it ({error}); install it: pip install "ugatit-fast[ray]"'
        ) from error
    return ray


@contextmanager
def cluster(options: RayOptions, engines: Sequence[Path]) -> Iterator[None]:
    """Be connected to the cluster for the block. One of our own listens on this machine's loopback address alone.

    Raises InputError where it has less than the replicas need, or can't be reached; BackendUnavailable without Ray.
    """
    needs = options.resources(engines[0])
    refuse_unreachable(options.address)
    if options.address == LOCAL:
        os.environ |= PRIVATE | {"RAY_AUTH_TOKEN": secrets.token_hex(32)}
    ray = import_ray()
    try:
        if options.address == LOCAL:
            ray.init(
                address=LOCAL,
                include_dashboard=False,
                object_store_memory=OBJECT_STORE_BYTES,
                logging_level=logging.ERROR,
                log_to_driver=False,
            )
        else:
            ray.init(address=options.address, logging_level=logging.ERROR, log_to_driver=False)
    except (ConnectionError, RuntimeError, ValueError) as error:
        raise InputError(f"cannot use the Ray cluster {options.address}: {first_line(error)}") from error
    try:
        refuse_too_much(options, needs, ray.cluster_resources())
        yield
    finally:
        ray.shutdown()


def refuse_unreachable(address: str) -> None:
    """Raises InputError where nobody answers at a HOST:PORT; Ray itself would go on trying for ten minutes."""
    host, _, port = address.removeprefix("ray://").rpartition(":")
    if not host or not port.isdecimal():
        return
    try:
        socket.create_connection((host, int(port)), timeout=REACHED_WITHIN_S).close()
    except (OSError, OverflowError) as error:
        raise InputError(f"no Ray cluster answers at {address} ({error}); check the address") from error


def refuse_too_much(options: RayOptions, needs: dict[str, float], there: dict[str, float]) -> None:
    """Raises InputError where replicas would wait for ever for what the cluster hasn't."""
    for name, key in (("CPU", "num_cpus"), ("GPU", "num_gpus")):
        wanted, total = options.replicas * needs[key], there.get(name, 0.0)
        if wanted > total:
            raise InputError(
                f"{options.replicas} replicas of {needs[key]:g} {name}s are {wanted:g}, and the cluster has {total:g}; "
                f"use fewer --replicas, or give each less ({'--threads' if name == 'CPU' else '--gpus-per-replica'})"
            )
