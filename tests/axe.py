"""axe-core over pages in Chromium: what a checker can find of what keeps people out (https://github.com/dequelabs/axe-core)."""

from importlib.util import find_spec
from itertools import product
from pathlib import Path

import pytest

from tests.chromium import playwright

PACKAGE = "axe_playwright_python"
"""Carries the script; nothing of it is imported."""
SCHEMES, FORCED, SIZES = ("light", "dark"), ("none", "active"), ((1280, 800), (390, 844))
LOOKS = [
    pytest.param(
        {"color_scheme": scheme, "forced_colors": forced, "viewport": {"width": width, "height": height}},
        id=f"{scheme}-{forced}-{width}",
    )
    for scheme, forced, (width, height) in product(SCHEMES, FORCED, SIZES)
]
"""How people may see a page: arguments of `browser.new_page`."""


def violations(page: "playwright.Page") -> list[str]:
    """What axe finds on a page as it stands, a line each: the rule, and the elements."""
    if not page.evaluate("'axe' in window"):
        page.evaluate(script())
    found = page.evaluate("axe.run(document, { resultTypes: ['violations'] }).then(({ violations }) => violations)")
    return [f"{one['id']}: {[node['target'] for node in one['nodes']]}" for one in found]


def script() -> str:
    spec = find_spec(PACKAGE)
    if spec is None or spec.origin is None:
        pytest.skip(f"{PACKAGE} isn't installed")
    return Path(spec.origin).with_name("axe.min.js").read_text(encoding="utf-8")
