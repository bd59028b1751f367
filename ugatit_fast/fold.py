"""Generator -> FoldedGenerator: the same function, rewritten to what is worth running.

Every rewrite is exact algebra, a pure function of tensors with the identity it relies on in its docstring and a float64
test that proves it. What the training needed and the picture does not (class-activation logits, pools, up-sampled
copies) is gone afterwards. `docs/design.md` numbers the rewrites.
"""

from collections.abc import Mapping

import torch
from torch import Tensor

from ugatit_fast.graph import FoldedGenerator
from ugatit_fast.model import FIRST_BLOCK, Generator, GeneratorConfig

# The rewrites -----------------------------------------------------------------------------------------------------


def merge_attention(weight: Tensor, gap_weight: Tensor, gmp_weight: Tensor) -> Tensor:
    """Rewrite 1: conv1x1(cat(x * gap, x * gmp)) = one 1x1 convolution of x, since gap and gmp are weights, not data.

    weight (c, 2c, 1, 1); gap_weight, gmp_weight (1, c). Returns (c, c, 1, 1).
    """
    by_average, by_maximum = weight[:, :, 0, 0].chunk(2, dim=1)
    return (by_average * gap_weight + by_maximum * gmp_weight)[:, :, None, None]


def phase_kernels(weight: Tensor) -> Tensor:
    """Rewrite 3: nearest x2 -> reflect 1 -> conv 3x3 = replicate 1 -> four 2x2 convolutions at low resolution.

    An up-sampled row repeats, so the taps that fall on the same low-resolution row add up: rows (w0, w1 + w2) for even
    output rows, (w0 + w1, w2) for odd ones, and likewise for columns. The reflected border of the up-sampled image is
    the replicated one of the small image. weight (k, c, 3, 3). Returns (4 k, c, 2, 2), phases in the order of
    `ugatit_fast.kernels.phases`: 2.25 times fewer multiplications.
    """
    even = torch.tensor([[1, 0, 0], [0, 1, 1]], dtype=weight.dtype, device=weight.device)
    odd = torch.tensor([[1, 1, 0], [0, 0, 1]], dtype=weight.dtype, device=weight.device)
    return torch.cat([rows @ weight @ columns.T for rows in (even, odd) for columns in (even, odd)])


def transposed_kernel(phases: Tensor) -> Tensor:
    """Rewrite 3 in its other form: the same four phases as one transposed convolution 4x4, stride 2, of the padded
    input.

    phases (4 k, c, 2, 2) as from `phase_kernels`. Returns (c, k, 4, 4); of its result for the replicate-padded input,
    the image is what remains when a border of 3 is cut off.
    """
    k, c = phases.shape[0] // 4, phases.shape[1]
    kernel = phases.new_empty(c, k, 4, 4)
    for a in (0, 1):
        for b in (0, 1):
            phase = phases[(2 * a + b) * k :][:k]
            # output 2 i + a takes padded rows i + a and i + a + 1: the transposed taps 3 - a and 1 - a
            kernel[:, :, [[3 - a], [1 - a]], [3 - b, 1 - b]] = phase.transpose(0, 1)
    return kernel


def row_kernels(weight: Tensor) -> Tensor:
    """Rewrite 7: a k x k convolution to 3 channels = a 1 x k convolution to 3 k channels and a sum of k shifted
    triples.

    Three outputs leave wide vector and matrix units empty; 3 k fill them. weight (3, c, k, k). Returns (3 k, c, 1, k),
    channel 3 r + o the row r of output o, as `rows_to_image` expects.
    """
    colours, c, rows, columns = weight.shape
    return weight.permute(2, 0, 1, 3).reshape(rows * colours, c, 1, columns).contiguous()


# From the published network to the folded one -----------------------------------------------------------------------


def encoder_stages(config: GeneratorConfig) -> dict[str, tuple[str, str]]:
    """Stage of the folded network -> convolution and instance norm of the published one, in the encoder."""
    stages = {
        "stem": ("DownBlock.1", "DownBlock.2"),
        "down.0": ("DownBlock.5", "DownBlock.6"),
        "down.1": ("DownBlock.9", "DownBlock.10"),
    }
    for i in range(config.n_res):
        block = f"DownBlock.{FIRST_BLOCK + i}.conv_block"
        stages[f"encoder.{i}.0"] = (f"{block}.1", f"{block}.2")
        stages[f"encoder.{i}.1"] = (f"{block}.5", f"{block}.6")
    return stages


def decoder_stages(config: GeneratorConfig) -> dict[str, tuple[str, str]]:
    """The same in the decoder, whose normalisation is AdaLIN."""
    return {
        f"decoder.{i}.{j}": (f"UpBlock1_{i + 1}.conv{j + 1}", f"UpBlock1_{i + 1}.norm{j + 1}")
        for i in range(config.n_res)
        for j in range(2)
    }


UP_STAGES = {"up.0": ("UpBlock2.2", "UpBlock2.3"), "up.1": ("UpBlock2.7", "UpBlock2.8")}
"""The same where the decoder doubles the picture; ILN."""
LAST_CONVOLUTION = "UpBlock2.11"
Tensors = Mapping[str, Tensor]
"""The published network's, by the names in its state dict."""
Place = dict[str, Tensor | None]
"""The folded tensors of one place, by the last part of their names."""


def fold_tensors(generator: Generator) -> dict[str, Tensor]:
    """The tensors of the folded network from those of the paper's, in the generator's dtype. Nothing is cast."""
    config, tensors = generator.config, generator.state_dict()
    places = {stage: encoder_stage(tensors, *modules) for stage, modules in encoder_stages(config).items()}
    places |= {stage: decoder_stage(tensors, *modules) for stage, modules in decoder_stages(config).items()}
    places |= {stage: up_stage(tensors, *modules) for stage, modules in UP_STAGES.items()}
    places |= {"attention": attention(tensors), "style": style(tensors), "out": last_convolution(tensors)}
    return {
        f"{place}.{name}": tensor
        for place, folded in places.items()
        for name, tensor in folded.items()
        if tensor is not None
    }


def encoder_stage(tensors: Tensors, conv: str, norm: str) -> Place:
    """Rewrite 5: instance norm takes away any constant, so the convolution's bias goes. The norm's own affine map,
    where it has one, is a gamma and a beta.
    """
    own = {"gamma": tensors.get(f"{norm}.weight"), "beta": tensors.get(f"{norm}.bias")}
    return {"weight": tensors[f"{conv}.weight"], **own}


def decoder_stage(tensors: Tensors, conv: str, norm: str) -> Place:
    """AdaLIN's gamma and beta are the style's, for all stages."""
    return {**convolution(tensors, conv), "rho": tensors[f"{norm}.rho"].flatten()}


def up_stage(tensors: Tensors, conv: str, norm: str) -> Place:
    own = {name: tensors[f"{norm}.{name}"].flatten() for name in ("gamma", "beta", "rho")}
    return {**convolution(tensors, conv), "weight": phase_kernels(tensors[f"{conv}.weight"]), **own}


def last_convolution(tensors: Tensors) -> Place:
    weight = row_kernels(tensors[f"{LAST_CONVOLUTION}.weight"])
    return {**convolution(tensors, LAST_CONVOLUTION), "weight": weight}


def convolution(tensors: Tensors, conv: str) -> Place:
    return {"weight": tensors[f"{conv}.weight"], "bias": tensors.get(f"{conv}.bias")}


def attention(tensors: Tensors) -> Place:
    weight = merge_attention(tensors["conv1x1.weight"], tensors["gap_fc.weight"], tensors["gmp_fc.weight"])
    return {"weight": weight, "bias": tensors["conv1x1.bias"]}


def style(tensors: Tensors) -> Place:
    """Two hidden layers, and the heads of gamma and beta as one."""
    biased = "gamma.bias" in tensors
    return {
        "first": tensors["FC.0.weight"],
        "bias1": tensors.get("FC.0.bias"),
        "second": tensors["FC.2.weight"],
        "bias2": tensors.get("FC.2.bias"),
        "heads": torch.cat([tensors["gamma.weight"], tensors["beta.weight"]]),
        "bias3": torch.cat([tensors["gamma.bias"], tensors["beta.bias"]]) if biased else None,
    }


# The folded network -----------------------------------------------------------------------------------------------


def fold(generator: Generator) -> FoldedGenerator:
    """The inference graph of a generator, in its dtype (float32 from a checkpoint)."""
    return FoldedGenerator(generator.config, fold_tensors(generator))
