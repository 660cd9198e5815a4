"""Job files and cron expressions like those of real teams, the same on every machine."""

from __future__ import annotations

import random
from collections.abc import Iterator

ZONES = ("UTC", "America/New_York", "Europe/Berlin", "Asia/Tokyo", "Australia/Sydney")
SEED = 20261121
OWNERS = ("payments", "search", "growth", "platform", "finance")


def expressions(count: int) -> list[str]:
    """Return that many different cron expressions in the shapes that crontabs are full of."""
    dice = random.Random(SEED)
    found: dict[str, None] = {}
    while len(found) < count:
        found[_expression(dice)] = None
    return list(found)


def _expression(dice: random.Random) -> str:
    minute, hour, day = dice.randrange(60), dice.randrange(24), dice.randrange(1, 29)
    weekday = dice.choice(("mon", "tue", "wed", "thu", "fri", "sat", "sun"))
    other = dice.randrange(24)
    shapes = (
        f"{minute} {hour} * * *",
        f"{minute} {hour} * * mon-fri",
        f"{minute} {hour} * * {weekday}",
        f"{minute} {hour} {day} * *",
        f"{minute} * * * *",
        f"{minute} {min(hour, other)}-{max(hour, other)} * * *",
        f"{minute},{(minute + 30) % 60} {hour} * * *",
        f"{minute} {hour},{other} * * 1-5",
        f"*/{dice.choice((5, 10, 15, 20, 30))} {hour} * * *",
        f"{minute} {hour} {day} */3 *",
    )
    return dice.choices(shapes, weights=(30, 15, 15, 10, 4, 6, 6, 6, 2, 6))[0]


def realistic_jobs(count: int, distinct: int = 3000) -> str:
    """Return a job file of `count` jobs with `distinct` schedules in five zones; a third waits for others."""
    dice = random.Random(SEED)
    schedules = expressions(distinct)
    head = [
        "version: 1",
        "timezone: UTC",
        "defaults: {retry: {max_attempts: 3, backoff: exponential, delay: 2s}, timeout: 1h}",
        "pools: {warehouse: 8, api: 4}",
        "jobs:",
    ]
    lines = [line for number in range(count) for line in _job(number, schedules[number % distinct], dice)]
    return "\n".join([*head, *lines, ""])


def _job(number: int, schedule: str, dice: random.Random) -> Iterator[str]:
    owner = dice.choice(OWNERS)
    yield f"  {_id(number)}:"
    yield f"    description: Load the {owner} figures of shard {number}, clean them and hand them on"
    yield f'    schedule: "{schedule}"'
    yield f"    timezone: {ZONES[number % len(ZONES)]}"
    if number and dice.random() < 1 / 3:
        upstream = sorted({dice.randrange(max(0, number - 200), number) for _ in range(dice.randrange(1, 4))})
        yield f"    depends_on: [{', '.join(map(_id, upstream))}]"
    yield f'    run: python -m {owner}.load --shard {number} --day "$DAGSCHED_TICK_LOCAL"'
    yield f"    tags: [{owner}, nightly, shard-{number % 16}]"
    if dice.random() < 0.4:
        yield "    retry: {max_attempts: 5, backoff: exponential, delay: 30s, max_delay: 10m}"
    if dice.random() < 0.3:
        yield "    timeout: 45m"
        yield f"    pool: {dice.choice(('warehouse', 'api'))}"
    if dice.random() < 0.3:
        yield "    env:"
        yield f"      TARGET: s3://bucket-{owner}/shard={number}"
        yield "      LEVEL: info"


def _id(number: int) -> str:
    return f"load-{number:05}"
