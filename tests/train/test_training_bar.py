"""How a run tells of itself: in a terminal, and in a log."""

import os
import sys
from pathlib import Path

import pytest

from tests.train.conftest import Run
from tests.train.test_commands import flags
from ugatit_fast.commands import arguments
from ugatit_fast.commands.arguments import training_bar
from ugatit_fast.train.settings import TrainSettings


class Clock:
    """As much of `time` as lines of progress take."""

    seconds = 0.0

    def monotonic(self) -> float:
        return self.seconds


def test_a_line_a_minute_in_a_log(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> None:
    clock = Clock()
    monkeypatch.setattr(arguments, "time", clock)
    with training_bar() as (tell, on_progress):
        for step in range(150):
            clock.seconds = step
            if step == 90:
                tell("step 90/1000  cycle 1")
            on_progress(step, 1000)
    assert capsys.readouterr().err.splitlines() == ["steps: 60 of 1000", "step 90/1000  cycle 1"]


def test_a_command_in_a_log(settings: TrainSettings, run: Run) -> None:
    _, _, err = run("train", *flags(settings))
    assert "the first step took" in err
    assert "step 4/4" in err
    assert "\x1b[" not in err


@pytest.mark.skipif(sys.platform == "win32", reason="needs a pseudo-terminal")
def test_a_command_in_a_terminal(settings: TrainSettings) -> None:
    """The bar is there from the first step on, lines go above it, and nothing of it stays."""
    import pty

    root = Path(__file__).parents[2]
    said = bytearray()

    def read(terminal: int) -> bytes:
        chunk = os.read(terminal, 1024)
        said.extend(chunk)
        return chunk

    environment = {"PYTHONPATH": str(root), "TERM": "xterm", "COLUMNS": "120", "OMP_NUM_THREADS": "1"}
    words = [f"{name}={value}" for name, value in environment.items()]
    command = ["env", *words, sys.executable, "-m", "ugatit_fast.cli", "train", *flags(settings)]
    assert os.waitstatus_to_exitcode(pty.spawn(command, read)) == 0
    text = said.decode()
    assert text.index("0/4") < text.index("the first step took") < text.index("step 4/4")
    assert "\x1b[?25h" in text  # the cursor is back
