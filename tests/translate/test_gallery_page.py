"""The gallery in Chromium, opened from its folder as people do."""

from collections.abc import Iterator
from pathlib import Path

import pytest
from PIL import Image

from tests.axe import LOOKS, violations
from tests.chromium import launched, playwright
from tests.translate.fake_translator import FakeTranslator, write_photos
from ugatit_fast.translate.pipeline import translate_files
from ugatit_fast.translate.sources import find_images

SIZES = ((1280, 800), (390, 844))


@pytest.fixture(scope="module")
def browser() -> Iterator["playwright.Browser"]:
    with launched() as browser:
        yield browser


@pytest.fixture
def index(tmp_path: Path) -> Path:
    photos = write_photos(tmp_path / "photos", "a.png", "b c.png")
    report = translate_files(FakeTranslator(heatmap=True), find_images([photos]), tmp_path / "out")
    assert report.page
    return report.page


def opened(browser: "playwright.Browser", index: Path, width: int, height: int) -> "playwright.Page":
    page = browser.new_page(viewport={"width": width, "height": height})
    page.set_default_timeout(15_000)
    page.goto(index.as_uri())
    return page


@pytest.mark.parametrize(("width", "height"), SIZES)
def test_a_picture_opens_as_large_as_the_window_allows(
    browser: "playwright.Browser", index: Path, width: int, height: int
) -> None:
    page = opened(browser, index, width, height)
    page.get_by_alt_text("output: a.png").click()
    shown = page.get_by_role("dialog", name="a.png").get_by_alt_text("output: a.png")
    page.wait_for_function("document.querySelector('dialog .after').complete")
    box = shown.bounding_box()
    assert box is not None
    assert box["width"] > width - 2 or box["height"] > height - 70
    assert page.evaluate("document.documentElement.scrollWidth") <= width
    page.close()


@pytest.mark.slow
@pytest.mark.parametrize("look", LOOKS)
def test_for_everyone(browser: "playwright.Browser", tmp_path: Path, look: dict[str, object]) -> None:
    """By axe's rules, the page and a picture that is opened, with a clip and a failure among them."""
    photos = write_photos(tmp_path / "photos", "a.png", "b c.png")
    (photos / "broken.png").write_bytes(b"no picture")
    frames = [Image.new("RGB", (32, 32), colour) for colour in ("red", "blue")]
    frames[0].save(photos / "dance.gif", save_all=True, append_images=frames[1:])
    report = translate_files(FakeTranslator(heatmap=True), find_images([photos]), tmp_path / "out")
    assert report.page
    page = browser.new_page(**look)  # type: ignore[arg-type]
    page.goto(report.page.as_uri())
    assert page.get_by_text("1 not translated").is_visible()
    found = violations(page)
    page.get_by_alt_text("output: a.png").click()
    page.get_by_role("dialog", name="a.png").wait_for()
    found += violations(page)
    page.close()
    assert found == []


def test_slider_steps_and_close(browser: "playwright.Browser", index: Path) -> None:
    page = opened(browser, index, *SIZES[0])
    page.get_by_alt_text("heat map: a.png").click()
    before = page.locator("dialog .before")
    assert before.get_attribute("alt") == "heat map: a.png"
    page.keyboard.press("ArrowRight")
    assert before.get_attribute("alt") == "input: b c.png"
    page.get_by_role("button", name="Next").click()
    assert before.get_attribute("alt") == "input: a.png"
    page.get_by_role("slider").focus()
    page.keyboard.press("End")
    assert before.evaluate("one => getComputedStyle(one).clipPath") == "inset(0px 0% 0px 0px)"
    page.keyboard.press("Home")
    assert "100%" in before.evaluate("one => getComputedStyle(one).clipPath")
    page.keyboard.press("Escape")
    assert page.locator("dialog").is_hidden()
    page.close()


def test_without_scripts_a_picture_leads_to_itself(browser: "playwright.Browser", index: Path) -> None:
    page = browser.new_context(java_script_enabled=False).new_page()
    page.goto(index.as_uri())
    page.get_by_alt_text("input: a.png").click()
    page.wait_for_url("**/gallery/input/a.png")
    page.context.close()
