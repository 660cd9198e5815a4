"""Time zones as spans of constant offset: where the wall clock jumps, and what it had already shown.

A zone's time line is cut into *spans* inside which local time minus UTC is constant. Between two spans the
wall clock jumps forward (a *gap*: some wall times never appear) or back (a *fold*: some appear twice). Each
span remembers `shown`, the wall time up to which the clock had run before the span began. That one number
tells

    start + offset > shown    a gap: the wall times [shown, start + offset) never appear
    start + offset < shown    a fold: the wall times [start + offset, shown) appear a second time

and holds for DST, for a change of standard time and for a day skipped at the date line alike.

The spans are found by asking `zoneinfo` for the offset once a day and halving the days on which it changed.
No zone has changed twice within a day since 1900, and two days of looking back cover the longest fold.
All numbers are seconds since the Unix epoch; wall times are counted as if they were UTC.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from functools import lru_cache
from typing import NamedTuple
from zoneinfo import ZoneInfo, available_timezones

from dagsched.closest import get_close_matches
from dagsched.errors import UnknownTimezone

EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
DAY_S = 86_400
YEAR_FIRST, YEAR_LAST = 2, 9998

# The host's own zone, leap-second zones and the placeholder: files beside the zones that name no place.
_NOT_ZONES = re.compile(r"localtime|posixrules|Factory|(posix|right)/.*")
_ZONE_NAME = re.compile(r"[A-Za-z0-9_+-]{1,32}(/[A-Za-z0-9_+-]{1,32}){0,3}")


class Span(NamedTuple):
    """A stretch of one offset, [start, end) in UTC; `shown` is a wall time (see above)."""

    start: int
    end: int
    offset: int
    shown: int


@lru_cache(maxsize=2048)
def zone(name: str) -> ZoneInfo:
    """Return the IANA zone of that name; raises UnknownTimezone with the nearest names.

    The name is checked before a file is looked for, so that no name leads outside the time zone data.
    """
    if not _ZONE_NAME.fullmatch(name) or _NOT_ZONES.fullmatch(name):
        raise UnknownTimezone(name, _nearest(name))
    try:
        found = ZoneInfo(name)
    except (ValueError, OSError, KeyError):  # a file that is no zone, a folder, nothing at all
        raise UnknownTimezone(name, _nearest(name)) from None
    return found


@lru_cache(maxsize=8192)
def spans_of_year(name: str, year: int) -> tuple[Span, ...]:
    """Return the spans of that UTC year in order; the first and last are cut at its ends."""
    begin, end = _start_of_year(year), _start_of_year(year + 1)
    spans: list[Span] = []
    start = begin - 2 * DAY_S
    offset = offset_at(zone(name), start)
    shown = start + offset
    for change, next_offset in [*_changes(zone(name), start, end), (end, offset)]:
        if change > begin:
            # A span cut at the start of the year begins without a jump, unless it is the end of a fold.
            cut_shown = shown if start >= begin else max(shown, begin + offset)
            spans.append(Span(max(start, begin), change, offset, cut_shown))
        shown = max(shown, change + offset)
        start, offset = change, next_offset
    return tuple(spans)


def spans(name: str, low: int, high: int) -> Iterator[Span]:
    """Yield the spans that meet [low, high), in order; cut at the ends of UTC years."""
    for year in range(year_of(low), year_of(high - 1) + 1):
        for span in spans_of_year(name, year):
            if span.end > low and span.start < high:
                yield span


@lru_cache(maxsize=8192)
def clock_changes(name: str, low: int, high: int) -> tuple[Span, ...]:
    """Return the spans in [low, high) that begin with a jump of the wall clock."""
    found = []
    offset: int | None = None
    for span in spans(name, low - 1, high):
        if offset is not None and span.offset != offset:
            found.append(span)
        offset = span.offset
    return tuple(found)


def reached(name: str, wall: int) -> int:
    """Return the first instant at which the zone's wall clock shows `wall` or a later time.

    That is the first pass of a repeated time and the end of the gap for a skipped one.
    """
    for span in spans(name, wall - 2 * DAY_S, wall + 2 * DAY_S):
        if span.end + span.offset > wall:
            return max(span.start, wall - span.offset)
    raise AssertionError("no zone is two days away from UTC")


def offset_at(where: ZoneInfo, instant: int) -> int:
    """Return local time minus UTC at that instant, in seconds."""
    offset = datetime.fromtimestamp(instant, where).utcoffset()
    assert offset is not None, "an aware datetime has an offset"
    return offset.days * DAY_S + offset.seconds


def year_of(instant: int) -> int:
    """Return the UTC year of that instant, kept inside the years that can be computed."""
    if instant < _start_of_year(YEAR_FIRST):
        return YEAR_FIRST
    return (EPOCH + timedelta(seconds=min(instant, _start_of_year(YEAR_LAST)))).year


@lru_cache(maxsize=1024)
def _start_of_year(year: int) -> int:
    return (datetime(year, 1, 1, tzinfo=UTC) - EPOCH).days * DAY_S


def _changes(where: ZoneInfo, low: int, high: int) -> Iterator[tuple[int, int]]:
    """Yield (instant, new offset) for each change in (low, high)."""
    before = offset_at(where, low)
    for day in range(low, high, DAY_S):
        after = offset_at(where, min(day + DAY_S, high - 1))
        if after != before:
            yield _first_with(where, after, day, min(day + DAY_S, high - 1)), after
            before = after


def _first_with(where: ZoneInfo, offset: int, low: int, high: int) -> int:
    """Return the first instant in (low, high] that has this offset, by halving."""
    while high - low > 1:
        middle = (low + high) // 2
        if offset_at(where, middle) == offset:
            high = middle
        else:
            low = middle
    return high


def _nearest(name: str) -> list[str]:
    """Return up to three zone names that look like `name`, or that end with it as `London` does."""
    known = sorted(key for key in available_timezones() if not _NOT_ZONES.fullmatch(key))
    wanted = name[:64].strip().replace(" ", "_").casefold()
    folded = {key.casefold(): key for key in known}
    by_city = [key for key in known if key.casefold().rpartition("/")[2] == wanted]
    close = get_close_matches(wanted, folded, n=3, cutoff=0.6)
    return list(dict.fromkeys([*by_city, *(folded[key] for key in close)]))[:3]
