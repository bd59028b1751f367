"""A batch of any size as pieces that an engine serves."""

from collections.abc import Iterator


def pieces(count: int, batch_sizes: tuple[int, ...]) -> Iterator[tuple[slice, int]]:
    """Which images go next, and as a batch of what size; the last piece may be smaller than its batch.

    Each piece is the largest batch size that the images left fill, else the smallest there is; all at once where
    `batch_sizes` is empty, which stands for any.
    """
    done = 0
    while done < count:
        left = count - done
        size = max((size for size in batch_sizes if size <= left), default=min(batch_sizes, default=left))
        yield slice(done, min(done + size, count)), size
        done += size
