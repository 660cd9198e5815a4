"""The frozen values that job files declare, and how instants are written.

A *job* is a declaration. A *tick* is an instant (aware UTC `datetime`) at which a job is due; a schedule's
ticks are whole seconds, ticks made by a person or an event carry milliseconds 1-999, so the two never meet.

All instants are aware `datetime`s in UTC with at most millisecond precision; all lengths are `timedelta`s.
Nothing here reads a clock, a file or a network.

These are named tuples: as immutable as frozen dataclasses, but a changed copy (`_replace`) costs a tenth, and the
classes themselves are made in a fifth of the time, for which every command waits (docs/bench.md). What becomes of jobs
stands in `model.py`, which hands on all of this: who only reads job files need not wait for it.
"""

from __future__ import annotations

from collections.abc import Mapping
from datetime import UTC, date, datetime, timedelta
from enum import StrEnum
from functools import lru_cache
from types import MappingProxyType
from typing import Any, Literal, NamedTuple

EMPTY: Mapping[str, Any] = MappingProxyType({})


# ---------------------------------------------------------------- what a job says


class Match(StrEnum):
    """Which tick of an upstream a run is judged against."""

    LATEST = "latest"
    SAME = "same"
    ALL = "all"


class TriggerRule(StrEnum):
    """What must have become of the upstreams before a run may start; Airflow's names and meanings."""

    ALL_SUCCESS = "all_success"
    ALL_DONE = "all_done"
    ALL_FAILED = "all_failed"
    ONE_SUCCESS = "one_success"
    ONE_FAILED = "one_failed"
    NONE_FAILED = "none_failed"
    NONE_SKIPPED = "none_skipped"
    ALWAYS = "always"


class Overlap(StrEnum):
    """What becomes of a run that is ready while its job is still active."""

    SKIP = "skip"
    QUEUE = "queue"
    ALLOW = "allow"
    REPLACE = "replace"


class Catchup(StrEnum):
    """Which of the ticks missed while nobody watched are run afterwards."""

    NONE = "none"
    LATEST = "latest"
    ALL = "all"


class OnCrash(StrEnum):
    """Whether an attempt that was lost is tried again."""

    RETRY = "retry"
    FAIL = "fail"


class Backoff(StrEnum):
    """How the wait between attempts grows."""

    CONSTANT = "constant"
    LINEAR = "linear"
    EXPONENTIAL = "exponential"


class Position(NamedTuple):
    """A place in a job file; `line` and `column` count from 1."""

    file: str
    line: int
    column: int = 1

    def __str__(self) -> str:
        return f"{self.file}:{self.line}:{self.column}"


class Dependency(NamedTuple):
    """One edge: the upstream's id and which of its ticks counts."""

    job: str
    match: Match = Match.LATEST


class Schedule(NamedTuple):
    """When a job is due; exactly one of `cron`, `every`, `at`, `event` is given.

    `at` is local wall time when naive, else an instant. `event`: names; the job is
    due whenever one of them is emitted. `start` and `end` are instants, both included.
    `gap` and `fold` override the reading of DST changes (`dst: {gap: run|skip, overlap: first|both}`), None
    leaves it to the class of the expression. `days` settles a starred step beside a weekday.
    `max_runs` counts runs that this schedule started.
    """

    cron: tuple[str, ...] = ()
    every: timedelta | None = None
    at: datetime | None = None
    event: tuple[str, ...] = ()
    timezone: str = "UTC"
    start: datetime | None = None
    end: datetime | None = None
    max_runs: int | None = None
    gap: Literal["run", "skip"] | None = None
    fold: Literal["first", "both"] | None = None
    days: Literal["any", "all"] | None = None


class RetryPolicy(NamedTuple):
    """How often and after which waits a run is tried.

    `max_attempts` counts all tries, the first included. The wait after attempt n is `delay` (constant),
    `delay * n` (linear) or `delay * multiplier ** (n - 1)` (exponential), at most `max_delay`, plus a part of
    `jitter` that is a hash of run name and attempt. `on` names the outcomes (`failed timed_out lost
    spawn_error`) or exit codes that are worth another try; empty means all of them.
    """

    max_attempts: int = 1
    backoff: Backoff = Backoff.CONSTANT
    delay: timedelta = timedelta(seconds=1)
    multiplier: float = 2.0
    max_delay: timedelta = timedelta(hours=1)
    jitter: timedelta = timedelta(0)
    on: tuple[str | int, ...] = ()


class Keep(NamedTuple):
    """How much of a job's history is kept: what is older than `days`, or not of the newest `runs`, may go.

    None means no bound.
    """

    days: int | None = None
    runs: int | None = None


class RateLimit(NamedTuple):
    """At most `starts` starts of attempts in any window of the length `per` (`10/1m`)."""

    starts: int
    per: timedelta

    def __str__(self) -> str:
        return f"{self.starts}/{format_length(self.per)}"


class Window(NamedTuple):
    """A stretch of local time in which runs may start, from `opens` to `closes` (`HH:MM`, the latter also 24:00).

    One that closes at or before the time it opens goes over midnight and belongs to the day on which it opens.
    `days` (`mon` to `sun`): on which it opens, empty for all. `outside`: what becomes of a run while it is closed.
    """

    opens: str
    closes: str
    days: tuple[str, ...] = ()
    outside: Literal["wait", "skip"] = "wait"

    def __str__(self) -> str:
        return " ".join((f"{self.opens}-{self.closes}", *self.days))


class Calendar(NamedTuple):
    """Days off: single ones, weekdays (`mon` to `sun`), and the public holidays of a country or one part of it."""

    days: frozenset[date] = frozenset()
    weekdays: tuple[str, ...] = ()
    country: str | None = None
    subdivision: str | None = None


class OutputRef(NamedTuple):
    """An `env` value that is an upstream's output: `{job: extract, output: rows, default: "0"}`."""

    job: str
    output: str
    default: str | None = None


class Param(NamedTuple):
    """A typed parameter: `schema` is its JSON Schema, `default` None means it must be given."""

    schema: Mapping[str, Any]
    default: Any = None


class NotifyRule(NamedTuple):
    """Whom to tell of what: `on` has some of `failure recovered late success config_rejected`, `to` has notifiers."""

    on: tuple[str, ...]
    to: tuple[str, ...]


# The variable in which an attempt finds the token of the worker elsewhere that it is to ask.
AGENT_TOKEN = "DAGSCHED_AGENT_TOKEN"  # noqa: S105


class Job(NamedTuple):
    """A declaration, with every default filled in.

    `secrets`: environment variable → where its value is (`env:X`, `file:/path`, `credential:name`), never the value.
    `run` is shell text (str), an argv (tuple) or None when `handler` is not `shell`. `max_active_runs` None
    means no limit; `catchup_window` None no age limit. `timezone` (IANA) is that of the local times people and
    commands are shown; a schedule carries the one it is read in. `priority`: -100 to 100, higher first. `queue` is that
    of the workers that do it, who have all its `labels` (in order); None: the scheduler does it itself. `position` is
    where the id stands; it takes no part in equality, so that moving a job inside a file changes nothing.
    """

    id: str
    schedule: Schedule | None = None
    depends_on: tuple[Dependency, ...] = ()
    trigger_rule: TriggerRule = TriggerRule.ALL_SUCCESS
    when: str = ""
    run: str | tuple[str, ...] | None = None
    handler: str = "shell"
    with_: Mapping[str, Any] = EMPTY
    env: Mapping[str, str | OutputRef] = EMPTY
    params: Mapping[str, Param] = EMPTY
    secrets: Mapping[str, str] = EMPTY
    cwd: str | None = None
    shell: str | None = None
    user: str | None = None
    retry: RetryPolicy = RetryPolicy()
    timeout: timedelta | None = None
    deadline: timedelta | None = None
    catchup: Catchup = Catchup.LATEST
    catchup_window: timedelta | None = None
    overlap: Overlap = Overlap.SKIP
    max_active_runs: int | None = 1
    max_queued: int = 100
    pool: str | None = None
    slots: int = 1
    queue: str | None = None
    labels: tuple[str, ...] = ()
    priority: int = 0
    rate_limit: RateLimit | None = None
    window: tuple[Window, ...] = ()
    calendar: tuple[str, ...] = ()
    jitter: timedelta = timedelta(0)
    on_crash: OnCrash = OnCrash.RETRY
    enabled: bool = True
    keep: Keep | None = None
    timezone: str = "UTC"
    description: str = ""
    tags: tuple[str, ...] = ()
    owner: str = ""
    notify: tuple[NotifyRule, ...] = ()
    position: Position | None = None

    def __eq__(self, other: object) -> bool:
        return self[:-1] == other[:-1] if isinstance(other, Job) else NotImplemented

    def __ne__(self, other: object) -> bool:
        return self[:-1] != other[:-1] if isinstance(other, Job) else NotImplemented


class Config(NamedTuple):
    """A checked configuration: all its jobs, pools and the bytes it came from.

    `jobs` keeps the order of the files. `pools`: capacity in slots by name. `files`: absolute path → text as
    read, enough to build the same configuration again without the disk. `digest`: hex SHA-256 over `files`.
    `pool_rates`: limits by name of those pools that have one. `calendars`: days off by name.
    `keep`: how much is kept of jobs that are in no file any more; of several files' the most generous.
    `notifiers`: who can be told, by name: what the file says, and `folder`, which relative paths are below. `notify`:
    rules of the files themselves, about what belongs to no job.
    """

    jobs: Mapping[str, Job]
    pools: Mapping[str, int] = EMPTY
    files: Mapping[str, str] = EMPTY
    digest: str = ""
    pool_rates: Mapping[str, RateLimit] = EMPTY
    calendars: Mapping[str, Calendar] = EMPTY
    keep: Keep | None = None
    notifiers: Mapping[str, Mapping[str, Any]] = EMPTY
    notify: tuple[NotifyRule, ...] = ()


# ---------------------------------------------------------------- lengths and instants


def format_length(length: timedelta) -> str:
    """Return a length as job files write it, in the largest units that leave nothing over.

    >>> format_length(timedelta(minutes=90)), format_length(timedelta(0)), format_length(timedelta(milliseconds=1500))
    ('1h30m', '0s', '1s500ms')
    """
    left, found = length // timedelta(milliseconds=1), ""
    for unit, ms in (("d", 86_400_000), ("h", 3_600_000), ("m", 60_000), ("s", 1000), ("ms", 1)):
        number, left = divmod(left, ms)
        found += f"{number}{unit}" if number else ""
    return found or "0s"


def utc(year: int, month: int, day: int, hour: int = 0, minute: int = 0, second: int = 0, ms: int = 0) -> datetime:
    """Return that instant of UTC."""
    return datetime(year, month, day, hour, minute, second, ms * 1000, tzinfo=UTC)


@lru_cache(maxsize=512)
def format_instant(instant: datetime) -> str:
    """Return RFC 3339 in UTC with a `Z`, milliseconds only when there are any.

    >>> format_instant(utc(2026, 11, 23, 14)), format_instant(utc(2026, 11, 23, 14, ms=7))
    ('2026-11-23T14:00:00Z', '2026-11-23T14:00:00.007Z')
    """
    moment = instant.astimezone(UTC)
    text = moment.isoformat(timespec="milliseconds" if moment.microsecond >= 1000 else "seconds")
    return text[: -len("+00:00")] + "Z"


def format_step(by: timedelta) -> str:
    """Return by how much a clock was set, with its sign, to the second.

    >>> format_step(timedelta(hours=1)), format_step(timedelta(seconds=-3599.6))
    ('+1:00:00', '-1:00:00')
    """
    return f"{'-' if by < timedelta(0) else '+'}{timedelta(seconds=round(abs(by).total_seconds()))}"


@lru_cache(maxsize=512)  # the names of all runs of a graph end with the same one
def parse_instant(text: str) -> datetime:
    """Return the aware UTC instant of RFC 3339 text, cut to milliseconds; naive text raises ValueError."""
    moment = datetime.fromisoformat(text)
    if moment.tzinfo is None:
        raise ValueError(f"{text!r} has no UTC offset; write it with a Z")
    try:
        return cut_to_ms(moment.astimezone(UTC))
    except OverflowError:
        raise ValueError(f"{text!r} lies outside the years 1 to 9999 of UTC") from None


def cut_to_ms(moment: datetime) -> datetime:
    """Return `moment` with what is below a millisecond cut off."""
    return moment.replace(microsecond=moment.microsecond // 1000 * 1000)


def is_schedule_tick(tick: datetime) -> bool:
    """Whether a schedule can have made this tick: those are whole seconds, all others carry milliseconds."""
    return tick.microsecond == 0
