"""The published weights of the Inception network: found, fetched when asked to, and never used unchecked."""

import hashlib
from pathlib import Path

import torch

from ugatit_fast.errors import InputError
from ugatit_fast.files import make_folder, write_errors
from ugatit_fast.machine import cache_folder
from ugatit_fast.progress import Say
from ugatit_fast.train.evaluation.inception import Inception
from ugatit_fast.weights.web import fetch_known

NAME = "weights-inception-2015-12-05-6726825d.pth"
URL = f"https://github.com/toshas/torch-fidelity/releases/download/v0.2.0/{NAME}"
SHA256 = "6726825d0af5f729cebd5821db510b11b1cfad8faad88a03f1befd49fb9129b2"
"""Of the published file; pytorch-fid's pt_inception-2015-12-05-6726825d.pth is the same one."""
SIZE_BYTES = 95_628_359


def load_inception(path: Path | None, download: bool, say: Say) -> Inception:
    """The network with the published weights, on the CPU, for inference. Arguments and errors as `find_inception`."""
    file = find_inception(path, download, say)
    with torch.device("meta"):
        network = Inception()
    weights = dict(torch.load(file, map_location="cpu", weights_only=True))
    network.load_state_dict(weights, assign=True)
    return network.eval().requires_grad_(False)


def find_inception(path: Path | None, download: bool, say: Say) -> Path:
    """The file of the published weights, checked.

    path: the file; None takes the one that was downloaded before. download: fetch it if it wasn't. Raises InputError
    where there is no file, where it isn't the published one, and where it can't be fetched.
    """
    file = path or cache_folder() / NAME
    if path is None and not file.exists():
        if not download:
            raise InputError(
                f"the Inception weights are needed: name {NAME} with --inception, or fetch it with --download "
                f"({in_mb(SIZE_BYTES)}); or compare .npz files of features"
            )
        fetch(file, say)
    cure = "name the published file" if path else "delete it, and fetch it again with --download"
    check_digest(file, digest_of(file), cure)
    return file


def fetch(file: Path, say: Say) -> None:
    """Download the published weights to `file`, which appears only once all of it is there and is right."""
    say(f"fetching {URL} ({in_mb(SIZE_BYTES)}) to {file}")
    make_folder(file.parent)
    fetched = fetch_known(URL, "name the file with --inception")
    try:
        check_digest(URL, digest_of(fetched), "try again later, or name the file with --inception")
        with write_errors(file):
            fetched.replace(file)
    finally:
        fetched.unlink(missing_ok=True)


def digest_of(file: Path) -> str:
    try:
        with file.open("rb") as opened:
            return hashlib.file_digest(opened, "sha256").hexdigest()
    except OSError as error:
        raise InputError(f"{file} can't be read ({error.strerror}); check its name and permissions") from error


def check_digest(name: Path | str, digest: str, cure: str) -> None:
    if digest != SHA256:
        raise InputError(
            f"{name} isn't the published Inception network: expected SHA-256 {SHA256}, got {digest}; {cure}"
        )


def in_mb(size_bytes: int) -> str:
    return f"{size_bytes / 1e6:.1f} MB"
