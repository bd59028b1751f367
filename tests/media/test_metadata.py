"""What photos say about themselves, and what of it their translations say."""

import io

import pytest
from PIL import ExifTags, Image

from ugatit_fast.choices import KeepMetadata
from ugatit_fast.media.images import decode_photo, encode_image
from ugatit_fast.media.metadata import kept_video_tags

Tags = ExifTags.Base


def photo_file(kind: str) -> bytes:
    exif = Image.Exif()
    exif[Tags.DateTime] = "2024:05:01 10:00:00"
    exif[Tags.Copyright] = "Jo"
    exif[Tags.Make] = "Cam"
    exif[Tags.Orientation] = 6
    exif[ExifTags.IFD.Exif] = {
        Tags.DateTimeOriginal: "2024:05:01 09:59:59",
        Tags.OffsetTimeOriginal: "+02:00",
        Tags.FNumber: 2.8,
        Tags.ExifImageWidth: 8,
        Tags.MakerNote: b"secret places",
    }
    exif[ExifTags.IFD.GPSInfo] = {1: "N", 2: (52.0, 31.0, 12.0)}
    buffer = io.BytesIO()
    Image.new("RGB", (8, 6), (200, 40, 40)).save(buffer, kind, exif=exif.tobytes())
    return buffer.getvalue()


def said(content: bytes) -> tuple[dict[int, object], dict[int, object], dict[int, object]]:
    exif = Image.open(io.BytesIO(content)).getexif()
    outer = {tag: value for tag, value in exif.items() if tag not in set(ExifTags.IFD)}
    return outer, dict(exif.get_ifd(ExifTags.IFD.Exif)), dict(exif.get_ifd(ExifTags.IFD.GPSInfo))


@pytest.mark.parametrize("kind", ["JPEG", "PNG", "WEBP", "TIFF", "AVIF"])
@pytest.mark.parametrize("suffix", [".jpg", ".png", ".webp"])
def test_from_every_format_to_every_format(kind: str, suffix: str) -> None:
    def translated(keep: KeepMetadata) -> tuple[dict[int, object], dict[int, object], dict[int, object]]:
        decoded = decode_photo(photo_file(kind), "a", keep=keep)
        assert decoded.pixels.shape == (8, 6, 3)  # upright already
        return said(encode_image(decoded.pixels, suffix, decoded.exif))

    when = {Tags.DateTime: "2024:05:01 10:00:00", Tags.Copyright: "Jo"}
    exposed = {Tags.DateTimeOriginal: "2024:05:01 09:59:59", Tags.OffsetTimeOriginal: "+02:00"}
    assert translated("none") == ({}, {}, {})
    assert translated("date") == (when, exposed, {})
    everything = translated("all")
    assert everything[0] == when | {Tags.Make: "Cam"}
    assert everything[1] == exposed | {Tags.FNumber: 2.8}
    assert everything[2] == {1: "N", 2: (52.0, 31.0, 12.0)}


@pytest.mark.parametrize("exif", [b"", b"Exif\0\0XX\0*junk", b"Exif\0\0II*\0\xff\xff\xff\xff"])
@pytest.mark.parametrize("keep", ["date", "all"])
def test_nothing_to_keep(exif: bytes, keep: KeepMetadata) -> None:
    buffer = io.BytesIO()
    Image.new("RGB", (8, 6)).save(buffer, "JPEG", **({"exif": exif} if exif else {}))
    assert decode_photo(buffer.getvalue(), "a", keep=keep).exif == b""


def test_more_than_jpeg_has_room_for_is_cut_to_the_date() -> None:
    exif = Image.Exif()
    exif[Tags.DateTime], exif[Tags.ImageDescription] = "2024:05:01 10:00:00", "x" * 70_000
    buffer = io.BytesIO()
    Image.new("RGB", (8, 6)).save(buffer, "PNG", exif=exif.tobytes())
    decoded = decode_photo(buffer.getvalue(), "a", keep="all")
    assert said(encode_image(decoded.pixels, ".jpg", decoded.exif))[0] == {Tags.DateTime: "2024:05:01 10:00:00"}
    exif[Tags.Copyright] = "x" * 70_000
    buffer = io.BytesIO()
    Image.new("RGB", (8, 6)).save(buffer, "PNG", exif=exif.tobytes())
    assert decode_photo(buffer.getvalue(), "a", keep="all").exif == b""


def test_videos() -> None:
    tags = {"creation_time": "2024", "location": "+52+13/", "title": "Party", "encoder": "x", "copyright": "Jo"}
    assert kept_video_tags(tags, "none") == {}
    assert kept_video_tags(tags, "date") == {"creation_time": "2024", "copyright": "Jo"}
    assert kept_video_tags(tags, "all") == {name: tags[name] for name in tags if name != "encoder"}
