"""When a timer starts its service → `schedule` and what goes with it."""

from __future__ import annotations

import re
from functools import partial
from typing import Any

from dagsched.importers.calendarspec import Spec, elapses, read_spec, schedule_of, without_second
from dagsched.importers.commands import length_text
from dagsched.importers.cronfields import Unreadable
from dagsched.importers.draft import Draft
from dagsched.importers.units import Setting, values_of
from dagsched.importers.unitwork import Say

TRUE = ("1", "yes", "true", "on", "y", "t")
_SIZES = {
    "us": 1e-6, "ms": 1e-3, "s": 1, "m": 60, "h": 3600, "d": 86_400, "w": 604_800, "month": 2_629_800, "y": 31_557_600,
}  # fmt: skip
_LONG = {"usec": "us", "msec": "ms", "": "s", "sec": "s", "second": "s", "seconds": "s", "min": "m", "minute": "m",
         "minutes": "m", "hr": "h", "hour": "h", "hours": "h", "day": "d", "days": "d", "week": "w", "weeks": "w",
         "M": "month", "months": "month", "year": "y", "years": "y"}  # fmt: skip


def put_times(draft: Draft, timer: list[Setting], timezone: str, say: Say) -> None:
    """Give a draft the schedule of a timer, and the times that its verification compares with."""
    _calendar(draft, timer, timezone, say)
    _elapsed(draft, timer, say)
    if timer and "schedule" not in draft.keys:
        for setting in values_of(timer, "Timer", "OnBootSec") or values_of(timer, "Timer", "OnStartupSec"):
            say(setting, "dropped", f"the job has no schedule; let the boot run `dagsched trigger {draft.id}`")
    draft.unverifiable = draft.unverifiable or "none of its times are of the calendar"
    for setting in values_of(timer, "Timer", "Persistent"):
        draft.keys["catchup"] = "latest" if setting.value.lower() in TRUE else "none"
        say(setting, "same", f"catchup: {draft.keys['catchup']}")
    fixed = [setting.value.lower() in TRUE for setting in values_of(timer, "Timer", "FixedRandomDelay")][-1:]
    for setting in values_of(timer, "Timer", "RandomizedDelaySec"):
        length = seconds_of(setting.value)
        if length is None:
            say(setting, "dropped", "it is no length of time")
        elif length >= 1:
            draft.keys["jitter"] = length_text(int(length))
            why = (
                "jitter is a fixed share too, but not the same one"
                if fixed == [True]
                else "jitter is the same share each time"
            )
            say(setting, "differs", why)
        else:
            say(setting, "same", "")


def _calendar(draft: Draft, timer: list[Setting], timezone: str, say: Say) -> None:
    settings = values_of(timer, "Timer", "OnCalendar")
    specs: list[Spec] = []
    said: list[tuple[int, dict[str, Any], bool, Setting]] = []
    left: dict[int, str] = {}
    near: dict[int, str] = {}
    for setting in settings:
        try:
            spec, second = without_second(read_spec(setting.value))
        except Unreadable as error:
            say(setting, "dropped", str(error))
            continue
        specs.append(spec)
        draft.expressions.append(setting.value if spec.timezone else f"{setting.value} {timezone}")
        if second:
            near[len(specs) - 1] = f"systemd starts it {second} s later"
            say(setting, "differs", f"a schedule here has no seconds: it starts {second} s earlier")
        try:
            keys, wants_both = schedule_of(spec, spec.timezone or timezone)
            said.append((len(specs) - 1, {**keys, "timezone": spec.timezone or timezone}, wants_both, setting))
        except Unreadable as error:
            left[len(specs) - 1] = f"OnCalendar={setting.value} is not carried over"
            say(setting, "dropped", str(error))
    crons: list[str] = []
    chosen: dict[str, Any] = {}
    both: set[bool] = set()
    for place, keys, wants_both, setting in said:
        expression = keys.pop("cron", "")
        if (crons and (keys != chosen or not expression)) or (chosen and not crons):
            left[place] = f"OnCalendar={setting.value} is not carried over"
            say(setting, "dropped", "a schedule here has one time zone and one kind; make a second job of it")
            continue
        chosen = keys
        crons += [expression] if expression and expression not in crons else []
        both.add(wants_both)
        say(setting, "same", "")
    if specs:
        draft.fires = partial(elapses, specs, timezone, left_out=left, near=near)
    if chosen:
        draft.keys["schedule"] = _schedule(crons, chosen, True in both, timezone)


def _schedule(crons: list[str], keys: dict[str, Any], wants_both: bool, timezone: str) -> Any:
    found: dict[str, Any] = {"cron": crons if len(crons) > 1 else crons[0]} if crons else {}
    if wants_both:
        found["days"] = "all"
    found |= {key: value for key, value in keys.items() if (key, value) != ("timezone", timezone)}
    if "every" in found:
        found.pop("timezone", None)
    return found["cron"] if list(found) == ["cron"] and len(crons) == 1 else found


def _elapsed(draft: Draft, timer: list[Setting], say: Say) -> None:
    has_calendar = bool(draft.keys.get("schedule"))
    for key in ("OnActiveSec", "OnBootSec", "OnStartupSec", "OnUnitActiveSec", "OnUnitInactiveSec"):
        for setting in values_of(timer, "Timer", key):
            length = seconds_of(setting.value)
            if not key.startswith("OnUnit"):
                say(setting, "dropped", "the machine's or the timer's start is no time of the calendar")
            elif has_calendar or length is None or length < 1 or "schedule" in draft.keys:
                say(setting, "dropped", "a job has one schedule, in whole seconds")
            else:
                draft.keys["schedule"] = {"every": length_text(int(length))}
                draft.unverifiable = "it counts from the last start, which no calendar knows"
                say(setting, "differs", "every counts from 1970, not from the last start or end of the unit")


def seconds_of(text: str) -> float | None:
    """Return a time span of systemd (`1h 30min`, `90`) in seconds; None for infinity and what is none."""
    parts = re.findall(r"(\d+(?:\.\d+)?)\s*([A-Za-z]*)", text)
    if not parts or re.sub(r"\d+(?:\.\d+)?\s*[A-Za-z]*|\s", "", text):
        return None
    total = 0.0
    for number, unit in parts:
        size = _SIZES.get(_LONG.get(unit, unit))
        if size is None or len(number) > 12:
            return None
        total += float(number) * size
    return total


def length_of(text: str) -> str | None:
    """Return a time span as a length of a job file, None for none and for less than a second."""
    seconds = seconds_of(text)
    return length_text(int(seconds)) if seconds and seconds >= 1 else None
