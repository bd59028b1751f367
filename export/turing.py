"""Linear layers for Turing: TensorRT for RTX has no float32 matrix products for it, so they are products and sums."""

from collections.abc import Iterator
from typing import Any

import numpy as np
from onnx import ModelProto, NodeProto, helper, numpy_helper

ROWS, PRODUCTS = "axis_of_rows", "axis_of_products"


def without_matrix_products(model: ModelProto) -> ModelProto:
    """The same network with sum(x * matrix) + bias for x @ matrix.T + bias: x (n, inputs), matrix (outputs, inputs)."""
    changed = ModelProto()
    changed.CopyFrom(model)
    graph = changed.graph
    nodes = [replaced for node in graph.node for replaced in (products_of(node) if node.op_type == "Gemm" else [node])]
    del graph.node[:]
    graph.node.extend(nodes)
    axes = {ROWS: 1, PRODUCTS: 2}
    graph.initializer.extend(numpy_helper.from_array(np.array([axis]), name) for name, axis in axes.items())
    return changed


def products_of(gemm: NodeProto) -> Iterator[NodeProto]:
    x, matrix, *bias = gemm.input
    (result,) = gemm.output
    summed = f"{result}_summed" if bias else result
    yield node("Unsqueeze", [x, ROWS], f"{result}_rows")
    yield node("Mul", [f"{result}_rows", matrix], f"{result}_products")
    yield node("ReduceSum", [f"{result}_products", PRODUCTS], summed, keepdims=0)
    if bias:
        yield node("Add", [summed, *bias], result)


def node(operation: str, inputs: list[str], result: str, **attributes: Any) -> NodeProto:
    return helper.make_node(operation, inputs, [result], name=f"{operation}_{result}", **attributes)
