"""What clients send: request bodies within their limits, the photo or photos in them, and the answer they accept.

    request -> bounded (size, pace) -> one_photo | photos -> decoded elsewhere

Nothing is held in memory beyond `SPOOL_BYTES` an upload; the rest waits in unnamed temporary files.
"""

import asyncio
import re
import struct
from collections.abc import AsyncIterator, Callable, Iterator
from contextlib import asynccontextmanager
from dataclasses import dataclass
from email.errors import HeaderParseError
from email.header import decode_header, make_header
from functools import partial
from pathlib import PurePosixPath
from tempfile import SpooledTemporaryFile
from typing import IO, BinaryIO, Literal, cast
from urllib.parse import unquote
from zipfile import ZIP_DEFLATED, ZIP_STORED

from starlette.datastructures import FormData, UploadFile
from starlette.exceptions import HTTPException
from starlette.requests import ClientDisconnect, Request
from starlette.types import Message, Receive

from ugatit_fast.errors import InputError
from ugatit_fast.media.archives import Archive
from ugatit_fast.serve.problems import CLIENT_GONE, Problem
from ugatit_fast.serve.settings import ServeSettings

MIB = 2**20
SPOOL_BYTES = MIB
PACE_BYTES = MIB
"""What must have come in each `body_timeout_s`, on average; 50 KiB/s as the settings are."""
FORM_BYTES = 64 * 1024
"""What a form may add to the files in it: boundaries and headers."""
MAX_FIELDS = 20
"""Of a form, beside its files: nobody reads them, but clients send some with every form."""
FORM: Literal["multipart/form-data"] = "multipart/form-data"
PHOTO_TYPES = ("image/", "application/octet-stream")
ZIP_TYPES = ("application/zip", "application/x-zip-compressed")
LONGEST_NAME = 120
MAX_JPEG_SCANS = 100
"""Cameras write 1, the most ambitious encoders about 20; a small file of thousands keeps a decoder busy for hours."""

Answer = Literal["image/png", "image/webp", "image/jpeg", "multipart/form-data"]
SUFFIXES: dict[Answer, str] = {"image/png": ".png", "image/webp": ".webp", "image/jpeg": ".jpg", FORM: ".png"}
"""What a translation can be sent as, best first, and the format of the pictures in it."""
OTHER_NAMES = {"image/jpg": "image/jpeg", "image/pjpeg": "image/jpeg", "image/x-png": "image/png"}
"""What clients also call them."""


@dataclass(frozen=True)
class Photo:
    """A photo file that a client sent."""

    name: str
    """What the client calls it: for messages, and for the name of its translation; never a path."""
    open: Callable[[], IO[bytes] | bytes]
    """Its content, for `images.decode_image`; may take long and raise InputError."""


# The body ----------------------------------------------------------------------------------------------------------


def bounded(request: Request, max_bytes: int, timeout_s: float) -> Request:
    """The request with a body that raises Problem once it is too large (413) or comes too slowly (408)."""
    too_large = Problem(413, f"the body is larger than {max_bytes / MIB:.0f} MiB; send smaller photos, or fewer")
    declared = request.headers.get("content-length", "0")
    if not declared.isdecimal() or int(declared) > max_bytes:
        raise too_large
    return Request(request.scope, paced_receive(request.receive, too_large, max_bytes, timeout_s))


def paced_receive(receive: Receive, too_large: Problem, max_bytes: int, timeout_s: float) -> Receive:
    start = asyncio.get_running_loop().time()
    received = 0
    complete = False

    async def paced() -> Message:
        nonlocal received, complete
        if complete:  # what comes now is the client leaving
            return await receive()
        try:
            async with asyncio.timeout_at(start + timeout_s * (1 + received / PACE_BYTES)):
                message = await receive()
        except TimeoutError:
            slow = "the body came too slowly; send it again over a better connection"
            raise Problem(408, slow, {"Connection": "close"}) from None
        received += len(message.get("body", b""))
        complete = not message.get("more_body", False)
        if received > max_bytes:
            raise too_large
        return message

    return paced


@asynccontextmanager
async def one_photo(request: Request, settings: ServeSettings) -> AsyncIterator[Photo]:
    """The photo in a body: the body itself, or the one file of a form. Raises Problem."""
    request = bounded(request, settings.max_upload_mib * MIB + FORM_BYTES, settings.body_timeout_s)
    kind = content_type_of(request)
    if kind == FORM:
        async with form_files(request, 1) as files:
            if len(files) != 1:
                raise Problem(400, f"expected one photo in the form, got {len(files)}")
            yield photo_of(files[0], settings)
    elif kind.startswith(PHOTO_TYPES):
        async with raw_body(request) as body:
            yield Photo("the photo", lambda: body)
    else:
        raise Problem(
            415, f"expected a form ({FORM}) with one file, or a photo as the body (image/...), got {kind or 'no type'}"
        )


@asynccontextmanager
async def photos(request: Request, settings: ServeSettings) -> AsyncIterator[list[Photo]]:
    """The photos in a body: a form's files, or those in a zip archive, its only file or the body. Raises Problem."""
    max_bytes = settings.max_archive_mib * MIB + FORM_BYTES * settings.max_files
    request = bounded(request, max_bytes, settings.body_timeout_s)
    kind = content_type_of(request)
    if kind == FORM:
        async with form_files(request, settings.max_files) as files:
            if len(files) == 1 and await starts_as_zip(files[0]):
                yield await asyncio.to_thread(unpacked, files[0].file, settings)
            else:
                yield [photo_of(file, settings) for file in files]
    elif kind in ZIP_TYPES:
        async with raw_body(request) as body:
            yield await asyncio.to_thread(unpacked, body, settings)
    else:
        raise Problem(415, f"expected a form ({FORM}) with files, or a zip archive as the body ({ZIP_TYPES[0]})")


def content_type_of(request: Request) -> str:
    return request.headers.get("content-type", "").partition(";")[0].strip().lower()


@asynccontextmanager
async def form_files(request: Request, max_files: int) -> AsyncIterator[list[UploadFile]]:
    """The files of a form; what else is in it is passed over."""
    try:
        form: FormData = await request.form(max_files=max_files, max_fields=MAX_FIELDS, max_part_size=FORM_BYTES)
    except HTTPException as error:
        hint = f"expected a form with at most {max_files} file(s), each with a filename, and {MAX_FIELDS} other fields"
        raise Problem(400, f"{hint}: {error.detail}") from error
    except ClientDisconnect as error:
        raise client_gone() from error
    try:
        files = [value for _, value in form.multi_items() if isinstance(value, UploadFile)]
        if not files:
            raise Problem(400, "the form holds no file; send each photo as a file, with a filename")
        yield files
    finally:
        await form.close()


@asynccontextmanager
async def raw_body(request: Request) -> AsyncIterator[IO[bytes]]:
    with SpooledTemporaryFile(SPOOL_BYTES) as file:
        body = UploadFile(cast("BinaryIO", file), size=0)  # writes on a thread once the file is on disk
        try:
            async for chunk in request.stream():
                await body.write(chunk)
        except ClientDisconnect as error:
            raise client_gone() from error
        file.seek(0)
        yield file


def client_gone() -> Problem:
    return Problem(CLIENT_GONE, "the client left before its upload was complete")


# Photos ------------------------------------------------------------------------------------------------------------


def photo_of(file: UploadFile, settings: ServeSettings) -> Photo:
    name = plain_name(name_of(file))

    def content() -> IO[bytes]:
        if (file.size or 0) > settings.max_upload_mib * MIB:
            raise InputError(f"{name} is larger than {settings.max_upload_mib} MiB; make it smaller")
        return file.file

    return Photo(name, content)


EXTENDED_NAME = re.compile(r"""(?:^|;)\s*filename\*\s*=\s*([\w-]+)'[^']*'([^;\s]+)""", re.IGNORECASE)
"""RFC 5987: an alphabet, a language, and what is percent-encoded."""


def name_of(file: UploadFile) -> str:
    """What a client calls a file: its `filename*` if it sends one, else its `filename`, MIME's encoded words decoded.

    Parsers of forms leave both as they are: RFC 7578 knows neither.
    """
    try:
        if extended := EXTENDED_NAME.search(file.headers.get("content-disposition", "")):
            alphabet, encoded = extended.groups()
            return unquote(encoded, alphabet)
        return str(make_header(decode_header(file.filename or "")))
    except (LookupError, ValueError, HeaderParseError):  # an unknown alphabet, or bytes that aren't of it
        return file.filename or ""


def plain_name(name: str) -> str:
    """A client's file name without its folders and without anything that could break a line; short."""
    last = re.split(r"[/\\]", name)[-1]
    return "".join(letter for letter in last if letter.isprintable()).strip()[-LONGEST_NAME:] or "the photo"


async def starts_as_zip(file: UploadFile) -> bool:
    start = await file.read(4)
    await file.seek(0)
    return start in (b"PK\x03\x04", b"PK\x05\x06")


def unpacked(file: IO[bytes], settings: ServeSettings) -> list[Photo]:
    """The photos of an archive, each unpacked when it is its turn. Raises Problem."""
    check_directory(file, settings.max_files)
    try:
        archive = Archive(
            file,
            "the archive",
            max_members=settings.max_files,
            max_member_bytes=settings.max_upload_mib * MIB,
            max_archive_bytes=settings.max_archive_mib * MIB,
        )
    except InputError as error:
        raise Problem(422, str(error)) from error
    if any(info.compress_type not in (ZIP_STORED, ZIP_DEFLATED) for info in archive.infos.values()):
        raise Problem(422, "the archive is compressed in a way other than deflate; pack it again")
    found = [member for member in archive.members if not is_clutter(member)]
    if not found:
        raise Problem(422, "the archive holds no files")
    return [Photo(plain_name(member.name), partial(archive.read, member)) for member in found]


def is_clutter(member: PurePosixPath) -> bool:
    """What macOS and file managers add to archives."""
    return any(part.startswith(".") or part == "__MACOSX" for part in member.parts)


def check_directory(file: IO[bytes], max_files: int) -> None:
    """Raises Problem where an archive's list of members is much larger than `max_files` of them take.

    zipfile makes an object for each member before anyone can count them. (APPNOTE.TXT 4.3.16, the last record: its
    signature, two disk numbers, two counts, and the size of the list; ZIP64 isn't needed below 4 GiB.)
    """
    size = file.seek(0, 2)
    file.seek(max(0, size - (1 << 16) - 64))
    tail = file.read()
    at = tail.rfind(b"PK\x05\x06")
    if at < 0 or len(tail) < at + 22:
        raise Problem(422, "the archive is not a zip archive, or a damaged one; pack it again")
    (list_bytes,) = struct.unpack_from("<I", tail, at + 12)
    if list_bytes > 4 * 1024 * max_files or b"PK\x06\x07" in tail[max(0, at - 20) : at]:
        raise Problem(422, f"the archive lists too many files; expected at most {max_files}: split it")
    file.seek(0)


MARKER = re.compile(rb"\xff[^\x00\x01\xd0-\xd7\xff]")
_SCAN, _END = 0xDA, 0xD9


def refuse_endless_jpeg(content: IO[bytes] | bytes, name: str) -> None:
    """Raises InputError for a JPEG file of more than `MAX_JPEG_SCANS` scans. Leaves a file at its beginning."""
    if not isinstance(content, bytes):
        content.seek(0)
    data = content if isinstance(content, bytes) else content.read()
    if not isinstance(content, bytes):
        content.seek(0)
    if data[:2] == b"\xff\xd8" and sum(1 for _ in scans_of(data)) > MAX_JPEG_SCANS:
        raise InputError(f"{name} is a JPEG file of more than {MAX_JPEG_SCANS} scans; export it again")


def scans_of(jpeg: bytes) -> Iterator[int]:
    """Where the scans of a JPEG file's own picture begin; thumbnails and what follows the picture aren't looked at."""
    at = 2
    while marker := MARKER.search(jpeg, at):
        at, code = marker.end(), marker.group()[1]
        if code == _END:
            return
        if code == _SCAN:
            yield at
        at += int.from_bytes(jpeg[at : at + 2])  # a segment's length; in a scan, that of its header


# The answer --------------------------------------------------------------------------------------------------------


def accepted(accept: str | None) -> Answer:
    """What an Accept header likes best of `SUFFIXES`; PNG where it has no preference. Raises Problem (406)."""
    wanted: dict[str, float] = {}
    for part in (accept or "*/*").split(","):
        kind, *parameters = (piece.strip().lower() for piece in part.split(";"))
        quality = next((value[2:] for value in parameters if value.startswith("q=")), "1")
        liked = float(quality) if re.fullmatch(r"[01](\.\d*)?|\.\d+", quality) else 1.0
        wanted[OTHER_NAMES.get(kind, kind)] = min(liked, 1.0)

    def liking(answer: Answer) -> float:
        ranges = (answer, answer.partition("/")[0] + "/*", "*/*")
        return next((wanted[kind] for kind in ranges if kind in wanted), 0.0)

    best = max(SUFFIXES, key=liking)
    if liking(best) <= 0:
        raise Problem(406, f"translations come as {', '.join(SUFFIXES)}; accept one of them")
    return best
