"""The project's operations as ONNX functions of standard operators, in ONNX's text form."""

from ugatit_fast.export.plugin_contract import APPLY, APPLY_ADD, STATS

CHANNEL_STATS = f"""
{STATS} <splits: ints, tiles: ints> (x, bias) => (channels, layer) {{
    parts = Constant <value_ints: ints = @splits> ()
    groups = Constant <value_ints: ints = @tiles> ()
    keep = Constant <value_ints = [0]> ()
    rest = Constant <value_ints = [-1]> ()
    one = Constant <value_ints = [1]> ()
    last = Constant <value_ints = [3]> ()
    wide = Cast <to = 1> (x)
    split_shape = Concat <axis = 0> (keep, keep, parts, rest)
    split = Reshape (wide, split_shape)
    mean = ReduceMean <keepdims = 1> (split, last)
    deviation = Sub (split, mean)
    square = Mul (deviation, deviation)
    m2 = ReduceSum <keepdims = 1> (square, last)
    pair = Concat <axis = 3> (mean, m2)
    channels = Transpose <perm = [0, 2, 3, 1]> (pair)

    bias_axes = Constant <value_ints = [1, 2]> ()
    bias3 = Unsqueeze (bias, bias_axes)
    moved = Add (mean, bias3)
    tile_shape = Concat <axis = 0> (keep, groups, rest, parts)
    tile_mean = Reshape (moved, tile_shape)
    tile_m2 = Reshape (m2, tile_shape)
    tile_axis = Constant <value_ints = [2]> ()
    layer_mean = ReduceMean <keepdims = 1> (tile_mean, tile_axis)
    apart = Sub (tile_mean, layer_mean)
    apart2 = Mul (apart, apart)
    pixels_i = Shape <start = 3, end = 4> (split)
    pixels = Cast <to = 1> (pixels_i)
    between = Mul (apart2, pixels)
    spread = Add (tile_m2, between)
    layer_m2 = ReduceSum <keepdims = 1> (spread, tile_axis)
    layer_pair = Concat <axis = 2> (layer_mean, layer_m2)
    layer = Transpose <perm = [0, 3, 1, 2]> (layer_pair)
}}
"""
"""What kernels/statistics_triton.py computes, for splits and channel tiles of equal size: mean and summed squared
deviation of every channel over every split, float32 (n, splits, 2, c), and of x + bias over the channels of a tile,
float32 (n, splits, tiles, 2).
"""

NORM_APPLY_BODY = """
    one = Constant <value_float = 1.0> ()
    small = Constant <value_floats: floats = @eps> ()
    lost = Constant <value_ints: ints = @correction> ()
    lost_f = Cast <to = 1> (lost)
    floor_ = Constant <value_floats: floats = @floor> ()
    borders = Constant <value_ints: ints = @pads> ()
    parts_axes = Constant <value_ints = [1, 2]> ()
    plane_axes = Constant <value_ints = [2, 3]> ()

    plane = Shape <start = 2, end = 4> (x)
    pixels_i = ReduceProd <keepdims = 0> (plane)
    pixels = Cast <to = 1> (pixels_i)
    channels_i = Shape <start = 1, end = 2> (x)
    channel_count = Cast <to = 1> (channels_i)
    count = Mul (pixels, channel_count)
    splits_i = Shape <start = 1, end = 2> (channels)
    splits = Cast <to = 1> (splits_i)
    tiles_i = Shape <start = 2, end = 3> (layer)
    tiles = Cast <to = 1> (tiles_i)

    part_mean, part_m2 = Split <axis = 2, num_outputs = 2> (channels)
    mean_kept = ReduceMean <keepdims = 1> (part_mean, parts_axes)
    apart = Sub (part_mean, mean_kept)
    apart2 = Mul (apart, apart)
    split_pixels = Div (pixels, splits)
    between = Mul (apart2, split_pixels)
    spread = Add (part_m2, between)
    m2 = ReduceSum <keepdims = 0> (spread, parts_axes)
    mean = Squeeze (mean_kept, parts_axes)

    tile_mean, tile_m2 = Split <axis = 3, num_outputs = 2> (layer)
    layer_kept = ReduceMean <keepdims = 1> (tile_mean, parts_axes)
    tile_apart = Sub (tile_mean, layer_kept)
    tile_apart2 = Mul (tile_apart, tile_apart)
    pairs = Mul (splits, tiles)
    pair_count = Div (count, pairs)
    tile_between = Mul (tile_apart2, pair_count)
    tile_spread = Add (tile_m2, tile_between)
    layer_m2 = ReduceSum <keepdims = 0> (tile_spread, parts_axes)
    layer_mean = Squeeze (layer_kept, parts_axes)

    mean_c = Add (mean, bias)
    offset = Sub (mean_c, layer_mean)
    count_less = Sub (count, lost_f)
    var_l = Div (layer_m2, count_less)
    pixels_less = Sub (pixels, lost_f)
    var_c = Div (m2, pixels_less)

    safe_c = Add (var_c, small)
    root_c = Sqrt (safe_c)
    scale_c = Div (one, root_c)
    safe_l = Add (var_l, small)
    root_l = Sqrt (safe_l)
    scale_l = Div (one, root_l)
    rest = Sub (one, rho)
    layer_part = Mul (rest, scale_l)
    instance_part = Mul (rho, scale_c)
    mixed = Add (instance_part, layer_part)
    a = Mul (gamma, mixed)
    shift_l = Mul (layer_part, offset)
    shift = Mul (gamma, shift_l)
    b = Add (beta, shift)

    a4 = Unsqueeze (a, plane_axes)
    b4 = Unsqueeze (b, plane_axes)
    mean4 = Unsqueeze (mean, plane_axes)
    wide = Cast <to = 1> (x)
    centred = Sub (wide, mean4)
    scaled = Mul (centred, a4)
    affine = Add (scaled, b4)
    active = Max (affine, floor_)
"""

NORM_ATTRIBUTES = "eps: floats, correction: ints, floor: floats, pads: ints, mode: string"
"""Numbers are lists of one: bindings before 11.2 can't read a single one beside NumPy 2.4."""

NORM_APPLY = f"""
{APPLY} <{NORM_ATTRIBUTES}>
(x, channels, layer, gamma, beta, rho, bias) => (y) {{ {NORM_APPLY_BODY}
    narrow = CastLike (active, x)
    y = Pad <mode: string = @mode> (narrow, borders)
}}
"""
"""relu(gamma * (rho * IN + (1 - rho) * LN) + beta), then the border; the formula is in kernels/adalin.py."""

NORM_APPLY_ADD = f"""
{APPLY_ADD} <{NORM_ATTRIBUTES}>
(x, channels, layer, gamma, beta, rho, bias, residual) => (y) {{ {NORM_APPLY_BODY}
    starts = Constant <value_ints = [1, 1]> ()
    ends = Constant <value_ints = [-1, -1]> ()
    inside = Slice (residual, starts, ends, plane_axes)
    inside32 = Cast <to = 1> (inside)
    sum = Add (active, inside32)
    narrow = CastLike (sum, x)
    y = Pad <mode: string = @mode> (narrow, borders)
}}
"""
"""The same, plus the interior of a residual that has a border of 1."""

BIAS_RELU = """
bias_relu <pads: ints, mode: string> (x, bias) => (y) {
    borders = Constant <value_ints: ints = @pads> ()
    bias_axes = Constant <value_ints = [1, 2]> ()
    wide = Cast <to = 1> (x)
    bias3 = Unsqueeze (bias, bias_axes)
    sum = Add (wide, bias3)
    active = Relu (sum)
    narrow = CastLike (active, x)
    y = Pad <mode: string = @mode> (narrow, borders)
}
"""

INTERLEAVE_PHASES = """
interleave_phases (phases) => (y) {
    axes = Constant <value_ints = [2, 3]> ()
    p0, p1, p2, p3 = Split <axis = 1, num_outputs = 4> (phases)
    s0 = Constant <value_ints = [0, 0]> ()
    s1 = Constant <value_ints = [0, 1]> ()
    s2 = Constant <value_ints = [1, 0]> ()
    s3 = Constant <value_ints = [1, 1]> ()
    e0 = Constant <value_ints = [-1, -1]> ()
    e1 = Constant <value_ints = [-1, 9223372036854775807]> ()
    e2 = Constant <value_ints = [9223372036854775807, -1]> ()
    e3 = Constant <value_ints = [9223372036854775807, 9223372036854775807]> ()
    q0 = Slice (p0, s0, e0, axes)
    q1 = Slice (p1, s1, e1, axes)
    q2 = Slice (p2, s2, e2, axes)
    q3 = Slice (p3, s3, e3, axes)
    together = Concat <axis = 1> (q0, q1, q2, q3)
    y = DepthToSpace <blocksize = 2, mode = "DCR"> (together)
}
"""

NORMALISE_IMAGE = """
normalise_image <pads: ints, dtype: int> (image) => (x) {
    borders = Constant <value_ints: ints = @pads> ()
    half_range = Constant <value_float = 127.5> ()
    one = Constant <value_float = 1.0> ()
    wide = Cast <to = 1> (image)
    scaled = Div (wide, half_range)
    centred = Sub (scaled, one)
    planes = Transpose <perm = [0, 3, 1, 2]> (centred)
    padded = Pad <mode = "reflect"> (planes, borders)
    x = Cast <to: int = @dtype> (padded)
}
"""


def rows_to_image(rows: int) -> str:
    """The function that finishes a convolution in row form with `rows` kernel rows.

    The cast to uint8 is its last step: TensorRT has the type for inputs and outputs of a network only.
    """
    lines = [
        "rows_to_image (rows, bias) => (image) {",
        "    height_axis = Constant <value_ints = [2]> ()",
        "    bias_axes = Constant <value_ints = [1, 2]> ()",
        "    wide = Cast <to = 1> (rows)",
        ", ".join(f"r{r}" for r in range(rows)) + f" = Split <axis = 1, num_outputs = {rows}> (wide)",
    ]
    for r in range(rows):
        end = r - rows + 1 or 2**63 - 1
        lines += [
            f"    from{r} = Constant <value_ints = [{r}]> ()",
            f"    to{r} = Constant <value_ints = [{end}]> ()",
            f"    shifted{r} = Slice (r{r}, from{r}, to{r}, height_axis)",
        ]
    lines += [
        "    total = Sum (" + ", ".join(f"shifted{r}" for r in range(rows)) + ")",
        "    bias3 = Unsqueeze (bias, bias_axes)",
        "    biased = Add (total, bias3)",
        "    picture = Tanh (biased)",
        "    half_range = Constant <value_float = 127.5> ()",
        "    scaled = Mul (picture, half_range)",
        "    levels = Add (scaled, half_range)",
        "    rounded = Round (levels)",
        "    pixels = Transpose <perm = [0, 2, 3, 1]> (rounded)",
        "    image = Cast <to = 2> (pixels)",
        "}",
    ]
    return "\n".join(lines)
