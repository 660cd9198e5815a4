"""What an edit would change, from a store (or from other files) and the new files."""

from __future__ import annotations

import os
from collections import Counter
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import NamedTuple

from dagsched.config import Loaded, Problem, load_texts
from dagsched.daemon.restoring import Standing, rows_for_edit, standing
from dagsched.engine import Plan
from dagsched.errors import ConfigInvalid
from dagsched.model import Config, ConfigVersion, Run
from dagsched.preview.edit import Edit, edit_between, short_names
from dagsched.preview.fires import Fires, compared
from dagsched.preview.swap import DueAt, RunEffect, due, effects, goes_on, swapped
from dagsched.stores.contract import Snapshot, Store
from dagsched.triggers.lint import clock_remarks
from dagsched.virtual import Virtual

NOTHING = Config({})


class Base(NamedTuple):
    """What is compared with: `version` when it is in force in a state; neither that nor files: nothing is."""

    config: Config
    problems: tuple[Problem, ...] = ()
    version: ConfigVersion | None = None


class DstRemark(NamedTuple):
    """What a clock change within the days does to the schedule of these jobs."""

    jobs: tuple[str, ...]
    code: str
    message: str


@dataclass(frozen=True, slots=True)
class Preview:
    """What would change, if `new` took the place of `base` at `now`; fire times are those up to `until`.

    `warnings`: problems of the new files, none of them an error, that the old ones do not have.
    """

    base: Base
    new: Config
    now: datetime
    until: datetime
    edit: Edit
    fires: Sequence[Fires]
    runs: Sequence[RunEffect]
    due: Sequence[DueAt]
    dst: Sequence[DstRemark]
    warnings: Sequence[Problem]

    @property
    def changes_anything(self) -> bool:
        """Whether a job or pool is declared otherwise, or anything becomes of a tick or run that would not else."""
        return bool(self.edit or self.runs or any(self.fires) or any(each.differs for each in self.due))


def read_base(version: ConfigVersion, now: datetime) -> Base:
    """Return the configuration in force; raises ConfigInvalid if this program cannot read what another one could."""
    loaded = load_texts(version.files, now)
    if loaded.config is None:
        raise ConfigInvalid(loaded.problems)
    return Base(loaded.config, loaded.problems, version)


async def preview(store: Store, base: Base, new: Loaded, now: datetime, days: timedelta) -> Preview:
    """Return what `new` would change at `now`; `store` holds the runs, and is empty when `base` is in force nowhere.

    The new files count as if they stood where the old ones do. Raises ConfigInvalid when `new` has errors.
    """
    if new.config is None:
        raise ConfigInvalid(new.problems)
    config = in_place_of(base.config, new.config, now)
    stand = await _standing(store, base, config, now)
    old_side = swapped(Virtual.resumed(stand.plan(slots=None), base.config, now, behave=goes_on, keeps_events=False))
    plan, rows = await _plan_for(store, stand, config, now)
    new_side = swapped(Virtual.resumed(plan, config, now, behave=goes_on, keeps_events=False))
    known = [*stand.runs, *rows]
    until = now + days
    return Preview(
        base,
        config,
        now,
        until,
        edit_between(base.config, config, files=new.config),
        compared(old_side.world, new_side.world, now, until),
        list(effects(known, old_side, new_side)),
        due(known, old_side, new_side),
        list(_remarks(base.config, config, now, until)),
        new_warnings(base, new),
    )


def in_place_of(old: Config, new: Config, now: datetime) -> Config:
    """Return what the new texts say where the old ones stand, for a job runs in its file's folder unless it says else.

    One file takes the place of one file, whatever its name. Of several, each keeps its path below the folder that all
    of them share. Jobs are still told to stand where the new files are.
    """
    if not old.files or not new.files:
        return new
    names = short_names(new)
    home = os.path.commonpath([os.path.dirname(file) for file in old.files])
    if len(old.files) == len(new.files) == 1:
        places = {file: next(iter(old.files)) for file in new.files}
    else:
        places = {file: os.path.normpath(os.path.join(home, names[file])) for file in new.files}
    if all(file == place for file, place in places.items()):
        return new
    moved = load_texts({places[file]: text for file, text in new.files.items()}, now).config
    assert moved is not None, "texts without errors have none in another folder"
    jobs = {id: job._replace(position=new.jobs[id].position) for id, job in moved.jobs.items()}
    return moved._replace(jobs=jobs)


async def _standing(store: Store, base: Base, new: Config, now: datetime) -> Standing:
    if base.version is not None:
        return await standing(store, base.config, base.version.number, new, now)
    # Nothing has been in force in a state: as if what is compared with came into force this instant.
    empty = Snapshot((), (), (), 0, now, None, ())
    return Standing(empty, (), base.config, 1, {}, (), now)


async def _plan_for(store: Store, stand: Standing, new: Config, now: datetime) -> tuple[Plan, Sequence[Run]]:
    """Return a plan that knows what the edit will ask of it, and the rows that it did not know without that."""
    plan = stand.plan(slots=None)
    rows = [row for row in await rows_for_edit(store, plan, new, now) if plan.book.ledger.get(row.key) is None]
    for row in rows:
        plan.book.ledger.put(row)
    return plan, rows


def _remarks(old: Config, new: Config, now: datetime, until: datetime) -> Iterator[DstRemark]:
    """Yield what clock changes within the days do to schedules that are new or changed."""
    found: dict[tuple[str, str], list[str]] = {}
    for id, job in new.jobs.items():
        known = old.jobs.get(id)
        if job.schedule is not None and (known is None or known.schedule != job.schedule):
            for remark in clock_remarks(job.schedule, now, until):
                found.setdefault((remark.code, remark.message), []).append(id)
    for (code, message), jobs in found.items():
        yield DstRemark(tuple(jobs), code, message)


def new_warnings(base: Base, new: Loaded) -> list[Problem]:
    """Return the warnings of the new files that the old ones do not have as often, on whatever line."""
    assert new.config is not None, "a warning is told of files that can be used"
    names, old_names = _names(new.config), _names(base.config)
    known = Counter(_identity(problem, old_names) for problem in base.problems)
    found = []
    for problem in new.problems:
        identity = _identity(problem, names)
        if known[identity]:
            known[identity] -= 1
        else:
            found.append(problem)
    return found


def _names(config: Config) -> dict[str, str]:
    names = short_names(config)
    return names if len(names) > 1 else dict.fromkeys(names, "")


def _identity(problem: Problem, names: dict[str, str]) -> tuple[str, str, str]:
    file = os.path.abspath(problem.file)
    return names.get(file, file), problem.code, problem.message


