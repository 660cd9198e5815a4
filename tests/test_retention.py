"""Old runs go, but nothing that a decision still hangs on."""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from datetime import datetime, timedelta
from pathlib import Path

import pytest

from dagsched.model import (
    Attempt,
    Backfill,
    Config,
    Dependency,
    EventRow,
    Job,
    JobMark,
    Keep,
    Match,
    Origin,
    Run,
    RunState,
    Schedule,
    utc,
)
from dagsched.retention import keep_house, needed_by_joins, prune
from dagsched.stores import MemoryStore
from dagsched.stores.contract import Batch

START = utc(2026, 1, 1)
DAILY = Schedule(cron=("0 0 * * *",))


def day(number: int) -> datetime:
    return START + timedelta(days=number)


def ran(job: str, number: int, **more: object) -> Run:
    return Run(job, day(number), RunState.SUCCESS, attempts=1, ended=day(number), **more)  # type: ignore[arg-type]


async def filled(runs: Sequence[Run], attempts: Sequence[Attempt] = ()) -> MemoryStore:
    store = MemoryStore()
    await store.open(write=True)
    await store.acquire("a test")
    marks = [JobMark(job, day(400)) for job in {run.job for run in runs}]
    await store.commit(Batch(runs=list(runs), new_attempts=list(attempts), marks=marks))
    return store


def days_kept(runs: Sequence[Run], config: Config, job: str, *, before: int) -> list[int]:
    """Prune these runs and return the days of the runs of `job` that are left."""

    async def go() -> list[int]:
        store = await filled(runs)
        await prune(store, Path("/nonexistent"), config, day(before))
        return sorted((run.tick - START).days for run in await store.rows(job))

    return asyncio.run(go())


def config(*jobs: Job) -> Config:
    return Config({job.id: job for job in jobs})


UP = Job("up", schedule=DAILY, run="x")


def test_old_runs_go_and_the_newest_of_each_job_stays():
    runs = [ran("up", number) for number in range(10)]
    assert days_kept(runs, config(UP), "up", before=5) == [5, 6, 7, 8, 9]
    assert days_kept(runs, config(UP), "up", before=100) == [9]


def test_the_window_of_a_coming_join_over_all_ticks_stays():
    down = Job("down", schedule=Schedule(cron=("0 0 1 1 *",)), run="x", depends_on=(Dependency("up", Match.ALL),))
    runs = [*(ran("up", number) for number in range(10)), ran("down", 4)]
    assert days_kept(runs, config(UP, down), "up", before=100) == [4, 5, 6, 7, 8, 9]


def test_manual_ticks_of_the_downstream_move_no_window():
    down = Job("down", schedule=DAILY, run="x", depends_on=(Dependency("up", Match.ALL),))
    manual = Run("down", day(8) + timedelta(milliseconds=7), RunState.SUCCESS, origin=Origin.MANUAL, ended=day(8))
    runs = [*(ran("up", number) for number in range(10)), ran("down", 4), manual]
    assert days_kept(runs, config(UP, down), "up", before=100) == [4, 5, 6, 7, 8, 9]


def test_a_run_no_join_can_see_does_not_stand_in_for_one_that_can():
    down = Job("down", run="x", depends_on=(Dependency("up"),))
    runs = [ran("up", 1), ran("up", 2), ran("up", 3, only=True)]
    assert days_kept(runs, config(UP, down), "up", before=100) == [2, 3]


def test_a_downstream_that_never_had_a_tick_needs_the_newest_upstream_run_only():
    down = Job("down", schedule=DAILY, run="x", depends_on=(Dependency("up"),))
    runs = [ran("up", number) for number in range(4)]
    assert days_kept(runs, config(UP, down), "up", before=100) == [3]


def test_more_rows_than_a_page_are_looked_through():
    down = Job("down", schedule=DAILY, run="x", depends_on=(Dependency("up", Match.ALL),))

    async def go() -> int:
        store = await filled([*(ran("up", number) for number in range(399)), ran("down", 1)])
        return len(await needed_by_joins(store, config(UP, down)))

    assert asyncio.run(go()) == 398


def test_logs_go_with_their_runs(tmp_path: Path):
    attempts = [Attempt("up", day(number), 1, day(number), day(number), log=f"log{number}") for number in range(3)]
    for attempt in attempts:
        (tmp_path / attempt.log).write_text("said")

    async def go() -> int:
        store = await filled([ran("up", number) for number in range(3)], attempts)
        return await prune(store, tmp_path, None, day(100))

    assert asyncio.run(go()) == 2
    assert [file.name for file in tmp_path.iterdir()] == ["log2"]


def test_the_state_that_a_workflow_of_a_file_left_goes_with_its_run(tmp_path: Path):
    from dagsched.handlers.workflow import state_of

    old, newest = ran("flow", 1), ran("flow", 200)
    for run in (old, newest):
        Path(state_of(str(tmp_path), run.name)).mkdir(parents=True)

    async def go() -> None:
        await prune(await filled([old, newest]), tmp_path, None, day(100))

    asyncio.run(go())
    assert [Path(state_of(str(tmp_path), run.name)).exists() for run in (old, newest)] == [False, True]


# ---------------------------------------------------------------- keep


def kept(config: Config, runs: Sequence[Run], *, now: int, backfills: Sequence[Backfill] = ()) -> dict[str, list[int]]:
    """Keep house on that day and return the days of the runs that are left, by job."""

    async def go() -> dict[str, list[int]]:
        store = await filled(runs)
        await store.commit(Batch(backfills=list(backfills)))
        would = await keep_house(store, Path("/nonexistent"), config, day(now), dry_run=True)
        assert await keep_house(store, Path("/nonexistent"), config, day(now)) == would
        found: dict[str, list[int]] = {}
        for run in await store.rows(newest_first=False):
            found.setdefault(run.job, []).append((run.tick - START).days)
        return found

    return asyncio.run(go())


TEN = [ran("up", number) for number in range(10)]


def test_a_run_goes_when_it_is_beyond_either_bound():
    assert kept(config(UP._replace(keep=Keep(days=4))), TEN, now=10) == {"up": [6, 7, 8, 9]}
    assert kept(config(UP._replace(keep=Keep(runs=3))), TEN, now=10) == {"up": [7, 8, 9]}
    assert kept(config(UP._replace(keep=Keep(days=4, runs=3))), TEN, now=10) == {"up": [7, 8, 9]}
    assert kept(config(UP._replace(keep=Keep(days=2, runs=30))), TEN, now=10) == {"up": [8, 9]}
    assert kept(config(UP), TEN, now=10) == {"up": list(range(10))}


def test_the_newest_run_stays_however_old_it_is():
    assert kept(config(UP._replace(keep=Keep(days=1))), TEN, now=300) == {"up": [9]}


def test_what_a_coming_join_needs_stays_beyond_the_bounds():
    down = Job("down", schedule=Schedule(cron=("0 0 1 1 *",)), run="x", depends_on=(Dependency("up", Match.ALL),))
    found = kept(config(UP._replace(keep=Keep(runs=1)), down), [*TEN, ran("down", 6)], now=10)
    assert found == {"up": [6, 7, 8, 9], "down": [6]}


def test_jobs_that_are_in_no_file_any_more_are_bound_by_the_files():
    gone = [ran("gone", number) for number in range(5)]
    assert kept(config(UP), gone, now=10) == {"gone": [0, 1, 2, 3, 4]}
    assert kept(config(UP)._replace(keep=Keep(days=8)), gone, now=10) == {"gone": [2, 3, 4]}


def test_what_is_being_backfilled_stays():
    backfill = Backfill(1, "up", day(2), day(5))
    assert kept(config(UP._replace(keep=Keep(runs=1))), TEN, now=10, backfills=[backfill]) == {"up": list(range(2, 10))}


def test_a_run_that_ended_late_is_as_old_as_its_end():
    late = [ran("up", 1)._replace(ended=day(9)), *TEN[5:]]
    assert kept(config(UP._replace(keep=Keep(days=3))), late, now=10) == {"up": [1, 7, 8, 9]}


@pytest.mark.parametrize(
    ("keep", "days"),
    [(Keep(days=1), 90), (Keep(runs=1), 90), (Keep(days=400), 400)],
    ids=["fewer days", "no days", "more days"],
)
def test_events_of_no_run_stay_for_ninety_days_or_as_long_as_any_run(keep: Keep, days: int):
    ages = (days - 1, days + 1)
    notes = [EventRow(number, day(500 - age), "api.audit", "") for number, age in enumerate(reversed(ages), 1)]

    async def go() -> list[int]:
        store = await filled([ran("up", 499)])
        await store.commit(Batch(events=notes))
        assert await keep_house(store, Path("/nonexistent"), config(UP), day(500)) == 0
        assert len(await store.events()) == 2
        await keep_house(store, Path("/nonexistent"), config(UP._replace(keep=keep)), day(500))
        return [event.seq for event in await store.events()]

    assert asyncio.run(go()) == [2]


def test_an_age_given_by_hand_holds_for_events_of_no_run_too():
    async def go() -> list[int]:
        store = await filled([ran("up", 499)])
        await store.commit(Batch(events=[EventRow(1, day(2), "api.audit", ""), EventRow(2, day(6), "api.audit", "")]))
        await prune(store, Path("/nonexistent"), None, day(5))
        return [event.seq for event in await store.events()]

    assert asyncio.run(go()) == [2]
