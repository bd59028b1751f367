"""What the measured limits make of a race."""

from dataclasses import replace

import pytest

from tests.benchmarks.examples import NETWORK, timed
from ugatit_fast.bench.cost import count, roofline_seconds
from ugatit_fast.bench.limits import copied_bytes, limits_of, operations_of
from ugatit_fast.bench.results import CONVOLUTION, COPY, PRODUCT, Row, fastest_arithmetic
from ugatit_fast.bench.roofline import against_limits
from ugatit_fast.model import GeneratorConfig

CONFIG = GeneratorConfig(ch=NETWORK.ch, n_res=NETWORK.n_res, light=True, img_size=NETWORK.height)


def race(product_ms: tuple[float, ...], convolution_ms: tuple[float, ...]) -> list[Row]:
    return [
        timed(COPY, (12.0, 10.0, 11.0), "limit"),
        timed(PRODUCT["fp32"], product_ms, "limit"),
        timed(CONVOLUTION, convolution_ms, "limit"),
        timed("ours", (500.0, 400.0, 600.0), "ours"),
    ]


def test_operations_are_those_of_the_formulas() -> None:
    assert operations_of(PRODUCT["fp32"], "cpu") == 2 * 1536**3
    assert operations_of(CONVOLUTION, "cpu") == 2 * (64 * 64) * (256 * 256) * (3 * 3)
    assert copied_bytes("cpu") == 2 * 2**27


@pytest.mark.parametrize(
    ("product_ms", "convolution_ms", "fastest"),
    [((30.0, 31.0), (60.0, 40.0), PRODUCT["fp32"]), ((60.0, 58.0), (35.0, 34.0), CONVOLUTION)],
)
def test_the_limit_is_the_fastest_round_of_the_fastest_arithmetic(
    product_ms: tuple[float, ...], convolution_ms: tuple[float, ...], fastest: str
) -> None:
    (row,), limits, (roofline,) = against_limits(race(product_ms, convolution_ms))
    found = fastest_arithmetic(limits, "fp32")
    assert found is not None
    assert found.name == fastest
    best_ms = min(product_ms if fastest == PRODUCT["fp32"] else convolution_ms)
    assert found.operations_per_second == pytest.approx(operations_of(fastest, "cpu") / best_ms * 1e3)
    seconds = roofline_seconds(
        count(CONFIG, 1, 256, 256, "fp32"), copied_bytes("cpu") / 10e-3, found.operations_per_second
    )
    assert roofline.limit_ms == pytest.approx(seconds * 1e3)
    assert row.share_of_limit == pytest.approx(roofline.limit_ms / 500)


def test_arithmetic_of_another_precision_is_no_limit() -> None:
    rows = [replace(row, precision="fp16") if row.kind == "limit" else row for row in race((30.0,), (40.0,))]
    (row,), limits, rooflines = against_limits(rows)
    assert fastest_arithmetic(limits, "fp32") is None
    assert rooflines == []
    assert row.share_of_limit is None


def test_a_gpu_has_a_product_in_each_precision() -> None:
    assert [one.name for one in limits_of("cuda")] == [COPY, PRODUCT["fp32"], PRODUCT["fp16"]]
