"""`ugatit-fast serve`."""

import os
from contextlib import ExitStack
from pathlib import Path
from typing import Annotated, Literal

from cyclopts import Parameter

from ugatit_fast.choices import Device, Fit
from ugatit_fast.commands.arguments import Flag, say
from ugatit_fast.errors import BackendUnavailable, InputError
from ugatit_fast.serve.settings import ServeSettings

KEY_VARIABLE = "UGATIT_API_KEY"
LOCAL_NAMES = ("localhost", "127.0.0.1", "[::1]")


def serve_command(
    engine: Path,
    second_engine: Path | None = None,
    /,
    *,
    host: str = "127.0.0.1",
    port: Annotated[int, Parameter(name=["--port", "-p"])] = 8000,
    api_key_file: Path | None = None,
    max_batch: int | None = ServeSettings.max_batch,
    max_wait_ms: float = ServeSettings.max_wait_ms,
    max_queue: int = ServeSettings.max_queue,
    timeout_s: float = ServeSettings.timeout_s,
    body_timeout_s: float = ServeSettings.body_timeout_s,
    max_upload_mib: int = ServeSettings.max_upload_mib,
    max_archive_mib: int = ServeSettings.max_archive_mib,
    max_files: int = ServeSettings.max_files,
    max_megapixels: float = ServeSettings.max_megapixels,
    fit: Fit = ServeSettings.fit,
    device: Device = "auto",
    threads: int | None = None,
    trust_plan: Flag = False,
    on: Literal["here", "ray"] = "here",
    replicas: int = 1,
    gpus_per_replica: float | None = None,
    ray_address: str = "local",
) -> None:
    """Serve an engine over HTTP, with a page to try it on; two engines serve both directions.

    Parameters
    ----------
    engine
        The engine file, from build-engine.
    second_engine
        One for the other direction.
    host
        The address to listen on. One that other machines can reach needs an API key.
    port
        0 takes a free one.
    api_key_file
        A file whose content clients must send as a bearer token; the variable UGATIT_API_KEY does the same.
    max_batch
        Most photos in one call of the engine: its largest batch size, or 1 for an engine for CPUs, unless given.
    max_wait_ms
        How long an idle engine waits for a batch to fill.
    max_queue
        Photos in hand at once; beyond them requests are told when to come back.
    timeout_s
        Most that a photo may take once its upload is complete.
    body_timeout_s
        How long an upload may take, and as long again for every MiB that has come.
    max_upload_mib
        Largest photo file.
    max_archive_mib
        Largest batch of photos, as sent and unpacked.
    max_files
        Most photos in a batch.
    max_megapixels
        Largest photo that is decoded.
    fit
        What to do with photos of another shape, where the request doesn't say.
    device
        Where the engines run.
    threads
        Threads that decode and encode, and threads of a CPU engine; one a core unless given.
    trust_plan
        As for translate.
    on
        ray serves with Ray Serve, by several replicas at once.
    replicas
        On Ray: processes, each with the engines.
    gpus_per_replica
        On Ray: GPUs for each of them; 1 for an engine for GPUs unless given. 0.5 puts two on one GPU.
    ray_address
        On Ray: the cluster, such as auto or HOST:6379; local starts one on this machine, which ends with the server.
    """
    try:
        from ugatit_fast.serve.server import serve
    except ImportError as error:
        raise BackendUnavailable(
            f'serving needs FastAPI and its company ({error}); install them: pip install "ugatit-fast[serve]"'
        ) from error
    from ugatit_fast.translator import Translator, describe_engine

    key = read_key(api_key_file)
    settings = ServeSettings(
        max_batch=max_batch,
        max_wait_ms=max_wait_ms,
        max_queue=max_queue,
        timeout_s=timeout_s,
        body_timeout_s=body_timeout_s,
        max_upload_mib=max_upload_mib,
        max_archive_mib=max_archive_mib,
        max_files=max_files,
        max_megapixels=max_megapixels,
        fit=fit,
        threads=threads,
        api_key=key,
        hosts=() if key else names_of(host),
    )
    if on == "ray":
        from ugatit_fast.on_ray.cluster import RayOptions
        from ugatit_fast.on_ray.server import serve_on_ray

        engines = [path for path in (engine, second_engine) if path is not None]
        options = RayOptions(
            replicas=replicas,
            gpus_per_replica=gpus_per_replica,
            address=ray_address,
            device=device,
            threads=threads,
            trust_plan=trust_plan,
        )
        serve_on_ray(engines, settings, options, host=host, port=port, say=say)
        return
    with ExitStack() as stack:
        translators = [
            stack.enter_context(
                Translator(
                    path,
                    device=device,
                    heatmap=describe_engine(path, trust_plan).heatmap,
                    threads=threads,
                    trust_plan=trust_plan,
                )
            )
            for path in (engine, second_engine)
            if path is not None
        ]
        serve(translators, settings, host=host, port=port, say=say)


def read_key(file: Path | None) -> str | None:
    """The API key in a file or, without one, in the environment; None where there is neither. Raises InputError."""
    if file is None:
        return os.environ.get(KEY_VARIABLE) or None
    try:
        return file.read_text(encoding="utf-8").strip()
    except (OSError, UnicodeDecodeError) as error:
        raise InputError(f"the API key can't be read from {file} ({error}); check the path") from error


def names_of(host: str) -> tuple[str, ...]:
    """What a request to an address of this machine may call it."""
    return tuple(dict.fromkeys((f"[{host}]" if ":" in host else host, *LOCAL_NAMES)))
