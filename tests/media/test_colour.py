"""Colours of photos and frames, judged by LittleCMS where a profile says them and by the standards' arithmetic else."""

import io
import struct
import zlib
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import av
import numpy as np
import numpy.typing as npt
import pytest
from hypothesis import given
from hypothesis import strategies as st
from PIL import Image, ImageCms

from tests.media.pictures import photo
from tests.media.test_images import chunk, description, encoded, icc, load_bytes, png, s15
from tests.media.videos import write_video
from ugatit_fast.errors import InputError
from ugatit_fast.media import video
from ugatit_fast.media.colour import SRGB, Colours, of_h273, of_photo, to_srgb
from ugatit_fast.media.images import Pixels, decode_image
from ugatit_fast.media.video import VideoReader

Place = tuple[float, float]
Rgb = tuple[int, int, int]

D65, C, DCI = (0.3127, 0.329), (0.31, 0.316), (0.314, 0.351)
STANDARD: dict[int, tuple[Place, Place, Place, Place]] = {
    1: ((0.64, 0.33), (0.30, 0.60), (0.15, 0.06), D65),
    4: ((0.67, 0.33), (0.21, 0.71), (0.14, 0.08), C),
    5: ((0.64, 0.33), (0.29, 0.60), (0.15, 0.06), D65),
    6: ((0.63, 0.34), (0.31, 0.595), (0.155, 0.07), D65),
    7: ((0.63, 0.34), (0.31, 0.595), (0.155, 0.07), D65),
    8: ((0.681, 0.319), (0.243, 0.692), (0.145, 0.049), C),
    9: ((0.708, 0.292), (0.17, 0.797), (0.131, 0.046), D65),
    10: ((1, 0), (0, 1), (0, 0), (1 / 3, 1 / 3)),
    11: ((0.68, 0.32), (0.265, 0.69), (0.15, 0.06), DCI),
    12: ((0.68, 0.32), (0.265, 0.69), (0.15, 0.06), D65),
    22: ((0.63, 0.34), (0.295, 0.605), (0.155, 0.077), D65),
}
"""Tables 2 and 3 of H.273 (07/2021), written down again."""
COLOURS: list[Rgb] = [
    (200, 40, 40),
    (40, 200, 40),
    (40, 40, 200),
    (200, 180, 30),
    (128, 128, 128),
    (9, 5, 12),
    (255, 255, 255),
]


def seen(place: Place) -> npt.NDArray[np.float64]:
    return np.array([place[0] / place[1], 1, (1 - place[0] - place[1]) / place[1]])


def to_xyz(red: Place, green: Place, blue: Place, white: Place) -> npt.NDArray[np.float64]:
    columns = np.array([[x, y, 1 - x - y] for x, y in (red, green, blue)]).T
    return columns @ np.diag(np.linalg.inv(columns) @ seen(white))


def adapted(white: Place, to: npt.NDArray[np.float64]) -> npt.NDArray[np.float64]:
    cones = np.array([[0.8951, 0.2664, -0.1614], [-0.7502, 1.7135, 0.0367], [0.0389, -0.0685, 1.0296]])
    return np.linalg.inv(cones) @ np.diag((cones @ to) / (cones @ seen(white))) @ cones


def srgb_light(code: npt.NDArray[np.float64]) -> npt.NDArray[np.float64]:
    return np.where(code <= 0.04045, code / 12.92, ((code + 0.055) / 1.055) ** 2.4)


def srgb_code(light: npt.NDArray[np.float64]) -> npt.NDArray[np.float64]:
    light = light.clip(0, 1)
    return 255 * np.where(light <= 0.0031308, light * 12.92, 1.055 * light ** (1 / 2.4) - 0.055)


def expected(colour: Rgb, primaries: int, transfer: int = 13) -> npt.NDArray[np.float64]:
    """What the standards make of a colour, in float64."""
    code = np.array(colour) / 255
    light = {
        4: code**2.2,
        5: code**2.8,
        8: code,
        9: np.where(code > 0, 100 ** (code - 1), 0),
        10: np.where(code > 0, 10 ** (2.5 * (code - 1)), 0),
        17: code**2.6 * 52.37 / 48,
    }.get(transfer, srgb_light(code))
    white = STANDARD[primaries][3]
    xyz = adapted(white, seen(D65)) @ to_xyz(*STANDARD[primaries]) @ light.clip(0, 1)
    return srgb_code(np.linalg.inv(to_xyz(*STANDARD[1])) @ xyz)


def solid(colour: Rgb, mode: str = "RGB") -> Image.Image:
    return Image.new(mode, (64, 48), colour)


def shown(folder: Path, content: bytes) -> npt.NDArray[np.int64]:
    return load_bytes(folder, content)[20, 20].astype(int)


# The arithmetic


@pytest.mark.parametrize("primaries", STANDARD)
def test_primaries(primaries: int) -> None:
    for colour in COLOURS:
        made = to_srgb(np.full((2, 3, 3), colour, np.uint8), of_h273(primaries, 13))
        np.testing.assert_allclose(made[1, 2], expected(colour, primaries), atol=1)


@pytest.mark.parametrize("transfer", [4, 5, 8, 9, 10, 17])
@pytest.mark.parametrize("primaries", [1, 9])
def test_transfers(primaries: int, transfer: int) -> None:
    for colour in COLOURS:
        made = to_srgb(np.full((1, 1, 3), colour, np.uint8), of_h273(primaries, transfer))
        np.testing.assert_allclose(made[0, 0], expected(colour, primaries, transfer), atol=1)


@pytest.mark.parametrize("transfer", [0, 1, 2, 6, 11, 12, 13, 14, 15, 99])
@pytest.mark.parametrize("primaries", [0, 1, 2, 99])
def test_what_is_srgb_or_shown_as_it_stays(primaries: int, transfer: int) -> None:
    pixels = photo(16, 16)
    np.testing.assert_array_equal(to_srgb(pixels, of_h273(primaries, transfer)), pixels)


@given(st.sampled_from(sorted(STANDARD)), st.integers(0, 255))
def test_greys_stay_grey(primaries: int, grey: int) -> None:
    """Also where their white isn't D65."""
    made = to_srgb(np.full((1, 1, 3), grey, np.uint8), of_h273(primaries, 13))
    assert np.abs(made.astype(int) - grey).max() <= 1


def test_large_pictures_are_done_in_pieces() -> None:
    pixels = np.random.default_rng(0).integers(0, 256, (700, 900, 3), dtype=np.uint8)
    whole = to_srgb(pixels, of_h273(12, 13))
    np.testing.assert_array_equal(whole[650:], to_srgb(pixels[650:], of_h273(12, 13)))


def test_sixteen_bits_keep_what_eight_would_lose() -> None:
    """Linear light: the first of 256 codes is level 13."""
    codes = np.array([[[1 << 7] * 3]], np.uint16)
    np.testing.assert_allclose(to_srgb(codes, of_h273(1, 8))[0, 0], srgb_code(np.array(128 / 65535)), atol=0.51)


# Photos by numbers


def numbered(content: bytes, primaries: int, transfer: int) -> bytes:
    """With other numbers in its nclx box."""
    at = content.index(b"nclx") + 4
    return content[:at] + struct.pack(">HH", primaries, transfer) + content[at + 4 :]


@pytest.mark.parametrize("primaries", [1, 5, 6, 9, 11, 12])
@pytest.mark.parametrize("colour", COLOURS[:5])
def test_avif(tmp_path: Path, primaries: int, colour: Rgb) -> None:
    content = numbered(encoded(solid(colour), "AVIF", quality=100, subsampling="4:4:4"), primaries, 13)
    np.testing.assert_allclose(shown(tmp_path, content), expected(colour, primaries), atol=4)


def test_of_a_profile_and_numbers_in_avif_the_profile_counts(tmp_path: Path) -> None:
    profile = matrix_profile(12)
    content = encoded(solid((200, 40, 40)), "AVIF", quality=100, subsampling="4:4:4", icc_profile=profile)
    by_profile = shown(tmp_path, content)
    np.testing.assert_allclose(by_profile, expected((200, 40, 40), 12), atol=4)
    if b"nclx" in content:
        np.testing.assert_array_equal(shown(tmp_path, numbered(content, 9, 8)), by_profile)


@pytest.mark.parametrize("colour", COLOURS)
@pytest.mark.parametrize(("primaries", "transfer"), [(12, 13), (9, 1), (1, 8), (6, 4)])
def test_png_by_numbers(tmp_path: Path, colour: Rgb, primaries: int, transfer: int) -> None:
    """They come before everything else that the file says."""
    row = b"\0" + bytes(colour) * 30
    cicp = chunk(b"cICP", bytes([primaries, transfer, 0, 1]))
    others = chunk(b"sRGB", b"\0") + chunk(b"gAMA", struct.pack(">I", 100_000)) + profile_chunk(matrix_profile(9))
    for extra in (cicp, others[:13] + cicp + others[13:], others + cicp):
        content = png(30, 30, 8, 2, row * 30, extra)
        np.testing.assert_allclose(shown(tmp_path, content), expected(colour, primaries, transfer), atol=1)


def profile_chunk(profile: bytes) -> bytes:
    return chunk(b"iCCP", b"p\0\0" + zlib.compress(profile))


def gama(value: float) -> bytes:
    return chunk(b"gAMA", struct.pack(">I", round(100_000 * value)))


def chrm(primaries: int) -> bytes:
    red, green, blue, white = STANDARD[primaries]
    return chunk(
        b"cHRM", struct.pack(">8I", *(round(100_000 * v) for place in (white, red, green, blue) for v in place))
    )


@pytest.mark.parametrize("colour", COLOURS)
@pytest.mark.parametrize(
    ("extra", "primaries", "transfer"),
    [
        (gama(1.0), 1, 8),
        (gama(1 / 2.8), 1, 5),
        (gama(1 / 2.2), 1, 13),
        (gama(1 / 2.2) + chrm(1), 1, 4),
        (chrm(12), 1, 13),
        (chrm(9) + gama(1.0), 9, 8),
        (chrm(11) + gama(1 / 2.2), 11, 4),
        (gama(1.0) + chunk(b"sRGB", b"\0") + chrm(9), 1, 13),
        (gama(0), 1, 13),
        (chunk(b"cHRM", bytes(32)), 1, 13),
        (chunk(b"cHRM", struct.pack(">8I", *([31270, 32900] * 4))), 1, 13),
        (chunk(b"cICP", b"\x0c\x0d\x01\x01"), 1, 13),
    ],
    ids=[
        "linear",
        "2.8",
        "2.2",
        "srgb's",
        "P3",
        "linear 2020",
        "DCI",
        "sRGB wins",
        "0",
        "none",
        "point",
        "yuv",
    ],
)
def test_png_by_gamma_and_chromaticities(
    tmp_path: Path, colour: Rgb, extra: bytes, primaries: int, transfer: int
) -> None:
    content = png(30, 30, 8, 2, (b"\0" + bytes(colour) * 30) * 30, extra)
    np.testing.assert_allclose(shown(tmp_path, content), expected(colour, primaries, transfer), atol=1)


@pytest.mark.parametrize("code", [257, 1000, 30_000, 65535])
def test_sixteen_bit_grey_png_of_linear_light(tmp_path: Path, code: int) -> None:
    content = png(30, 30, 16, 0, (b"\0" + struct.pack(">H", code) * 30) * 30, gama(1.0))
    np.testing.assert_allclose(shown(tmp_path, content), srgb_code(np.array(code / 65535)), atol=1)


def test_transparent_pixels_are_put_on_white_after_their_colours_are_known(tmp_path: Path) -> None:
    content = png(30, 30, 8, 6, (b"\0" + bytes([200, 40, 40, 128]) * 30) * 30, chunk(b"cICP", b"\x0c\x0d\0\1"))
    opaque = expected((200, 40, 40), 12)
    np.testing.assert_allclose(shown(tmp_path, content), opaque * 128 / 255 + 255 * 127 / 255, atol=1)


def test_a_palette_has_colours_too(tmp_path: Path) -> None:
    content = encoded(solid((200, 40, 40)).quantize(2), "PNG")
    content = content[:33] + chunk(b"cICP", b"\x0c\x0d\0\1") + content[33:]
    np.testing.assert_allclose(shown(tmp_path, content), expected((200, 40, 40), 12), atol=1)


# High dynamic range


@pytest.mark.parametrize(("transfer", "paper"), [(16, 0.58), (18, 0.75)])
@pytest.mark.parametrize("kind", ["AVIF", "PNG"])
def test_hdr_stills_are_shown_as_hdr_videos_are(tmp_path: Path, transfer: int, paper: float, kind: str) -> None:
    """Paper white, 203 nits, is nearly white; taken for SDR it would be a veil of grey."""
    grey = round(255 * paper)
    for colour in ((grey,) * 3, (grey, grey // 2, grey // 3), (30, 20, 10)):
        if kind == "AVIF":
            content = numbered(encoded(solid(colour), "AVIF", quality=100, subsampling="4:4:4"), 9, transfer)
        else:
            content = png(30, 30, 8, 2, (b"\0" + bytes(colour) * 30) * 30, chunk(b"cICP", bytes([9, transfer, 0, 1])))
        as_video = to_srgb(np.full((1, 1, 3), colour, np.uint8), of_h273(9, transfer))[0, 0]
        np.testing.assert_allclose(shown(tmp_path, content), as_video, atol=1 if kind == "PNG" else 8)
    white = to_srgb(np.full((1, 1, 3), grey, np.uint8), of_h273(9, transfer))
    assert 220 <= white.min() <= white.max() <= 230


@pytest.mark.parametrize("transfer", [16, 18])
def test_hdr_of_other_primaries(transfer: int) -> None:
    """Display P3's red, as bright as it gets, is redder than BT.709's; greys are grey; unknown ones are BT.2020's."""
    red = np.array([[[140, 0, 0]]], np.uint8)
    p3, wide, usual = (to_srgb(red, of_h273(primaries, transfer)) for primaries in (12, 9, 2))
    assert p3[0, 0, 0] < wide[0, 0, 0]
    np.testing.assert_array_equal(usual, wide)
    grey = to_srgb(np.full((1, 1, 3), 120, np.uint8), of_h273(12, transfer))
    assert np.ptp(grey) <= 1


def test_hdr_by_the_numbers_in_a_profile() -> None:
    """HDR profiles hold numbers beside the tables that older readers need."""
    cicp = b"cicp" + bytes(4) + bytes([9, 16, 0, 1])
    profile = matrix_profile(9, {b"cicp": cicp})
    image = Image.open(io.BytesIO(encoded(solid((148,) * 3), "PNG", icc_profile=profile)))
    assert of_photo(image, io.BytesIO(encoded(solid((148,) * 3), "PNG"))) == of_h273(9, 16)
    sdr = matrix_profile(12, {b"cicp": cicp[:8] + bytes([12, 13, 0, 1])})
    image.info["icc_profile"] = sdr
    assert of_photo(image, io.BytesIO(encoded(solid((148,) * 3), "PNG"))) == Colours(profile=sdr)


# Profiles, against LittleCMS


def curve(gamma: float) -> bytes:
    return b"para" + bytes(4) + struct.pack(">HH", 0, 0) + s15(gamma)


def srgb_curve() -> bytes:
    return b"para" + bytes(4) + struct.pack(">HH", 3, 0) + s15(2.4, 1 / 1.055, 0.055 / 1.055, 1 / 12.92, 0.04045)


def matrix_profile(
    primaries: int, more: dict[bytes, bytes] | None = None, *, trc: bytes | None = None, name: bytes = b"by hand"
) -> bytes:
    d50 = np.array([0.9642, 1, 0.8249])
    columns = (adapted(STANDARD[primaries][3], d50) @ to_xyz(*STANDARD[primaries])).T
    tags = {b"desc": description(name), b"wtpt": b"XYZ " + bytes(4) + s15(*d50)}
    tags |= {tag: b"XYZ " + bytes(4) + s15(*c) for tag, c in zip((b"rXYZ", b"gXYZ", b"bXYZ"), columns, strict=True)}
    return icc(b"RGB ", b"XYZ ", tags | dict.fromkeys((b"rTRC", b"gTRC", b"bTRC"), trc or srgb_curve()) | (more or {}))


def grey_profile(gamma: float) -> bytes:
    tags = {b"desc": description(b"grey"), b"wtpt": b"XYZ " + bytes(4) + s15(0.9642, 1, 0.8249), b"kTRC": curve(gamma)}
    return icc(b"GRAY", b"XYZ ", tags)


def by_littlecms(image: Image.Image, profile: bytes) -> npt.NDArray[np.int64]:
    made = ImageCms.profileToProfile(
        image,
        ImageCms.ImageCmsProfile(io.BytesIO(profile)),
        ImageCms.createProfile("sRGB"),
        renderingIntent=ImageCms.Intent.RELATIVE_COLORIMETRIC,
        outputMode="RGB",
        flags=ImageCms.Flags.BLACKPOINTCOMPENSATION,
    )
    assert made is not None
    return np.asarray(made)[20, 20].astype(int)


@pytest.mark.parametrize("kind", ["PNG", "JPEG", "TIFF", "WEBP", "AVIF"])
@pytest.mark.parametrize("primaries", [1, 9, 12])
def test_profiles_and_numbers_agree(tmp_path: Path, kind: str, primaries: int) -> None:
    exact = kind in ("PNG", "TIFF")
    options = {} if exact else {"quality": 100}
    for colour in COLOURS[:4]:
        content = encoded(solid(colour), kind, icc_profile=matrix_profile(primaries), **options)
        tolerance = 1 if exact else 7
        np.testing.assert_allclose(
            shown(tmp_path, content), by_littlecms(solid(colour), matrix_profile(primaries)), atol=tolerance
        )
        np.testing.assert_allclose(shown(tmp_path, content), expected(colour, primaries), atol=tolerance + 1)


@pytest.mark.parametrize("name", [b"sRGB", b"sRGB-elle-V2-g10.icc", b"sRGB linear", b"c2"])
def test_a_profile_s_name_says_nothing(tmp_path: Path, name: bytes) -> None:
    linear = matrix_profile(1, trc=curve(1.0), name=name)
    content = encoded(solid((100, 50, 10)), "PNG", icc_profile=linear)
    np.testing.assert_allclose(shown(tmp_path, content), expected((100, 50, 10), 1, 8), atol=2)
    plain = matrix_profile(1, name=name)
    pixels = photo(32, 32)
    np.testing.assert_array_equal(
        load_bytes(tmp_path, encoded(Image.fromarray(pixels), "PNG", icc_profile=plain)), pixels
    )


@pytest.mark.parametrize("kind", ["PNG", "JPEG", "TIFF"])
@pytest.mark.parametrize("gamma", [1.0, 1.8, 2.2, 3.0])
@pytest.mark.parametrize("level", [20, 128, 255])
def test_grey_with_a_profile_of_greys(tmp_path: Path, kind: str, gamma: float, level: int) -> None:
    image = Image.new("L", (64, 48), level)
    content = encoded(image, kind, icc_profile=grey_profile(gamma), **({"quality": 100} if kind == "JPEG" else {}))
    np.testing.assert_allclose(shown(tmp_path, content), by_littlecms(image, grey_profile(gamma)), atol=1)
    np.testing.assert_allclose(shown(tmp_path, content), srgb_code(np.array((level / 255) ** gamma)), atol=2)


def test_grey_with_alpha_and_a_profile_of_greys(tmp_path: Path) -> None:
    content = encoded(Image.new("LA", (64, 48), (128, 128)), "PNG", icc_profile=grey_profile(3.0))
    dark = srgb_code(np.array((128 / 255) ** 3.0))
    np.testing.assert_allclose(shown(tmp_path, content), dark * 128 / 255 + 255 * 127 / 255, atol=2)


@pytest.mark.parametrize("code", [5000, 30_000, 65535])
def test_wide_grey_with_a_profile_of_greys(tmp_path: Path, code: int) -> None:
    content = encoded(Image.fromarray(np.full((48, 64), code, np.uint16)), "TIFF", icc_profile=grey_profile(3.0))
    np.testing.assert_allclose(shown(tmp_path, content), srgb_code(np.array((code / 65535) ** 3.0)), atol=2)


def test_grey_with_a_profile_of_colours(tmp_path: Path) -> None:
    linear = matrix_profile(9, trc=curve(1.0))
    content = encoded(Image.new("L", (64, 48), 60), "PNG", icc_profile=linear)
    np.testing.assert_allclose(shown(tmp_path, content), srgb_code(np.array(60 / 255)), atol=2)


def test_colours_with_a_profile_of_greys_are_shown_as_they_are(tmp_path: Path) -> None:
    content = encoded(solid((200, 40, 40)), "TIFF", icc_profile=grey_profile(3.0))
    np.testing.assert_array_equal(shown(tmp_path, content), (200, 40, 40))


# Boxes that lie


@given(st.binary(max_size=200))
def test_boxes_of_anything(content: bytes) -> None:
    image = Image.new("RGB", (1, 1))
    for kind, start in (("AVIF", b""), ("JPEG2000", b"\0\0\0\x0cjP  "), ("PNG", b"\x89PNG\r\n\x1a\n")):
        image.format = kind
        assert isinstance(of_photo(image, io.BytesIO(start + content)), Colours)


def test_boxes_inside_themselves() -> None:
    image = Image.new("RGB", (1, 1))
    image.format = "AVIF"
    endless = b"\0\0\0\0ipco" * 5000
    assert of_photo(image, io.BytesIO(endless)) == SRGB


# Samples of TIFF


def tiff(bits: int, photometric: int, data: bytes, *, kind: int = 1, width: int = 4, order: str = "<") -> bytes:
    """One row of greys."""
    tags = [
        (256, 4, width), (257, 4, 1), (258, 3, bits), (259, 3, 1), (262, 3, photometric), (273, 4, 8), (277, 3, 1),
        (278, 4, 1), (279, 4, len(data)), (339, 3, kind),
    ]  # fmt: skip
    body = (b"II*\0" if order == "<" else b"MM\0*") + struct.pack(order + "I", 8 + len(data) + len(data) % 2)
    body += data + bytes(len(data) % 2) + struct.pack(order + "H", len(tags))
    for tag, form, value in tags:
        value_bytes = struct.pack(order + "H", value) + b"\0\0" if form == 3 else struct.pack(order + "I", value)
        body += struct.pack(order + "HHI", tag, form, 1) + value_bytes
    return body + bytes(4)


DEPTHS = [
    (1, 1, b"\x50", [0, 255, 0, 255]),
    (2, 1, b"\x1b", [0, 85, 170, 255]),
    (4, 1, b"\x05\xaf", [0, 85, 170, 255]),
    (8, 1, bytes([0, 85, 170, 255]), [0, 85, 170, 255]),
    (16, 1, struct.pack("<4H", 0, 21845, 43690, 65535), [0, 85, 170, 255]),
    (12, 1, bytes([0x00, 0x05, 0x55, 0xAA, 0xAF, 0xFF]), [0, 85, 170, 255]),
    (8, 2, struct.pack("<4b", 0, 64, 127, -5), [0, 129, 255, 0]),
    (16, 2, struct.pack("<4h", 0, 16384, 32767, -5), [0, 128, 255, 0]),
    (32, 1, struct.pack("<4I", 0, 2**30, 2**31, 2**32 - 1), [0, 64, 128, 255]),
    (32, 2, struct.pack("<4i", 0, -7, 30_000, 65535), [0, 0, 117, 255]),
    (32, 3, struct.pack("<4f", 0, 0.25, 0.5, 1), [0, 64, 128, 255]),
    (64, 3, struct.pack("<4d", 0, 0.25, 0.5, 1), [0, 64, 128, 255]),
]


@pytest.mark.parametrize("inverted", [False, True])
@pytest.mark.parametrize(("bits", "kind", "data", "levels"), DEPTHS, ids=lambda value: str(value)[:6])
def test_greys_of_every_depth_and_kind(
    tmp_path: Path, bits: int, kind: int, data: bytes, levels: list[int], inverted: bool
) -> None:
    content = tiff(bits, 0 if inverted else 1, data, kind=kind)
    loaded = load_bytes(tmp_path, content)
    wanted = [255 - level for level in levels] if inverted else levels
    np.testing.assert_allclose(loaded[0, :, 0], wanted, atol=1)
    assert np.ptp(loaded, axis=2).max() == 0


def test_big_endian_inverted_grey(tmp_path: Path) -> None:
    content = tiff(16, 0, struct.pack(">4H", 0, 21845, 43690, 65535), order=">")
    assert load_bytes(tmp_path, content)[0, :, 0].tolist() == [255, 170, 85, 0]


@pytest.mark.parametrize(
    ("lab", "colour"),
    [
        ((138, 81, 70), (255, 0, 0)),
        ((255, 0, 0), (255, 255, 255)),
        ((0, 0, 0), (0, 0, 0)),
        ((137, 0, 0), (128, 128, 128)),
    ],
)
def test_cielab(tmp_path: Path, lab: Rgb, colour: Rgb) -> None:
    """L* to 255, a* and b* with a sign, of D50: sRGB's red is (54.3, 80.8, 69.9) there."""
    content = encoded(Image.new("LAB", (64, 48), (lab[0], lab[1] + 128, lab[2] + 128)), "TIFF")
    np.testing.assert_allclose(shown(tmp_path, content), colour, atol=6)


def tiff_of_colours(bits: int, photometric: int, samples: list[int], order: str = "<") -> bytes:
    """One pixel."""
    data = struct.pack(f"{order}{len(samples)}{'H' if bits == 16 else 'B'}", *samples)
    counts = struct.pack(f"{order}{len(samples)}H", *[bits] * len(samples))
    tags = [
        (256, 4, 1, 1), (257, 4, 1, 1), (258, 3, len(samples), 8), (259, 3, 1, 1), (262, 3, 1, photometric),
        (273, 4, 1, 8 + len(counts)), (277, 3, 1, len(samples)), (278, 4, 1, 1), (279, 4, 1, len(data)),
    ]  # fmt: skip
    body = (
        (b"II*\0" if order == "<" else b"MM\0*") + struct.pack(order + "I", 8 + len(counts) + len(data)) + counts + data
    )
    body += struct.pack(order + "H", len(tags))
    for tag, form, count, value in tags:
        word = struct.pack(order + "H", value) + b"\0\0" if (form, count) == (3, 1) else struct.pack(order + "I", value)
        body += struct.pack(order + "HHI", tag, form, count) + word
    return body + bytes(4)


@pytest.mark.parametrize("order", ["<", ">"])
@pytest.mark.parametrize(
    ("bits", "photometric", "samples", "colour"),
    [
        (8, 2, [200, 40, 30], (200, 40, 30)),
        (16, 2, [200 * 257, 40 * 257, 30 * 257], (200, 40, 30)),
        (8, 5, [0, 255, 255, 0], (255, 0, 0)),
        (16, 5, [0, 65535, 65535, 0], (255, 0, 0)),
        (8, 6, [76, 85, 255], (254, 0, 0)),
        (8, 8, [138, 81, 70], (255, 0, 0)),
    ],
    ids=["RGB", "RGB 16", "CMYK", "CMYK 16", "YCbCr", "CIELAB"],
)
def test_colours_of_every_interpretation(
    tmp_path: Path, order: str, bits: int, photometric: int, samples: list[int], colour: Rgb
) -> None:
    loaded = load_bytes(tmp_path, tiff_of_colours(bits, photometric, samples, order))
    np.testing.assert_allclose(loaded[0, 0].astype(int), colour, atol=6)


@pytest.mark.parametrize("photometric", [9, 10, 32803, 32845])
def test_interpretations_that_are_not_read_are_told_truly(photometric: int) -> None:
    content = tiff_of_colours(8, photometric, [1, 2, 3])
    with pytest.raises(InputError, match=r"a\.tif is a TIFF file with pixels of a kind that isn't read"):
        decode_image(content, "a.tif")


@pytest.mark.parametrize("colours", [2, 4, 16, 256])
def test_palettes_of_every_depth(tmp_path: Path, colours: int) -> None:
    image = Image.fromarray(photo(32, 32)).quantize(colours)
    for kind in ("PNG", "TIFF", "GIF", "BMP"):
        np.testing.assert_array_equal(load_bytes(tmp_path, encoded(image, kind)), np.asarray(image.convert("RGB")))


def test_a_profile_is_shared_by_threads(tmp_path: Path) -> None:
    pictures = [
        encoded(Image.fromarray(photo(160, 120, seed)), "PNG", icc_profile=matrix_profile(12)) for seed in range(8)
    ]
    alone = [decode_image(content, "a") for content in pictures]
    with ThreadPoolExecutor(8) as pool:
        for together, one in zip(pool.map(decode_image, pictures * 4, ["a"] * 32), alone * 4, strict=True):
            np.testing.assert_array_equal(together, one)


# Frames of videos


def frame_of(colour: Rgb, primaries: int, transfer: int) -> av.VideoFrame:
    frame = av.VideoFrame.from_ndarray(np.full((48, 64, 3), colour, np.uint8), format="rgb24")
    coded = frame.reformat(format="yuv444p", dst_colorspace=1, dst_color_range=2)
    coded.colorspace, coded.color_range, coded.color_primaries, coded.color_trc = 1, 2, primaries, transfer
    return coded


@pytest.mark.parametrize(
    ("primaries", "transfer"), [(1, 1), (5, 1), (6, 6), (9, 14), (11, 17), (12, 13), (1, 8), (2, 2)]
)
def test_frames(tmp_path: Path, primaries: int, transfer: int) -> None:
    with VideoReader(write_video(tmp_path / "a.mp4", 1)) as reader:
        for colour in COLOURS:
            frame = frame_of(colour, primaries, transfer)
            pixels = video.PixelSource(reader.stream, frame)(frame)
            wanted = expected(colour, 1 if primaries in (2, 6) else primaries, transfer)
            np.testing.assert_allclose(pixels[20, 20], wanted, atol=8 if min(colour) < 15 else 4)


@pytest.mark.parametrize(
    ("name", "codec"), [("a.mp4", "libx264"), ("a.mov", "mpeg4"), ("a.webm", "libvpx-vp9"), ("a.mkv", "libx264")]
)
def test_a_video_in_display_p3(tmp_path: Path, name: str, codec: str) -> None:
    def tag(stream: av.VideoStream) -> None:
        context = stream.codec_context
        context.color_primaries, context.color_trc, context.colorspace, context.color_range = 12, 1, 1, 1

    def picture(number: int) -> Pixels:
        # Coded by BT.601's matrix, as FFmpeg's own conversion does, and tagged BT.709's: so the codes are made here.
        rgb = np.full((48, 64, 3), (200, 40, 40), np.uint8)
        frame = av.VideoFrame.from_ndarray(rgb, format="rgb24").reformat(
            format="yuv444p", dst_colorspace=1, dst_color_range=1
        )
        return np.asarray(frame.reformat(format="rgb24", src_colorspace=5, src_color_range=1).to_ndarray())

    path = write_video(tmp_path / name, 2, picture=picture, codec=codec, turn=tag)
    with VideoReader(path) as reader:
        pixels = next(iter(reader.frames())).pixels()
    np.testing.assert_allclose(pixels[20, 20], expected((200, 40, 40), 12), atol=10)


def test_the_bytes_of_a_photo_are_left_where_they_were() -> None:
    content = encoded(Image.fromarray(photo(16, 16)), "PNG")
    file = io.BytesIO(content)
    assert decode_image(file, "a.png").shape == (16, 16, 3)
