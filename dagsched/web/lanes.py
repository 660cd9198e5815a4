"""Runs as bars over time: from when a run was ready to its start (the wait), and from there to its end.

Everything is in percent of the window, so that an SVG needs no script to be as wide as the page. Bars that would be
thinner than a line are drawn as one with their neighbours, as long as they ended alike.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, replace
from datetime import UTC, datetime, timedelta
from typing import NamedTuple

from dagsched.model import LIVE, Run, RunState

LEVELS_MAX = 4
FINE = 0.08
"""Percent of the window that is a line on a screen; closer than that, nobody sees two."""
AXIS = {
    timedelta(hours=1): timedelta(minutes=10),
    timedelta(days=1): timedelta(hours=3),
    timedelta(days=7): timedelta(days=1),
}
"""How far apart the lines of the axis are, for each length of a window."""


class Frame(NamedTuple):
    """The time that is shown, in (begin, end)."""

    begin: datetime
    end: datetime

    def percent(self, moment: datetime) -> float:
        """Return where an instant is, 0 at the left; cut off at the edges."""
        share = (moment - self.begin) / (self.end - self.begin) * 100
        return round(min(100.0, max(0.0, share)), 3)


@dataclass(frozen=True, slots=True)
class Bar:
    """A run, or `count` of them, from x to x + width; `wait` percent of that at its left was waiting.

    `is_mark`: it never ran and stands at its tick alone, or at those of its range. `level`: 0 at the top.
    """

    run: Run
    begin: datetime
    started: datetime | None
    end: datetime
    x: float
    width: float
    wait: float
    is_mark: bool = False
    level: int = 0
    count: int = 1


class Lane(NamedTuple):
    """The bars of one job, oldest first. `is_cut`: there are older ones in the window that are not drawn."""

    job: str
    bars: Sequence[Bar]
    levels: int
    is_cut: bool


def lane(job: str, runs: Iterable[Run], frame: Frame, now: datetime, is_cut: bool = False) -> Lane:
    """Return a job's lane; runs that do not touch the frame are left out."""
    bars = [bar for run in sorted(runs, key=lambda run: run.tick) if (bar := _bar(run, frame, now)) is not None]
    bars.sort(key=lambda bar: bar.begin)
    merged = list(_merged(bars))
    stacked = list(_stacked(merged))
    return Lane(job, stacked, 1 + max((bar.level for bar in stacked), default=0), is_cut)


def touches(run: Run, frame: Frame, now: datetime) -> bool:
    """Whether a run waited, ran or was left out in the frame."""
    begin, _, end = _times(run, now)
    return end >= frame.begin and begin <= frame.end


def _times(run: Run, now: datetime) -> tuple[datetime, datetime | None, datetime]:
    """Return when a run began to wait, when it started, and when it ended; now, if it is not over."""
    started = run.started
    if started is None and run.state not in LIVE:
        return run.tick, None, run.until or run.tick
    begin = run.ready or started or run.tick
    if started is not None:
        begin = min(begin, started)
    return begin, started, run.ended or max(now, begin)


def _bar(run: Run, frame: Frame, now: datetime) -> Bar | None:
    is_mark = run.started is None and run.state not in LIVE
    begin, started, end = _times(run, now)
    if end < frame.begin or begin > frame.end:
        return None
    x, till = frame.percent(begin), frame.percent(end)
    wait = max(0.0, frame.percent(started) - x) if started is not None else (0.0 if is_mark else till - x)
    # What is no wider than nothing is not drawn at all.
    width = max(till - x, wait + FINE if started is not None else FINE)
    return Bar(run, begin, started, end, x, round(width, 3), round(wait, 3), is_mark)


def _merged(bars: Iterable[Bar]) -> Iterator[Bar]:
    """Yield bars, those too fine to be told apart as one."""
    last: Bar | None = None
    for bar in bars:
        if last is not None and _is_one(last, bar):
            width = round(max(last.x + last.width, bar.x + bar.width) - last.x, 3)
            end = max(last.end, bar.end)
            last = replace(last, run=bar.run, end=end, width=width, wait=0.0, count=last.count + 1)
            continue
        if last is not None:
            yield last
        last = bar
    if last is not None:
        yield last


def _is_one(last: Bar, bar: Bar) -> bool:
    return (
        bar.run.state is last.run.state
        and bar.run.state is not RunState.RUNNING
        and bar.width < 2 * FINE
        and (last.width < 2 * FINE or last.count > 1)
        and bar.x - (last.x + last.width) < FINE
    )


def _stacked(bars: Iterable[Bar]) -> Iterator[Bar]:
    """Yield bars on the first level that is free, for a job may have several runs at a time."""
    free: list[float] = []
    for bar in bars:
        level = next((number for number, till in enumerate(free) if till <= bar.x + FINE / 2), len(free))
        level = min(level, LEVELS_MAX - 1)
        if level == len(free):
            free.append(0.0)
        free[level] = max(free[level], bar.x + bar.width)
        yield replace(bar, level=level)


# ---------------------------------------------------------------- the axis


class Mark(NamedTuple):
    """A line of the axis and what stands at it. `is_day`: a day begins there."""

    at: datetime
    x: float
    words: str
    is_day: bool


def axis(frame: Frame, step: timedelta) -> list[Mark]:
    """Return the lines of the axis, at whole steps of UTC."""
    day = frame.begin.astimezone(UTC).replace(hour=0, minute=0, second=0, microsecond=0)
    found = []
    moment = day + ((frame.begin - day) // step + 1) * step
    while moment < frame.end:
        is_day = moment.hour == moment.minute == 0
        found.append(Mark(moment, frame.percent(moment), f"{moment:%a %d}" if is_day else f"{moment:%H:%M}", is_day))
        moment += step
    return found
