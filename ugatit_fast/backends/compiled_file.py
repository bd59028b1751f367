"""What a runtime compiled of an engine, kept in a file beside it, for the next start.

    SHA-256 of key and contents (32 bytes) | contents

The key says what it was compiled of, by what and for what. A file of another key and one that is damaged don't have the
sum that is expected of it: either is as good as none.
"""

import hashlib
from contextlib import suppress
from pathlib import Path

from ugatit_fast.errors import InputError
from ugatit_fast.files import written_whole

SUM_BYTES = 32


def kept(engine: Path, key: str) -> bytes | None:
    """What was kept under this key; None where there is none."""
    try:
        content = compiled_file(engine).read_bytes()
    except OSError:
        return None
    compiled = content[SUM_BYTES:]
    return compiled if content[:SUM_BYTES] == checksum(key, compiled) else None


def keep(engine: Path, key: str, compiled: bytes) -> None:
    """Keep it where the folder can be written; elsewhere the next start compiles again, which is all that is lost."""
    with suppress(InputError), written_whole(compiled_file(engine)) as partial:
        partial.write_bytes(checksum(key, compiled) + compiled)


def compiled_file(engine: Path) -> Path:
    return engine.with_name(f"{engine.name}.compiled")


def checksum(key: str, compiled: bytes) -> bytes:
    return hashlib.sha256(hashlib.sha256(key.encode()).digest() + compiled).digest()
