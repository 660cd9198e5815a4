"""Where runs stand in line: at their job's desk for a seat, in their pool's line for slots."""

from __future__ import annotations

from dataclasses import dataclass, field
from datetime import datetime, timedelta

Place = tuple[int, timedelta, datetime]
Turn = tuple[datetime, int, datetime, str]


@dataclass(slots=True)
class Desk:
    """One job's seats: `line` waits for one: patient runs before live ones, then those of a backfill.

    Each oldest first, unless a backfill says otherwise.
    """

    line: list[Place] = field(default_factory=list)
    seated: set[datetime] = field(default_factory=set)
    parked: set[datetime] = field(default_factory=set)


@dataclass(slots=True)
class PoolLine:
    """One pool: (turn, rank, tick, job) in line, and the slots in use.

    `far`: the line of those that workers do. They take slots of the pool and none of the daemon, so that they go on
    where it is full.
    """

    line: list[Turn] = field(default_factory=list)
    far: list[Turn] = field(default_factory=list)
    used: int = 0
