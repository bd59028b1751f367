"""What the TensorFlow repository (github.com/taki0112/UGATIT) calls each of the generator's tensors."""

from ugatit_fast.model import FIRST_BLOCK, GeneratorConfig

FIRST_STYLE_KERNEL = "MLP/linear_0/dense/kernel"
ATTENTION_KERNEL, ATTENTION_BIAS = "CAM_logit/kernel", "CAM_logit/bias"
OLD_LOGIT_LAYER = ("CAM_logit/dense/kernel", "CAM_logit/dense/bias")
"""Before 2019-08-20 the logits had a layer of their own; no picture depends on it."""


def variable_names(config: GeneratorConfig) -> dict[str, str]:
    """Our tensors and the variables that they come from, one to one; the class-activation weights are left out.

    Names of variables are without the generator's scope.
    """
    convs, norms, style = layer_names(config.n_res)
    names: dict[str, str] = {}
    for ours, theirs in convs.items():
        names[f"{ours}.weight"] = f"{theirs}/conv2d/kernel"
        if config.bias or ours == "conv1x1":
            names[f"{ours}.bias"] = f"{theirs}/conv2d/bias"
    for ours, theirs in style.items():
        names[f"{ours}.weight"] = f"MLP/{theirs}/dense/kernel"
        if config.bias:
            names[f"{ours}.bias"] = f"MLP/{theirs}/dense/bias"
    if config.affine_encoder:
        for ours, theirs in norms.items():
            names |= {f"{ours}.weight": f"{theirs}/gamma", f"{ours}.bias": f"{theirs}/beta"}
    for i in range(config.n_res):
        for j in (1, 2):
            names[f"UpBlock1_{i + 1}.norm{j}.rho"] = f"adaptive_resblock{i}/res{j}/instance_layer_norm/rho"
    for i, at in enumerate((3, 8)):
        names |= {f"UpBlock2.{at}.{kind}": f"layer_ins_norm_{i}/{kind}" for kind in ("rho", "gamma", "beta")}
    return names


def layer_names(n_res: int) -> tuple[dict[str, str], dict[str, str], dict[str, str]]:
    """Convolutions, the encoder's instance norms and the style layers: our modules and their scopes."""
    convs = {"DownBlock.1": "conv", "DownBlock.5": "conv_0", "DownBlock.9": "conv_1", "conv1x1": "conv_1x1"}
    convs |= {"UpBlock2.2": "up_conv_0", "UpBlock2.7": "up_conv_1", "UpBlock2.11": "G_logit"}
    norms = {"DownBlock.2": "ins_norm", "DownBlock.6": "ins_norm_0", "DownBlock.10": "ins_norm_1"}
    for i in range(n_res):
        for j, at in ((1, 1), (2, 5)):
            encoder = f"DownBlock.{FIRST_BLOCK + i}.conv_block"
            convs[f"{encoder}.{at}"] = f"resblock_{i}/res{j}/conv_0"
            norms[f"{encoder}.{at + 1}"] = f"resblock_{i}/res{j}/instance_norm"
            convs[f"UpBlock1_{i + 1}.conv{j}"] = f"adaptive_resblock{i}/res{j}/conv_0"  # no underscore there
    style = {"FC.0": "linear_0", "FC.2": "linear_1", "gamma": "gamma", "beta": "beta"}
    return convs, norms, style
