import dataclasses
import json
import subprocess
import sys

import pytest

from tests.train.conftest import tiny
from ugatit_fast.errors import InputError
from ugatit_fast.train.settings import ARCHITECTURE, STREAM, TrainSettings


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("img_size", 64),
        ("img_size", 130),
        ("ch", 0),
        ("batch_size", 0),
        ("lr", 0),
        ("lr", float("nan")),
        ("ema", 1),
        ("cycle_weight", -1),
        ("norm", "batch"),
        ("precision", "int8"),
        ("keep", 0),
    ],
)
def test_senseless_values_are_refused_by_name(name: str, value: object) -> None:
    with pytest.raises(InputError, match=name):
        tiny(**{name: value})


def test_plain_values_can_be_written_as_json() -> None:
    settings = tiny()
    plain = json.loads(json.dumps(settings.plain()))
    assert plain == settings.plain()
    assert set(plain) == {field.name for field in dataclasses.fields(TrainSettings)}
    assert {*ARCHITECTURE, *STREAM} <= set(plain)


def test_importing_the_settings_needs_no_torch() -> None:
    code = "import sys, ugatit_fast.train.settings; sys.exit('torch' in sys.modules)"
    assert subprocess.run([sys.executable, "-c", code], check=False).returncode == 0
