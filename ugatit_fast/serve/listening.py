"""Where a server listens, and who may come in; costs nothing to import."""

import os
from dataclasses import dataclass, replace
from pathlib import Path

from ugatit_fast.errors import InputError
from ugatit_fast.serve.settings import ServeSettings

KEY_VARIABLE = "UGATIT_API_KEY"
LOCAL_NAMES = ("localhost", "127.0.0.1", "[::1]")


@dataclass(frozen=True, kw_only=True)
class Listening:
    """An address of this machine, and the key to what is served there."""

    host: str = "127.0.0.1"
    """The address to listen on. One that other machines can reach needs an API key."""
    port: int = 8000
    """0 takes a free one."""
    api_key_file: Path | None = None
    """A file whose content clients must send as a bearer token; the variable UGATIT_API_KEY does the same."""
    access_log: bool = False
    """Write a line for each request to stderr: when, from which address, what, and the status it got."""

    @property
    def api_key(self) -> str | None:
        """The key in the file or, without one, in the environment; None where there is neither. Raises InputError."""
        if self.api_key_file is None:
            return os.environ.get(KEY_VARIABLE) or None
        try:
            return self.api_key_file.read_text(encoding="utf-8").strip()
        except (OSError, UnicodeDecodeError) as error:
            raise InputError(f"the API key can't be read from {self.api_key_file} ({error}); check the path") from error

    @property
    def names(self) -> tuple[str, ...]:
        """What a request to an address of this machine may call it."""
        return tuple(dict.fromkeys((f"[{self.host}]" if ":" in self.host else self.host, *LOCAL_NAMES)))

    def guarded(self, settings: ServeSettings) -> ServeSettings:
        """Settings that let in who has the key or, where there is none, who calls this machine by its own names."""
        key = self.api_key
        return replace(settings, api_key=key, hosts=() if key else self.names)
