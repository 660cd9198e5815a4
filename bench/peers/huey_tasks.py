"""Tasks that do nothing, in a Huey on SQLite; imported by what enqueues them and by Huey's consumer.

`HUEY_FILE` names the database; `HUEY_FSYNC` is 1 where a commit is to be on the disk, which Huey also does when nothing
is said, and 0 where not.
"""

from __future__ import annotations

import os

from huey import SqliteHuey

huey = SqliteHuey("bench", filename=os.environ["HUEY_FILE"], fsync=os.environ["HUEY_FSYNC"] == "1")


@huey.task()
def noop() -> None:
    """Do nothing. None is a result that Huey does not keep, which spares it a commit."""


def enqueue(count: int) -> None:
    """Enqueue that many. Not by running this file: tasks of `__main__` are unknown to the consumer."""
    for _ in range(count):
        noop()
