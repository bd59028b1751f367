"""A Ray cluster: one that is there already, or one of this machine's own for as long as it is needed."""

import logging
import os
import secrets
import socket
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from types import ModuleType

from ugatit_fast.backends.runtimes import runtime_of
from ugatit_fast.errors import BackendUnavailable, InputError, first_line
from ugatit_fast.machine import pip_install
from ugatit_fast.on_ray.options import LOCAL, RayOptions
from ugatit_fast.translator import Translator, describe_engine

OBJECT_STORE_BYTES = 256 * 2**20
"""Nothing large goes through Ray's shared memory: pictures stay where they are, on disk or in a request."""
REACHED_WITHIN_S = 5
PRIVATE = {"RAY_ENABLE_WINDOWS_OR_OSX_CLUSTER": "0", "RAY_AUTH_MODE": "token"}
"""Makes a Ray of our own listen on the loopback address, whatever the system, and to nobody without the token."""


def resources(options: RayOptions, engine: Path) -> dict[str, float]:
    """What a replica is given, as Ray names it. Raises EngineError where there is no engine."""
    spec = describe_engine(engine, options.trust_plan)
    for_gpu = runtime_of(engine, spec).on_gpu or options.device == "cuda"
    gpus = float(for_gpu) if options.gpus_per_replica is None else options.gpus_per_replica
    return {"num_cpus": options.cores, "num_gpus": gpus}


def load(options: RayOptions, engine: Path, *, heatmap: bool) -> Translator:
    """Load an engine; in a replica."""
    return Translator(
        engine,
        device=options.device,
        heatmap=heatmap,
        threads=options.cores,
        tune=options.tune,
        trust_plan=options.trust_plan,
        style=options.style,
    )


def import_ray() -> ModuleType:
    """Ray, which sends no usage statistics when we start it. Raises BackendUnavailable."""
    os.environ["RAY_USAGE_STATS_ENABLED"] = "0"
    os.environ.setdefault("RAY_BACKEND_LOG_LEVEL", "fatal")  # its errors come as exceptions, its notes in its log files
    os.environ.setdefault("RAY_ACCEL_ENV_VAR_OVERRIDE_ON_ZERO", "0")  # what Ray will do by itself, and warns of
    try:
        import ray
    except ImportError as error:
        raise BackendUnavailable(f"working on Ray needs it ({error}); install it: {pip_install('ray')}") from error
    return ray


@contextmanager
def cluster(options: RayOptions, engines: Sequence[Path]) -> Iterator[None]:
    """Be connected to the cluster for the block. One of our own listens on this machine's loopback address alone.

    Raises InputError where it has less than the replicas need, or can't be reached; BackendUnavailable without Ray.
    """
    needs = resources(options, engines[0])
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
