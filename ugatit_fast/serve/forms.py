"""Several pictures as one answer: a form, which browsers take apart with `response.formData()`."""

import secrets
from collections.abc import Mapping
from typing import NamedTuple, TypeVar

from ugatit_fast.serve.uploads import FORM, SUFFIXES

Name = TypeVar("Name", bound=str)


class Picture(NamedTuple):
    """A picture as a file."""

    content: bytes
    suffix: str


def form_of(files: Mapping[Name, Picture]) -> tuple[bytes, str]:
    """A multipart/form-data body of pictures by name, and its Content-Type."""
    kinds = {suffix: kind for kind, suffix in SUFFIXES.items() if kind != FORM}
    boundary = secrets.token_hex(16)
    parts = [
        f'--{boundary}\r\nContent-Disposition: form-data; name="{name}"; filename="{name}{picture.suffix}"\r\n'
        f"Content-Type: {kinds[picture.suffix]}\r\n\r\n".encode()
        + picture.content
        + b"\r\n"
        for name, picture in files.items()
    ]
    return b"".join(parts) + f"--{boundary}--\r\n".encode(), f"{FORM}; boundary={boundary}"
