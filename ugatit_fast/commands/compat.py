"""`ugatit-fast compat`."""

import os
import sys
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Annotated

from cyclopts import Parameter, Token

from ugatit_fast.commands.arguments import say, training_bar
from ugatit_fast.compat.flags import OfficialFlags, Truth, refuse_what_cannot_be_done, remarks


def parse_truth(_: object, tokens: Sequence[Token]) -> str:
    """`true` and `False` in any case. The repositories take any other word for False, or `t` for True; it is an error
    here.
    """
    word = tokens[0].value.capitalize()
    if word not in ("True", "False"):
        raise ValueError(f"expected True or False, got {tokens[0].value!r}")
    return word


Bool = Annotated[Truth | None, Parameter(converter=parse_truth)]


@dataclass(frozen=True, kw_only=True)
class Flags(OfficialFlags):
    """The flags as people type them."""

    light: Bool = None
    decay_flag: Bool = None
    smoothing: Bool = None
    sn: Bool = None
    augment_flag: Bool = None
    benchmark_flag: Bool = None
    resume: Bool = None


NO_FLAGS = Flags()


def compat_command(
    flags: Annotated[Flags, Parameter(name="*", name_transform=lambda name: name)] = NO_FLAGS,
) -> int:
    """Train or test with the flags and folders of the published repositories.

    ```
    ugatit-fast compat --phase test --dataset selfie2anime --light True
    ugatit-fast compat --phase train --dataset selfie2anime --light True
    ```
    """
    refuse_what_cannot_be_done(flags)
    for remark in remarks(flags):
        say(f"note: {remark}")
    return train(flags) if flags.phase == "train" else test(flags)


def train(flags: OfficialFlags) -> int:
    from ugatit_fast.compat.training import LAYOUT, train_as_published

    speaks = os.environ.get("RANK", "0") == "0"  # under torchrun, one process does
    with training_bar(speaks) as (tell, on_progress):
        trained = train_as_published(flags, tell, on_progress)
    if speaks:
        published = trained.checkpoint.parents[1] / str(LAYOUT.published) / trained.checkpoint.name
        print(f"{published}: step {trained.step} of {flags.steps}")
    return 130 if trained.stopped else 0


def test(flags: OfficialFlags) -> int:
    from ugatit_fast.compat.testing import test_as_published

    outcome = test_as_published(flags, say)
    for failure in outcome.failures:
        print(f"error: {failure}", file=sys.stderr)
    failed = f", {len(outcome.failures)} failed" if outcome.failures else ""
    print(f"{outcome.written} pictures written into {outcome.folder}{failed}")
    return 1 if outcome.failures else 0
