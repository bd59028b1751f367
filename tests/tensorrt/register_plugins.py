"""Runs under a real TensorRT binding: registers our plugins and asks them what TensorRT will ask.

The registry and the arithmetic on shapes are the library's, which isn't there, so these two are Python here; the
decorators, validators, descriptors and formats are the real ones. test_contract.py starts it.
"""

import operator
import re
from typing import Any

import numpy as np
import tensorrt as trt

from tests.tensorrt.fake_gpu import FakeGpu
from ugatit_fast.backends import gpu


class Registry:
    creators: dict[str, Any] = {}  # noqa: RUF012

    def register_creator(self, creator: Any, namespace: str) -> None:
        self.creators[f"{namespace}::{creator.name}"] = creator

    def get_creator(self, name: str, version: str, namespace: str) -> Any:
        assert version == "1"
        return self.creators[f"{namespace}::{name}"]


class Expression:
    """A number known when the engine is built, or the batch."""

    def __init__(self, value: int) -> None:
        self.value = value

    def is_constant(self) -> bool:
        return True

    def get_constant_value(self) -> int:
        return self.value


class ExpressionBuilder:
    operations = {  # noqa: RUF012
        trt.DimensionOperation.SUM: operator.add,
        trt.DimensionOperation.SUB: operator.sub,
        trt.DimensionOperation.PROD: operator.mul,
        trt.DimensionOperation.FLOOR_DIV: operator.floordiv,
        trt.DimensionOperation.CEIL_DIV: lambda a, b: -(-a // b),
    }

    def constant(self, value: int) -> Expression:
        return Expression(value)

    def operation(self, kind: Any, first: Expression, second: Expression) -> Expression:
        return Expression(self.operations[kind](first.value, second.value))


registry = Registry()
trt.get_plugin_registry = lambda: registry
trt.IDimensionExpr = Expression
gpu.TorchGpu = FakeGpu  # type: ignore[misc, assignment]

import tensorrt.plugin as trtp  # noqa: E402
from tensorrt.plugin._lib import QDP_REGISTRY  # noqa: E402
from tensorrt.plugin._tensor import SymIntExpr  # noqa: E402

import ugatit_fast.export.tensorrt_plugin  # noqa: E402, F401

SIZES = {"n": 3, "c": 16, "h": 8, "w": 12, "splits": 4, "tiles": 1}
INPUTS = {
    "x": ("n", "c", "h", "w"),
    "channels": ("n", "splits", 2, "c"),
    "layer": ("n", "splits", "tiles", 2),
    "gamma": (1, "c"),
    "beta": (1, "c"),
    "rho": ("c",),
    "bias": ("c",),
    "residual": ("n", "c", 10, 14),
}
ATTRIBUTES = {
    "splits": np.array([4], np.int32),
    "tiles": np.array([1], np.int32),
    "eps": np.array([1e-5], np.float32),
    "correction": np.array([1], np.int32),
    "floor": np.array([0], np.float32),
    "pads": np.array([0, 0, 1, 1, 0, 0, 1, 1], np.int32),
    "mode": "reflect",
}


def described(name: str) -> trtp.TensorDesc:
    shape = tuple(SIZES[size] if isinstance(size, str) else size for size in INPUTS[name])
    dtype = trt.float16 if name in ("x", "residual") else trt.float32
    descriptor = trtp.from_shape_expr(shape, dtype)
    descriptor._shape = trtp.Shape(shape)
    return descriptor


def check(name: str) -> None:
    plugin = QDP_REGISTRY[name]
    assert plugin.aot_impl_attr_names == list(plugin.input_attrs), "all attributes are passed, whatever is declared"
    fields = registry.creators[name].field_names
    assert [field.name for field in fields] == list(plugin.input_attrs)
    inputs = [described(tensor) for tensor in plugin.input_tensor_names]
    attributes = [ATTRIBUTES[attribute] for attribute in plugin.input_attrs]
    outputs = plugin.register_func(*inputs, *attributes)
    outputs = outputs if isinstance(outputs, tuple) else (outputs,)
    shapes = [[size.constant_value() for size in output.shape_expr] for output in outputs]
    assert shapes == ([[3, 4, 2, 16], [3, 4, 1, 2]] if "stats" in name else [[3, 16, 10, 14]]), shapes
    assert [output.dtype for output in outputs] == ([trt.float32] * 2 if "stats" in name else [trt.float16])
    seen = set()
    for combination in plugin.autotune_func(*inputs, outputs):
        for found in combination._get_combinations():
            assert len(found.types) == len(inputs) + len(outputs)
            inputs[0].dtype, inputs[0].format = found.types[0], found.layouts[0]
            for tactic in found.tactics:
                kernel, ptx, launch, extras = plugin.aot_impl_func(*inputs, *attributes, outputs, tactic)
                entry = re.search(r"\.entry (\w+)\((.*?)\)\n", ptx, re.DOTALL)
                assert entry
                assert entry[1] == kernel
                assert entry[2].count(".param") == len(inputs) + len(outputs)
                assert len(extras) == 0, "TensorRT may give every tactic as many as one of them has"
                programs = launch.grid_x._expr.value
                assert programs % SIZES["n"] == 0
                assert launch.block_x._expr.value in (128, 256)
                seen.add((str(found.layouts[0]), str(found.types[0]), tactic))
    assert len(seen) == 12, seen


SymIntExpr._exprBuilder = ExpressionBuilder()
for plugin_name in QDP_REGISTRY:
    check(plugin_name)
print(f"checked {len(QDP_REGISTRY)} plugins: {', '.join(QDP_REGISTRY)}")
