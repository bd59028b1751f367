"""What photos and videos say about themselves beside their pictures, and what of it goes with their translations.

A translation has other pixels: what is about those (orientation, size, thumbnail) never goes along.
"""

from collections.abc import Mapping

from PIL import ExifTags, Image

from ugatit_fast.choices import KeepMetadata

Tags = ExifTags.Base
DATES = {Tags.DateTime, Tags.Copyright}
EXIF_DATES = {
    Tags.DateTimeOriginal, Tags.DateTimeDigitized, Tags.SubsecTime, Tags.SubsecTimeOriginal, Tags.SubsecTimeDigitized,
    Tags.OffsetTime, Tags.OffsetTimeOriginal, Tags.OffsetTimeDigitized,
}  # fmt: skip
"""What "date" keeps, in the first directory and in that of the exposure."""
OF_PIXELS = {
    Tags.Orientation, Tags.ImageWidth, Tags.ImageLength, Tags.ExifImageWidth, Tags.ExifImageHeight, Tags.BitsPerSample,
    Tags.Compression, Tags.PhotometricInterpretation, Tags.StripOffsets, Tags.SamplesPerPixel, Tags.RowsPerStrip,
    Tags.StripByteCounts, Tags.PlanarConfiguration, Tags.TileWidth, Tags.TileLength, Tags.TileOffsets,
    Tags.TileByteCounts, Tags.ColorMap, Tags.ExtraSamples, Tags.SampleFormat, Tags.Predictor, Tags.JPEGTables,
    Tags.YCbCrSubSampling, Tags.ColorSpace, Tags.InterColorProfile, Tags.NewSubfileType, Tags.SubIFDs, Tags.FillOrder,
    Tags.XMLPacket, Tags.ImageResources, Tags.JpegIFOffset, Tags.JpegIFByteCount, Tags.MakerNote,
}  # fmt: skip
"""What "all" leaves out: of other pixels, or of places in another file."""
DIRECTORIES = (ExifTags.IFD.Exif, ExifTags.IFD.GPSInfo)
MOST_BYTES = 65_000
"""Of EXIF in a JPEG file."""
VIDEO_DATES = ("creation_time", "date", "copyright", "com.apple.quicktime.creationdate")
"""FFmpeg's names of what "date" keeps of a video."""
OF_CONTAINERS = ("major_brand", "minor_version", "compatible_brands", "encoder", "duration", "handler_name")
"""What "all" leaves out of a video."""


def kept_exif(image: Image.Image, keep: KeepMetadata) -> bytes:
    """Of a photo whose header has been read: EXIF, empty for nothing. What is broken is left out.

    "date": when it was taken, and its copyright, but not where. "all": whatever EXIF says of it; as "date" where that
    is more than JPEG has room for.
    """
    if keep == "none":
        return b""
    kept = Image.Exif()
    try:
        said = image.getexif()
        take(kept, said, DATES if keep == "date" else None)
        for directory in DIRECTORIES:
            inner: dict[int, object] = {}
            if keep == "all" or directory == ExifTags.IFD.Exif:
                take(inner, said.get_ifd(directory), EXIF_DATES if keep == "date" else None)
            if inner:
                kept[directory] = inner
        content = kept.tobytes() if len(kept) else b""
        if len(content) > MOST_BYTES:
            return kept_exif(image, "date") if keep == "all" else b""
        return content
    except Exception:  # noqa: BLE001 - broken EXIF raises as freely as broken pixels do
        return b""


def take(
    kept: "dict[int, object] | Image.Exif", said: "Mapping[int, object] | Image.Exif", wanted: set[Tags] | None
) -> None:
    """Copy the tags that are wanted; None is all but those of pixels, and the directories, which come by themselves."""
    for tag, value in said.items():
        if tag in wanted if wanted is not None else tag not in OF_PIXELS and tag not in set(ExifTags.IFD):
            kept[tag] = value


def kept_video_tags(said: Mapping[str, str], keep: KeepMetadata) -> dict[str, str]:
    """Of a video, by FFmpeg's names; as `kept_exif`."""
    if keep == "all":
        return {name: value for name, value in said.items() if name.lower() not in OF_CONTAINERS}
    return {name: value for name, value in said.items() if keep == "date" and name.lower() in VIDEO_DATES}
