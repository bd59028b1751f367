"""Where the programs of an image meet inside a kernel, and how they leave: see `counters.py`.

No GPU promises that all of them run at once, so nobody waits for ever. `met` says whether all have come; who has lost
patience does the others' work itself. It comes out the same to the last bit, so it doesn't matter who wrote it.
"""

# ruff: noqa: ANN001, ANN201 (a kernel's arguments have no Python types)

import triton
import triton.language as tl


@triton.jit
def met(
    arrivals,  # int32, the image's counter
    expected,  # arrivals until now, of all programs together
    patience,  # polls before giving up
):
    """Announce what this program has written, and whether all of them have come. What they wrote can be read then."""
    tl.debug_barrier()  # all threads have written before one of them announces it
    arrived = tl.atomic_add(arrivals, 1, sem="acq_rel") + 1
    polls = 0
    while (arrived < expected) & (polls < patience):
        arrived = tl.atomic_add(arrivals, 0, sem="acquire")
        polls += 1
    return arrived >= expected


@triton.jit
def depart(
    counters,  # int32 (1 + n,): departures, arrivals of each image
    n,
    programs,  # of the launch
):
    """The last to leave sets every counter to zero again. In no order with anything: what a program reads of the
    counters has arrived when it gets here.
    """
    departed = tl.atomic_add(counters, 1, sem="relaxed") + 1
    if departed == programs:
        for start in range(0, n + 1, 128):
            counter = start + tl.arange(0, 128)
            tl.store(counters + counter, tl.zeros((128,), tl.int32), mask=counter < n + 1)
