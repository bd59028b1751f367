"""A small hand for writing ONNX graphs: names, nodes, constants, functions."""

from collections.abc import Sequence

import numpy as np
import onnx
from numpy.typing import NDArray
from onnx import FunctionProto, GraphProto, ModelProto, NodeProto, TensorProto, helper, numpy_helper, parser

OPSET = 20
"""Newest that every consumer reads: TensorRT 10.12 and later, ONNX Runtime 1.20 and later."""
Attribute = int | float | str | TensorProto | Sequence[int] | Sequence[float]
DOMAIN = "ugatit"
DOMAIN_VERSION = 1
MICROSOFT = "com.microsoft"
"""The domain of ONNX Runtime's own operators."""
IR_VERSION = 10


class OnnxBuilder:
    """Collects nodes, constants and functions of one model. Values are their names."""

    def __init__(self) -> None:
        self.nodes: list[NodeProto] = []
        self.initializers: dict[str, TensorProto] = {}
        self.functions: dict[str, FunctionProto] = {}
        self.counts: dict[str, int] = {}

    def name(self, stem: str) -> str:
        """A name not used before."""
        self.counts[stem] = self.counts.get(stem, 0) + 1
        return f"{stem}.{self.counts[stem]}"

    def node(self, op: str, *inputs: str, domain: str = "", **attributes: Attribute) -> str:
        """One node with one result."""
        return self.nodes_with(op, 1, *inputs, domain=domain, **attributes)[0]

    def nodes_with(self, op: str, results: int, *inputs: str, domain: str = "", **attributes: Attribute) -> list[str]:
        """One node with several results."""
        outputs = [self.name(op.lower()) for _ in range(results)]
        self.nodes.append(helper.make_node(op, inputs, outputs, self.name(op), None, domain, None, **attributes))
        return outputs

    def constant(self, value: NDArray[np.generic], name: str) -> str:
        """An initializer; the same name stands for the same value."""
        if name not in self.initializers:
            self.initializers[name] = numpy_helper.from_array(np.ascontiguousarray(value), name)
        return name

    def keep(self, tensor: TensorProto) -> str:
        """An initializer as it is, by its own name; the same name stands for the same value."""
        self.initializers.setdefault(tensor.name, tensor)
        return tensor.name

    def integers(self, *values: int) -> str:
        """A 1-D int64 constant."""
        return self.constant(np.array(values, np.int64), "i64_" + "_".join(map(str, values)).replace("-", "m"))

    def scalar(self, value: float) -> str:
        """A float32 constant of rank 0."""
        return self.constant(np.array(value, np.float32), f"f32_{value:.9g}")

    def define(self, text: str) -> None:
        """Add a function in ONNX's textual syntax (github.com/onnx/onnx/blob/main/docs/Syntax.md)."""
        function = parser.parse_function(f'<domain: "{DOMAIN}", opset_import: ["" : {OPSET}]>\n{text}')
        self.functions[function.name] = function

    def model(
        self, inputs: Sequence[onnx.ValueInfoProto], outputs: Sequence[onnx.ValueInfoProto], producer_version: str
    ) -> ModelProto:
        own = [helper.make_opsetid(DOMAIN, DOMAIN_VERSION)] if self.functions else []
        if any(node.domain == MICROSOFT for node in self.nodes):
            own.append(helper.make_opsetid(MICROSOFT, 1))
        graph: GraphProto = helper.make_graph(
            self.nodes, "ugatit", list(inputs), list(outputs), list(self.initializers.values())
        )
        return helper.make_model(
            graph,
            producer_name="ugatit-fast",
            producer_version=producer_version,
            ir_version=IR_VERSION,
            opset_imports=[helper.make_opsetid("", OPSET), *own],
            functions=list(self.functions.values()),
        )
