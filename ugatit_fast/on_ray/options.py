"""How work on Ray is asked for; costs nothing to import."""

from dataclasses import dataclass

from ugatit_fast.choices import Loading, places_of
from ugatit_fast.errors import InputError
from ugatit_fast.machine import available_cores

LOCAL = "local"
"""The address of a cluster of our own, on this machine."""


@dataclass(frozen=True, kw_only=True)
class RayOptions(Loading):
    """How many engines of a kind, and where. `threads` are those of each replica, and the cores that Ray sets aside for
    it: an even share of this machine's unless given.
    """

    replicas: int = 1
    """On Ray: processes, each with its own engines."""
    gpus_per_replica: float | None = None
    """On Ray: GPUs for each of them; 1 for an engine for GPUs unless given. 0.5 puts two on one GPU."""
    address: str = LOCAL
    """On Ray: the cluster, such as auto or HOST:6379; local starts one on this machine, which ends with the command."""

    def __post_init__(self) -> None:
        super().__post_init__()
        if places_of(self.device).gpus:
            raise InputError(
                f"on Ray, replicas are given GPUs (--gpus-per-replica): take --device cuda in place of {self.device}"
            )
        if self.replicas < 1:
            raise InputError(f"expected at least 1 replica, got {self.replicas}")
        if self.gpus_per_replica is not None and not self.gpus_per_replica >= 0:
            raise InputError(f"expected 0 or more GPUs a replica, got {self.gpus_per_replica:g}")

    @property
    def cores(self) -> int:
        """Of each replica."""
        return self.threads or max(1, available_cores() // self.replicas)
