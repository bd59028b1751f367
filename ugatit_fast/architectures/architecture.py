"""What every architecture says about itself: how its tensors look, its reference network, and its folded one."""

from abc import ABC, abstractmethod
from collections.abc import Callable, Collection, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, ClassVar, Generic, TypeVar

from torch import Tensor

from ugatit_fast.choices import ArchitectureName, Direction, Hints
from ugatit_fast.graph import FoldedNetwork
from ugatit_fast.model import Config, Reference

C = TypeVar("C", bound=Config)
T = TypeVar("T")
"""A tensor, or one that is still in its file."""
Shapes = Mapping[str, tuple[int, ...]]
"""Of tensors by their names."""


@dataclass(frozen=True, kw_only=True)
class Understood(Generic[C]):
    """What the tensors of a generator say."""

    config: C
    tensors: Mapping[str, Tensor]
    """State dict of the reference network, any float dtype."""
    notes: tuple[str, ...] = ()
    """What was inferred from what, and what was chosen where nothing says it: one sentence each."""
    direction: Direction | None = None
    """Where something beside the file says it."""
    chosen: str = ""
    """What hints or their defaults decided about the network, as `norm=batch-image`: part of its digest."""


@dataclass(frozen=True, kw_only=True)
class InTensorFlow:
    """How the published TensorFlow code of a family names what it saves, where each variable is one of the tensors."""

    scope: str
    """What the names of a generator's variables begin with, before a slash."""
    anchor: str
    """The variable, by its name within the scope, that tells the family."""
    variables: Callable[[Collection[str]], Mapping[str, str]]
    """The names of the variables that there are -> tensor of the reference network: variable that it should be."""
    depthwise: Collection[str] = ()
    """Tensors that are kernels of single channels."""
    counts_steps: bool = True
    """Whether the number in a checkpoint's name is the step; else it is the epoch."""


class Architecture(ABC, Generic[C]):
    """A family of generators; one small module each."""

    name: ClassVar[ArchitectureName]
    """What files, engines and `--architecture` call it."""
    title: ClassVar[str]
    """What people call it."""
    config: ClassVar[type[Config]]
    """What shapes one of its generators."""
    anchors: ClassVar[tuple[str, ...]]
    """Tensors of which every generator has one: where it stands in a file is where the generator does."""

    both_ways: ClassVar[bool] = False
    """Whether the tensors where an anchor is are those of both directions, which share some."""

    parts: ClassVar[tuple[str, ...]] = ("",)
    """What the names of its tensors begin with; what else stands beside them isn't its."""

    tensorflow: ClassVar[InTensorFlow | None] = None
    """Of a family whose published code is TensorFlow's."""

    about_old_files: ClassVar[str] = ""
    """What a file that PyTorch older than 1.6 saved may be instead, where its tensors can't tell."""

    def claims(self, shapes: Shapes) -> bool:
        """Whether tensors that an anchor is among are a generator of this family, or nearly one: `understand` says."""
        return True

    def towards(self, direction: Direction, tensors: Mapping[str, T]) -> Mapping[str, T]:
        """Of tensors for both ways, those that translate in this direction; else all."""
        return tensors

    @abstractmethod
    def understand(self, path: Path, tensors: Mapping[str, Tensor], hints: Hints) -> Understood[C]:
        """What tensors that it claims are, under their names in the file; path: for messages.

        Dead and dummy tensors are left out. Raises CheckpointError with a reason where they are nearly ours.
        """

    def understand_variables(self, path: Path, tensors: Mapping[str, Tensor], hints: Hints) -> Understood[C]:
        """`understand`, of tensors that the published TensorFlow code saved."""
        return self.understand(path, tensors, hints)

    @abstractmethod
    def configured(self, settings: Mapping[str, Any], side: int) -> C:
        """The config that has these `Config.settings`, for pictures of a side. TypeError or ValueError for others."""

    @abstractmethod
    def reference(self, config: C) -> Reference:
        """The network as its paper states it."""

    @abstractmethod
    def fold(self, reference: Reference) -> FoldedNetwork:
        """The inference graph of a reference network, in its dtype."""

    @abstractmethod
    def folded(self, config: C, tensors: Mapping[str, Tensor]) -> FoldedNetwork:
        """The inference graph with the tensors that another such graph has. KeyError where one is missing."""
