"""Rounds made of what one defect breaks, for defects that a round with a bit of everything seldom meets.

A slant says what all job files of a round consist of, and which deeds it goes without: those that would heal the
defect, such as a start, or excuse it, such as the death of a spawner. The honest program has to come through a
slanted round as through any other: `python -m tests.torture --slant NAME`.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

# What an edit may do to a job.
CHANGES = ("schedule", "edges", "policies", "command", "all")


@dataclass(frozen=True, slots=True)
class Slant:
    """`jobs` jobs of one sort, each due every so many seconds of `periods`, with commands that live for `seconds`.

    `chained`: each but the first job waits for the one before it instead, and has no schedule.
    `habits`: what those commands do besides, as in worker.py. `keys`: further keys of each job. `changes`: what edits
    do to a job, and `removal`: how often they remove it instead. `shuns`: deeds that such a round goes without.
    `aim_s`: how long after a full second a death comes, from and to; None: as in other rounds.
    """

    seconds: Sequence[str]
    periods: Sequence[int]
    jobs: int = 8
    chained: bool = False
    habits: str = "-"
    keys: Mapping[str, Any] = field(default_factory=dict)
    changes: Sequence[str] = ("all",)
    removal: float = 0.2
    shuns: Sequence[str] = ()
    aim_s: tuple[float, float] | None = None


_DEATHS = ("kill", "kill_spawner", "kill_both", "terminate", "hand_over")
_DEATHS_OF_SPAWNERS = ("kill_spawner", "kill_both")
_FREEZES = ("freeze", "freeze_spawner")

SLANTS: Mapping[str, Slant] = {
    # Commands that would live far beyond their timeout, under spawners that are free to see to it.
    "overdue": Slant(
        ("3.5", "5"), (2, 3), keys={"timeout": "1s", "overlap": "allow"}, shuns=(*_DEATHS_OF_SPAWNERS, "freeze_spawner")
    ),
    # At each moment some attempt has just ended.
    "brief": Slant(
        ("0.1", "0.25", "0.4", "0.55", "0.7", "0.85"),
        (1,),
        keys={"overlap": "allow"},
        shuns=(*_DEATHS_OF_SPAWNERS, *_FREEZES, "terminate", "hand_over", "intrude", "spoil"),
    ),
    # Deaths come when attempts have just been ordered.
    "ordered": Slant(
        ("0.4",),
        (1,),
        jobs=12,
        keys={"overlap": "allow"},
        shuns=(*_DEATHS_OF_SPAWNERS, *_FREEZES, "terminate", "hand_over", "intrude", "spoil"),
        aim_s=(0.1, 0.6),
    ),
    # At each moment some attempt is in the middle of its life, and may have others after it.
    "lasting": Slant(
        ("2", "4"),
        (2, 3),
        keys={"overlap": "allow", "retry": {"max_attempts": 4, "delay": "100ms"}},
        shuns=(*_DEATHS_OF_SPAWNERS, *_FREEZES, "terminate", "intrude", "spoil"),
    ),
    # All slots of a pool are taken again and again, under one daemon.
    "pooled": Slant(("0.1",), (2, 3), jobs=5, keys={"overlap": "allow", "pool": "narrow"}, shuns=(*_DEATHS, *_FREEZES)),
    # The next run of each job is due before the last one is over.
    "crowded": Slant(("1.5", "3"), (1,), jobs=4, keys={"overlap": "queue", "max_queued": 4}, shuns=_DEATHS_OF_SPAWNERS),
    # Whatever ends is waited for, under one daemon.
    "chained": Slant(("0.1",), (1, 2), chained=True, keys={"overlap": "allow"}, removal=0, shuns=(*_DEATHS, *_FREEZES)),
    # One schedule after another for the same jobs, under one daemon.
    "reschedule": Slant(
        ("0.1",), (2, 3, 5), keys={"overlap": "allow"}, changes=("schedule",), removal=0, shuns=(*_DEATHS, *_FREEZES)
    ),
    # Jobs that come and go, under one daemon.
    "remove": Slant(("0.1",), (1,), jobs=12, keys={"overlap": "allow"}, removal=0.9, shuns=(*_DEATHS, *_FREEZES)),
    # Whatever ends leaves something behind.
    "leave": Slant(("0.3", "1.5"), (1, 2), habits="session+orphan", shuns=_DEATHS_OF_SPAWNERS),
}
