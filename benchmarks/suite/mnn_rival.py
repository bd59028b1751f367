"""The unfolded generator in MNN, whose strength is Winograd convolutions on small CPUs."""

from importlib import import_module
from pathlib import Path
from time import perf_counter
from typing import Any

import numpy as np
import torch
from torch import Tensor

from ugatit_fast.backends.base import Images
from ugatit_fast.bench.contenders import Case
from ugatit_fast.bench.onnx_rivals import export_plainly
from ugatit_fast.checkpoint import load_generator
from ugatit_fast.model import Reference


class OnlyImage(torch.nn.Module):
    """The generator with the picture as its only result; MNN converts no uint8 input."""

    def __init__(self, generator: Reference) -> None:
        super().__init__()
        self.generator = generator

    def forward(self, x: Tensor) -> Tensor:
        image, _ = self.generator.pictures(x)
        return image


def export(case: Case) -> tuple[Path, float]:
    """A file in MNN's own format by way of ONNX, and the seconds it took."""
    network = case.network
    started = perf_counter()
    path = case.folder / f"plain-{network.height}x{network.width}-batch{network.batch}.mnn"
    plain = path.with_suffix(".planes.onnx")
    module = OnlyImage(load_generator(case.checkpoint, network.direction)).eval()
    export_plainly(module, torch.zeros(network.batch, 3, network.height, network.width), plain)
    convert(plain, path)
    plain.unlink()
    return path, perf_counter() - started


def convert(plain: Path, path: Path) -> None:
    """An ONNX file between float32 (n, 3, h, w) as MNN's own."""
    # The converter itself. Its front, MNN.tools.mnnconvert, runs `pip install` when imported and reports to a server.
    tool = import_module("_tools").mnnconvert
    tool(["mnnconvert", "-f", "ONNX", "--modelFile", str(plain), "--MNNModel", str(path), "--bizCode", "bench"])


class MnnRunning:
    """MNN on the CPU with float32 arithmetic."""

    concurrent = False
    build_seconds = 0.0

    def __init__(self, case: Case, file: Path) -> None:
        import MNN

        settings = {"backend": "CPU", "numThread": case.network.threads, "precision": "high"}
        runtime = MNN.nn.create_runtime_manager((settings,))
        self.expr: Any = MNN.expr
        self.module: Any = MNN.nn.load_module_from_file(str(file), ["image"], ["translated"], runtime_manager=runtime)

    def run(self, images: Images) -> Images:
        planes = np.ascontiguousarray(images.transpose(0, 3, 1, 2), np.float32) / np.float32(127.5) - np.float32(1)
        x = self.expr.const(planes, list(planes.shape), self.expr.NCHW)
        y = self.expr.convert(self.module.forward([x])[0], self.expr.NCHW).read()
        levels = np.rint((np.clip(y, -1, 1) + 1) * np.float32(127.5)).astype(np.uint8)
        return np.ascontiguousarray(levels.transpose(0, 2, 3, 1))
