"""Formats beside the everyday ones, and what is said of those that aren't read."""

import importlib.util
import io
import struct
import sys
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from tests.media.test_colour import expected
from ugatit_fast.errors import InputError
from ugatit_fast.media.animation import is_animated
from ugatit_fast.media.folders import photos_below
from ugatit_fast.media.images import decode_image, decode_photo, load_image
from ugatit_fast.media.video import is_transport_stream

needs_heif = pytest.mark.skipif(importlib.util.find_spec("pillow_heif") is None, reason="pillow-heif isn't installed")
needs_jxl = pytest.mark.skipif(importlib.util.find_spec("pillow_jxl") is None, reason="no pillow-jxl-plugin")
COLOUR = (200, 40, 40)


def encoded(kind: str, **options: object) -> bytes:
    if kind == "HEIF":
        import pillow_heif

        pillow_heif.register_heif_opener()
        options = {"quality": 100} | options
    if kind == "JXL":
        import pillow_jxl  # noqa: F401

        options = {"lossless": True} | options
    buffer = io.BytesIO()
    Image.new("RGB", (64, 48), COLOUR).save(buffer, kind, **options)
    return buffer.getvalue()


KINDS = [
    pytest.param("HEIF", marks=needs_heif),
    pytest.param("JXL", marks=needs_jxl),
    pytest.param("JPEG2000", marks=[]),
    pytest.param("TGA", marks=[]),
    pytest.param("MPO", marks=[]),
]


@pytest.mark.parametrize("kind", KINDS)
def test_formats(tmp_path: Path, kind: str) -> None:
    suffixes = {"HEIF": (".heic", ".heif", ".HIF", ".jpg"), "TGA": (".tga", ".TGA"), "MPO": (".mpo", ".jpg")}
    for suffix in suffixes.get(kind, (".jxl", ".jp2")):
        path = tmp_path / f"a{suffix}"
        path.write_bytes(encoded(kind))
        np.testing.assert_allclose(load_image(path)[20, 20], COLOUR, atol=3)
        assert photos_below(tmp_path) == [path]
        assert not is_animated(path)
        path.unlink()


@pytest.mark.parametrize("kind", KINDS[:2])
def test_upright_and_dated(kind: str) -> None:
    exif = Image.Exif()
    exif[0x112], exif[0x132] = 6, "2024:05:01 10:00:00"
    decoded = decode_photo(encoded(kind, exif=exif.tobytes()), "a", keep="date")
    assert decoded.pixels.shape == (64, 48, 3)
    assert b"2024:05:01 10:00:00" in decoded.exif


@needs_heif
@pytest.mark.parametrize(("primaries", "transfer"), [(1, 13), (9, 13), (12, 13), (12, 1)])
def test_colours_of_heic(primaries: int, transfer: int) -> None:
    content = encoded("HEIF")
    at = content.index(b"nclx") + 4
    content = content[:at] + struct.pack(">HH", primaries, transfer) + content[at + 4 :]
    np.testing.assert_allclose(decode_image(content, "a")[20, 20], expected(COLOUR, primaries), atol=4)


@pytest.mark.parametrize("brand", [b"heic", b"heix", b"mif1"])
@pytest.mark.parametrize("library", ["pillow_heif", "pillow_jxl"])
def test_a_missing_library_is_named(monkeypatch: pytest.MonkeyPatch, brand: bytes, library: str) -> None:
    for module in (library, f"{library}.JpegXLImagePlugin"):
        monkeypatch.setitem(sys.modules, module, None)
    heic = struct.pack(">I", 24) + b"ftyp" + brand + bytes(4) + b"mif1heic"
    content = heic if library == "pillow_heif" else b"\xff\x0a" + bytes(20)
    with pytest.raises(
        InputError, match=r'photo\.x is a (HEIC|JPEG XL).* picture, which takes pillow-.*: pip install ".*\[formats\]"'
    ):
        decode_image(content, "photo.x")


def test_avif_of_an_open_brand_is_not_taken_for_heic(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "pillow_heif", None)
    content = encoded("AVIF", quality=100)
    size = struct.unpack_from(">I", content)[0]
    assert b"avif" in content[16:size]
    np.testing.assert_allclose(decode_image(content[:8] + b"mif1" + content[12:], "a")[20, 20], COLOUR, atol=4)


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("kept", [0.02, 0.5, 0.9])
def test_cut_off(kind: str, kept: float) -> None:
    content = encoded(kind, lossless=False) if kind == "JXL" else encoded(kind)
    name = "photo.tga" if kind == "TGA" else "photo.x"
    if kind == "MPO":
        kept = min(kept, 0.5)
    with pytest.raises(InputError, match=r"photo\.(x|tga) is (a damaged|not an image)"):
        decode_image(content[: max(4, int(len(content) * kept))], name)


# Several pictures in a file


@pytest.mark.parametrize("pages", [1, 2, 5])
def test_pages_left_out_are_told(tmp_path: Path, pages: int, recwarn: pytest.WarningsRecorder) -> None:
    more = [Image.new("RGB", (64, 48), (n, n, n)) for n in range(pages - 1)]
    content = encoded("TIFF", save_all=True, append_images=more)
    path = tmp_path / "scan.tif"
    path.write_bytes(content)
    np.testing.assert_array_equal(load_image(path)[20, 20], COLOUR)
    told = [str(warning.message) for warning in recwarn.list]
    assert told == ([] if pages == 1 else [told[0]])
    if pages > 1:
        assert f"scan.tif holds {pages} pages; only the first is taken, and {pages - 1} left out" in told[0]


@needs_heif
def test_other_pictures_of_a_heic_are_told() -> None:
    content = encoded("HEIF", save_all=True, append_images=[Image.new("RGB", (64, 48))] * 2)
    decoded = decode_photo(content, "burst.heic")
    np.testing.assert_allclose(decoded.pixels[20, 20], COLOUR, atol=4)
    with pytest.warns(UserWarning, match=r"burst\.heic holds 3 pictures; only the first is taken, and 2 left out"):
        decoded.warn_of_others(Path("burst.heic"))


def test_the_second_eye_of_an_mpo_is_no_page() -> None:
    content = encoded("MPO", save_all=True, append_images=[Image.new("RGB", (64, 48))])
    decoded = decode_photo(content, "a.mpo")
    np.testing.assert_allclose(decoded.pixels[20, 20], COLOUR, atol=4)
    assert decoded.others == ""


@pytest.mark.parametrize("kind", ["GIF", "WEBP", "PNG"])
def test_an_animation_taken_for_a_photo(kind: str) -> None:
    content = encoded(kind, save_all=True, append_images=[Image.new("RGB", (64, 48))])
    assert decode_photo(content, "a.x").others == "is animated; only its first frame is taken"


# What isn't read


def test_raw_photos_are_not_taken_for_their_thumbnails() -> None:
    with pytest.raises(InputError, match=r"a\.dng is a camera's raw file, which isn't read; export it"):
        decode_image(encoded("TIFF", tiffinfo={50706: b"\1\4\0\0"}), "a.dng")
    with pytest.raises(InputError, match="a camera's raw file"):
        decode_image(encoded("TIFF", tiffinfo={254: 1}), "a.nef")


def test_colours_in_floats_are_told_truly() -> None:
    tags = [(256, 1), (257, 1), (258, 32), (259, 1), (262, 2), (273, 8), (277, 3), (278, 1), (279, 12), (339, 3)]
    body = b"II*\0" + struct.pack("<I", 20) + struct.pack("<3f", 1, 0.5, 0) + struct.pack("<H", len(tags))
    body += b"".join(struct.pack("<HHIHH", tag, 3, 1, value, 0) for tag, value in tags) + bytes(4)
    with pytest.raises(
        InputError, match=r"a\.tif is a TIFF file with pixels of a kind that isn't read, such as colours in"
    ):
        decode_image(body, "a.tif")


def test_formats_that_are_not_read_are_counted(tmp_path: Path, recwarn: pytest.WarningsRecorder) -> None:
    for name in ("a.cr2", "b.CR2", "sub/c.psd", "d.jpg", "e.rmvb", ".hidden.psd", "notes.txt"):
        (tmp_path / name).parent.mkdir(exist_ok=True)
        (tmp_path / name).touch()
    assert photos_below(tmp_path) == [tmp_path / "d.jpg"]
    assert photos_below(tmp_path, with_videos=True) == [tmp_path / "d.jpg"]
    told = [str(warning.message) for warning in recwarn.list]
    assert "that aren't read from there, and are left out: 2 .cr2, 1 .psd; export them" in told[0]
    assert "2 .cr2, 1 .psd, 1 .rmvb; export them" in told[1]


@pytest.mark.parametrize("suffix", [".ts", ".mts", ".m2ts"])
@pytest.mark.parametrize(
    "content", [b"", b"G", b"export const G = 'GGGG';\n" * 40, b"\0" * 4000, "ü = 1".encode("utf-16")]
)
def test_programs_in_typescript_are_no_videos(tmp_path: Path, suffix: str, content: bytes) -> None:
    (tmp_path / f"a{suffix}").write_bytes(content)
    assert photos_below(tmp_path, with_videos=True) == []


@pytest.mark.parametrize("size", [188, 192, 204])
@pytest.mark.parametrize("junk", [0, 4, 77])
def test_transport_streams(tmp_path: Path, size: int, junk: int) -> None:
    path = tmp_path / "a.ts"
    path.write_bytes(bytes(junk) + (b"G" + bytes(size - 1)) * 20)
    assert is_transport_stream(path)
    assert photos_below(tmp_path, with_videos=True) == [path]
