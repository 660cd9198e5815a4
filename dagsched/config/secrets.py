"""What a job says about its secrets that the grammar cannot see."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from dagsched.config.build import Entry
from dagsched.config.explain import Complaint, short
from dagsched.config.reader import Path
from dagsched.config.report import Report


def check_secrets(entry: Entry, report: Report) -> None:
    """Report secrets that are variables of `env` too, and a `reuse` that they make idle."""
    job = entry.job
    for name in job.secrets:
        if name in job.env:
            own = entry.document.data["jobs"][job.id].get("secrets") or {}
            path: Path = (*(("jobs", job.id) if name in own else ("defaults",)), "secrets", name)
            why = "both would set the same environment variable of the work"
            said = f"'{short(name)}' is both a secret and a variable of env"
            report.complain(entry.document, Complaint("E141", path, said, why, "rename or remove one", True))
    if job.handler == "python" and job.with_.get("reuse") is True:
        path = ("jobs", job.id, "with", "reuse")
        why = "a process that has seen a secret serves no other attempt, so each starts its own"
        said = "'reuse' has no effect on a job with secrets"
        report.complain(entry.document, Complaint("W232", path, said, why, "remove it", True))


def check_secret_uses(entry: Entry, report: Report) -> None:
    """Report settings of an http job that refer to a secret which it does not declare."""
    job = entry.job
    for steps, name in _uses(job.with_):
        if name not in job.secrets:
            meant = report.guess(name, job.secrets)
            fix = f"did you mean '{meant}'?" if meant else f"declare it: secrets: {{{short(name)}: \"env:…\"}}"
            said = f"'{job.id}' has no secret '{short(name)}'"
            path = ("jobs", job.id, "with", *steps, "secret")
            report.complain(entry.document, Complaint("E142", path, said, "only the job's own secrets reach it", fix))


def _uses(with_: Any) -> Iterator[tuple[Path, str]]:
    if _is_use(with_.get("url")):
        yield ("url",), with_["url"]["secret"]
    for key in ("headers", "params"):
        for name, value in (with_.get(key) or {}).items():
            if _is_use(value):
                yield (key, name), value["secret"]


def _is_use(value: Any) -> bool:
    return isinstance(value, dict) and isinstance(value.get("secret"), str)
