"""Archives of weights: as people pack them, as Google Drive and a Mac do, and as nobody who wishes well does."""

import io
import struct
import tarfile
import zipfile
from collections.abc import Callable
from pathlib import Path

import pytest
import torch

from tests.checkpoint.tensorflow_reference import RandomVariables, TensorFlowModel
from tests.tensor_bundle.bundle_writer import write_bundle
from ugatit_fast.checkpoint import read_checkpoint
from ugatit_fast.errors import CheckpointError
from ugatit_fast.model import Generator, GeneratorConfig
from ugatit_fast.weights import archives
from ugatit_fast.weights.archives import is_archive
from ugatit_fast.weights.locate import locate

TINY = GeneratorConfig(ch=2, n_res=1, light=True)


@pytest.fixture(scope="module")
def weights() -> bytes:
    """A .pt file."""
    torch.manual_seed(0)
    content = io.BytesIO()
    torch.save(Generator(TINY).state_dict(), content)
    return content.getvalue()


def packed(path: Path, files: dict[str, bytes], method: int = zipfile.ZIP_DEFLATED) -> Path:
    with zipfile.ZipFile(path, "w", method) as archive:
        for name, content in files.items():
            archive.writestr(name, content)
    return path


def tarred(path: Path, files: dict[str, bytes], mode: str = "w:gz") -> Path:
    with tarfile.open(path, mode) as archive:  # type: ignore[call-overload]
        for name, content in files.items():
            info = tarfile.TarInfo(name)
            info.size = len(content)
            archive.addfile(info, io.BytesIO(content))
    return path


def with_debris(weights: bytes) -> dict[str, bytes]:
    """As Google Drive and a Mac pack a folder."""
    return {
        "selfie2anime/.DS_Store": b"finder",
        "__MACOSX/selfie2anime/._anime.pt": b"fork",
        "selfie2anime/readme.txt": b"read me",
        "selfie2anime/anime.pt": weights,
    }


PACKERS: dict[str, Callable[[Path, dict[str, bytes]], Path]] = {
    "zip": packed,
    "zip, stored": lambda path, files: packed(path, files, zipfile.ZIP_STORED),
    "tar.gz": tarred,
    "tar": lambda path, files: tarred(path, files, "w"),
    "tar.xz": lambda path, files: tarred(path, files, "w:xz"),
}


@pytest.mark.parametrize("kind", PACKERS)
def test_weights_are_read_from_archives(weights: bytes, tmp_path: Path, cache_of_its_own: Path, kind: str) -> None:
    """Told by content: the name says nothing. Nothing else is unpacked, and it is done once."""
    archive = PACKERS[kind](tmp_path / "download", with_debris(weights))
    checkpoint = read_checkpoint(archive)
    assert checkpoint.config == TINY
    assert checkpoint.path.read_bytes() == weights
    unpacked = [path for path in cache_of_its_own.rglob("*") if path.is_file()]
    assert unpacked == [checkpoint.path]
    assert checkpoint.product(".onnx") == Path("anime-A2B.onnx"), "nothing that people make goes into the cache"
    before = checkpoint.path.stat().st_mtime_ns
    assert read_checkpoint(archive).path.stat().st_mtime_ns == before


@pytest.mark.parametrize("pack", [packed, tarred])
def test_a_tensorflow_run_keeps_its_folder_and_gives_its_newest_step(
    tmp_path: Path, cache_of_its_own: Path, pack: Callable[[Path, dict[str, bytes]], Path]
) -> None:
    """The folder's name says whether it was trained with smoothing."""
    model = TensorFlowModel(ch=2, light=True, discriminators=False, adam=False)
    run = tmp_path / "checkpoint" / "UGATIT_selfie2anime_smoothing"
    run.mkdir(parents=True)
    for step in (900, 1000):
        write_bundle(run / f"UGATIT.model-{step}", RandomVariables(model))
    (run / "UGATIT.model-1000.meta").write_bytes(b"a graph")
    files = {str(file.relative_to(tmp_path)): file.read_bytes() for file in sorted(run.iterdir())}
    checkpoint = read_checkpoint(pack(tmp_path / "run.archive", files))
    assert (checkpoint.step, checkpoint.smoothing) == (1000, True)
    unpacked = {path.name for path in cache_of_its_own.rglob("*") if path.is_file()}
    assert unpacked == {"UGATIT.model-1000.index", "UGATIT.model-1000.data-00000-of-00001"}


def test_an_archive_over_4_gib_as_a_mac_packs_it(
    weights: bytes, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Places and sizes that are left in 32 bits: here in 12, since four gigabytes are too many for a test."""
    monkeypatch.setattr(archives, "WRAP", 4096)
    archive = packed(tmp_path / "mac.zip", {"a.txt": bytes(range(256)) * 40, "m/anime.pt": weights, "z.txt": b"end"})
    assert archive.stat().st_size > 3 * 4096
    wrap_directory(archive)
    with zipfile.ZipFile(archive) as plain, pytest.raises(zipfile.BadZipFile):
        plain.read("m/anime.pt")
    assert read_checkpoint(archive).path.read_bytes() == weights


def wrap_directory(archive: Path, wrap: int = 4096) -> None:
    """Take what is above `wrap` off every place and size in the directory at the end of a zip file."""
    with zipfile.ZipFile(archive) as plain:
        infos, start = plain.infolist(), plain.start_dir
    content = bytearray(archive.read_bytes())
    at = start
    for info in infos:
        sizes = struct.pack("<2L", info.compress_size % wrap, info.file_size % wrap)
        content[at + 20 : at + 28] = sizes
        content[at + 42 : at + 46] = struct.pack("<L", info.header_offset % wrap)
        at += 46 + len(info.filename) + len(info.extra) + len(info.comment)
    content[-22 + 16 : -22 + 20] = struct.pack("<L", start % wrap)
    archive.write_bytes(content)


def test_a_file_of_pytorch_is_no_archive(weights: bytes, tmp_path: Path) -> None:
    (tmp_path / "anime.pt").write_bytes(weights)
    assert not is_archive(tmp_path / "anime.pt")
    assert not is_archive(tmp_path)
    assert not is_archive(tmp_path / "absent")


def test_a_folder_with_one_checkpoint_names_it(weights: bytes, tmp_path: Path) -> None:
    (tmp_path / "run" / "models").mkdir(parents=True)
    (tmp_path / "run" / "models" / "anime.pt").write_bytes(weights)
    assert locate(tmp_path / "run").path == tmp_path / "run" / "models" / "anime.pt"
    (tmp_path / "run" / "other.pt").write_bytes(weights)
    with pytest.raises(CheckpointError, match=r"2 files that could be the checkpoint \(models/anime.pt, other.pt\)"):
        locate(tmp_path / "run")


REFUSED: dict[str, tuple[Callable[[Path, bytes], Path], str]] = {
    "none": (lambda path, _: packed(path, {"a.txt": b"a"}), "holds no checkpoint; expected a .safetensors"),
    "several": (
        lambda path, weights: packed(path, {"a.pt": weights, "b.pt": weights}),
        r"2 files that could be the checkpoint \(a.pt, b.pt\); unpack it and name one",
    ),
    "outside": (lambda path, weights: packed(path, {"../a.pt": weights}), "lies outside it, '../a.pt'; don't trust it"),
    "outside, tar": (lambda path, weights: tarred(path, {"/a.pt": weights}), "lies outside it, '/a.pt'"),
    "cut": (
        lambda path, weights: cut(packed(path, {"a.txt": b"a", "a.pt": weights})),
        "is truncated or damaged",
    ),
    "cut tar": (lambda path, weights: cut(tarred(path, {"a.pt": weights})), "is damaged .*; download it again"),
    "bad bytes": (lambda path, weights: bent(packed(path, {"a.pt": weights})), "is damaged .*; download it again"),
    "bomb": (lambda path, _: packed(path, {"a.pt": bytes(80 * 2**20)}), "far more than weights do; don't trust it"),
    "tar bomb": (lambda path, _: tarred(path, {"a.pt": bytes(80 * 2**20)}), "far more than weights do"),
    "other method": (
        lambda path, weights: packed(path, {"a.pt": weights}, zipfile.ZIP_BZIP2),
        "packed by a method that isn't read",
    ),
}


def cut(archive: Path) -> Path:
    content = archive.read_bytes()
    archive.write_bytes(content[: len(content) * 2 // 3])
    return archive


def bent(archive: Path) -> Path:
    content = bytearray(archive.read_bytes())
    content[len(content) // 2] ^= 0xFF
    archive.write_bytes(content)
    return archive


@pytest.mark.parametrize("kind", REFUSED)
def test_refused_in_one_line_and_nothing_is_left(
    weights: bytes, tmp_path: Path, cache_of_its_own: Path, kind: str
) -> None:
    make, message = REFUSED[kind]
    with pytest.raises(CheckpointError, match=message) as raised:
        read_checkpoint(make(tmp_path / "file", weights))
    assert "\n" not in str(raised.value)
    assert [path for path in cache_of_its_own.rglob("*") if path.is_file()] == []


def test_an_encrypted_archive(weights: bytes, tmp_path: Path) -> None:
    archive = packed(tmp_path / "secret.zip", {"a.pt": weights})
    content = bytearray(archive.read_bytes())
    entry = content.rindex(b"PK\x01\x02")
    content[entry + 8] |= 1
    archive.write_bytes(content)
    with pytest.raises(CheckpointError, match="is encrypted; unpack it with its password"):
        read_checkpoint(archive)


def test_two_files_of_one_name(weights: bytes, tmp_path: Path) -> None:
    with pytest.warns(UserWarning, match="Duplicate name"):
        archive = zipped_twice(tmp_path / "two.zip", weights)
    with pytest.raises(CheckpointError, match="2 files that could be"):
        read_checkpoint(archive)


def zipped_twice(path: Path, weights: bytes) -> Path:
    with zipfile.ZipFile(path, "w") as archive:
        archive.writestr("a.pt", weights)
        archive.writestr("a.pt", weights)
    return path


def test_a_disk_that_is_too_small(weights: bytes, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    archive = packed(tmp_path / "a.zip", {"a.pt": weights})
    monkeypatch.setattr(archives, "disk_usage", lambda _: type("Usage", (), {"free": 10}))
    with pytest.raises(CheckpointError, match="free some space"):
        read_checkpoint(archive)
