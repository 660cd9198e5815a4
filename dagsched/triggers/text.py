"""A schedule and a length in the words of the job file, for people."""

from __future__ import annotations

from datetime import timedelta

from dagsched.declaration import Schedule

_UNITS = ((86400, "d"), (3600, "h"), (60, "m"), (1, "s"))


def schedule_text(schedule: Schedule | None) -> str | None:
    """Return `0 2 * * *`, `every 15m`, `on event x` or `at 2026-12-24T18:00`, and a zone that is not UTC."""
    if schedule is None:
        return None
    if schedule.event:
        return f"on event {' or '.join(schedule.event)}"
    if schedule.cron:
        text = " | ".join(schedule.cron)
    elif schedule.every is not None:
        return f"every {length_word(schedule.every)}"
    else:
        assert schedule.at is not None, "a schedule is cron, every, at or event"
        text = f"at {schedule.at.isoformat()}"
    return text if schedule.timezone == "UTC" else f"{text} {schedule.timezone}"


def length_word(length: timedelta) -> str:
    """Return the length as it is written in job files, in as few units as it takes."""
    rest, parts = int(length.total_seconds()), []
    for size, unit in _UNITS:
        if rest >= size:
            parts.append(f"{rest // size}{unit}")
            rest %= size
    return "".join(parts) or f"{length.total_seconds():g}s"
