"""How a comparison, and a study of it, is asked for. Costs nothing to import."""

from dataclasses import dataclass

from ugatit_fast.choices import Fit, check_choice
from ugatit_fast.errors import InputError

FEWEST_METHODS = 2


@dataclass(frozen=True, kw_only=True)
class CompareOptions:
    """How methods meet the photos. `size` is (height, width)."""

    fit: Fit = "crop"
    """How a photo of another shape meets each method's size: its middle, all of it squashed, or padded for the time."""
    size: tuple[int, int] | None = None
    """Height x width that methods translate at which serve any size; each its own unless given."""
    data_set: str | None = None
    """What tables call the photos; by their folder unless given."""
    target_name: str | None = None
    """What translations are to look like, in the plural, such as "anime faces": page and study say it. Known of weights
    that are on the list, and of the pair in the package."""
    style: tuple[str, ...] = ()
    """Of methods that draw in styles (MUNIT): a seed, such as 7; numbers, with commas between them; or a picture.
    NAME=STYLE is of the method of that name alone. Several times: a column each. Seed 0 unless given."""
    rounds: int = 7
    """Rounds in which every method translates one photo against the clock; 0 leaves times out."""

    def __post_init__(self) -> None:
        check_choice("fit", self.fit, Fit)
        if self.rounds < 0:
            raise InputError(f"rounds must be at least 0, got {self.rounds}")


@dataclass(frozen=True, kw_only=True)
class StudyOptions:
    """How people are asked."""

    questions: int | None = None
    """Most that one person is asked; about every photo unless given."""

    def __post_init__(self) -> None:
        if self.questions is not None and self.questions < 1:
            raise InputError(f"questions must be at least 1, got {self.questions}")
