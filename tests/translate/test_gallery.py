import errno
import os
import re
from collections.abc import Sequence
from html.parser import HTMLParser
from pathlib import Path, PurePath
from urllib.parse import unquote_to_bytes

import pytest

from tests.translate.fake_translator import FakeTranslator, write_photos
from ugatit_fast.errors import InputError
from ugatit_fast.translate import gallery
from ugatit_fast.translate.pipeline import translate_files
from ugatit_fast.translate.sinks import FolderSink
from ugatit_fast.translate.sources import Source, find_images

AWKWARD = [
    '<b>&"x.png',
    "100% #1?.png",
    "$title ${x}.jpg",
    "sub folder/ü ' 日本.webp",
    "C:evil.png",
    "javascript:alert(1).png",
]
"""Names that are markup, a template's, a link's or an address's to anyone who doesn't escape them."""


class Page(HTMLParser):
    """What a browser would make of a page."""

    VOID = ("meta", "img", "br", "link")

    def __init__(self, path: Path) -> None:
        super().__init__()
        self.tags: list[str] = []
        self.links: list[str] = []
        self.images: list[dict[str, str | None]] = []
        self.text: dict[str, list[str]] = {}
        self.open: list[str] = []
        self.source = path.read_text(encoding="utf-8")
        self.feed(self.source)
        self.close()
        assert self.open == []

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.tags.append(tag)
        if tag not in self.VOID:
            self.open.append(tag)
        self.links += [value or "" for name, value in attrs if name in ("src", "href")]
        if tag == "img":
            self.images.append(dict(attrs))

    def handle_endtag(self, tag: str) -> None:
        assert self.open.pop() == tag

    def handle_data(self, data: str) -> None:
        if self.open and data.strip():
            self.text.setdefault(self.open[-1], []).append(data)


def translate(folder: Path, out: Path, *, heatmap: bool = False) -> Page:
    report = translate_files(FakeTranslator(heatmap=heatmap), find_images([folder]), out)
    assert report.page == out / "index.html"
    return Page(report.page)


def target(link: str) -> PurePath:
    return PurePath(os.fsdecode(unquote_to_bytes(link)))


def write_page(out: Path, names: Sequence[str], failures: Sequence[str] = ()) -> Page:
    sources = [Source(Path(name), PurePath(name)) for name in names]
    return Page(gallery.write_page(FolderSink(out), sources, failures, size=(32, 48), heatmap=False))


@pytest.mark.parametrize("heatmap", [False, True])
def test_every_link_is_relative_and_leads_to_a_file(tmp_path: Path, heatmap: bool) -> None:
    photos = write_photos(tmp_path / "photos", *AWKWARD)
    page = translate(photos, tmp_path / "out", heatmap=heatmap)
    moved = (tmp_path / "out").rename(tmp_path / "moved")
    assert len(page.links) == 2 * len(AWKWARD) * (3 if heatmap else 2)  # each picture is shown, and leads to itself
    for link in page.links:
        assert re.fullmatch(r"[\w./%~-]+", link, re.ASCII)  # no scheme, no query, no fragment
        assert not target(link).is_absolute()
        assert (moved / target(link)).is_file()


@pytest.mark.parametrize("heatmap", [False, True])
def test_each_photo_has_its_columns_in_order(tmp_path: Path, heatmap: bool) -> None:
    photos = write_photos(tmp_path / "photos", "a.png", "sub/b.png")
    page = translate(photos, tmp_path / "out", heatmap=heatmap)
    columns = ["input", "heat map", "output"] if heatmap else ["input", "output"]
    folders = {"input": "gallery/input/", "heat map": "gallery/heatmap/", "output": ""}
    shown = [(image["alt"], image["src"]) for image in page.images]
    assert shown == [
        (f"{column}: {name}", folders[column] + name) for name in ("a.png", "sub/b.png") for column in columns
    ]
    assert all(image["loading"] == "lazy" for image in page.images)
    assert page.text["p"] == [" → ".join(columns)]


def test_names_are_shown_as_they_are_and_nothing_more(tmp_path: Path) -> None:
    page = write_page(tmp_path, AWKWARD)
    assert page.text["figcaption"] == AWKWARD
    assert [image["alt"] for image in page.images][::2] == [f"input: {name}" for name in AWKWARD]
    assert [target(link) for link in page.links][2::4] == [PurePath(name) for name in AWKWARD]
    assert "b" not in page.tags
    assert page.tags.count("script") == 1


def test_a_name_that_is_not_text(tmp_path: Path) -> None:
    """Linux names are bytes; Python shows those that aren't UTF-8 as lone surrogates, which no file can hold."""
    name = os.fsdecode(b"caf\xe9.png")
    page = write_page(tmp_path, [name])
    assert page.text["figcaption"] == ["caf?.png"]
    assert page.links[0] == "gallery/input/caf%E9.png"


def test_failures_are_listed(tmp_path: Path) -> None:
    failures = ["a.png is empty (0 bytes)", "<script>alert(1)</script>.png is not an image"]
    page = write_page(tmp_path, ["good.png"], failures)
    assert page.text["li"] == failures
    assert page.text["h2"] == ["2 not translated"]
    assert page.text["h1"] == page.text["title"] == ["1 photo translated"]
    assert "section" not in write_page(tmp_path, ["good.png"]).tags


def test_the_page_needs_nothing_from_elsewhere(tmp_path: Path) -> None:
    page = write_page(tmp_path, ["a.png"])
    assert not {"link", "iframe"} & set(page.tags)
    assert "import" not in page.source
    assert "fetch(" not in page.source
    assert "//" not in page.source
    assert "url(" not in page.source
    assert "prefers-color-scheme: dark" in page.source
    assert "aspect-ratio: 48 / 32" in page.source
    assert "$" not in page.source


def test_an_earlier_page_stays_when_the_new_one_cannot_be_written(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    before = write_page(tmp_path, ["a.png"]).source

    write_bytes = Path.write_bytes

    def disk_is_full(path: Path, content: bytes) -> None:
        write_bytes(path, content[:100])
        raise OSError(errno.ENOSPC, "No space left on device")

    monkeypatch.setattr(Path, "write_bytes", disk_is_full)
    with pytest.raises(InputError, match="disk is full"):
        write_page(tmp_path, ["b.png"])
    assert [path.name for path in tmp_path.iterdir()] == ["index.html"]
    assert Page(tmp_path / "index.html").source == before


def test_a_page_of_ours_is_known(tmp_path: Path) -> None:
    gallery.refuse_foreign_page(tmp_path)
    write_page(tmp_path, ["a.png"])
    gallery.refuse_foreign_page(tmp_path)
    (tmp_path / "index.html").write_text("<!doctype html><title>My page</title>")
    with pytest.raises(InputError, match="not a gallery of ours"):
        gallery.refuse_foreign_page(tmp_path)


@pytest.mark.parametrize(
    ("name", "reserved"),
    [
        ("gallery/input/a.png", True),
        ("Gallery/Heatmap/sub/a.png", True),
        ("gallery/a.png", False),
        ("gallery/inputs/a.png", False),
        ("sub/gallery/input/a.png", False),
        ("a.png", False),
    ],
)
def test_reserved_names(name: str, reserved: bool) -> None:
    assert gallery.is_reserved(PurePath(name)) is reserved
