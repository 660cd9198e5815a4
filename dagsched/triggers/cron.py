"""Cron expressions on the wall clock of a time zone.

Which instants belong to a wall time that a clock change skips or repeats is decided by the class of the
job, as Debian's cron does (cron(8), "local time changes ... caused by the Daylight Saving changes": jobs at
a specific time are run at once when their time was skipped and not run twice when it comes again; jobs that
run more often are scheduled normally). The class is read off the text: with a minute or hour field that
starts with `*` it is a *wildcard* job, else a *fixed-time* job.

    fixed-time   fires at the first instant at which the clock shows its time or a later one
    wildcard     fires at every instant at which the clock shows its time

Debian's three-hour limit does not apply here: every jump of the wall clock is read the same way, so a day
skipped at the date line is a gap like any other. `gap` and `fold` replace the reading of the class.

Inside a span of constant offset (see `zones`) local days are laid out by plain arithmetic; only the edges
of the span need thought.
"""

from __future__ import annotations

from collections.abc import Iterator
from datetime import datetime, timedelta
from typing import Literal

from dagsched.errors import InvalidSchedule, NeverFires
from dagsched.triggers.base import floor_s
from dagsched.triggers.grammar import Expression, parse
from dagsched.triggers.zones import DAY_S, EPOCH, YEAR_LAST, Span, spans_of_year, year_of, zone

_CLOCK = tuple(timedelta(minutes=minute) for minute in range(24 * 60))
_FOREVER = 1 << 62


class Cron:
    """The ticks of a five-field cron expression in a time zone.

    `gap="run"` runs what a gap skips once at its end, `"skip"` leaves it out; `fold="first"` keeps the
    first of two equal wall times, `"both"` keeps both; None leaves either to the class of the expression.
    `days="any"` (the default) lets day of month *or* weekday match when both are restricted, `"all"` wants
    both.

    Raises InvalidSchedule (with offset and length inside the expression), UnknownTimezone, or NeverFires
    when no date of the calendar fits.

    >>> from dagsched.declaration import utc
    >>> Cron("0 9 * * mon", "America/New_York").next(utc(2026, 11, 21))
    datetime.datetime(2026, 11, 23, 14, 0, tzinfo=datetime.timezone.utc)
    """

    __slots__ = ("_expression", "days", "expression", "fold", "gap", "is_wildcard", "timezone")

    def __init__(
        self,
        expression: str,
        timezone: str = "UTC",
        *,
        gap: Literal["run", "skip"] | None = None,
        fold: Literal["first", "both"] | None = None,
        days: Literal["any", "all"] | None = None,
    ) -> None:
        _check_choice("gap", gap, ("run", "skip"))
        _check_choice("fold", fold, ("first", "both"))
        _check_choice("days", days, ("any", "all"))
        self._expression = parse(expression, days)
        zone(timezone)
        if not self._expression.rule.is_possible:
            raise NeverFires(never_fires(expression))
        self.expression, self.timezone = expression, timezone
        self.gap, self.fold, self.days = gap, fold, days
        self.is_wildcard = self._expression.is_wildcard

    @property
    def parsed(self) -> Expression:
        """The expression as sets of numbers."""
        return self._expression

    @property
    def runs_gap(self) -> bool:
        """Whether wall times that a gap skips run once at its end."""
        return not self.is_wildcard if self.gap is None else self.gap == "run"

    @property
    def runs_both(self) -> bool:
        """Whether wall times that appear twice run twice."""
        return self.is_wildcard if self.fold is None else self.fold == "both"

    def ticks(self, after: datetime, until: datetime | None = None) -> Iterator[datetime]:
        """Yield the instants this expression fires in (after, until], oldest first.

        Both bounds are aware; ticks are UTC, whole seconds and strictly increasing; without `until` they go
        on to the end of the year 9998. A naive bound raises ValueError.

        >>> from dagsched.declaration import utc
        >>> list(Cron("0 2 * * *", "UTC").ticks(utc(2025, 1, 1), utc(2025, 1, 2)))
        [datetime.datetime(2025, 1, 1, 2, 0, tzinfo=datetime.timezone.utc)]
        """
        return self._between(floor_s(after) + 1, _FOREVER if until is None else floor_s(until) + 1)

    def next(self, after: datetime) -> datetime | None:
        """Return the first tick after `after`; None only past the end of the calendar (year 9998)."""
        return next(self.ticks(after), None)

    def skipped(self, span: Span) -> Iterator[datetime]:
        """Yield the wall times (marked UTC) that the jump before `span` skips and this expression names."""
        return at_offset(self._expression, span.shown, span.start + span.offset, 0)

    def repeated(self, span: Span) -> Iterator[datetime]:
        """Yield the wall times (marked UTC) that `span` shows again and this expression names."""
        return at_offset(self._expression, span.start + span.offset, span.shown, 0)

    def _between(self, low: int, high: int) -> Iterator[datetime]:
        """Yield the ticks in [low, high), seconds since the epoch."""
        for year in range(year_of(low), YEAR_LAST + 1):
            if not self._expression.rule.touches(year):
                continue
            for span in spans_of_year(self.timezone, year):
                if span.start >= high:
                    return
                if span.end > low:
                    yield from self._in_span(span, low, high)

    def _in_span(self, span: Span, low: int, high: int) -> Iterator[datetime]:
        wall_start = span.start + span.offset
        wall_low = max(low, span.start) + span.offset
        if span.shown < wall_start and low <= span.start and self.runs_gap and any(self.skipped(span)):
            yield EPOCH + timedelta(seconds=span.start)
            wall_low += 1  # what is due at the end of the gap itself is the same tick
        if not self.runs_both:
            wall_low = max(wall_low, span.shown)
        yield from at_offset(self._expression, wall_low, min(high, span.end) + span.offset, span.offset)

    def __repr__(self) -> str:
        extras = "".join(
            f", {key}={value!r}" for key in ("gap", "fold", "days") if (value := getattr(self, key))
        )
        return f"Cron({self.expression!r}, {self.timezone!r}{extras})"


def never_fires(expression: str) -> str:
    """Return what is said of an expression that no date fits, as an error or as a remark."""
    return f"'{expression}' never fires: no date of the calendar fits its day, month and weekday"


def at_offset(expression: Expression, low: int, high: int, offset: int) -> Iterator[datetime]:
    """Yield the instants at which a clock `offset` seconds ahead of UTC shows a matching wall time.

    `low` and `high` are wall times in seconds; `high` is not included.
    """
    if low >= high:
        return
    hours, minutes = expression.hours, expression.minutes
    first, last = low // DAY_S, (high - 1) // DAY_S
    for day in expression.rule.between(first, last):
        midnight = EPOCH + timedelta(seconds=day * DAY_S - offset)
        if first < day < last:
            for hour in hours:
                for minute in minutes:
                    yield midnight + _CLOCK[hour * 60 + minute]
        else:
            for second in _seconds_of_day(expression, low - day * DAY_S, high - day * DAY_S):
                yield midnight + timedelta(seconds=second)


def _seconds_of_day(expression: Expression, low: int, high: int) -> Iterator[int]:
    """Yield the matching times of a day in [low, high), in seconds since midnight."""
    for hour in expression.hours:
        start = hour * 3600
        if start + 3600 <= low:
            continue
        if start >= high:
            return
        for minute in expression.minutes:
            if low <= start + minute * 60 < high:
                yield start + minute * 60


def _check_choice(key: str, value: str | None, choices: tuple[str, ...]) -> None:
    if value is not None and value not in choices:
        raise InvalidSchedule(
            f"{key} is {value!r}",
            why=f"{key} is one of {', '.join(choices)}",
            fix=f"write {key}: {choices[0]}",
        )
