"""Where the published repositories keep what: data sets, checkpoints, results."""

from pathlib import Path

from ugatit_fast.checkpoint import Checkpoint, read_checkpoint, ugatit_config
from ugatit_fast.choices import Direction
from ugatit_fast.compat.flags import N_DIS, OfficialFlags, default
from ugatit_fast.errors import CheckpointError
from ugatit_fast.tensor_bundle import looks_like_bundle
from ugatit_fast.train.checkpoints import checkpoints_in

DATA_SETS = Path("dataset")


def data_folder(flags: OfficialFlags) -> Path:
    """dataset/NAME, in the current folder."""
    return DATA_SETS / str(flags.dataset)


def result_folder(flags: OfficialFlags) -> Path:
    """results/NAME, with model, img and test in it."""
    return Path(flags.result_dir) / flags.name


def tensorflow_name(flags: OfficialFlags) -> str:
    """What the TensorFlow repository calls a run: UGATIT_NAME_lsgan_4resblock_6dis_1_1_10_10_1000_sn_smoothing, say."""
    weights = (flags.adv_weight, 1), (flags.cycle_weight, 10), (flags.identity_weight, 10), (flags.cam_weight, 1000)
    parts = [
        "UGATIT_light" if flags.light == "True" else "UGATIT",
        flags.name,
        default(flags.gan_type, "lsgan"),
        f"{default(flags.n_res, 4)}resblock",
        f"{default(flags.n_dis, N_DIS)}dis",
        default(flags.n_critic, 1),
        *(f"{default(weight, otherwise):g}" for weight, otherwise in weights),
        *([] if flags.sn == "False" else ["sn"]),
        *([] if flags.smoothing == "False" else ["smoothing"]),
    ]
    return "_".join(map(str, parts))


def find_checkpoint(flags: OfficialFlags) -> Path:
    """What a test reads: the newest .pt in results/NAME/model, else that which training renews beside results/NAME.

    Or a TensorFlow run's folder.

    Of the two, the kind that the flags are of comes first. Raises CheckpointError where there is neither.
    """
    models = result_folder(flags) / "model"
    run = Path(default(flags.checkpoint_dir, "checkpoint")) / tensorflow_name(flags)
    latest = Path(flags.result_dir) / f"{flags.name}_params_latest.pt"
    numbered = checkpoints_in(models) or sorted(models.glob("*.pt"))
    published = numbered[-1:] or [path for path in (latest, models.parent / latest.name) if path.is_file()][:1]
    found = [*published, *([run] if looks_like_bundle(run) else [])]
    if not found:
        raise CheckpointError(
            f"no checkpoint: expected {models}/{flags.name}_params_NUMBER.pt, {latest}, or a TensorFlow checkpoint "
            f"in {run} (the flags make its name); train first, or copy it there"
        )
    return found[-1 if flags.tensorflow else 0]


def read_direction(flags: OfficialFlags, path: Path, direction: Direction) -> Checkpoint:
    """One generator of it. Raises CheckpointError where it isn't of the architecture that the flags ask for.

    A TensorFlow run's folder is found by --light, so of one it says nothing about what is in it.
    """
    tensorflow = looks_like_bundle(path)
    smoothing = None if flags.smoothing is None or not tensorflow else flags.smoothing == "True"
    checkpoint = read_checkpoint(path, direction, smoothing=smoothing)
    config = ugatit_config(checkpoint, "compat")
    asked = {
        "light": None if flags.light is None or tensorflow else flags.light == "True",
        "ch": flags.ch,
        "n_res": flags.n_res,
        "img_size": None if config.light else flags.img_size,
    }
    differences = [
        f"--{name} {getattr(config, name)}, not {value}"
        for name, value in asked.items()
        if value is not None and value != getattr(config, name)
    ]
    if differences:
        raise CheckpointError(f"{path} needs {', '.join(differences)}; leave it out, or choose another checkpoint")
    return checkpoint
