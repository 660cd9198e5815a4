"""Holds what is durable against what really happened, promise by promise, commit by commit.

The auditor sees each commit right after it, each process as it begins and ends, each configuration and each
`rerun` asked for. It raises `Broken` at the first contradiction, so that the trace ends where it went wrong.

P1 one row per tick        P6 no process without a row       P11 overlap, active runs
P2 a number starts once    P7 nothing is forgotten           P12 no row off schedule
P3 joins hold at a start   P8 attempts within the limit      P13 terminal stays, rows stay
P4 every due tick a row    P9 attempts of a run never meet   P14 one event per transition, no gap
P5 the record is true      P10 pools hold at starts          P15 a clean stop leaves nothing
"""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Callable, Mapping
from datetime import datetime, timedelta
from typing import Any
from zoneinfo import ZoneInfo

from dagsched.graph import Graph
from dagsched.model import (
    Attempt,
    Backfill,
    BackfillState,
    Catchup,
    Config,
    EventRow,
    Job,
    Outcome,
    Overlap,
    RateLimit,
    Run,
    RunState,
    is_schedule_tick,
    parse_run_name,
    run_name,
)
from dagsched.stores.contract import Batch
from dagsched.stores.memory import MemoryState
from tests.simulation import joins
from tests.simulation.clocks import is_day_off, shows_open
from tests.simulation.files import WHENS
from tests.simulation.journal import ACTIVE, STARTED, TERMINAL, Broken, Key, Life, Seen, Version

__all__ = ["Auditor", "Broken"]

LEGAL = {
    "": {"waiting", "queued", "skipped", "missed"},
    "waiting": {"queued", "skipped", "upstream_failed", "cancelled"},
    "queued": {"running", "waiting", "skipped", "cancelled"},
    "running": {"success", "failed", "retrying", "cancelled"},
    "retrying": {"running", "failed", "cancelled"},
    **{state.value: {"waiting"} for state in TERMINAL},
}
UNSTARTED = {"skipped", "missed", "upstream_failed", "cancelled"}
PROMISED_BY = {
    Outcome.SUCCESS: {"itself"}, Outcome.FAILED: {"itself"}, Outcome.TIMED_OUT: {"timed_out"},
    Outcome.CANCELLED: {"cancelled"}, Outcome.LOST: {"unseen", "never"}, Outcome.SPAWN_ERROR: {"never"},
}  # fmt: skip


class Auditor:
    """One simulation's auditor. `now`: wall time; `note`: adds a line to the trace."""

    def __init__(self, state: MemoryState, now: Callable[[], datetime], note: Callable[[str, str], None]) -> None:
        self.seen = Seen()
        self.starts = 0
        self._state, self._now, self._note = state, now, note
        self._configs: dict[str, Config] = {}
        self._high = now()
        self._last_event = 0
        self._states: dict[Key, str] = {}
        self._judged: dict[Key, int] = {}
        self._budget: dict[Key, int] = {}
        self._fresh: set[Key] = set()
        self._emissions: set[tuple[str, str]] = set()
        self._reruns: set[str] = set()
        self._reopened: set[Key] = set()
        self._backfills: list[tuple[str, datetime, datetime]] = []
        self._known_backfills: dict[int, Backfill] = {}
        self._by_rerun: set[Key] = set()
        self._span = 1
        self._stepped_back = False
        self._late: set[Key] = set()
        self._started: list[tuple[datetime, str, str | None]] = []

    # ------------------------------------------------------------ what it is told

    def knows(self, config: Config) -> None:
        """This configuration exists from now on."""
        self._configs[config.digest] = config

    def asked_rerun(self, run: str) -> None:
        """A person asked for a run again."""
        self._reruns.add(run)

    def asked_backfill(self, job: str, first: datetime, last: datetime) -> None:
        """A person asked for a stretch of ticks of a job, which may spread to what is below it."""
        self._backfills.append((job, first, last))

    def daemon_gone(self) -> None:
        """What was asked and not committed is void."""
        self._reruns.clear()

    def clock_set(self, by: timedelta) -> None:
        """The wall clock is about to be set."""
        self._high = max(self._high, self._now())
        self._stepped_back = self._stepped_back or by < timedelta(0)
        # Lengths between starts before and after this cannot be told from their times.
        self._started.clear()

    def process_began(self, run: str, attempt: int) -> None:
        """A process of an attempt exists."""
        self._note("process", f"{run} #{attempt} begins")
        self.starts += 1
        lives = self.seen.lives
        if (run, attempt) in lives:
            raise Broken("P2", run, f"attempt {attempt} started a second time")
        for (other, number), life in lives.items():
            if other == run and (life.how is None or number > attempt):
                raise Broken("P9", run, f"attempt {attempt} started beside attempt {number}")
        row, record = self.seen.row(parse_run_name(run)), self._attempt(run, attempt)
        if row is None or record is None:
            raise Broken("P6", run, f"attempt {attempt} has a process and no durable row")
        if row.state is not RunState.RUNNING or row.attempts != attempt or record.ended is not None:
            raise Broken(
                "P6", run, f"attempt {attempt} began while the row is {row.state} with {row.attempts} attempts"
            )
        lives[(run, attempt)] = Life()

    def process_ended(self, run: str, attempt: int, how: str, code: int | None) -> None:
        """The process ended `itself` with `code`, was `cancelled` or `timed_out`, or `unseen`."""
        self._note("process", f"{run} #{attempt} ends: {how} {'' if code is None else code}")
        life = self.seen.lives[(run, attempt)]
        life.how, life.code = how, code

    def clean_stop(self) -> None:
        """The daemon has stopped, and its spawner with it."""
        alive = [run for (run, _), life in self.seen.lives.items() if life.how is None]
        if alive:
            raise Broken("P15", alive[0], "its process lives after a clean stop")

    def at_rest(self, living: Mapping[tuple[str, int], Any], *, starts: bool) -> None:
        """Nothing is under way between daemon and spawner: rows and processes must agree."""
        for key in living:
            row = self.seen.row(parse_run_name(key[0]))
            if row is None or row.state is not RunState.RUNNING or row.attempts != key[1]:
                raise Broken(
                    "P7", key[0], f"attempt {key[1]} lives, and its row is {row.state if row else 'not there'}"
                )
        for id, rows in self.seen.rows.items():
            live = [row for row in rows.values() if row.state not in TERMINAL]
            for row in live:
                self._owned(row, living)
            if starts:
                self._nobody_idles(id, [row for row in live if row.state in ACTIVE])

    def _owned(self, row: Run, living: Mapping[tuple[str, int], Any]) -> None:
        if row.state is RunState.RUNNING and (row.name, row.attempts) not in living:
            raise Broken("P7", row.name, "is running and has no process")
        if row.state is RunState.WAITING:
            job = self.seen.versions[-1].config.jobs.get(row.job)
            if job is None:
                raise Broken("P7", row.name, "waits, and its job is gone")
            if joins.may_start(self.seen, job, row):
                raise Broken("P7", row.name, "waits for nothing")

    def _nobody_idles(self, id: str, active: list[Run]) -> None:
        """A ready run that neither pool nor active runs nor a pause nor a delay holds back must have started."""
        job, mark = self.seen.versions[-1].config.jobs.get(id), self._state.marks.get(id)
        if (
            job is None
            or job.pool is not None
            or job.rate_limit is not None
            or job.window
            or (mark is not None and mark.paused is not None)
        ):
            return
        if job.max_active_runs is not None and len(active) > job.max_active_runs:
            return
        for row in active:
            if row.state is not RunState.RUNNING and (row.not_before is None or row.not_before <= self._now()):
                raise Broken("P7", row.name, f"is {row.state} and nothing holds it back")

    # ------------------------------------------------------------ a commit

    def committed(self, batch: Batch) -> None:
        """`batch` is durable."""
        now = self._now()
        self._high = max(self._high, now)
        for event in batch.events:
            words = f"{event.type} {run_name(event.job, event.tick) if event.tick else event.job}"
            self._note("event", f"{words} {event.from_state}>{event.to_state} {event.reason}")
        if batch.config is not None:
            config = self._configs[batch.config.digest]
            self.seen.versions.append(Version(batch.config.number, now, self._high, config))
        self._span = 2 if batch.config is not None else 1
        self._split(batch)
        before = {run.key: self.seen.row(run.key) for run in batch.runs}
        for run in batch.runs:
            self.seen.rows.setdefault(run.job, {})[run.tick] = run
        self._check_events(batch)
        for run in batch.runs:
            self._check_row(run, before[run.key])
        for attempt in batch.attempts:
            self._check_end(attempt)
        for attempt in batch.new_attempts:
            self._open(attempt)
        for attempt in batch.new_attempts:
            if attempt.ended is not None:
                self._check_end(attempt)
        self._check_starts(batch)
        self._check_backfills(batch)
        if any(event.type == "run.reopened" for event in batch.events):
            self._reruns.clear()

    def _split(self, batch: Batch) -> None:
        for job, tick in batch.split:
            row = self.seen.rows[job].pop(tick)
            parts = [run for run in batch.runs if run.job == job]
            for end in (row.tick, row.until or row.tick):
                if not any(part.tick <= end <= (part.until or part.tick) for part in parts):
                    raise Broken("P13", row.name, f"was split, and {end} is in none of its parts")

    def _check_events(self, batch: Batch) -> None:
        parts = {job for job, _ in batch.split}
        for event in batch.events:
            self._last_event += 1
            if event.seq != self._last_event:
                raise Broken("P14", event.job, f"event {event.seq} follows {self._last_event - 1}")
            if event.tick is not None:
                self._check_event(event, is_part=event.job in parts)
            elif event.type == "event.emitted":
                self._check_emission(event, batch)
        for run in batch.runs:
            if self._states.get(run.key) != run.state:
                words = f"is {run.state}, and by its events {self._states.get(run.key, 'nothing')}"
                raise Broken("P14", run.name, words)

    def _check_emission(self, event: EventRow, batch: Batch) -> None:
        """An event makes one row, now, of each job that listens and is not done with; one id only once."""
        name, id = event.detail["event"], event.detail["id"]
        if id and (name, id) in self._emissions:
            raise Broken("P1", name, f"was emitted twice with the id {id}")
        self._emissions.add((name, id))
        wanted = self.seen.versions[-1 if self._span == 1 else -2].config.jobs
        sure = {
            job.id
            for job in wanted.values()
            if job.schedule is not None and name in job.schedule.event and job.schedule.max_runs is None
            and (job.schedule.end is None or event.time <= job.schedule.end)
        }  # fmt: skip
        if self._span == 1 and not sure <= set(event.detail["jobs"]):
            raise Broken("P4", name, f"{sure - set(event.detail['jobs'])} listen and were passed over")
        for job in event.detail["jobs"]:
            rows = [run for run in batch.runs if run.job == job and run.origin == "event"]
            if not any(run.created == event.time for run in rows):
                raise Broken("P4", name, f"made no row of {job}")

    def _check_event(self, event: EventRow, *, is_part: bool) -> None:
        assert event.tick is not None
        key = (event.job, event.tick)
        name, before = run_name(*key), self._states.get(key, "")
        if event.from_state != before and not (is_part and event.from_state == ""):
            promise = "P1" if event.from_state == "" else "P14"
            raise Broken(promise, name, f"{event.type} from {event.from_state or 'nothing'}, and it was {before}")
        if event.from_state != event.to_state and event.to_state not in LEGAL[event.from_state]:
            promise = "P13" if before in TERMINAL else "P14"
            raise Broken(promise, name, f"went from {before} to {event.to_state}")
        if before in TERMINAL and event.to_state not in TERMINAL:
            row = self.seen.row(key)
            is_asked_for = bool(self._reruns) or (row is not None and self._is_backfilled(row))
            if event.type != "run.reopened" or not is_asked_for:
                raise Broken("P13", name, f"was {before} and became {event.to_state} without a rerun")
            (self._by_rerun.add if event.reason == "run again by request" else self._by_rerun.discard)(key)
            self._fresh.add(key)
            self._reopened.add(key)
        elif before == "":
            self._fresh.add(key)
        if event.to_state == "queued":
            self._judged[key] = len(self.seen.versions) - self._span
        if event.to_state != event.from_state and event.to_state in UNSTARTED and not event.reason:
            raise Broken("P4", name, f"is {event.to_state} for no reason")
        self._states[key] = event.to_state
        if event.type == "run.late":
            self._check_late(event)
        # A part of a row that is split now says again why it was left out, long ago perhaps, under another policy.
        if not (is_part and event.from_state == ""):
            self._check_overlap(event)

    def _check_late(self, event: EventRow) -> None:
        """Told once, of a run that is not over, and not before its deadline under any configuration in force."""
        assert event.tick is not None
        key, name = (event.job, event.tick), run_name(event.job, event.tick)
        if key in self._late:
            raise Broken("late", name, "was told to be late twice")
        self._late.add(key)
        if event.to_state in TERMINAL:
            raise Broken("late", name, f"is {event.to_state} and late")
        lengths = [job.deadline for job in self.seen.jobs_in_force(event.job, since=-self._span)]
        if not any(length is not None and event.time >= event.tick + length for length in lengths):
            raise Broken("late", name, f"is late at {event.time} with {lengths}")

    # ------------------------------------------------------------ rows

    def _check_row(self, run: Run, before: Run | None) -> None:
        if before is None:
            self._check_new(run)
        elif before.state in TERMINAL and before.state is not run.state and run.key not in self._fresh:
            raise Broken("P13", run.name, f"was {before.state} and is {run.state}")
        if run.until is not None and (before is None or before.until != run.until):
            self._check_on_schedule(run, run.until)
            self._check_alone(run)
        if run.state is RunState.SUCCESS:
            life = self.seen.lives.get((run.name, run.attempts))
            if life is None or life.how != "itself" or life.code != 0:
                raise Broken("P5", run.name, f"is success, and attempt {run.attempts} was {life}")
        left_out = run.state in (RunState.SKIPPED, RunState.MISSED) and run.key not in self._reopened
        if left_out and (run.name, 1) in self.seen.lives:
            raise Broken("P5", run.name, f"is {run.state}, and it ran")

    def _check_new(self, run: Run) -> None:
        if all(run.job not in config.jobs for config in self._configs.values()):
            raise Broken("P12", run.name, "no configuration has this job")
        self._check_on_schedule(run, run.tick)
        self._check_alone(run)
        if run.origin == "catchup" and run.state not in TERMINAL:
            jobs = self.seen.jobs_in_force(run.job, since=-self._span)
            if jobs and all(job.catchup is Catchup.NONE for job in jobs):
                raise Broken("P4", run.name, "is caught up, and catchup is none")
        is_certain = self._span == 1 and not self._stepped_back and run.state is RunState.WAITING
        is_judged_now = not run.patient or run.origin == "backfill"
        if is_certain and is_judged_now and self._states[run.key] == RunState.WAITING:
            joins.check_match(self.seen, self.seen.versions[-1].config.jobs[run.job], run)

    def _is_backfilled(self, run: Run) -> bool:
        """Whether a backfill that a person asked for made the run, or opened it again."""
        return run.origin == "backfill" and any(
            first <= run.tick <= last and (run.job == job or self._is_below(run.job, job))
            for job, first, last in self._backfills
        )

    def _is_below(self, id: str, above: str) -> bool:
        """Whether a job was below another in any configuration."""
        return any(
            above in version.config.jobs and id in Graph(version.config.jobs).descendants(above)
            for version in self.seen.versions
        )

    def _check_backfills(self, batch: Batch) -> None:
        """A backfill goes one way, stays within its limit, and ends once."""
        for now in batch.backfills:
            before = self._known_backfills.get(now.id)
            self._known_backfills[now.id] = now
            if before is None:
                continue
            if before.state is not BackfillState.ACTIVE:
                raise Broken("P13", now.job, f"backfill {now.id} was {before.state} and goes on")
            was, position = before.position, now.position
            if was is not None and position not in (None, was) and (position > was) == now.newest_first:
                raise Broken("P4", now.job, f"backfill {now.id} went from {was} to {position}")
            if now.made + now.reopened - before.made - before.reopened > 0:
                self._check_limit_of(now)

    def _check_limit_of(self, backfill: Backfill) -> None:
        under_way = [
            row for row in self.seen.rows.get(backfill.job, {}).values()
            if row.origin == "backfill" and row.state not in TERMINAL and row.key not in self._by_rerun
            and backfill.first <= row.tick <= backfill.last
        ]  # fmt: skip
        if len(under_way) > backfill.max_active:
            raise Broken("P11", under_way[0].name, f"{len(under_way)} ticks of {backfill} are under way")

    def _check_on_schedule(self, run: Run, tick: datetime) -> None:
        if not is_schedule_tick(tick):
            if run.origin not in ("manual", "upstream", "event", "workflow"):
                raise Broken("P12", run.name, f"a tick between two seconds was made by {run.origin}")
            return
        configs = [version.config for version in self.seen.versions]
        if self._is_backfilled(run) and any(self.seen.has_tick(config, run.job, tick) for config in configs):
            return
        highs = [version.high for version in self.seen.versions[1:]] + [self._high]
        for version, high in zip(self.seen.versions, highs, strict=True):
            if version.low < tick <= high and self.seen.has_tick(version.config, run.job, tick):
                return
        raise Broken("P12", run.name, f"no schedule in force had the tick {tick}")

    def _check_alone(self, run: Run) -> None:
        for other in self.seen.rows[run.job].values():
            if other.key == run.key or not is_schedule_tick(other.tick) or not is_schedule_tick(run.tick):
                continue
            if other.tick <= (run.until or run.tick) and run.tick <= (other.until or other.tick):
                raise Broken("P1", run.name, f"lies in the row {other.name} until {other.until}")

    # ------------------------------------------------------------ attempts

    def _attempt(self, run: str, number: int) -> Attempt | None:
        return self._state.attempts.get(parse_run_name(run), {}).get(number)

    def _check_end(self, attempt: Attempt) -> None:
        if attempt.ended is None or attempt.outcome is None:
            return
        name = run_name(attempt.job, attempt.tick)
        self.seen.open_attempts.pop((attempt.job, attempt.tick), None)
        life = self.seen.lives.get((name, attempt.number))
        how = "never" if life is None else life.how
        if how is None:
            raise Broken("P9", name, f"attempt {attempt.number} has ended as {attempt.outcome}, and it lives")
        if how not in PROMISED_BY[attempt.outcome]:
            raise Broken("P5", name, f"attempt {attempt.number} is {attempt.outcome}, and it ended {how}")
        if life is not None and how == "itself" and (life.code == 0) != (attempt.outcome is Outcome.SUCCESS):
            raise Broken("P5", name, f"attempt {attempt.number} is {attempt.outcome}, and its code was {life.code}")

    def _open(self, attempt: Attempt) -> None:
        key = (attempt.job, attempt.tick)
        if key in self.seen.open_attempts:
            raise Broken("P9", run_name(*key), f"attempt {attempt.number} was made beside an open one")
        jobs = self.seen.jobs_in_force(attempt.job, since=-self._span)
        if not jobs:
            raise Broken("P12", run_name(*key), "an attempt of a job that is in no configuration")
        if attempt.ended is None:
            self.seen.open_attempts[key] = (attempt, jobs[-1])

    def _check_starts(self, batch: Batch) -> None:
        for attempt in batch.new_attempts:
            run = self.seen.row((attempt.job, attempt.tick))
            if run is None:
                raise Broken("P6", run_name(attempt.job, attempt.tick), "an attempt without a row")
            self._check_limit(run, attempt)
            if run.key in self._fresh:
                self._fresh.discard(run.key)
                self._check_join(run)
                self._check_active(run)
                self._check_window(run)
                self._check_calendar(run)
                self._check_when(run)
            self._check_pool(attempt)
            self._check_rates(attempt)

    def _check_when(self, run: Run) -> None:
        """A first attempt starts if the condition held when the run became ready, under a configuration since then."""
        jobs = self.seen.jobs_in_force(run.job, since=max(0, self._judged.get(run.key, 0)))
        if run.attempts != 1 or run.only or any(not job.when for job in jobs):
            return
        if not any(self._holds(run, job) for job in jobs):
            raise Broken("when", run.name, f"started though {[job.when for job in jobs]} is false")

    def _holds(self, run: Run, job: Job) -> bool:
        about = re.search(r'state\("(\w+)"\)', job.when)
        rows = [self.seen.pointed(link) for link in run.links if about and link.job == about[1]]
        there = [row for row in rows if row is not None]
        # An upstream that was run again since may read differently now than when it was asked.
        states = {row.state.value for row in there} | ({"success", "failed"} if self._reopened else set())
        hour = run.tick.astimezone(ZoneInfo(job.timezone)).hour
        text = re.sub(r'"\w+"\)', '"u")', job.when)
        return any(WHENS[text](hour, state) for state in states or {None})

    def _check_calendar(self, run: Run) -> None:
        """What starts is no schedule tick on a day off, under any configuration since its tick."""
        if run.attempts != 1 or not is_schedule_tick(run.tick) or run.key in self._reopened:
            return
        for version in self.seen.versions:
            job = version.config.jobs.get(run.job)
            if job is None or not is_day_off(job, version.config.calendars, run.tick):
                return
        raise Broken("calendar", run.name, "started on a day off")

    def _check_window(self, run: Run) -> None:
        """A first attempt starts inside a window, as the wall clock of the job's zone shows it."""
        jobs = self.seen.jobs_in_force(run.job, since=-self._span)
        if run.attempts != 1 or run.origin == "manual" or any(not job.window for job in jobs) or run.started is None:
            return
        if not any(shows_open(window, job.timezone, run.started) for job in jobs for window in job.window):
            raise Broken("window", run.name, f"started at {run.started} outside {[job.window for job in jobs]}")

    def _check_rates(self, attempt: Attempt) -> None:
        job = self.seen.jobs_in_force(attempt.job, since=-self._span)[-1]
        self._started.append((attempt.started, attempt.job, job.pool))
        limits = [job.rate_limit for job in self.seen.jobs_in_force(attempt.job, since=-self._span)]
        self._check_rate(attempt, limits, [at for at, id, _ in self._started if id == attempt.job])
        if job.pool is not None:
            limits = [version.config.pool_rates.get(job.pool) for version in self.seen.versions[-self._span :]]
            self._check_rate(attempt, limits, [at for at, _, pool in self._started if pool == job.pool])

    def _check_rate(self, attempt: Attempt, limits: list[RateLimit | None], starts: list[datetime]) -> None:
        within = [sum(at > attempt.started - limit.per for at in starts) <= limit.starts for limit in limits if limit]
        if within and len(within) == len(limits) and not any(within):
            raise Broken("rate", run_name(attempt.job, attempt.tick), f"starts beyond {limits[-1]}")

    def _check_limit(self, run: Run, attempt: Attempt) -> None:
        if run.key in self._fresh:
            since = 0 if attempt.number == 1 else attempt.number - 1
            most = max(version.config.jobs[run.job].retry.max_attempts
                       for version in self.seen.versions if run.job in version.config.jobs)  # fmt: skip
            self._budget[run.key] = since + most
        if attempt.number > min(run.attempt_limit, self._budget[run.key]):
            words = f"attempt {attempt.number} of at most {run.attempt_limit} ({self._budget[run.key]})"
            raise Broken("P8", run.name, words)

    def _check_join(self, run: Run) -> None:
        if run.only:
            return
        since = self._judged.get(run.key, 0)
        jobs = self.seen.jobs_in_force(run.job, since=max(0, since))
        now = {edge.job for edge in jobs[-1].depends_on}
        if any(edge.job not in now for job in jobs for edge in job.depends_on):
            return  # It was judged with an edge that was removed since, and its link with it.
        if not any(joins.may_start(self.seen, job, run) for job in jobs):
            raise Broken("P3", run.name, f"started under {jobs[-1].trigger_rule} with {joins.words(self.seen, run)}")

    def _check_active(self, run: Run) -> None:
        limits = [job.max_active_runs for job in self.seen.jobs_in_force(run.job, since=-self._span)]
        active = [row.name for row in self.seen.rows[run.job].values() if row.state in STARTED]
        if run.state in STARTED and None not in limits and len(active) > max(limit or 0 for limit in limits):
            raise Broken("P11", run.name, f"is one of {len(active)} active runs, and max_active_runs is {limits}")

    def _check_pool(self, attempt: Attempt) -> None:
        held = self.seen.open_attempts.get((attempt.job, attempt.tick))
        pool = held[1].pool if held is not None else None
        if pool is None:
            return
        capacity = max(version.config.pools.get(pool, 0) for version in self.seen.versions[-self._span :])
        used = Counter[str]()
        for _, job in self.seen.open_attempts.values():
            used[job.pool or ""] += job.slots
        if used[pool] > capacity:
            raise Broken("P10", run_name(attempt.job, attempt.tick), f"pool {pool}: {used[pool]} of {capacity} slots")

    def _check_overlap(self, event: EventRow) -> None:
        policies = {job.overlap for job in self.seen.jobs_in_force(event.job, since=-self._span)}
        if event.reason.startswith("overlap: "):
            other = parse_run_name(event.reason.split()[1])
            if Overlap.SKIP not in policies:
                raise Broken("P11", run_name(event.job, event.tick or self._now()), f"left out under {policies}")
            if self.seen.row(other) is None:
                raise Broken("P11", event.job, f"was left out for {event.reason}, and that has no row")
        if event.reason.startswith("replaced by") and event.type == "run.stopping" and Overlap.REPLACE not in policies:
            raise Broken("P11", event.job, f"{event.reason} under {policies}")

    # ------------------------------------------------------------ the end

    def finished(self) -> None:
        """Nothing is due any more and the daemon is idle."""
        alive = [run for (run, _), life in self.seen.lives.items() if life.how is None]
        if alive:
            raise Broken("P7", alive[0], "its process lives at the end")
        for backfill in self._state.backfills.values():
            if backfill.state is BackfillState.ACTIVE:
                raise Broken("P7", backfill.job, f"backfill {backfill.id} is active at the end")
        for rows in self.seen.rows.values():
            for row in rows.values():
                if row.state not in TERMINAL:
                    raise Broken("P7", row.name, f"is {row.state} at the end")
        stored = {run.key: run for rows in self._state.runs.values() for run in rows.values()}
        if stored != {run.key: run for rows in self.seen.rows.values() for run in rows.values()}:
            raise Broken("P13", "", "rows have changed or vanished without a commit")
        self._check_due()

    def _check_due(self) -> None:
        for place, version in enumerate(self.seen.versions):
            is_last = place + 1 == len(self.seen.versions)
            until = self._high if is_last else self.seen.versions[place + 1].low
            for job, tick in self.seen.due(version.config, version.high, until):
                if self.seen.covering(job, tick) is None:
                    raise Broken("P4", run_name(job, tick), f"was due under version {version.number} and has no row")
