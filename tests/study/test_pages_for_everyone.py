"""The report and the study in every state that they have, as everybody may see them, by axe's rules."""

from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.axe import LOOKS, violations
from tests.chromium import launched, playwright
from tests.study.reports import write_fake_report
from tests.study.test_study_page import asked


@pytest.fixture(scope="module")
def browser() -> Iterator["playwright.Browser"]:
    with launched() as browser:
        yield browser


@pytest.mark.slow
@pytest.mark.parametrize("look", LOOKS)
def test_every_state(browser: "playwright.Browser", tmp_path: Path, look: dict[str, object]) -> None:
    write_fake_report(tmp_path, photos=2, failing="it has failed")
    context = browser.new_context(**look, reduced_motion="reduce")  # type: ignore[arg-type]
    page = context.new_page()
    page.set_default_timeout(15_000)
    gone: list[bool] = []
    page.route("**/v1/study/answer", lambda route: route.abort() if gone else route.continue_())
    page.goto((tmp_path / "index.html").as_uri())
    found = {"report": violations(page)}
    page.get_by_alt_text("Ours: 0.jpg").click()
    page.keyboard.press("+")
    found["a picture, zoomed"] = violations(page)
    with asked(tmp_path) as port:
        page.goto(f"http://127.0.0.1:{port}/")
        page.get_by_text("Question 1 of 2").wait_for()
        found["question"] = violations(page)
        page.keyboard.press("1")
        found["chosen"] = violations(page)
        page.keyboard.press("Enter")
        page.get_by_text("Question 2 of 2").wait_for()
        page.keyboard.press("0")
        gone.append(True)
        page.keyboard.press("Enter")
        page.get_by_role("alert").get_by_text("can't be reached").wait_for()
        found["no server"] = violations(page)
        gone.clear()
        page.get_by_role("button", name="Try again").click()
        page.get_by_text("All questions are answered").wait_for()
        found["end"] = violations(page)
    context.close()
    assert {state: lines for state, lines in found.items() if lines} == {}
