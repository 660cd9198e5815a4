"""What a start leaves over is given back."""

from __future__ import annotations

import gc
import weakref

from dagsched.daemon.memory import settle


class Ring:
    """Garbage that only the cyclic collector finds."""

    def __init__(self):
        self.own = self


def test_garbage_is_freed_and_what_stays_is_looked_at_no_more():
    garbage = weakref.ref(Ring())
    try:
        settle()
        assert garbage() is None
        assert gc.get_freeze_count() > 1000
    finally:
        gc.unfreeze()
