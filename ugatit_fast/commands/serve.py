"""`ugatit-fast serve`."""

from dataclasses import dataclass, replace
from pathlib import Path
from typing import Annotated, Literal

from cyclopts import Parameter

from ugatit_fast.choices import Loading
from ugatit_fast.commands.arguments import EngineFile, all_but, options, say
from ugatit_fast.on_ray.options import RayOptions
from ugatit_fast.serve.listening import Listening
from ugatit_fast.serve.settings import ServeSettings


@dataclass(frozen=True, kw_only=True)
class ListeningFlags(Listening):
    """The address as people type it."""

    port: Annotated[int, Parameter(name=["--port", "-p"])] = Listening.port


LISTENING, SETTINGS, LOADING, RAY = ListeningFlags(), ServeSettings(), Loading(), RayOptions()


def serve_command(
    engine: EngineFile,
    second_engine: Path | None = None,
    /,
    *,
    listening: Annotated[ListeningFlags, options()] = LISTENING,
    settings: Annotated[ServeSettings, options(without=["threads", "api_key", "hosts"])] = SETTINGS,
    loading: Annotated[Loading, options()] = LOADING,
    on: Literal["here", "ray"] = "here",
    ray: Annotated[RayOptions, options(without=all_but(Loading), address="ray_address")] = RAY,
) -> None:
    """Serve an engine over HTTP, with a page to try it on.

    Two engines serve both directions.

    Parameters
    ----------
    second_engine
        One for the other direction.
    on
        ray serves with Ray Serve, by several replicas at once.
    """
    from ugatit_fast.serve.server import serve_engines

    engines = [engine] if second_engine is None else [engine, second_engine]
    settings = replace(listening.guarded(settings), threads=loading.threads)
    host, port = listening.host, listening.port
    if on == "ray":
        from ugatit_fast.on_ray.server import serve_on_ray

        serve_on_ray(engines, settings, replace(ray, **vars(loading)), host=host, port=port, say=say)
    else:
        serve_engines(engines, settings, loading, host=host, port=port, say=say)
