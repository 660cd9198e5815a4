"""How long a job's attempts take, how often they fail and what they put out: from history, given, or assumed.

What is drawn is a hash of seed, run and attempt, as retry jitter is: the same seed gives the same report, and two
reports that differ in one setting differ for no other reason, because each attempt still takes as long as it did.
"""

from __future__ import annotations

import hashlib
from collections.abc import Iterable, Mapping, Sequence
from datetime import timedelta
from enum import StrEnum
from typing import NamedTuple

from dagsched.conditions import parse
from dagsched.model import EMPTY, Config, Job, Outcome, Run, RunState
from dagsched.stores.contract import Store
from dagsched.virtual import End

ASSUMED = timedelta(minutes=1)
# As `stats` measures: enough for a p95, and a long history is never read for it.
RUNS_LOOKED_AT = 50


class Source(StrEnum):
    """Where a figure comes from."""

    HISTORY = "history"
    GIVEN = "given"
    ASSUMED = "assumed"


class Habit(NamedTuple):
    """What attempts of one job do: each takes one of `lengths`, each as likely, and `fail_rate` of them fail.

    `outputs` are what each success puts out: those of the newest one on record.
    """

    lengths: tuple[timedelta, ...]
    fail_rate: float = 0.0
    lengths_from: Source = Source.ASSUMED
    fail_rate_from: Source = Source.ASSUMED
    outputs: Mapping[str, str] = EMPTY


def habit_of(job: Job, rows: Iterable[Run], *, length: timedelta | None, fail_rate: float | None) -> Habit:
    """Return what attempts of `job` will do, given its newest runs that ended `success` or `failed`.

    `length` and `fail_rate` were given by a person and win. Without history an attempt takes `ASSUMED`, or half of
    the job's timeout where that is shorter, and succeeds.
    """
    found = [run for run in rows if run.attempts]
    measured = tuple(
        run.ended - run.started for run in found if run.state is RunState.SUCCESS and run.started and run.ended
    )
    lengths: tuple[timedelta, ...]
    if length is not None:
        lengths, lengths_from = (length,), Source.GIVEN
    elif measured:
        lengths, lengths_from = measured, Source.HISTORY
    else:
        lengths, lengths_from = (_assumed_length(job),), Source.ASSUMED
    outputs = next((run.outputs for run in found if run.state is RunState.SUCCESS), EMPTY)
    if fail_rate is not None:
        return Habit(lengths, fail_rate, lengths_from, Source.GIVEN, outputs)
    if not found:
        return Habit(lengths, 0.0, lengths_from, Source.ASSUMED)
    tried = sum(run.attempts for run in found)
    succeeded = sum(run.state is RunState.SUCCESS for run in found)
    return Habit(lengths, (tried - succeeded) / tried, lengths_from, Source.HISTORY, outputs)


def _assumed_length(job: Job) -> timedelta:
    return ASSUMED if job.timeout is None else min(ASSUMED, job.timeout / 2)


class Said(NamedTuple):
    """What a person says about attempts: by job, and for those without history."""

    lengths: Mapping[str, timedelta] = EMPTY
    fail_rates: Mapping[str, float] = EMPTY
    length: timedelta | None = None
    fail_rate: float | None = None


async def habits_of(config: Config, store: Store, said: Said) -> dict[str, Habit]:
    """Return the habit of each job, from its newest runs in the store and what a person says."""
    found = {}
    for id, job in config.jobs.items():
        rows: Sequence[Run] = ()
        if id not in said.lengths or id not in said.fail_rates:
            rows = await store.rows(id, states=(RunState.SUCCESS, RunState.FAILED), limit=RUNS_LOOKED_AT)
        has_run = any(run.attempts for run in rows)
        length = said.lengths.get(id, None if has_run else said.length)
        fail_rate = said.fail_rates.get(id, None if has_run else said.fail_rate)
        found[id] = habit_of(job, rows, length=length, fail_rate=fail_rate)
    return found


def with_open_conditions(config: Config, habits: Mapping[str, Habit]) -> tuple[Config, list[str]]:
    """Return the configuration without the conditions that nobody can judge, and the ids of the jobs that had them.

    Those look at outputs of an upstream that has none on record: as good as any guess is that they hold.
    """
    opened = [job.id for job in config.jobs.values() if job.when and _looks_at_the_unknown(job, habits)]
    jobs = {**config.jobs, **{id: config.jobs[id]._replace(when="") for id in opened}}
    return config._replace(jobs=jobs), opened


def _looks_at_the_unknown(job: Job, habits: Mapping[str, Habit]) -> bool:
    uses = parse(job.when).uses
    return any(use.kind == "output" and use.name in habits and not habits[use.name].outputs for use in uses)


class Draws:
    """How each attempt goes, drawn from the habits under one seed: what a `Virtual` asks for."""

    def __init__(self, seed: int, habits: Mapping[str, Habit]) -> None:
        self._seed, self._habits = str(seed), habits

    def __call__(self, job: Job, run: Run, attempt: int) -> End:
        """Return how this attempt goes; a failed one takes as long as one that succeeds."""
        if job.handler == "workflow" and "job" in job.with_:
            return End()  # its step is drawn for itself, and decides
        habit = self._habits.get(job.id) or habit_of(job, (), length=None, fail_rate=None)
        which, fails = self._fractions(f"{run.name}#{attempt}")
        length = habit.lengths[int(which * len(habit.lengths))]
        return End(length, Outcome.FAILED) if fails < habit.fail_rate else End(length, outputs=habit.outputs)

    def _fractions(self, text: str) -> tuple[float, float]:
        """Return two numbers from 0 (included) to 1 (not) that depend on nothing but the seed and the text."""
        digest = hashlib.blake2b(f"{self._seed}/{text}".encode(), digest_size=12).digest()
        return int.from_bytes(digest[:6], "big") / 2**48, int.from_bytes(digest[6:], "big") / 2**48
