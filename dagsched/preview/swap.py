"""The instant at which one configuration takes the other's place: open runs, and ticks that are due or were missed.

Both sides are taken through the same instant, one with the configuration in force and one with the new one, and no
attempt ends in it. What the two make of a row differently is what the edit does.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from datetime import datetime, timedelta
from typing import Literal, NamedTuple

from dagsched.model import Config, Job, Run, RunState
from dagsched.preview.fires import World
from dagsched.virtual import End, Virtual

FOREVER = timedelta(days=36_500)

Effect = Literal["cancelled", "finishes", "ends", "starts", "changes", "takes", "keeps"]


class RunEffect(NamedTuple):
    """What the edit does to one open run.

    `cancelled`: its job is gone. `finishes`: its job is gone, its attempt goes on and gets no retry. `ends`: it ends
    at once in `state` for `reason`. `starts`: it starts at once. `changes`: it goes on in `state`. `takes`: its
    next attempt has the new definition. `keeps`: its attempt under way has the old one, a retry would have the new one.
    `more` tells what else becomes of it, of its links, say.
    """

    run: Run
    effect: Effect
    state: RunState
    reason: str
    more: tuple[str, ...] = ()


class DueAt(NamedTuple):
    """Rows that one job's due and missed ticks become: with the new configuration, and as things stand."""

    job: str
    new: tuple[Run, ...]
    old: tuple[Run, ...]

    @property
    def differs(self) -> bool:
        return [_told(run) for run in self.new] != [_told(run) for run in self.old]


class Swapped(NamedTuple):
    """One side after the instant: `rows` are those that it changed or made."""

    world: World
    rows: Mapping[tuple[str, datetime], Run]


def swapped(virtual: Virtual) -> Swapped:
    """Return one side as it stands now."""
    rows = {run.key: run for run in virtual.rows()}
    return Swapped(World(virtual.config, virtual.plan.book), rows)


def goes_on(job: Job, run: Run, attempt: int) -> End:
    """Return the end of an attempt that takes longer than anybody looks ahead."""
    return End(FOREVER)


def effects(before: Iterable[Run], old: Swapped, new: Swapped) -> Iterator[RunEffect]:
    """Yield what becomes of the open ones among the rows `before`, where it is not what becomes of them anyway."""
    for run in sorted((run for run in before if not run.state.is_terminal), key=lambda run: (run.tick, run.job)):
        as_is, then = old.rows.get(run.key, run), new.rows.get(run.key, run)
        found = _effect(run, as_is, then, old.world.config, new.world.config)
        if found is not None:
            yield RunEffect(run, found, then.state, then.reason, tuple(_links(run, as_is, then)))


def _effect(run: Run, as_is: Run, then: Run, old: Config, new: Config) -> Effect | None:
    job = new.jobs.get(run.job)
    if then.state is not as_is.state:
        if then.state is RunState.CANCELLED and job is None:
            return "cancelled"
        if then.state.is_terminal:
            return "ends"
        return "starts" if then.state is RunState.RUNNING else "changes"
    if then.state.is_terminal or run.job not in old.jobs:
        return None  # what it comes to now, or what its job is, has nothing to do with the edit
    if job is None:
        return "finishes"
    if job != old.jobs[run.job]:
        return "keeps" if run.state is RunState.RUNNING else "takes"
    return None


def _links(run: Run, as_is: Run, then: Run) -> Iterator[str]:
    had, has = ({link.job for link in row.links} for row in (as_is, then))
    if had - has:
        yield f"waits no longer for {', '.join(sorted(had - has))}"
    if has - had:
        yield f"also waits for {', '.join(sorted(has - had))}"
    if run.attempts == 0 and as_is.attempt_limit != then.attempt_limit:
        yield f"may be attempted {then.attempt_limit} times, not {as_is.attempt_limit}"


def due(before: Iterable[Run], old: Swapped, new: Swapped) -> list[DueAt]:
    """Return what the ticks up to now become that no row accounts for yet, job by job."""
    known = {run.key: run.until for run in before}
    made = [_made(side.rows, known) for side in (old, new)]
    jobs = sorted({*made[0], *made[1]})
    return [DueAt(job, tuple(made[1].get(job, ())), tuple(made[0].get(job, ()))) for job in jobs]


def _made(
    rows: Mapping[tuple[str, datetime], Run], known: Mapping[tuple[str, datetime], datetime | None]
) -> Mapping[str, list[Run]]:
    found: dict[str, list[Run]] = {}
    for key in sorted(rows):
        # A row that was there may have grown by ticks that are left out for the same reason.
        if key not in known or known[key] != rows[key].until:
            found.setdefault(key[0], []).append(rows[key])
    return found


def _told(run: Run) -> tuple[object, ...]:
    # Whether it waits or starts is for `effects`, and another matter than whether its tick counts.
    return run.tick, run.until, run.state if run.state.is_terminal else "run", run.reason, run.origin
