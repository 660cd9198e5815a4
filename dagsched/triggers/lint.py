"""What is correct and will still surprise: remarks on schedules, before they surprise anyone.

    W301  a clock change moves ticks        W306  day 29, 30 or 31: months are left out
    W302  a clock change drops ticks        W307  an old name of a time zone
    W303  a clock change doubles ticks      W308  a starred step beside a weekday
    W304  never fires (again)               W309  `every` of a day and more
    W305  a step that does not divide its field (not for days)

Nothing enumerates ticks: clock changes are few, and only the wall times they skip or repeat are looked at.
Remarks about the text are found once per expression, those about clock changes once per expression and zone.
What a schedule says outright (`dst: {gap: ...}`, `days: ...`) is not remarked on.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from datetime import UTC, datetime, timedelta
from functools import lru_cache
from typing import Literal, NamedTuple

from dagsched.declaration import Schedule, format_instant
from dagsched.triggers.base import floor_s
from dagsched.triggers.cron import Cron, never_fires
from dagsched.triggers.fields import DAY, DAY_KINDS, Field
from dagsched.triggers.grammar import Expression, parse
from dagsched.triggers.links import replacement_of
from dagsched.triggers.notes import cause_of, clock_text, local
from dagsched.triggers.schedule import crons_of, trigger_of
from dagsched.triggers.zones import DAY_S, EPOCH, Span, clock_changes

DATES_MAX = 4
LATE_DAYS = frozenset({29, 30, 31})
MONTH_NAMES = ("Jan", "Feb", "Mar", "Apr", "May", "Jun", "Jul", "Aug", "Sep", "Oct", "Nov", "Dec")


class Remark(NamedTuple):
    """A warning about a schedule. `offset`: where in the cron expression, None when about the whole."""

    code: str
    message: str
    why: str
    fix: str
    offset: int | None = None


def lint(schedule: Schedule, now: datetime, months: int = 24) -> tuple[Remark, ...]:
    """Return what is worth a warning about this schedule in the `months` after `now` (aware), by code.

    A schedule that can never fire is a remark here (W304). Raises InvalidSchedule and UnknownTimezone, as
    `trigger_of` does.
    """
    trigger = trigger_of(schedule)
    impossible = tuple(_impossible(schedule))
    remarks = [*_timezone_remarks(schedule.timezone), *_length_remarks(schedule), *impossible]
    if schedule.event:
        return (*remarks, *((_over(schedule),) if schedule.end is not None and schedule.end <= now else ()))
    has_ticks = not schedule.cron or len(impossible) < len(schedule.cron)
    if has_ticks and (schedule.end or schedule.at) and trigger.next(now) is None:
        remarks.append(_over(schedule))
    elif schedule.cron:
        low, high = _window(schedule, floor_s(now), months)
        for cron in crons_of(schedule):
            remarks += _text_remarks(cron.expression, cron.days)
            remarks += _clock_remarks(cron, low, high)
    elif schedule.at:
        remarks += _at_remarks(schedule)
    return tuple(sorted(remarks, key=lambda remark: remark.code)) if len(remarks) > 1 else tuple(remarks)


def clock_remarks(schedule: Schedule, after: datetime, until: datetime) -> tuple[Remark, ...]:
    """Return what clock changes in (after, until] (aware) move, drop or double of this schedule's ticks, by code."""
    low, high = floor_s(after) + 1, floor_s(until) + 1
    if schedule.start is not None:
        low = max(low, floor_s(schedule.start))
    if schedule.end is not None:
        high = min(high, floor_s(schedule.end) + 1)
    remarks = (remark for cron in crons_of(schedule) for remark in _clock_remarks(cron, low, max(low, high)))
    return tuple(sorted(remarks, key=lambda remark: remark.code))


def _window(schedule: Schedule, now: int, months: int) -> tuple[int, int]:
    """Return the seconds to look at, cut to whole days so that a later look finds the same answer stored."""
    low, high = _days_ahead(now // DAY_S, months)
    if schedule.start is not None:
        low = max(low, floor_s(schedule.start))
    if schedule.end is not None:
        high = min(high, floor_s(schedule.end) + 1)
    return low, max(low, high)


@lru_cache(maxsize=64)
def _days_ahead(day: int, months: int) -> tuple[int, int]:
    start = EPOCH + timedelta(days=day)
    years, month = divmod(start.month - 1 + months, 12)
    return day * DAY_S, floor_s(datetime(start.year + years, month + 1, min(start.day, 28), tzinfo=UTC))


# ---------------------------------------------------------------- clock changes


@lru_cache(maxsize=65_536)
def _clock_remarks(cron: Cron, low: int, high: int) -> tuple[Remark, ...]:
    """Return at most one remark per kind for the clock changes in [low, high)."""
    if low >= high or _hours_touched(cron.timezone, low, high).isdisjoint(cron.parsed.hours):
        return ()
    moved: list[str] = []
    dropped: list[str] = []
    doubled: list[str] = []
    causes = set()
    for span in clock_changes(cron.timezone, low, high):
        if _hours_jumped(span).isdisjoint(cron.parsed.hours):
            continue
        if span.start + span.offset > span.shown:
            walls, into = (list(cron.skipped(span)) if cron.gap is None else []), dropped
            if cron.runs_gap:
                into = moved
        else:
            walls, into = (list(cron.repeated(span)) if cron.fold is None and cron.runs_both else []), doubled
        if walls and not (cron.is_wildcard and _flows_through(cron.parsed, span)):
            into.append(_dated(cron, span, walls))
            causes.add(cause_of(cron.timezone, span.start))
    cause = " or ".join(sorted(causes))
    return tuple(
        remark
        for dates, make in ((moved, _moved), (dropped, _dropped), (doubled, _doubled))
        if dates
        for remark in [make(cron, _capped(dates), cause)]
    )


@lru_cache(maxsize=4096)
def _hours_touched(timezone: str, low: int, high: int) -> frozenset[int]:
    """Return the hours of the day that clock changes in [low, high) skip or repeat; most schedules name none."""
    return frozenset().union(*map(_hours_jumped, clock_changes(timezone, low, high)))


@lru_cache(maxsize=4096)
def _hours_jumped(span: Span) -> frozenset[int]:
    """Return the hours of the day of all wall times that the jump skips or repeats."""
    first, last = sorted((span.shown, span.start + span.offset))
    return frozenset(hour % 24 for hour in range(first // 3600, (last - 1) // 3600 + 1))


def _flows_through(expression: Expression, span: Span) -> bool:
    """Whether the job fires at even intervals of real time right through the jump: no surprise.

    That is so when every hour is named and the minutes look the same after the jump: `*/5 * * * *` fires each
    five minutes whatever the clock shows, `0 */2 * * *` does not fire each two hours.
    """
    if len(expression.hours) < 24:
        return False
    jump_s = span.start + span.offset - span.shown
    minutes = expression.minutes
    return jump_s % 60 == 0 and {(minute + jump_s // 60) % 60 for minute in minutes} == set(minutes)


def _dated(cron: Cron, span: Span, walls: Sequence[datetime]) -> str:
    first = walls[0]
    more = f" and {len(walls) - 1} more" if len(walls) > 1 else ""
    text = f"{first:%Y-%m-%d} {clock_text(first)}{more}"
    if cron.runs_gap and span.start + span.offset > span.shown:
        end = local(EPOCH + timedelta(seconds=span.start), cron.timezone)
        day = "" if end.date() == first.date() else f"{end:%Y-%m-%d} "
        text += f" to {day}{clock_text(end)}"
    return text


def _capped(dates: Sequence[str]) -> str:
    more = f"; {len(dates) - DATES_MAX} more" if len(dates) > DATES_MAX else ""
    return "; ".join(dates[:DATES_MAX]) + more


def _moved(cron: Cron, dates: str, cause: str) -> Remark:
    return Remark(
        "W301",
        f"'{cron.expression}' in {cron.timezone} is moved by {cause}: {dates}",
        "the wall clock skips these times, so the job runs once at the first instant after them",
        "choose a time outside the gap, or accept it with dst: {gap: run} or refuse it with dst: {gap: skip}",
    )


def _dropped(cron: Cron, dates: str, cause: str) -> Remark:
    return Remark(
        "W302",
        f"'{cron.expression}' in {cron.timezone} loses ticks to {cause}: {dates}",
        "the wall clock skips these times, and a minute or hour field starting with * is not made up for",
        "accept it with dst: {gap: skip}, run once after the gap with dst: {gap: run}, or use every:",
    )


def _doubled(cron: Cron, dates: str, cause: str) -> Remark:
    return Remark(
        "W303",
        f"'{cron.expression}' in {cron.timezone} fires twice by {cause}: {dates}",
        "the wall clock shows these times twice, and a minute or hour field starting with * runs in both",
        "accept it with dst: {overlap: both}, keep the first with dst: {overlap: first}, or use every:",
    )


# ---------------------------------------------------------------- the text


@lru_cache(maxsize=65_536)
def _text_remarks(text: str, days: Literal["any", "all"] | None) -> tuple[Remark, ...]:
    """Return the remarks that need neither zone nor date."""
    expression = parse(text, days)
    return (*_steps(expression), *_late_days(expression), *_starred_days(expression, days))


def _steps(expression: Expression) -> Iterator[Remark]:
    for field, start in zip(expression.fields, expression.offsets, strict=True):
        # No step divides months of 28 to 31 days or a week of 7: who writes `*/2` for days knows it starts again.
        if field.kind in DAY_KINDS:
            continue
        for item, step in field.steps:
            if field.kind.size % step:
                yield _uneven(expression, field, item.text, start + item.offset, step)


def _uneven(expression: Expression, field: Field, text: str, offset: int, step: int) -> Remark:
    kind = field.kind
    values = sorted(field.values)
    shown = ", ".join(map(str, values[:6])) + (", ..." if len(values) > 6 else "")
    unit = {"minute": "m", "hour": "h"}.get(kind.name)
    return Remark(
        "W305",
        f"the step of '{text}' does not divide the {kind.name} field of '{expression.text}'",
        f"it fires at {kind.name} {shown} and then starts again at {values[0]}"
        + (", so the intervals are uneven" if len(values) > 1 else ", so the step does nothing"),
        "list the values that are meant" + (f", or use every: {step}{unit} for even intervals" if unit else ""),
        offset,
    )


def _late_days(expression: Expression) -> Iterator[Remark]:
    """Warn of days 29-31 that are named one by one, or alone, and that some month of the schedule lacks."""
    field = expression.fields[2]
    late = field.values & LATE_DAYS
    if late != field.values or field.has_last or field.nearest:
        late &= field.singles
    if not late:
        return
    lacking = [month for month in expression.rule.months if any(day > _length(month) for day in late)]
    if not lacking or not expression.rule.is_possible:
        return
    named = ", ".join(map(str, sorted(late)))
    names = " ".join(MONTH_NAMES[month - 1] for month in lacking)
    leap_day = expression.rule.months == (2,)
    span = "year" if leap_day else "month"
    yield Remark(
        "W306",
        f"day {named} of '{expression.text}' does not come in every {span}: {names}",
        "29 February comes in leap years only" if leap_day else "a month without that day is left out",
        "write L for the last day of the month, or a day up to 28",
        expression.offsets[2],
    )


def _length(month: int) -> int:
    """Return the days of that month in a common year."""
    return 28 if month == 2 else 30 if month in (4, 6, 9, 11) else 31


def _starred_days(expression: Expression, days: str | None) -> Iterator[Remark]:
    day, weekday = expression.fields[2], expression.fields[4]
    if days is not None or day.is_unrestricted or weekday.is_unrestricted:
        return
    for field, offset in ((day, expression.offsets[2]), (weekday, expression.offsets[4])):
        if field.is_starred:
            yield Remark(
                "W308",
                f"'{field.text}' in the {field.kind.name} field of '{expression.text}' stands beside a "
                f"{'weekday' if field.kind is DAY else 'day of month'}",
                "some crons fire when both fit, others when either does; here either is enough",
                "say which: days: any (either fits) or days: all (both fit)",
                offset,
            )
            return


# ---------------------------------------------------------------- the rest


@lru_cache(maxsize=2048)
def _timezone_remarks(timezone: str) -> tuple[Remark, ...]:
    name = replacement_of(timezone)
    if name is None:
        return ()
    why = "the tz database keeps old names only as links, and some systems leave them out"
    return (Remark("W307", f"time zone '{timezone}' is an old name", why, f"write '{name}'"),)


def _length_remarks(schedule: Schedule) -> Iterator[Remark]:
    if schedule.every is not None and schedule.every >= timedelta(days=1):
        since = "1970-01-01T00:00:00Z" if schedule.start is None else format_instant(schedule.start)
        yield Remark(
            "W309",
            f"every {_days(schedule.every)} is counted in elapsed time from {since}",
            "it drifts by the hour against the wall clock with DST and knows no weekday or month",
            "use a cron expression for days of the calendar"
            + ("" if schedule.start else ", or say start: to choose the instant it counts from"),
        )


def _days(length: timedelta) -> str:
    return f"{length.days}d" if not length.seconds else f"{length.days}d {timedelta(seconds=length.seconds)}"


def _impossible(schedule: Schedule) -> Iterator[Remark]:
    """Warn of each expression that no date fits."""
    for text in schedule.cron:
        if not parse(text, schedule.days).rule.is_possible:
            yield Remark("W304", never_fires(text), "no year has such a date", "check day, month and weekday")


def _over(schedule: Schedule) -> Remark:
    if schedule.at is not None and not (schedule.start or schedule.end):
        return Remark(
            "W304",
            f"at {schedule.at.isoformat()} ({schedule.timezone}) is already past",
            "an instant that is over gives no tick and no run",
            "write a later one, or remove the schedule",
        )
    end = f" after {format_instant(schedule.end)}" if schedule.end else ""
    return Remark(
        "W304",
        "the schedule never fires again",
        f"its bounds leave no tick{end}",
        "move start or end, or remove it",
    )


def _at_remarks(schedule: Schedule) -> Iterator[Remark]:
    """Warn of a wall time that its zone skips."""
    if schedule.at is None or schedule.at.tzinfo is not None:
        return
    tick = trigger_of(Schedule(at=schedule.at, timezone=schedule.timezone)).next(EPOCH)
    if tick is not None and local(tick, schedule.timezone).replace(tzinfo=None) != schedule.at:
        yield Remark(
            "W301",
            f"at {schedule.at.isoformat()} is skipped by the clock of {schedule.timezone}",
            f"the job runs at {format_instant(tick)}, the first instant after the gap",
            "write a wall time that exists, or an instant with its UTC offset",
        )
