"""Every kernel with every tile of the table, compiled for every architecture: what needs no GPU to be known."""

from dataclasses import replace
from typing import TYPE_CHECKING

import pytest

triton = pytest.importorskip("triton", reason='the kernels need Triton: pip install ".[kernels]"')

from benchmarks.compiled_kernels import SHARED_KIB, cases, compile_case  # noqa: E402
from benchmarks.kernel_table import README, compile_all, table  # noqa: E402
from ugatit_fast.kernels.schedule import (  # noqa: E402
    MOST_REGISTERS_FOR_FOUR,
    NORM_TILES,
    Gpu,
    resident_programs,
    resident_tile,
)

if TYPE_CHECKING:
    from benchmarks.compiled_kernels import Case, Compiled

pytestmark = [pytest.mark.slow, pytest.mark.timeout(600)]

CAPABILITIES = (75, 90, 100, 120)
"""Of those that the table in kernels/README.md has: the oldest, Hopper, and the two kinds of Blackwell. The code for
the rest is nearly that of one of these, and would take most of a minute more.
"""
DTYPES = {str(dtype).removeprefix("torch."): dtype for dtype in NORM_TILES}
MOST_INSTRUCTIONS = 27
"""An element, of the resident kernels for sm_90."""
INSTRUCTIONS_TO_READ_AGAIN = 2


@pytest.fixture(scope="module")
def compiled() -> "list[Compiled]":
    return compile_all(CAPABILITIES)


def test_these_architectures_have_every_case(compiled: "list[Compiled]") -> None:
    assert len(compiled) == sum(len(cases(capability)) for capability in CAPABILITIES)


def test_nothing_spills(compiled: "list[Compiled]") -> None:
    assert [result for result in compiled if result.spilled_bytes] == []


def test_nothing_needs_hidden_scratch_memory(compiled: "list[Compiled]") -> None:
    assert [result for result in compiled if result.scratch_bytes] == []


def test_shared_memory_fits(compiled: "list[Compiled]") -> None:
    assert [result for result in compiled if result.shared_bytes > SHARED_KIB[result.capability] * 1024] == []


def test_resident_programs_run_at_once_as_the_schedule_counts_on(compiled: "list[Compiled]") -> None:
    resident = [result for result in compiled if result.name.startswith("resident")]
    assert resident
    for result in resident:
        gpu = Gpu(divmod(result.capability, 10), 1, SHARED_KIB[result.capability] * 1024)
        tile = resident_tile(DTYPES[result.name.rsplit(", ", 1)[1]], gpu)
        assert result.programs >= resident_programs(tile, gpu), result
        assert result.programs >= 2, result


def test_the_resident_kernel_issues_few_instructions(compiled: "list[Compiled]") -> None:
    hopper = [one for one in compiled if one.capability == 90 and one.name.startswith("resident")]
    half = [one for one in hopper if one.name.endswith(", float16")]
    assert len(half) == 5
    for one in hopper:
        read_twice = "two tiles" in one.name
        assert one.instructions <= MOST_INSTRUCTIONS + INSTRUCTIONS_TO_READ_AGAIN * read_twice, one
    assert all(one.registers <= MOST_REGISTERS_FOR_FOUR and one.programs == 4 for one in half), half


def test_convolutions_run_on_tensor_cores(compiled: "list[Compiled]") -> None:
    """On Hopper by warp groups, out of shared memory that descriptors fill: two programs a multiprocessor, or a tile of
    whole rows."""
    convolutions = [one for one in compiled if one.name.startswith("convolution")]
    assert {one.capability for one in convolutions} == set(CAPABILITIES) - {75}
    for one in convolutions:
        hopper = one.capability == 90
        assert (one.warp_group_products > 0) == hopper, one
        assert (one.descriptor_loads > 0) == (one.capability in (90, 100)), one
        assert one.programs >= (1 if "128x256" in one.name or one.capability == 100 else 2), one


def test_streamed_programs_are_many_and_brief(compiled: "list[Compiled]") -> None:
    streamed = [one for one in compiled if one.name.startswith("streamed") and one.capability == 90]
    half = [one for one in streamed if one.name.endswith(", float16")]
    assert len(half) == 4  # instance norm, AdaLIN, ILN of one picture and of many
    resident = {one.name: one for one in compiled if one.capability == 90}
    for one in half:
        assert one.programs == 4, one
    for name in ("instance norm, reflect 1, float16", "AdaLIN, residual, reflect 1, float16"):
        assert resident[f"streamed {name}"].instructions < resident[f"resident {name}"].instructions


def test_activations_and_weights_move_16_bytes_at_a_time(compiled: "list[Compiled]") -> None:
    assert [result for result in compiled if 16 * result.wide_loads < result.streamed_bytes] == []
    stores = ("apply", "resident", "streamed", "backward apply", "bias_relu", "interleave")
    storing = [result for result in compiled if result.name.startswith(stores)]
    assert [result for result in storing if 16 * result.wide_stores < result.streamed_bytes] == []


@pytest.mark.parametrize("case", cases(90), ids=lambda case: case.name)
def test_sizes_of_one_compile(case: "Case") -> None:
    """Triton makes compile-time constants of integers that are 1, which have fewer methods than others."""
    integers = [name for name in case.kernel.arg_names if name not in case.constants and case.type_of(name) == "i32"]
    ones = dict.fromkeys(integers, 1)
    assert compile_case(replace(case, constants={**case.constants, **ones}), 90).registers > 0


def test_the_table_in_the_readme_is_fresh(compiled: "list[Compiled]") -> None:
    readme = README.read_text("utf-8")
    if f"Triton {triton.__version__}." not in readme:
        pytest.skip(f"the table was made with another Triton than {triton.__version__}")
    rows = [line.split("|") for line in readme.splitlines()]
    for line in table(compiled).splitlines():
        assert any(says(row, line.split("|")) for row in rows), f"{line}: run python -m benchmarks.kernel_table --force"


def says(row: list[str], again: list[str]) -> bool:
    """Whether it has the cells of the other, which are empty where nothing is compiled for an architecture."""
    return len(row) == len(again) and all(new.strip() in ("", old.strip()) for old, new in zip(row, again, strict=True))
