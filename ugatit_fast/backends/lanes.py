"""As many of a backend's callers at once as have lanes to compute in."""

import queue
import threading
import warnings
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Generic, TypeVar

from ugatit_fast.backends.border import ran_out_of_memory

Lane = TypeVar("Lane")


class Lanes(Generic[Lane]):
    """What callers compute with, one at a time each: made when they are first needed, kept for the next."""

    def __init__(self, make: Callable[[], Lane], most: int) -> None:
        """make: a new lane; the first is made here, and whatever that raises is raised. most: the others wait."""
        self.make, self.most = make, most
        self.free: queue.LifoQueue[Lane] = queue.LifoQueue()
        self.counting = threading.Lock()
        self.free.put(make())
        self.count = 1

    @contextmanager
    def lane(self) -> Iterator[Lane]:
        """A lane that nobody else uses: a free one, a new one, or when there are enough, the next that gets free."""
        try:
            lane = self.free.get_nowait()
        except queue.Empty:
            lane = self.another() or self.free.get()
        try:
            yield lane
        finally:
            self.free.put(lane)

    def another(self) -> Lane | None:
        """None where there are enough, or the GPU has no memory for more."""
        with self.counting:
            if self.count >= self.most:
                return None
            try:
                lane = self.make()
            except Exception as error:
                if not ran_out_of_memory(error):
                    raise
                self.most = self.count
                warnings.warn(
                    f"{self.count} threads compute at once, others wait: there is no memory for more ({error})",
                    stacklevel=2,
                )
                return None
            self.count += 1
            return lane

    def close(self) -> Iterator[Lane]:
        """Every lane, once its caller is done with it; there are none afterwards."""
        for _ in range(self.count):
            yield self.free.get()
        self.count = self.most = 0
