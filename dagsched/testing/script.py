"""How attempts go in a test: what was said of a job, of a tick, of an attempt; the last word said counts."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import NamedTuple

from dagsched.model import EMPTY, Job, Outcome, OutputRef, Run
from dagsched.virtual import End

When = Callable[[Run, int], bool]


class Failure(NamedTuple):
    """How an attempt fails."""

    outcome: Outcome = Outcome.FAILED
    exit_code: int | None = None
    reason: str = ""


@dataclass(frozen=True, slots=True)
class Rule:
    """One thing that was said of a job's attempts; what is None says nothing. `failure` False: they succeed."""

    job: str
    on: Callable[[datetime], bool] | None = None
    attempt: int | None = None
    when: When | None = None
    length: timedelta | None = None
    failure: Failure | bool | None = None
    outputs: Mapping[str, str] | None = None

    def fits(self, run: Run, attempt: int) -> bool:
        """Whether it speaks of this attempt."""
        return (
            run.job == self.job
            and (self.on is None or self.on(run.tick))
            and (self.attempt is None or self.attempt == attempt)
            and (self.when is None or bool(self.when(run, attempt)))
        )


class Script:
    """All that was said. An attempt of which nothing was said takes `length` and succeeds."""

    def __init__(self, length: timedelta) -> None:
        self.length = length
        self._rules: dict[str, list[Rule]] = {}

    def add(self, rule: Rule) -> None:
        """Say one thing more; it counts before what was said earlier."""
        self._rules.setdefault(rule.job, []).append(rule)

    def end_of(self, job: Job, run: Run, attempt: int, given: Mapping[str, Mapping[str, str]]) -> End:
        """Return how an attempt goes; `given`: the outputs of its upstream runs by job."""
        missing = self._missing(job, given)
        if missing:
            return End(timedelta(0), Outcome.SPAWN_ERROR, reason=missing)
        length, failure, outputs = self.length, None, None
        for rule in self._rules.get(run.job, ()):
            if rule.fits(run, attempt):
                length = rule.length if rule.length is not None else length
                failure = rule.failure if rule.failure is not None else failure
                outputs = rule.outputs if rule.outputs is not None else outputs
        if isinstance(failure, Failure):
            return End(length, failure.outcome, exit_code=failure.exit_code, reason=failure.reason)
        return End(length, outputs=outputs or EMPTY)

    def _missing(self, job: Job, given: Mapping[str, Mapping[str, str]]) -> str:
        """Return what keeps an attempt from starting: an output without a default that an upstream does not give.

        Of an upstream whose outputs nobody has spoken of, it is taken to give everything.
        """
        for name, value in job.env.items():
            if not isinstance(value, OutputRef) or value.default is not None:
                continue
            is_told = any(rule.outputs is not None for rule in self._rules.get(value.job, ()))
            if is_told and value.output not in given.get(value.job, {}):
                return f"{value.job} gave no output {value.output!r} for {name}, and it has no default"
        return ""
