"""`ugatit-fast serve`."""

from dataclasses import dataclass, replace
from typing import Annotated, Literal

from cyclopts import Parameter

from ugatit_fast.choices import Loading
from ugatit_fast.commands.arguments import Named, Part, Weights, all_but, options, say
from ugatit_fast.commands.ready import EngineFlags, engine_back, engine_for
from ugatit_fast.errors import InputError
from ugatit_fast.on_ray.options import RayOptions
from ugatit_fast.serve.listening import Listening
from ugatit_fast.serve.settings import ServeSettings


@dataclass(frozen=True, kw_only=True)
class ListeningFlags(Listening):
    """The address as people type it."""

    port: Annotated[int, Parameter(name=["--port", "-p"])] = Listening.port


@dataclass(frozen=True, kw_only=True)
class ServeFlags(ServeSettings):
    """The settings as people type them."""

    crop: Part = ServeSettings.crop


LISTENING, SETTINGS, FLAGS, RAY = ListeningFlags(), ServeFlags(), EngineFlags(), RayOptions()


def serve_command(
    weights: Weights,
    second_weights: Named | None = None,
    /,
    *,
    listening: Annotated[ListeningFlags, options()] = LISTENING,
    settings: Annotated[ServeFlags, options(without=["threads", "api_key", "hosts"])] = SETTINGS,
    flags: Annotated[EngineFlags, options()] = FLAGS,
    on: Literal["here", "ray"] = "here",
    ray: Annotated[RayOptions, options(without=all_but(Loading), address="ray_address")] = RAY,
) -> None:
    """Serve an engine over HTTP, with a page to try it on.

    Two engines serve both directions. Weights are fetched, and engines built, before the service begins; the service
    itself does neither.

    ```
    ugatit-fast serve selfie2anime.onnx
    ugatit-fast serve selfie2anime.zip selfie2anime.zip --port 9000
    ```

    Parameters
    ----------
    second_weights
        An engine for the other direction, or weights of which one is built.
    on
        ray serves with Ray Serve, by several replicas at once.
    """
    from ugatit_fast.serve.server import serve_engines
    from ugatit_fast.weights.known import known_weights

    if on == "ray" and listening.access_log:
        raise InputError("--access-log is not written on Ray, which has logs of its own; leave it out")
    engines = [engine_for(weights, flags, heatmap=True)]
    if second_weights is not None:
        engines.append(engine_back(second_weights, engines[0], flags, heatmap=True))
    listed = known_weights().get(str(weights))
    turns = settings.turns or (listed.turns if listed else None)
    settings = replace(settings, threads=flags.threads, turns=turns)
    guarded, host, port = listening.guarded(settings), listening.host, listening.port
    if on == "ray":
        from ugatit_fast.on_ray.server import serve_on_ray

        serve_on_ray(engines, guarded, replace(ray, **vars(flags.loading)), host=host, port=port, say=say)
    else:
        log = listening.access_log
        serve_engines(engines, guarded, flags.loading, host=host, port=port, access_log=log, say=say)
