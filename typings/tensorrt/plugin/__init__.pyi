from ._autotune import AutoTuneCombination as AutoTuneCombination
from ._lib import aot_impl as aot_impl, autotune as autotune, impl as impl, op as op, register as register
from ._tensor import (
    KernelLaunchParams as KernelLaunchParams,
    Shape as Shape,
    ShapeExpr as ShapeExpr,
    ShapeExprs as ShapeExprs,
    SizeTensorDesc as SizeTensorDesc,
    SizeTensorShapeExpr as SizeTensorShapeExpr,
    SymExprs as SymExprs,
    SymInt8 as SymInt8,
    SymInt16 as SymInt16,
    SymInt32 as SymInt32,
    Tensor as Tensor,
    TensorDesc as TensorDesc,
)
from ._top_level import cdiv as cdiv, from_shape_expr as from_shape_expr, max as max, min as min
