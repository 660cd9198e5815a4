"""The first tick of 100,000 schedules (3,000 cron expressions in five zones), against croniter.

Measured: `trigger_of(schedule).next(now)` for each of them, as a daemon does that starts without any stored
ticks, in a process with cold caches. Yardstick: `croniter(expression, start).get_next()` on naive times for each
distinct expression, which is a part of the work and knows no zones; compared per schedule.
"""

from __future__ import annotations

import json
import sys
import time

from yard import ZONES, Report, answer_apart, expressions, is_part, memory_mb, options

SCHEDULES = 100_000
DISTINCT = 3_000
SECONDS_GOAL = 10


def main() -> None:
    args = options(__doc__).parse_args()
    pairs = [(answer_apart(__file__, "dagsched"), answer_apart(__file__, "croniter")) for _ in range(args.runs)]
    ours, theirs = [pair[0] for pair in pairs], [pair[1] for pair in pairs]
    report = Report(f"schedules: first tick of {SCHEDULES:,} schedules, {DISTINCT:,} expressions, {len(ZONES)} zones")
    total = report.add("dagsched, all schedules", "s", [each["seconds"] for each in ours])
    report.add("croniter, each expression once", "s", [each["seconds"] for each in theirs])
    report.add("dagsched, peak memory", "MB", [each["peak_mb"] for each in ours])
    each_us = report.add("dagsched, a schedule", "us", [each["seconds"] / SCHEDULES * 1e6 for each in ours])
    naive_us = report.add("croniter, an expression", "us", [each["seconds"] / DISTINCT * 1e6 for each in theirs])
    report.ratio("a schedule / a naive croniter", each_us, naive_us)
    report.limit("all schedules, s", total.median, goal=SECONDS_GOAL)
    report.print(as_json=args.json)


def first_ticks() -> dict[str, float]:
    from dagsched.model import Schedule, utc
    from dagsched.triggers import trigger_of

    texts = expressions(DISTINCT)
    # Equal but distinct values, as two jobs of a file have them.
    schedules = [
        Schedule(cron=(texts[number % DISTINCT],), timezone=ZONES[number // DISTINCT % len(ZONES)])
        for number in range(SCHEDULES)
    ]
    now = utc(2026, 11, 21, 5, 17)
    start = time.perf_counter()
    ticks = [trigger_of(schedule).next(now) for schedule in schedules]
    seconds = time.perf_counter() - start
    assert all(tick is not None and tick > now for tick in ticks)
    return {"seconds": seconds, "peak_mb": memory_mb(peak=True)}


def naive_croniter() -> dict[str, float]:
    from datetime import datetime

    from croniter import croniter  # type: ignore[import-untyped]

    now = datetime(2026, 11, 21, 5, 17)
    texts = expressions(DISTINCT)
    start = time.perf_counter()
    for text in texts:
        croniter(text, now).get_next(datetime)
    return {"seconds": time.perf_counter() - start}


if __name__ == "__main__":
    if is_part():
        print(json.dumps({"dagsched": first_ticks, "croniter": naive_croniter}[sys.argv[2]]()))
    else:
        main()
