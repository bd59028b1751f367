"""Small engines for OpenVINO, made without the search for the layers that may have eight bits."""

from pathlib import Path

import numpy as np

from tests.conftest import LIGHT, random_generator
from ugatit_fast.checkpoint import Checkpoint, read_checkpoint
from ugatit_fast.engine import EngineSpec
from ugatit_fast.export.calibration import calibrate
from ugatit_fast.export.eight_bits import EightBits
from ugatit_fast.export.onnx_graph import save_onnx, to_onnx
from ugatit_fast.fold import fold
from ugatit_fast.media.images import Pixels
from ugatit_fast.model import GeneratorConfig

SIDE = 16


def noise(count: int, height: int = SIDE, width: int = SIDE, seed: int = 0) -> list[Pixels]:
    return list(np.random.default_rng(seed).integers(0, 256, (count, height, width, 3), dtype=np.uint8))


def small_bytes(config: GeneratorConfig = LIGHT) -> EightBits:
    """All places of a random generator in eight bits, for noise."""
    folded = fold(random_generator(config))
    return EightBits.of(folded, calibrate(folded, noise(2)))


def write_openvino_engine(path: Path, checkpoint: Path, eight: EightBits, *, heatmap: bool = True) -> EngineSpec:
    """An engine that says it is of `checkpoint`."""
    source: Checkpoint = read_checkpoint(checkpoint)
    spec = EngineSpec.of(source, kind="openvino", any_size=True, precision="int8", size=(SIDE, SIDE), heatmap=heatmap)
    save_onnx(to_onnx(eight.folded, spec, form="bytes", eight=eight), path)
    return spec
