"""What the TensorFlow code of AnimeGANv2 (github.com/TachibanaYoshino/AnimeGANv2) calls the generator's tensors."""

LAYERS = {"a": (0, 1, 2), "b": (0, 1), "c": (0, -1), "d": (0, 1), "e": (0, 1, 2)}
"""Those of each block that aren't residual blocks, in order."""
NTH = ("", "_1", "_2")
"""What TensorFlow appends to a name that it gives again within a scope."""


def variable_names(residual_blocks: int) -> dict[str, str]:
    """Our tensors and the variables that they come from, one to one, without the generator's scope."""
    convolutions = {"out_layer.0": "out_layer/Conv"}
    norms: dict[str, str] = {}
    for block, layers in LAYERS.items():
        for layer, nth in zip(layers, NTH, strict=False):
            ours, theirs = f"block_{block}.{layer % (residual_blocks + 2)}", block.upper()
            convolutions[f"{ours}.1"] = f"{theirs}/Conv{nth}"
            norms[f"{ours}.2"] = f"{theirs}/LayerNorm{nth}"
    names: dict[str, str] = {}
    for i in range(1, 1 + residual_blocks):
        ours, theirs = f"block_c.{i}.layers", f"C/r{i}"
        convolutions |= {f"{ours}.0.1": f"{theirs}/Conv", f"{ours}.2": f"{theirs}/Conv_1"}
        norms |= {f"{ours}.0.2": f"{theirs}/LayerNorm", f"{ours}.1.2": f"{theirs}/1", f"{ours}.3": f"{theirs}/2"}
        names |= {depthwise_kernel(i): f"{theirs}/r{i}/w", f"{ours}.1.1.bias": f"{theirs}/r{i}/bias"}
    names |= {f"{ours}.weight": f"{theirs}/weights" for ours, theirs in convolutions.items()}
    for ours, theirs in norms.items():
        names |= {f"{ours}.weight": f"{theirs}/gamma", f"{ours}.bias": f"{theirs}/beta"}
    return names


def depthwise_kernel(residual_block: int) -> str:
    """The tensor that has a kernel for each channel by itself."""
    return f"block_c.{residual_block}.layers.1.1.weight"
