"""The generator of the TensorFlow repository (github.com/taki0112/UGATIT), naively, in NumPy and float64.

NHWC throughout, a bias on every convolution and linear layer, affine instance norms in the encoder, biased variances,
one linear layer for both class-activation maps. Nothing is shared with the package: imports are judged by this. Below
it, random variables under the names and in the shapes of a training checkpoint.
"""

import math
import zlib
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

Array = NDArray[np.float64]
Variables = Mapping[str, NDArray[Any]]

EPS = 1e-5


@dataclass(frozen=True, kw_only=True)
class TensorFlowModel:
    """The options of the TensorFlow repository that shape its variables or its arithmetic."""

    ch: int = 64
    n_res: int = 4
    """The repository makes gamma and beta of ch * n_res features for 4 * ch channels: only 4 works there."""
    light: bool = False
    img_size: int = 256
    smoothing: bool = True
    """AdaLIN uses clip(rho - 0.1, 0, 1). False also for code before 2019-08-14, which kept rho itself in [0, 0.9]."""
    separate_cam_logit: bool = False
    """Code before 2019-08-20: the logits had a layer of their own, CAM_logit/dense, and the map's weight no bias."""
    discriminators: bool = True
    adam: bool = True
    """The Saver's habit of storing the optimiser's two moments of each variable."""


def translate(
    model: TensorFlowModel, variables: Variables, image: Array, scope: str = "generator_B"
) -> tuple[Array, Array]:
    """Run one generator; generator_B translates A to B.

    image: (n, h, w, 3) in [-1, 1]. Returns the translated image, alike, and the heat map (n, h / 4, w / 4). The logits
    of the class-activation maps take no part in either.
    """
    v = _Scope(variables, scope)
    x = relu(instance_norm(v / "ins_norm", conv(v / "conv", image, pad=(3, 3))))
    for i in range(2):
        x = relu(instance_norm(v / f"ins_norm_{i}", conv(v / f"conv_{i}", x, stride=2, pad=(1, 0))))
    for i in range(model.n_res):
        x = resblock(v / f"resblock_{i}", x)

    weight = v["CAM_logit/kernel"][:, 0]
    if not model.separate_cam_logit:
        weight = weight + v["CAM_logit/bias"]
    x_gap = x * weight  # of the average-pooled map, and
    x_gmp = x * weight  # of the max-pooled one: the weights are shared
    x = relu(conv(v / "conv_1x1", np.concatenate([x_gap, x_gmp], axis=-1)))
    heatmap: Array = x.sum(axis=-1)

    gamma, beta = mlp(v / "MLP", x, model.light)
    for i in range(model.n_res):
        x = adaptive_resblock(v / f"adaptive_resblock{i}", x, gamma, beta, model.smoothing)
    for i in range(2):
        x = x.repeat(2, axis=1).repeat(2, axis=2)
        x = conv(v / f"up_conv_{i}", x, pad=(1, 1))
        norm = v / f"layer_ins_norm_{i}"
        x = relu(layer_instance_norm(x, norm["rho"]) * norm["gamma"] + norm["beta"])
    return np.tanh(conv(v / "G_logit", x, pad=(3, 3))), heatmap


class _Scope:
    """TensorFlow's variable scopes: `scope / name` narrows, `scope[name]` reads in float64."""

    def __init__(self, variables: Variables, path: str) -> None:
        self.variables, self.path = variables, path

    def __truediv__(self, name: str) -> "_Scope":
        return _Scope(self.variables, f"{self.path}/{name}")

    def __getitem__(self, name: str) -> Array:
        return np.asarray(self.variables[f"{self.path}/{name}"], dtype=np.float64)


def conv(v: _Scope, x: Array, stride: int = 1, pad: tuple[int, int] = (0, 0)) -> Array:
    """Reflection padding before and after, on both sides of the image, then the sum over the taps of the kernel."""
    kernel = v["conv2d/kernel"]  # (kh, kw, in, out)
    x = np.pad(x, ((0, 0), pad, pad, (0, 0)), mode="reflect")
    height = (x.shape[1] - kernel.shape[0]) // stride + 1
    width = (x.shape[2] - kernel.shape[1]) // stride + 1
    out = np.zeros((x.shape[0], height, width, kernel.shape[3]))
    for row in range(kernel.shape[0]):
        for column in range(kernel.shape[1]):
            rows = slice(row, row + stride * height, stride)
            columns = slice(column, column + stride * width, stride)
            out += x[:, rows, columns] @ kernel[row, column]
    return out + v["conv2d/bias"]


def linear(v: _Scope, x: Array) -> Array:
    out: Array = x.reshape(len(x), -1) @ v["dense/kernel"] + v["dense/bias"]
    return out


def relu(x: Array) -> Array:
    return np.maximum(x, 0)


def normalise(x: Array, axes: tuple[int, ...]) -> Array:
    mean = x.mean(axis=axes, keepdims=True)
    variance = ((x - mean) ** 2).mean(axis=axes, keepdims=True)
    normalised: Array = (x - mean) / np.sqrt(variance + EPS)
    return normalised


def instance_norm(v: _Scope, x: Array) -> Array:
    return normalise(x, (1, 2)) * v["gamma"] + v["beta"]


def layer_instance_norm(x: Array, rho: Array) -> Array:
    return rho * normalise(x, (1, 2)) + (1 - rho) * normalise(x, (1, 2, 3))


def resblock(v: _Scope, x: Array) -> Array:
    first, second = v / "res1", v / "res2"
    out = relu(instance_norm(first / "instance_norm", conv(first / "conv_0", x, pad=(1, 1))))
    return x + instance_norm(second / "instance_norm", conv(second / "conv_0", out, pad=(1, 1)))


def adaptive_resblock(v: _Scope, x: Array, gamma: Array, beta: Array, smoothing: bool) -> Array:
    def norm(v: _Scope, x: Array) -> Array:
        rho = v["instance_layer_norm/rho"]
        if smoothing:
            rho = np.clip(rho - 0.1, 0.0, 1.0)
        return layer_instance_norm(x, rho) * gamma[:, None, None] + beta[:, None, None]

    first, second = v / "res1", v / "res2"
    out = relu(norm(first, conv(first / "conv_0", x, pad=(1, 1))))
    return x + norm(second, conv(second / "conv_0", out, pad=(1, 1)))


def mlp(v: _Scope, x: Array, light: bool) -> tuple[Array, Array]:
    """gamma and beta (n, 4 ch) of every AdaLIN; the full generator flattens in order h, w, c."""
    hidden = x.mean(axis=(1, 2)) if light else x
    for i in range(2):
        hidden = relu(linear(v / f"linear_{i}", hidden))
    return linear(v / "gamma", hidden), linear(v / "beta", hidden)


# Variables, as the repository's Saver would store them.

Shapes = dict[str, tuple[int, ...]]


class RandomVariables(Mapping[str, NDArray[np.float32]]):
    """Everything in a training checkpoint, each variable made anew whenever it is asked for: no memory is held.

    Values are larger than a trained network's in the places where an import could go wrong unseen: biases, norms'
    offsets, rho at both ends of its range.
    """

    def __init__(self, model: TensorFlowModel, seed: int = 0) -> None:
        self.seed = seed
        self.shapes = checkpoint_shapes(model)

    def __getitem__(self, name: str) -> NDArray[np.float32]:
        shape = self.shapes[name]
        rng = np.random.default_rng([self.seed, zlib.crc32(name.encode())])
        value = np.asarray(rng.standard_normal(shape, np.float32))
        match name.rpartition("/")[2]:
            case "kernel":
                value *= math.prod(shape[:-1]) ** -0.5
            case "rho":
                value = np.clip(0.5 + 0.4 * value, 0, 1)
            case "gamma":
                value = 1 + 0.3 * value
            case _:
                value = 0.3 * value
        return np.asarray(value, dtype=np.float32)

    def __iter__(self) -> Iterator[str]:
        return iter(self.shapes)

    def __len__(self) -> int:
        return len(self.shapes)


def checkpoint_shapes(model: TensorFlowModel) -> Shapes:
    """Names and shapes of all that the Saver stores: both generators and whatever else the options bring."""
    trained: Shapes = {}
    for scope in ("generator_A", "generator_B"):
        trained |= {f"{scope}/{name}": shape for name, shape in generator_shapes(model).items()}
    state: Shapes = {}
    if model.discriminators:
        for scope in ("discriminator_A", "discriminator_B"):
            for name, shape in discriminator_shapes(model).items():
                (state if name.endswith("/u") else trained)[f"{scope}/{name}"] = shape
    if model.adam:
        state |= {f"{name}/{slot}": shape for name, shape in trained.items() for slot in ("Adam", "Adam_1")}
        state |= dict.fromkeys(("beta1_power", "beta1_power_1", "beta2_power", "beta2_power_1"), ())
    return dict(sorted({**trained, **state}.items()))


def generator_shapes(model: TensorFlowModel) -> Shapes:
    ch, wide = model.ch, 4 * model.ch
    shapes: Shapes = {}

    def add_conv(scope: str, size: int, inputs: int, outputs: int) -> None:
        shapes[f"{scope}/conv2d/kernel"] = (size, size, inputs, outputs)
        shapes[f"{scope}/conv2d/bias"] = (outputs,)

    def add_vectors(scope: str, kinds: str, channels: int) -> None:
        shapes.update({f"{scope}/{kind}": (channels,) for kind in kinds.split()})

    def add_linear(scope: str, inputs: int, outputs: int) -> None:
        shapes[f"{scope}/dense/kernel"] = (inputs, outputs)
        shapes[f"{scope}/dense/bias"] = (outputs,)

    add_conv("conv", 7, 3, ch)
    add_vectors("ins_norm", "gamma beta", ch)
    for i, channels in enumerate((ch, 2 * ch)):
        add_conv(f"conv_{i}", 3, channels, 2 * channels)
        add_vectors(f"ins_norm_{i}", "gamma beta", 2 * channels)
    for i in range(model.n_res):
        for half in ("res1", "res2"):
            add_conv(f"resblock_{i}/{half}/conv_0", 3, wide, wide)
            add_vectors(f"resblock_{i}/{half}/instance_norm", "gamma beta", wide)
            add_conv(f"adaptive_resblock{i}/{half}/conv_0", 3, wide, wide)
            add_vectors(f"adaptive_resblock{i}/{half}/instance_layer_norm", "rho", wide)

    shapes["CAM_logit/kernel"] = (wide, 1)
    if model.separate_cam_logit:
        add_linear("CAM_logit", wide, 1)
    else:
        shapes["CAM_logit/bias"] = (1,)
    add_conv("conv_1x1", 1, 2 * wide, wide)
    style = ch * model.n_res
    add_linear("MLP/linear_0", wide * (1 if model.light else (model.img_size // 4) ** 2), style)
    for layer in ("linear_1", "gamma", "beta"):
        add_linear(f"MLP/{layer}", style, style)
    for i, channels in enumerate((wide, 2 * ch)):
        add_conv(f"up_conv_{i}", 3, channels, channels // 2)
        add_vectors(f"layer_ins_norm_{i}", "rho gamma beta", channels // 2)
    add_conv("G_logit", 7, ch, 3)
    return shapes


def discriminator_shapes(model: TensorFlowModel) -> Shapes:
    """With spectral normalisation, whose vector u is stored but not trained."""
    shapes: Shapes = {}
    for scope, strided in (("local", 3), ("global", 5)):

        def add(name: str, kernel: tuple[int, ...], scope: str = scope) -> None:
            shapes[f"{scope}/{name}/kernel"] = kernel
            shapes[f"{scope}/{name}/bias"] = kernel[-1:]
            if name != "conv_1x1/conv2d":
                shapes[f"{scope}/{name}/u"] = (1, kernel[-1])

        channels = 3
        for i in range(strided):
            add(f"conv_{i}", (4, 4, channels, model.ch << i))
            channels = model.ch << i
        add("conv_last", (4, 4, channels, 2 * channels))
        add("CAM_logit", (2 * channels, 1))
        add("conv_1x1/conv2d", (1, 1, 4 * channels, 2 * channels))
        add("D_logit", (4, 4, 2 * channels, 1))
    return shapes
