"""Give back what a start has left over.

Reading a large set of job files takes many times the memory that the jobs keep: nodes, texts, the first commit. What
the allocator holds of it afterwards stays with the process for months, unless it is told to return it.
"""

from __future__ import annotations

import gc
from contextlib import suppress

# Runs and events are freed when their last reference goes; a look for cycles among them after each 700 finds none.
OBJECTS_BEFORE_A_LOOK = 20_000


def rest(objects: int = OBJECTS_BEFORE_A_LOOK) -> None:
    """Look no more for garbage among what is there now, and among what comes after so many objects more."""
    gc.freeze()
    gc.set_threshold(objects, 20, 20)


def settle() -> None:
    """Free what is left over, give it back to the system, and look no more for garbage among what stays.

    Takes about a millisecond for each megabyte in use, so it belongs where nobody waits yet: at the end of a start. The
    collector would else walk through every job there is now and then, and a hundred thousand take it a tenth of a
    second, in which nothing starts.
    """
    import ctypes  # `run --once` does without

    gc.collect()
    rest()
    # malloc_trim(3) is glibc's; others give memory back by themselves, or cannot.
    with suppress(OSError, AttributeError):
        ctypes.CDLL(None).malloc_trim(0)
