"""Which of procrastinate's queues an attempt goes through: one for each queue of ours with each set of labels.

So a worker names every set of labels that it has all of, and whatever it fetches is for it; nothing that it cannot do
ever stands before what it can. procrastinate notifies on a channel that bears the queue's name, and PostgreSQL's names
have at most 63 bytes (https://www.postgresql.org/docs/current/limits.html), of which 23 are a prefix.
"""

from __future__ import annotations

import hashlib
import re
from collections.abc import Iterable, Sequence
from importlib.resources import files
from itertools import combinations

from dagsched.errors import StoreError, UsageError

NOTIFIED = "procrastinate_queue_v1#"
CHANNELS_MAX = 1024
_HEAD, _DIGEST = 20, 16


def channel_of(queue: str, labels: Iterable[str]) -> str:
    """Return procrastinate's queue for what wants these labels of workers of a queue, of at most 40 characters."""
    wanted = sorted(labels)
    if not wanted:
        return queue
    digest = hashlib.sha256("\n".join([queue, *wanted]).encode()).hexdigest()
    return f"{queue[:_HEAD]}+{digest[:_DIGEST]}"


def channels_of(queues: Sequence[str], labels: Sequence[str]) -> list[str]:
    """Return all that a worker may fetch from; raises UsageError when those are too many."""
    number = len(queues) << len(labels)
    if number > CHANNELS_MAX:
        raise UsageError(
            f"{len(queues)} queues with every set of {len(labels)} labels make {number:,} kinds of work; "
            f"at most {CHANNELS_MAX:,}: start a worker with fewer of them"
        )
    sets = [some for size in range(len(labels) + 1) for some in combinations(labels, size)]
    return [channel_of(queue, some) for queue in queues for some in sets]


# ---------------------------------------------------------------- procrastinate's own tables


def release() -> str:
    """Return which procrastinate is installed; raises StoreError when none is."""
    from importlib.metadata import PackageNotFoundError, version

    try:
        return version("procrastinate")
    except PackageNotFoundError:
        raise StoreError(
            "a store on a PostgreSQL server needs procrastinate, which is not installed; "
            "pip install 'dagsched[postgres]'"
        ) from None


def scripts(since: str | None) -> list[str]:
    """Return what makes procrastinate's tables (None), or brings those of an earlier release up to date."""
    folder = files("procrastinate") / "sql"
    if since is None:
        return [(folder / "schema.sql").read_text(encoding="utf-8")]
    # 03.04.00_01_pre_add_retry.sql belongs to release 3.4.0.
    found = sorted(entry.name for entry in (folder / "migrations").iterdir() if entry.name.endswith(".sql"))
    due = [name for name in found if _numbers(name.partition("_")[0]) > _numbers(since)]
    return [(folder / "migrations" / name).read_text(encoding="utf-8") for name in due]


def _numbers(version: str) -> tuple[int, ...]:
    return tuple(int(number) for number in re.findall(r"\d+", version)[:3])
