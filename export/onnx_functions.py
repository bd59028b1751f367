"""What our TensorRT plugins compute, as ONNX functions of standard operators in ONNX's text form."""

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
