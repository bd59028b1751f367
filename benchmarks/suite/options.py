"""How a run of the suite is asked for; costs nothing to import."""

from dataclasses import dataclass
from typing import Literal

from ugatit_fast.choices import Device, Direction


@dataclass(frozen=True, kw_only=True)
class BenchOptions:
    """What to measure. Sizes are (height, width)."""

    quick: bool = False
    """Under a minute: few contenders, few rounds, 128x128."""
    network: Literal["light", "full"] = "light"
    """Whose random weights to take, without a checkpoint."""
    sizes: tuple[tuple[int, int], ...] = ()
    """Height x width in pixels, several with commas; the training size unless given."""
    batches: tuple[int, ...] = (1,)
    """Batch sizes, with commas."""
    direction: Direction | Literal["both"] = "A2B"
    """Which generator of a checkpoint with both."""
    device: Device = "auto"
    """Whose contenders: those of the GPU where there is one, else those of the CPU."""
    names: tuple[str, ...] = ()
    """Only those with one of these, with commas, in their names."""
    scaling: bool = False
    """Also the cost of our engines against batch, size, channels and threads."""
    force: bool = False
    """Replace results of this machine that are there already, where no output is named."""
