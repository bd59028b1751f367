"""The page of a run: what is written, and what people see of it in Chromium, opened from the disk."""

import json
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image

from tests.axe import LOOKS, violations
from tests.chromium import launched, playwright
from ugatit_fast.errors import InputError
from ugatit_fast.train.loop import train
from ugatit_fast.train.metrics import METRICS
from ugatit_fast.train.run_folder import Layout
from ugatit_fast.train.run_page import LOSSES, PAGE, POINTS, STATE, write_page
from ugatit_fast.train.settings import TrainSettings

LAYOUT = Layout()


def state_of(folder: Path) -> dict[str, Any]:
    text = (folder / STATE).read_text(encoding="utf-8")
    assert text.startswith("run(")
    return json.loads(text[4:].rstrip(");\n"))  # type: ignore[no-any-return]


def written(settings: TrainSettings, lines: int, samples: tuple[int, ...] = ()) -> TrainSettings:
    """A long run as it stands after so many lines of metrics, one every 100 steps, and sample grids at these steps."""
    (settings.output / "samples").mkdir(parents=True, exist_ok=True)
    records = [
        {"step": 100 * line, "seconds_left": 3602.5, "images_per_second": 3.875}
        | {name: 1 / line + number for number, name in enumerate(LOSSES)}
        for line in range(1, lines + 1)
    ]
    (settings.output / METRICS).write_text("".join(json.dumps(record) + "\n" for record in records))
    for step in samples:
        for name in ("A2B", "B2A"):
            pixels = np.full((70, 40, 3), step % 256, np.uint8)
            Image.fromarray(pixels).save(settings.output / "samples" / f"{name}_{step:07d}.png")
    return replace(settings, iterations=1_000_000)


def test_a_run_has_a_page_from_its_beginning_to_its_end(
    settings: TrainSettings, monkeypatch: pytest.MonkeyPatch
) -> None:
    settings = replace(settings, iterations=5, log_every=2, sample_every=4, save_every=100)
    steps: list[tuple[int, str | None, list[int]]] = []

    def note(*given: Any, last: bool) -> None:
        write_page(*given, last=last)
        state = state_of(settings.output)
        steps.append((state["step"], state["ended"], [sample["step"] for sample in state["samples"]]))

    monkeypatch.setattr("ugatit_fast.train.loop.write_page", note)
    said: list[str] = []
    train(settings, say=said.append)
    assert steps == [(0, None, []), (2, None, []), (4, None, [4]), (5, "finished", [4, 5])]
    assert any(str(settings.output / PAGE) in line for line in said)
    state = state_of(settings.output)
    assert state["losses"]["steps"] == [2, 4, 5]
    assert set(state["losses"]["values"]) == set(LOSSES)
    for sample in state["samples"]:
        for address in sample["pictures"].values():
            assert (settings.output / address).is_file()


def test_a_long_run_s_curves_stay_small_and_end_with_the_newest(settings: TrainSettings) -> None:
    write_page(written(settings, 10_000), LAYOUT, 1_000_000, last=False)
    losses = state_of(settings.output)["losses"]
    assert POINTS / 2 < len(losses["steps"]) <= POINTS
    assert losses["steps"][-1] == 1_000_000
    assert {len(values) for values in losses["values"].values()} == {len(losses["steps"])}
    assert len(set(np.diff(losses["steps"]))) == 1
    assert (settings.output / STATE).stat().st_size < 50_000


def test_samples_that_a_resumed_run_will_make_again_are_not_shown(settings: TrainSettings) -> None:
    long = written(settings, 3, samples=(100, 200, 300))
    (settings.output / "samples" / "holiday.png").touch()
    write_page(long, LAYOUT, 250, last=True)
    state = state_of(settings.output)
    assert [sample["step"] for sample in state["samples"]] == [100, 200]
    assert (state["ended"], state["left"]) == ("stopped", "1 h")


def test_a_page_that_cannot_be_written_costs_no_run(settings: TrainSettings) -> None:
    settings.output.mkdir(parents=True)
    (settings.output / PAGE).mkdir()
    (settings.output / PAGE / "in the way").touch()
    with pytest.raises(InputError):
        write_page(settings, LAYOUT, 1, last=False)
    with pytest.warns(UserWarning, match="training goes on"):
        assert train(replace(settings, iterations=2), say=lambda line: None).step == 2


# In a browser -----------------------------------------------------------------------------------------------------


@pytest.fixture(scope="module")
def browser() -> Iterator["playwright.Browser"]:
    with launched() as browser:
        yield browser


def opened(browser: "playwright.Browser", settings: TrainSettings, **look: Any) -> "playwright.Page":
    page = browser.new_page(**look)
    page.set_default_timeout(20_000)
    page.goto((settings.output / PAGE).as_uri())
    return page


def test_the_page_keeps_up_and_nothing_flickers(browser: "playwright.Browser", settings: TrainSettings) -> None:
    """The old grid stays until the new one is decoded: at no frame is there none, or one without pixels."""
    write_page(written(settings, 2, samples=(100,)), LAYOUT, 200, last=False)
    page = opened(browser, settings)
    page.get_by_alt_text("A2B, step 100").wait_for()
    page.get_by_alt_text("B2A, step 100").wait_for()
    assert "1 h left" in page.get_by_role("status").inner_text()
    page.evaluate(
        """() => {
          globalThis.wrong = 0;
          const look = () => {
            const images = [...document.querySelectorAll("#samples img")];
            if (images.length !== 2 || images.some((one) => !one.complete || !one.naturalWidth)) wrong++;
            requestAnimationFrame(look);
          };
          look();
        }"""
    )
    write_page(written(settings, 5, samples=(300,)), LAYOUT, 500, last=False)
    page.get_by_alt_text("A2B, step 300").wait_for()
    page.get_by_alt_text("B2A, step 300").wait_for()
    assert "Step 500 of" in page.get_by_role("status").inner_text()
    assert page.locator("polyline").count() == len(LOSSES)
    points = page.locator("polyline").first.get_attribute("points")
    assert points is not None
    assert points.split()[0] == "0,0"  # the first step, the highest loss
    assert points.split()[-1] == "100,100"
    assert page.evaluate("wrong") == 0
    page.close()


def test_who_looks_at_an_earlier_grid_keeps_it(browser: "playwright.Browser", settings: TrainSettings) -> None:
    write_page(written(settings, 3, samples=(100, 200, 300)), LAYOUT, 300, last=False)
    page = opened(browser, settings)
    page.get_by_alt_text("A2B, step 300").wait_for()
    page.get_by_role("slider", name="At step").focus()
    page.keyboard.press("Home")
    page.get_by_alt_text("A2B, step 100").wait_for()
    write_page(written(settings, 4, samples=(400,)), LAYOUT, 400, last=True)
    page.get_by_text("stopped").wait_for()
    assert page.get_by_alt_text("A2B, step 100").is_visible()
    page.keyboard.press("End")
    page.get_by_alt_text("A2B, step 400").wait_for()
    page.close()


@pytest.mark.slow
@pytest.mark.parametrize("look", LOOKS)
def test_for_everyone(browser: "playwright.Browser", settings: TrainSettings, look: dict[str, Any]) -> None:
    settings = replace(settings, output=settings.output.with_name("a run's <name> & more"))
    write_page(written(settings, 0), LAYOUT, 0, last=False)
    page = opened(browser, settings, **look)
    page.get_by_role("heading", name="a run's <name> & more").wait_for()
    found = violations(page)
    write_page(written(settings, 30, samples=(1000, 2000)), LAYOUT, 3000, last=False)
    page.get_by_alt_text("A2B, step 2000").wait_for()
    found += violations(page)
    assert page.evaluate("document.documentElement.scrollWidth") <= look["viewport"]["width"]
    page.close()
    assert found == []
