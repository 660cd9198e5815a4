"""A world for one test: the user's jobs under the real engine, on a clock that the test moves."""

from __future__ import annotations

import os
from collections import Counter
from collections.abc import Callable, Iterator, Mapping
from datetime import datetime, timedelta
from pathlib import Path
from typing import Any, NamedTuple

from dagsched.closest import get_close_matches
from dagsched.config.files import SUFFIXES
from dagsched.counting import counted
from dagsched.engine.why import Then, explain_no_row, explain_run
from dagsched.errors import Unknown
from dagsched.handlers.params import checked_params, params_from_event
from dagsched.loading import Paths, load, load_text
from dagsched.model import Attempt, Config, EventRow, Job, Outcome, Run, RunState, format_instant, is_schedule_tick
from dagsched.testing.script import Failure, Rule, Script, When
from dagsched.testing.times import Length, Moment, is_day, length_of, matcher, moment_of
from dagsched.triggers import local
from dagsched.virtual import End, Virtual

MILLISECOND = timedelta(milliseconds=1)
NEAR = 3
LINES_MAX = 200


class Line(NamedTuple):
    """One row of the history: a tick, or the ticks from `tick` to `until` that were left out together.

    Times are local to the world's zone.
    """

    job: str
    tick: datetime
    until: datetime | None
    state: str
    reason: str
    attempts: int
    started: datetime | None
    ended: datetime | None

    def __str__(self) -> str:
        span = f"{self.tick:%a %Y-%m-%d %H:%M}" + (f" to {self.until:%a %Y-%m-%d %H:%M}" if self.until else "")
        took = f", {self.started:%H:%M:%S} to {self.ended:%H:%M:%S}" if self.started and self.ended else ""
        tries = f", {self.attempts} attempts" if self.attempts > 1 else ""
        return f"{span}  {self.job}: {self.state}" + (f" ({self.reason})" if self.reason else "") + took + tries


class World:
    """Jobs, a clock, and what was said about attempts.

    `jobs`: a job file or a folder of them, several of both, or a job file's text. `start`: where the clock stands
    first; a tick at that very instant is still to come. `timezone`: the zone of all times that carry none, and of days;
    the zone of most of the jobs if not given. `takes`: how long attempts take of which nothing was said; they succeed.
    `slots`: attempts at a time, None for no limit. Raises ConfigInvalid, which shows the problems.

    Everywhere, `tick` and `on` are an instant (`"2026-11-24T02:00"`) or a day (`"2026-11-24"`), `job` is checked, and
    an unknown one raises Unknown with the nearest.
    """

    def __init__(
        self,
        jobs: Paths,
        *,
        start: Moment,
        timezone: str | None = None,
        takes: Length = "1m",
        slots: int | None = None,
    ) -> None:
        config = _load(jobs)
        self.timezone = timezone or _zone_of(config)
        self._script = Script(length_of(takes))
        begin = moment_of(start, self.timezone)
        # A test that starts on Monday means Monday's midnight tick as well: the daemon was there just before it.
        self.virtual = Virtual(config, begin - MILLISECOND, behave=self._behave, slots_max=slots)
        self.virtual.now = begin

    def __repr__(self) -> str:
        return f"World({counted(len(self.config.jobs), 'job')}, {self.now:%Y-%m-%d %H:%M:%S %Z})"

    @property
    def config(self) -> Config:
        """The configuration in force."""
        return self.virtual.config

    @property
    def now(self) -> datetime:
        """What the clock shows, in the world's zone."""
        return local(self.virtual.now, self.timezone)

    def _behave(self, job: Job, run: Run, attempt: int) -> End:
        return self._script.end_of(job, run, attempt, self.virtual.plan.book.outputs_for(run))

    # ------------------------------------------------------------ what attempts do

    def takes(
        self,
        job: str,
        length: Length,
        *,
        on: Moment | None = None,
        attempt: int | None = None,
        when: When | None = None,
    ) -> None:
        """From now on have attempts of `job` take that long: all, or those of a tick, a number, or as `when` says.

        `when(run, attempt)` is asked for each attempt at its start. What was said last counts.
        """
        self._say(job, on, attempt, when, length=length_of(length))

    def fails(
        self,
        job: str,
        *,
        on: Moment | None = None,
        attempt: int | None = None,
        when: When | None = None,
        exit_code: int = 1,
        outcome: str = "failed",
        reason: str = "",
    ) -> None:
        """From now on have attempts of `job` fail: all, or those of a tick, a number, or as `when` says.

        `on` may be a day of the week, too. `outcome`: `failed`, `timed_out`, `lost` or `spawn_error`.
        """
        ended = Outcome(outcome)
        if ended in (Outcome.SUCCESS, Outcome.CANCELLED):
            raise ValueError(f"an attempt that fails is not {outcome!r}; use succeeds(), or cancel() the run")
        code = exit_code if ended is Outcome.FAILED else None
        self._say(job, on, attempt, when, failure=Failure(ended, code, reason))

    def succeeds(
        self, job: str, *, on: Moment | None = None, attempt: int | None = None, when: When | None = None
    ) -> None:
        """From now on have attempts of `job` succeed, as they do unless something else was said."""
        self._say(job, on, attempt, when, failure=False)

    def outputs(
        self,
        job: str,
        values: Mapping[str, object] | None = None,
        *,
        on: Moment | None = None,
        attempt: int | None = None,
        when: When | None = None,
        **more: object,
    ) -> None:
        """From now on have successes of `job` give exactly these outputs: `outputs("a", rows=3)`."""
        texts = {name: str(value) for name, value in {**(values or {}), **more}.items()}
        self._say(job, on, attempt, when, outputs=texts)

    def _say(self, job: str, on: Moment | None, attempt: int | None, when: When | None, **said: Any) -> None:
        fits = matcher(on, self.timezone) if on is not None else None
        self._script.add(Rule(self._known(job), fits, attempt, when, **said))

    # ------------------------------------------------------------ time

    def run_until(self, when: Moment) -> None:
        """Let everything happen up to an instant, itself included; of a day, up to its midnight but not the midnight.

        So `run_until("2026-11-30")` lives through Sunday the 29th.
        """
        moment = moment_of(when, self.timezone)
        if moment < self.virtual.now:
            raise ValueError(f"{when} is past: it is {self.now:%Y-%m-%dT%H:%M:%S}; step_clock() sets a clock back")
        self.virtual.run_until(moment - MILLISECOND if is_day(when) else moment)
        self.virtual.now = moment

    def run_for(self, length: Length) -> None:
        """Let everything happen for that long."""
        self.virtual.run_until(self.virtual.now + length_of(length))

    def run_to_rest(self, limit: Length = "1d") -> None:
        """Let everything happen until every run is over; raises AssertionError if some are not after `limit`."""
        if not self.virtual.run_to_rest(self.virtual.now + length_of(limit)):
            live = [run.name for run in self.virtual.rows() if not run.state.is_terminal]
            raise AssertionError(f"not over after {limit}: {', '.join(live[:5])}")

    def down(self, since: Moment, until: Moment, *, reboot: bool = False) -> None:
        """Run until `since`, and have no daemon there from then until `until`; `reboot`: no machine either.

        Attempts go on meanwhile, as they do when a daemon is killed; after a reboot they are lost.
        """
        begin, end = moment_of(since, self.timezone), moment_of(until, self.timezone)
        if end < begin:
            raise ValueError(f"down from {since} until {until} ends before it begins")
        self.run_until(begin)
        self.virtual.down(end, rebooted=reboot)

    def step_clock(self, by: Length) -> None:
        """Have somebody set the clock forward, or back with `"-1h"`; what is under way takes as long as before."""
        self.virtual.step_clock(length_of(by))

    # ------------------------------------------------------------ what people do

    def edit(self, jobs: Paths) -> None:
        """Have the job files say something else now, as a saved edit does; what is invalid raises and does nothing."""
        self.virtual.apply_config(_load(jobs))

    def trigger(self, job: str, *, with_upstream: bool = False, only: bool = False, **params: Any) -> Run:
        """Have a person ask for a run now, and return it as it then is; raises Refused."""
        known = self.config.jobs[self._known(job)]
        return self.virtual.trigger(job, checked_params(known, params), with_upstream=with_upstream, only=only)

    def emit(self, event: str, *, id: str = "", **data: Any) -> list[Run]:
        """Have an event happen, and return the runs of the jobs that listen as they then are; raises Refused."""
        params = {each: params_from_event(self.config.jobs[each], data) for each in self.virtual.listeners(event)}
        return self.virtual.emit(event, data, id=id, params=params)

    def pause(self, job: str) -> None:
        """Have a person pause a job."""
        self.virtual.pause(self._known(job))

    def resume(self, job: str) -> None:
        """Have a person end a pause."""
        self.virtual.resume(self._known(job))

    def cancel(self, job: str, tick: Moment | None = None) -> None:
        """Have a person cancel a run: of that tick, or the job's newest; raises Refused."""
        self.virtual.cancel(self.run(job, tick).name)

    def rerun(self, job: str, tick: Moment | None = None, *, downstream: bool = False) -> None:
        """Have a person run something again: that tick, or the job's newest; raises Refused."""
        self.virtual.rerun(self.run(job, tick).name, downstream=downstream)

    def ack(self, job: str, tick: Moment | None = None) -> None:
        """Have a person acknowledge a failed run: of that tick, or the job's newest; raises Refused."""
        self.virtual.ack(self.run(job, tick).name)

    # ------------------------------------------------------------ what became of it

    def run(self, job: str, tick: Moment | None = None) -> Run:
        """Return the run of a tick, of the job's newest without one.

        A day means its one tick. Raises LookupError when there is no such tick, or several on that day.
        """
        self._known(job)
        if tick is None:
            rows = self.virtual.rows(job)
            if not rows:
                raise LookupError(f"{job} has had no tick by {self.now:%Y-%m-%d %H:%M}")
            return rows[-1]
        found = list(self._ticks(job, tick))
        if len(found) == 1:
            row = self.virtual.row(job, found[0])
            assert row is not None, "its ticks are those of its rows"
            return row
        if found:
            raise LookupError(f"{job} has {len(found)} ticks on {tick}: {self._names(found)}; name one of them")
        near = sorted(self._all_ticks(job), key=lambda at: abs(at - moment_of(tick, self.timezone)))[:NEAR]
        hint = f"; near are {self._names(sorted(near))}" if near else f"; {job} has had none"
        raise LookupError(f"{job} has had no tick at {tick} by {self.now:%Y-%m-%d %H:%M}{hint}")

    def state(self, job: str, tick: Moment | None = None) -> str:
        """Return the state of a tick, of the job's newest without one: `success`, `skipped`, `running`, …"""
        return str(self.run(job, tick).state)

    def reason(self, job: str, tick: Moment | None = None) -> str:
        """Return why a tick is in its state, empty where there is nothing to say."""
        return self.run(job, tick).reason

    def states(self, job: str) -> list[str]:
        """Return the state of every tick of a job, oldest first."""
        return [str(row.state) for row, _ in self._each(self._known(job))]

    def count(self, job: str, state: str | None = None, *, on: Moment | None = None) -> int:
        """Return how many ticks of a job there have been: in all, in a state, on a day or a day of the week."""
        if state is not None and state not in set(RunState):
            raise ValueError(f"{state!r} is no state; known are {', '.join(RunState)}")
        fits = matcher(on, self.timezone) if on is not None else lambda tick: True
        return sum(state in (None, row.state) and fits(tick) for row, tick in self._each(self._known(job)))

    def counts(self, job: str) -> Mapping[str, int]:
        """Return how many ticks of a job there have been by state."""
        return Counter(self.states(job))

    def attempts(self, job: str, tick: Moment | None = None) -> list[Attempt]:
        """Return the attempts of a run in order."""
        return self.virtual.attempts(*self.run(job, tick).key)

    def started(self) -> list[str]:
        """Return the job of every attempt in the order in which they were started."""
        return [event.job for event in self.events("run.started")]

    def events(self, type: str | None = None) -> list[EventRow]:
        """Return the event log, all of it or one type (`run.started`, `job.paused`, …)."""
        return [event for event in self.virtual.events if type in (None, event.type)]

    def history(self, job: str | None = None) -> list[Line]:
        """Return what became of all ticks, of one job or of all, by tick; printed, each is a line."""
        if job is not None:
            self._known(job)
        return [self._line(row) for row in self.virtual.rows(job)]

    def report(self) -> str:
        """Return the history as text, its last 200 lines, to be printed when a test is not understood."""
        lines = [str(line) for line in self.history()]
        left_out = [f"... {len(lines) - LINES_MAX} earlier ..."] if len(lines) > LINES_MAX else []
        shown = [*left_out, *lines[-LINES_MAX:]] or ["nothing was due yet"]
        return "\n".join([f"{self.now:%a %Y-%m-%d %H:%M:%S %Z}", *shown])

    def why(self, job: str, tick: Moment | None = None) -> str:
        """Return why a tick ran, did not run, or does not run yet, in the words of `dagsched why`."""
        self._known(job)
        plan = self.virtual.plan
        instant = self._instant(job, tick)
        row = self.virtual.row(job, instant) if instant is not None else None
        if row is not None and instant is not None:
            answer = explain_run(plan, row, instant, self.virtual.attempts(*row.key), Then(job=self.config.jobs[job]))
        elif instant is not None:
            known = self.config.jobs[job]
            answer = explain_no_row(plan, known, instant, self.virtual.now, Then(job=known))
        else:
            return f"{job} has had no tick, and none is to come by a schedule"
        return "\n".join(answer.lines)

    # ------------------------------------------------------------ helpers

    def _instant(self, job: str, tick: Moment | None) -> datetime | None:
        """Return the tick that is asked about: also one that is to come, or that there never is."""
        if tick is None:
            rows = self.virtual.rows(job)
            return rows[-1].tick if rows else self.virtual.plan.ticks.next_of(job)
        if not is_day(tick):
            return moment_of(tick, self.timezone)
        midnight = moment_of(tick, self.timezone)
        coming = self.virtual.plan.ticks.ticks_between(job, midnight - MILLISECOND, midnight + timedelta(days=1))
        return next(iter([*self._ticks(job, tick), *coming]), midnight)

    def _known(self, job: str) -> str:
        if job not in self.config.jobs and not self.virtual.rows(job):
            raise Unknown("job", job, get_close_matches(job, list(self.config.jobs), NEAR))
        return job

    def _ticks(self, job: str, tick: Moment) -> Iterator[datetime]:
        """Yield the ticks of a job that are meant."""
        if not is_day(tick):
            moment = moment_of(tick, self.timezone)
            if self.virtual.row(job, moment) is not None:
                yield moment
            return
        fits = matcher(tick, self.timezone)
        yield from (at for at in self._all_ticks(job) if fits(at))

    def _all_ticks(self, job: str) -> Iterator[datetime]:
        return (tick for _, tick in self._each(job))

    def _each(self, job: str) -> Iterator[tuple[Run, datetime]]:
        """Yield every tick of a job with its row; a row of several ticks is given for each of them."""
        for row in self.virtual.rows(job):
            if row.until is None:
                yield row, row.tick
                continue
            between: list[datetime] = []
            if job in self.config.jobs:
                between = self.virtual.plan.ticks.ticks_between(job, row.tick, row.until - MILLISECOND)
            for tick in (row.tick, *between, row.until):
                yield row, tick

    def _line(self, row: Run) -> Line:
        def here(moment: datetime | None) -> datetime | None:
            return None if moment is None else local(moment, self.timezone)

        tick = local(row.tick, self.timezone)
        return Line(
            row.job, tick, here(row.until), str(row.state), row.reason, row.attempts, here(row.started), here(row.ended)
        )

    def _names(self, ticks: list[datetime]) -> str:
        shown = ", ".join(f"{local(tick, self.timezone):%Y-%m-%dT%H:%M}" + _seconds(tick) for tick in ticks[:10])
        return shown + (f" and {len(ticks) - 10} more" if len(ticks) > 10 else "")


def _seconds(tick: datetime) -> str:
    """Return what a tick has below the minute, as it must be written to name it."""
    if not is_schedule_tick(tick) or tick.second:
        return format_instant(tick).removesuffix("Z")[16:]
    return ""


def _load(jobs: Paths) -> Config:
    """Load a path, several, or a job file's text, which is known by having more than one line."""
    if isinstance(jobs, str) and "\n" in jobs:
        return load_text(jobs)
    if isinstance(jobs, str) and not jobs.endswith(SUFFIXES) and not Path(jobs).exists():
        raise FileNotFoundError(f"{jobs!r} is no job file here ({os.getcwd()}), and no text of one: that has lines")
    return load(jobs)


def _zone_of(config: Config) -> str:
    zones = Counter(job.timezone for job in config.jobs.values())
    return min(zones, key=lambda zone: (-zones[zone], zone), default="UTC")


Factory = Callable[..., World]
