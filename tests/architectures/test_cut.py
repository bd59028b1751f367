"""CUT's generator: recognised, equal to the published network, drawn alike by every form, refused in words."""

import re
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from torch import Tensor

from tests.architectures.published import Published, randomised
from tests.architectures.test_cyclegan import pictures, published_pictures, ran, saved
from tests.conftest import random_pictures
from tests.test_fold import unrounded
from ugatit_fast.architectures import fold
from ugatit_fast.architectures.cut import CutConfig
from ugatit_fast.architectures.cyclegan import ResnetConfig
from ugatit_fast.backends.plain import PlainBackend
from ugatit_fast.checkpoint import Checkpoint, facts_of, read_checkpoint
from ugatit_fast.choices import BatchStatistics, Form, Hints, Precision
from ugatit_fast.cli import main
from ugatit_fast.engine import read_spec
from ugatit_fast.errors import CheckpointError
from ugatit_fast.export.build import build_engine
from ugatit_fast.export.verify import verify
from ugatit_fast.kernels.image import unit_range
from ugatit_fast.translator import Translator

BLURS = {"blur_down": True, "blur_up": True}
FILES: dict[str, tuple[dict[str, Any], BatchStatistics | None]] = {
    "as CUT and FastCUT train it": (BLURS, None),
    "--no_antialias": ({"blur_up": True}, None),
    "--no_antialias_up": ({"blur_down": True}, None),
    "dropout, zero borders, three blocks": (BLURS | {"dropout": True, "pad": "zero", "n_blocks": 3}, None),
    "batch norm": (BLURS | {"kind": "batch"}, None),
    "batch norm of the training": (BLURS | {"kind": "batch"}, "batch-running"),
    "no norm": (BLURS | {"kind": "none"}, None),
}
"""What is published or can be trained: how it is built, and whose statistics are asked for."""


def kind_of_file(kind: str, folder: Path) -> tuple[Published, Checkpoint]:
    options, norm = FILES[kind]
    network = randomised(Published(**options))
    assert isinstance(network, Published)
    return network, read_checkpoint(saved(folder / "latest_net_G.pth", network), hints=Hints(norm=norm))


@pytest.mark.parametrize("kind", FILES)
def test_it_is_the_published_network_and_folding_is_exact(kind: str, tmp_path: Path) -> None:
    network, checkpoint = kind_of_file(kind, tmp_path)
    config, image = checkpoint.config, pictures()
    assert isinstance(config, CutConfig)
    assert (config.blur_down, config.blur_up) == tuple(FILES[kind][0].get(name, False) for name in BLURS)
    generator, x = checkpoint.generator(torch.float64), unit_range(image, torch.float64)

    exact = generator(x)

    assert (exact - published_pictures(network, config.norm, x)).abs().max() < 1e-12
    assert (unrounded(fold(generator), image)[0] - exact).abs().max() < 1e-10


@pytest.mark.parametrize("size", [None, (32, 48)], ids=["any size", "fixed"])
@pytest.mark.parametrize("form", ["rows", "convolutions", "channels last"])
@pytest.mark.parametrize("kind", FILES)
def test_every_form_draws_the_same(kind: str, form: Form, size: tuple[int, int] | None, tmp_path: Path) -> None:
    _, checkpoint = kind_of_file(kind, tmp_path)
    image = pictures()
    exact = (checkpoint.generator(torch.float64)(unit_range(image, torch.float64)) + 1) * 127.5

    translated = ran(checkpoint.folded(), form, size, image.numpy())

    assert (torch.from_numpy(translated).permute(0, 3, 1, 2) - exact).abs().max() < 0.52


@pytest.mark.parametrize("precision", ["fp32", "fp16"])
def test_engines_pass_their_gate(precision: Precision, tmp_path: Path) -> None:
    path = saved(tmp_path / "latest_net_G.pth", randomised(Published(ngf=8, **BLURS)))
    checkpoint = read_checkpoint(path)
    built = build_engine(checkpoint, size=(64, 64), precision=precision, backend="onnxruntime")
    network = read_spec(built.path).network
    assert network is not None
    assert network.architecture == "cut"
    assert verify(built.path, checkpoint).passes(precision)
    with Translator(built.path) as translator:
        assert translator(random_pictures(2, 36, 40)).shape == (2, 36, 40, 3)


def test_in_eight_bits_it_passes_its_gate_too(tmp_path: Path) -> None:
    path = saved(tmp_path / "latest_net_G.pth", randomised(Published(ngf=8, **BLURS)))
    built = build_engine(path, size=(64, 64), precision="int8", backend="onnxruntime")
    eight = built.spec.eight_bits
    assert eight is not None
    assert len(eight.layers_of_two_bytes) + len(eight.layers_in_float32) < 6, "of ten"
    assert verify(built.path, path).passes("int8")
    with Translator(built.path) as translator:
        assert translator(random_pictures(2, 36, 40)).shape == (2, 36, 40, 3)


def test_a_cuda_engine_means_the_same(tmp_path: Path) -> None:
    checkpoint = read_checkpoint(saved(tmp_path / "latest_net_G.pth", randomised(Published(ngf=8, **BLURS))))
    built = build_engine(checkpoint, tmp_path / "x.safetensors", size=(32, 32), precision="fp32", backend="cuda")
    image = random_pictures(2, 32, 32)
    translated, _ = PlainBackend(built.path, built.spec).run(image)
    exact = (checkpoint.generator()(unit_range(torch.from_numpy(image), torch.float32)) + 1) * 127.5
    assert np.abs(translated.transpose(0, 3, 1, 2) - exact.numpy()).max() < 0.51


def test_a_picture_of_one_colour(tmp_path: Path) -> None:
    """Its channels are constants beside rows of zeros, until a border of zeros makes something of them."""
    network = randomised(Published(kind="affine", **BLURS))
    checkpoint = read_checkpoint(saved(tmp_path / "latest_net_G.pth", network))
    image = torch.full((1, 32, 48, 3), 77, dtype=torch.uint8)
    exact = (checkpoint.generator(torch.float64)(unit_range(image, torch.float64)) + 1) * 127.5
    translated = ran(checkpoint.folded(), "rows", None, image.numpy())
    assert (torch.from_numpy(translated).permute(0, 3, 1, 2) - exact).abs().max() < 0.52


def state_of(**options: Any) -> dict[str, Tensor]:
    return dict(randomised(Published(**BLURS | options)).state_dict())


def without(name: str) -> dict[str, Tensor]:
    return {key: tensor for key, tensor in state_of().items() if key != name}


def patch_discriminator() -> dict[str, Tensor]:
    """Blurred too, as `--netD basic` is."""
    return {"model.0.weight": torch.zeros(64, 3, 4, 4), "model.2.filt": torch.zeros(64, 1, 3, 3)}


REFUSED: dict[str, tuple[Any, str]] = {
    "another blur": (lambda: state_of() | {"model.7.filt": torch.full((8, 1, 3, 3), 1 / 9)}, r"isn't the published"),
    "a longer blur": (lambda: state_of() | {"model.14.filt": torch.zeros(16, 1, 5, 5)}, r"\[1, 3, 3, 1\] both ways"),
    "one blur missing": (lambda: without("model.11.filt"), "of which 1 and 2 blur"),
    "truncated": (lambda: {n: t for n, t in state_of().items() if int(n.split(".")[1]) < 17}, "truncated"),
    "a discriminator": (patch_discriminator, "discriminator"),
    "the feature network": (lambda: {"mlp_0.0.weight": torch.zeros(256, 64)}, "netF"),
    "SinCUT": (lambda: {"decoder.convs.4.conv.weight": torch.zeros(1, 64, 64, 3, 3)}, "SinCUT"),
    "resnet_cat": (lambda: {"enc_content.model.0.conv.weight": torch.zeros(64, 3, 7, 7)}, "resnet_cat"),
    "label maps": (lambda: state_of(colours=(35, 3)), "takes 35 channels"),
}  # fmt: skip


@pytest.mark.parametrize("kind", REFUSED)
def test_refused_in_one_line(kind: str, tmp_path: Path) -> None:
    state, reason = REFUSED[kind]
    torch.save(state(), tmp_path / "latest_net_G.pth")
    with pytest.raises(CheckpointError, match=reason) as refused:
        read_checkpoint(tmp_path / "latest_net_G.pth")
    assert "\n" not in str(refused.value)


def test_without_both_blurs_it_is_cyclegans(tmp_path: Path) -> None:
    path = saved(tmp_path / "latest_net_G.pth", randomised(Published()))
    assert type(read_checkpoint(path).config) is ResnetConfig
    with pytest.raises(CheckpointError, match="holds no generator of CUT"):
        read_checkpoint(path, hints=Hints(architecture="cut"))


def test_on_the_command_line(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    source = str(saved(tmp_path / "latest_net_G_A.pth", randomised(Published(ngf=8, **BLURS))))
    engine, converted = str(tmp_path / "x.onnx"), str(tmp_path / "x.safetensors")
    assert facts_of(read_checkpoint(Path(source)))["architecture"] == "CUT"
    assert main(["inspect", source]) == 0
    assert re.search(r"blur up +yes", capsys.readouterr().out)
    assert main(["build-engine", source, "-o", engine, "--backend", "onnxruntime", "--size", "64"]) == 0
    assert "blurred both ways" in capsys.readouterr().err
    assert main(["verify", engine, source]) == 0
    assert main(["convert", source, converted]) == 0
    assert read_checkpoint(Path(converted)).config == CutConfig(ngf=8, n_blocks=2)
