"""The TensorFlow repository's checkpoints: the same network in other conventions, all of them settled here.

    convolutions are (h, w, in, out), linear layers (in, out), and features are flattened in the order h, w, c
    layers have biases, the encoder's norms an affine map, and variances are biased: `GeneratorConfig` says so
    one layer makes both class-activation maps, of weight kernel + bias; before 2019-08-20, the kernel alone. The
        logits, which no picture depends on, become other numbers
    with `--smoothing` AdaLIN uses clip(rho - 0.1, 0, 1) for rho; what is kept here is what it uses
    generator_B translates A to B

Only the generator's own variables are read: the optimiser's moments and the discriminators are most of a file.
"""

import re
from collections.abc import Iterable
from pathlib import Path

import numpy as np
import torch
from torch import Tensor

from ugatit_fast.architectures.ugatit import about_size, check_size, infer_style_inputs
from ugatit_fast.checkpoint.contents import Checkpoint
from ugatit_fast.checkpoint.tensorflow_names import (
    ATTENTION_BIAS,
    ATTENTION_KERNEL,
    FIRST_STYLE_KERNEL,
    OLD_LOGIT_LAYER,
    variable_names,
)
from ugatit_fast.checkpoint.tensorflow_variables import FORMAT, Variables, all_names, number_in, parts_besides
from ugatit_fast.checkpoint.told import Asked
from ugatit_fast.choices import Direction
from ugatit_fast.errors import CheckpointError
from ugatit_fast.model import GeneratorConfig
from ugatit_fast.tensor_bundle import TensorBundle
from ugatit_fast.tensor_bundle.bundle import AnyArray

SCOPES: dict[Direction, str] = {"A2B": "generator_B", "B2A": "generator_A"}
RUN_FOLDER = re.compile(r"UGATIT.*_\d+resblock_\d+dis_.*?(_smoothing)?")
"""The repository names a run's folder after its options; `_smoothing` comes last."""
SMOOTHING_SHIFT = 0.1
LARGEST_RHO_OF_OLD = 0.9
"""Before 2019-08-14, when smoothing came, rho was clipped here. Since then it starts at 1."""


def from_ugatit(bundle: TensorBundle, asked: Asked, smoothing: bool | None, verify: bool) -> Checkpoint:
    """One generator of an open checkpoint that has any.

    smoothing: None decides by the folder's name or, where that says nothing, by rho. verify: also compare the
    checksums of the generator's variables.
    """
    directions = directions_in(bundle)
    chosen: Direction = asked.direction or directions[0]
    if chosen not in directions:
        raise CheckpointError(
            f"{bundle.prefix} has no {SCOPES[chosen]}, only {SCOPES[directions[0]]}; ask for the other --direction"
        )
    source = UgatitVariables(bundle, SCOPES[chosen])
    if verify:
        source.verify()
    config = source.config()
    shared = OLD_LOGIT_LAYER[0] not in source.names
    source.check_names(source.wanted(config), "the generator of the TensorFlow UGATIT")
    tensors = source.tensors(config)
    smoothing, reason = decide_smoothing(bundle.prefix, tensors, smoothing)
    if smoothing:
        tensors |= {name: (tensors[name].double() - SMOOTHING_SHIFT).clamp(0, 1) for name in adalin_rhos(tensors)}
    only = f"it is the only generator in the file: {chosen}"
    return Checkpoint(
        path=bundle.index_file,
        format=FORMAT,
        direction=chosen,
        directions=directions,
        config=config,
        tensors=tensors,
        dropped=parts_besides(SCOPES[chosen], all_names(bundle)),
        step=number_in(bundle),
        notes=(
            f"smoothing is {'on (AdaLIN uses rho - 0.1)' if smoothing else 'off (AdaLIN uses rho)'}, {reason}",
            f"attention weights are {'kernel + bias' if shared else 'the kernel alone, as before 2019-08-20'}",
            *([only] if (asked.direction, chosen) == (None, "B2A") else []),
            *about_size(config),
        ),
        smoothing=smoothing,
        size_bytes=bundle.size_bytes(),
    )


def directions_in(bundle: TensorBundle) -> tuple[Direction, ...]:
    """Those that there is a generator for; none in a checkpoint of something else."""
    names = all_names(bundle)
    return tuple(
        direction for direction, scope in SCOPES.items() if any(name.startswith(f"{scope}/") for name in names)
    )


class UgatitVariables(Variables):
    """Those of one of its generators."""

    def config(self) -> GeneratorConfig:
        """Channels, blocks and options, from the shapes and from which variables there are."""
        ch = self.shape("conv/conv2d/kernel", 4)[3]
        inputs = self.shape(FIRST_STYLE_KERNEL, 2)[0]
        light, img_size = infer_style_inputs(self.bundle.prefix, f"{self.scope}/{FIRST_STYLE_KERNEL}", inputs, ch)
        n_res = len({name.partition("/")[0] for name in self.names if name.startswith("adaptive_resblock")})
        check_size(self.bundle.prefix, ch, n_res)
        return GeneratorConfig(
            ch=ch,
            n_res=n_res,
            light=light,
            img_size=img_size,
            bias="conv/conv2d/bias" in self.names,
            affine_encoder="ins_norm/gamma" in self.names,
            unbiased=False,
        )

    def shape(self, name: str, rank: int) -> tuple[int, ...]:
        entry = self.bundle.entries.get(f"{self.scope}/{name}")
        if entry is None or len(entry.shape) != rank:
            found = "it is missing" if entry is None else f"its shape is {entry.shape}"
            raise CheckpointError(
                f"{self.bundle.prefix} is not a generator of the TensorFlow UGATIT: expected {self.scope}/{name} "
                f"with {rank} dimensions, but {found}"
            )
        return entry.shape

    def wanted(self, config: GeneratorConfig) -> set[str]:
        """Every variable that the generator needs, and no other."""
        wanted = {*variable_names(config).values(), ATTENTION_KERNEL}
        if OLD_LOGIT_LAYER[0] in self.names:
            wanted |= {name for name in OLD_LOGIT_LAYER if name in self.names}
        elif config.bias:
            wanted.add(ATTENTION_BIAS)
        return wanted

    def tensors(self, config: GeneratorConfig) -> dict[str, Tensor]:
        """The generator's state dict, rho as stored. What is computed here is float64, all else of the type stored."""
        names = variable_names(config)
        if not config.light:
            del names["FC.0.weight"]
        tensors = {ours: converted(ours, self.read(theirs)) for ours, theirs in names.items()}
        attention = converted("gap_fc.weight", self.read(ATTENTION_KERNEL)).double()
        if ATTENTION_BIAS in self.names and OLD_LOGIT_LAYER[0] not in self.names:
            attention = attention + converted("gap_fc.bias", self.read(ATTENTION_BIAS))
        tensors |= {"gap_fc.weight": attention, "gmp_fc.weight": attention.clone()}
        if not config.light:
            tensors["FC.0.weight"] = self.first_style_weight(config)
        return tensors

    def first_style_weight(self, config: GeneratorConfig) -> Tensor:
        """The first style layer's weight of a full generator, its inputs brought from the order h, w, c into c, h, w.

        A gigabyte: read a row of pixels at a time, so that it is in memory once.
        """
        pixels, outputs = config.img_size // 4, self.shape(FIRST_STYLE_KERNEL, 2)[1]
        inputs = pixels * config.bottleneck_channels  # of one row of pixels
        rows = self.bundle.read_rows(f"{self.scope}/{FIRST_STYLE_KERNEL}", inputs)
        first = next(rows)
        self.check_type(FIRST_STYLE_KERNEL, first)
        weight = np.empty((outputs, config.bottleneck_channels, pixels, pixels), first.dtype)
        weight[:, :, 0] = first.reshape(pixels, -1, outputs).transpose(2, 1, 0)
        for i, row in enumerate(rows, start=1):
            weight[:, :, i] = row.reshape(pixels, -1, outputs).transpose(2, 1, 0)
        return torch.from_numpy(weight.reshape(outputs, -1))


def converted(ours: str, array: AnyArray) -> Tensor:
    """A variable in PyTorch's conventions: (out, in, h, w), (out, in), and rho, gamma, beta (1, c, 1, 1)."""
    if array.ndim == 4:
        array = array.transpose(3, 2, 0, 1)
    elif array.ndim == 2:
        array = array.T
    elif array.ndim == 1 and ours.endswith((".rho", ".gamma", ".beta")):
        array = array[None, :, None, None]
    return torch.from_numpy(array.copy(order="C"))


def adalin_rhos(tensors: Iterable[str]) -> list[str]:
    return [name for name in tensors if re.fullmatch(r"UpBlock1_\d+\.norm[12]\.rho", name)]


def decide_smoothing(prefix: Path, tensors: dict[str, Tensor], asked: bool | None) -> tuple[bool, str]:
    """Whether AdaLIN takes 0.1 off rho, and what says so."""
    if asked is not None:
        return asked, "as asked for"
    largest = max((float(tensors[name].max()) for name in adalin_rhos(tensors)), default=1.0)
    if run := RUN_FOLDER.fullmatch(prefix.absolute().parent.name):
        smoothing, reason = run[1] is not None, "by the folder's name"
        if smoothing and largest <= LARGEST_RHO_OF_OLD:
            reason += f", though no rho is above {LARGEST_RHO_OF_OLD}, as before 2019-08-14: compare --smoothing no"
        return smoothing, reason
    if largest > LARGEST_RHO_OF_OLD:
        return (
            True,
            f"the repository's default, and some rho is {largest:.3g}; if it was trained without: --smoothing no",
        )
    return False, f"since no rho is above {LARGEST_RHO_OF_OLD}, as before 2019-08-14; if not: --smoothing yes"
