"""The two statements of the network agree where the two repositories do."""

import numpy as np
import pytest
import torch

from tests.checkpoint.tensorflow_reference import (
    RandomVariables,
    TensorFlowModel,
    checkpoint_shapes,
    generator_shapes,
    translate,
)
from ugatit_fast.model import Generator, GeneratorConfig


@pytest.mark.parametrize("light", [True, False])
def test_agrees_with_the_paper_s_generator(light: bool) -> None:
    """Without what only TensorFlow's has: biases, affine norms, smoothing."""
    model = TensorFlowModel(ch=4, light=light, img_size=16, smoothing=False)
    variables = dict(RandomVariables(model))
    for name in variables:
        if name.endswith(("/bias", "/beta")) and "layer_ins_norm" not in name and "conv_1x1" not in name:
            variables[name] = np.zeros_like(variables[name])
        if name.endswith("/gamma") and "layer_ins_norm" not in name:
            variables[name] = np.ones_like(variables[name])

    generator = Generator(GeneratorConfig(ch=4, light=light, img_size=16, unbiased=False)).double()
    v = {
        name.removeprefix("generator_B/"): torch.from_numpy(value).double()
        for name, value in variables.items()
        if name.startswith("generator_B/")
    }
    convs = {"DownBlock.1": "conv", "DownBlock.5": "conv_0", "DownBlock.9": "conv_1", "conv1x1": "conv_1x1"}
    convs |= {"UpBlock2.2": "up_conv_0", "UpBlock2.7": "up_conv_1", "UpBlock2.11": "G_logit"}
    state = {"conv1x1.bias": v["conv_1x1/conv2d/bias"]}
    for i in range(4):
        for half in (1, 2):
            convs[f"DownBlock.{12 + i}.conv_block.{4 * half - 3}"] = f"resblock_{i}/res{half}/conv_0"
            convs[f"UpBlock1_{i + 1}.conv{half}"] = f"adaptive_resblock{i}/res{half}/conv_0"
            rho = v[f"adaptive_resblock{i}/res{half}/instance_layer_norm/rho"]
            state[f"UpBlock1_{i + 1}.norm{half}.rho"] = rho.reshape(1, -1, 1, 1)
    for i, layer in enumerate((3, 8)):
        for kind in ("rho", "gamma", "beta"):
            state[f"UpBlock2.{layer}.{kind}"] = v[f"layer_ins_norm_{i}/{kind}"].reshape(1, -1, 1, 1)
    state |= {f"{ours}.weight": v[f"{theirs}/conv2d/kernel"].permute(3, 2, 0, 1) for ours, theirs in convs.items()}
    for ours, theirs in {"FC.2": "linear_1", "gamma": "gamma", "beta": "beta"}.items():
        state[f"{ours}.weight"] = v[f"MLP/{theirs}/dense/kernel"].T
    first = v["MLP/linear_0/dense/kernel"]
    state["FC.0.weight"] = (first if light else first.reshape(4, 4, 16, 16).permute(2, 0, 1, 3).reshape(256, 16)).T
    state |= {f"{pool}_fc.weight": v["CAM_logit/kernel"].T for pool in ("gap", "gmp")}
    generator.load_state_dict(state)

    image = np.random.default_rng(1).uniform(-1, 1, (2, 16, 16, 3))
    with torch.no_grad():
        expected, _, expected_heatmap = generator(torch.from_numpy(image).permute(0, 3, 1, 2))
    translated, heatmap = translate(model, variables, image)
    assert np.abs(translated).max() > 0.3
    np.testing.assert_allclose(translated, expected.permute(0, 2, 3, 1).numpy(), atol=1e-10)
    np.testing.assert_allclose(heatmap, expected_heatmap[:, 0].numpy(), atol=1e-10)


@pytest.mark.parametrize("light", [True, False])
@pytest.mark.parametrize("separate_cam_logit", [True, False])
def test_every_variable_but_cancelled_biases_matters(light: bool, separate_cam_logit: bool) -> None:
    """So that an import which forgets one cannot pass for right."""
    model = TensorFlowModel(ch=2, light=light, img_size=8, separate_cam_logit=separate_cam_logit)
    variables = {name: value for name, value in RandomVariables(model).items() if name.startswith("generator_B/")}
    image = np.random.default_rng(1).uniform(-1, 1, (1, 8, 8, 3))
    before, _ = translate(model, variables, image)
    silent = set()
    for name in generator_shapes(model):
        full_name = f"generator_B/{name}"
        without, _ = translate(model, {**variables, full_name: np.roll(variables[full_name], 1, axis=0) + 0.2}, image)
        if np.abs(without - before).max() < 1e-6:
            silent.add(name)
    cancelled = {"conv/conv2d/bias", "conv_0/conv2d/bias", "conv_1/conv2d/bias"}
    cancelled |= {f"resblock_{i}/{half}/conv_0/conv2d/bias" for i in range(4) for half in ("res1", "res2")}
    unused = {"CAM_logit/dense/kernel", "CAM_logit/dense/bias"} if separate_cam_logit else set()
    assert silent == cancelled | unused


@pytest.mark.parametrize(("light", "parameters"), [(True, 10_600_388), (False, 278_970_308)])
def test_sizes_are_those_of_the_published_network(light: bool, parameters: int) -> None:
    shapes = generator_shapes(TensorFlowModel(light=light))
    assert sum(int(np.prod(shape)) for shape in shapes.values()) == parameters
    gigabytes = sum(4 * int(np.prod(shape)) for shape in checkpoint_shapes(TensorFlowModel(light=light)).values()) / 1e9
    assert gigabytes == pytest.approx(1.61 if light else 8.05, rel=0.005)
