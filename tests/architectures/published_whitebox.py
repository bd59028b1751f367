"""White-box cartoonization as its TensorFlow code states it, naively, in NumPy and float64: NHWC, blue first, borders
as TensorFlow's SAME has them. Below it, variables under the names and in the shapes of its checkpoint.

Written from the facts, and apart from `ugatit_fast.architectures.whitebox`, which it is held against.
"""

from collections.abc import Mapping

import numpy as np
from numpy.typing import NDArray

Array = NDArray[np.float64]
Variables = Mapping[str, NDArray[np.float32]]


def cartoonize(variables: Variables, levels: NDArray[np.uint8]) -> Array:
    """uint8 (n, h, w, 3), red first -> float levels alike, cut off at 0 and 255 and not rounded."""
    photo = levels[..., ::-1] / 127.5 - 1
    drawn = guided(photo, unet(variables, photo))
    return np.ascontiguousarray(np.clip((drawn + 1) * 127.5, 0, 255)[..., ::-1])


def unet(variables: Variables, photo: Array) -> Array:
    def conv(x: Array, name: str, stride: int = 1) -> Array:
        kernel, bias = (np.asarray(variables[f"generator/{name}/{kind}"], np.float64) for kind in ("weights", "biases"))
        return same(x, kernel, stride) + bias

    x0 = leaky(conv(photo, "Conv"))
    x1 = leaky(conv(leaky(conv(x0, "Conv_1", stride=2)), "Conv_2"))
    x2 = leaky(conv(leaky(conv(x1, "Conv_3", stride=2)), "Conv_4"))
    for i in range(sum(name.endswith("conv1/weights") for name in variables)):
        x2 = conv(leaky(conv(x2, f"block_{i}/conv1")), f"block_{i}/conv2") + x2
    x3 = leaky(conv(twice(leaky(conv(x2, "Conv_5"))) + x1, "Conv_6"))
    x4 = leaky(conv(twice(leaky(conv(x3, "Conv_7"))) + x0, "Conv_8"))
    return conv(x4, "Conv_9")


def same(x: Array, kernel: Array, stride: int) -> Array:
    """As many zeros as the last window needs, the odd one behind. kernel (h, w, in, out)."""
    side = len(kernel)
    borders = []
    for length in x.shape[1:3]:
        missing = max((-(-length // stride) - 1) * stride + side - length, 0)
        borders.append((missing // 2, missing - missing // 2))
    x = np.pad(x, ((0, 0), *borders, (0, 0)))
    return sum(
        x[:, a : x.shape[1] - side + 1 + a : stride, b : x.shape[2] - side + 1 + b : stride] @ kernel[a, b]
        for a in range(side)
        for b in range(side)
    )


def leaky(x: Array) -> Array:
    return np.maximum(x, 0.2 * x)


def twice(x: Array) -> Array:
    """tf.image.resize_bilinear of TensorFlow 1: result pixel i lies at i / 2."""
    for axis in (1, 2):
        at = np.arange(2 * x.shape[axis]) / 2
        before = np.floor(at).astype(int)
        after = np.minimum(before + 1, x.shape[axis] - 1)
        part = np.expand_dims(at - before, [other for other in range(4) if other != axis])
        x = np.take(x, before, axis) * (1 - part) + np.take(x, after, axis) * part
    return x


def guided(photo: Array, drawn: Array, eps: float = 5e-3) -> Array:
    count = box(np.ones((1, *photo.shape[1:3], 1)))

    def mean(x: Array) -> Array:
        return box(x) / count

    a = (mean(photo * drawn) - mean(photo) * mean(drawn)) / (mean(photo**2) - mean(photo) ** 2 + eps)
    b = mean(drawn) - a * mean(photo)
    return mean(a) * photo + mean(b)


def box(x: Array) -> Array:
    """Sums over 3x3 pixels, a ninth of them, zeros outside."""
    bordered = np.pad(x, ((0, 0), (1, 1), (1, 1), (0, 0)))
    h, w = x.shape[1:3]
    return sum(bordered[:, a : a + h, b : b + w] for a in range(3) for b in range(3)) / 9


def shapes(channel: int = 32, num_blocks: int = 4) -> dict[str, tuple[int, ...]]:
    """Those of the published checkpoint, in its order, where nothing is said."""
    c = channel
    layers = {"Conv": (7, 3, c), "Conv_1": (3, c, c), "Conv_2": (3, c, 2 * c), "Conv_3": (3, 2 * c, 2 * c)}
    layers |= {"Conv_4": (3, 2 * c, 4 * c), "Conv_5": (3, 4 * c, 2 * c), "Conv_6": (3, 2 * c, 2 * c)}
    layers |= {"Conv_7": (3, 2 * c, c), "Conv_8": (3, c, c), "Conv_9": (7, c, 3)}
    layers |= {f"block_{i}/conv{nth}": (3, 4 * c, 4 * c) for i in range(num_blocks) for nth in (1, 2)}
    found: dict[str, tuple[int, ...]] = {}
    for name, (side, inputs, outputs) in layers.items():
        found |= {f"generator/{name}/biases": (outputs,), f"generator/{name}/weights": (side, side, inputs, outputs)}
    return dict(sorted(found.items()))


def random_variables(channel: int = 4, num_blocks: int = 2, seed: int = 0) -> dict[str, NDArray[np.float32]]:
    """Every one matters; what is drawn leaves [-1, 1] here and there."""
    rng = np.random.RandomState(seed)  # the same numbers for ever

    def value(shape: tuple[int, ...]) -> NDArray[np.float32]:
        scale = np.sqrt(1.2 / np.prod(shape[:3])) if len(shape) == 4 else 0.2
        return np.float32(scale) * rng.standard_normal(shape).astype(np.float32)

    return {name: value(shape) for name, shape in shapes(channel, num_blocks).items()}
