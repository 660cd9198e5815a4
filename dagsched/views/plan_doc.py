"""A preview as the JSON document that programs rely on; its keys are part of the interface."""

from __future__ import annotations

import os
from collections.abc import Sequence
from datetime import datetime
from typing import Any

from dagsched.config import rows
from dagsched.model import Job, Run, format_instant, run_name
from dagsched.preview import Changed, DueAt, Fires, KeyChange, Preview, RunEffect
from dagsched.triggers.text import schedule_text
from dagsched.views.plan_words import value_text

TICKS_MAX = 100


def document(found: Preview) -> dict[str, Any]:
    """Return all of it; of each job's fire times the first hundred are named and all counted."""
    edit = found.edit
    return {
        "changes": found.changes_anything,
        "against": _against(found),
        "now": format_instant(found.now),
        "until": format_instant(found.until),
        "jobs": {
            "added": [_job(job) for job in edit.added],
            "changed": [_changed(each) for each in edit.changed],
            "removed": [_job(job) for job in edit.removed],
            "renamed": [{"from": was, "to": now} for was, now in edit.renamed],
            "moved": [{"job": each.job, "from": each.old, "to": each.new} for each in edit.moved],
        },
        "pools": [{"pool": each.key, "old": each.old, "new": each.new} for each in edit.pools],
        "settings": [_key(change) for change in edit.settings],
        "fires": [_fires(each) for each in found.fires if each],
        "runs": [_run(each) for each in found.runs],
        "due": [_due(each) for each in found.due],
        "dst": [{"jobs": list(each.jobs), "code": each.code, "message": each.message} for each in found.dst],
        "problems": rows(found.warnings),
    }


def _against(found: Preview) -> dict[str, Any] | None:
    version, files = found.base.version, list(found.base.config.files)
    if version is None:
        return {"config": None, "applied": None, "files": files} if files else None
    return {"config": version.number, "applied": format_instant(version.applied), "files": files}


def _job(job: Job) -> dict[str, Any]:
    place = job.position
    return {
        "job": job.id,
        "schedule": schedule_text(job.schedule),
        "file": os.path.abspath(place.file) if place else None,
        "line": place.line if place else None,
    }


def _changed(each: Changed) -> dict[str, Any]:
    return {**_job(each.new), "keys": [_key(change) for change in each.keys]}


def _key(change: KeyChange) -> dict[str, Any]:
    return {"key": change.key, "old": _said(change.old), "new": _said(change.new)}


def _said(value: Any) -> Any:
    return value if isinstance(value, bool | int | float) or value is None else value_text(value)


def _fires(each: Fires) -> dict[str, Any]:
    return {
        "job": each.job,
        "added": _ticks(each.added),
        "moved": [{"from": format_instant(old), "to": format_instant(new)} for old, new in each.moved[:TICKS_MAX]],
        "dropped": _ticks(each.dropped),
        "counts": {
            "added": len(each.added),
            "moved": len(each.moved),
            "dropped": len(each.dropped),
            "kept": each.kept,
        },
        "until": format_instant(each.until),
        "cut": each.is_cut,
    }


def _ticks(ticks: Sequence[datetime]) -> list[str]:
    return [format_instant(tick) for tick in ticks[:TICKS_MAX]]


def _run(each: RunEffect) -> dict[str, Any]:
    return {
        "run": each.run.name,
        "job": each.run.job,
        "state": str(each.run.state),
        "effect": each.effect,
        "then": str(each.state),
        "reason": each.reason,
        "more": list(each.more),
    }


def _due(each: DueAt) -> dict[str, Any]:
    return {
        "job": each.job,
        "differs": each.differs,
        "rows": [_row(run) for run in each.new],
        "instead_of": [_row(run) for run in each.old],
    }


def _row(run: Run) -> dict[str, Any]:
    return {
        "run": run_name(run.job, run.tick),
        "tick": format_instant(run.tick),
        "until": format_instant(run.until) if run.until else None,
        "state": str(run.state),
        "reason": run.reason,
        "trigger": str(run.origin),
    }
