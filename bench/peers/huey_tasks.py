"""Tasks that do nothing, in a Huey on SQLite; imported by its consumer too.

`python huey_tasks.py COUNT` enqueues that many. `HUEY_FILE` names the database; `HUEY_FSYNC` is 1 where a commit is to
be on the disk, which Huey also does when nothing is said, and 0 where not.
"""

from __future__ import annotations

import os
import sys

from huey import SqliteHuey

huey = SqliteHuey("bench", filename=os.environ["HUEY_FILE"], fsync=os.environ["HUEY_FSYNC"] == "1")


@huey.task(name="noop")
def noop() -> None:
    """Do nothing. None is a result that Huey does not keep, which spares it a commit."""


if __name__ == "__main__":
    for _ in range(int(sys.argv[1])):
        noop()
