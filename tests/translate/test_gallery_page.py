"""The gallery in Chromium, opened from its folder as people do."""

from collections.abc import Iterator
from pathlib import Path

import pytest

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
