"""Archives are made here with zipfile, and spoilt by hand where it wouldn't."""

import contextlib
import io
import struct
import warnings
import zipfile
import zlib
from collections.abc import Callable
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


# Names of other systems


def named(*stored: bytes, extra: Callable[[bytes], bytes] = lambda stored: b"") -> bytes:
    """An archive whose names are these bytes, without the mark of UTF-8."""
    places = [f"@{i}".ljust(len(name), "@") for i, name in enumerate(stored)]
    file = io.BytesIO()
    with zipfile.ZipFile(file, "w") as archive:
        for place, name in zip(places, stored, strict=True):
            info = zipfile.ZipInfo(place)
            info.extra = extra(name)
            archive.writestr(info, name)
    content = file.getvalue()
    for place, name in zip(places, stored, strict=True):
        content = content.replace(place.encode(), name)
    return content


def info_zip(name: str) -> Callable[[bytes], bytes]:
    """The extra field that Info-ZIP writes."""

    def extra(stored: bytes) -> bytes:
        content = struct.pack("<BI", 1, zlib.crc32(stored)) + name.encode()
        return struct.pack("<HH", 0x5455, 1) + b"x" + struct.pack("<HH", 0x7075, len(content)) + content

    return extra


NAMES = ["Müller.png", "Mu\u0308ller.png", "日本/写真.jpg", "фото.png", "😀.png", "ascii.png"]


@pytest.mark.parametrize("name", NAMES)
def test_names_in_utf8_without_the_mark(name: str, recwarn: pytest.WarningsRecorder) -> None:
    archive = Archive(io.BytesIO(named(name.encode())), "photos.zip")
    assert archive.members == [PurePosixPath(name)]
    assert archive.read(PurePosixPath(name)) == name.encode()
    archive.warn_of_guesses()
    assert not recwarn.list


@pytest.mark.parametrize("name", NAMES)
def test_names_with_the_mark(name: str, recwarn: pytest.WarningsRecorder) -> None:
    assert Archive(io.BytesIO(packed((name, b"x"))), "photos.zip").members == [PurePosixPath(name)]
    assert not recwarn.list


@pytest.mark.parametrize("name", NAMES)
def test_names_in_info_zip_s_extra_field(name: str, recwarn: pytest.WarningsRecorder) -> None:
    stored = name.encode("cp1252", errors="replace")
    archive = Archive(io.BytesIO(named(stored, extra=info_zip(name))), "photos.zip")
    assert archive.members == [PurePosixPath(name)]
    archive.warn_of_guesses()
    assert not recwarn.list


def test_an_extra_field_of_another_name_is_passed_over() -> None:
    """Whoever renamed the member didn't know it."""
    content = named(b"new.png", extra=lambda stored: info_zip("old.png")(b"old.png"))
    assert Archive(io.BytesIO(content), "photos.zip").members == [PurePosixPath("new.png")]


@pytest.mark.parametrize(
    ("name", "encoding", "expected"),
    [
        ("Müller.png", "cp437", "Müller.png"),
        ("Müller.png", "cp850", "Müller.png"),
        ("写真.png", "cp932", None),
        ("фото.png", "cp866", None),
        ("照片.png", "gbk", None),
    ],
)
def test_names_in_an_alphabet_that_nobody_told(name: str, encoding: str, expected: str | None) -> None:
    stored = name.encode(encoding)
    archive = Archive(io.BytesIO(named(stored, b"plain.png")), "photos.zip")
    with pytest.warns(UserWarning, match=r"photos\.zip .* 1 of its names .*unpack it") as told:
        archive.warn_of_guesses()
    assert len(told) == 1
    assert archive.members == [PurePosixPath(expected or stored.decode("cp437")), PurePosixPath("plain.png")]
    assert archive.read(archive.members[0]) == stored


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


@pytest.mark.parametrize(
    "content",
    [b"", b"hello", b"PK\x03\x04", packed(("a.png", b"x" * 500))[:-30]],
    ids=["nothing", "a word", "a beginning", "cut off"],  # not the bytes, which the clock is among
)
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
