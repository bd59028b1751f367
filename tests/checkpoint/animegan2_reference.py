"""AnimeGANv2's generator as its TensorFlow code states it (github.com/TachibanaYoshino/AnimeGANv2), naively, in NumPy.

NHWC throughout, layer norms with the epsilon of tf.contrib, TensorFlow 1's bilinear doubling. Nothing is shared with
the package: imports are judged by this. Below it, random variables under the names and in the shapes of a checkpoint.
"""

from collections.abc import Mapping
from typing import Any

import numpy as np
from numpy.typing import NDArray

Array = NDArray[np.float64]
Variables = Mapping[str, NDArray[Any]]
SCOPE = "generator/G_MODEL"
EPS = 1e-12


def translate(variables: Variables, image: Array) -> Array:
    """image: (n, h, w, 3) in [-1, 1]; the result alike."""

    def layer(x: Array, convolution: str, norm: str, stride: int = 1) -> Array:
        kernel = of(variables, f"{convolution}/weights")
        pad = (0, 1) if stride == 2 else (len(kernel) // 2,) * 2
        return leaky(layer_norm(variables, norm, conv(x, kernel, pad, stride)))

    def plain(x: Array, block: str, nth: str = "", stride: int = 1) -> Array:
        return layer(x, f"{block}/Conv{nth}", f"{block}/LayerNorm{nth}", stride)

    def residual(x: Array, block: str) -> Array:
        y = plain(x, f"C/{block}")
        kernel, bias = (of(variables, f"C/{block}/{block}/{name}") for name in ("w", "bias"))
        y = leaky(layer_norm(variables, f"C/{block}/1", depthwise(y, kernel) + bias))
        y = layer_norm(variables, f"C/{block}/2", conv(y, of(variables, f"C/{block}/Conv_1/weights"), (0, 0)))
        return x + y if x.shape == y.shape else y

    x = plain(plain(plain(image, "A"), "A", "_1", stride=2), "A", "_2")
    x = plain(plain(plain(x, "B", stride=2), "B", "_1"), "C")
    for block in ("r1", "r2", "r3", "r4"):
        x = residual(x, block)
    x = plain(plain(doubled(plain(x, "C", "_1")), "D"), "D", "_1")
    x = plain(plain(plain(doubled(x), "E"), "E", "_1"), "E", "_2")
    return np.tanh(conv(x, of(variables, "out_layer/Conv/weights"), (0, 0)))


def of(variables: Variables, name: str) -> Array:
    return np.asarray(variables[f"{SCOPE}/{name}"], np.float64)


def leaky(x: Array) -> Array:
    return np.where(x < 0, 0.2 * x, x)


def layer_norm(variables: Variables, name: str, x: Array) -> Array:
    mean = x.mean((1, 2, 3), keepdims=True)
    variance = np.square(x - mean).mean((1, 2, 3), keepdims=True)
    normalised: Array = (x - mean) / np.sqrt(variance + EPS)
    return normalised * of(variables, f"{name}/gamma") + of(variables, f"{name}/beta")


def conv(x: Array, kernel: Array, pad: tuple[int, int], stride: int = 1) -> Array:
    """kernel (h, w, in, out); pad: pixels before and after, reflected."""
    x = np.pad(x, ((0, 0), pad, pad, (0, 0)), mode="reflect")
    side = len(kernel)
    return sum(
        x[:, a : x.shape[1] - side + 1 + a : stride, b : x.shape[2] - side + 1 + b : stride] @ kernel[a, b]
        for a in range(side)
        for b in range(side)
    )


def depthwise(x: Array, kernel: Array) -> Array:
    """kernel (3, 3, channels, 1)."""
    x = np.pad(x, ((0, 0), (1, 1), (1, 1), (0, 0)), mode="reflect")
    h, w = x.shape[1] - 2, x.shape[2] - 2
    return sum(x[:, a : a + h, b : b + w] * kernel[a, b, :, 0] for a in range(3) for b in range(3))


def doubled(x: Array) -> Array:
    """Every pixel, and the mean of it and the next; the last is its own next."""
    for axis in (1, 2):
        following = np.concatenate([np.delete(x, 0, axis), np.take(x, [-1], axis)], axis)
        both = np.stack([x, (x + following) / 2], axis + 1)
        x = both.reshape(*x.shape[:axis], -1, *x.shape[axis + 1 :])
    return x


# Variables, as the repository's Saver stores them --------------------------------------------------------------


def shapes() -> dict[str, tuple[int, ...]]:
    """Of a bundle of the generator alone, as get_generator_ckpt.py leaves it."""
    found: dict[str, tuple[int, ...]] = {}

    def add(convolution: str, norm: str, side: int, inputs: int, outputs: int) -> None:
        found[f"{convolution}/weights"] = (side, side, inputs, outputs)
        found.update({f"{norm}/{name}": (outputs,) for name in ("beta", "gamma")})

    plain = {"A": [(7, 3, 32), (3, 32, 64), (3, 64, 64)], "B": [(3, 64, 128), (3, 128, 128)]}
    plain |= {"C": [(3, 128, 128), (3, 256, 128)], "D": [(3, 128, 128)] * 2}
    plain |= {"E": [(3, 128, 64), (3, 64, 64), (7, 64, 32)]}
    for block, layers in plain.items():
        for nth, sizes in zip(("", "_1", "_2"), layers, strict=False):
            add(f"{block}/Conv{nth}", f"{block}/LayerNorm{nth}", *sizes)
    for i in range(1, 5):
        block, inputs = f"C/r{i}", 128 if i == 1 else 256
        add(f"{block}/Conv", f"{block}/LayerNorm", 1, inputs, 2 * inputs)
        add(f"{block}/Conv_1", f"{block}/2", 1, 2 * inputs, 256)
        found[f"{block}/r{i}/w"] = (3, 3, 2 * inputs, 1)
        found |= {f"{block}/{name}": (2 * inputs,) for name in (f"r{i}/bias", "1/beta", "1/gamma")}
    found["out_layer/Conv/weights"] = (1, 1, 32, 3)
    return {f"{SCOPE}/{name}": shape for name, shape in sorted(found.items())}


def random_variables(seed: int = 0) -> dict[str, NDArray[np.float32]]:
    """Every one matters: scales around 1, shifts around 0."""
    rng = np.random.RandomState(seed)  # the same numbers for ever

    def value(name: str, shape: tuple[int, ...]) -> NDArray[np.float32]:
        drawn = rng.standard_normal(shape).astype(np.float32)
        if len(shape) == 4:
            return drawn * np.float32(1 / np.sqrt(np.prod(shape[:2]) * (1 if name.endswith("/w") else shape[2])))
        return np.float32(0.3) * drawn + np.float32(name.endswith("gamma"))

    return {name: value(name, shape) for name, shape in shapes().items()}


def training_checkpoint(variables: Variables) -> dict[str, NDArray[Any]]:
    """What training saves beside the generator, small: a discriminator, and the moments of three optimisers."""
    small = np.zeros(2, np.float32)
    beside = {"discriminator/conv_0/kernel": small, "discriminator/conv_0/u": small}
    beside |= {f"{SCOPE}/A/Conv/weights/{slot}": small for slot in ("Adam", "Adam_1", "Adam_2", "Adam_3")}
    powers = [f"{beta}_power{nth}" for beta in ("beta1", "beta2") for nth in ("", "_1", "_2")]
    beside |= {name: np.float32(0.5).reshape(()) for name in powers}
    return dict(sorted({**variables, **beside}.items()))
