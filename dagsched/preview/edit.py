"""What two configurations say differently, job by job and key by key, in the words of the job file."""

from __future__ import annotations

import os
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, NamedTuple

from dagsched.model import Config, Job, RetryPolicy, Schedule

# Keys whose parts are told one by one, and those of a schedule that together say when it fires.
_NESTED = ("retry", "env", "with", "params", "secrets")
_WHEN = ("cron", "every", "at", "event")
_WORDS = {"with_": "with"}
_ABSENT = object()
RENAMES_LOOKED_AT_MAX = 250_000


class KeyChange(NamedTuple):
    """One key of a job with its values, as the model has them; None where it is not said."""

    key: str
    old: Any
    new: Any


class Changed(NamedTuple):
    """A job that both configurations have and that says something else."""

    old: Job
    new: Job
    keys: tuple[KeyChange, ...]


class Moved(NamedTuple):
    """A job that stands in another file; that alone has no effect."""

    job: str
    old: str
    new: str


@dataclass(frozen=True, slots=True)
class Edit:
    """All that the files say differently, in the order of the files.

    `pools`: those with another capacity. `renamed`: a job that is removed and the added one that says the very same.
    `settings`: what else the files say for several jobs, `pool_rates.warehouse`, say.
    """

    added: tuple[Job, ...]
    changed: tuple[Changed, ...]
    removed: tuple[Job, ...]
    moved: tuple[Moved, ...]
    pools: tuple[KeyChange, ...]
    renamed: tuple[tuple[str, str], ...] = ()
    settings: tuple[KeyChange, ...] = ()

    def __bool__(self) -> bool:
        return bool(self.added or self.changed or self.removed or self.pools or self.settings)


def edit_between(old: Config, new: Config, *, files: Config | None = None) -> Edit:
    """Return what sets `new` apart from `old`; where a job stands counts for `moved` alone.

    `files`: the new configuration with the paths that its jobs are told to stand at, if that is another one.
    """
    changed = (
        Changed(before, job, tuple(_keys(before, job)))
        for id, job in new.jobs.items()
        if (before := old.jobs.get(id)) is not None and before != job
    )
    added = tuple(job for id, job in new.jobs.items() if id not in old.jobs)
    removed = tuple(job for id, job in old.jobs.items() if id not in new.jobs)
    return Edit(
        added,
        tuple(changed),
        removed,
        tuple(_moved(old, files or new)),
        tuple(_pools(old.pools, new.pools)),
        tuple(_renamed(removed, added)),
        tuple(_settings(old, new)),
    )


def _renamed(removed: Sequence[Job], added: Sequence[Job]) -> Iterator[tuple[str, str]]:
    """Yield pairs of jobs that say the same but for their id, each job in one pair at most."""
    left = list(removed)
    for job in added if len(removed) * len(added) <= RENAMES_LOOKED_AT_MAX else ():
        twin = next((old for old in left if old._replace(id=job.id) == job), None)
        if twin is not None:
            left.remove(twin)
            yield twin.id, job.id


def _keys(old: Job, new: Job) -> Iterator[KeyChange]:
    for name in Job._fields:
        before, after = getattr(old, name), getattr(new, name)
        if before == after or name == "position":
            continue
        key = _WORDS.get(name, name)
        if key in _NESTED:
            yield from _parts(key, _mapping(before), _mapping(after))
        elif key == "schedule" and before is not None and after is not None:
            yield from _of_schedules(before, after)
        elif key != "timezone" or not _is_said_by_schedule(old, new):
            yield KeyChange(key, before, after)


def _is_said_by_schedule(old: Job, new: Job) -> bool:
    """Whether the job's zone changes with that of its schedule, which tells it already."""
    was, now = old.schedule, new.schedule
    return was is not None and now is not None and (was.timezone, now.timezone) == (old.timezone, new.timezone)


def _of_schedules(old: Schedule, new: Schedule) -> Iterator[KeyChange]:
    if any(getattr(old, name) != getattr(new, name) for name in _WHEN):
        yield KeyChange("schedule", old, new)
    for name in Schedule._fields:
        before, after = getattr(old, name), getattr(new, name)
        if name not in _WHEN and before != after:
            yield KeyChange(f"schedule.{name}", before, after)


def _mapping(value: Any) -> Mapping[str, Any]:
    return value._asdict() if isinstance(value, RetryPolicy) else value


def _parts(key: str, old: Mapping[str, Any], new: Mapping[str, Any]) -> Iterator[KeyChange]:
    for name in dict.fromkeys((*old, *new)):
        before, after = old.get(name, _ABSENT), new.get(name, _ABSENT)
        if before != after:
            yield KeyChange(f"{key}.{name}", *(None if each is _ABSENT else each for each in (before, after)))


def _pools(old: Mapping[str, int], new: Mapping[str, int]) -> Iterator[KeyChange]:
    for name in sorted({*old, *new}):
        if old.get(name) != new.get(name):
            yield KeyChange(name, old.get(name), new.get(name))


def _settings(old: Config, new: Config) -> Iterator[KeyChange]:
    for name in Config._fields:
        before, after = getattr(old, name), getattr(new, name)
        if name not in ("jobs", "pools", "files", "digest") and isinstance(before, Mapping):
            yield from _parts(name, before, after)


# ---------------------------------------------------------------- files


def _moved(old: Config, new: Config) -> Iterator[Moved]:
    if len(old.files) <= 1 and len(new.files) <= 1:
        return  # a copy under another name, or in another folder, is the same file
    before, after = short_names(old), short_names(new)
    for id, job in new.jobs.items():
        known = old.jobs.get(id)
        if known is not None and known.position is not None and job.position is not None:
            was, now = before.get(_absolute(known)), after.get(_absolute(job))
            if was is not None and now is not None and was != now:
                yield Moved(id, was, now)


def _absolute(job: Job) -> str:
    assert job.position is not None, "only asked for jobs of files"
    return os.path.abspath(job.position.file)


def short_names(config: Config) -> dict[str, str]:
    """Map each file to its path below the folder that all of them share, so that two checkouts can be compared."""
    files = [os.path.abspath(file) for file in config.files]
    if not files:
        return {}
    home = os.path.commonpath([os.path.dirname(file) for file in files])
    return {file: os.path.relpath(file, home) for file in files}
