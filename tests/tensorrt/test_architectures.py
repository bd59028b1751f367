"""The graphs of other generators than U-GAT-IT's, with what their verbs add (borders of zeros, stages without a norm),
in NVIDIA's real builder; and with our plugins, as functions.
"""

from pathlib import Path

import numpy as np
import onnxruntime as ort
import pytest
import torch

from tests.architectures import published_drit
from tests.architectures.published import Published, randomised
from tests.architectures.published_photo2cartoon import random_state as photo2cartoon_state
from tests.architectures.published_unet import PublishedUnet
from tests.architectures.published_unit import Sizes, random_state
from tests.conftest import random_pictures
from tests.tensorrt import under_real, under_rtx
from tests.tensorrt.real import Real
from tests.tensorrt.test_eight_bits import behind_eight_bits
from ugatit_fast.architectures.animegan2 import AnimeGan2Config, AnimeGan2Generator
from ugatit_fast.architectures.whitebox import WhiteboxConfig, WhiteboxGenerator
from ugatit_fast.backends.plan_kernels import plans_of
from ugatit_fast.checkpoint import Checkpoint, read_checkpoint
from ugatit_fast.choices import Precision, drawn_style
from ugatit_fast.engine import EngineSpec, read_spec
from ugatit_fast.export.onnx_graph import to_onnx
from ugatit_fast.export.plugin_contract import PluginShapes
from ugatit_fast.export.verify import difference
from ugatit_fast.kernels.image import unit_range

SIDE = 32
NETWORKS: dict[str, object] = {
    "cyclegan": randomised(Published(ngf=8, n_blocks=2, kind="affine")).state_dict(),
    "no norm": randomised(Published(ngf=8, n_blocks=1, kind="none")).state_dict(),
    "cut": randomised(Published(ngf=8, n_blocks=1, blur_down=True, blur_up=True)).state_dict(),
    "animegan2": randomised(AnimeGan2Generator(AnimeGan2Config())).state_dict(),
    "unit": {domain: random_state(Sizes(dim=8, n_res=1), seed) for seed, domain in enumerate("ab")},
    "munit": {domain: random_state(Sizes(dim=8, n_res=1, style=8), seed) for seed, domain in enumerate("ab")},
    "drit": published_drit.random_file(published_drit.Sizes(1, 16, 8)),
    "drit, concat 0": published_drit.random_file(published_drit.Sizes(0, 16, 8)),
    "white-box": randomised(WhiteboxGenerator(WhiteboxConfig(channel=8, num_blocks=1))).state_dict(),
    "photo2cartoon": {"genA2B": photo2cartoon_state(8)},
    "U-Net": randomised(PublishedUnet(ngf=8, num_downs=4)).state_dict(),
}


@pytest.fixture(scope="module", params=NETWORKS)
def checkpoint(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Checkpoint:
    path = tmp_path_factory.mktemp("other") / "latest_net_G_A.pth"
    torch.save(NETWORKS[request.param], path)
    return read_checkpoint(path)


def exact(checkpoint: Checkpoint, pictures: np.ndarray) -> np.ndarray:
    """In the style that is drawn unless another is given, where there are styles."""
    style = torch.from_numpy(drawn_style(checkpoint.config.style_length))
    with torch.inference_mode():
        translated, _ = checkpoint.generator().pictures(unit_range(torch.from_numpy(pictures), torch.float32), style)
    return translated.permute(0, 2, 3, 1).numpy()


@pytest.mark.parametrize("precision", ["fp16", "fp32"])
def test_they_become_plans(real_tensorrt: Real, checkpoint: Checkpoint, precision: Precision, tmp_path: Path) -> None:
    path = tmp_path / "x.engine"
    said = real_tensorrt.call(under_real.engine, checkpoint.path, path, precision, batch=(2,), size=(SIDE, SIDE))
    assert not said.log
    ((name, plan),) = plans_of(path)
    assert (name, plan[:4]) == ("plan.2", b"vtrt")
    network = read_spec(path).network
    assert network is not None
    assert network.architecture == checkpoint.config.architecture


def test_their_convolutions_of_bytes_are_kernels_of_bytes(
    real_tensorrt: Real, checkpoint: Checkpoint, tmp_path: Path
) -> None:
    """In the network without norms and in AnimeGANv2 the scale behind one of them is part of another kernel."""
    path = tmp_path / "x.engine"
    said, places = real_tensorrt.call(under_real.eight_bit_engine, checkpoint.path, path, "int8", (SIDE, SIDE))
    assert places > 0
    (found,) = behind_eight_bits(path)
    assert max(places - 1, 1) <= found <= places
    assert not [line for line in said.log if "scales to fp32" not in line]


@pytest.mark.parametrize("precision", ["fp16", "fp32"])
def test_with_our_plugins_they_mean_the_same(checkpoint: Checkpoint, precision: Precision) -> None:
    if checkpoint.config.architecture == "unet":
        pytest.skip("has a LeakyReLU, which our plugins have not")
    if checkpoint.config.architecture == "animegan2":
        pytest.skip("our kernels in TensorRT have no LeakyReLU")
    spec = EngineSpec.of(
        checkpoint, kind="tensorrt", any_size=False, precision=precision, size=(SIDE, SIDE), batch_sizes=(2,)
    )
    folded = checkpoint.folded().half_precision() if precision == "fp16" else checkpoint.folded()
    shapes = PluginShapes.of(folded, 2, SIDE, SIDE)
    model = to_onnx(folded, spec, form="convolutions", batch=2, plugins=shapes)
    session = ort.InferenceSession(model.SerializeToString(), providers=["CPUExecutionProvider"])
    pictures = random_pictures(2, SIDE, SIDE)
    length = checkpoint.config.style_length
    styles = {"style": drawn_style(length)} if length else {}
    (translated,) = session.run(["translated"], {"image": pictures, **styles})
    assert difference(translated, exact(checkpoint, pictures)).passes(precision)


def test_tensorrt_for_rtx_builds_and_a_stand_in_runs_them(
    real_rtx: Real, checkpoint: Checkpoint, tmp_path: Path
) -> None:
    """Any size, from the smallest that the network takes."""
    path = tmp_path / "x.rtx"
    options = ("--backend", "tensorrt-rtx", "--size", str(SIDE), "--batch", "1,2", "--precision", "fp32")
    if checkpoint.config.architecture == "photo2cartoon":  # in float32 for Turing, 1.7.1 runs into std::bad_alloc
        options += ("--gpu", "sm_86,sm_89,sm_120")
    code, _, err = real_rtx.call(under_rtx.command, "build-engine", checkpoint.path, "-o", path, *options)
    assert code == 0, err
    batches = [random_pictures(2, SIDE, SIDE), random_pictures(1, 48, 64)]
    ran = real_rtx.call(under_rtx.run, path, batches)
    for pictures, translated in zip(batches, ran.results, strict=True):
        assert difference(translated, exact(checkpoint, pictures)).passes("fp32")
