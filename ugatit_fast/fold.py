"""Generator -> FoldedGenerator: the same function, rewritten to what is worth running.

Every rewrite is exact algebra, a pure function of tensors with the identity it relies on in its docstring and a float64
test that proves it. What the training needed and the picture does not (class-activation logits, pools, up-sampled
copies) is gone afterwards. `docs/design.md` numbers the rewrites.
"""

from typing import cast

import torch
from torch import Tensor, nn

from ugatit_fast.graph import FoldedGenerator
from ugatit_fast.model import ILN, Generator, ResnetAdaLINBlock, ResnetBlock

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


def fold_tensors(generator: Generator) -> dict[str, Tensor]:
    """The tensors of the folded network from those of the paper's, in the generator's dtype. Nothing is cast."""
    down, up = generator.DownBlock, generator.UpBlock2
    stages: dict[str, dict[str, Tensor | None]] = {"stem": encoder_stage(down[1], down[2])}
    for i, conv_at in enumerate((5, 9)):
        stages[f"down.{i}"] = encoder_stage(down[conv_at], down[conv_at + 1])
    for i in range(generator.config.n_res):
        encoder = cast(ResnetBlock, down[12 + i]).conv_block
        decoder = cast(ResnetAdaLINBlock, generator.get_submodule(f"UpBlock1_{i + 1}"))
        for j, conv_at in enumerate((1, 5)):
            stages[f"encoder.{i}.{j}"] = encoder_stage(encoder[conv_at], encoder[conv_at + 1])
        for j, (conv, norm) in enumerate(((decoder.conv1, decoder.norm1), (decoder.conv2, decoder.norm2))):
            stages[f"decoder.{i}.{j}"] = {"weight": conv.weight, "bias": conv.bias, "rho": norm.rho.flatten()}
    stages["attention"] = attention_stage(generator)
    stages["style"] = style_layers(generator)
    for i, conv_at in enumerate((2, 7)):
        stages[f"up.{i}"] = up_stage(cast(nn.Conv2d, up[conv_at]), cast(ILN, up[conv_at + 1]))
    last = cast(nn.Conv2d, up[11])
    stages["out"] = {"weight": row_kernels(last.weight), "bias": last.bias}
    return {
        f"{stage}.{name}": tensor.detach()
        for stage, tensors in stages.items()
        for name, tensor in tensors.items()
        if tensor is not None
    }


def encoder_stage(conv: nn.Module, norm: nn.Module) -> dict[str, Tensor | None]:
    """Rewrite 5: instance norm takes away any constant, so the convolution's bias goes. The norm's own affine map,
    where it has one, is a gamma and a beta.
    """
    norm = cast(nn.InstanceNorm2d, norm)
    return {"weight": cast(nn.Conv2d, conv).weight, "gamma": norm.weight, "beta": norm.bias}


def up_stage(conv: nn.Conv2d, norm: ILN) -> dict[str, Tensor | None]:
    own = {name: parameter.flatten() for name, parameter in norm.named_parameters()}  # gamma, beta, rho
    return {"weight": phase_kernels(conv.weight), "bias": conv.bias, **own}


def attention_stage(generator: Generator) -> dict[str, Tensor | None]:
    conv = generator.conv1x1
    weight = merge_attention(conv.weight, generator.gap_fc.weight, generator.gmp_fc.weight)
    return {"weight": weight, "bias": conv.bias}


def style_layers(generator: Generator) -> dict[str, Tensor | None]:
    first, second = cast(nn.Linear, generator.FC[0]), cast(nn.Linear, generator.FC[2])
    gamma, beta = generator.gamma, generator.beta
    return {
        "first": first.weight,
        "bias1": first.bias,
        "second": second.weight,
        "bias2": second.bias,
        "heads": torch.cat([gamma.weight, beta.weight]),
        "bias3": torch.cat([gamma.bias, beta.bias]) if generator.config.bias else None,
    }


# The folded network -----------------------------------------------------------------------------------------------


def fold(generator: Generator) -> FoldedGenerator:
    """The inference graph of a generator, in its dtype (float32 from a checkpoint)."""
    return FoldedGenerator(generator.config, fold_tensors(generator), unbiased=generator.config.unbiased)
