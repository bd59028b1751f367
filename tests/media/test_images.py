"""Every test image is made here with Pillow, or by hand where Pillow wouldn't write it."""

import contextlib
import errno
import io
import struct
import warnings
import zlib
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from PIL import Image, ImageCms

from tests.media.pictures import photo
from ugatit_fast.errors import InputError
from ugatit_fast.media.fitting import fit_image
from ugatit_fast.media.images import MAX_PIXELS, Pixels, decode_image, encode_image, load_image, save_image


def solid(colour: tuple[int, ...], mode: str = "RGB", size: tuple[int, int] = (8, 6)) -> Image.Image:
    return Image.new(mode, size, colour)


def encoded(image: Image.Image, name: str, **options: object) -> bytes:
    buffer = io.BytesIO()
    image.save(buffer, name, **options)
    return buffer.getvalue()


def chunk(kind: bytes, body: bytes) -> bytes:
    return struct.pack(">I", len(body)) + kind + body + struct.pack(">I", zlib.crc32(kind + body))


def png(width: int, height: int, bits: int, colour_type: int, rows: bytes, extra: bytes = b"") -> bytes:
    """A PNG by hand: colour type 0 is grey, 2 is RGB, 6 is RGBA; `rows` with a filter byte before each."""
    header = struct.pack(">IIBBBBB", width, height, bits, colour_type, 0, 0, 0)
    body = chunk(b"IHDR", header) + extra + chunk(b"IDAT", zlib.compress(rows)) + chunk(b"IEND", b"")
    return b"\x89PNG\r\n\x1a\n" + body


def load_bytes(folder: Path, data: bytes, name: str = "photo.png") -> Pixels:
    path = folder / name
    path.write_bytes(data)
    return load_image(path)


# Decoding


@pytest.mark.parametrize("name", ["PNG", "TIFF", "BMP", "PPM", "WEBP", "JPEG", "AVIF", "GIF"])
def test_every_format_decodes_under_a_wrong_name(tmp_path: Path, name: str) -> None:
    image = solid((200, 100, 50))
    loaded = load_bytes(tmp_path, encoded(image, name), "photo.xyz")
    assert loaded.shape == (6, 8, 3)
    assert loaded.dtype == np.uint8
    assert loaded.flags.writeable
    assert np.abs(loaded.astype(int) - (200, 100, 50)).max() <= 3


@pytest.mark.parametrize("orientation", range(1, 9))
@pytest.mark.parametrize("name", ["JPEG", "PNG", "TIFF", "WEBP"])
def test_exif_orientation(tmp_path: Path, orientation: int, name: str) -> None:
    upright = np.zeros((32, 48, 3), np.uint8)
    upright[:16, :24] = (255, 0, 0)
    upright[:16, 24:] = (0, 255, 0)
    upright[16:, :24] = (0, 0, 255)
    # How a camera stores the upright picture under each orientation (EXIF 2.3, tag 0x0112): the way back from it.
    stored = {
        1: upright,
        2: upright[:, ::-1],
        3: upright[::-1, ::-1],
        4: upright[::-1],
        5: upright.transpose(1, 0, 2),
        6: np.rot90(upright, 1),
        7: upright[::-1, ::-1].transpose(1, 0, 2),
        8: np.rot90(upright, -1),
    }[orientation]
    exif = Image.Exif()
    exif[0x0112] = orientation
    options = {"quality": 95, "subsampling": 0} if name == "JPEG" else {"lossless": True} if name == "WEBP" else {}
    data = encoded(Image.fromarray(np.ascontiguousarray(stored)), name, exif=exif, **options)
    np.testing.assert_allclose(load_bytes(tmp_path, data).astype(int), upright.astype(int), atol=8)


def test_sixteen_bit_grey_is_scaled(tmp_path: Path) -> None:
    values = np.array([[0, 257, 128 * 257, 65535]], np.uint16)
    expected = np.array([0, 1, 128, 255])
    for name in ("PNG", "TIFF", "PPM"):
        loaded = load_bytes(tmp_path, encoded(Image.fromarray(values), name))
        np.testing.assert_array_equal(loaded, np.stack([expected[None]] * 3, axis=-1))


def test_sixteen_bit_big_endian_tiff(tmp_path: Path) -> None:
    image = Image.frombytes("I;16B", (2, 1), struct.pack(">2H", 257 * 7, 65535))
    assert load_bytes(tmp_path, encoded(image, "TIFF"))[0, :, 0].tolist() == [7, 255]


def test_sixteen_bit_colour_is_scaled(tmp_path: Path) -> None:
    rgb = b"\0" + struct.pack(">6H", 0, 257, 128 * 257, 200 * 257, 254 * 257, 65535)
    assert load_bytes(tmp_path, png(2, 1, 16, 2, rgb)).tolist() == [[[0, 1, 128], [200, 254, 255]]]
    rgba = b"\0" + struct.pack(">8H", 9 * 257, 0, 0, 0, 100 * 257, 50 * 257, 0, 65535)
    assert load_bytes(tmp_path, png(2, 1, 16, 6, rgba)).tolist() == [[[255, 255, 255], [100, 50, 0]]]


def test_sixteen_bit_colour_key_is_white(tmp_path: Path) -> None:
    rows = b"\0" + struct.pack(">2H", 257, 514)
    key = chunk(b"tRNS", struct.pack(">H", 257))
    assert load_bytes(tmp_path, png(2, 1, 16, 0, rows, key))[0, :, 0].tolist() == [255, 2]


@pytest.mark.parametrize(
    ("values", "expected"),
    [
        ([0.0, 0.5, 1.0], [0, 128, 255]),
        ([0.0, 100.0, 255.0], [0, 100, 255]),
        ([0.0, 257.0, 65535.0], [0, 1, 255]),
        ([0.0, 50000.0, 100000.0], [0, 128, 255]),
        ([-1.0, np.nan, 1.0], [0, 0, 255]),
        ([np.inf, 0.0, 200.0], [0, 0, 200]),
        ([0.0, 0.0, 0.0], [0, 0, 0]),
    ],
)
def test_float_image(tmp_path: Path, values: list[float], expected: list[int]) -> None:
    data = encoded(Image.fromarray(np.array([values], np.float32)), "TIFF")
    assert load_bytes(tmp_path, data)[0, :, 1].tolist() == expected


def test_thirty_two_bit_integers(tmp_path: Path) -> None:
    data = encoded(Image.fromarray(np.array([[0, -5, 1_200_000, 2_000_000]], np.int32)), "TIFF")
    assert load_bytes(tmp_path, data)[0, :, 1].tolist() == [0, 0, 153, 255]


@pytest.mark.parametrize(
    ("mode", "colour", "expected"),
    [
        ("1", 1, (255, 255, 255)),
        ("L", 77, (77, 77, 77)),
        ("LA", (0, 0), (255, 255, 255)),
        ("LA", (100, 255), (100, 100, 100)),
        ("RGBA", (255, 0, 0, 0), (255, 255, 255)),
        ("RGBA", (255, 0, 0, 128), (255, 127, 127)),
    ],
)
def test_transparency_shows_white(
    tmp_path: Path, mode: str, colour: int | tuple[int, ...], expected: tuple[int, int, int]
) -> None:
    loaded = load_bytes(tmp_path, encoded(Image.new(mode, (3, 2), colour), "PNG"))
    assert np.abs(loaded.astype(int) - expected).max() <= 1


def test_palette(tmp_path: Path) -> None:
    image = Image.new("P", (2, 1))
    image.putpalette([10, 20, 30, 200, 100, 0])
    image.putdata([0, 1])
    assert load_bytes(tmp_path, encoded(image, "PNG")).tolist() == [[[10, 20, 30], [200, 100, 0]]]
    assert load_bytes(tmp_path, encoded(image, "PNG", transparency=0)).tolist() == [[[255, 255, 255], [200, 100, 0]]]
    half = encoded(image, "PNG", transparency=bytes([128, 255]))
    np.testing.assert_allclose(load_bytes(tmp_path, half)[0, 0], (132, 137, 142), atol=1)
    assert load_bytes(tmp_path, encoded(image, "GIF", transparency=1)).tolist() == [[[10, 20, 30], [255, 255, 255]]]


@pytest.mark.parametrize("name", ["GIF", "WEBP", "PNG", "TIFF"])
def test_animation_gives_its_first_frame(tmp_path: Path, name: str) -> None:
    frames = [solid((255, 0, 0)), solid((0, 255, 0)), solid((0, 0, 255))]
    data = encoded(frames[0], name, save_all=True, append_images=frames[1:])
    np.testing.assert_allclose(load_bytes(tmp_path, data).astype(int), np.broadcast_to((255, 0, 0), (6, 8, 3)), atol=2)


def test_cmyk_without_profile(tmp_path: Path) -> None:
    loaded = load_bytes(tmp_path, encoded(solid((0, 255, 255, 0), "CMYK"), "JPEG", quality=95))
    assert np.abs(loaded.astype(int) - (255, 0, 0)).max() <= 4


def test_srgb_profile_changes_nothing(tmp_path: Path) -> None:
    pixels = photo(32, 32)
    profile = ImageCms.ImageCmsProfile(ImageCms.createProfile("sRGB")).tobytes()
    np.testing.assert_array_equal(
        load_bytes(tmp_path, encoded(Image.fromarray(pixels), "PNG", icc_profile=profile)), pixels
    )


def s15(*values: float) -> bytes:
    return b"".join(struct.pack(">i", round(value * 65536)) for value in values)


def icc(space: bytes, connection: bytes, tags: dict[bytes, bytes]) -> bytes:
    """An ICC version 2 profile by hand."""
    table, body, offset = struct.pack(">I", len(tags)), b"", 128 + 4 + 12 * len(tags)
    for kind, data in tags.items():
        table += kind + struct.pack(">II", offset + len(body), len(data))
        body += data + bytes(-len(data) % 4)
    size = offset + len(body)
    device = b"mntr" if space == b"RGB " else b"prtr"
    header = struct.pack(">I4sI", size, b"lcms", 0x02400000) + device + space + connection
    header += struct.pack(">6H", 2020, 1, 1, 0, 0, 0) + b"acsp" + bytes(28) + s15(0.9642, 1, 0.8249) + bytes(48)
    return header + table + body


def description(text: bytes) -> bytes:
    return b"desc" + bytes(4) + struct.pack(">I", len(text) + 1) + text + b"\0" + bytes(78)


def display_p3() -> bytes:
    """Display P3's primaries (adapted to D50), with a plain 2.2 gamma."""
    gamma = b"curv" + bytes(4) + struct.pack(">IH", 1, round(2.2 * 256))
    columns = {b"rXYZ": (0.5151, 0.2412, -0.0011), b"gXYZ": (0.2920, 0.6922, 0.0419), b"bXYZ": (0.1571, 0.0666, 0.7841)}
    tags = {b"desc": description(b"Display P3"), b"wtpt": b"XYZ " + bytes(4) + s15(0.9642, 1, 0.8249)}
    tags |= {name: b"XYZ " + bytes(4) + s15(*column) for name, column in columns.items()}
    return icc(b"RGB ", b"XYZ ", tags | dict.fromkeys((b"rTRC", b"gTRC", b"bTRC"), gamma))


def grey_ink() -> bytes:
    """A CMYK press that prints mid grey whatever the ink: tells a profile that is used from one that is not."""
    ramp = bytes(range(256))
    table = bytes([128, 128, 128]) * 16  # CIELAB (50, 0, 0) at each of the 2^4 corners
    identity = s15(1, 0, 0, 0, 1, 0, 0, 0, 1)
    lut = b"mft1" + bytes(4) + bytes([4, 3, 2, 0]) + identity + ramp * 4 + table + ramp * 3
    tags = {b"desc": description(b"grey ink"), b"wtpt": b"XYZ " + bytes(4) + s15(0.9642, 1, 0.8249)}
    return icc(b"CMYK", b"Lab ", tags | dict.fromkeys((b"A2B0", b"A2B1"), lut))


@pytest.mark.parametrize("mode", ["RGB", "RGBA"])
def test_wide_gamut_is_brought_to_srgb(tmp_path: Path, mode: str) -> None:
    colour = (200, 100, 100) if mode == "RGB" else (200, 100, 100, 255)
    loaded = load_bytes(tmp_path, encoded(solid(colour, mode), "PNG", icc_profile=display_p3()))
    # Further from grey than in Display P3, whose red is stronger: by the two RGB -> XYZ matrices.
    np.testing.assert_allclose(loaded[0, 0].astype(int), (216, 93, 97), atol=2)
    grey = load_bytes(tmp_path, encoded(solid((128, 128, 128)), "PNG", icc_profile=display_p3()))
    np.testing.assert_allclose(grey[0, 0].astype(int), (128, 128, 128), atol=2)


def test_cmyk_goes_through_its_profile(tmp_path: Path) -> None:
    data = encoded(solid((0, 255, 255, 0), "CMYK"), "JPEG", icc_profile=grey_ink())
    red, green, blue = load_bytes(tmp_path, data)[0, 0].astype(int)
    assert abs(red - green) <= 2
    assert abs(green - blue) <= 2
    assert 80 < red < 180


@pytest.mark.parametrize("profile", [b"not a profile", b"", grey_ink(), display_p3()[:200]])
def test_broken_or_foreign_profile_is_passed_over(tmp_path: Path, profile: bytes) -> None:
    pixels = photo(16, 16)
    loaded = load_bytes(tmp_path, encoded(Image.fromarray(pixels), "PNG", icc_profile=profile))
    np.testing.assert_array_equal(loaded, pixels)


def test_broken_exif_is_passed_over(tmp_path: Path) -> None:
    pixels = photo(16, 16)
    data = encoded(Image.fromarray(pixels), "PNG", exif=b"Exif\0\0XX\0*junk")
    np.testing.assert_array_equal(load_bytes(tmp_path, data), pixels)


def test_one_pixel(tmp_path: Path) -> None:
    loaded = load_bytes(tmp_path, encoded(solid((1, 2, 3), size=(1, 1)), "PNG"))
    assert loaded.tolist() == [[[1, 2, 3]]]


def refusal(path: Path) -> str:
    with pytest.raises(InputError) as caught:
        load_image(path)
    message = str(caught.value)
    assert str(path) in message
    assert "\n" not in message
    return message


def test_bad_files_are_refused_by_name(tmp_path: Path) -> None:
    assert "can't be read" in refusal(tmp_path / "missing.jpg")
    assert "is a folder" in refusal(tmp_path)
    assert "can't be read" in refusal(Path("/proc/self/mem"))  # opens, but fails at the first read
    path = tmp_path / "photo.jpg"
    path.write_bytes(b"")
    assert "empty" in refusal(path)
    path.write_text("dear diary, today I renamed a text file")
    assert "JPEG" in refusal(path)
    path.write_bytes(b"%!PS-Adobe-3.0 EPSF-3.0\n%%BoundingBox: 0 0 9 9\n")  # Pillow would hand it to Ghostscript
    assert "not an image" in refusal(path)


@pytest.mark.parametrize("name", ["JPEG", "PNG", "WEBP", "AVIF", "TIFF", "GIF", "BMP", "PPM"])
@pytest.mark.parametrize("kept", [0.02, 0.5, 0.9])
def test_truncated_file(tmp_path: Path, name: str, kept: float) -> None:
    data = encoded(Image.fromarray(photo(200, 150)), name)
    path = tmp_path / "photo.jpg"
    path.write_bytes(data[: max(3, int(len(data) * kept))])
    assert "photo.jpg" in refusal(path)


def test_too_many_pixels_are_refused_from_the_header(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path = tmp_path / "huge.png"
    path.write_bytes(png(20000, 20000, 8, 2, b""))
    monkeypatch.setattr("PIL.ImageFile.ImageFile.load", lambda self: pytest.fail("decoded"))
    message = refusal(path)
    assert "20000 x 20000" in message
    assert f"{MAX_PIXELS // 1_000_000} megapixels" in message


def test_a_phone_photo_of_108_megapixels_raises_no_alarm(tmp_path: Path) -> None:
    path = tmp_path / "phone.jpg"
    Image.new("L", (12000, 9000), 90).save(path)
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        assert load_image(path, at_least=(256, 256)).shape == (1125, 1500, 3)


@pytest.mark.parametrize(
    ("wanted", "expected"),
    [
        ((100, 100), (200, 300)),
        ((50, 50), (100, 150)),
        ((101, 20), (400, 600)),
        ((1, 1), (50, 75)),
        ((999, 9), (400, 600)),
    ],
)
def test_hint_keeps_both_sides_twice_as_large(
    tmp_path: Path, wanted: tuple[int, int], expected: tuple[int, int]
) -> None:
    path = tmp_path / "photo.jpg"
    exif = Image.Exif()
    exif[0x0112] = 6
    Image.fromarray(photo(400, 600)).save(path, exif=exif, quality=95)
    height, width, _ = load_image(path, at_least=wanted[::-1]).shape
    assert (width, height) == expected[::-1]


def test_hint_costs_no_visible_quality(tmp_path: Path) -> None:
    path = tmp_path / "photo.jpg"
    Image.fromarray(photo(1600, 1200)).save(path, quality=95)
    whole = fit_image(load_image(path), (256, 256), "squash").astype(int)
    hinted = fit_image(load_image(path, at_least=(256, 256)), (256, 256), "squash").astype(int)
    assert np.abs(whole - hinted).mean() < 0.6
    assert np.abs(whole - hinted).max() <= 6


def test_many_threads_decode_alike(tmp_path: Path) -> None:
    for index in range(12):
        name, options = (("JPEG", {}), ("PNG", {"icc_profile": display_p3()}), ("TIFF", {}))[index % 3]
        (tmp_path / f"{index}.png").write_bytes(encoded(Image.fromarray(photo(300, 200, index)), name, **options))
    paths = [tmp_path / f"{index}.png" for index in range(12)] * 4
    with ThreadPoolExecutor(8) as pool:
        together = list(pool.map(load_image, paths))
    for path, pixels in zip(paths, together, strict=True):
        np.testing.assert_array_equal(load_image(path), pixels)


SEEDS = {
    "JPEG": encoded(
        Image.fromarray(photo(40, 30)), "JPEG", exif=b"Exif\0\0MM\0*\0\0\0\x08\0\0", icc_profile=display_p3()
    ),
    "PNG": encoded(Image.fromarray(photo(40, 30)), "PNG", icc_profile=display_p3()),
    "BMP": encoded(Image.fromarray(photo(40, 30)), "BMP"),
    "PPM": encoded(Image.fromarray(photo(40, 30)), "PPM"),
    "GIF": encoded(Image.fromarray(photo(40, 30)), "GIF"),
    "AVIF": encoded(Image.fromarray(photo(40, 30)), "AVIF"),
    "TIFF": encoded(Image.fromarray(photo(40, 30)), "TIFF", compression="tiff_lzw"),
    "WEBP": encoded(Image.fromarray(photo(40, 30)), "WEBP"),
}


@pytest.mark.filterwarnings("ignore::UserWarning", "ignore::PIL.Image.DecompressionBombWarning")
@settings(max_examples=300, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(data=st.data(), name=st.sampled_from(sorted(SEEDS)))
def test_damaged_files_give_pixels_or_an_input_error(tmp_path: Path, data: st.DataObject, name: str) -> None:
    damaged = bytearray(SEEDS[name])
    for _ in range(data.draw(st.integers(0, 4))):
        damaged[data.draw(st.integers(0, len(damaged) - 1))] ^= 1 << data.draw(st.integers(0, 7))
    del damaged[data.draw(st.integers(0, len(damaged))) :]
    path = tmp_path / "damaged.jpg"
    path.write_bytes(damaged)
    with contextlib.suppress(InputError):
        pixels = load_image(path, at_least=(8, 8))
        assert pixels.dtype == np.uint8
        assert pixels.ndim == 3
        assert pixels.shape[2] == 3


def test_bytes_and_open_files_decode_as_files_do(tmp_path: Path) -> None:
    path = tmp_path / "photo.png"
    save_image(path, photo(30, 20))
    for content in (path.read_bytes(), io.BytesIO(path.read_bytes())):
        np.testing.assert_array_equal(decode_image(content, "upload"), load_image(path))
    with pytest.raises(InputError, match="upload is empty"):
        decode_image(b"", "upload")


def test_a_smaller_limit_of_pixels() -> None:
    content = encoded(Image.fromarray(photo(30, 20)), "PNG")
    assert decode_image(content, "upload", max_pixels=600).shape == (20, 30, 3)
    with pytest.raises(InputError, match=r"upload is 30 x 20; expected at most 0\.000599 megapixels"):
        decode_image(content, "upload", max_pixels=599)


# Writing


@pytest.mark.parametrize(
    ("name", "tolerance"), [("a.png", 0), ("a.PNG", 0), ("a.jpg", 12), ("a.JPEG", 12), ("a.webp", 24)]
)
def test_save_and_load(tmp_path: Path, name: str, tolerance: int) -> None:
    path = tmp_path / "new" / "folder" / name
    image = photo(70, 50)
    save_image(path, image)
    assert np.abs(load_image(path).astype(int) - image).max() <= tolerance
    assert [file.name for file in path.parent.iterdir()] == [name]
    assert path.stat().st_mode & 0o777 == 0o666 & ~umask(tmp_path)


def umask(folder: Path) -> int:
    probe = folder / "probe"
    probe.touch()
    return 0o666 & ~probe.stat().st_mode


@pytest.mark.parametrize(("suffix", "name"), [(".png", "PNG"), (".JPG", "JPEG"), (".webp", "WEBP")])
def test_encoded_bytes_are_what_is_written(tmp_path: Path, suffix: str, name: str) -> None:
    content = encode_image(photo(30, 20), suffix)
    save_image(tmp_path / f"a{suffix}", photo(30, 20))
    assert (tmp_path / f"a{suffix}").read_bytes() == content
    assert Image.open(io.BytesIO(content)).format == name


@pytest.mark.parametrize("suffix", ["", "png", ".gif", ".heic"])
def test_unknown_suffix_lists_the_known(suffix: str) -> None:
    with pytest.raises(InputError, match=r"\.png, \.jpg"):
        encode_image(photo(8, 8), suffix)


def test_jpeg_keeps_full_chroma(tmp_path: Path) -> None:
    save_image(tmp_path / "a.jpg", photo(32, 32))
    with Image.open(tmp_path / "a.jpg") as image:
        assert [component[1:3] for component in image.layer] == [(1, 1)] * 3  # type: ignore[attr-defined]


def refused_save(path: Path, image: Pixels | None = None) -> str:
    before = sorted(path.parent.iterdir()) if path.parent.is_dir() else None
    with pytest.raises(InputError) as caught:
        save_image(path, photo(64, 64) if image is None else image)
    assert str(path) in str(caught.value)
    assert "\n" not in str(caught.value)
    if before is not None:
        assert sorted(path.parent.iterdir()) == before
    return str(caught.value)


def test_full_disk_leaves_the_old_file(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path = tmp_path / "a.png"
    path.write_bytes(b"old")

    def write_half(self: Path, data: memoryview) -> int:
        with self.open("wb") as file:
            file.write(data[:10])
        raise OSError(errno.ENOSPC, "No space left on device")

    monkeypatch.setattr(Path, "write_bytes", write_half)
    assert "disk is full" in refused_save(path)
    assert path.read_bytes() == b"old"


def test_file_size_limit_leaves_the_old_file(tmp_path: Path) -> None:
    resource = pytest.importorskip("resource")
    path = tmp_path / "a.png"
    path.write_bytes(b"old")
    limits = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (100, limits[1]))
    try:
        refused_save(path)
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, limits)
    assert path.read_bytes() == b"old"


def test_places_that_cannot_be_written(tmp_path: Path) -> None:
    (tmp_path / "folder.png").mkdir()
    refused_save(tmp_path / "folder.png")
    (tmp_path / "file").write_bytes(b"")
    refused_save(tmp_path / "file" / "a.png")
    refused_save(Path("/proc/ugatit/a.png"))
    assert ".png" in refused_save(tmp_path / "a.gif")
    assert "16384 x 1" in refused_save(tmp_path / "a.webp", np.zeros((1, 16384, 3), np.uint8))


def test_interrupt_leaves_nothing(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def interrupt(self: Path, target: Path) -> Path:
        raise KeyboardInterrupt

    monkeypatch.setattr(Path, "replace", interrupt)
    with pytest.raises(KeyboardInterrupt):
        save_image(tmp_path / "a.png", photo(8, 8))
    assert list(tmp_path.iterdir()) == []
