"""`ugatit-fast convert`."""

from pathlib import Path

from ugatit_fast.choices import (
    ConvertDirection,
    Precision,
    Smoothing,
)
from ugatit_fast.commands.arguments import (
    Flag,
    say,
    smooths,
)


def convert(
    source: Path,
    target: Path,
    /,
    *,
    direction: ConvertDirection | None = None,
    precision: Precision = "fp32",
    smoothing: Smoothing | None = None,
    verify: Flag = False,
    offline: Flag = False,
) -> None:
    """Convert any checkpoint to one small .safetensors generator, which every command reads.

    Parameters
    ----------
    source
        A checkpoint of any kind that build-engine reads.
    target
        The .safetensors file, or a folder.
    direction
        Which generator to take, or both in a file each; A2B unless given.
    precision
        fp16 halves the size.
    smoothing
        As for build-engine.
    verify
        Also compare the checksums of the weights, where the format has any.
    offline
        Take what hf:// names from the cache; don't use the network.
    """
    from ugatit_fast.checkpoint.convert import convert as convert_checkpoint

    written = convert_checkpoint(
        source,
        target,
        direction=direction,
        precision=precision,
        smoothing=smooths(smoothing),
        verify=verify,
        offline=offline,
        say=say,
    )
    for file in written:
        print(file.describe())
