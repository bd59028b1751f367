"""`ugatit-fast demo`."""

from pathlib import Path

from ugatit_fast.choices import Device
from ugatit_fast.commands.arguments import (
    Output,
    say,
)


def demo(output: Output = Path("demo"), *, device: Device = "auto") -> None:
    """Build an engine from sample weights and translate sample photos with it.

    Parameters
    ----------
    output
        The folder for the engine and the pictures; made if missing.
    device
        Where the demonstration computes: cpu, cuda, or auto for the best that works.
    """
    from ugatit_fast.demo import run_demo

    result = run_demo(output, say, device)
    for stage, seconds in result.seconds.items():
        print(f"{stage:22} {seconds:7.2f} s")
    print(f"look at {result.page}")
