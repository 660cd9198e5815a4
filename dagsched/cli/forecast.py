"""What `dagsched simulate` prints for people: tables, the chains that determine the days, and a map of the hours.

The map is told by letters that get denser; colours, where there may be any, only repeat them, from dark blue to light
yellow, which every kind of colour vision tells apart by its lightness.
"""

from __future__ import annotations

import math
from collections import defaultdict
from collections.abc import Iterator, Mapping, Sequence
from datetime import date, datetime, timedelta
from typing import Any

from dagsched.cli.output import may_color, print_table, printable
from dagsched.cli.times import length_text, wall
from dagsched.counting import counted
from dagsched.model import parse_instant
from dagsched.triggers import local

RAMP = " .:-+*#@"
# Foreground and background (of 256 colours) for each letter of the ramp but the first.
COLOURS = ((15, 17), (15, 24), (15, 60), (0, 102), (0, 144), (0, 186), (0, 227))
DAYS_SHOWN_MAX = 42
CHAINS_MAX = 5
STEPS_MAX = 8
JOBS_MAX = 8

Document = Mapping[str, Any]


def print_forecast(document: Document) -> None:
    """Print the document of `dagsched.rehearsal.report`."""
    zone = document["timezone"]
    start, until = (wall(local(parse_instant(document[key]), zone)) for key in ("from", "until"))
    print(f"simulated from {start} to {until}, seed {document['seed']}\n")
    for line in _summary(document):
        print(line)
    _print_waits(document)
    _print_days(document, zone)
    _print_heat(document)
    _print_jobs(document)
    print("\nassumed:")
    for line in document["assumptions"]:
        print(f"  - {line}")


def _summary(document: Document) -> Iterator[str]:
    states, left = document["states"], document["left_out"]
    total = sum(states.values())
    yield f"ticks      {total:,}: " + (", ".join(f"{count:,} {state}" for state, count in states.items()) or "none")
    if left:
        yield "left out   " + ", ".join(f"{count:,} {printable(kind)}" for kind, count in left.items())
    attempts = document["attempts"]
    yield (
        f"attempts   {attempts['started']:,} started, {attempts['retries']:,} of them retries; "
        f"{attempts['failed']:,} failed, {attempts['timed_out']:,} timed out"
    )
    if document["deadlines"]["declared"]:
        yield f"late       {counted(len(document['deadlines']['late']), 'run')} ended after their deadline"
    finish = document["finish"]
    if finish["p50_s"] is not None:
        yield (
            f"finish     p50 {_clock(finish['p50_s'])}, p95 {_clock(finish['p95_s'])}, latest {_clock(finish['max_s'])}"
            f" over {counted(finish['days'], 'day')}"
        )


def _clock(seconds: float) -> str:
    """Return the time of day that many seconds after midnight, `26:10` is ten past two of the next day."""
    minutes = math.ceil(seconds / 60)
    return f"{minutes // 60:02}:{minutes % 60:02}"


# ---------------------------------------------------------------- waits


def _print_waits(document: Document) -> None:
    titles = ("waited for", "runs", "total", "p50", "p95", "max")
    rows = [
        [cause, f"{row['runs']:,}", _length(row["total_s"]), *_spread(row)] for cause, row in document["waits"].items()
    ]
    _print_titled("", titles, rows)
    for name, key in (("pool", "pools"), ("priority", "priorities")):
        if all(row["waited"] == 0 for row in document[key].values()):
            continue
        titles = (name, *(("slots",) if key == "pools" else ()), "runs", "waited", "p50", "p95", "max")
        rows = []
        for each, row in document[key].items():
            slots = [str(row["slots"] or "")] if key == "pools" else []
            rows.append([each, *slots, f"{row['runs']:,}", f"{row['waited']:,}", *_spread(row)])
        _print_titled("", titles, rows)


def _print_titled(title: str, titles: Sequence[str], rows: Sequence[Sequence[str]]) -> None:
    if rows:
        print(f"\n{title}" if title else "")
        print_table(titles, rows, right=titles[1:], state="")


def _spread(row: Mapping[str, Any]) -> list[str]:
    return [_length(row[key]) for key in ("p50_s", "p95_s", "max_s")]


def _length(seconds: float | None) -> str:
    if seconds is None:
        return ""
    return "0" if seconds == 0 else length_text(timedelta(seconds=seconds))


# ---------------------------------------------------------------- days


def _print_days(document: Document, zone: str) -> None:
    numbers: dict[tuple[str, ...], int] = {}
    rows = []
    for day in document["days"]:
        chain = tuple(step["job"] for step in day["critical_path"])
        number = numbers.setdefault(chain, len(numbers) + 1) if chain else ""
        name = f"{date.fromisoformat(day['date']):%a %Y-%m-%d}" + ("" if day["whole"] else " (part)")
        finish = _clock(day["finish_s"]) if day["finish_s"] is not None else ""
        rows.append([name, f"{day['runs']:,}", finish, str(number)])
    _print_titled("", ("day", "runs", "finish", "critical path"), rows[:DAYS_SHOWN_MAX])
    if len(rows) > DAYS_SHOWN_MAX:
        print(f"and {counted(len(rows) - DAYS_SHOWN_MAX, 'more day')}, which --json has")
    by_chain: dict[tuple[str, ...], list[Mapping[str, Any]]] = defaultdict(list)
    for day in document["days"]:
        by_chain[tuple(step["job"] for step in day["critical_path"])].append(day)
    for chain, number in list(numbers.items())[:CHAINS_MAX]:
        days = by_chain[chain]
        first = days[0]["critical_path"]
        print(f"\ncritical path {number}, on {counted(len(days), 'day')}; on {days[0]['date']}:")
        for line in _steps(first, zone):
            print(f"  {line}")
    if len(numbers) > CHAINS_MAX:
        print(f"\nand {len(numbers) - CHAINS_MAX} other critical paths, which --json has")


def _steps(chain: Sequence[Mapping[str, Any]], zone: str) -> Iterator[str]:
    shown = list(chain)
    cut = len(shown) - STEPS_MAX
    for number, step in enumerate(shown):
        if cut > 0 and number == 3:
            yield f"... {cut} more ..."
        if cut > 0 and 3 <= number < 3 + cut:
            continue
        started = local(parse_instant(step["started"]), zone)
        tries = f", {step['attempts']} attempts" if step["attempts"] > 1 else ""
        bad = "" if step["state"] == "success" else f", {step['state']}"
        waited = f", after {_length(step['waited_s'])} of waiting" if step["waited_s"] else ""
        why = {"due": "due", "upstream": "after the one before"}.get(step["because"], f"waited for {step['because']}")
        yield f"{started:%H:%M:%S} {printable(step['job'])}  {_length(step['duration_s'])} ({why}{waited}{tries}{bad})"


# ---------------------------------------------------------------- hours


def _print_heat(document: Document) -> None:
    rows = _heat_rows(document["heat"])
    top = max((value for _, hours in rows for value in hours), default=0.0)
    if top == 0:
        return
    print("\nattempts under way, mean of each hour:\n")
    width = max(len(name) for name, _ in rows)
    print(" " * width + "  " + " ".join(f"{hour:02}" for hour in range(24)))
    for name, hours in rows:
        print(f"{name:<{width}}  " + " ".join(_painted(level_of(value, top), 2) for value in hours).rstrip())
    print(" " * width + "  " + "  ".join(_legend(top)))


def _heat_rows(heat: Sequence[Mapping[str, Any]]) -> list[tuple[str, list[float]]]:
    """Return a row for each day, for each day of the week the mean where there are many."""
    days = [(date.fromisoformat(row["date"]), row["hours"]) for row in heat]
    if len(days) <= DAYS_SHOWN_MAX:
        return [(f"{day:%a %m-%d}", hours) for day, hours in days]
    by_weekday: dict[int, list[list[float]]] = defaultdict(list)
    for day, hours in days:
        by_weekday[day.weekday()].append(hours)
    monday = datetime(2026, 11, 23)
    return [
        (f"{monday + timedelta(days=number):%a}", [sum(each) / len(each) for each in zip(*rows, strict=True)])
        for number, rows in sorted(by_weekday.items())
    ]


def level_of(value: float, top: float) -> int:
    """Return the place in the ramp that stands for a value: 0 for nothing, the last for more than 6/7 of `top`."""
    return min(len(RAMP) - 1, math.ceil((len(RAMP) - 1) * value / top - 1e-9)) if value > 0 else 0


def _painted(level: int, width: int) -> str:
    text = RAMP[level] * width
    if not may_color() or level == 0:
        return text
    fore, back = COLOURS[level - 1]
    return f"\x1b[38;5;{fore};48;5;{back}m{text}\x1b[0m"


def _legend(top: float) -> Iterator[str]:
    steps = len(RAMP) - 1
    for level in range(1, steps + 1):
        yield f"{_painted(level, 1)} to {top * level / steps:.3g}"


# ---------------------------------------------------------------- jobs


def _print_jobs(document: Document) -> None:
    """Print the jobs that had most trouble."""
    rows = []
    for row in sorted(document["jobs"], key=_trouble, reverse=True)[:JOBS_MAX]:
        if _trouble(row) > (0, 0, 0.0):
            bad = sum(row["states"].get(state, 0) for state in ("failed", "upstream_failed"))
            cells = [row["overlaps"], row["late"], row["retries"], bad]
            rows.append([row["job"], *(f"{cell:,}" for cell in cells), _length(row["waited"]["max_s"])])
    _print_titled("jobs worth a look:\n", ("job", "overlaps", "late", "retries", "failed", "longest wait"), rows)


def _trouble(row: Mapping[str, Any]) -> tuple[int, int, float]:
    failed = row["states"].get("failed", 0)
    return (row["late"] + row["overlaps"], failed + row["retries"], row["waited"]["max_s"] or 0.0)
