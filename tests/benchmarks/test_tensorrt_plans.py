"""The table of plans in docs/tensorrt.md, and what it shows."""

import json

import pytest

from benchmarks.tensorrt_plans import BEGIN, END, PAGE, RESULTS, table, with_table

MEASURED = json.loads(RESULTS.read_text("utf-8"))


def test_the_page_has_the_table_of_what_was_measured() -> None:
    page = PAGE.read_text("utf-8")
    assert with_table(page, table(MEASURED)) == page
    assert page.index(BEGIN) < page.index(END)


@pytest.mark.parametrize("precision", ["fp16", "fp32"])
@pytest.mark.parametrize("network", ["light", "full"])
def test_ours_has_fewer_kernels_and_transposes_nothing(network: str, precision: str) -> None:
    plans = {
        plan["graph"]: plan
        for plan in MEASURED["plans"]
        if (plan["network"], plan["precision"]) == (network, precision)
    }
    assert plans["ours"]["kernels"] < plans["plain export"]["kernels"]
    assert plans["ours"]["transpositions"] == 0
