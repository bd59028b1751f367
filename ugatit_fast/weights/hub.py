"""Checkpoints on the Hugging Face Hub: hf://ORG/REPO[@REVISION][/FILE] -> a local path.

huggingface_hub keeps what it fetched in its cache, asks for the user's token where one is needed, and is imported only
when such a name is used.
"""

import os
import re
from importlib import import_module
from pathlib import Path
from types import ModuleType
from typing import NamedTuple
from urllib.parse import unquote

from ugatit_fast.errors import CheckpointError
from ugatit_fast.machine import pip_install
from ugatit_fast.weights.choice import checkpoint_among

REFERENCE = re.compile(r"hf:/{1,2}(?P<repo>[^/@]+/[^/@]+)(@(?P<revision>[^/]+))?(/(?P<file>.*))?")
"""One slash too: a Path keeps no two."""
SHARD_OR_INDEX = re.compile(r"(?P<prefix>.+)\.(index|data-\d{5}-of-\d{5})")


class Reference(NamedTuple):
    """A file on the hub, or the one checkpoint of a repository."""

    repo: str
    revision: str | None
    file: str | None


def is_reference(path: str | Path) -> bool:
    return str(path).startswith("hf:/")


def parse_reference(text: str) -> Reference:
    found = REFERENCE.fullmatch(text)
    if found is None:
        raise CheckpointError(
            f"cannot read {text}: expected hf://ORG/REPO, hf://ORG/REPO@REVISION or either with /FILE"
        )
    revision = found["revision"]
    return Reference(found["repo"], revision and unquote(revision), found["file"] or None)


def fetch(text: str | Path, offline: bool = False) -> Path:
    """The local path of a checkpoint on the hub, downloaded unless it is in the cache.

    offline: only look in the cache; so does HF_HUB_OFFLINE=1. Raises CheckpointError: not found, no access, no network,
    several checkpoints to choose from, huggingface_hub not installed.
    """
    text = re.sub("^hf:/+", "hf://", str(text))
    reference = parse_reference(text)
    offline = offline or os.environ.get("HF_HUB_OFFLINE", "").upper() in ("1", "ON", "YES", "TRUE")
    hub = import_hub(text)
    try:
        file = reference.file or only_checkpoint(hub, reference, offline)
        bundle = SHARD_OR_INDEX.fullmatch(file)
        wanted = [f"{bundle['prefix']}.index", f"{bundle['prefix']}.data-*"] if bundle else [file]
        folder = hub.snapshot_download(
            reference.repo, revision=reference.revision, allow_patterns=wanted, local_files_only=offline
        )
    except CheckpointError:
        raise
    except Exception as error:  # the client passes on what its network stack raises, which no one class covers
        reason = str(error).strip().partition("\n")[0] or type(error).__name__
        cure = (
            "fetch it once while online" if offline else "check the name, your access (hf auth login) and the network"
        )
        raise CheckpointError(f"cannot fetch {text}: {reason}; {cure}") from error
    path = Path(folder, file)
    if not path.is_file():
        where = "in the cache; fetch it once while online" if offline else f"in {reference.repo}; check the name"
        raise CheckpointError(f"cannot fetch {text}: there is no {file} {where}")
    return path


def import_hub(text: str) -> ModuleType:
    try:
        return import_module("huggingface_hub")
    except ImportError as error:
        raise CheckpointError(
            f"reading {text} needs huggingface_hub, which is not installed: {pip_install('hub')}"
        ) from error


def only_checkpoint(hub: ModuleType, reference: Reference, offline: bool) -> str:
    """The one file of a repository that can be a checkpoint."""
    if offline:
        raise CheckpointError(f"offline, a repository can't be searched; name the file: hf://{reference.repo}/FILE")
    files = hub.list_repo_files(reference.repo, revision=reference.revision)
    return checkpoint_among(files, f"hf://{reference.repo}", f"name one: hf://{reference.repo}/FILE")[0]
