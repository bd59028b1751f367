"""Archives are made here with zipfile, and spoilt by hand where it wouldn't."""

import contextlib
import io
import struct
import warnings
import zipfile
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path, PurePosixPath

import pytest
from hypothesis import given
from hypothesis import strategies as st

from ugatit_fast.errors import InputError
from ugatit_fast.media.archives import Archive, safe_path


def packed(*members: tuple[str, bytes], compression: int = zipfile.ZIP_DEFLATED) -> bytes:
    file = io.BytesIO()
    with warnings.catch_warnings(), zipfile.ZipFile(file, "w", compression) as archive:
        warnings.simplefilter("ignore")  # zipfile warns of two members of one name
        for name, content in members:
            archive.writestr(name, content)
    return file.getvalue()


def refusal(content: bytes, **limits: int) -> str:
    with pytest.raises(InputError) as caught:
        Archive(io.BytesIO(content), "photos.zip", **limits)
    assert "photos.zip" in str(caught.value)
    assert "\n" not in str(caught.value)
    return str(caught.value)


def test_members_are_read_by_many_threads() -> None:
    contents = {f"a/{i}.png": bytes([i]) * 5000 for i in range(50)}
    archive = Archive(io.BytesIO(packed(*contents.items(), ("empty/", b""))), "photos.zip")
    assert [str(member) for member in archive.members] == list(contents)
    with ThreadPoolExecutor(8) as pool:
        assert list(pool.map(archive.read, archive.members * 3)) == list(contents.values()) * 3


def test_names_that_windows_packed() -> None:
    archive = Archive(io.BytesIO(packed(("a\\b.png", b"x"))), "photos.zip")
    assert archive.members == [PurePosixPath("a/b.png")]


@pytest.mark.parametrize("name", ["../a.png", "a/../../b.png", "/etc/a.png", "C:/a.png", "c:a.png", "\\\\host\\a.png"])
def test_names_that_lead_outside(name: str) -> None:
    assert safe_path(name) is None
    assert "outside" in refusal(packed(("fine.png", b"x"), (name, b"x")))


@given(st.text(max_size=30))
def test_a_safe_name_stays_below(name: str) -> None:
    path = safe_path(name)
    if path is not None:
        root = Path("/somewhere/safe")
        assert (root / path).is_relative_to(root)
        assert ".." not in path.parts


def test_two_members_of_one_name() -> None:
    assert "two files" in refusal(packed(("a.png", b"x"), ("a.png", b"y")))
    assert "two files" in refusal(packed(("a/b.png", b"x"), ("a\\b.png", b"y")))


def test_limits_are_on_what_the_archive_unpacks_to() -> None:
    bomb = packed(("a.png", bytes(3_000_000)), ("b.png", bytes(3_000_000)))
    assert len(bomb) < 10_000
    assert "MiB a photo" in refusal(bomb, max_member_bytes=2 * 2**20)
    assert "GiB" in refusal(bomb, max_archive_bytes=5_000_000)
    assert "at most 1" in refusal(bomb, max_members=1)
    Archive(io.BytesIO(bomb), "photos.zip", max_member_bytes=3_000_000, max_archive_bytes=6_000_000, max_members=2)


def test_a_size_that_lies_is_found_out() -> None:
    """A member that says it is small, and isn't: no more than it says is unpacked."""
    content = packed(("a.png", bytes(3_000_000)))
    lying = content.replace(struct.pack("<I", 3_000_000), struct.pack("<I", 1000))
    archive = Archive(io.BytesIO(lying), "photos.zip", max_member_bytes=2000)
    with pytest.raises(InputError, match=r"photos\.zip/a\.png can't be unpacked"):
        archive.read(archive.members[0])


def test_encrypted() -> None:
    content = bytearray(packed(("a.png", b"secret")))
    content[content.index(b"PK\x01\x02") + 8] |= 1
    assert "encrypted" in refusal(bytes(content))


@pytest.mark.parametrize("content", [b"", b"hello", b"PK\x03\x04", packed(("a.png", b"x" * 500))[:-30]])
def test_what_is_no_archive(content: bytes) -> None:
    assert "not a zip archive" in refusal(content)


def test_a_file_that_cannot_be_read(tmp_path: Path) -> None:
    with pytest.raises(InputError, match="can't be read"):
        Archive(tmp_path / "missing.zip", "missing.zip")


def test_a_damaged_member_harms_no_other() -> None:
    content = bytearray(packed(("a.png", b"first" * 100), ("b.png", b"second"), compression=zipfile.ZIP_STORED))
    content[content.index(b"first")] ^= 1
    archive = Archive(io.BytesIO(bytes(content)), "photos.zip")
    with pytest.raises(InputError, match=r"a\.png can't be unpacked"):
        archive.read(PurePosixPath("a.png"))
    assert archive.read(PurePosixPath("b.png")) == b"second"


@given(data=st.data())
def test_spoilt_archives_give_an_input_error_or_what_they_hold(data: st.DataObject) -> None:
    """Names can be spoilt unseen, contents can't: a checksum is over them."""
    contents = {b"first" * 20, bytes(300)}
    content = bytearray(packed(("a.png", b"first" * 20), ("b/c.png", bytes(300))))
    for _ in range(data.draw(st.integers(1, 6))):
        content[data.draw(st.integers(0, len(content) - 1))] = data.draw(st.integers(0, 255))
    try:
        archive = Archive(io.BytesIO(bytes(content)), "photos.zip")
    except InputError:
        return
    for member in archive.members:
        with contextlib.suppress(InputError):
            assert archive.read(member) in contents
