"""The app: routes over services. Any ASGI server can host it; `ugatit_fast.serve.server` does, with uvicorn."""

import asyncio
import json
import logging
from collections.abc import AsyncIterator, Coroutine, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack, asynccontextmanager
from pathlib import Path
from tempfile import SpooledTemporaryFile
from typing import IO, Annotated, TypeVar

from fastapi import FastAPI, Query, Request, Response
from fastapi.exceptions import RequestValidationError
from fastapi.responses import FileResponse, HTMLResponse, JSONResponse, StreamingResponse
from starlette.exceptions import HTTPException
from starlette.staticfiles import StaticFiles
from starlette.types import Receive

from ugatit_fast.assets import SAMPLE_PHOTOS, asset
from ugatit_fast.choices import Direction, Format
from ugatit_fast.engine import EngineSpec
from ugatit_fast.errors import InputError
from ugatit_fast.machine import available_cores
from ugatit_fast.serve import reference
from ugatit_fast.serve.asked import (
    CropQuery,
    FitQuery,
    PasteQuery,
    SizeQuery,
    StyleQuery,
    as_asked,
    faces_of,
    treatment,
)
from ugatit_fast.serve.batching import Overloaded, Places
from ugatit_fast.serve.forms import form_of
from ugatit_fast.serve.guard import PAGE_PATH, Guard
from ugatit_fast.serve.metrics import CONTENT_TYPE, Metrics
from ugatit_fast.serve.problems import CLIENT_GONE, Problem
from ugatit_fast.serve.service import Part, Served, Service
from ugatit_fast.serve.settings import ServeSettings
from ugatit_fast.serve.turns import turns_of
from ugatit_fast.serve.uploads import FORM, SPOOL_BYTES, SUFFIXES, accepted, one_photo, photos
from ugatit_fast.version import __version__

PAGE = Path(__file__).with_name("page")
CHUNK_BYTES = 2**16
EVERY_PART: tuple[Part, ...] = ("input", "translation", "heatmap")
Result = TypeVar("Result")
log = logging.getLogger(__name__)


class Engines:
    """The services of an app, and what they share."""

    def __init__(self, settings: ServeSettings, metrics: Metrics) -> None:
        self.settings = settings
        self.metrics = metrics
        self.services: dict[Direction, Service] = {}
        self.warm = False
        """Whether every engine has run once."""
        self.faces = faces_of(settings.face_model)
        self.places = Places(self.settings.max_queue)
        self.engine_thread = ThreadPoolExecutor(1, thread_name_prefix="ugatit-engine")
        self.threads = ThreadPoolExecutor(
            self.settings.threads or available_cores(), thread_name_prefix="ugatit-pictures"
        )
        self.metrics.in_hand.set_function(lambda: self.places.taken)

    def add(self, translator: Served) -> None:
        """Serve an engine. Raises InputError where its direction is served already."""
        direction = translator.spec.direction
        if direction in self.services:
            raise InputError(f"both engines translate {direction}; expected one A2B and one B2A")
        self.services[direction] = Service(
            translator,
            self.settings,
            places=self.places,
            engine_thread=self.engine_thread,
            threads=self.threads,
            metrics=self.metrics,
            faces=self.faces.finder,
        )

    def of(self, direction: Direction | None) -> Service:
        """The service of a direction; the first one's unless given. Raises Problem."""
        if direction is None:
            return next(iter(self.services.values()))
        if direction not in self.services:
            raise Problem(400, f"this server has no engine for {direction}; it has {', '.join(self.services)}")
        return self.services[direction]

    @asynccontextmanager
    async def running(self, _: FastAPI) -> AsyncIterator[None]:
        """The app's lifespan: engines warm up while requests can already come; at the end, all in hand is finished."""
        for service in self.services.values():
            service.batcher.start()
        warming = asyncio.create_task(self.warm_up())
        yield
        await warming
        for service in self.services.values():
            await service.batcher.close()
        self.engine_thread.shutdown()
        self.threads.shutdown(cancel_futures=True)

    async def warm_up(self) -> None:
        """Leaves the app unready where an engine fails; requests would find the same."""
        loop = asyncio.get_running_loop()
        for direction, service in self.services.items():
            try:
                await loop.run_in_executor(self.engine_thread, service.translator.warmup)
            except Exception:
                log.exception("the engine for %s can't run", direction)
                return
        self.warm = True


def create_app(settings: ServeSettings, translators: Sequence[Served]) -> FastAPI:
    """The server of one engine, or of two that translate in opposite directions; the first is the default.

    translators: loaded with heat maps where these are to be shown. They stay the caller's, to close when the app is
    done. The host must run the app's lifespan, which starts the batching; each app has threads and a metrics registry
    of its own.
    Raises InputError where both translate the same way, and where a face model can't be used.
    """
    metrics = Metrics()
    engines = Engines(settings, metrics)
    for translator in translators:
        engines.add(translator)
    app = FastAPI(
        title="ugatit-fast",
        version=__version__,
        description="Translates photos with a U-GAT-IT engine.",
        docs_url=None,
        redoc_url=None,
        lifespan=engines.running,
    )
    add_problems(app)
    add_translation(app, engines)
    add_styles(app, engines)
    add_state(app, engines)
    add_pages(app)
    paths = frozenset(path for route in app.routes if (path := getattr(route, "path", "")) != PAGE_PATH)
    app.add_middleware(Guard, settings=settings, metrics=metrics, paths=paths)
    return app


# Routes ------------------------------------------------------------------------------------------------------------

DirectionQuery = Annotated[
    Direction | None, Query(description="Which engine, where there are two; the first if left out.")
]


def add_translation(app: FastAPI, engines: Engines) -> None:
    settings = engines.settings

    @app.post(
        "/v1/translate",
        openapi_extra=reference.PHOTO_BODY,
        response_class=Response,
        responses=reference.PICTURE_ANSWERS,
    )
    async def translate(
        request: Request,
        direction: DirectionQuery = None,
        fit: FitQuery = None,
        crop: CropQuery = None,
        paste_back: PasteQuery = None,
        size: SizeQuery = None,
        style: StyleQuery = None,
    ) -> Response:
        """Translate one photo.

        Send it as the body, or as the only file of a form. Accept decides the format of the translation: PNG, WebP or
        JPEG; or a form with three pictures: what was translated (input), the translation, and where the network looked
        (heatmap, if the engine was built with it). Of a translation that is put back into its photo, the other two are
        of the whole photo too, as JPEG.
        """
        service = engines.of(direction)
        options = treatment(settings, service.spec, fit=fit, crop=crop, paste_back=paste_back, size=size)
        numbers = service.style(style)
        answer = accepted(request.headers.get("accept"))
        parts = EVERY_PART if answer == FORM else ("translation",)
        refuse_while_busy(service)
        async with one_photo(request, settings) as photo:
            work = service.translate(photo, options, SUFFIXES[answer], parts, style=numbers)
            files = await while_connected(request.receive, work)
        if answer == FORM:
            content, media_type = form_of(files)
        else:
            content, media_type = files["translation"].content, answer
        return Response(content, media_type=media_type, headers={"Cache-Control": "no-store", "Vary": "Accept"})

    @app.post(
        "/v1/translate/batch",
        openapi_extra=reference.PHOTOS_BODY,
        response_class=Response,
        responses=reference.ARCHIVE_ANSWERS,
    )
    async def translate_batch(
        request: Request,
        direction: DirectionQuery = None,
        fit: FitQuery = None,
        crop: CropQuery = None,
        paste_back: PasteQuery = None,
        size: SizeQuery = None,
        style: StyleQuery = None,
        output_format: Annotated[Format, Query(alias="format", description="Of the translations.")] = "png",
    ) -> Response:
        """Translate several photos into a zip archive.

        Send them as the files of a form, or in a zip archive as the only file or the body. The translations have the
        photos' names. Where some photos can't be translated, the archive says why in failures.json, and the header
        X-Failures how many.
        """
        service = engines.of(direction)
        options = treatment(settings, service.spec, fit=fit, crop=crop, paste_back=paste_back, size=size)
        numbers = service.style(style)
        refuse_while_busy(service)
        with ExitStack() as stack:
            archive = stack.enter_context(SpooledTemporaryFile(SPOOL_BYTES))
            async with photos(request, settings) as found:
                work = service.translate_all(found, options, f".{output_format}", archive, style=numbers)
                failures = await while_connected(request.receive, work)
            stack.pop_all()  # sending it closes it
        headers = {
            "Cache-Control": "no-store",
            "Content-Disposition": 'attachment; filename="translated.zip"',
            "Content-Length": str(archive.seek(0, 2)),
            "X-Failures": str(failures),
        }
        archive.seek(0)
        return StreamingResponse(chunks_of(archive), media_type="application/zip", headers=headers)


def add_styles(app: FastAPI, engines: Engines) -> None:
    @app.post("/v1/style", openapi_extra=reference.PHOTO_BODY, responses=reference.PROBLEMS)
    async def style(request: Request, direction: DirectionQuery = None) -> dict[str, list[float]]:
        """See the style of a picture, for an engine that draws in styles.

        Send a picture of the target domain as the body, or as the only file of a form. Its numbers are what ?style= of
        a translation takes.
        """
        service = engines.of(direction)
        async with one_photo(request, engines.settings) as photo:
            seen = await while_connected(request.receive, service.style_seen(photo))
        return {"style": seen.tolist()}


def refuse_while_busy(service: Service) -> None:
    """Raises Problem where there is no place for a photo, before its upload is read."""
    try:
        service.places.check()
    except Overloaded as error:
        raise service.busy() from error


def chunks_of(file: IO[bytes]) -> Iterator[bytes]:
    with file:
        while chunk := file.read(CHUNK_BYTES):
            yield chunk


def add_state(app: FastAPI, engines: Engines) -> None:
    @app.get("/v1/model")
    async def model() -> dict[str, object]:
        """What is served: engines, limits, formats."""
        settings = engines.settings
        return {
            "version": __version__,
            "engines": [
                describe(service.spec, service.translator) | {"turns": turns_of(service.spec, settings.turns)}
                for service in engines.services.values()
            ],
            "formats": [answer for answer in SUFFIXES if answer != FORM],
            "fit": settings.fit,
            "crop": as_asked(settings.crop),
            "paste_back": settings.paste_back,
            "faces": engines.faces.finder is not None,
            "why_no_faces": engines.faces.missing,
            "limits": {
                "side": settings.max_side,
                "upload_mib": settings.max_upload_mib,
                "archive_mib": settings.max_archive_mib,
                "files": settings.max_files,
                "megapixels": settings.max_megapixels,
            },
        }

    @app.head("/healthz", include_in_schema=False)
    @app.get("/healthz", responses=reference.PLAIN_ANSWER, response_class=Response)
    async def healthz() -> Response:
        """Whether the process is alive."""
        return Response("ok\n", media_type="text/plain")

    @app.head("/readyz", include_in_schema=False)
    @app.get("/readyz", responses=reference.READY_ANSWERS, response_class=Response)
    async def readyz() -> Response:
        """Whether every engine has warmed up."""
        if not engines.warm:
            raise Problem(503, "the engine is warming up; try again in a moment", {"Retry-After": "1"})
        return Response("ready\n", media_type="text/plain")

    @app.get("/metrics", responses=reference.PLAIN_ANSWER, response_class=Response)
    async def metrics() -> Response:
        """Counters for Prometheus."""
        return Response(engines.metrics.text(), media_type=CONTENT_TYPE)


def describe(spec: EngineSpec, translator: Served) -> dict[str, object]:
    """An engine, as /v1/model tells of it."""
    return {
        "architecture": spec.network.architecture if spec.network else None,
        "direction": spec.direction,
        "kind": spec.kind,
        "device": translator.device,
        "precision": spec.precision,
        "height": spec.height,
        "width": spec.width,
        "any_size": spec.any_size,
        "light": spec.network.settings.get("light") if spec.network else None,
        "heatmap": translator.heatmap,
        "style_length": spec.style_length,
        "batch_sizes": spec.batch_sizes,
        "checkpoint_sha256": spec.checkpoint_sha256,
        "built_with": spec.ugatit_fast_version,
    }


def add_pages(app: FastAPI) -> None:
    documentation = reference.page(app.openapi(), (PAGE / "docs.html").read_text(encoding="utf-8"))

    @app.head("/", include_in_schema=False)
    @app.get("/", include_in_schema=False)
    async def index() -> FileResponse:
        return FileResponse(PAGE / "index.html", headers={"Cache-Control": "no-cache"})

    @app.head("/docs", include_in_schema=False)
    @app.get("/docs", include_in_schema=False)
    async def docs() -> HTMLResponse:
        return HTMLResponse(documentation)

    # Before the page's own files, which the mount would look for it among.
    @app.get(f"{PAGE_PATH}/samples/{{name}}", include_in_schema=False)
    async def sample(name: str) -> FileResponse:
        if name not in SAMPLE_PHOTOS:
            raise Problem(404, f"there is no sample photo of that name; there are {', '.join(SAMPLE_PHOTOS)}")
        return FileResponse(asset(name))

    app.mount(PAGE_PATH, StaticFiles(directory=PAGE))


# What can go wrong -------------------------------------------------------------------------------------------------


async def while_connected(receive: Receive, work: Coroutine[object, object, Result]) -> Result:
    """The result of `work`, which is cancelled should the client leave. Raises Problem where it did.

    receive: of a request whose body has been read, so that all that can come is the news of its leaving.
    """
    task = asyncio.create_task(work)
    left = asyncio.create_task(until_gone(receive))
    try:
        await asyncio.wait((task, left), return_when=asyncio.FIRST_COMPLETED)
        if task.done():
            return task.result()
        raise Problem(CLIENT_GONE, "the client left")
    finally:
        for unfinished in (task, left):
            unfinished.cancel()
        await asyncio.gather(task, left, return_exceptions=True)


async def until_gone(receive: Receive) -> None:
    while (await receive())["type"] != "http.disconnect":
        pass


def add_problems(app: FastAPI) -> None:
    for kind in (Problem, HTTPException, RequestValidationError):
        app.add_exception_handler(kind, answer_problem)


async def answer_problem(_: Request, error: Exception) -> JSONResponse:
    match error:
        case Problem():
            problem = error
        case HTTPException():
            problem = Problem(error.status_code, str(error.detail), error.headers)
        case RequestValidationError():
            problem = Problem(422, invalid_fields(error))
        case _:
            raise error
    return problem.response()


def invalid_fields(error: RequestValidationError) -> str:
    return "; ".join(f"{one['loc'][-1]}: {one['msg']}, got {json.dumps(one['input'])[:100]}" for one in error.errors())
