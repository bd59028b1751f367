"""How long work tells what it is doing: three kinds of callback, each called on the thread that does the work."""

from collections.abc import Callable

Say = Callable[[str], None]
"""Called with a line for people."""
Counted = Callable[[int, int], None]
"""Called with what is done and what there is in all."""
Phased = Callable[[str, int, int], None]
"""Called with the name of a phase, what is done of it and what there is in all of it."""
