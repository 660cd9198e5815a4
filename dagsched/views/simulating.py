"""The coming days on a virtual clock, as people ask for them: `dagsched simulate`, here and over HTTP."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import TYPE_CHECKING, Any, NamedTuple

from dagsched.clock import SystemClock
from dagsched.errors import ConfigInvalid, UsageError
from dagsched.views.names import known_job
from dagsched.views.times import parse_length, parse_moment

if TYPE_CHECKING:
    from dagsched.model import Config
    from dagsched.rehearsal.habits import Said
    from dagsched.stores.contract import Store

DAYS = 7
DAYS_MAX = 3660


class Wish(NamedTuple):
    """What is asked for, in a person's words: the options of `dagsched simulate`."""

    days: int = DAYS
    seed: int = 0
    start: str | None = None
    duration: Sequence[str] = ()
    fail_rate: Sequence[str] = ()
    slots: int | None = None


def checked(wish: Wish) -> Wish:
    """Return it; raises UsageError for numbers that cannot be."""
    if wish.slots == 0:
        raise UsageError("slots 0 would start nothing; give at least 1")
    if not 1 <= wish.days <= DAYS_MAX:
        raise UsageError(f"days {wish.days} is out of range; give 1 to {DAYS_MAX}")
    return wish


async def simulation_of(home: Path, files: Mapping[str, str], wish: Wish) -> Mapping[str, Any]:
    """Return the report on texts (path → text) and a state; raises ConfigInvalid, Unknown, UsageError, StoreError."""
    from dagsched.config import load_texts
    from dagsched.stores import open_store

    loaded = load_texts(files, SystemClock().now())
    if loaded.config is None:
        raise ConfigInvalid(loaded.problems)
    said = said_of(checked(wish), loaded.config)
    store = open_store(home)
    await store.open(write=False)
    try:
        return await simulate(store, loaded.config, wish, said)
    finally:
        await store.close()


async def simulate(store: Store, config: Config, wish: Wish, said: Said) -> Mapping[str, Any]:
    """Return the report; where `wish` names no start it begins with what the store holds."""
    from dagsched.daemon.memory import rest
    from dagsched.daemon.restoring import restored
    from dagsched.rehearsal import Draws, habits_of, rehearse, report, with_open_conditions
    from dagsched.rehearsal.report import timezone_of

    start = parse_moment(wish.start) if wish.start else SystemClock().now().replace(microsecond=0)
    habits = await habits_of(config, store, said)
    plan = None
    if wish.start is None and await store.configs(limit=1):
        plan, _ = await restored(store, config, start, slots=wish.slots)
    # A month of a thousand jobs is a hundred thousand rows that all stay: nobody has to look for garbage among them.
    rest()
    until = end_of(start, wish.days, timezone_of(config))
    config, opened = with_open_conditions(config, habits)
    rehearsed = rehearse(config, start, until, Draws(wish.seed, habits), slots=wish.slots, plan=plan)
    return report(rehearsed, habits, wish.seed, opened)


def end_of(start: datetime, days: int, timezone: str) -> datetime:
    """Return the local midnight that ends `days` whole days, the first of which begins at or after `start`."""
    from dagsched.triggers import local

    here = local(start, timezone)
    first = here.date() if _midnight(here, 0) >= start else (here + timedelta(days=1)).date()
    return _midnight(here.replace(year=first.year, month=first.month, day=first.day), days)


def _midnight(here: datetime, days: int) -> datetime:
    day = here.date() + timedelta(days=days)
    return datetime(day.year, day.month, day.day, tzinfo=here.tzinfo).astimezone(UTC)


# ---------------------------------------------------------------- what a person says of attempts


def said_of(wish: Wish, config: Config) -> Said:
    """Return the lengths and fail rates that are given; raises UsageError or Unknown."""
    from dagsched.rehearsal.habits import Said

    lengths, length = _by_job("duration", wish.duration, config)
    rates, rate = _by_job("fail rate", wish.fail_rate, config)
    return Said(
        {job: _length(text) for job, text in lengths.items()},
        {job: _rate(text) for job, text in rates.items()},
        _length(length) if length is not None else None,
        _rate(rate) if rate is not None else None,
    )


def _by_job(what: str, words: Sequence[str], config: Config) -> tuple[dict[str, str], str | None]:
    """Return what stands after each job and what stands alone; raises UsageError or Unknown."""
    by_job: dict[str, str] = {}
    alone = None
    for word in words:
        job, equals, text = word.rpartition("=")
        if equals and not job:
            raise UsageError(f"{what} {word!r} names no job before the `=`")
        if equals:
            by_job[known_job(job, config.jobs)] = text
        else:
            alone = text
    return by_job, alone


def _length(text: str) -> timedelta:
    length = parse_length(text)
    if length <= timedelta(0):
        raise UsageError(f"a duration of {text!r} is none; write one like 5m")
    return length


def _rate(text: str) -> float:
    try:
        rate = float(text)
    except ValueError:
        rate = -1.0
    if not 0 <= rate <= 1:
        raise UsageError(f"{text!r} is no fail rate; write a number from 0 (none) to 1 (all), such as 0.1")
    return rate
