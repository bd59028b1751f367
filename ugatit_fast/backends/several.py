"""One engine on several GPUs: a batch is shared out, and callers at once go where the least is in hand."""

import threading
from collections.abc import Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor, wait
from contextlib import ExitStack, contextmanager
from dataclasses import replace

from ugatit_fast.backends.base import Backend, Heatmaps, Images, joined
from ugatit_fast.backends.styles import Style


class SeveralGpus:
    """Backends of the same engine, each on a GPU of its own, as one backend."""

    def __init__(self, backends: Sequence[Backend]) -> None:
        """They are this one's from now on. Its largest batch is that of one, times as many as there are."""
        self.backends = backends
        sizes = backends[0].spec.batch_sizes
        self.spec = replace(backends[0].spec, batch_sizes=(*sizes, len(backends) * max(sizes, default=1)))
        self.device = " and ".join(backend.device for backend in backends)
        self.in_hand = [0] * len(backends)
        self.counting = threading.Lock()
        self.threads = ThreadPoolExecutor(len(backends), "ugatit-gpu")

    def run(self, images: Images, style: Style | None = None) -> tuple[Images, Heatmaps | None]:
        """As `Backend.run`. Whatever a GPU raises is raised once all are done."""
        shares = shared_out(len(images), len(self.backends))
        with ExitStack() as stack:
            chosen = [stack.enter_context(self.least_busy(where.stop - where.start)) for where in shares]
            if len(shares) == 1:
                return chosen[0].run(images, style)
            running = [
                self.threads.submit(backend.run, images[where], style)
                for backend, where in zip(chosen, shares, strict=True)
            ]
            wait(running)
            return joined([one.result() for one in running], images)

    @contextmanager
    def least_busy(self, count: int) -> Iterator[Backend]:
        """The backend with the fewest pictures in hand, which has `count` more inside."""
        with self.counting:
            place = min(range(len(self.backends)), key=self.in_hand.__getitem__)
            self.in_hand[place] += count
        try:
            yield self.backends[place]
        finally:
            with self.counting:
                self.in_hand[place] -= count

    def close(self) -> None:
        """As `Backend.close`, of all."""
        self.threads.shutdown()
        for backend in self.backends:
            backend.close()


def shared_out(count: int, among: int) -> list[slice]:
    """`count` pictures in runs of about the same length: as many as there are GPUs, or pictures; one at least."""
    parts = max(1, min(count, among))
    return [slice(count * i // parts, count * (i + 1) // parts) for i in range(parts)]
