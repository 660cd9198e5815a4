"""The rows of the tick ledger that decisions need, in memory, by job and tick.

History stays in the store; what is here are live runs, each job's newest row, and what an open or next join
looks at. `forget` drops the rest.
"""

from __future__ import annotations

from bisect import bisect_left, bisect_right, insort
from collections.abc import Collection, Iterator
from datetime import datetime

from dagsched.model import LIVE, Run, is_schedule_tick

Key = tuple[str, datetime]

# Up to that many rows of a job are not worth a look. A row takes about 0.6 kB, so that with many more a job that
# runs once a day would grow for months.
ROWS_FEW = 8


class Ledger:
    """Rows by (job, tick), each job's ticks in order; range rows stand under their first tick."""

    def __init__(self) -> None:
        self._rows: dict[str, dict[datetime, Run]] = {}
        self._ticks: dict[str, list[datetime]] = {}
        self._live: dict[str, set[datetime]] = {}
        self._prune_at: dict[str, int] = {}
        self.live_count = 0

    def put(self, run: Run) -> None:
        """Take a row, new or changed."""
        job, tick = run.job, run.tick
        rows = self._rows.get(job)
        if rows is None:
            rows, self._ticks[job], self._live[job] = {}, [], set()
            self._rows[job] = rows
        if tick not in rows:
            insort(self._ticks[job], tick)
        rows[tick] = run
        live, is_live = self._live[job], run.state in LIVE
        if is_live != (tick in live):
            (live.add if is_live else live.remove)(tick)
            self.live_count += 1 if is_live else -1

    def remove(self, key: Key) -> None:
        """Drop one terminal or unsaved row."""
        job, tick = key
        del self._rows[job][tick]
        ticks = self._ticks[job]
        del ticks[bisect_left(ticks, tick)]
        if tick in self._live.get(job, ()):
            self._live[job].remove(tick)
            self.live_count -= 1

    def get(self, key: Key) -> Run | None:
        """Return the row that stands under exactly this tick."""
        rows = self._rows.get(key[0])
        return rows.get(key[1]) if rows else None

    def covering(self, job: str, tick: datetime) -> Run | None:
        """Return the row of this tick, or the range row it lies in."""
        rows = self._rows.get(job)
        if not rows:
            return None
        found = rows.get(tick)
        if found is None:
            found = self._schedule_row(job, tick)
            if found is None or found.until is None or found.until < tick:
                return None
        return found

    def row_before(self, job: str, tick: datetime) -> Run | None:
        """Return the job's row that stands directly before `tick`, whoever may see it."""
        ticks = self._ticks.get(job, [])
        place = bisect_left(ticks, tick)
        return self._rows[job][ticks[place - 1]] if place else None

    def newest(self, job: str, until: datetime | None = None) -> Run | None:
        """Return the job's newest row with a tick <= `until` that joins may see, None if it has none."""
        ticks = self._ticks.get(job, [])
        place = len(ticks) if until is None else bisect_right(ticks, until)
        rows = self._rows.get(job, {})
        while place:
            place -= 1
            found = rows[ticks[place]]
            if found.only:
                continue
            # After a backward step of the clock a person's tick may lie inside a range row, which is newer.
            over = None if is_schedule_tick(found.tick) else self._schedule_row(job, found.tick)
            return over if over is not None and over.until is not None and over.until > found.tick else found
        return None

    def newest_of_all(self, job: str) -> Run | None:
        """Return the job's newest row, whoever may see it."""
        ticks = self._ticks.get(job)
        return self._rows[job][ticks[-1]] if ticks else None

    def schedule_tick_before(self, job: str, tick: datetime) -> datetime | None:
        """Return the job's newest schedule tick before `tick`, whatever became of it."""
        ticks = self._ticks.get(job, [])
        for place in range(bisect_left(ticks, tick) - 1, -1, -1):
            row = self._rows[job][ticks[place]]
            if is_schedule_tick(row.tick):
                return min(row.until, tick) if row.until else row.tick
        return None

    def between(self, job: str, after: datetime | None, until: datetime) -> Iterator[Run]:
        """Yield the rows with a tick in (after, until] that joins may see, oldest first."""
        ticks = self._ticks.get(job, [])
        start = 0 if after is None else bisect_right(ticks, after)
        if after is not None and start:
            # A range row that began before the window may reach into it.
            before = self._schedule_row(job, after)
            if before is not None and before.until is not None and before.until > after:
                yield before
        for tick in ticks[start : bisect_right(ticks, until)]:
            if not self._rows[job][tick].only:
                yield self._rows[job][tick]

    def live(self, job: str) -> list[Run]:
        """Return the job's live runs, oldest tick first."""
        return [self._rows[job][tick] for tick in sorted(self._live.get(job, ()))]

    def count_live(self, job: str) -> int:
        """Return how many runs of the job are not terminal."""
        return len(self._live.get(job, ()))

    def all_live(self) -> Iterator[Run]:
        """Yield every live run."""
        for job, ticks in self._live.items():
            for tick in sorted(ticks):
                yield self._rows[job][tick]

    def wants_pruning(self, job: str) -> bool:
        """Whether the job's rows have doubled since the last look (so that looking costs little per row)."""
        return len(self._ticks.get(job, ())) >= self._prune_at.get(job, ROWS_FEW)

    def forget(self, job: str, *, before: datetime | None, keep: Collection[datetime]) -> None:
        """Drop terminal rows that end at or before `before` (None: of any age).

        What is in `keep` stays, the job's newest rows (of all, that joins see, of its schedule), and whatever
        stands in for one that stays.
        """
        rows, ticks, newest = self._rows[job], self._ticks[job], self.newest(job)
        stay = {ticks[-1], *keep}
        if newest is not None:
            stay.add(newest.tick)
        schedule = self._schedule_row(job, ticks[-1])
        if schedule is not None:
            stay.add(schedule.tick)
        for tick, row in rows.items():
            if row.state in LIVE or (before is not None and (row.until or tick) > before):
                stay.add(tick)
        self._add_stand_ins(job, stay)
        self._rows[job] = {tick: rows[tick] for tick in ticks if tick in stay}
        self._ticks[job] = list(self._rows[job])
        self._prune_at[job] = max(ROWS_FEW, 2 * len(self._ticks[job]))

    def _add_stand_ins(self, job: str, stay: set[datetime]) -> None:
        frontier = list(stay)
        while frontier:
            row = self.covering(job, frontier.pop())
            if row is None:
                continue
            stay.add(row.tick)
            if row.stand_in is not None and row.stand_in not in stay:
                stay.add(row.stand_in)
                frontier.append(row.stand_in)

    def _schedule_row(self, job: str, tick: datetime) -> Run | None:
        """Return the newest row of a schedule tick that begins at or before `tick`; it alone can reach over it."""
        ticks = self._ticks.get(job, [])
        for place in range(bisect_right(ticks, tick) - 1, -1, -1):
            if is_schedule_tick(ticks[place]):
                return self._rows[job][ticks[place]]
        return None
