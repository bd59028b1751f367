"""`--phase train`: the published flags as settings of our trainer, in the published folders.

results/NAME/model               a checkpoint every save_freq steps, as the published code writes and reads them
results/NAME/img                 sample grids
results/NAME/run.html            our page of them, and of the losses
results/NAME/checkpoints         the newest three with all that --resume needs
results/NAME_params_latest.pt    the networks alone, renewed every 1000 steps as published, and at the end
"""

from pathlib import Path
from typing import Any

from ugatit_fast.compat.flags import OfficialFlags, default
from ugatit_fast.compat.layout import data_folder, result_folder
from ugatit_fast.errors import CheckpointError, InputError
from ugatit_fast.progress import Counted, Say
from ugatit_fast.train.checkpoints import checkpoints_in
from ugatit_fast.train.loop import Trained, train
from ugatit_fast.train.run_folder import Layout
from ugatit_fast.train.settings import TrainSettings

LAYOUT = Layout(samples="img", published="model", latest=True)
PRINT_EVERY, SAVE_EVERY, SAVE_EVERY_TENSORFLOW = 1000, 100_000, 1000
SAME_NAME = (
    "batch_size", "lr", "weight_decay", "adv_weight", "cycle_weight", "identity_weight", "cam_weight", "ch", "n_res",
    "img_size", "device",
)  # fmt: skip
"""Flags that are settings of ours as they stand, with the same defaults."""


def train_as_published(flags: OfficialFlags, say: Say, on_progress: Counted) -> Trained:
    """Train, or go on. The errors are those of `ugatit_fast.train.loop.train`."""
    output = result_folder(flags)
    settings = settings_of(flags)
    return train(settings, resume=resumes(flags, output), layout=LAYOUT, say=say, on_progress=on_progress)


def settings_of(flags: OfficialFlags) -> TrainSettings:
    """What the flags say in our words; what they don't say has its default."""
    given: dict[str, Any] = {name: getattr(flags, name) for name in SAME_NAME if getattr(flags, name) is not None}
    print_every = default(flags.print_freq, PRINT_EVERY)
    return TrainSettings(
        data=data_folder(flags),
        output=result_folder(flags),
        light=flags.light == "True",
        iterations=flags.steps,
        decay=flags.decay_flag != "False",
        log_every=print_every,
        sample_every=print_every,
        save_every=default(flags.save_freq, SAVE_EVERY_TENSORFLOW if flags.tensorflow else SAVE_EVERY),
        **given,
    )


def resumes(flags: OfficialFlags, output: Path) -> bool:
    """Whether to go on with a run, as the repositories decide it: a new one starts where there is none.

    Raises CheckpointError for a run that the published code made, InputError for one that a new one would mix with.
    """
    asked = flags.resume == "True" or (flags.tensorflow and flags.resume is None)
    ours, published = checkpoints_in(output / LAYOUT.checkpoints), checkpoints_in(output / str(LAYOUT.published))
    if ours and not asked:
        raise InputError(f"{output} holds a run already; go on with it (--resume True), or choose another --result_dir")
    if asked and published and not ours:
        raise CheckpointError(
            f"{published[-1]} has no optimisers in it, which alone let a run go on as if it had never stopped; resume "
            "it with the code that made it, or start a new run in another --result_dir"
        )
    return bool(ours)
