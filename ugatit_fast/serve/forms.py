"""Several pictures as one answer: a form, which browsers take apart with `response.formData()`."""

import secrets
from collections.abc import Mapping
from typing import TypeVar

from ugatit_fast.serve.uploads import FORM, SUFFIXES

Name = TypeVar("Name", bound=str)


def form_of(files: Mapping[Name, bytes], suffix: str) -> tuple[bytes, str]:
    """A multipart/form-data body of pictures by name, and its Content-Type."""
    media_type = next(kind for kind, written in SUFFIXES.items() if written == suffix)
    boundary = secrets.token_hex(16)
    parts = [
        f'--{boundary}\r\nContent-Disposition: form-data; name="{name}"; filename="{name}{suffix}"\r\n'
        f"Content-Type: {media_type}\r\n\r\n".encode()
        + content
        + b"\r\n"
        for name, content in files.items()
    ]
    return b"".join(parts) + f"--{boundary}--\r\n".encode(), f"{FORM}; boundary={boundary}"
