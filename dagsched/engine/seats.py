"""Which ready runs may start: the overlap policy, pools, and the order among those who wait.

A ready run passes three doors. *Overlap* is judged once, when it becomes ready. Then it stands in its job's line for
a *seat* (`max_active_runs` of them, no limit with None); a seat is kept until the run is terminal, also between
attempts. Seated runs stand in their pool's line for *slots*, which are held only while an attempt is under way.

A pool's line, and the lines of all pools that wait for slots of the daemon, are served by one *turn*: the instant
since which a run is ready, less one minute per point of `priority`. It never changes while the run waits, so that lines
need no sorting anew, and waiting is bounded: a run of priority q is overtaken by one of priority p only if that was
ready at most (p - q) minutes later. A run that needs many slots holds up those behind it, so it is never starved.
"""

from __future__ import annotations

from bisect import insort
from collections.abc import Iterable
from datetime import UTC, datetime, timedelta
from heapq import heappop, heappush

from dagsched import reasons
from dagsched.counting import counted
from dagsched.engine.book import Book
from dagsched.engine.desks import Desk, Place, PoolLine, Turn
from dagsched.engine.gates import Gates, Hold, closed_window
from dagsched.engine.ledger import Key
from dagsched.engine.lifecycle import Cancelled, LeftOut
from dagsched.engine.rates import Rates, Start
from dagsched.model import ACTIVE, Config, Job, Origin, Overlap, Run, RunState, format_instant, run_name
from dagsched.reasons import At

EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
NOW = timedelta(0)

# What one point of priority is worth: so much longer waiting.
POINT = timedelta(minutes=1)


def turn_of(run: Run, job: Job) -> datetime:
    """Return the instant by which a run that may start is served before others."""
    turn = run.not_before or run.ready or run.tick
    return turn - job.priority * POINT if job.priority else turn


class Seats:
    """All desks and pools. `slots_max`: attempts at a time of all that no worker does, None for no limit.

    While `held` nothing starts; `held_for` says why, in words for people. `filled` are the jobs that a backfill is
    under way on, `newest_first` those of them whose newest tick comes first.
    """

    def __init__(self, book: Book, slots_max: int | None = None) -> None:
        self._book = book
        self.slots_max = slots_max
        self.held = False
        self.held_for = ""
        self.filled: frozenset[str] = frozenset()
        self.newest_first: frozenset[str] = frozenset()
        self._desks: dict[str, Desk] = {}
        self._pools: dict[str, PoolLine] = {}
        self._holding: dict[Key, tuple[str, int]] = {}
        self._far: set[Key] = set()
        self._arrivals: dict[str, list[datetime]] = {}
        self._stirred: set[str] = set()
        self._timers: list[tuple[datetime, str, datetime]] = []
        self.gates = Gates(book, Rates())
        self._has_left_out = False

    def successor(self) -> Seats:
        """Return empty seats for a new configuration; attempts under way keep the slots they hold."""
        after = Seats(self._book, self.slots_max)
        after.held, after.held_for = self.held, self.held_for
        after._holding, after._far = dict(self._holding), set(self._far)
        after.gates = Gates(self._book, self.gates.rates)
        for name, slots in self._holding.values():
            after._pool(name).used += slots
        return after

    # ------------------------------------------------------------ what the plan tells

    def arrive(self, run: Run) -> None:
        """Take a run that has just become ready."""
        self._arrivals.setdefault(run.job, []).append(run.tick)

    def restore(self, run: Run) -> None:
        """Take an active run as the store had it: its overlap was judged before."""
        desk = self._desk(run.job)
        if run.state is RunState.QUEUED:
            insort(desk.line, self._place(run))
        else:
            desk.seated.add(run.tick)
            if run.state is RunState.RUNNING:
                self._hold(run)
            else:
                self._stand_in_pool(run)
        self._stirred.add(run.job)

    def learn(self, starts: Iterable[Start], config: Config) -> None:
        """Take the starts that rate limits of `config` count, those that are not in the store yet included."""
        found = list(starts)
        for key, attempt in self._book.open_attempts.items():
            job, pool = config.jobs.get(attempt.job), self._holding.get(key, ("", 0))[0]
            is_counted = job is not None and job.rate_limit is not None
            found.append(
                Start(attempt.job if is_counted else "", pool if pool in config.pool_rates else "", attempt.started)
            )
        self.gates.rates.learn(found)

    def leave(self, run: Run) -> None:
        """Free everything a run held that is terminal, or waits again."""
        self._release(run.key)
        self.gates.leave(run.key)
        desk = self._desk(run.job)
        desk.seated.discard(run.tick)
        desk.parked.discard(run.tick)
        if desk.line:
            desk.line = [place for place in desk.line if place[2] != run.tick]
        if desk.line or desk.parked:
            self._stirred.add(run.job)

    def rest(self, run: Run) -> None:
        """Free the slots of a run between two attempts; its seat stays."""
        self._release(run.key)
        self._stand_in_pool(run)

    def stir(self, job: str) -> None:
        """Look at a job again: it was resumed, or its limits changed."""
        self._stirred.add(job)

    def stir_all(self) -> None:
        """Look at every job again."""
        self._stirred.update(self._desks)

    def wake_at(self) -> datetime | None:
        """Return when the next delay ends or the next gate opens, None without one."""
        while self._timers and not self._is_waited_for(*self._timers[0]):
            heappop(self._timers)
        wakes = [self._timers[0][0]] if self._timers else []
        gate = self.gates.wake_at()
        if gate is not None:
            wakes.append(gate)
        for name in self._book.pool_rates:
            pool = self._pools.get(name)
            opens = self._pool_opens(name) if pool is not None and (pool.line or pool.far) else None
            if opens is not None:
                wakes.append(opens)
        return min(wakes, default=None)

    def _pool_opens(self, name: str) -> datetime | None:
        """Return the instant after now from which the pool's rate allows a start, None if it does now."""
        limit = self._book.pool_rates.get(name)
        return None if limit is None else self.gates.rates.pool_opens(name, limit, self._book.now)

    def _is_waited_for(self, at: datetime, job: str, tick: datetime) -> bool:
        run = self._book.ledger.get((job, tick))
        return run is not None and run.not_before == at and tick in self._desk(job).seated

    def rewind_timers(self, by: timedelta) -> None:
        """Read every delay and gate anew: the wall clock was set, and shows `by` more than it did."""
        self._timers = []
        self.gates.rates.shift(by)
        for key in self.gates.open_all():
            self._come_back(key)
        for run in self._book.ledger.all_live():
            if run.not_before is not None and run.tick in self._desk(run.job).seated:
                self._stand_in_pool(run)

    # ------------------------------------------------------------ one event's end

    def admit(self) -> bool:
        """Judge the overlap of what became ready and give out seats; True if a run's state was changed."""
        if not self._arrivals and not self._stirred:
            return False
        arrivals, self._arrivals = self._arrivals, {}
        for id in sorted(arrivals, key=self._book.graph.rank.__getitem__):
            job, ticks = self._book.jobs[id], sorted(arrivals[id])
            if job.window:
                self._skip_outside(job, ticks)
            self._judge_overlap(job, ticks)
        for id in sorted(self._stirred):
            self._seat(id)
        self._stirred.clear()
        return bool(arrivals)

    def dispatch(self) -> bool:
        """Start what may start now, in order of their turns; True if a run was left out on the way."""
        self._ring()
        self._has_left_out = False
        if not self.held:
            self._start_in_turn()
        return self._has_left_out

    def _start_in_turn(self) -> None:
        blocked: set[str] = set()
        while (head := self._first_in_turn(blocked)) is not None:
            (_, _, tick, job), name, line = head
            run = self._book.ledger.get((job, tick))
            if run is None or not self._may_start(run):
                heappop(line)
            elif not self._fits(name, self._book.jobs[job].slots) or self._pool_opens(name) is not None:
                blocked.add(name)
            else:
                heappop(line)
                self._start(run)

    def _first_in_turn(self, blocked: set[str]) -> tuple[Turn, str, list[Turn]] | None:
        """Return the first turn of all lines that may move, with its pool and its line; None without one."""
        is_full, first = self._is_full(), None
        for name, pool in self._pools.items():
            for line in (pool.far,) if is_full else (pool.line, pool.far):
                if line and name not in blocked and (first is None or (line[0], name, line) < first):
                    first = (line[0], name, line)
        return first

    def _start(self, run: Run) -> None:
        self._hold(self._book.start(run))
        self.count_start(run)

    def count_start(self, run: Run) -> None:
        """Count a start of the run wherever its rate is limited."""
        job = self._book.jobs[run.job]
        if job.rate_limit is not None or self._book.pool_rates:
            self.gates.rates.note(job, self._book.pool_rates, self._book.now)

    # ------------------------------------------------------------ windows and overlap

    def _skip_outside(self, job: Job, ticks: list[datetime]) -> None:
        """Leave out what becomes ready outside the job's windows, before it counts as active."""
        for tick in ticks:
            run = self._book.ledger.get((job.id, tick))
            if run is not None and run.state is RunState.QUEUED and run.attempts == 0:
                gate = closed_window(run, job, max(self._book.now, run.not_before or self._book.now))
                if gate is not None and gate.skip:
                    self._book.move(run, LeftOut(self._book.now, gate.skip))

    def _judge_overlap(self, job: Job, ticks: list[datetime]) -> None:
        found = [self._book.ledger.get((job.id, tick)) for tick in ticks]
        rows = [run for run in found if run is not None and run.state is RunState.QUEUED]
        live = [run for run in rows if not run.patient]
        if live and job.max_active_runs is not None:
            if job.overlap is Overlap.SKIP:
                rows = [run for run in rows if run.patient] + self._skip(job, live)
            elif job.overlap is Overlap.REPLACE:
                rows = [run for run in rows if run.patient] + self._replace(job, live)
        desk = self._desk(job.id)
        for run in rows:
            insort(desk.line, self._place(run))
        self._stirred.add(job.id)

    def _skip(self, job: Job, newcomers: list[Run]) -> list[Run]:
        """Leave out the newcomers that find every place taken; the newest of them stay."""
        actives = self._live_actives(job.id, newcomers)
        places = max(0, (job.max_active_runs or 0) - len(actives))
        staying = newcomers[len(newcomers) - places :] if places else []
        stand_in = next(reversed(staying or actives), None)
        for run in newcomers[: len(newcomers) - len(staying)]:
            if stand_in is not None:
                reason = reasons.OVERLAP(stand_in.name)
                self._book.move(run, LeftOut(self._book.now, reason, stand_in.tick))
        return staying

    def _replace(self, job: Job, newcomers: list[Run]) -> list[Run]:
        """End the oldest active runs to make room for the newcomers, of which the newest stay."""
        limit = job.max_active_runs or 1
        staying = newcomers[-limit:]
        actives = [run for run in self._live_actives(job.id, newcomers) if not run.stopping]
        excess = len(actives) + len(newcomers) - limit
        for run in [*actives, *newcomers][: max(0, excess)]:
            self._give_way(run, staying[-1].tick)
        return staying

    def _give_way(self, run: Run, to: datetime) -> None:
        reason = reasons.REPLACED(format_instant(to))
        if run.state is RunState.RUNNING:
            self._book.amend(run, "run.stopping", reason, stopping=reason, stand_in=to)
            self._book.stop(run.name, run.attempts, "cancel")
        else:
            self._book.move(run, Cancelled(self._book.now, reason, to))

    def _live_actives(self, job: str, newcomers: list[Run]) -> list[Run]:
        if self._book.ledger.count_live(job) == len(newcomers):
            return []
        new = {run.tick for run in newcomers}
        actives = [
            run
            for run in self._book.ledger.live(job)
            if run.state in ACTIVE and not run.patient and run.tick not in new
        ]
        if job in self.filled and self._is_held_up(job):
            actives = [run for run in actives if run.tick in self._desk(job).seated]
        return actives

    def _is_held_up(self, job: str) -> bool:
        """Whether a backfill's run sits where live ones wait: what waits for that alone keeps no newer tick out."""
        rows = (self._book.ledger.get((job, tick)) for tick in self._desk(job).seated)
        return any(run is not None and run.origin is Origin.BACKFILL for run in rows)

    # ------------------------------------------------------------ seats

    def _seat(self, job_id: str) -> None:
        desk, job = self._desk(job_id), self._book.jobs.get(job_id)
        if job is None:
            return
        if desk.parked and not self._is_paused(job_id):
            for tick in sorted(desk.parked):
                run = self._book.ledger.get((job_id, tick))
                if run is not None:
                    self._stand_in_pool(run)
            desk.parked.clear()
        for place in desk.line.copy():
            run = self._book.ledger.get((job_id, place[2]))
            if run is not None and not self._ignores(run):
                continue
            is_full = job.max_active_runs is not None and len(desk.seated) >= job.max_active_runs
            if is_full and not self._make_way(job_id, desk, place):
                return
            desk.line.remove(place)
            if run is not None:
                desk.seated.add(run.tick)
                self._stand_in_pool(run)

    def _make_way(self, job_id: str, desk: Desk, place: Place) -> bool:
        """Send a seated run that has not started back to the line if it belongs behind `place`, or is paused.

        So who sits depends on who is there, and not on the order in which they came: a restart changes nothing.
        """
        found = [self._book.ledger.get((job_id, tick)) for tick in desk.seated]
        queued = [run for run in found if run is not None and run.state is RunState.QUEUED]
        last = max(queued, key=lambda run: (not self._ignores(run), self._place(run)), default=None)
        if last is None or (self._ignores(last) and self._place(last) < place):
            return False
        desk.seated.discard(last.tick)
        desk.parked.discard(last.tick)
        insort(desk.line, self._place(last))
        return True

    def _is_paused(self, job: str) -> bool:
        mark = self._book.marks.get(job)
        return mark is not None and mark.paused is not None

    def _ignores(self, run: Run) -> bool:
        """Whether no pause holds this run back: its job is not paused, or a person asked for it."""
        return not self._is_paused(run.job) or run.origin in _ASKED_FOR

    # ------------------------------------------------------------ pools and slots

    def _stand_in_pool(self, run: Run) -> None:
        if run.not_before is not None and run.not_before > self._book.now:
            heappush(self._timers, (run.not_before, run.job, run.tick))
            return
        job = self._book.jobs[run.job]
        pool = self._pool(job.pool or "")
        line = pool.line if job.queue is None else pool.far
        heappush(line, (turn_of(run, job), self._book.graph.rank[run.job], run.tick, run.job))

    def _ring(self) -> None:
        while self._timers and self._timers[0][0] <= self._book.now:
            _, job, tick = heappop(self._timers)
            self._come_back((job, tick))
        for key in self.gates.opened():
            self._come_back(key)

    def _come_back(self, key: Key) -> None:
        run = self._book.ledger.get(key)
        if run is not None and run.tick in self._desk(run.job).seated and run.job in self._book.jobs:
            self._stand_in_pool(run)

    def _may_start(self, run: Run) -> bool:
        desk, job = self._desk(run.job), self._book.jobs.get(run.job)
        if job is None or run.tick not in desk.seated:
            return False
        if run.state not in _BEFORE_AN_ATTEMPT or run.key in self._holding:
            return False
        if run.not_before is not None and run.not_before > self._book.now:
            # It had come due before the clock stepped back.
            heappush(self._timers, (run.not_before, run.job, run.tick))
            return False
        if not self._ignores(run):
            desk.parked.add(run.tick)
            return False
        return (job.rate_limit is None and not job.window) or self._passes_gates(run, job)

    def _passes_gates(self, run: Run, job: Job) -> bool:
        gate = self.gates.closed(run, job)
        if gate is not None and gate.skip:
            self._book.move(run, LeftOut(self._book.now, gate.skip))
            self._has_left_out = True
        elif gate is not None:
            self.gates.turn_away(run, gate)
        return gate is None

    def _fits(self, pool: str, slots: int) -> bool:
        capacity = self._book.pools.get(pool)
        return capacity is None or self._pools[pool].used + slots <= capacity

    def _is_full(self) -> bool:
        return self.slots_max is not None and len(self._holding) - len(self._far) >= self.slots_max

    def hold_as(self, run: Run, job: Job) -> None:
        """Hold the slots of an attempt under way as the job said when it started."""
        key, name = run.key, job.pool or ""
        if key not in self._holding:
            self._holding[key] = (name, job.slots)
            self._pool(name).used += job.slots
            if job.queue is not None:
                self._far.add(key)

    def _hold(self, run: Run) -> None:
        self.hold_as(run, self._book.jobs[run.job])

    def _release(self, key: Key) -> None:
        self._far.discard(key)
        name, slots = self._holding.pop(key, ("", 0))
        if slots:
            self._pools[name].used -= slots

    def _desk(self, job: str) -> Desk:
        found = self._desks.get(job)
        if found is None:
            found = self._desks[job] = Desk()
        return found

    def _pool(self, name: str) -> PoolLine:
        found = self._pools.get(name)
        if found is None:
            found = self._pools[name] = PoolLine()
        return found

    # ------------------------------------------------------------ what `why` asks

    def blocks(self, run: Run) -> Hold:
        """Return the one thing that keeps a queued or retrying run from starting."""
        if self.held_for:
            return Hold(At.DAEMON, f"nothing starts now: {self.held_for}")
        job, desk = self._book.jobs[run.job], self._desk(run.job)
        if not self._ignores(run):
            return Hold(At.PAUSED, f"{run.job} is paused")
        if run.tick not in desk.seated:
            others = ", ".join(format_instant(tick) for tick in sorted(desk.seated)) or "none"
            return Hold(At.SEAT, f"max_active_runs {job.max_active_runs} is reached: active are {others}")
        if run.not_before is not None and run.not_before > self._book.now:
            what = "its retry delay" if run.state is RunState.RETRYING else "its jitter"
            return Hold(At.DELAY, f"{what} ends at {format_instant(run.not_before)}", run.not_before)
        gate = self.gates.closed(run, job)
        return self._pool_holds(run, job) if gate is None else Hold(gate.at, gate.words, gate.opens)

    def _pool_holds(self, run: Run, job: Job) -> Hold:
        opens = self._pool_opens(job.pool or "")
        if opens is not None:
            limit = self._book.pool_rates[job.pool or ""]
            words = f"rate_limit {limit} of pool {job.pool} allows its next start at {format_instant(opens)}"
            return Hold(At.RATE, words, opens)
        if not self._fits(job.pool or "", job.slots):
            used, capacity = self._pools[job.pool or ""].used, self._book.pools[job.pool or ""]
            free = f"{capacity - used} of {capacity} slots free"
            return Hold(At.POOL, f"pool {job.pool} has {free} and it needs {job.slots}")
        if self._is_full() and job.queue is None:
            return Hold(At.DAEMON, f"the daemon has {counted(self.slots_max or 0, 'slot')}, all taken")
        return self._whose_turn(run, job)

    def _whose_turn(self, run: Run, job: Job) -> Hold:
        """Say whom the pool serves before a run that nothing else keeps from starting."""
        pool = self._pools[job.pool] if job.pool in self._pools else PoolLine()
        _, _, tick, first = min([*pool.line, *pool.far], default=(None, 0, run.tick, run.job))
        if (first, tick) == run.key:
            return Hold(At.TURN, "it starts next")
        before = f"{run_name(first, tick)} first (priority {self._book.jobs[first].priority})"
        return Hold(At.POOL, f"pool {job.pool} serves {before}")

    def _place(self, run: Run) -> Place:
        """Return where the run stands in its job's line."""
        if run.origin is not Origin.BACKFILL:
            return (0 if run.patient else 1, NOW, run.tick)
        # Behind live ticks: thousands of old ones would keep them waiting for days.
        return (2, EPOCH - run.tick if run.job in self.newest_first else NOW, run.tick)


_BEFORE_AN_ATTEMPT = frozenset({RunState.QUEUED, RunState.RETRYING})
_ASKED_FOR = frozenset({Origin.MANUAL, Origin.ONCE, Origin.BACKFILL})
