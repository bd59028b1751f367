"""Every flag of the two published repositories, and which of them this package can't do as asked.

"PyTorch" is github.com/znxlwm/UGATIT-pytorch, "TensorFlow" is github.com/taki0112/UGATIT. A flag that isn't given is
None, so that a checkpoint may say what it is; a flag of the TensorFlow repository alone makes it a TensorFlow command.
"""

from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Literal, TypeVar

from ugatit_fast.errors import InputError

T = TypeVar("T")
Truth = Literal["True", "False"]
"""How the repositories write it on a command line."""


TENSORFLOW_ONLY = (
    "epoch", "decay_epoch", "GP_ld", "gan_type", "smoothing", "n_critic", "sn", "augment_flag", "checkpoint_dir",
    "log_dir", "sample_dir",
)  # fmt: skip
"""Flags that only the TensorFlow repository has."""
EPOCHS, STEPS_AN_EPOCH, STEPS = 100, 10_000, 1_000_000
"""How long the repositories train: TensorFlow's epochs and their steps, PyTorch's steps."""
N_DIS, CHANNELS_OF_AN_IMAGE, GRADIENT_PENALTY = 6, 3, 10


@dataclass(frozen=True, kw_only=True)
class OfficialFlags:
    """A command of one of the published repositories."""

    phase: Literal["train", "test"] = "train"
    """train or test."""
    light: Truth | None = None
    """The light generator. A test takes what the checkpoint holds unless this is given, and then they must agree."""
    dataset: str | None = None
    """Name of the data set: the pictures are in dataset/NAME/trainA, trainB, testA and testB. Always needed here."""

    iteration: int | None = None
    """Steps in all, 1000000 unless given; of a TensorFlow command, steps in each epoch, 10000 unless given."""
    epoch: int | None = None
    """TensorFlow: epochs, 100 unless given. The run has epoch x iteration steps."""
    batch_size: int | None = None
    """Pictures of each domain in a step of training, 1 unless given; a test doesn't need it."""
    print_freq: int | None = None
    """Steps between sample pictures, and between lines of progress; 1000 unless given."""
    save_freq: int | None = None
    """Steps between checkpoints; 100000 unless given, 1000 for a TensorFlow command."""
    decay_flag: Truth | None = None
    """Let the learning rate fall to 0 in the second half; True unless given."""
    decay_epoch: int | None = None
    """TensorFlow: the epoch after which the learning rate falls. Half of epoch is all that can be done here."""

    lr: float | None = None
    """Learning rate; 0.0001 unless given."""
    weight_decay: float | None = None
    """PyTorch: L2 regularisation of every parameter; 0.0001 unless given."""
    GP_ld: int | None = None
    """TensorFlow: weight of a gradient penalty, which lsgan doesn't have. Another than 10 is refused."""
    adv_weight: float | None = None
    """Weight of the adversarial losses; 1 unless given."""
    cycle_weight: float | None = None
    """Weight of the cycle loss; 10 unless given."""
    identity_weight: float | None = None
    """Weight of the identity loss; 10 unless given."""
    cam_weight: float | None = None
    """Weight of the attention loss; 1000 unless given."""
    gan_type: str | None = None
    """TensorFlow: the adversarial loss. Training has lsgan only; others are refused."""
    smoothing: Truth | None = None
    """TensorFlow: whether AdaLIN takes 0.1 off rho. A test reads the checkpoint so; training never does it."""

    ch: int | None = None
    """Channels after the first convolution; 64 unless given or a checkpoint says otherwise."""
    n_res: int | None = None
    """Residual blocks; 4 unless given or a checkpoint says otherwise."""
    n_dis: int | None = None
    """Discriminator layers. Training pays no heed to it, as in the PyTorch repository; a TensorFlow command to train
    with another number than 6 is refused.
    """
    n_critic: int | None = None
    """TensorFlow: steps of the discriminators for one of the generators. Training has 1; others are refused."""
    sn: Truth | None = None
    """TensorFlow: spectral norm in the discriminators. Training without it is refused."""

    img_size: int | None = None
    """Side of the square pictures in pixels; 256 unless given."""
    img_ch: int | None = None
    """Channels of a picture. All but 3 are refused."""
    augment_flag: Truth | None = None
    """TensorFlow: flip and crop pictures at random. Training without it is refused."""

    checkpoint_dir: str | None = None
    """TensorFlow: where checkpoints are read from, checkpoint unless given. Training writes to the result folder."""
    result_dir: str = "results"
    """Folder of results."""
    log_dir: str | None = None
    """TensorFlow: has no use here: training writes its figures to metrics.jsonl in the result folder."""
    sample_dir: str | None = None
    """TensorFlow: has no use here: training writes its sample pictures to img in the result folder."""
    device: Literal["cpu", "cuda"] | None = None
    """PyTorch: where to run. The GPU if there is one, unless given."""
    benchmark_flag: Truth | None = None
    """PyTorch: has no use here: what chooses the fastest kernels does so by itself."""
    resume: Truth | None = None
    """PyTorch: go on with the newest checkpoint. A TensorFlow command always does where there is one."""

    @property
    def name(self) -> str:
        """What results are called by: the data set's name, or the last part of a path that leads elsewhere."""
        given = Path(str(self.dataset))
        return given.name if given.is_absolute() or ".." in given.parts else str(given)

    @property
    def tensorflow(self) -> bool:
        """Whether this is a command of the TensorFlow repository."""
        return any(getattr(self, name) is not None for name in TENSORFLOW_ONLY)

    @property
    def steps(self) -> int:
        """Of the whole training run."""
        if self.tensorflow:
            return default(self.epoch, EPOCHS) * default(self.iteration, STEPS_AN_EPOCH)
        return default(self.iteration, STEPS)


def default(value: T | None, otherwise: T) -> T:
    """The value of a flag where it was given."""
    return otherwise if value is None else value


def refuse_what_cannot_be_done(flags: OfficialFlags) -> None:
    """Raises InputError where obeying would give other results than the repository's, with what to do."""
    for what_to_do in refusals(flags):
        raise InputError(what_to_do)


def refusals(flags: OfficialFlags) -> Iterator[str]:
    if not flags.dataset:
        yield "name the data set: --dataset NAME, for the pictures in dataset/NAME"
    if flags.img_ch not in (None, CHANNELS_OF_AN_IMAGE):
        yield f"--img_ch {flags.img_ch}: pictures have 3 channels here; leave it out, grey pictures are taken as colour"
    if flags.phase == "test":
        return
    if flags.gan_type not in (None, "lsgan"):
        yield f"--gan_type {flags.gan_type}: only lsgan is trained here; leave it out, or train with their code"
    if flags.GP_ld not in (None, GRADIENT_PENALTY):
        yield f"--GP_ld {flags.GP_ld}: no loss that is trained here has a gradient penalty; leave it out"
    if flags.n_critic not in (None, 1):
        yield f"--n_critic {flags.n_critic}: the discriminators take one step for one of the generators; leave it out"
    if flags.sn == "False":
        yield "--sn False: the discriminators have spectral norm always; leave it out"
    if flags.augment_flag == "False":
        yield "--augment_flag False: pictures are always flipped and cropped at random; leave it out"
    if flags.tensorflow and flags.n_dis not in (None, N_DIS):
        yield f"--n_dis {flags.n_dis}: the discriminators have the published number of layers; leave it out"
    half = default(flags.epoch, EPOCHS) / 2
    if flags.decay_epoch not in (None, half) and flags.decay_flag != "False":
        yield (
            f"--decay_epoch {flags.decay_epoch}: the learning rate falls in the second half, that is from epoch "
            f"{half:g}; leave it out, or keep the rate constant with --decay_flag False"
        )


def remarks(flags: OfficialFlags) -> Iterator[str]:
    """One line for each flag that was given and has no effect, with why."""
    training = flags.phase == "train"
    if flags.name != flags.dataset:
        yield f"--dataset is a path: results are those of {flags.name}, in {flags.result_dir}"
    if flags.benchmark_flag is not None:
        yield "--benchmark_flag has no effect: what chooses the fastest kernels does so by itself"
    for name, place in (("log_dir", "metrics.jsonl"), ("sample_dir", "img")):
        if getattr(flags, name) is not None:
            yield f"--{name} has no effect: see {place} in the result folder"
    if training and flags.checkpoint_dir is not None:
        yield "--checkpoint_dir has no effect in training: see model in the result folder"
    if training and flags.n_dis not in (None, N_DIS):
        yield "--n_dis has no effect, as in the PyTorch repository: the discriminators have 7 and 5 layers"
    if training and flags.smoothing is not None:
        yield "--smoothing has no effect in training: as in the PyTorch repository, rho starts at 0.9 within 0 to 1"
    if training and flags.tensorflow:
        yield "training follows the PyTorch repository's recipe, and writes its checkpoints"
    if not training:
        unused = [name for name in TRAINING_ONLY if getattr(flags, name) is not None]
        if unused:
            yield f"of no effect in a test: {', '.join(f'--{name}' for name in unused)}"


TRAINING_ONLY = (
    "iteration", "epoch", "batch_size", "print_freq", "save_freq", "decay_flag", "decay_epoch", "lr", "weight_decay",
    "GP_ld", "augment_flag", "resume",
)  # fmt: skip
"""Flags that the repositories take, too, in a test, where they mean nothing."""
