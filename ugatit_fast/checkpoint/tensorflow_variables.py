"""The variables of one generator in a TensorFlow checkpoint, whatever its family."""

import re
from collections.abc import Collection, Iterable

import numpy as np

from ugatit_fast.architectures.foreign import some
from ugatit_fast.errors import CheckpointError
from ugatit_fast.tensor_bundle import TensorBundle
from ugatit_fast.tensor_bundle.bundle import AnyArray

FORMAT = "TensorFlow checkpoint"
"""Of a checkpoint, in words."""
SLOT = re.compile(r"(.*/)?(Adam|beta[12]_power)(_\d+)?")
"""What optimisers store beside the variables."""


def all_names(bundle: TensorBundle) -> list[str]:
    return [*bundle.entries, *bundle.unreadable]


def parts_besides(scope: str, names: Collection[str]) -> tuple[str, ...]:
    """What else a checkpoint holds: its other networks by name, the optimiser's state as one."""
    networks = {name.partition("/")[0] for name in names if not SLOT.fullmatch(name)} - {scope.partition("/")[0]}
    return (*sorted(networks), *(("the optimiser's state",) if any(map(SLOT.fullmatch, names)) else ()))


def number_in(bundle: TensorBundle) -> int | None:
    """What the saver counted, as the checkpoint's name says it: `model-33999`, `Hayao-64.ckpt`."""
    found = re.fullmatch(r".*-(\d+)(\.ckpt)?", bundle.prefix.name)
    return int(found[1]) if found else None


class Variables:
    """The variables of one generator in an open checkpoint, called by their names within its scope."""

    def __init__(self, bundle: TensorBundle, scope: str) -> None:
        """scope: without the slash at its end."""
        self.bundle, self.scope = bundle, scope
        self.names = {
            name.removeprefix(f"{scope}/")
            for name in all_names(bundle)
            if name.startswith(f"{scope}/") and not SLOT.fullmatch(name)
        }

    def verify(self) -> None:
        """Compare every checksum."""
        for name in sorted(self.names):
            self.bundle.read(f"{self.scope}/{name}", verify=True)
        self.bundle.close()  # pages that were read count as memory of ours while they are mapped

    def check_names(self, wanted: Iterable[str], whose: str) -> None:
        """CheckpointError unless there are these and no others. whose: what the generator should be."""
        expected = set(wanted)
        differences = (("lacks", expected - self.names), ("also has", self.names - expected))
        parts = [f"{kind} {some(sorted(names))}" for kind, names in differences if names]
        if parts:
            raise CheckpointError(f"{self.bundle.prefix}: {self.scope} is not {whose}: it {' and '.join(parts)}")

    def read(self, name: str) -> AnyArray:
        array = self.bundle.read(f"{self.scope}/{name}")
        self.check_type(name, array)
        return array

    def check_type(self, name: str, array: AnyArray) -> None:
        if not np.issubdtype(array.dtype, np.floating):
            raise CheckpointError(
                f"{self.bundle.prefix}: {self.scope}/{name} is {array.dtype}; expected floating point weights"
            )
