"""The guided filter (`ugatit_fast.kernels.guided`) in standard operators, float32 whatever the engine's precision."""

from ugatit_fast.export.onnx_activations import ActivationWriter
from ugatit_fast.kernels.guided import EPS


def guided_filter(writer: ActivationWriter, picture: str, drawn: str) -> str:
    """Both float32 (n, 3, h, w), and so is the result."""
    node = writer.node

    def means(*values: str) -> list[str]:
        """Of 3x3 pixels, those inside the picture."""
        together = node("Concat", *values, axis=1)
        pooled = node("AveragePool", together, kernel_shape=[3, 3], pads=[1, 1, 1, 1], count_include_pad=0)
        return writer.split(pooled, len(values), axis=1)

    products = node("Mul", picture, drawn), node("Mul", picture, picture)
    mean_x, mean_y, mean_xy, mean_xx = means(picture, drawn, *products)
    covariance = node("Sub", mean_xy, node("Mul", mean_x, mean_y))
    variance = node("Sub", mean_xx, node("Mul", mean_x, mean_x))
    a = node("Div", covariance, node("Add", variance, writer.builder.scalar(EPS)))
    mean_a, mean_b = means(a, node("Sub", mean_y, node("Mul", a, mean_x)))
    return node("Add", node("Mul", mean_a, picture), mean_b)
