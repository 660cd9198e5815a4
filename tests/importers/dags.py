"""DAGs of Dagu as text, and what they become."""

from __future__ import annotations

from dagsched.importers import Imported, checked
from dagsched.importers.dagu import read_dags
from dagsched.model import Job, utc

NOW = utc(2026, 11, 26)


def imported(text: str, **more: str) -> Imported:
    return read_dags({"/d/a.yaml": text, **{f"/d/{name}.yaml": each for name, each in more.items()}}, "UTC")


def jobs_of(read: Imported) -> dict[str, Job]:
    text, loaded = checked(read, "/d/jobs.yaml", NOW)
    assert loaded.config is not None, text
    return dict(loaded.config.jobs)


def jobs(text: str, **more: str) -> dict[str, Job]:
    return jobs_of(imported(text, **more))


def waits(found: dict[str, Job]) -> dict[str, list[str]]:
    return {name: [each.job for each in job.depends_on] for name, job in found.items()}


def verdict(read: Imported, key: str) -> tuple[str, str]:
    return next((each.kind, each.why) for each in read.verdicts if each.text.partition(":")[0] == key)
