"""The report in Chromium, opened from its folder as people do."""

from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.chromium import launched, playwright
from tests.study.reports import write_fake_report

SIZES = ((1280, 800), (390, 844))


@pytest.fixture(scope="module")
def browser() -> Iterator["playwright.Browser"]:
    with launched() as browser:
        yield browser


@pytest.fixture(scope="module")
def index(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("report")
    write_fake_report(folder)
    return folder / "index.html"


@pytest.mark.parametrize(("width", "height"), SIZES)
def test_every_picture_opens_and_arrows_lead_across_and_down(
    browser: "playwright.Browser", index: Path, width: int, height: int
) -> None:
    page = browser.new_page(viewport={"width": width, "height": height})
    page.set_default_timeout(15_000)
    wrong: list[str] = []
    page.on("pageerror", lambda error: wrong.append(str(error)))
    page.on("request", lambda request: wrong.append(request.url) if not request.url.startswith("file:") else None)
    page.goto(index.as_uri())
    assert page.evaluate("document.documentElement.scrollWidth") <= width
    page.get_by_alt_text("Ours: 0.jpg").focus()
    page.get_by_role("link", name="Ours: 0.jpg").press("Enter")
    dialog = page.get_by_role("dialog", name="Ours: 0.jpg")
    box = dialog.get_by_alt_text("Ours: 0.jpg").bounding_box()
    assert box is not None
    assert box["width"] > width - 2 or box["height"] > height - 110
    for key, shown in (
        ("ArrowRight", "Theirs: 0.jpg"),
        ("ArrowDown", "Theirs: 1.jpg"),
        ("ArrowLeft", "Ours: 1.jpg"),
        ("ArrowLeft", "photo: 1.jpg"),
        ("ArrowLeft", "Another: 1.jpg"),
        ("ArrowUp", "Another: 0.jpg"),
    ):
        page.keyboard.press(key)
        assert page.get_by_role("dialog", name=shown).is_visible()
    page.get_by_role("button", name="Method on the left").click()
    assert page.get_by_role("dialog", name="Theirs: 0.jpg").is_visible()
    page.keyboard.press("Escape")
    assert page.locator("dialog").is_hidden()
    assert wrong == []
    page.close()


def test_zoom_and_place_stay_from_method_to_method(browser: "playwright.Browser", index: Path) -> None:
    page = browser.new_page(viewport={"width": 1280, "height": 800})
    page.goto(index.as_uri())
    page.get_by_alt_text("Ours: 2.jpg").click()

    def place() -> list[float]:
        return page.evaluate(
            "(() => { const room = document.querySelector('.room');"
            "return [room.scrollWidth / room.clientWidth, room.scrollLeft, room.scrollTop] })()"
        )

    room = page.locator(".room")
    before = place()
    room.click(position={"x": 640, "y": 380})
    page.keyboard.press("+")
    zoomed = place()
    assert zoomed[0] > before[0]
    assert zoomed[2] > 0
    page.keyboard.press("Shift+ArrowDown")
    page.wait_for_function(f"document.querySelector('.room').scrollTop > {zoomed[2]}")
    moved = place()
    page.keyboard.press("ArrowRight")
    page.wait_for_function("document.querySelector('dialog img').complete")
    assert place() == moved
    page.keyboard.press("0")
    assert place() == before
    page.close()


def test_without_scripts_a_picture_leads_to_itself(browser: "playwright.Browser", index: Path) -> None:
    page = browser.new_context(java_script_enabled=False).new_page()
    page.goto(index.as_uri())
    page.get_by_alt_text("Theirs: 1.jpg").click()
    page.wait_for_url("**/methods/theirs/1.png")
    page.context.close()
