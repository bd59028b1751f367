"""What one picture costs in launches on an H100: the list, traced without one."""

import json
import os
import subprocess
import sys
from collections import Counter
from pathlib import Path
from typing import Any

import pytest

pytest.importorskip("triton", reason='the kernels need Triton: pip install ".[kernels]"')

TRACE = Path(__file__).with_name("trace_launches.py")
MOST_LAUNCHES = 48
OURS = 47
"""With our convolutions wherever they may be: the attention needs no launch for bias, ReLU and border."""

pytestmark = [pytest.mark.slow, pytest.mark.timeout(500)]


def traced(whose: str) -> list[dict[str, Any]]:
    environment = os.environ | {"TRITON_INTERPRET": "0", "PYTHONPATH": str(TRACE.parents[2])}
    done = subprocess.run(
        [sys.executable, str(TRACE), "1", whose], env=environment, capture_output=True, text=True, check=False
    )
    assert done.returncode == 0, done.stderr
    found: list[dict[str, Any]] = json.loads(done.stdout)
    return found


def without_waits(events: list[dict[str, Any]]) -> list[dict[str, Any]]:
    return [event for event in events if event["name"] != "wait"]


@pytest.fixture(scope="module")
def events() -> list[dict[str, Any]]:
    return traced("cudnn")


@pytest.fixture(scope="module")
def launches(events: list[dict[str, Any]]) -> list[dict[str, Any]]:
    return without_waits(events)


@pytest.fixture(scope="module")
def ours() -> list[dict[str, Any]]:
    return traced("ours")


def test_launches_of_one_picture(launches: list[dict[str, Any]]) -> None:
    assert Counter(launch["name"] for launch in launches) == {
        "convolution": 23,
        "resident_kernel": 21,
        "normalise_image_kernel": 1,
        "bias_relu_kernel": 1,
        "style_kernel": 1,
        "rows_to_image_kernel": 1,
    }
    assert len(launches) <= MOST_LAUNCHES


def test_every_convolution_is_aligned(launches: list[dict[str, Any]]) -> None:
    channels = [launch["channels"] for launch in launches if launch["name"] == "convolution"]
    assert all(one % 8 == 0 for pair in channels for one in pair), channels


def test_large_images_have_work_for_every_multiprocessor(launches: list[dict[str, Any]]) -> None:
    programs = Counter(launch["programs"] for launch in launches if launch["name"] == "resident_kernel")
    assert programs == {128: 17, 256: 4}  # 256x64x64 fills all but four; the two larger shapes, twice each


def test_the_style_runs_beside_a_convolution(events: list[dict[str, Any]]) -> None:
    style = next(i for i, event in enumerate(events) if event["name"] == "style_kernel")
    assert [event["stream"] for event in events if event["name"] not in ("style_kernel", "wait")] == ["main"] * 47
    assert events[style - 1] == {"name": "wait", "stream": "beside", "for": "main"}
    after = [(event["name"], event["stream"]) for event in events[style : style + 4]]
    assert after == [
        ("style_kernel", "beside"),
        ("convolution", "main"),
        ("wait", "main"),
        ("resident_kernel", "main"),
    ]


def test_launches_with_our_convolutions(ours: list[dict[str, Any]]) -> None:
    launches = without_waits(ours)
    assert Counter(launch["name"] for launch in launches) == {
        "convolution": 4,
        "convolution_kernel": 19,
        "streamed_kernel": 18,
        "resident_kernel": 3,
        "normalise_image_kernel": 1,
        "style_kernel": 1,
        "rows_to_image_kernel": 1,
    }
    assert len(launches) == OURS


def test_our_convolutions_have_work_for_every_multiprocessor(ours: list[dict[str, Any]]) -> None:
    programs = Counter(launch["programs"] for launch in ours if launch["name"] == "convolution_kernel")
    assert programs == {132: 17, 128: 1, 260: 1}  # the trunk and the first up-sampling, the attention, the second
    programs = Counter(launch["programs"] for launch in ours if launch["name"] == "streamed_kernel")
    assert programs == {128: 16, 256: 1, 512: 1}


def test_the_style_runs_beside_a_convolution_of_ours(ours: list[dict[str, Any]]) -> None:
    style = next(i for i, event in enumerate(ours) if event["name"] == "style_kernel")
    after = [(event["name"], event["stream"]) for event in ours[style : style + 4]]
    assert after == [
        ("style_kernel", "beside"),
        ("convolution_kernel", "main"),
        ("wait", "main"),
        ("streamed_kernel", "main"),
    ]
