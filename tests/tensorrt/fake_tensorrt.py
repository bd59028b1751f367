"""A TensorRT that runs without a GPU: plans are ONNX files that ONNX Runtime runs, GPU memory is the host's.

Only the surface that our code uses, with the names, parameters and meanings of the real binding; test_contract.py holds
it to that. Parsing and building are here for plans to run alone; what NVIDIA's own do is in test_real.py. What it can't
do is be fast, run plugins (it takes their function bodies), or be wrong where TensorRT is.
"""

import ctypes
import hashlib
import json
from enum import Enum, IntEnum
from typing import Any

import numpy as np
import onnx
import onnxruntime as ort

from tests.tensorrt.feeds import feeds

__version__ = "11.4.0.106"


class Faults:
    """What goes wrong; reset by the fixture."""

    build: str | None = None
    """What the builder says instead of giving a plan; only where it names our plugins, if it starts with "plugin"."""
    contexts: int | None = None
    """How many execution contexts there is memory for."""


class Counts:
    """What was done; reset by the fixture."""

    measured = 0
    """Layers that a build timed, having found them in no cache."""
    contexts = 0
    deserialized = 0


class ILogger:
    class Severity(IntEnum):
        INTERNAL_ERROR = 0
        ERROR = 1
        WARNING = 2
        INFO = 3
        VERBOSE = 4

    INTERNAL_ERROR = Severity.INTERNAL_ERROR
    ERROR = Severity.ERROR

    def log(self, severity: Severity, msg: str) -> None: ...


class NetworkDefinitionCreationFlag(IntEnum):
    STRONGLY_TYPED = 1


class BuilderFlag(Enum):
    TF32 = 1


class MemoryPoolType(Enum):
    WORKSPACE = 1


class IProgressMonitor:
    pass


class IHostMemory(bytes):
    pass


class ITimingCache:
    def __init__(self, entries: set[str]) -> None:
        self.entries = entries

    def serialize(self) -> IHostMemory:
        return IHostMemory(json.dumps({"version": __version__, "entries": sorted(self.entries)}).encode())

    def combine(self, input_cache: "ITimingCache", ignore_mismatch: bool) -> bool:
        if getattr(input_cache, "version", __version__) != __version__:
            return False
        self.entries |= input_cache.entries
        return True


class IOptimizationProfile:
    def set_shape(self, input: str, min: Any, opt: Any, max: Any) -> None:  # noqa: A002 - TensorRT's names
        self.shapes = (tuple(min), tuple(opt), tuple(max))


class IBuilderConfig:
    def __init__(self) -> None:
        self.tf32, self.cache, self.profile = True, None, None
        self.workspace: int | None = None
        self.builder_optimization_level = 3

    def clear_flag(self, flag: BuilderFlag) -> None:
        self.tf32 = False

    def set_memory_pool_limit(self, pool: MemoryPoolType, pool_size: int) -> None:
        self.workspace = pool_size

    def add_optimization_profile(self, profile: IOptimizationProfile) -> int:
        self.profile = profile
        return 0

    def create_timing_cache(self, serialized_timing_cache: bytes) -> ITimingCache | None:
        if not serialized_timing_cache:
            return ITimingCache(set())
        try:
            found = json.loads(serialized_timing_cache)
        except ValueError:
            return None
        cache = ITimingCache(set(found["entries"]))
        cache.version = found["version"]
        return cache

    def set_timing_cache(self, cache: ITimingCache, ignore_mismatch: bool) -> bool:
        if getattr(cache, "version", __version__) != __version__:
            return False
        self.cache = cache
        return True

    def get_timing_cache(self) -> ITimingCache:
        return self.cache


class INetworkDefinition:
    model: onnx.ModelProto


class ParserError:
    pass


class OnnxParser:
    def __init__(self, network: INetworkDefinition, logger: ILogger) -> None:
        self.network = network

    def parse_from_file(self, model: str) -> bool:
        self.network.model = onnx.load(model)
        onnx.checker.check_model(self.network.model)
        return True


class Builder:
    def __init__(self, logger: ILogger) -> None:
        self.logger = logger

    def create_network(self, flags: int = 0) -> INetworkDefinition:
        assert flags == 1 << NetworkDefinitionCreationFlag.STRONGLY_TYPED
        return INetworkDefinition()

    def create_builder_config(self) -> IBuilderConfig:
        return IBuilderConfig()

    def create_optimization_profile(self) -> IOptimizationProfile:
        return IOptimizationProfile()

    def build_serialized_network(self, network: INetworkDefinition, config: IBuilderConfig) -> IHostMemory | None:
        assert not config.tf32
        nodes = network.model.graph.node
        plugins = any(attribute.name == "plugin_namespace" for node in nodes for attribute in node.attribute)
        measure(network.model, config)
        if Faults.build and (plugins or not Faults.build.startswith("plugin")):
            self.logger.log(ILogger.ERROR, Faults.build)
            return None
        settings = {"plugins": plugins, "level": config.builder_optimization_level, "workspace": config.workspace}
        if config.profile:
            settings["profile"] = config.profile.shapes
        return packed(json.dumps(settings).encode() + b"\n" + network.model.SerializeToString())


def measure(model: onnx.ModelProto, config: IBuilderConfig) -> None:
    """Time the layers that no cache has."""
    batch = model.graph.input[0].type.tensor_type.shape.dim[0]
    for node in model.graph.node:
        layer = f"{node.op_type} {node.name} {batch.dim_value or batch.dim_param}"
        if layer not in config.cache.entries:
            Counts.measured += 1
            config.cache.entries.add(layer)


def packed(content: bytes) -> IHostMemory:
    return IHostMemory(b"fake" + hashlib.sha256(content).digest() + content)


class Runtime:
    def __init__(self, logger: ILogger) -> None:
        self.logger = logger

    def deserialize_cuda_engine(self, serialized_engine: Any) -> "ICudaEngine | None":
        Counts.deserialized += 1
        plan = bytes(serialized_engine)
        if plan != packed(plan[36:]):
            self.logger.log(ILogger.ERROR, "IRuntime::deserializeCudaEngine: Error Code 1: Serialization assertion")
            return None
        return ICudaEngine(self.logger, *plan[36:].split(b"\n", 1))


class ICudaEngine:
    def __init__(self, logger: ILogger, settings: bytes, model: bytes) -> None:
        self.logger, self.settings = logger, json.loads(settings)
        options = ort.SessionOptions()
        options.intra_op_num_threads = 1  # tiny networks: threads that wait for work would cost more
        self.session = ort.InferenceSession(model, options, providers=["CPUExecutionProvider"])
        self.shapes = {value.name: value.shape for value in (*self.session.get_inputs(), *self.session.get_outputs())}
        self.num_io_tensors = len(self.shapes)

    def get_tensor_name(self, index: int) -> str:
        return list(self.shapes)[index]

    def get_tensor_shape(self, name: str) -> tuple[int, ...]:
        return tuple(size if isinstance(size, int) else -1 for size in self.shapes[name])

    def create_execution_context(self) -> "IExecutionContext | None":
        Counts.contexts += 1
        if Faults.contexts is not None and Counts.contexts > Faults.contexts:
            self.logger.log(ILogger.ERROR, "OutOfMemory: requested size was 123456789 bytes")
            return None
        return IExecutionContext(self)


class IExecutionContext:
    def __init__(self, engine: ICudaEngine) -> None:
        self.engine = engine
        self.addresses: dict[str, int] = {}
        self.image = engine.get_tensor_shape("image")

    def set_input_shape(self, name: str, shape: tuple[int, ...]) -> bool:
        assert all(fixed in (-1, size) for fixed, size in zip(self.image, shape, strict=True))
        if "profile" in self.engine.settings:
            least, _, most = self.engine.settings["profile"]
            assert least[0] <= shape[0] <= most[0]
        self.image = shape
        return True

    def set_tensor_address(self, name: str, memory: int) -> bool:
        self.addresses[name] = memory
        return True

    def execute_async_v3(self, stream_handle: int) -> bool:
        assert stream_handle != 0, "the default stream"
        assert set(self.addresses) == set(self.engine.shapes)
        names = [value.name for value in self.engine.session.get_outputs()]
        session = self.engine.session
        results = session.run(names, feeds(session, self.addresses, self.image))
        for name, result in zip(names, results, strict=True):
            ctypes.memmove(self.addresses[name], np.ascontiguousarray(result).ctypes.data, result.nbytes)
        return True
