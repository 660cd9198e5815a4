"""What becomes of the ticks of one schedule that are due: on time, caught up, or left out, and why.

A tick is *on time* if it is seen before the job's next one is due and within a minute; every other one was
missed, and the job's `catchup` decides. Ticks left out for one reason are one `Due` from the first to the last
of them, so that a year of missed seconds costs no more than a missed hour.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Iterator
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from heapq import merge
from typing import NamedTuple

from dagsched import reasons
from dagsched.model import Catchup, Job, JobMark, Origin, RunState, format_instant
from dagsched.triggers import Trigger, trigger_of
from dagsched.triggers.calendars import DaysOff, Working

ON_TIME = timedelta(seconds=60)
MILLISECOND = timedelta(milliseconds=1)
SECOND = timedelta(seconds=1)


class Due(NamedTuple):
    """What becomes of a tick, or of all ticks from `tick` to `until` (both included).

    `state` None: it runs. Else it is left out in that state for `reason`; `stand_in` is the tick whose run stands
    in for it.
    """

    tick: datetime
    until: datetime | None = None
    origin: Origin = Origin.SCHEDULE
    state: RunState | None = None
    reason: str = ""
    stand_in: datetime | None = None

    def each(self, trigger: Trigger) -> Iterator[Due]:
        """Yield one Due for every tick of it."""
        if self.until is None:
            yield self
        else:
            for tick in trigger.ticks(self.tick - MILLISECOND, self.until):
                yield self._replace(tick=tick, until=None)


def dues(
    job: Job,
    heir: Job | None,
    mark: JobMark,
    runs_left: int | None,
    now: datetime,
    downtime: str,
    off: DaysOff | None = None,
) -> Iterator[Due]:
    """Yield what becomes of every tick of `job` after its cursor, up to now, oldest first.

    `heir`: the job as the next configuration has it (None: no more); its catch-up decides. `runs_left`: how many
    more runs `max_runs` allows, None for no limit; after the last one the schedule has no tick. `downtime`
    names the time in which nobody watched. `off`: the job's days off, None without a calendar; ticks on them are
    skipped, whoever watched, and the others are judged as if those were none.
    """
    for due in _Reading(job, heir, now, downtime, off).all(mark):
        if runs_left is not None and runs_left <= 0:
            return
        if runs_left is not None and due.state is None:
            runs_left -= 1
        yield due


@dataclass(slots=True)
class _Reading:
    """One look at one schedule."""

    job: Job
    heir: Job | None
    now: datetime
    downtime: str
    off: DaysOff | None = None
    every: Trigger = field(init=False)
    trigger: Trigger = field(init=False)

    def __post_init__(self) -> None:
        assert self.job.schedule is not None
        self.every = self.trigger = trigger_of(self.job.schedule)

    def all(self, mark: JobMark) -> Iterator[Due]:
        if not self.job.enabled:
            yield from self._left_out(mark.cursor, self.now, RunState.SKIPPED, reasons.DISABLED())
            return
        before = self.now
        if mark.paused is not None:
            before = max(mark.cursor, min(self.now, mark.paused - MILLISECOND))
        if self.off is None:
            yield from self._watched_or_missed(mark.cursor, before)
        else:
            yield from self._on_and_off(self.off, mark.cursor, before)
        yield from self._range(before, self.now, RunState.SKIPPED, reasons.PAUSED(), None)

    def _on_and_off(self, off: DaysOff, after: datetime, until: datetime) -> Iterator[Due]:
        """Yield what becomes of the ticks on days off, and of the others as if those were none."""
        self.trigger = Working(self.every, off)
        found = merge(self._watched_or_missed(after, until), self._on_days_off(off, after, until), key=_tick_of)
        yield from found
        self.trigger = self.every

    def _on_days_off(self, off: DaysOff, after: datetime, until: datetime) -> Iterator[Due]:
        tick = self.every.next(after)
        while tick is not None and tick <= until:
            reason, end = off.reason(tick), min(off.end_of_day(tick), until)
            if reason:
                yield from self._range(tick - MILLISECOND, end, RunState.SKIPPED, reason, None)
            tick = self.every.next(end)

    def _watched_or_missed(self, after: datetime, until: datetime) -> Iterator[Due]:
        first = self.trigger.next(after)
        if first is None or first > until:
            return
        newest, following = first, self.trigger.next(first)
        if is_on_time(first, following, self.now):
            yield Due(first)
            return
        if following is not None and following <= until:
            newest = newest_tick(self.trigger, first, until) or first
            following = self.trigger.next(newest)
        if self.now - newest > ON_TIME or (following is not None and following <= self.now):
            yield from self._missed(after, until, self._newest_of_heir(after, until))
            return
        if newest != first:
            yield from self._missed(after, newest - MILLISECOND, newest)
        yield Due(newest)

    def _newest_of_heir(self, after: datetime, until: datetime) -> datetime | None:
        """Return the newest of these ticks that the next configuration has as well."""
        newest = newest_tick(self.trigger, after, until)
        while newest is not None and self.heir is not None and not self._is_kept(newest):
            newest = newest_tick(self.trigger, after, newest - MILLISECOND)
        return newest

    def _missed(self, after: datetime, until: datetime, chosen: datetime | None) -> Iterator[Due]:
        """Decide by the catch-up in force from now on; `chosen` stands in for all that is not run by itself."""
        if self.heir is None:
            yield from self._left_out(after, until, RunState.MISSED, reasons.JOB_REMOVED())
        elif not self.heir.enabled:
            yield from self._left_out(after, until, RunState.MISSED, reasons.DISABLED())
        elif self.heir.schedule == self.job.schedule:
            yield from self._caught_up(self.heir, after, until, chosen)
        else:
            for tick in self.trigger.ticks(after, until):
                if self._is_kept(tick):
                    yield from self._caught_up(self.heir, tick - MILLISECOND, tick, chosen)
                else:
                    yield Due(tick, state=RunState.MISSED, reason=reasons.SCHEDULE_CHANGED())

    def _is_kept(self, tick: datetime) -> bool:
        assert self.heir is not None
        schedule = self.heir.schedule
        return schedule is not None and trigger_of(schedule).next(tick - SECOND) == tick

    def _caught_up(self, heir: Job, after: datetime, until: datetime, chosen: datetime | None) -> Iterator[Due]:
        if heir.catchup is Catchup.NONE:
            yield from self._left_out(after, until, RunState.MISSED, self.downtime)
            return
        if heir.catchup_window is not None:
            oldest = self.now - heir.catchup_window
            if oldest > after:
                reason = reasons.TOO_OLD(heir.catchup_window)
                yield from self._left_out(after, min(until, oldest - MILLISECOND), RunState.MISSED, reason)
                after = oldest - MILLISECOND
        if heir.catchup is Catchup.ALL:
            yield from (Due(tick, origin=Origin.CATCHUP) for tick in self.trigger.ticks(after, until) if after < until)
            return
        yield from self._coalesced(after, until, chosen)

    def _coalesced(self, after: datetime, until: datetime, chosen: datetime | None) -> Iterator[Due]:
        if chosen is None or after >= until:
            return
        reason = reasons.COALESCED(format_instant(chosen))
        end = min(until, chosen - MILLISECOND)
        yield from self._left_out(after, end, RunState.MISSED, reason, chosen)
        if after < chosen <= until:
            yield Due(chosen, origin=Origin.CATCHUP)

    def _left_out(
        self, after: datetime, until: datetime, state: RunState, reason: str, stand_in: datetime | None = None
    ) -> Iterator[Due]:
        if self.trigger is not self.every and self.off is not None:
            # A day off in between has rows of its own.
            for day in self._on_days_off(self.off, after, until):
                yield from self._range(after, day.tick - MILLISECOND, state, reason, stand_in)
                after = day.until or day.tick
        yield from self._range(after, until, state, reason, stand_in)

    def _range(
        self, after: datetime, until: datetime, state: RunState, reason: str, stand_in: datetime | None
    ) -> Iterator[Due]:
        last = newest_tick(self.every, after, until)
        if last is None:
            return
        first = self.every.next(after)
        assert first is not None, "there is a last one"
        yield Due(first, last if last > first else None, Origin.SCHEDULE, state, reason, stand_in)


def _tick_of(due: Due) -> datetime:
    return due.tick


def is_on_time(first: datetime, following: datetime | None, now: datetime) -> bool:
    """Whether a watched schedule's first tick after its cursor is on time and the only one, given the next."""
    return now - first <= ON_TIME and (following is None or following > now)


def newest_tick(trigger: Trigger, after: datetime, until: datetime) -> datetime | None:
    """Return the trigger's last tick in (after, until], None without one.

    Looks back in windows that double, so that neither a dense nor a sparse schedule is counted through.
    """
    width = timedelta(minutes=1)
    while after < until:
        start = max(after, until - width)
        found = deque(trigger.ticks(start, until), maxlen=1)
        if found:
            return found[0]
        if start == after:
            return None
        width *= 2
    return None
