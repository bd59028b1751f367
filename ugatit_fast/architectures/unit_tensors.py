"""What the tensors of UNIT's and MUNIT's files say, and what the configuration of their run says beside them.

A file is `gen_00100000.pt`, {"a": the generator of domain A, "b": that of B}; a run's `config.yaml` lies one folder
above it. One direction is the source domain's content encoder with everything else of the target domain's generator.
"""

import re
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

from torch import Tensor

from ugatit_fast.architectures.architecture import T
from ugatit_fast.choices import Direction
from ugatit_fast.errors import CheckpointError

DOMAINS: dict[Direction, tuple[str, str]] = {"A2B": ("a", "b"), "B2A": ("b", "a")}
"""Source and target, as the files call them."""
WRAPPERS = ("", "module.", "_orig_mod.")
"""What DataParallel and torch.compile put before the names of a domain's tensors."""
WRAPPED = re.compile(r"^([ab])\.(?:module\.|_orig_mod\.)+")
STATISTICS = re.compile(r"\.norm\.(running_mean|running_var|num_batches_tracked)$")
"""Dummies of AdaIN, and what instance norms of PyTorch 0.3 kept: used by neither."""
MOST_DIM, MOST_BLOCKS, HALVINGS = 1024, 64, range(2, 6)
"""Far beyond any generator that was published: other numbers come from damage, or are another network's."""
SERVED = {"pad_type": "reflect", "activ": "relu"}
"""What no tensor says, and every published configuration does."""
GENERATOR_SECTION = re.compile(r"^gen:[^\n]*\n((?:[ \t]+[^\n]*\n?|\s*\n|#[^\n]*\n)*)", re.MULTILINE)
OPTION = re.compile(r"^\s+(pad_type|activ)\s*:\s*['\"]?(\w+)", re.MULTILINE)
"""As much of YAML as the published configurations are written in: the discriminator has an activation of its own."""


def anchors_of(encoder: str) -> tuple[str, ...]:
    """The first tensor of domain A, whatever wraps its network."""
    return tuple(f"a.{wrapper}{encoder}.model.0.conv.weight" for wrapper in WRAPPERS)


def source_and_target(direction: Direction, tensors: Mapping[str, T], encoder: str) -> dict[str, T]:
    """The tensors of one direction, without their domains' names, from those of both domains."""
    source, target = DOMAINS[direction]
    tensors = {WRAPPED.sub(r"\1.", name): tensor for name, tensor in tensors.items()}
    own = {name.removeprefix(f"{source}."): t for name, t in tensors.items() if name.startswith(f"{source}.{encoder}.")}
    drawn = {
        name.removeprefix(f"{target}."): t
        for name, t in tensors.items()
        if name.startswith(f"{target}.") and not name.startswith(f"{target}.{encoder}.")
    }
    return own | drawn


@dataclass(frozen=True)
class UnitTensors:
    """The generator of one direction."""

    tensors: Mapping[str, Tensor]
    """As the published code names them within a domain, without what isn't used."""
    dim: int
    n_downsample: int
    n_res: int
    notes: tuple[str, ...]

    @classmethod
    def of(cls, path: Path, tensors: Mapping[str, Tensor], title: str, encoder: str) -> "UnitTensors":
        """tensors: as from `source_and_target`. encoder: what its content encoder is called.

        Raises CheckpointError where they are nearly a generator.
        """
        first, last = f"{encoder}.model.0.conv.weight", "dec.model.0.model.0.model.0.conv.weight"
        for name in (first, last):
            if name not in tensors or tensors[name].dim() != 4:
                raise CheckpointError(
                    f"{path} has not both domains of a {title} generator ({name} of one is missing), and a direction "
                    "takes the encoder of one and the decoder of the other; expected gen_*.pt as saved by its training"
                )
        if any(".activation." in name for name in tensors):
            raise CheckpointError(f"{path} was trained with activ: prelu, which no engine computes; expected relu")
        if tensors[first].shape[1] != 3:
            raise CheckpointError(f"{path} takes {tensors[first].shape[1]} channels; expected 3, RGB pictures")
        halvings = [name for name in tensors if re.fullmatch(rf"{encoder}\.model\.\d+\.conv\.weight", name)]
        blocks = {name.split(".")[4] for name in tensors if name.startswith(f"{encoder}.model.{len(halvings)}.model.")}
        dim, n_downsample, n_res = len(tensors[first]), len(halvings) - 1, len(blocks)
        if not (1 <= dim <= MOST_DIM and n_downsample in HALVINGS and 1 <= n_res <= MOST_BLOCKS):
            raise CheckpointError(
                f"{path} has {dim} channels, {n_res} blocks and {n_downsample} halvings; expected at most {MOST_DIM}, "
                f"1 to {MOST_BLOCKS}, and {HALVINGS[0]} to {HALVINGS[-1]}: it is another network, or damaged"
            )
        kept = {name: tensor for name, tensor in tensors.items() if not STATISTICS.search(name)}
        dropped = "running statistics beside its norms, which never used them, are left out"
        notes = [dropped] if len(kept) < len(tensors) else []
        return cls(kept, dim, n_downsample, n_res, (*notes, *about_run(path), CONTRAST))


UNSAID = "nothing says its borders and activations: reflected and ReLU, as in every published configuration"
CONTRAST = (
    "the published test.py stretches the contrast of every picture that it saves, which isn't part of the network and "
    "isn't done here"
)


def about_run(path: Path) -> list[str]:
    """What the configuration of the run says of what no tensor does. CheckpointError where it isn't served."""
    configuration = path.absolute().parent.parent / "config.yaml"
    try:
        text = configuration.read_text(encoding="utf-8", errors="replace")
    except OSError:
        return [UNSAID]
    generator = GENERATOR_SECTION.search(text)
    said = dict(OPTION.findall(generator[1] if generator else ""))
    for option, expected in SERVED.items():
        if said.get(option, expected) != expected:
            raise CheckpointError(
                f"{path} was trained with {option}: {said[option]}, as {configuration} says, which no engine computes; "
                f"expected {expected}"
            )
    told = ", ".join(f"{option} {value}" for option, value in said.items())
    return [f"{configuration.name} of its run says: {told}"] if told else [UNSAID]
