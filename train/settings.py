"""What a training run can be told, in one frozen dataclass that costs nothing to import.

Flags, the TOML file and the keyword arguments of `train` are its fields; names and defaults are those of the published
repositories where they have them.
"""

from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Literal, get_args

from ugatit_fast.choices import Device
from ugatit_fast.errors import InputError

Norm = Literal["adalin", "in", "ln", "adain", "gn"]
"""Normalisation in the decoder: the paper's, or one of its ablations."""
Cam = Literal["both", "generator", "discriminator", "none"]
"""Which networks have attention: the paper's, or one of its ablations."""
TrainPrecision = Literal["fp32", "bf16", "fp16"]
"""Of convolutions and activations; weights, statistics, losses and optimisers are float32 in all."""

ARCHITECTURE = ("ch", "n_res", "img_size", "light", "norm", "cam")
"""Settings that a checkpoint can't be resumed without."""
STREAM = ("seed", "batch_size")
"""Settings that decide which images a step sees: a run that is resumed must go on with them."""
MARGIN_PIXELS = 30
"""Pictures are resized to this much more than the crop, as published."""
MIN_SIDE_PIXELS = 96
"""The global discriminator halves its input five times, and its last two layers need 3 pixels."""


@dataclass(frozen=True, kw_only=True)
class TrainSettings:
    """One run. Raises InputError where a value makes no sense."""

    data: Path
    """Folder with trainA and trainB, and testA and testB if you have them."""
    output: Path
    """Folder of the run: checkpoints, samples and metrics; made if missing."""

    light: bool = False
    """Light generator: its style comes from pooled features; 11 million parameters instead of 279 at ch 64."""
    ch: int = 64
    """Channels after the first convolution of every network."""
    n_res: int = 4
    """Residual blocks in the encoder, and as many in the decoder."""
    img_size: int = 256
    """Side of the square training images in pixels: a multiple of 4, at least 96."""
    norm: Norm = "adalin"
    """Normalisation of the decoder; all but adalin are the paper's ablations, which no engine runs."""
    cam: Cam = "both"
    """Which networks have attention; all but both are the paper's ablations."""
    start_from: str | None = None
    """Begin with the trained generators of both directions in these weights (a file, a folder or a name); the
    discriminators begin anew."""

    iterations: int = 1_000_000
    """Steps in all."""
    batch_size: int = 1
    """Images of each domain in a step, over all GPUs together."""
    lr: float = 1e-4
    """Learning rate: constant for the first half of the run."""
    decay: bool = True
    """Let the learning rate fall to 0 linearly in the second half."""
    weight_decay: float = 1e-4
    """L2 regularisation of every parameter."""
    adv_weight: float = 1
    """Weight of the adversarial losses."""
    cycle_weight: float = 10
    """Weight of the cycle loss."""
    identity_weight: float = 10
    """Weight of the identity loss."""
    cam_weight: float = 1000
    """Weight of the generators' attention loss."""
    ema: float = 0.999
    """Decay of the averaged weights that checkpoints offer for translating; 0 offers the trained ones."""
    seed: int = 0
    """Of the initial weights, the order of the images and their augmentation."""

    precision: TrainPrecision = "fp32"
    """bf16 and fp16 run convolutions in half precision, on GPUs made for it about twice as fast."""
    recompute: bool = False
    """Gradient checkpointing: less memory, about a quarter more time; the same gradients."""
    device: Device = "auto"
    """Where to train; auto is the GPU where there is one."""
    workers: int = 2
    """Processes that load images, for each GPU; 0 loads in the training process."""

    log_every: int = 100
    """Steps between lines of progress; losses are checked for NaN as often."""
    sample_every: int = 1000
    """Steps between sample pictures."""
    save_every: int = 1000
    """Steps between checkpoints."""
    keep: int = 3
    """Newest checkpoints that stay; older ones are deleted."""
    tensorboard: bool = False
    """Also write TensorBoard's event files."""

    def __post_init__(self) -> None:
        for name, choices in (("norm", Norm), ("cam", Cam), ("precision", TrainPrecision), ("device", Device)):
            if getattr(self, name) not in get_args(choices):
                raise InputError(f"{name} must be one of {', '.join(get_args(choices))}, got {getattr(self, name)!r}")
        for name in ("ch", "iterations", "batch_size", "log_every", "sample_every", "save_every", "keep"):
            at_least(name, getattr(self, name), 1)
        for name in ("n_res", "workers", "weight_decay", "adv_weight", "cycle_weight", "identity_weight", "cam_weight"):
            at_least(name, getattr(self, name), 0)
        if self.img_size < MIN_SIDE_PIXELS or self.img_size % 4:
            raise InputError(
                f"img_size must be a multiple of 4 from {MIN_SIDE_PIXELS} on (the global discriminator halves it five "
                f"times), got {self.img_size}"
            )
        if not 0 < self.lr < 1 or not 0 <= self.ema < 1:
            raise InputError(f"lr must be between 0 and 1 and ema from 0 to below 1, got {self.lr} and {self.ema}")

    def plain(self) -> dict[str, object]:
        """As plain values, for files."""
        return {name: str(value) if isinstance(value, Path) else value for name, value in asdict(self).items()}


def at_least(name: str, value: float, smallest: int) -> None:
    if not value >= smallest:  # NaN too
        raise InputError(f"{name} must be at least {smallest}, got {value}")
