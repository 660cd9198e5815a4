"""Schedule → trigger: the table of kinds, and one trigger per distinct schedule."""

from __future__ import annotations

from collections.abc import Callable
from functools import lru_cache
from typing import Literal

from dagsched.declaration import Schedule, format_instant
from dagsched.errors import InvalidSchedule, NeverFires
from dagsched.triggers.at import At
from dagsched.triggers.base import Trigger, Union, Window
from dagsched.triggers.cron import Cron
from dagsched.triggers.event import OnEvent
from dagsched.triggers.every import Every
from dagsched.triggers.zones import zone


@lru_cache(maxsize=65_536)
def trigger_of(schedule: Schedule) -> Trigger:
    """Return the trigger of that schedule, cut to its `start` and `end` (both included).

    `max_runs` is not looked at: it counts runs, and a trigger knows none. The same schedule gives the same
    trigger. An expression that no date fits (30 February) has no ticks: it is worth a warning (W304), not the
    end of a daemon. Raises InvalidSchedule or UnknownTimezone.
    """
    kinds = [kind for kind in KINDS if getattr(schedule, kind) not in ((), None)]
    if len(kinds) != 1:
        raise InvalidSchedule(
            f"the schedule has {' and '.join(kinds) or 'none of ' + ', '.join(KINDS)}",
            why="it says exactly one of " + ", ".join(KINDS),
            fix="write one of them, or split the job",
        )
    zone(schedule.timezone)
    if schedule.start and schedule.end and schedule.end < schedule.start:
        start, end = format_instant(schedule.start), format_instant(schedule.end)
        raise InvalidSchedule(
            f"the schedule ends {end}, before it starts {start}",
            why="start and end bound the ticks, both included",
            fix="swap them",
        )
    trigger = KINDS[kinds[0]](schedule)
    if schedule.start is None and schedule.end is None:
        return trigger
    return Window(trigger, schedule.start, schedule.end)


def crons_of(schedule: Schedule) -> tuple[Cron, ...]:
    """Return the cron triggers a schedule is made of; empty for `every` and `at`.

    Expressions that never fire are left out.
    """
    found = (shared_cron(text, schedule.timezone, schedule.gap, schedule.fold, schedule.days) for text in schedule.cron)
    return tuple(cron for cron in found if cron is not None)


@lru_cache(maxsize=65_536)
def shared_cron(
    expression: str,
    timezone: str,
    gap: Literal["run", "skip"] | None,
    fold: Literal["first", "both"] | None,
    days: Literal["any", "all"] | None,
) -> Cron | None:
    """Return one Cron for all schedules that differ only in their bounds; None if it never fires."""
    try:
        return Cron(expression, timezone, gap=gap, fold=fold, days=days)
    except NeverFires:
        return None


def _cron(schedule: Schedule) -> Trigger:
    crons = crons_of(schedule)
    return crons[0] if len(crons) == 1 else Union(crons)


def _every(schedule: Schedule) -> Trigger:
    assert schedule.every is not None, "chosen because it is given"
    return Every(schedule.every, schedule.start)


def _at(schedule: Schedule) -> Trigger:
    assert schedule.at is not None, "chosen because it is given"
    return At(schedule.at, schedule.timezone)


def _event(schedule: Schedule) -> Trigger:
    return OnEvent(schedule.event)


KINDS: dict[str, Callable[[Schedule], Trigger]] = {"cron": _cron, "every": _every, "at": _at, "event": _event}
