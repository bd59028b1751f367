"""Every test image is made here with Pillow, or by hand where Pillow wouldn't write it."""

import contextlib
import errno
import io
import struct
import warnings
import zlib
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path, PurePath

import numpy as np
import numpy.typing as npt
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from PIL import Image, ImageCms

from ugatit_fast import images
from ugatit_fast.errors import InputError
from ugatit_fast.images import (
    MAX_PIXELS,
    Fit,
    Pixels,
    find_images,
    fit_image,
    heatmap_overlay,
    load_image,
    output_name,
    save_image,
    unfit_image,
)

FITS: list[Fit] = ["squash", "crop", "pad"]


def photo(width: int, height: int, seed: int = 0) -> Pixels:
    """A smooth picture with edges in it, uint8 (h, w, 3): more like a photo than noise is."""
    small = np.random.default_rng(seed).integers(0, 256, (max(2, height // 16), max(2, width // 16), 3), dtype=np.uint8)
    return np.array(Image.fromarray(small).resize((width, height), Image.Resampling.BICUBIC))


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


# Finding files


def touch(folder: Path, *names: str) -> None:
    for name in names:
        (folder / name).parent.mkdir(parents=True, exist_ok=True)
        (folder / name).write_bytes(b"")


def relatives(inputs: list[str | Path], suffix: str | None = None) -> list[str]:
    return [source.relative.as_posix() for source in find_images(inputs, suffix)]


def test_folder_gives_images_in_natural_order_with_subfolders(tmp_path: Path) -> None:
    touch(tmp_path, "img10.png", "img2.png", "IMG1.JPG", "trip 10/a.jpg", "trip 9/a.jpg", "notes.txt", "clip.gif")
    touch(tmp_path, ".hidden.png", "._img2.png", ".thumbnails/a.png")
    assert relatives([tmp_path]) == ["clip.png", "IMG1.JPG", "img2.png", "img10.png", "trip 9/a.jpg", "trip 10/a.jpg"]
    assert find_images([tmp_path])[0].path == tmp_path / "clip.gif"


def test_named_file_is_taken_whatever_its_suffix(tmp_path: Path) -> None:
    touch(tmp_path, "photo", "photo.dat", "photo[1].jpg")
    names: list[str | Path] = [tmp_path / "photo", str(tmp_path / "photo.dat"), tmp_path / "photo[1].jpg"]
    assert relatives(names) == ["photo.png", "photo.dat.png", "photo[1].jpg"]


def test_pattern_keeps_what_follows_its_fixed_folder(tmp_path: Path) -> None:
    touch(tmp_path, "a/2.jpg", "a/10.jpg", "b/2.jpg", "b/.2.jpg", "b/folder.jpg/c.txt")
    assert relatives([f"{tmp_path}/*/*.jpg"]) == ["a/2.jpg", "a/10.jpg", "b/2.jpg"]
    assert relatives([f"{tmp_path}/a/*.jpg"]) == ["2.jpg", "10.jpg"]
    assert relatives([f"{tmp_path}/**/2.jpg"]) == ["a/2.jpg", "b/2.jpg"]


def test_pattern_relative_to_the_working_folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    touch(tmp_path, "1.png", "2.png")
    monkeypatch.chdir(tmp_path)
    assert relatives(["?.png"]) == ["1.png", "2.png"]
    assert relatives(["."]) == ["1.png", "2.png"]


@pytest.mark.parametrize("name", ["missing.jpg", "empty", "*.jpg", "no/such/*.jpg", "text"])
def test_input_that_gives_nothing_is_named(tmp_path: Path, name: str) -> None:
    (tmp_path / "empty").mkdir()
    touch(tmp_path, "text/notes.txt")
    with pytest.raises(InputError) as caught:
        find_images([tmp_path / name])
    assert str(tmp_path / name) in str(caught.value)


def test_two_photos_never_share_an_output_name(tmp_path: Path) -> None:
    touch(tmp_path, "a/1.jpg", "b/1.jpg", "c/1.gif", "c/1.png")
    for inputs in (["a", "b"], ["a/1.jpg", "b/1.jpg"], ["c"]):
        with pytest.raises(InputError) as caught:
            find_images([tmp_path / name for name in inputs])
        assert str(caught.value).count(str(tmp_path)) == 2
    with pytest.raises(InputError, match=r"1\.webp"):
        find_images([tmp_path / "a/1.jpg", tmp_path / "c/1.png"], ".webp")


def test_the_same_photo_twice_is_one(tmp_path: Path) -> None:
    touch(tmp_path, "1.jpg")
    assert relatives([tmp_path, tmp_path / "1.jpg"]) == ["1.jpg"]


@pytest.mark.parametrize(
    ("name", "suffix", "expected"),
    [
        ("a/IMG_1.JPG", None, "a/IMG_1.JPG"),
        ("a.webp", None, "a.webp"),
        ("a.gif", None, "a.png"),
        ("a/b.HEIC", None, "a/b.png"),
        ("scan.2019", None, "scan.2019.png"),
        ("photo", None, "photo.png"),
        ("a/b.tiff", ".jpg", "a/b.jpg"),
        ("a.png", ".jpg", "a.jpg"),
    ],
)
def test_output_name(name: str, suffix: str | None, expected: str) -> None:
    assert output_name(PurePath(name), suffix) == PurePath(expected)
    assert output_name(output_name(PurePath(name), suffix), suffix) == PurePath(expected)


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
    for fit in FITS:
        assert (fit_image(loaded, (8, 4), fit) == (1, 2, 3)).all()


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
    refusal(path)


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


# Fitting


@settings(max_examples=150, deadline=None)
@given(
    original=st.tuples(st.integers(1, 300), st.integers(1, 300)),
    size=st.tuples(st.integers(1, 128), st.integers(1, 128)),
    fit=st.sampled_from(FITS),
)
def test_fit_gives_exactly_the_size_and_one_colour_stays(
    original: tuple[int, int], size: tuple[int, int], fit: Fit
) -> None:
    image = np.full((*original, 3), (7, 130, 250), np.uint8)
    fitted = fit_image(image, size, fit)
    assert fitted.shape == (*size, 3)
    assert fitted.dtype == np.uint8
    assert (fitted == (7, 130, 250)).all()
    shown = unfit_image(fitted, original, fit)
    assert shown.size > 0
    if fit == "pad":
        # The aspect survives to the pixel, and one side fills the engine's.
        scale = min(size[0] / original[0], size[1] / original[1])
        for side, full in zip(shown.shape[:2], original, strict=True):
            assert abs(side - full * scale) <= 0.5 or side == 1
        assert shown.shape[0] == size[0] or shown.shape[1] == size[1]
    else:
        assert shown.shape == (*size, 3)


def test_squash_is_pillows_bilinear() -> None:
    image = photo(333, 217)
    expected = np.asarray(Image.fromarray(image).resize((64, 48), Image.Resampling.BILINEAR))
    np.testing.assert_array_equal(fit_image(image, (48, 64), "squash"), expected)


def test_crop_takes_the_centre() -> None:
    image = np.zeros((60, 100, 3), np.uint8)
    image[:, 20:80] = photo(60, 60)
    np.testing.assert_array_equal(fit_image(image, (60, 60), "crop"), image[:, 20:80])
    tall = np.ascontiguousarray(image.transpose(1, 0, 2))
    np.testing.assert_array_equal(fit_image(tall, (60, 60), "crop"), tall[20:80])


def test_crop_is_pillows_bilinear() -> None:
    image = photo(300, 180)
    window = Image.fromarray(image[:, 60:240]).resize((60, 60), Image.Resampling.BILINEAR)
    # At its own edge the window sees a pixel or two of the photo around it.
    np.testing.assert_array_equal(fit_image(image, (60, 60), "crop")[:, 1:-1], np.asarray(window)[:, 1:-1])


def test_pad_repeats_the_edge_and_comes_off_again() -> None:
    image = photo(64, 32)
    fitted = fit_image(image, (64, 64), "pad")
    np.testing.assert_array_equal(fitted[16:48], image)
    assert (fitted[:16] == image[0]).all()
    assert (fitted[48:] == image[-1]).all()
    np.testing.assert_array_equal(unfit_image(fitted, (32, 64), "pad"), image)


def test_unknown_fit_lists_the_known() -> None:
    with pytest.raises(InputError, match="squash, crop, pad"):
        fit_image(photo(8, 8), (8, 8), "stretch")  # type: ignore[arg-type]


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
    assert "No space left on device" in refused_save(path)
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


# Heat map


def test_jet_goes_from_blue_to_red() -> None:
    map_ = images._JET.astype(int)
    assert map_[0].tolist() == [0, 0, 128]
    assert map_[255].tolist() == [128, 0, 0]
    np.testing.assert_allclose(
        map_[[32, 96, 160, 223]], [(0, 0, 255), (0, 255, 255), (255, 255, 0), (255, 0, 0)], atol=3
    )
    assert np.abs(np.diff(map_, axis=0)).max() <= 5


def test_heatmap_is_half_jet_half_photo() -> None:
    image = np.full((4, 8, 3), 100, np.uint8)
    heat = np.repeat(np.array([[-3.0, 5.0]], np.float32), 4, axis=1).repeat(4, axis=0)
    overlay = heatmap_overlay(image, heat)
    assert overlay.shape == image.shape
    assert overlay[0, 0].tolist() == [50, 50, 114]
    assert overlay[0, -1].tolist() == [114, 50, 50]


@pytest.mark.filterwarnings("error")
@pytest.mark.parametrize(
    "heat",
    [np.zeros((2, 2)), np.full((2, 2), -7.0), np.full((1, 1), 3e38), np.array([[np.nan, np.inf], [0, 0]])],
)
def test_heatmap_without_contrast_is_blue(heat: npt.NDArray[np.float64]) -> None:
    overlay = heatmap_overlay(np.zeros((6, 5, 3), np.uint8), heat.astype(np.float32))
    assert (overlay == (0, 0, 64)).all()


@pytest.mark.filterwarnings("error")
def test_heatmap_spans_the_whole_float_range() -> None:
    overlay = heatmap_overlay(np.zeros((2, 2, 3), np.uint8), np.array([[-3e38, 3e38]], np.float32))
    assert overlay[0, 0, 2] > overlay[0, 0, 0]
    assert overlay[0, 1, 0] > overlay[0, 1, 2]
