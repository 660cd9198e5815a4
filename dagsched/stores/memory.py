"""The store that forgets when its process ends: the reference for all others, and what simulations use.

`MemoryState` stands for the disk and outlives its handles; each `MemoryStore` is one process that has it
open. `crash()` does what a kernel does to a process that was killed: its lock is gone, its state stays.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from itertools import islice
from typing import Any

from dagsched.errors import FencedOut, IntegrityBroken, StoreError, StoreHeld, StoreMissing
from dagsched.model import (
    EMISSIONS_MAX,
    EMPTY,
    Attempt,
    Backfill,
    BackfillState,
    ConfigVersion,
    Emission,
    EventRow,
    JobMark,
    Kept,
    Request,
    Run,
    RunState,
)
from dagsched.stores.alone import Alone
from dagsched.stores.contract import ANSWERS_KEPT, Batch, Bound, Gone, Snapshot
from dagsched.stores.needed import Key, by_start, last_tick, with_needed
from dagsched.stores.rollup import Days, RowFacts, add_days, day_of, rolled_up, trends
from dagsched.stores.statistics import RUNS_MEASURED, TIMELY_ORIGINS, Facts, figures

MILLISECOND = timedelta(milliseconds=1)
EPOCH = datetime(1970, 1, 1, tzinfo=UTC)


@dataclass(slots=True)
class MemoryState:
    """What a disk would hold, and the lock a kernel would keep."""

    made: bool = False
    epoch: int = 0
    owner: MemoryStore | None = None
    holder: str = ""
    runs: dict[str, dict[datetime, Run]] = field(default_factory=dict)
    ends: dict[tuple[str, RunState], datetime] = field(default_factory=dict)
    attempts: dict[Key, dict[int, Attempt]] = field(default_factory=dict)
    events: list[EventRow] = field(default_factory=list)
    last_event: int = 0
    last_seen: datetime | None = None
    marks: dict[str, JobMark] = field(default_factory=dict)
    configs: dict[int, ConfigVersion] = field(default_factory=dict)
    definitions: dict[str, Mapping[str, Any]] = field(default_factory=dict)
    answers: dict[str, Kept] = field(default_factory=dict)
    backfills: dict[int, Backfill] = field(default_factory=dict)
    dropped: Days = field(default_factory=dict)
    present: Days = field(default_factory=dict)
    rolled_ms: int | None = None
    requests: dict[int, Request] = field(default_factory=dict)
    last_request: int = 0
    emissions: dict[tuple[str, str], Emission] = field(default_factory=dict)


class MemoryStore(Alone):
    """A store in memory; handles that share a `MemoryState` see the same state."""

    def __init__(self, state: MemoryState | None = None) -> None:
        self.state = state if state is not None else MemoryState()
        self._epoch = 0
        self._open = False

    # ------------------------------------------------------------ life

    async def open(self, *, write: bool) -> None:
        if write:
            self.state.made = True
        self._require_state()
        self._open = True

    async def close(self) -> None:
        self.crash()
        self._open = False

    async def acquire(self, holder: str) -> int:
        self._require_open()
        if self.state.owner not in (None, self):
            raise StoreHeld(f"the state in memory is held by {self.state.holder}", self.state.holder)
        self.state.owner, self.state.holder = self, holder
        self.state.epoch += 1
        self._epoch = self.state.epoch
        return self._epoch

    def crash(self) -> None:
        """Let go of the lock, as the kernel does for a process that died; the epoch stays."""
        if self.state.owner is self:
            self.state.owner, self.state.holder = None, ""

    # ------------------------------------------------------------ writing

    async def commit(self, batch: Batch) -> None:
        self._require_writer()
        self._check(batch)
        self._write_runs(batch)
        for attempt in (*batch.new_attempts, *batch.attempts):
            self.state.attempts.setdefault((attempt.job, attempt.tick), {})[attempt.number] = attempt
        self.state.marks.update((mark.job, mark) for mark in batch.marks)
        self._write_events(batch.events)
        for digest, body in batch.definitions.items():
            self.state.definitions.setdefault(digest, body)
        if batch.config is not None:
            self.state.configs[batch.config.number] = batch.config
        self.state.backfills.update((backfill.id, backfill) for backfill in batch.backfills)
        for number in batch.done_requests:
            self.state.requests.pop(number, None)
        self._write_answers(batch.answers)
        for emission in batch.emissions:
            self.state.emissions.pop((emission.event, emission.id), None)
            self.state.emissions[emission.event, emission.id] = emission
        for key in list(self.state.emissions)[:-EMISSIONS_MAX]:
            del self.state.emissions[key]

    async def post(self, verb: str, body: Mapping[str, Any], time: datetime) -> int:
        self._require_open()
        self.state.last_request += 1
        number = self.state.last_request
        self.state.requests[number] = Request(number, time, verb, body)
        return number

    async def prune(
        self,
        *,
        before: datetime,
        keep: frozenset[Key],
        bounds: Sequence[Bound] | None = None,
        events_before: datetime | None = None,
        dry_run: bool = False,
        dropped: Callable[[Sequence[Gone]], None] | None = None,
    ) -> int:
        self._require_writer()
        spared = with_needed(self._spared(keep), self._row_at)
        doomed = [run for run in self._runs() if run.key not in spared and self._is_beyond(run, before, bounds)]
        if dry_run:
            return len(doomed)
        self._remember(rolled_up(self._row_facts(run) for run in doomed))
        for run in doomed:
            del self.state.runs[run.job][run.tick]
            logs = [attempt.log for attempt in self.state.attempts.pop(run.key, {}).values() if attempt.log]
            if dropped is not None:
                dropped([Gone(run.job, run.tick, logs)])
        orphans_before = before if doomed or bounds is None else events_before
        self.state.events = [e for e in self.state.events if not self._is_stale(e, orphans_before, events_before)]
        return len(doomed)

    def _is_beyond(self, run: Run, before: datetime, bounds: Sequence[Bound] | None) -> bool:
        if bounds is None:
            return _is_over(run, before, before)
        return any(bound.job == run.job and self._is_beyond_bound(run, bound) for bound in bounds)

    def _is_beyond_bound(self, run: Run, bound: Bound) -> bool:
        if bound.runs is None:
            return _is_over(run, bound.before, bound.before)
        newer = sorted(self.state.runs[run.job], reverse=True)
        return len(newer) >= bound.runs and _is_over(run, min(bound.before, newer[bound.runs - 1]), None)

    def _remember(self, days: Days) -> None:
        """Move the figures of rows that are being deleted from those present to those dropped."""
        for key, more in days.items():
            if key in self.state.present:
                self.state.present[key] = self.state.present[key].without(more)
                if not self.state.present[key].states:
                    del self.state.present[key]
        add_days(self.state.dropped, days)

    async def rollup(self, *, before: datetime) -> int:
        self._require_writer()
        before_ms = day_of(_ms_of(before))
        rows = (self._row_facts(run) for run in self._runs() if run.state.is_terminal)
        days = rolled_up(facts for facts in rows if facts.day_ms < before_ms)
        known = {key: rollup for key, rollup in self.state.present.items() if key[1] < before_ms}
        self.state.present = {**{key: self.state.present[key] for key in self.state.present.keys() - known}, **days}
        self.state.rolled_ms = before_ms
        return sum(known.get(key) != days.get(key) for key in known.keys() | days.keys())

    async def compact(self) -> tuple[int, int]:
        self._require_writer()
        return 0, 0

    def _check(self, batch: Batch) -> None:
        """Raise IntegrityBroken when the batch contradicts the state; nothing is written before this."""
        if len(set(batch.split)) < len(batch.split) or any(
            tick not in self.state.runs.get(job, {}) for job, tick in batch.split
        ):
            raise IntegrityBroken("a range row that was to be split is not there")
        fresh = [(attempt.job, attempt.tick, attempt.number) for attempt in batch.new_attempts]
        if len(set(fresh)) < len(fresh) or any(
            number in self.state.attempts.get((job, tick), {}) for job, tick, number in fresh
        ):
            raise IntegrityBroken("an attempt that was to be new exists already")
        numbers = [event.seq for event in batch.events]
        if numbers != list(range(self.state.last_event + 1, self.state.last_event + 1 + len(numbers))):
            raise IntegrityBroken(f"events {numbers[:3]}… do not follow event {self.state.last_event}")
        if batch.config is not None and batch.config.number in self.state.configs:
            raise IntegrityBroken(f"configuration {batch.config.number} exists already")

    def _write_runs(self, batch: Batch) -> None:
        for job, tick in batch.split:
            del self.state.runs[job][tick]
        for run in batch.runs:
            self.state.runs.setdefault(run.job, {})[run.tick] = run
        for key, ended in self._ends(batch.runs).items():
            self.state.ends[key] = max(self.state.ends.get(key, ended), ended)

    def _write_events(self, events: Sequence[EventRow]) -> None:
        if events:
            self.state.events.extend(events)
            self.state.last_event, self.state.last_seen = events[-1].seq, events[-1].time

    def _write_answers(self, answers: Sequence[Kept]) -> None:
        if answers:
            self.state.answers.update((kept.key, kept) for kept in answers)
            oldest = max(kept.time for kept in answers) - ANSWERS_KEPT
            self.state.answers = {key: kept for key, kept in self.state.answers.items() if kept.time >= oldest}

    # ------------------------------------------------------------ reading

    async def snapshot(self, horizons: Mapping[str, datetime]) -> Snapshot:
        self._require_open()
        first = [
            run
            for run in self._runs()
            if not run.state.is_terminal or (run.job in horizons and last_tick(run) > horizons[run.job])
        ]
        rows = with_needed([*first, *self._newest()], self._row_at)
        return Snapshot(
            runs=sorted(rows.values(), key=lambda run: (run.tick, run.job)),
            attempts=[attempt for key in sorted(rows) for attempt in self._attempts(key) if attempt.ended is None],
            marks=[self.state.marks[job] for job in sorted(self.state.marks)],
            last_event=self.state.last_event,
            last_seen=self.state.last_seen,
            config=self.state.configs[max(self.state.configs)] if self.state.configs else None,
            requests=[self.state.requests[number] for number in sorted(self.state.requests)],
            backfills=[each for _, each in sorted(self.state.backfills.items()) if each.state is BackfillState.ACTIVE],
            last_backfill=max(self.state.backfills, default=0),
            emissions=list(self.state.emissions.values()),
        )

    async def run(self, job: str, tick: datetime) -> Run | None:
        self._require_open()
        return self._row_at(job, tick)

    async def runs(self, ticks: Collection[tuple[str, datetime]]) -> Mapping[tuple[str, datetime], Run]:
        found = {key: await self.run(*key) for key in ticks}
        return {key: run for key, run in found.items() if run is not None}

    async def rows(
        self,
        job: str | None = None,
        *,
        after: datetime | None = None,
        until: datetime | None = None,
        states: Sequence[RunState] = (),
        newest_first: bool = True,
        limit: int | None = None,
    ) -> Sequence[Run]:
        self._require_open()
        found = [
            run
            for run in self._runs(job)
            if (after is None or last_tick(run) > after)
            and (until is None or last_tick(run) <= until)
            and (not states or run.state in states)
        ]
        found.sort(key=lambda run: (last_tick(run), run.job, run.tick), reverse=newest_first)
        return found[:limit]

    async def newest(
        self, jobs: Sequence[str], each: int, *, after: datetime | None = None, until: datetime | None = None
    ) -> Mapping[str, Sequence[Run]]:
        self._require_open()
        found = {job: sorted(self._runs(job), key=lambda run: run.tick, reverse=True) for job in jobs}
        listed = {
            job: [
                _as_listed(run)
                for run in runs
                if (after is None or run.tick > after) and (until is None or run.tick <= until)
            ][:each]
            for job, runs in found.items()
        }
        return {job: runs for job, runs in listed.items() if runs}

    async def attempts(self, job: str, tick: datetime) -> Sequence[Attempt]:
        self._require_open()
        return self._attempts((job, tick))

    async def started_since(self, since: datetime) -> Sequence[Attempt]:
        self._require_open()
        attempts = (attempt for numbers in self.state.attempts.values() for attempt in numbers.values())
        return sorted((attempt for attempt in attempts if attempt.started >= since), key=by_start)

    async def events(self, *, since: int = 0, job: str | None = None, limit: int | None = None) -> Sequence[EventRow]:
        self._require_open()
        return [event for event in self.state.events if event.seq > since and job in (None, event.job)][:limit]

    async def newest_events(
        self, *, after: int, before: int, limit: int, job: str | None = None, kind: str = ""
    ) -> Sequence[EventRow]:
        self._require_open()
        wanted = (
            event
            for event in reversed(self.state.events)
            if after < event.seq < before and job in (None, event.job) and event.type.startswith(kind)
        )
        return list(islice(wanted, limit))

    async def marks(self) -> Mapping[str, JobMark]:
        self._require_open()
        return dict(sorted(self.state.marks.items()))

    async def backfills(self, *, limit: int | None = None) -> Sequence[Backfill]:
        self._require_open()
        return [self.state.backfills[id] for id in sorted(self.state.backfills, reverse=True)][:limit]

    async def configs(self, *, limit: int | None = None, at: datetime | None = None) -> Sequence[ConfigVersion]:
        self._require_open()
        newest_first = [self.state.configs[number] for number in sorted(self.state.configs, reverse=True)]
        return [config for config in newest_first if at is None or config.applied <= at][:limit]

    async def definition(self, digest: str) -> Mapping[str, Any] | None:
        self._require_open()
        return self.state.definitions.get(digest)

    async def answer(self, key: str) -> Kept | None:
        self._require_open()
        return self.state.answers.get(key)

    async def counts(self) -> Mapping[str, Mapping[str, int]]:
        self._require_open()
        found: dict[str, Counter[str]] = {}
        for run in self._runs():
            found.setdefault(run.job, Counter())[run.state.value] += 1
        return found

    async def last_ends(self) -> Mapping[str, Mapping[str, datetime]]:
        self._require_open()
        found: dict[str, dict[str, datetime]] = {}
        for (job, state), ended in self.state.ends.items():
            found.setdefault(job, {})[state.value] = ended
        return found

    async def statistics(
        self, job: str | None = None, *, since: datetime | None = None, by: str = ""
    ) -> Sequence[Mapping[str, Any]]:
        if by:
            self._require_open()
            return trends(self._days_since(job, since), by)
        self._require_open()
        found = []
        for name in sorted(self.state.runs if job is None else [job]):
            rows = [run for run in self._runs(name) if since is None or last_tick(run) >= since]
            tried = [run for run in rows if run.attempts and (since is None or run.tick >= since)]
            if rows:
                ends = self._ends(rows) if since is not None else self.state.ends
                found.append(figures(name, self._facts(name, rows, tried, ends)))
        return found

    async def check(self) -> Sequence[str]:
        self._require_open()
        return [
            f"attempt {number} of {job} at {tick} has no run"
            for (job, tick), numbers in sorted(self.state.attempts.items())
            if tick not in self.state.runs.get(job, {})
            for number in sorted(numbers)
        ]

    # ------------------------------------------------------------ helpers

    def _runs(self, job: str | None = None) -> Iterable[Run]:
        jobs = self.state.runs if job is None else [job]
        return (run for name in jobs for run in self.state.runs.get(name, {}).values())

    def _newest(self) -> list[Run]:
        ledgers = (ledger for ledger in self.state.runs.values() if ledger)
        return [max(ledger.values(), key=lambda run: (last_tick(run), run.tick)) for ledger in ledgers]

    def _spared(self, keep: frozenset[Key]) -> list[Run]:
        live = (run for run in self._runs() if not run.state.is_terminal)
        named = (self.state.runs.get(job, {}).get(tick) for job, tick in keep)
        return [*live, *self._newest(), *(run for run in named if run is not None)]

    def _row_at(self, job: str, tick: datetime) -> Run | None:
        ledger = self.state.runs.get(job, {})
        if tick in ledger:
            return ledger[tick]
        ranges = [(run.until, run.tick) for run in ledger.values() if run.until is not None and run.until >= tick]
        first = min(ranges, default=None)
        return ledger[first[1]] if first is not None and first[1] <= tick else None

    def _attempts(self, key: Key) -> list[Attempt]:
        return [attempt for _, attempt in sorted(self.state.attempts.get(key, {}).items())]

    def _is_stale(self, event: EventRow, orphans_before: datetime | None, others_before: datetime | None) -> bool:
        if event.tick is None:
            return others_before is not None and event.time < others_before
        is_old = orphans_before is not None and event.time < orphans_before
        return is_old and event.tick not in self.state.runs.get(event.job, {})

    def _facts(
        self, job: str, rows: Sequence[Run], tried: Sequence[Run], ends: Mapping[tuple[str, RunState], datetime]
    ) -> Facts:
        facts = Facts(Counter(run.state.value for run in rows))
        facts.last_success, facts.last_failure = ends.get((job, RunState.SUCCESS)), ends.get((job, RunState.FAILED))
        for run in sorted(tried, key=lambda run: run.tick, reverse=True)[:RUNS_MEASURED]:
            attempts = self.state.attempts.get(run.key, {})
            newest, first = attempts.get(run.attempts), attempts.get(1)
            if newest is not None and newest.ended is not None:
                facts.durations_ms.append((newest.ended - newest.started) // MILLISECOND)
            if first is not None and run.origin in TIMELY_ORIGINS:
                facts.lateness_ms.append((first.started - run.tick) // MILLISECOND)
        return facts

    def _days_since(self, job: str | None, since: datetime | None) -> Days:
        since_ms = None if since is None else day_of(_ms_of(since))
        rolled_ms, found = self.state.rolled_ms, Days()
        add_days(found, self.state.dropped)
        before = {key: each for key, each in self.state.present.items() if rolled_ms is not None and key[1] < rolled_ms}
        add_days(found, before)
        rows = (self._row_facts(run) for run in self._runs() if run.state.is_terminal)
        add_days(found, rolled_up(facts for facts in rows if rolled_ms is None or facts.day_ms >= rolled_ms))
        return {
            key: rollup
            for key, rollup in found.items()
            if job in (None, key[0]) and (since_ms is None or key[1] >= since_ms)
        }

    def _row_facts(self, run: Run) -> RowFacts:
        attempts = self.state.attempts.get(run.key, {})
        newest, first = attempts.get(run.attempts), attempts.get(1)
        is_over = run.until is None and newest is not None and newest.ended is not None
        return RowFacts(
            run.job,
            day_of(_ms_of(last_tick(run))),
            run.state.value,
            (newest.ended - newest.started) // MILLISECOND if is_over and newest and newest.ended else None,
            (first.started - run.tick) // MILLISECOND
            if first is not None and run.origin in TIMELY_ORIGINS and run.until is None
            else None,
        )

    def _ends(self, runs: Iterable[Run]) -> dict[tuple[str, RunState], datetime]:
        """Return when the newest of these that are over ended, by job and state."""
        found: dict[tuple[str, RunState], datetime] = {}
        for run in runs:
            if run.state.is_terminal and run.ended is not None:
                key = (run.job, run.state)
                found[key] = max(found.get(key, run.ended), run.ended)
        return found

    def _require_open(self) -> None:
        if not self._open:
            raise StoreError("the state in memory is not open")

    def _require_writer(self) -> None:
        self._require_open()
        if self._epoch == 0 or self._epoch != self.state.epoch:
            raise FencedOut(f"epoch {self._epoch} may no longer write; the state is at epoch {self.state.epoch}")

    def _require_state(self) -> None:
        if not self.state.made:
            raise StoreMissing("there is no state in memory yet; start the daemon once")


def _as_listed(run: Run) -> Run:
    """Return a run without what lists leave out."""
    return run._replace(
        links=(), params=EMPTY, outputs=EMPTY, definition="", stand_in=None, patient=False, only=False, stopping="",
        not_before=None,
    )  # fmt: skip


def _is_over(run: Run, before: datetime, ended_before: datetime | None) -> bool:
    if not run.state.is_terminal or last_tick(run) >= before or run.ended is None:
        return False
    return ended_before is None or run.ended < ended_before


def _ms_of(moment: datetime) -> int:
    return (moment - EPOCH) // MILLISECOND
