"""`ugatit-fast convert`."""

from pathlib import Path
from typing import Annotated

from ugatit_fast.choices import ConvertDirection, Reading, StoredPrecision
from ugatit_fast.commands.arguments import READING, CheckpointSource, Checksums, Offline, options, say


def convert(
    source: CheckpointSource,
    target: Path,
    /,
    *,
    direction: ConvertDirection | None = None,
    reading: Annotated[Reading, options()] = READING,
    precision: StoredPrecision = "fp32",
    verify: Checksums = False,
    offline: Offline = False,
) -> None:
    """Convert any checkpoint to one small .safetensors generator.

    Every command reads such a file.

    ```
    ugatit-fast convert selfie2anime.pt small.safetensors --precision fp16
    ugatit-fast convert selfie2anime.zip generators/ --direction both
    ```

    Parameters
    ----------
    target
        The .safetensors file, or a folder, made if missing.
    direction
        Which generator to take, or both in a file each; A2B unless given.
    precision
        fp16 halves the size.
    """
    from ugatit_fast.checkpoint.convert import convert as convert_checkpoint

    written = convert_checkpoint(
        source,
        target,
        direction=direction,
        network=reading.network,
        hints=reading,
        precision=precision,
        smoothing=reading.smooths,
        verify=verify,
        offline=offline,
        say=say,
    )
    for file in written:
        print(file.describe())
