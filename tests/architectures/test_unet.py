"""pix2pix's U-Net: recognised, equal to the published network, folded exactly, and refused in words."""

from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from torch import Tensor, nn

from tests.architectures.published import randomised
from tests.architectures.published_unet import PublishedUnet
from tests.architectures.test_cyclegan import ran
from tests.conftest import random_pictures
from tests.test_fold import unrounded
from ugatit_fast.architectures import fold
from ugatit_fast.architectures.unet import UnetConfig
from ugatit_fast.backends.plain import PlainBackend
from ugatit_fast.bench.cost import count
from ugatit_fast.checkpoint import Checkpoint, read_checkpoint
from ugatit_fast.checkpoint.convert import convert
from ugatit_fast.choices import Form, Hints, Precision
from ugatit_fast.engine import read_spec
from ugatit_fast.errors import CheckpointError, ExportError, InputError
from ugatit_fast.export.build import build_engine
from ugatit_fast.export.onnx_graph import to_onnx
from ugatit_fast.export.plugin_contract import PluginShapes
from ugatit_fast.export.verify import verify
from ugatit_fast.kernels.image import unit_range
from ugatit_fast.translator import Translator

RUNNING = Hints(norm="batch-running")
FILES: dict[str, tuple[dict[str, Any], Hints, str]] = {
    "as test.py runs it": ({}, Hints(), "batch-image"),
    "with --eval": ({}, RUNNING, "batch-running"),
    "instance norm": ({"kind": "instance", "dropout": False}, Hints(), "instance"),
    "six levels, as wide as it gets": ({"num_downs": 6, "ngf": 2}, Hints(), "batch-image"),
}


def saved(path: Path, network: nn.Module) -> Path:
    torch.save(network.state_dict(), path)
    return path


def kind_of_file(kind: str, folder: Path) -> tuple[nn.Module, Checkpoint]:
    options, hints, _ = FILES[kind]
    network = randomised(PublishedUnet(**options))
    return network, read_checkpoint(saved(folder / "latest_net_G.pth", network), hints=hints)


def pictures() -> Tensor:
    return torch.from_numpy(random_pictures(2, 64, 128))


def published_pictures(network: nn.Module, norm: str, x: Tensor) -> Tensor:
    """As the published test.py makes them, one at a time, dropout apart."""
    network = network.to(x.dtype).eval()
    for module in network.modules():
        if norm != "batch-running" and isinstance(module, (nn.BatchNorm2d, nn.InstanceNorm2d)):
            module.train()
    return torch.cat([network(one[None].clone()) for one in x])


@pytest.mark.parametrize("kind", FILES)
def test_it_is_the_published_network_and_folding_is_exact(kind: str, tmp_path: Path) -> None:
    network, checkpoint = kind_of_file(kind, tmp_path)
    config, image = checkpoint.config, pictures()
    assert isinstance(config, UnetConfig)
    assert config.norm == FILES[kind][2]
    x = unit_range(image, torch.float64)
    expected = published_pictures(network, config.norm, x)
    generator = checkpoint.generator(torch.float64)

    assert (generator(x) - expected).abs().max() < 1e-12
    assert (unrounded(fold(generator), image)[0] - expected).abs().max() < 1e-10


@pytest.mark.parametrize("form", ["convolutions", "channels last"])
@pytest.mark.parametrize("kind", FILES)
def test_every_form_draws_the_same(kind: str, form: Form, tmp_path: Path) -> None:
    _, checkpoint = kind_of_file(kind, tmp_path)
    image = pictures()
    exact = (checkpoint.generator(torch.float64)(unit_range(image, torch.float64)) + 1) * 127.5

    translated = ran(checkpoint.folded(), form, None, image.numpy())

    assert (torch.from_numpy(translated).permute(0, 3, 1, 2) - exact).abs().max() < 0.52


@pytest.mark.parametrize("precision", ["fp32", "fp16"])
def test_engines(precision: Precision, tmp_path: Path) -> None:
    path = saved(tmp_path / "latest_net_G.pth", randomised(PublishedUnet(num_downs=5, ngf=8)))
    built = build_engine(path, tmp_path / "x.onnx", size=(64, 64), precision=precision, backend="onnxruntime")
    network = read_spec(built.path).network
    assert network is not None
    assert network.architecture == "unet"
    with Translator(built.path) as translator:
        assert translator(random_pictures(1, 32, 96)).shape == (1, 32, 96, 3)
        with pytest.raises(InputError, match="multiples of 32, at least 32"):
            translator(random_pictures(1, 48, 64))
    cuda = build_engine(path, tmp_path / "x.safetensors", size=(64, 64), precision=precision, backend="cuda")
    image = random_pictures(2, 64, 64)
    exact = (read_checkpoint(path).generator()(unit_range(torch.from_numpy(image), torch.float32)) + 1) * 127.5
    translated, _ = PlainBackend(cuda.path, cuda.spec).run(image)
    assert np.abs(translated.transpose(0, 3, 1, 2) - exact.numpy()).max() < (0.52 if precision == "fp32" else 3)


def test_a_file_that_may_be_of_before_2017_says_so(tmp_path: Path) -> None:
    torch.save(state_of(), tmp_path / "latest_net_G.pth", _use_new_zipfile_serialization=False)
    assert any("before 2017-09-22" in note for note in read_checkpoint(tmp_path / "latest_net_G.pth").notes)


def test_converted_it_says_what_it_is(tmp_path: Path) -> None:
    network = randomised(PublishedUnet())
    (written,) = convert(saved(tmp_path / "latest_net_G.pth", network), tmp_path / "x.safetensors", hints=RUNNING)
    assert read_checkpoint(written.path).config == UnetConfig(ngf=4, num_downs=4, norm="batch-running")


def test_in_eight_bits_openvino_passes_its_gate(tmp_path: Path) -> None:
    pytest.importorskip("openvino")
    path = saved(tmp_path / "latest_net_G.pth", randomised(PublishedUnet()))
    built = build_engine(path, size=(32, 32), backend="openvino")
    assert built.spec.eight_bits is not None
    assert len(built.spec.eight_bits.layers_in_float32) < 3, "of nine"
    assert verify(built.path, path).passes("int8")
    with Translator(built.path) as translator:
        assert translator(random_pictures(2, 48, 64)).shape == (2, 48, 64, 3)


def test_eight_bits_as_rows_are_refused_and_not_taken_for_speed(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = saved(tmp_path / "latest_net_G.pth", randomised(PublishedUnet()))
    with pytest.raises(InputError, match="isn't written as those; choose fp32 or fp16, or --backend openvino"):
        build_engine(path, precision="int8", backend="onnxruntime")
    monkeypatch.setattr("ugatit_fast.backends.runtimes.byte_products", lambda: "AVX-512 VNNI")
    assert build_engine(path, size=(32, 32), fast=True, backend="onnxruntime").spec.precision == "fp32"


def test_our_kernels_in_tensorrt_are_refused(tmp_path: Path) -> None:
    """So that `auto` keeps TensorRT's own."""
    _, checkpoint = kind_of_file("as test.py runs it", tmp_path)
    spec = read_spec(build_engine(checkpoint, size=(32, 32), backend="onnxruntime").path)
    folded = checkpoint.folded()
    with pytest.raises(ExportError, match="LeakyReLU"):
        to_onnx(folded, spec, form="convolutions", batch=1, plugins=PluginShapes.of(folded, 1, 32, 32))


def test_the_multiplications_are_counted() -> None:
    """6.05 billion, and those of the last layer, whose three colours take nothing away."""
    assert abs(sum(work.macs for work in count(UnetConfig(), 1, 256, 256, "fp32")) - 6.05e9) < 0.02e9


def state_of(**options: Any) -> dict[str, Tensor]:
    return dict(randomised(PublishedUnet(**options)).state_dict())


REFUSED: dict[str, tuple[Any, str]] = {
    "label maps": (lambda: state_of(colours=12), "takes 12 channels"),
    "no last layer": (lambda: {n: t for n, t in state_of().items() if n != "model.model.3.weight"}, "truncated"),
    "a level missing": (lambda: {n: t for n, t in state_of().items() if ".3.model.3." not in n}, "lacks"),
    "mixed sizes": (lambda: state_of() | {"model.model.1.model.1.weight": torch.zeros(8, 8, 4, 4)}, "has shape"),
    "two levels": (
        lambda: {n: t for n, t in state_of().items() if ".3.model." not in n}, "channels and 2 levels"
    ),
}  # fmt: skip


@pytest.mark.parametrize("kind", REFUSED)
def test_refused_in_one_line(kind: str, tmp_path: Path) -> None:
    state, reason = REFUSED[kind]
    torch.save(state(), tmp_path / "latest_net_G.pth")
    with pytest.raises(CheckpointError, match=reason) as refused:
        read_checkpoint(tmp_path / "latest_net_G.pth")
    assert "\n" not in str(refused.value)


def test_weights_are_looked_at_in_a_size_that_they_take(tmp_path: Path) -> None:
    """The published `unet_256` takes nothing below 256."""
    path = saved(tmp_path / "latest_net_G.pth", randomised(PublishedUnet(num_downs=8, ngf=2)))
    built = build_engine(path, backend="onnxruntime")
    assert (built.spec.height, built.spec.any_size) == (256, True)
