"""The page in Chromium, against a server whose engine inverts colours."""

import io
import re
import zipfile
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from tests.chromium import launched, playwright
from tests.media.pictures import photo
from tests.serve.clients import a_photo, decoded, encoded, fake
from tests.serve.hosts import hosted
from tests.translate.face_models import Sure, write_yunet
from tests.translate.fake_translator import STYLED_SPEC, FakeTranslator
from ugatit_fast.assets import asset, shipped_engine
from ugatit_fast.choices import drawn_style
from ugatit_fast.engine import read_spec
from ugatit_fast.serve.asked import faces_of
from ugatit_fast.serve.settings import ServeSettings

KEY = "0123456789abcdef"


@pytest.fixture(scope="module")
def browser() -> Iterator["playwright.Browser"]:
    with launched() as browser:
        yield browser


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


def box_of(page: "playwright.Page", selector: str) -> "playwright.FloatRect":
    box = page.locator(selector).bounding_box()
    assert box is not None
    return box


@contextmanager
def held(page: "playwright.Page", address: str) -> Iterator[None]:
    """Requests for an address wait until the block ends."""
    waiting: list[playwright.Route] = []

    def wait(route: "playwright.Route") -> None:
        waiting.append(route)

    page.route(address, wait)
    yield
    for route in waiting:
        route.continue_()
    page.unroute(address)


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


def test_a_photo_takes_the_drop_zone_s_place_and_its_translation_is_above_the_fold(
    browser: "playwright.Browser", port: int
) -> None:
    for width, height in ((1280, 800), (390, 844)):
        page = browser.new_page(viewport={"width": width, "height": height})
        page.goto(f"http://127.0.0.1:{port}/")
        page.get_by_text("onnxruntime").wait_for()
        drop_zone = box_of(page, "#drop")
        with held(page, "**/v1/translate*"):
            choose(page, "me.png")
            page.get_by_alt_text("me.png", exact=True).wait_for()
            page.get_by_role("status").get_by_text("Translating").wait_for()
            before = {name: box_of(page, name) for name in ("#stage", "#compare", "#download", "#options")}
        done(page)
        assert before == {name: box_of(page, name) for name in before}
        assert page.locator("#drop").is_hidden()
        assert (before["#stage"]["x"], before["#stage"]["y"]) == (drop_zone["x"], drop_zone["y"])
        for name in ("#stage", "#download"):
            assert before[name]["y"] + before[name]["height"] <= height
        assert before["#compare"]["height"] >= 300
        page.close()


def test_an_option_leaves_the_old_translation_until_the_new_one_is_there(page: "playwright.Page") -> None:
    """And only the shown photo is done again; the others are when they are looked at, or downloaded."""
    choose(page, "a.png", "ab.png", "abc.png")
    done(page)
    sent: list[str] = []
    page.on("request", lambda request: sent.append(request.url) if "translate" in request.url else None)
    old = page.locator("#after").get_attribute("src")
    boxes = {name: box_of(page, name) for name in ("#stage", "#compare", "#download", "#gallery")}
    with held(page, "**/v1/translate*"):
        page.get_by_text("Squash", exact=True).click()
        page.get_by_role("status").get_by_text("Translating").wait_for()
        assert page.locator("#after").get_attribute("src") == old
        assert page.locator("#after").is_visible()
        assert boxes == {name: box_of(page, name) for name in boxes}
    done(page)
    assert page.locator("#after").get_attribute("src") != old
    assert len(sent) == 1
    page.get_by_role("button", name="ab.png: done").click()
    done(page)
    assert len(sent) == 2
    download(page, "Download all")
    assert len(sent) == 3
    assert all("fit=squash" in url for url in sent)


def test_a_photo_that_comes_before_the_server_has_said_what_it_serves(browser: "playwright.Browser", port: int) -> None:
    page = browser.new_page()
    page.set_default_timeout(15_000)
    with held(page, "**/v1/model"):
        page.goto(f"http://127.0.0.1:{port}/")
        choose(page, "me.png")
        page.get_by_alt_text("me.png", exact=True).wait_for()
    done(page)
    assert page.get_by_role("alert").is_hidden()
    page.close()


def test_photos_whose_key_was_not_given_can_be_tried_again(browser: "playwright.Browser") -> None:
    with hosted([fake()], ServeSettings(api_key=KEY)) as port:
        page = browser.new_page()
        page.set_default_timeout(15_000)
        page.goto(f"http://127.0.0.1:{port}/")
        choose(page, "me.png")  # while the key is asked for
        page.get_by_role("button", name="Cancel").click()
        page.get_by_role("alert").get_by_text("me.png: This server needs its API key.").wait_for()
        assert page.get_by_role("button", name="Try again").is_visible()
        page.get_by_role("button", name="Remove").click()
        choose(page, "a.png", "ab.png", "abc.png", "abcd.png")
        page.get_by_role("button", name="Cancel").click()  # once for all of them
        page.get_by_role("status").get_by_text("4 failed").wait_for()
        page.get_by_role("button", name="Try again").click()
        page.get_by_label("This server asks for a key").fill(KEY)
        page.keyboard.press("Enter")
        done(page)
        assert page.get_by_role("button", name="abcd.png: done").is_visible()
        assert page.get_by_role("alert").is_hidden()
        page.close()


def test_remove_and_clear(page: "playwright.Page") -> None:
    choose(page, "a.png", "ab.png", "abc.png")
    done(page)
    page.get_by_role("button", name="Remove").click()
    page.get_by_alt_text("Translation of ab.png").wait_for()
    assert page.locator("#gallery button").count() == 2
    page.get_by_role("button", name="Clear all").click()
    assert page.locator("#drop").is_visible()
    assert page.locator("#stage").is_hidden()
    assert page.evaluate("document.activeElement.id") == "choose"
    choose(page, "me.png")
    done(page)
    page.get_by_role("button", name="Remove").click()
    assert page.locator("#drop").is_visible()


@pytest.mark.parametrize(("label", "suffix", "name"), [("JPEG", "jpg", "JPEG"), ("WebP", "webp", "WEBP")])
def test_download_as(page: "playwright.Page", label: str, suffix: str, name: str) -> None:
    choose(page, "me.png")
    done(page)
    page.get_by_label("Format").select_option(label)
    suggested, content = download(page, "Download")
    assert suggested == f"me.{suffix}"
    with Image.open(io.BytesIO(content)) as image:
        assert image.format == name
    difference = decoded(content).astype(int) - (255 - a_photo(len("me.png")).astype(int))
    assert np.abs(difference).mean() < 12


def test_copy(page: "playwright.Page") -> None:
    page.context.grant_permissions(["clipboard-read", "clipboard-write"])
    choose(page, "me.png")
    done(page)
    page.get_by_role("button", name="Copy").click()
    page.get_by_role("status").get_by_text("Copied").wait_for()
    content = page.evaluate(
        """async () => {
          const [item] = await navigator.clipboard.read();
          return [...new Uint8Array(await (await item.getType("image/png")).arrayBuffer())];
        }"""
    )
    assert (decoded(bytes(content)) == 255 - a_photo(len("me.png"))).all()


def test_full_screen(page: "playwright.Page") -> None:
    choose(page, "me.png")
    done(page)
    button = page.get_by_role("button", name="Full screen")
    button.click()
    page.wait_for_function("document.fullscreenElement?.id === 'stage'")
    button.click()
    page.wait_for_function("!document.fullscreenElement")


def test_a_sample_photo(page: "playwright.Page") -> None:
    page.get_by_role("button", name="an astronaut").click()
    page.get_by_alt_text("Translation of astronaut.jpg").wait_for()
    for source in page.locator(".sample img").evaluate_all("all => all.map(one => one.src)"):
        assert page.request.get(source).body() == asset(source.rsplit("/", 1)[1]).read_bytes()
    assert page.request.get(source + ".none").status == 404


def test_what_the_known_generators_do_is_said_in_words(browser: "playwright.Browser") -> None:
    translators = [fake("A2B"), fake("B2A")]
    for translator in translators:
        known = read_spec(shipped_engine(translator.spec.direction)).checkpoint_sha256
        translator.spec = replace(translator.spec, checkpoint_sha256=known)
    with hosted(translators) as port:
        page = browser.new_page()
        page.goto(f"http://127.0.0.1:{port}/")
        page.get_by_role("heading", name="Turn photos into prints in two inks").wait_for()
        assert page.get_by_label("Photos to prints in two inks").is_checked()
        assert page.get_by_label("Prints in two inks to photos").is_visible()
        page.close()


def test_what_a_generator_does_is_said_as_told(browser: "playwright.Browser") -> None:
    with hosted([fake("B2A")], ServeSettings(turns=("selfies", "anime faces"))) as port:
        page = browser.new_page()
        page.goto(f"http://127.0.0.1:{port}/")
        page.get_by_role("heading", name="Turn anime faces into selfies").wait_for()
        page.close()


def test_on_a_phone_the_camera_is_its_own_app(browser: "playwright.Browser", port: int) -> None:
    page = browser.new_page(has_touch=True, is_mobile=True, viewport={"width": 390, "height": 844})
    page.goto(f"http://127.0.0.1:{port}/")
    page.get_by_text("onnxruntime").wait_for()
    with page.expect_file_chooser() as chooser:
        page.get_by_role("button", name="Use the camera").tap()
    assert chooser.value.element.get_attribute("capture") == "user"
    page.close()


def test_what_is_chosen_can_be_seen_in_forced_colours(browser: "playwright.Browser", port: int) -> None:
    page = browser.new_page(forced_colors="active")
    page.goto(f"http://127.0.0.1:{port}/")
    page.get_by_text("onnxruntime").wait_for()
    colour = "one => getComputedStyle(one).backgroundColor"
    assert page.get_by_text("Crop", exact=True).evaluate(colour) != page.get_by_text("Whole", exact=True).evaluate(
        colour
    )
    page.close()


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
    assert page.get_by_role("button", name="Download", exact=True).is_disabled()
    assert "bad.png: the photo is not an image that can be read" in page.get_by_role("alert").inner_text()
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
    page.get_by_role("dialog", name="Camera").wait_for()
    assert page.locator("#video").evaluate("video => getComputedStyle(video).transform") == "matrix(-1, 0, 0, 1, 0, 0)"
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
        page.get_by_role("alert").get_by_text("That is not this server's key.").wait_for()
        page.get_by_label("This server asks for a key").fill(KEY)
        page.keyboard.press("Enter")
        page.get_by_text("onnxruntime").wait_for()
        choose(page, "me.png")
        done(page)
        assert page.get_by_role("button", name="Where it looked").is_hidden()
        assert page.get_by_label("A to B").is_hidden()
        assert page.locator("[name=fit]:checked").get_attribute("value") == "pad"
        page.close()


@pytest.fixture
def with_faces(browser: "playwright.Browser", tmp_path: Path) -> Iterator["playwright.Page"]:
    """A page of a server that finds a face in photos of 64 x 64."""
    model = write_yunet(tmp_path / "yunet.onnx", [Sure(8, row=4, column=3, face=(12, 16))])
    with hosted([fake()], ServeSettings(face_model=model, max_side=64)) as port:
        page = browser.new_page()
        page.set_default_timeout(15_000)
        page.goto(f"http://127.0.0.1:{port}/")
        page.get_by_text("onnxruntime").wait_for()
        yield page
        page.close()


def choose_wide(page: "playwright.Page", name: str = "wide.png") -> np.ndarray:  # type: ignore[type-arg]
    image = photo(64, 64)
    page.set_input_files("#files", [{"name": name, "mimeType": "image/png", "buffer": encoded(image)}])
    done(page)
    return image


def shape_after(page: "playwright.Page", change: Callable[[], object]) -> tuple[int, ...]:
    """Of what is downloaded once a change of an option has been followed."""
    with page.expect_response("**/v1/translate*"):
        change()
    done(page)
    return decoded(download(page, "Download")[1]).shape


def test_face_place_and_size(with_faces: "playwright.Page") -> None:
    page = with_faces
    image = choose_wide(page)
    boxes = {name: box_of(page, name) for name in ("#stage", "#download", "#options", "#actions")}
    assert shape_after(page, lambda: page.get_by_text("Face", exact=True).click()) == (32, 32, 3)
    content = download(page, "Download")[1]
    np.testing.assert_array_equal(decoded(content), 255 - image[16:48, 8:40])
    assert page.get_by_label("Squash").is_disabled()  # a face's square is the engine's shape
    assert shape_after(page, lambda: page.get_by_label("Size").select_option("64")) == (64, 64, 3)
    assert shape_after(page, lambda: page.get_by_label("Into the photo").check()) == (64, 64, 3)
    pasted = decoded(download(page, "Download")[1])
    np.testing.assert_array_equal(pasted[:16], image[:16])
    assert (pasted[24:40, 16:32] != image[24:40, 16:32]).any()
    assert page.get_by_label("Size").locator("option").all_inner_texts() == ["32", "48", "64"]
    assert boxes == {name: box_of(page, name) for name in boxes}  # nothing has moved


def test_what_failed_by_an_option_is_tried_again_by_another(browser: "playwright.Browser", tmp_path: Path) -> None:
    settings = ServeSettings(face_model=write_yunet(tmp_path / "none.onnx", []))
    with hosted([fake()], settings) as port:
        page = browser.new_page()
        page.set_default_timeout(15_000)
        page.goto(f"http://127.0.0.1:{port}/")
        choose(page, "me.png")
        done(page)
        page.get_by_text("Face", exact=True).click()
        page.get_by_role("alert").get_by_text("me.png: the photo shows no face").wait_for()
        page.locator("#parts").get_by_text("Photo", exact=True).click()
        page.get_by_alt_text("Translation of me.png").wait_for()
        assert page.get_by_role("alert").is_hidden()
        page.close()


def test_what_the_server_cannot_do_is_not_offered(
    browser: "playwright.Browser", monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("ugatit_fast.translate.faces.packaged_model", lambda: None)
    faces_of.cache_clear()
    translator = fake()
    translator.spec = replace(translator.spec, any_size=False)
    with hosted([translator], ServeSettings(paste_back=True)) as port:
        page = browser.new_page()
        page.goto(f"http://127.0.0.1:{port}/")
        page.get_by_text("onnxruntime").wait_for()
        assert page.get_by_label("Face", exact=True).is_hidden()
        assert page.get_by_label("Size").is_hidden()
        assert page.get_by_label("Into the photo").is_checked()
        page.close()
    faces_of.cache_clear()


def test_a_style_by_its_number_or_of_a_picture(browser: "playwright.Browser") -> None:
    translator = FakeTranslator(STYLED_SPEC)
    with hosted([translator]) as port:
        page = browser.new_page()
        page.set_default_timeout(15_000)
        page.goto(f"http://127.0.0.1:{port}/")
        choose(page, "a.png")
        slider = page.get_by_label("Number of the style")
        for asked, style in (("7", drawn_style(3, 7)), ("12", drawn_style(3, 12))):
            with page.expect_response(re.compile(f"style={asked}&|style={asked}$")):
                slider.fill(asked)
            np.testing.assert_array_equal(translator.styles[-1], style)
        picture = {"name": "b.png", "mimeType": "image/png", "buffer": content_of("b.png")}
        with page.expect_response(re.compile("v1/translate.*style=.*%2C")):
            page.locator("#style-file").set_input_files(picture)
        assert translator.styles[-1] == pytest.approx([decoded(content_of("b.png")).mean()] * 3, rel=1e-3)
        page.close()
