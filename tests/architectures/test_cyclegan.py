"""CycleGAN's generator and its kin: recognised, equal to the published network, folded exactly, refused in words."""

from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import onnx
import onnxruntime as ort
import pytest
import torch
from torch import Tensor, nn

from tests.architectures.published import Published, randomised
from tests.conftest import random_pictures
from tests.test_fold import unrounded
from ugatit_fast.architectures import fold
from ugatit_fast.architectures.cyclegan import ResnetConfig
from ugatit_fast.backends.plain import PlainBackend
from ugatit_fast.checkpoint import Checkpoint, facts_of, load_generator, read_checkpoint
from ugatit_fast.checkpoint.convert import convert
from ugatit_fast.choices import BatchStatistics, Form, Hints, Precision
from ugatit_fast.cli import main
from ugatit_fast.engine import read_spec
from ugatit_fast.errors import CheckpointError, InputError
from ugatit_fast.export.build import build_engine
from ugatit_fast.export.onnx_builder import OnnxBuilder
from ugatit_fast.export.onnx_graph import drop_unused, operations_of
from ugatit_fast.export.verify import verify
from ugatit_fast.graph import FoldedNetwork
from ugatit_fast.kernels.image import unit_range
from ugatit_fast.translator import Translator

RUNNING = Hints(norm="batch-running")
FILES: dict[str, tuple[dict[str, Any], Hints, str]] = {
    "cyclegan": ({}, Hints(), "instance"),
    "with dropout, which shifts the layers after it": ({"dropout": True}, Hints(), "instance"),
    "zero borders": ({"pad": "zero"}, Hints(), "instance"),
    "zero borders and dropout": ({"pad": "zero", "dropout": True}, Hints(), "instance"),
    "running statistics of 2018, never used": ({"tracking": True}, Hints(), "instance"),
    "norms that scale and shift": ({"kind": "affine"}, Hints(), "instance"),
    "no norm": ({"kind": "none"}, Hints(), "none"),
    "pix2pix as test.py runs it": ({"kind": "batch", "dropout": True}, Hints(), "batch-image"),
    "pix2pix with --eval": ({"kind": "batch", "dropout": True}, RUNNING, "batch-running"),
    "pix2pixHD": ({"n_down": 4, "n_blocks": 3, "ngf": 2, "always_bias": True}, Hints(), "instance"),
    "pix2pixHD with batch norm": (
        {"n_down": 4, "n_blocks": 1, "ngf": 2, "kind": "batch", "always_bias": True},
        RUNNING,
        "batch-running",
    ),
    "one block, channels not a power of two": ({"n_blocks": 1, "ngf": 12}, Hints(), "instance"),
}
"""What is published or trained: how it is built, what is said about it, and the norm that it is understood as."""


def saved(path: Path, network: nn.Module, **options: Any) -> Path:
    torch.save(network.state_dict(), path, **options)
    return path


def kind_of_file(kind: str, folder: Path) -> tuple[Published, Checkpoint]:
    options, hints, _ = FILES[kind]
    network = randomised(Published(**options))
    assert isinstance(network, Published)
    return network, read_checkpoint(saved(folder / "latest_net_G.pth", network), hints=hints)


def published_pictures(network: Published, norm: str, x: Tensor) -> Tensor:
    """As the published test.py makes them, dropout apart: batch norm of one picture at a time in training, or not."""
    network = network.to(x.dtype).eval()
    for module in network.modules():
        if norm != "batch-running" and isinstance(module, (nn.BatchNorm2d, nn.InstanceNorm2d)):
            module.train()
    return torch.cat([network(one[None]) for one in x])


def pictures(side: int = 32, seed: int = 0) -> Tensor:
    return torch.from_numpy(random_pictures(2, side, side + 16, seed))


# Recognised, and the same network ---------------------------------------------------------------------------------


@pytest.mark.parametrize("kind", FILES)
def test_it_is_the_published_network(kind: str, tmp_path: Path) -> None:
    network, checkpoint = kind_of_file(kind, tmp_path)
    config = checkpoint.config
    assert isinstance(config, ResnetConfig)
    assert config.norm == FILES[kind][2]
    x = unit_range(pictures(), torch.float64)

    found, heatmap = checkpoint.generator(torch.float64).pictures(x)

    assert heatmap is None
    assert (found - published_pictures(network, config.norm, x)).abs().max() < 1e-12


@pytest.mark.parametrize("kind", FILES)
def test_folding_is_exact(kind: str, tmp_path: Path) -> None:
    _, checkpoint = kind_of_file(kind, tmp_path)
    generator = checkpoint.generator(torch.float64)
    image = pictures(seed=1)

    found, heatmap = unrounded(fold(generator), image)

    assert heatmap is None
    assert (found - generator(unit_range(image, torch.float64))).abs().max() < 1e-10


def test_what_is_said_of_it(tmp_path: Path) -> None:
    network = randomised(Published(ngf=4, n_blocks=3))
    (tmp_path / "train_opt.txt").write_text(
        "----------------- Options ---------------\n"
        "            direction: BtoA            \t[default: AtoB]\n   netG: resnet_9blocks\n   norm: instance\n"
    )
    checkpoint = read_checkpoint(saved(tmp_path / "latest_net_G.pth", network))
    assert checkpoint.config == ResnetConfig(ngf=4, n_blocks=3)
    facts = facts_of(checkpoint)
    assert (facts["architecture"], facts["n_blocks"]) == ("CycleGAN or pix2pix", 3)
    assert facts["img_size"] == "any (256 unless given)"
    assert any("direction BtoA" in note for note in checkpoint.notes)
    assert checkpoint.direction == "B2A"


@pytest.mark.parametrize(
    ("name", "direction"), [("latest_net_G_A.pth", "A2B"), ("200_net_G_B.pth", "B2A"), ("iter_5000_net_G_A.pth", "A2B")]
)
def test_the_repositorys_file_names_say_the_direction(name: str, direction: str, tmp_path: Path) -> None:
    assert read_checkpoint(saved(tmp_path / name, randomised(Published()))).direction == direction


def test_both_statistics_are_different_networks(tmp_path: Path) -> None:
    """And an engine of one isn't taken for one of the other."""
    path = saved(tmp_path / "latest_net_G.pth", randomised(Published(kind="batch")))
    by_picture, by_training = read_checkpoint(path), read_checkpoint(path, hints=RUNNING)
    assert by_picture.sha256 != by_training.sha256
    assert any("--norm batch-running" in note for note in by_picture.notes)
    x = unit_range(pictures(), torch.float32)
    assert (by_picture.generator()(x) - by_training.generator()(x)).abs().max() > 0.01


def test_names_of_forks_and_wrappers(tmp_path: Path) -> None:
    """vintagify's blocks are called otherwise, DataParallel and a record of a run put names in front."""
    network = randomised(Published())
    state = {f"module.{name}".replace("conv_block", "block"): t for name, t in network.state_dict().items()}
    torch.save({"epoch": 3, "netG_A": state_of(), "netG_B": state}, tmp_path / "run.pt")
    found = read_checkpoint(tmp_path / "run.pt", "B2A")
    assert (found.config, found.direction) == (ResnetConfig(ngf=4, n_blocks=2), "B2A")
    assert "netG_A" in found.dropped


# Refused ----------------------------------------------------------------------------------------------------------


def state_of(**options: Any) -> dict[str, Tensor]:
    return dict(randomised(Published(**options)).state_dict())


def shifted(state: dict[str, Tensor]) -> dict[str, Tensor]:
    """As before 2017-07-05, when the borders were the convolutions'."""
    return {f"model.{int(name.split('.')[1]) - 1}.{name.split('.', 2)[2]}": tensor for name, tensor in state.items()}


def patch_discriminator() -> dict[str, Tensor]:
    return {"model.0.weight": torch.zeros(64, 3, 4, 4), "model.0.bias": torch.zeros(64)} | {
        f"model.{2 + 3 * i}.weight": torch.zeros(8, 8, 4, 4) for i in range(3)
    }


def is_up(name: str) -> bool:
    """Of the first up-sampling on, in a network of two blocks."""
    return name.startswith(("model.12.w", "model.15.w", "model.19."))


REFUSED: dict[str, tuple[Any, str]] = {
    "a zero-padded net of 2017": (lambda: shifted(state_of()), "before 2017-07-05"),
    "colorization": (lambda: state_of(colours=(1, 2)), "colours greyscale"),
    "label maps": (lambda: state_of(colours=(35, 3)), "takes 35 channels"),
    "a discriminator": (patch_discriminator, "discriminator"),
    "CUT's feature network": (lambda: {"mlp_0.0.weight": torch.zeros(256, 64)}, "netF"),
    "StyleGAN2": (lambda: {"style.1.weight": torch.zeros(512, 512), "convs.0.conv.weight": torch.zeros(3)}, "StyleGAN"),
    "SPADE": (lambda: {"head_0.norm_0.mlp_shared.0.weight": torch.zeros(128, 35, 3, 3)}, "SPADE"),
    "a fork that resizes": (
        lambda: {n: t.transpose(0, 1) if is_up(n) and t.shape[0] > 3 else t for n, t in state_of().items()},
        "doubles pictures by resizing",
    ),
    "truncated": (lambda: {n: t for n, t in state_of().items() if not is_up(n)}, "truncated"),
    "half a block": (
        lambda: {n: t for n, t in state_of().items() if n != "model.10.conv_block.5.weight"}, "convolutions at"
    ),
    "a bias missing": (lambda: {n: t for n, t in state_of().items() if n != "model.4.bias"}, "lacks model.4.bias"),
    "mixed sizes": (
        lambda: state_of() | {n: t for n, t in state_of(ngf=8).items() if n.startswith("model.11.")}, "has shape"
    ),
    "both borders": (
        lambda: {n.replace("model.11.conv_block.1", "model.11.conv_block.0").replace("model.11.conv_block.5",
        "model.11.conv_block.3"): t for n, t in state_of().items()}, "mixed from two"
    ),
    "NaN": (lambda: {n: t * torch.nan for n, t in state_of().items()}, "NaN"),
}  # fmt: skip


@pytest.mark.parametrize("kind", REFUSED)
def test_refused_in_one_line(kind: str, tmp_path: Path) -> None:
    state, reason = REFUSED[kind]
    torch.save(state(), tmp_path / "latest_net_G.pth")
    with pytest.raises(CheckpointError, match=reason) as refused:
        read_checkpoint(tmp_path / "latest_net_G.pth")
    assert "\n" not in str(refused.value)


def test_statistics_are_for_batch_norms_only(tmp_path: Path) -> None:
    path = saved(tmp_path / "x.pth", randomised(Published()))
    with pytest.raises(CheckpointError, match="no batch norm, whose statistics --norm chooses"):
        read_checkpoint(path, hints=RUNNING)
    with pytest.raises(CheckpointError, match="holds no generator"):
        read_checkpoint(path, hints=Hints(architecture="ugatit"))


def test_it_has_no_heat_map(tmp_path: Path) -> None:
    path = saved(tmp_path / "x.pth", randomised(Published()))
    with pytest.raises(InputError, match="has no attention heat map"):
        build_engine(path, heatmap=True)


# Engines ----------------------------------------------------------------------------------------------------------


def ran(folded: FoldedNetwork, form: Form, size: tuple[int, int] | None, image: np.ndarray) -> np.ndarray:
    builder = OnnxBuilder()
    result, _ = folded.graph(operations_of(form, builder, folded, size), "image")
    drop_unused(builder, {result})
    given = onnx.helper.make_tensor_value_info("image", onnx.TensorProto.UINT8, ["n", "h", "w", 3])
    given_back = onnx.helper.make_tensor_value_info(result, onnx.TensorProto.UINT8, None)
    model = builder.model([given], [given_back], "0")
    session = ort.InferenceSession(model.SerializeToString(), providers=["CPUExecutionProvider"])
    translated: np.ndarray = session.run(None, {"image": image})[0]
    return translated


@pytest.mark.parametrize("size", [None, (32, 48)], ids=["any size", "fixed"])
@pytest.mark.parametrize("form", ["rows", "convolutions", "channels last"])
@pytest.mark.parametrize("kind", FILES)
def test_every_form_draws_the_same(kind: str, form: Form, size: tuple[int, int] | None, tmp_path: Path) -> None:
    _, checkpoint = kind_of_file(kind, tmp_path)
    image = pictures()
    exact = (checkpoint.generator(torch.float64)(unit_range(image, torch.float64)) + 1) * 127.5

    translated = ran(checkpoint.folded(), form, size, image.numpy())

    assert (torch.from_numpy(translated).permute(0, 3, 1, 2) - exact).abs().max() < 0.52


@pytest.mark.parametrize(
    ("precision", "backend"), [("fp32", "onnxruntime"), ("fp16", "onnxruntime"), ("int8", "onnxruntime")]
)
@pytest.mark.parametrize("norm", [None, "batch-running"])
def test_engines_pass_their_gate(
    precision: Precision, backend: Any, norm: BatchStatistics | None, tmp_path: Path
) -> None:
    network = randomised(Published(ngf=8, kind="batch" if norm else "instance"))
    checkpoint = read_checkpoint(saved(tmp_path / "latest_net_G_A.pth", network), hints=Hints(norm=norm))
    built = build_engine(checkpoint, size=(64, 64), precision=precision, backend=backend)
    spec = read_spec(built.path)
    assert spec.network is not None
    assert (spec.network.architecture, spec.any_size) == ("cyclegan", True)
    assert verify(built.path, checkpoint).passes(precision)
    with Translator(built.path) as translator:
        assert translator(random_pictures(2, 36, 40)).shape == (2, 36, 40, 3)
        with pytest.raises(InputError, match="multiples of 4, at least 8"):
            translator(random_pictures(1, 34, 40))


def test_pix2pixhd_takes_multiples_of_sixteen(tmp_path: Path) -> None:
    network = randomised(Published(n_down=4, n_blocks=1, ngf=2, always_bias=True))
    engine = build_engine(saved(tmp_path / "latest_net_G.pth", network), size=(64, 64), backend="onnxruntime")
    with Translator(engine.path) as translator:
        assert translator(random_pictures(1, 48, 64)).shape == (1, 48, 64, 3)
        with pytest.raises(InputError, match="multiples of 16, at least 32"):
            translator(random_pictures(1, 40, 64))


def test_a_cuda_engine_means_the_same(tmp_path: Path) -> None:
    """Its file, read back, in plain PyTorch: what its kernels are held against."""
    network = randomised(Published(ngf=8, kind="batch"))
    checkpoint = read_checkpoint(saved(tmp_path / "latest_net_G.pth", network), hints=RUNNING)
    built = build_engine(checkpoint, tmp_path / "x.safetensors", size=(32, 32), precision="fp32", backend="cuda")
    image = random_pictures(2, 32, 32)
    translated, heatmaps = PlainBackend(built.path, built.spec).run(image)
    exact = (checkpoint.generator()(unit_range(torch.from_numpy(image), torch.float32)) + 1) * 127.5
    assert heatmaps is None
    assert np.abs(translated.transpose(0, 3, 1, 2) - exact.numpy()).max() < 0.51


def test_both_ends_as_wide_as_tensor_cores_want_them(tmp_path: Path) -> None:
    _, checkpoint = kind_of_file("cyclegan", tmp_path)
    folded, image = checkpoint.folded(), pictures()
    aligned = folded.aligned()
    assert (aligned.stem.weight.shape[1], aligned.out.weight.shape[0]) == (8, 24)
    assert torch.equal(aligned(image)[0], folded(image)[0])


def test_converted_it_says_what_it_is(tmp_path: Path) -> None:
    network = randomised(Published(ngf=4, kind="batch", dropout=True))
    source = saved(tmp_path / "latest_net_G.pth", network, _use_new_zipfile_serialization=False)
    (written,) = convert(source, tmp_path / "facades.safetensors", hints=RUNNING)
    again = read_checkpoint(written.path)
    assert again.config == replace(ResnetConfig(ngf=4, n_blocks=2), norm="batch-running", affine=True, bias=False)
    x = unit_range(pictures(), torch.float32)
    assert torch.equal(load_generator(written.path)(x), read_checkpoint(source, hints=RUNNING).generator()(x))
    with pytest.raises(CheckpointError, match="says that it is cyclegan"):
        read_checkpoint(written.path, hints=Hints(architecture="ugatit"))


def test_on_the_command_line(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    source = str(saved(tmp_path / "latest_net_G_A.pth", randomised(Published(ngf=8, kind="batch"))))
    engine = str(tmp_path / "x.onnx")
    flags = ["--norm", "batch-running"]
    assert main(["inspect", source, *flags]) == 0
    assert "CycleGAN or pix2pix" in capsys.readouterr().out
    build = ["build-engine", source, "-o", engine, "--backend", "onnxruntime", "--size", "64"]
    assert main([*build, *flags, "--architecture", "cyclegan"]) == 0
    assert "norm batch-running" in capsys.readouterr().err
    assert main(["verify", engine, source, *flags]) == 0
    assert main(["verify", engine, source]) == 1
    assert "another checkpoint" in capsys.readouterr().err
    assert main(["convert", source, str(tmp_path / "x.safetensors"), *flags]) == 0
    assert main(["inspect", engine]) == 0
    assert "batch-running" in capsys.readouterr().out
