"""The page in Chromium, against a server whose engine inverts colours."""

import io
import re
import shutil
import zipfile
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest

from tests.serve.clients import a_photo, decoded, encoded, fake
from tests.serve.hosts import hosted
from ugatit_fast.serve.settings import ServeSettings

playwright = pytest.importorskip("playwright.sync_api", reason="playwright isn't installed")

KEY = "0123456789abcdef"
ARGUMENTS = (
    "--no-sandbox",
    "--disable-gpu",
    "--disable-background-networking",
    "--use-fake-device-for-media-stream",
    "--use-fake-ui-for-media-stream",
)


@pytest.fixture(scope="module")
def browser() -> Iterator["playwright.Browser"]:
    chromium = shutil.which("chromium") or shutil.which("google-chrome")
    if chromium is None:
        pytest.skip("no Chromium on this machine")
    with playwright.sync_playwright() as started:
        browser = started.chromium.launch(executable_path=chromium, args=ARGUMENTS)
        yield browser
        browser.close()


@pytest.fixture(scope="module")
def port() -> Iterator[int]:
    with hosted([fake("A2B", heatmap=True), fake("B2A", heatmap=True)]) as port:
        yield port


@pytest.fixture
def page(browser: "playwright.Browser", port: int) -> Iterator["playwright.Page"]:
    page = browser.new_page()
    wrong: list[str] = []
    page.on("pageerror", lambda error: wrong.append(str(error)))
    page.on("console", lambda message: wrong.append(message.text) if "Content Security" in message.text else None)
    page.on("request", lambda request: wrong.append(request.url) if not ours(request.url, port) else None)
    page.set_default_timeout(15_000)
    page.goto(f"http://127.0.0.1:{port}/")
    page.get_by_text("onnxruntime").wait_for()
    yield page
    page.close()
    assert wrong == []


def ours(url: str, port: int) -> bool:
    return url.startswith((f"http://127.0.0.1:{port}/", "blob:", "data:"))


def choose(page: "playwright.Page", *names: str) -> None:
    files = [{"name": name, "mimeType": "image/png", "buffer": content_of(name)} for name in names]
    page.set_input_files("#files", files)


def content_of(name: str) -> bytes:
    return b"not a picture" if "bad" in name else encoded(a_photo(len(name)))


def done(page: "playwright.Page") -> None:
    page.get_by_role("status").get_by_text("Done").wait_for()


def download(page: "playwright.Page", name: str) -> tuple[str, bytes]:
    with page.expect_download() as started:
        page.get_by_text(name, exact=True).click()
    return started.value.suggested_filename, Path(started.value.path()).read_bytes()


def cut(page: "playwright.Page") -> float:
    """Where the photo ends and the translation begins, in percent of the picture's width."""
    return float(
        page.evaluate("parseFloat(getComputedStyle(document.getElementById('compare')).getPropertyValue('--at'))")
    )


def test_upload_and_download(page: "playwright.Page") -> None:
    choose(page, "me.photo.png")
    done(page)
    name, content = download(page, "Download")
    assert name == "me.photo.png"
    assert (decoded(content) == 255 - a_photo(len(name))).all()
    assert page.get_by_alt_text("Translation of me.photo.png").is_visible()
    assert page.locator("#gallery").is_hidden()


def test_slider_by_keyboard_and_mouse(page: "playwright.Page") -> None:
    choose(page, "me.png")
    done(page)
    slider = page.get_by_role("slider", name="How much of the photo")
    assert cut(page) == 50
    slider.focus()
    page.keyboard.press("ArrowRight")
    assert cut(page) == 51
    assert slider.get_attribute("aria-valuetext") == "51 percent photo, 49 percent translation"
    page.keyboard.press("Home")
    assert cut(page) == 0
    box = slider.bounding_box()
    assert box is not None
    page.mouse.move(box["x"] + 10, box["y"] + box["height"] / 2)
    page.mouse.down()
    page.mouse.move(box["x"] + box["width"] * 0.7, box["y"] + 20, steps=5)
    page.mouse.up()
    assert cut(page) == pytest.approx(70, abs=1.5)


def test_where_it_looked(page: "playwright.Page") -> None:
    choose(page, "me.png")
    done(page)
    button = page.get_by_role("button", name="Where it looked")
    photo = page.get_by_alt_text("me.png as the network saw it").get_attribute("src")
    button.press("Enter")
    assert button.get_attribute("aria-pressed") == "true"
    assert page.get_by_alt_text("Where the network looked in me.png").get_attribute("src") != photo
    button.click()
    assert page.get_by_alt_text("me.png as the network saw it").get_attribute("src") == photo


def test_options_by_keyboard_translate_again(page: "playwright.Page") -> None:
    choose(page, "me.png")
    done(page)
    for label, name, value in (("A to B", "direction", "B2A"), ("Crop", "fit", "pad")):
        page.get_by_label(label, exact=True).focus()
        with page.expect_request(re.compile(f"{name}={value}")):
            page.keyboard.press("ArrowRight")
        done(page)


def test_several_photos_come_as_a_zip_and_a_bad_one_says_why(page: "playwright.Page") -> None:
    names = ["a.png", "ab.png", "bad.png", "abcd.png", "a.png"]
    choose(page, *names)
    page.get_by_text("Done, 1 failed").wait_for()
    assert page.get_by_role("alert").is_hidden()
    page.get_by_role("button", name="bad.png: failed").click()
    assert "bad.png" not in page.locator("#result").inner_text()
    assert "is not an image that can be read" in page.get_by_role("alert").inner_text()
    page.get_by_role("button", name="abcd.png: done").click()
    assert page.get_by_role("alert").is_hidden()
    name, content = download(page, "Download all")
    assert name == "translated.zip"
    with zipfile.ZipFile(io.BytesIO(content)) as archive:
        assert archive.testzip() is None
        assert archive.namelist() == ["a.png", "ab.png", "abcd.png", "a-2.png"]
        for member in ("a.png", "ab.png", "abcd.png"):
            assert (decoded(archive.read(member)) == 255 - a_photo(len(member))).all()


def test_drop_and_paste(page: "playwright.Page") -> None:
    for event, transfer in (("drop", "dataTransfer"), ("paste", "clipboardData")):
        kind = {"drop": "DragEvent", "paste": "ClipboardEvent"}[event]
        page.evaluate(
            """async ([bytes, event, kind, transfer]) => {
              const files = new DataTransfer();
              files.items.add(new File([new Uint8Array(bytes)], `${event}.png`, { type: "image/png" }));
              const options = { [transfer]: files, bubbles: true, cancelable: true };
              document.body.dispatchEvent(new globalThis[kind](event, options));
            }""",
            [list(encoded(a_photo())), event, kind, transfer],
        )
        page.get_by_alt_text(f"Translation of {event}.png").wait_for()


def drop(page: "playwright.Page", *paths: Path) -> None:
    """As a file manager would."""
    session = page.context.new_cdp_session(page)
    place = {"x": 100, "y": 100, "data": {"items": [], "files": [str(path) for path in paths], "dragOperationsMask": 1}}
    for kind in ("dragEnter", "dragOver", "drop"):
        session.send("Input.dispatchDragEvent", {"type": kind, **place})


def test_a_folder_that_is_dropped_stands_for_its_photos(page: "playwright.Page", tmp_path: Path) -> None:
    """With its subfolders, in natural order; also beside a photo, and more than browsers list at once."""
    folder = tmp_path / "holiday"
    for name in ("10.png", "2.png", "sub/deep/c.png", ".hidden.png", ".trash/d.png", "notes.txt"):
        (folder / name).parent.mkdir(parents=True, exist_ok=True)
        (folder / name).write_bytes(encoded(a_photo(len(name))))
    (tmp_path / "beside.png").write_bytes(encoded(a_photo(1)))
    drop(page, folder, tmp_path / "beside.png")
    done(page)
    labels = page.locator("#gallery button").evaluate_all("all => all.map(one => one.getAttribute('aria-label'))")
    assert labels == ["2.png: done", "10.png: done", "c.png: done", "beside.png: done"]
    many = tmp_path / "many"
    many.mkdir()
    for number in range(130):
        (many / f"{number}.png").write_bytes(encoded(a_photo(0)))
    drop(page, many)
    page.locator("#gallery button").nth(133).wait_for(state="attached")


def test_an_empty_folder_says_so(page: "playwright.Page", tmp_path: Path) -> None:
    (tmp_path / "empty").mkdir()
    drop(page, tmp_path / "empty")
    page.get_by_role("alert").get_by_text("There is no picture in that folder.").wait_for()


def test_camera(page: "playwright.Page") -> None:
    page.get_by_role("button", name="Use the camera").press("Enter")
    page.get_by_role("button", name="Take the photo").click()  # once the first picture is there
    done(page)
    name, content = download(page, "Download")
    assert name.startswith("camera ")
    assert decoded(content).shape == a_photo().shape
    assert page.evaluate("document.getElementById('video').srcObject") is None  # and its light is off


def test_dark_and_narrow(browser: "playwright.Browser", port: int) -> None:
    def paper(scheme: str) -> float:
        page = browser.new_page(color_scheme=scheme, viewport={"width": 320, "height": 600})
        page.goto(f"http://127.0.0.1:{port}/")
        choose(page, "a.png", "ab.png")
        done(page)
        assert page.evaluate("document.documentElement.scrollWidth") <= 320
        colour = page.evaluate("getComputedStyle(document.body).backgroundColor")
        page.close()
        return float(np.mean([int(number) for number in re.findall(r"\d+", colour)[:3]]))

    assert paper("dark") < 60
    assert paper("light") > 200


def test_one_engine_without_heat_maps_and_with_a_key(browser: "playwright.Browser") -> None:
    with hosted([fake("B2A")], ServeSettings(api_key=KEY, fit="pad")) as port:
        page = browser.new_page()
        page.goto(f"http://127.0.0.1:{port}/")
        page.get_by_label("This server asks for a key").fill("wrong")
        page.get_by_role("button", name="Go on").click()
        page.get_by_text("onnxruntime").or_(page.get_by_role("dialog", name="API key")).first.wait_for()
        page.get_by_label("This server asks for a key").fill(KEY)
        page.keyboard.press("Enter")
        page.get_by_text("onnxruntime").wait_for()
        choose(page, "me.png")
        done(page)
        assert page.get_by_role("button", name="Where it looked").is_hidden()
        assert page.get_by_label("A to B").is_hidden()
        assert page.locator("[name=fit]:checked").get_attribute("value") == "pad"
        page.close()
