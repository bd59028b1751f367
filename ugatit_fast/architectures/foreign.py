"""What is known by the names of its tensors and isn't read, for error messages."""

import re
from collections.abc import Iterator, Sequence

NAMED_IN_MESSAGES = 3
"""How many names an error lists."""
ITS_GENERATOR = "the generator is in the file with net_G in its name"
ITS_BOTH = "the generators are in the gen_*.pt beside it"
OF_BOTH = 'a direction takes tensors of both: expected gen_*.pt as its training saves it, {"a": ..., "b": ...}'
OF_DRIT = "of which a direction takes enc_c, enc_a and gen: expected the file as its training saves it"
NEIGHBOURS = (
    (r"(^|\.)HourGlass\d", "it looks like a part of a photo2cartoon generator"),
    (r"^[ab]\.enc_content\.|(^|\.)(enc_style|mlp)\.model\.", f"it looks like one domain of MUNIT, and {OF_BOTH}"),
    (r"(^|\.)enc_content\.", "it looks like CUT's netG resnet_cat, which isn't served; expected resnet_9blocks"),
    (r"(^|\.)enc_c\.conv\.", "it looks like MDMM, the network of DRIT's authors for many domains, which isn't served"),
    (
        r"(^|\.)(enc_[ca]|conv_share|dec_share|dec[AB]\d|mlp[AB]|(conv|fc)_[AB]|model_[ab])\.",
        f"it looks like a part of DRIT, {OF_DRIT}",
    ),
    (r"(^|\.)enc\.model\.", f"it looks like one domain of UNIT, and {OF_BOTH}"),
    (r"(^|\.)cnns\.\d+\.\d+\.conv\.", f"it looks like the discriminators of UNIT or MUNIT (dis_*.pt); {ITS_BOTH}"),
    (r"(^|\.)state\.\d+\.exp_avg", f"it looks like the state of an optimiser (optimizer.pt); {ITS_BOTH}"),
    (r"(^|\.)block_a\.", "it looks like a part of an AnimeGANv2 generator"),
    (r"(^|\.)model\.model\.1\.model\.", "it looks like a part of a pix2pix generator (a U-Net)"),
    (r"weight_orig$", "it looks like a discriminator; expected genA2B or genB2A"),
    (r"(^|\.)mlp_\d+\.\d+\.", f"it looks like CUT's netF, which only training needs; {ITS_GENERATOR}"),
    (r"\.mlp_shared\.", "it looks like a SPADE generator, which makes pictures of label maps and isn't served"),
    (
        r"(^|\.)(convs\.\d+\.conv|synthesis\.b\d+|mapping\.fc\d+|to_rgbs?\d*)\.",
        "it looks like a StyleGAN generator (SinCUT's too), which isn't served",
    ),
    (r"(^|\.)model1_1\.", "it looks like pix2pixHD's local enhancer (netG local), which isn't served"),
    (r"(^|\.)(scale\d+_)?layer\d+\.\d+\.", f"it looks like a discriminator of pix2pixHD; {ITS_GENERATOR}"),
    (r"(^|\.)model\.0\.(weight|bias)$", f"it looks like a discriminator of CycleGAN, pix2pix or CUT; {ITS_GENERATOR}"),
    (r"(^|\.)model\.\d+\.", "it looks like a part of a CycleGAN, pix2pix or CUT network"),
    (r"^generator/G_MODEL/b\d/", "it looks like AnimeGAN's first generator, which isn't served; expected AnimeGANv2's"),
    (
        r"^generator/G_MODEL/(Conv|res\d)",
        "it looks like AnimeGANv2's light generator (generator_lite.py), which isn't served",
    ),
    (r"^generator/G_MODEL/", "it looks like a part of an AnimeGANv2 generator"),
    (r"^generator/(base|support|main)/", "it looks like AnimeGANv3's generator, which isn't served"),
    (r"^generator/(Conv|block_\d)", "it looks like a part of a generator of white-box cartoonization"),
    (r"^generator(_[AB])?/", "it looks like another TensorFlow network"),
    (r"^disc(riminator|_)", "it looks like a discriminator; the generator is in another checkpoint"),
)
"""What in a tensor's name tells a network of another kind."""


def kin(found: Sequence[str]) -> str:
    """What tensors that aren't a generator's look like, for an error message."""
    known = next((what for pattern, what in NEIGHBOURS if any(re.search(pattern, name) for name in found)), None)
    first = f"its first tensors are {some(found)}"
    return f"{known}; {first}" if known else first


def some(found: Sequence[str] | Iterator[str]) -> str:
    """The first few of many names."""
    names = list(found)
    rest = len(names) - NAMED_IN_MESSAGES
    return ", ".join(names[:NAMED_IN_MESSAGES]) + (f" and {rest} more" if rest > 0 else "")
