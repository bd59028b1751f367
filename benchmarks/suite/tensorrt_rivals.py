"""The unfolded generator in TensorRT and TensorRT for RTX: its plain ONNX export; and in torch-tensorrt."""

from importlib import import_module
from pathlib import Path
from time import perf_counter
from typing import Any

import torch
from torch import Tensor

from ugatit_fast.backends.base import Images
from ugatit_fast.bench.contenders import Case
from ugatit_fast.bench.torch_rivals import TorchRunning, example_of, pictures_of
from ugatit_fast.errors import BackendUnavailable, EngineError


class TensorRtRunning:
    """A strongly typed plan of the plain export, built in this process as trtexec would build it."""

    concurrent = False

    def __init__(self, case: Case, file: Path, *, library: str) -> None:
        """library: the name of the module, TensorRT's or TensorRT for RTX's."""
        if not torch.cuda.is_available():
            raise BackendUnavailable("PyTorch sees no CUDA device here")
        started = perf_counter()
        tensorrt: Any = import_module(library)
        logger = tensorrt.Logger(tensorrt.Logger.ERROR)
        plan = built_plan(file, tensorrt, logger)
        self.build_seconds = perf_counter() - started
        self.engine: object = tensorrt.Runtime(logger).deserialize_cuda_engine(plan)
        if self.engine is None:
            raise EngineError("TensorRT refuses the plan that it has just built")
        self.context: Any = self.engine.create_execution_context()
        example = example_of(case, "cuda")
        self.output = torch.empty_like(example)
        self.around = TorchRunning(self.translate, example)

    def translate(self, images: Tensor) -> Tensor:
        self.context.set_tensor_address("image", images.data_ptr())
        self.context.set_tensor_address("translated", self.output.data_ptr())
        self.context.execute_async_v3(torch.cuda.current_stream().cuda_stream)
        return self.output

    def run(self, images: Images) -> Images:
        return self.around.run(images)


def built_plan(file: Path, tensorrt: Any, logger: Any) -> Any:
    """Raises RuntimeError with the parser's first complaint."""
    builder = tensorrt.Builder(logger)
    strongly_typed = 1 << int(tensorrt.NetworkDefinitionCreationFlag.STRONGLY_TYPED)
    network = builder.create_network(strongly_typed)
    parser = tensorrt.OnnxParser(network, logger)
    if not parser.parse_from_file(str(file)):
        raise RuntimeError(f"TensorRT cannot parse the plain export: {parser.get_error(0)}")
    plan = builder.build_serialized_network(network, builder.create_builder_config())
    if plan is None:
        raise RuntimeError("TensorRT built nothing from the plain export")
    return plan


def load_torch_tensorrt(case: Case, file: Path | None) -> TorchRunning:
    import torch_tensorrt

    pictures = pictures_of(case, target="cuda", half=True, channels_last=False)
    example = example_of(case, "cuda")
    started = perf_counter()
    compiled = torch_tensorrt.compile(pictures, ir="dynamo", inputs=[example], use_explicit_typing=True)
    return TorchRunning(compiled, example, perf_counter() - started)
