import xml.etree.ElementTree as ET
from dataclasses import replace
from pathlib import Path

import pytest

from tests.benchmarks.examples import NETWORK, RESULTS
from ugatit_fast.bench import charts
from ugatit_fast.bench.readme import renew, renewed, short_table
from ugatit_fast.bench.report import all_charts, write_report
from ugatit_fast.bench.results import write_results
from ugatit_fast.bench.tables import markdown
from ugatit_fast.errors import InputError

README = Path(__file__).parents[2] / "README.md"


def test_the_page_says_everything() -> None:
    page = markdown(RESULTS)
    assert "| **ugatit-fast, onnxruntime** | fp32 | 441 | 440 to 442 | 2.27 | 2.4 (2) | 1.25 | 90% | 72.0 |" in page
    assert "- OpenVINO: missing: openvino not installed -> pip install openvino" in page
    assert "copy 20.0 GB/s; matrix product, float32 0.24 Tflop/s" in page
    assert "46.9 GMAC, 611 MB take at least 397 ms" in page
    assert "2.2 (200 photos) | 97%" in page
    assert "10 + 440 per image" in page
    assert "| AdaLIN | 1x2x3x4 | eager | 1050.0 |" in page
    assert "0123456789ab" in page


def test_tables_are_rectangular() -> None:
    for block in markdown(RESULTS).split("\n\n"):
        widths = {line.count("|") for line in block.splitlines() if line.startswith("|")}
        assert len(widths) <= 1, block


def test_charts_are_svg_and_name_everyone() -> None:
    drawn = all_charts(RESULTS)
    assert set(drawn) == {"latency-1", "roofline-1", "scaling"}
    for name, svg in drawn.items():
        texts = [element.text or "" for element in ET.fromstring(svg).iter("{http://www.w3.org/2000/svg}text")]
        if name != "scaling":
            assert any("MNN, plain <export>" in text for text in texts)
            assert any("ugatit-fast, onnxruntime" in text for text in texts)
            assert not any("OpenVINO" in text for text in texts)


def test_bars_are_as_long_as_their_times() -> None:
    boxes = ET.fromstring(charts.bars(RESULTS, NETWORK)).findall("{http://www.w3.org/2000/svg}rect")[1:]
    ours, theirs = (float(box.get("width", "0")) for box in boxes)
    assert ours / theirs == pytest.approx(441 / 550, abs=1e-3)


def test_nothing_is_drawn_of_nothing() -> None:
    empty = replace(RESULTS, rows=(), curves=(), limits=(), rooflines=())
    assert all_charts(empty) == {}
    assert charts.roofline(replace(RESULTS, limits=()), NETWORK) is None


def test_the_page_lies_beside_the_results(tmp_path: Path) -> None:
    page = write_report(RESULTS, tmp_path / "x.json")
    assert page == tmp_path / "x.md"
    names = {path.name for path in tmp_path.iterdir()}
    assert names == {"x.md", "x-latency-1.svg", "x-roofline-1.svg", "x-scaling.svg"}
    assert all(f"({name})" in page.read_text() for name in names if name.endswith("svg"))


def test_readme_table_is_made_from_its_file(tmp_path: Path) -> None:
    write_results(RESULTS, tmp_path / "x.json")
    readme = tmp_path / "README.md"
    readme.write_text("# T\n<!-- benchmark table: x.json -->\nold\n<!-- end of benchmark table -->\nrest\n")
    renew(readme)
    text = readme.read_text()
    assert short_table(RESULTS) in text
    assert "old" not in text
    assert text.startswith("# T\n")
    assert text.endswith("<!-- end of benchmark table -->\nrest\n")
    assert renewed(text, tmp_path) == text


def test_a_readme_without_a_place_is_refused(tmp_path: Path) -> None:
    with pytest.raises(InputError, match="expected <!-- benchmark table: "):
        renewed("# T\n", tmp_path)


def test_the_readme_is_not_stale() -> None:
    """To renew: python -m ugatit_fast.bench.readme README.md"""
    text = README.read_text()
    assert renewed(text, README.parent) == text
