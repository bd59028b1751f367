"""The app of `ugatit_fast.serve` on Ray Serve: replicas of it behind one address.

    request -> Ray's proxy -> the replica with the least in hand -> the app: its queue, its batches, its engine

Batches are made by the app's own queue in each replica. A replica that dies is replaced; what it had in hand fails, and
clients try again.
"""

from collections.abc import Sequence
from logging import WARNING, getLogger
from pathlib import Path
from typing import Any

from ugatit_fast.errors import BackendUnavailable
from ugatit_fast.machine import stopping_signals
from ugatit_fast.on_ray.cluster import cluster, import_ray, load, resources
from ugatit_fast.on_ray.options import RayOptions
from ugatit_fast.progress import Say
from ugatit_fast.serve.server import check_address, listen
from ugatit_fast.serve.settings import ServeSettings
from ugatit_fast.translator import describe_engine

NAME = "ugatit-fast"
HEALTH_CHECK_S = 1.0
"""Between looks at whether a replica lives; Ray's own 10 would leave a dead one in the round for as long."""


def serve_on_ray(
    engines: Sequence[Path],
    settings: ServeSettings,
    options: RayOptions,
    *,
    host: str,
    port: int,
    say: Say,
) -> None:
    """Serve until SIGTERM or Ctrl-C, then finish what was accepted.

    The engines' paths must lead to them on every machine of the cluster. Raises EngineError (no engine), InputError
    (a cluster too small, an address as in `server.serve`), BackendUnavailable (no Ray, an engine that can't run there).
    """
    check_address(host, settings)
    with listen(host, port) as listening:  # closed again: Ray's proxy takes its place
        port = listening.getsockname()[1]
    heatmaps = [describe_engine(path, options.trust_plan).heatmap for path in engines]
    with cluster(options, engines), stopping_signals() as stop:
        from ray import serve
        from ray.serve.schema import LoggingConfig

        quiet = LoggingConfig(log_level="WARNING", enable_access_log=False)
        getLogger("ray.serve").setLevel(WARNING)
        serve.start(proxy_location="HeadOnly", http_options={"host": host, "port": port}, logging_config=quiet)
        try:
            try:
                serve.run(deployment(engines, heatmaps, settings, options), name=NAME, logging_config=quiet)
            except RuntimeError as error:
                raise BackendUnavailable(f"the replicas can't start: {last_line(error)}") from error
            say(f"serving on Ray, {options.replicas} replicas, at http://{host}:{port}; Ctrl-C stops")
            stop.wait()
        finally:
            serve.shutdown()


def last_line(error: Exception) -> str:
    """What a traceback that came as a message ends with."""
    return str(error).strip().splitlines()[-1]


def deployment(engines: Sequence[Path], heatmaps: Sequence[bool], settings: ServeSettings, options: RayOptions) -> Any:
    """The app as Ray Serve runs it. Each replica loads the engines itself."""
    import_ray()
    from ray import serve

    files = [path.resolve() for path in engines]

    def app() -> Any:
        from ugatit_fast.serve.app import create_app

        return create_app(
            settings, [load(options, file, heatmap=heatmap) for file, heatmap in zip(files, heatmaps, strict=True)]
        )

    replicated = serve.deployment(
        name=NAME,
        num_replicas=options.replicas,
        ray_actor_options=resources(options, files[0]),
        # The app itself says when it is full, with when to come back; Ray should never be first.
        max_ongoing_requests=2 * settings.max_queue,
        health_check_period_s=HEALTH_CHECK_S,
        graceful_shutdown_timeout_s=settings.timeout_s,
    )
    return replicated(serve.ingress(app)()).bind()
