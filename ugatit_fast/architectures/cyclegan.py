"""CycleGAN's generator, pix2pix's with residual blocks and pix2pixHD's global one: one network in several sizes.

Zhu et al., arXiv 1703.10593; Isola et al., arXiv 1611.07004; Wang et al., arXiv 1711.11585. Tensors are named as in
github.com/junyanz/pytorch-CycleGAN-and-pix2pix and github.com/NVIDIA/pix2pixHD. What a file holds is told from them by
`resnet_tensors`.
"""

from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, ClassVar, Self, TypeVar

from torch import Tensor, nn

from ugatit_fast.architectures.architecture import Architecture, Shapes, Understood
from ugatit_fast.architectures.normed import NormedConfig, folded_stage, norm_of, within
from ugatit_fast.architectures.published_options import RunOptions
from ugatit_fast.architectures.resnet_tensors import ResnetTensors, is_resnet
from ugatit_fast.architectures.rewrites import transposed_phases
from ugatit_fast.choices import ArchitectureName, Hints, Sides
from ugatit_fast.errors import CheckpointError
from ugatit_fast.fold import row_kernels
from ugatit_fast.folded_weights import ConvolutionWeights, StageWeights
from ugatit_fast.graph import FoldedNetwork, Operations, Picture, StageOptions, Style, Value
from ugatit_fast.model import Reference

MOST_NGF, MOST_BLOCKS, HALVINGS = 1024, 64, range(2, 6)
"""Far beyond any generator that was published: other numbers come from damage, or are another network's."""
Tensors = Mapping[str, Tensor]


@dataclass(frozen=True, kw_only=True)
class ResnetConfig(NormedConfig):
    """What shapes it; the option names of the published code where it has them."""

    architecture: ClassVar[ArchitectureName] = "cyclegan"

    n_down: int = 2
    """How often the picture is halved, and doubled again."""
    n_blocks: int = 9
    """Residual blocks at the lowest resolution."""
    block_pad: str = "reflect"
    """The border of the convolutions in the blocks: `reflect` or `zero`."""

    def __post_init__(self) -> None:
        super().__post_init__()
        if self.block_pad not in ("reflect", "zero"):
            raise ValueError(f"block_pad {self.block_pad!r}")

    @property
    def sides(self) -> Sides:
        return Sides(multiple=2**self.n_down, smallest=2 ** (self.n_down + 1))

    @property
    def words(self) -> str:
        return f"ngf {self.ngf}, {self.n_blocks} blocks at 1/{2**self.n_down}, norm {self.norm}"

    @property
    def widths(self) -> list[int]:
        """Channels at each resolution, the picture's first."""
        return [self.ngf << i for i in range(self.n_down + 1)]

    @property
    def layers(self) -> tuple[int, int]:
        """Of a halving and of a doubling, as the published code counts them: convolution, norm, activation."""
        return 3, 3

    @property
    def transposed(self) -> bool:
        """Whether transposed convolutions double."""
        return True


# The network as published -----------------------------------------------------------------------------------------


class ResnetBlock(nn.Module):
    """Two convolutions and an addition; no ReLU after it. Dropout, if the training had any, has no tensors."""

    def __init__(self, config: ResnetConfig, channels: int) -> None:
        super().__init__()
        pad = nn.ReflectionPad2d if config.block_pad == "reflect" else nn.ZeroPad2d
        self.conv_block = nn.Sequential(
            pad(1),
            nn.Conv2d(channels, channels, 3, bias=config.bias),
            norm_of(config, channels),
            nn.ReLU(),
            pad(1),
            nn.Conv2d(channels, channels, 3, bias=config.bias),
            norm_of(config, channels),
        )

    def forward(self, x: Tensor) -> Tensor:
        return x + self.conv_block(x)


class ResnetGenerator(Reference):
    """Johnson et al.'s network (arXiv 1603.08155) as CycleGAN has it: halve, transform, double."""

    config: ResnetConfig

    def __init__(self, config: ResnetConfig) -> None:
        super().__init__()
        self.config = config
        ngf, widths = config.ngf, config.widths
        layers: list[nn.Module] = [nn.ReflectionPad2d(3), nn.Conv2d(3, ngf, 7, bias=config.bias)]
        layers += [norm_of(config, ngf), nn.ReLU()]
        for channels in widths[:-1]:
            layers.append(nn.Conv2d(channels, 2 * channels, 3, stride=2, padding=1, bias=config.bias))
            layers += [norm_of(config, 2 * channels), nn.ReLU()]
        layers += [ResnetBlock(config, widths[-1]) for _ in range(config.n_blocks)]
        for channels in widths[:0:-1]:
            layers.append(
                nn.ConvTranspose2d(channels, channels // 2, 3, 2, padding=1, output_padding=1, bias=config.bias)
            )
            layers += [norm_of(config, channels // 2), nn.ReLU()]
        layers += [nn.ReflectionPad2d(3), nn.Conv2d(ngf, 3, 7), nn.Tanh()]
        self.model = nn.Sequential(*layers)

    def forward(self, image: Tensor) -> Tensor:
        """float (n, 3, h, w) RGB in [-1, 1], of sides that the config takes -> the translated image, alike."""
        return self.model(image)


# Folded -----------------------------------------------------------------------------------------------------------


def places(config: ResnetConfig) -> Iterator[tuple[str, str, str]]:
    """Stage of the folded network, and the convolution and norm of the published one that it is folded from."""
    down, up = config.layers
    yield "stem", "model.1", "model.2"
    for i in range(config.n_down):
        yield f"down.{i}", f"model.{4 + down * i}", f"model.{5 + down * i}"
    blocks = 4 + down * config.n_down
    for i in range(config.n_blocks):
        block = f"model.{blocks + i}.conv_block"
        yield f"block.{i}.0", f"{block}.1", f"{block}.2"
        yield f"block.{i}.1", f"{block}.5", f"{block}.6"
    ups = blocks + config.n_blocks + up - 3  # what else there is comes before the convolution
    for i in range(config.n_down):
        yield f"up.{i}", f"model.{ups + up * i}", f"model.{ups + 1 + up * i}"


def last_convolution(config: ResnetConfig) -> str:
    return f"model.{5 + sum(config.layers) * config.n_down + config.n_blocks}"


def fold_tensors(config: ResnetConfig, tensors: Tensors) -> dict[str, Tensor]:
    """The tensors of the folded network from those of the published one, in their dtype."""
    folded: dict[str, Tensor] = {}
    for place, conv, norm in places(config):
        up = place.startswith("up.") and config.transposed
        weight = tensors[f"{conv}.weight"].transpose(0, 1) if up else tensors[f"{conv}.weight"]
        weight, beside = folded_stage(config, weight, tensors.get(f"{conv}.bias"), within(tensors, norm))
        folded[f"{place}.weight"] = transposed_phases(weight) if up else weight
        folded |= {f"{place}.{name}": tensor for name, tensor in beside.items()}
    last = last_convolution(config)
    folded["out.weight"] = row_kernels(tensors[f"{last}.weight"])
    folded["out.bias"] = tensors[f"{last}.bias"]
    return folded


class FoldedResnet(FoldedNetwork):
    """The inference graph."""

    config: ResnetConfig

    def __init__(self, config: ResnetConfig, tensors: Tensors) -> None:
        """tensors: as from `fold_tensors`."""
        super().__init__()
        self.config = config
        self.stem = StageWeights(tensors, "stem")
        self.downs = [StageWeights(tensors, f"down.{i}") for i in range(config.n_down)]
        self.blocks = [
            (StageWeights(tensors, f"block.{i}.0"), StageWeights(tensors, f"block.{i}.1"))
            for i in range(config.n_blocks)
        ]
        self.ups = [StageWeights(tensors, f"up.{i}") for i in range(config.n_down)]
        # PyTorch finds buffers in modules, not in lists: each under its flat name.
        self.down, self.up = nn.ModuleList(self.downs), nn.ModuleList(self.ups)
        self.block = nn.ModuleList(nn.ModuleList(block) for block in self.blocks)
        self.out = ConvolutionWeights(tensors, "out")

    def with_tensors(self, tensors: Tensors) -> Self:
        return type(self)(self.config, tensors)

    @property
    def widths(self) -> tuple[int, ...]:
        return tuple(self.config.widths)

    def graph(self, ops: Operations[Picture, Value, Style], image: Picture) -> tuple[Picture, Picture | None]:
        norm, inside = self.config.normalises, self.config.block_pad
        borders = ["zero"] * (self.config.n_down - 1) + [inside if self.blocks else "zero"]
        x = ops.normalise(image, pad=3)
        x = ops.stage(x, self.stem, StageOptions(relu=True, pad=1, pad_mode="zero", norm=norm))
        for down, pad_mode in zip(self.downs, borders, strict=True):
            x = ops.stage(x, down, StageOptions(stride=2, relu=True, pad=1, pad_mode=pad_mode, norm=norm))
        for i, (first, second) in enumerate(self.blocks, start=1):
            pad_mode = "zero" if i == len(self.blocks) else inside
            hidden = ops.stage(x, first, StageOptions(relu=True, pad=1, pad_mode=inside, norm=norm))
            x = ops.stage(hidden, second, StageOptions(pad=1, pad_mode=pad_mode, norm=norm), residual=x)
        for up in self.ups[:-1]:
            x = ops.up_stage(x, up, StageOptions(relu=True, pad=1, pad_mode="zero", norm=norm))
        x = ops.up_stage(x, self.ups[-1], StageOptions(relu=True, pad=3, norm=norm))
        return ops.to_image(x, self.out), None


# Among the architectures ------------------------------------------------------------------------------------------


C = TypeVar("C", bound=ResnetConfig)


def understood(path: Path, found: ResnetTensors, hints: Hints, config_of: Callable[..., C]) -> Understood[C]:
    """What walked tensors are. config_of: a config of a `ResnetConfig`'s fields."""
    norm, about_norm = found.norm(path, hints)
    ngf, n_down, n_blocks = len(found.first["weight"]), len(found.downs), len(found.blocks)
    if not (1 <= ngf <= MOST_NGF and n_blocks <= MOST_BLOCKS and n_down in HALVINGS):
        raise CheckpointError(
            f"{path} has {ngf} channels, {n_blocks} blocks and {n_down} halvings; expected at most {MOST_NGF}, "
            f"{MOST_BLOCKS}, and {HALVINGS[0]} to {HALVINGS[-1]}: it is another network, or damaged"
        )
    config = config_of(
        ngf=ngf,
        n_down=n_down,
        n_blocks=n_blocks,
        norm=norm,
        affine=found.affine,
        bias="bias" in found.first,
        block_pad=found.block_pad,
    )
    options = RunOptions.beside(path)
    side = f"the file doesn't say the size of its training images: {config.img_size}x{config.img_size} unless given"
    return Understood(
        config=config,
        tensors=found.published(places(config), last_convolution(config), running=norm == "batch-running"),
        notes=(*about_norm, *options.notes(), side),
        direction=options.direction,
        chosen=f"norm={norm}" if norm.startswith("batch") else "",
    )


class CycleGan(Architecture[ResnetConfig]):
    """Generators of residual blocks between convolutions and transposed convolutions."""

    name = "cyclegan"
    title = "CycleGAN or pix2pix"
    config = ResnetConfig
    anchors = ("model.1.weight", "model.0.weight")

    def claims(self, shapes: Shapes) -> bool:
        return is_resnet(shapes) and not any(name.endswith(".filt") for name in shapes)

    def understand(self, path: Path, tensors: Tensors, hints: Hints) -> Understood[ResnetConfig]:
        return understood(path, ResnetTensors.of(path, tensors), hints, ResnetConfig)

    def configured(self, settings: Mapping[str, Any], side: int) -> ResnetConfig:
        return ResnetConfig(**dict(settings) | {"img_size": side})

    def reference(self, config: ResnetConfig) -> ResnetGenerator:
        return ResnetGenerator(config)

    def fold(self, reference: Reference) -> FoldedResnet:
        assert isinstance(reference, ResnetGenerator), "its config is of this kind"
        return FoldedResnet(reference.config, fold_tensors(reference.config, reference.state_dict()))

    def folded(self, config: ResnetConfig, tensors: Tensors) -> FoldedResnet:
        return FoldedResnet(config, tensors)
