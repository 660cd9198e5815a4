"""A tick as a person types it: an instant, or wall time of the job's zone."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

from dagsched.cli.times import parse_moment
from dagsched.errors import UsageError
from dagsched.model import Job, cut_to_ms, format_instant
from dagsched.triggers import local, trigger_of
from dagsched.triggers.zones import zone

LOCAL = "local"


def read_tick(text: str, job: Job | None) -> tuple[datetime, str]:
    """Return the UTC instant, and a remark on how it was read, "" if that needs none; raises UsageError.

    With an offset, or `Z`, it is that instant. With the word `local` behind it, it is wall time of the job's zone: the
    first of two equal times, and for a time that a clock change skips the first instant after that. Without either it
    is UTC; only if the job's schedule has no tick then but has one at that wall time of its zone, that one is meant.
    """
    words, is_local = (text[: -len(LOCAL)].rstrip(), True) if text.endswith(LOCAL) else (text, False)
    name = _zone_of(job)
    if is_local:
        return _of_wall(words, name)
    instant = parse_moment(words)
    if job is None or job.schedule is None or name == "UTC" or _has_offset(words) or _is_tick(job, instant):
        return instant, ""
    there, _ = _of_wall(words, name)
    if not _is_tick(job, there):
        return instant, ""
    return there, f"{words} was read as {name} time, {format_instant(there)}; in UTC it is no tick of {job.id}"


def _zone_of(job: Job | None) -> str:
    if job is None:
        return "UTC"
    return job.schedule.timezone if job.schedule is not None else job.timezone


def _has_offset(text: str) -> bool:
    return datetime.fromisoformat(text).tzinfo is not None


def _is_tick(job: Job, instant: datetime) -> bool:
    assert job.schedule is not None, "only asked for scheduled jobs"
    return trigger_of(job.schedule).next(instant - timedelta(seconds=1)) == instant


def _of_wall(text: str, name: str) -> tuple[datetime, str]:
    naive = parse_moment(text).replace(tzinfo=None)
    if _has_offset(text):
        raise UsageError(f"{text!r} has an offset, so it is no local time; leave out one of the two")
    instant = cut_to_ms(naive.replace(tzinfo=zone(name)).astimezone(UTC))
    shown = local(instant, name)
    if shown.replace(tzinfo=None) == naive:
        return instant, ""
    # Before the jump the offset was another one: the first instant after the gap is where the clock shows its end.
    after = _end_of_gap(instant, name)
    jump = f"the clock jumped to {local(after, name):%H:%M} then"
    return after, f"{naive:%Y-%m-%d %H:%M} does not exist in {name}: {jump}"


def _end_of_gap(near: datetime, name: str) -> datetime:
    """Return the instant of the clock change nearest to one that was made from a wall time it skipped."""
    low, high = near - timedelta(days=1), near + timedelta(days=1)
    offset = local(low, name).utcoffset()
    while high - low > timedelta(seconds=1):
        middle = low + (high - low) / 2
        low, high = (middle, high) if local(middle, name).utcoffset() == offset else (low, middle)
    return cut_to_ms(high.replace(microsecond=0))
