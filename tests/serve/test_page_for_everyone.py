"""The page in every state that it has, as everybody may see it, by axe's rules."""

from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.axe import LOOKS, violations
from tests.chromium import launched, playwright
from tests.serve.clients import fake
from tests.serve.hosts import hosted
from tests.serve.test_page import KEY, choose, done, held
from tests.translate.face_models import write_yunet
from tests.translate.fake_translator import STYLED_SPEC, FakeTranslator
from ugatit_fast.serve.settings import ServeSettings


@pytest.fixture(scope="module")
def browser() -> Iterator["playwright.Browser"]:
    with launched() as browser:
        yield browser


@pytest.fixture(scope="module")
def port(tmp_path_factory: pytest.TempPathFactory) -> Iterator[int]:
    model = write_yunet(tmp_path_factory.mktemp("model") / "none.onnx", [])
    engines = [FakeTranslator(STYLED_SPEC, heatmap=True), fake("B2A", heatmap=True)]
    with hosted(engines, ServeSettings(face_model=model)) as port:
        yield port


@pytest.mark.slow
@pytest.mark.parametrize("look", LOOKS)
def test_every_state(browser: "playwright.Browser", port: int, look: dict[str, object]) -> None:
    page = browser.new_page(**look, reduced_motion="reduce")  # type: ignore[arg-type]
    page.set_default_timeout(15_000)
    page.goto(f"http://127.0.0.1:{port}/")
    page.get_by_text("onnxruntime").wait_for()
    assert page.get_by_text("Style", exact=True).is_visible()
    found = {"empty": violations(page)}
    page.get_by_role("button", name="Use the camera").click()
    page.get_by_role("dialog", name="Camera").wait_for()
    found["camera"] = violations(page)
    page.get_by_role("button", name="Close").click()
    with held(page, "**/v1/translate*"):
        choose(page, "me.png")
        page.get_by_role("status").get_by_text("Translating").wait_for()
        found["photo"] = violations(page)
    done(page)
    found["result"] = violations(page)
    page.get_by_role("button", name="Where it looked").click()
    found["where it looked"] = violations(page)
    choose(page, "ab.png", "bad.png")
    page.get_by_text("Done, 1 failed").wait_for()
    found["several"] = violations(page)
    page.get_by_role("button", name="bad.png: failed").click()
    page.get_by_role("button", name="Try again").wait_for()
    found["error"] = violations(page)
    page.get_by_role("button", name="ab.png: done").click()
    page.get_by_label("Face", exact=True).focus()
    page.keyboard.press("Space")
    page.get_by_text("shows no face").wait_for()
    found["no face"] = violations(page)
    page.get_by_role("link", name="API").click()
    page.get_by_role("heading", name="/v1/model").wait_for()
    found["reference"] = violations(page)
    page.close()
    assert {state: lines for state, lines in found.items() if lines} == {}


@pytest.mark.slow
@pytest.mark.parametrize("look", LOOKS)
def test_the_key_dialog(browser: "playwright.Browser", look: dict[str, object]) -> None:
    with hosted([fake()], ServeSettings(api_key=KEY)) as port:
        page = browser.new_page(**look)  # type: ignore[arg-type]
        page.goto(f"http://127.0.0.1:{port}/")
        page.get_by_role("dialog", name="API key").wait_for()
        found = {"asked": violations(page)}
        page.get_by_label("This server asks for a key").fill("wrong")
        page.get_by_role("button", name="Go on").click()
        page.get_by_text("That is not this server's key.").wait_for()
        found["wrong"] = violations(page)
        page.get_by_role("button", name="Cancel").click()
        page.get_by_text("This server needs its API key.").wait_for()
        found["cancelled"] = violations(page)
        page.close()
    assert {state: lines for state, lines in found.items() if lines} == {}


def test_axe_sees_what_is_wrong(browser: "playwright.Browser", tmp_path: Path) -> None:
    page = browser.new_page()
    page.set_content("<!doctype html><html><body><img src='x.png'><button></button></body></html>")
    rules = {line.partition(":")[0] for line in violations(page)}
    assert {"image-alt", "button-name", "html-has-lang"} <= rules
    page.close()
