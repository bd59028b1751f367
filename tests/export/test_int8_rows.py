"""Eight bits as pixel rows in ONNX Runtime, beside their emulation in PyTorch."""

from dataclasses import replace

import numpy as np
import onnxruntime as ort
import torch
from numpy.typing import NDArray
from onnx import TensorProto, helper

from tests.conftest import FULL, LIGHT, random_generator
from ugatit_fast.architectures.cyclegan import FoldedResnet, ResnetConfig, ResnetGenerator
from ugatit_fast.architectures.cyclegan import fold_tensors as fold_resnet
from ugatit_fast.architectures.unit import FoldedUnit, UnitConfig, UnitGenerator
from ugatit_fast.architectures.unit import fold_tensors as fold_unit
from ugatit_fast.export.calibration import calibrate, calibration_pictures
from ugatit_fast.export.eight_bits import EightBits, emulate
from ugatit_fast.export.int8_rows import Int8RowOperations
from ugatit_fast.export.onnx_builder import OnnxBuilder
from ugatit_fast.export.onnx_graph import drop_unused
from ugatit_fast.fold import fold
from ugatit_fast.graph import FoldedNetwork

BIASED = replace(LIGHT, bias=True, affine_encoder=True, unbiased=False)
BATCH = ResnetConfig(ngf=8, n_down=2, n_blocks=2, norm="batch-running", block_pad="zero")
INSTANCE = ResnetConfig(ngf=8, n_down=2, n_blocks=2, norm="instance")


def resnet(config: ResnetConfig) -> FoldedResnet:
    torch.manual_seed(0)
    generator = ResnetGenerator(config).eval().requires_grad_(False)
    for name, tensor in generator.state_dict().items():
        if name.endswith("running_var"):
            tensor.uniform_(0.5, 2)
        elif name.endswith("running_mean"):
            tensor.normal_(std=0.1)
    return FoldedResnet(config, fold_resnet(generator))


def unit() -> FoldedUnit:
    """One whose last stages have kernels that stay float32."""
    torch.manual_seed(0)
    config = UnitConfig(dim=8, n_res=1)
    return FoldedUnit(config, fold_unit(config, UnitGenerator(config).eval().requires_grad_(False).state_dict()))


NETWORKS: dict[str, FoldedNetwork] = {
    "light": fold(random_generator(LIGHT)),
    "full": fold(random_generator(FULL)),
    "biased": fold(random_generator(BIASED)),
    "no blocks": fold(random_generator(replace(LIGHT, n_res=0))),
    "batch": resnet(BATCH),
    "instance": resnet(INSTANCE),
    "unit": unit(),
}


def eight_bits(folded: FoldedNetwork, side: int = 32) -> EightBits:
    return EightBits.of(folded, calibrate(folded, calibration_pictures(None, (side, side))))


def translated(eight: EightBits, pictures: NDArray[np.uint8]) -> NDArray[np.uint8]:
    """What ONNX Runtime makes of pictures of any size and number."""
    builder = OnnxBuilder()
    result, _ = eight.folded.graph(Int8RowOperations(builder, eight), "image")
    drop_unused(builder, {result})
    given = helper.make_tensor_value_info("image", TensorProto.UINT8, ["n", "h", "w", 3])
    given_back = helper.make_tensor_value_info(result, TensorProto.UINT8, None)
    model = builder.model([given], [given_back], "0")
    session = ort.InferenceSession(model.SerializeToString(), providers=["CPUExecutionProvider"])
    image: NDArray[np.uint8] = session.run(None, {"image": pictures})[0]
    return image


def psnr(first: NDArray[np.uint8], second: NDArray[np.uint8]) -> float:
    error = np.square(first.astype(float) - second).mean()
    return float(10 * np.log10(255**2 / max(error, 1e-9)))


def test_x() -> None:
    for name, folded in NETWORKS.items():
        e = eight_bits(folded)
        p = np.stack(calibration_pictures(None, (32, 32)))
        for kind, one in (
            ("bytes", e),
            ("fine", e.refined(e.spans)),
            ("mixed", e.without(list(e.spans)[1::2])),
            ("float", e.only([])),
        ):
            a, b = translated(one, p), emulate(one, list(p))
            print(name, kind, psnr(a, b), np.abs(a.astype(int) - b).max())
