"""The half of TensorRT for RTX that needs a GPU, in memory: ONNX Runtime runs the graph that a plan was built from.

Only the surface that our code uses, with the names and parameters of the real binding; test_rtx_contract.py holds it to
that. Plans are the real builder's; `GRAPHS` knows what each was made of.
"""

import ctypes
import hashlib
import json
from typing import Any

import numpy as np
import onnxruntime as ort
from tensorrt_rtx import DynamicShapesKernelSpecializationStrategy, ExecutionContextAllocationStrategy, ILogger

from tests.tensorrt.feeds import feeds

GRAPHS: dict[str, tuple[bytes, tuple[tuple[int, ...], ...]]] = {}
"""SHA-256 of a plan -> the ONNX model, and the shapes that its profile goes by."""


class Counts:
    """What was done; the tests set it to nothing."""

    compiled: list[tuple[int, ...]] = []  # noqa: RUF012 - shared on purpose
    contexts: int | None = None
    """How many more execution contexts there is memory for; any number where None."""


class IRuntimeCache:
    def __init__(self) -> None:
        self.entries: list[list[int]] = []

    def deserialize(self, blob: Any) -> bool:
        try:
            self.entries = json.loads(bytes(blob))["entries"]
        except (ValueError, KeyError):
            return False
        return True

    def serialize(self) -> bytes:
        return json.dumps({"entries": self.entries}).encode()


class IRuntimeConfig:
    dynamic_shapes_kernel_specialization_strategy = DynamicShapesKernelSpecializationStrategy.LAZY

    def create_runtime_cache(self) -> IRuntimeCache:
        return IRuntimeCache()

    def set_runtime_cache(self, cache: IRuntimeCache) -> bool:
        self.cache = cache
        return True

    def set_execution_context_allocation_strategy(self, strategy: ExecutionContextAllocationStrategy) -> None:
        self.allocation = strategy


class Runtime:
    def __init__(self, logger: ILogger) -> None:
        self.logger = logger

    def deserialize_cuda_engine(self, serialized_engine: Any) -> "ICudaEngine | None":
        graph = GRAPHS.get(hashlib.sha256(bytes(serialized_engine)).hexdigest())
        if graph is None:
            self.logger.log(ILogger.ERROR, "IRuntime::deserializeCudaEngine: Error Code 1: the stream is too short")
            return None
        return ICudaEngine(self.logger, *graph)


class ICudaEngine:
    def __init__(self, logger: ILogger, model: bytes, profile: tuple[tuple[int, ...], ...]) -> None:
        self.logger, self.profile = logger, profile
        options = ort.SessionOptions()
        options.intra_op_num_threads = 1  # tiny networks: threads that wait for work would cost more
        self.session = ort.InferenceSession(model, options, providers=["CPUExecutionProvider"])
        self.names = [value.name for value in (*self.session.get_inputs(), *self.session.get_outputs())]
        self.num_io_tensors = len(self.names)

    def get_tensor_name(self, index: int) -> str:
        return self.names[index]

    def get_tensor_shape(self, name: str) -> tuple[int, ...]:
        (found,) = (value for value in self.session.get_inputs() if value.name == name)
        return tuple(size if isinstance(size, int) else -1 for size in found.shape)

    def get_tensor_profile_shape(self, name: str, profile_index: int) -> list[tuple[int, ...]]:
        assert (name, profile_index) == ("image", 0)
        return list(self.profile)

    def create_runtime_config(self) -> IRuntimeConfig:
        return IRuntimeConfig()

    def create_execution_context(self, runtime_config: IRuntimeConfig) -> "IExecutionContext | None":
        if Counts.contexts is not None:
            Counts.contexts -= 1
            if Counts.contexts < 0:
                self.logger.log(ILogger.ERROR, "OutOfMemory: requested size was 123456789 bytes")
                return None
        return IExecutionContext(self, runtime_config)


class IExecutionContext:
    def __init__(self, engine: ICudaEngine, config: IRuntimeConfig) -> None:
        assert config.dynamic_shapes_kernel_specialization_strategy == DynamicShapesKernelSpecializationStrategy.EAGER
        assert config.allocation == ExecutionContextAllocationStrategy.USER_MANAGED
        self.engine, self.cache = engine, config.cache
        self.addresses: dict[str, int] = {}
        self.image: tuple[int, ...] = ()
        self.activations = 0

    def set_input_shape(self, name: str, shape: tuple[int, ...]) -> bool:
        assert name == "image"
        least, _, most = self.engine.profile
        held = all(low <= size <= high for low, size, high in zip(least, shape, most, strict=True))
        if not held:
            self.engine.logger.log(ILogger.ERROR, "the shape doesn't satisfy the optimization profile")
            return False
        self.image = shape
        return True

    def update_device_memory_size_for_shapes(self) -> int:
        return int(np.prod(self.image))

    def set_device_memory(self, memory: int, size: int) -> None:
        assert memory != 0
        self.activations = size

    def set_tensor_address(self, name: str, memory: int) -> bool:
        self.addresses[name] = memory
        return True

    def execute_async_v3(self, stream_handle: int) -> bool:
        assert stream_handle != 0, "the default stream"
        assert set(self.addresses) == set(self.engine.names)
        assert self.activations == np.prod(self.image)
        if list(self.image) not in self.cache.entries:
            self.cache.entries.append(list(self.image))
            Counts.compiled.append(self.image)
        names = [value.name for value in self.engine.session.get_outputs()]
        session = self.engine.session
        results = session.run(names, feeds(session, self.addresses, self.image))
        for name, result in zip(names, results, strict=True):
            ctypes.memmove(self.addresses[name], np.ascontiguousarray(result).ctypes.data, result.nbytes)
        return True
