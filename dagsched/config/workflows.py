"""Jobs that run other jobs: what they name must be there, take the parameters, and come to an end.

Two graphs decide that. What a run *brings about* is a run of the job it calls and, as at any tick, of the unscheduled
jobs below that one: a job that is among them would begin itself for ever. What a run *waits for* are its upstreams, and
for a workflow the job it calls: a workflow that is among them would wait for itself.
"""

from __future__ import annotations

import os
from collections.abc import Callable, Iterable, Mapping
from typing import Any

from dagsched.config.build import DEFAULT_QUEUE, Entry
from dagsched.config.explain import Complaint, short, shown_value
from dagsched.config.files import is_there
from dagsched.config.params import fits
from dagsched.config.report import Report, where
from dagsched.declaration import Job

Entries = Mapping[str, Entry]


def check_workflow(
    entry: Entry, entries: Entries, pools: Mapping[str, int | None], report: Report, *, is_whole: bool
) -> None:
    """Report what keeps a workflow from ever succeeding. `is_whole`: `entries` are all that the files declare."""
    say = _Saying(entry, report)
    if entry.job.user is not None:
        why = "it asks the scheduler for a run, and only the scheduler's own account may"
        say("E244", ("user",), "a workflow cannot run as another user", why, "give the user to the job that it runs")
    if entry.job.queue is not None:
        why = "it asks the scheduler for a run, and only what the scheduler starts itself may"
        step = "labels" if entry.job.labels and entry.job.queue == DEFAULT_QUEUE else "queue"
        fix = "say queue: local, and give the queue to the job that it runs"
        say("E246", (step,), "a workflow cannot run on a worker", why, fix)
    name = entry.job.with_.get("job")
    if name is None:
        _check_file(entry, say)
    elif name in entries:
        _check_called(entry, entries, pools, say)
    elif is_whole:
        meant = report.guess(name, entries.keys() - {entry.job.id})
        fix = f"did you mean '{meant}'?" if meant else "declare it, or name another"
        why = "a workflow runs a job that is declared in the files that are loaded together"
        say("E240", ("with", "job"), f"unknown job '{short(name)}'", why, fix)


class _Saying:
    """Reports about one job, at a place in it."""

    def __init__(self, entry: Entry, report: Report) -> None:
        self._entry, self._report = entry, report

    def __call__(
        self, code: str, steps: tuple[str, ...], message: str, why: str, fix: str, *, is_key: bool = False
    ) -> None:
        said = Complaint(code, self._entry.path(*steps), message, why, fix, is_key)
        self._report.complain(self._entry.document, said)


def _check_file(entry: Entry, say: _Saying) -> None:
    name = entry.job.with_.get("file")
    if not isinstance(name, str):
        return  # refused by the grammar
    path = os.path.normpath(os.path.join(entry.job.cwd or "/", name))
    if not is_there(path):
        say("E245", ("with", "file"), f"there is no file '{short(name)}'", f"looked for as {path}", "correct the path")


def _check_called(entry: Entry, entries: Entries, pools: Mapping[str, int | None], say: _Saying) -> None:
    job, called = entry.job, entries[entry.job.with_["job"]].job
    below = _unscheduled_below(entries)
    begun = _path_to(job.id, [called.id], lambda id: _brings_about(id, entries, below))
    if begun is not None:
        why = "each of its runs would begin another one: " + _told(job.id, begun, entries)
        say("E241", ("with", "job"), f"the workflow '{job.id}' runs itself", why, "let it run another job")
    elif job.with_.get("wait", True):
        waited = _path_to(job.id, [called.id], lambda id: _waits_for(id, entries))
        if waited is not None:
            why = "it would wait for a run that waits for it: " + _told(job.id, waited, entries)
            fix = f"take '{job.id}' out of what '{called.id}' waits for, or say wait: false"
            say("E242", ("with", "job"), f"the workflow '{job.id}' waits for itself", why, fix)
    _check_params(job, called, say)
    if not called.enabled and job.enabled:
        why = "it refuses to run, so the workflow fails"
        say("W234", ("with", "job"), f"'{called.id}' is disabled", why, f"enable '{called.id}', or run another job")
    _check_pool(job, called, pools, say)


def _check_pool(job: Job, called: Job, pools: Mapping[str, int | None], say: _Saying) -> None:
    capacity = pools.get(job.pool) if job.pool is not None and job.with_.get("wait", True) else None
    needed = job.slots + called.slots
    if capacity is not None and job.pool == called.pool and needed > capacity:
        why = f"'{job.id}' holds its slots ({job.slots}) while it waits for '{called.id}', which needs {called.slots}"
        fix = f"take '{job.id}' out of the pool, or raise it to {needed}"
        say("W233", ("pool",), f"the pool '{job.pool}' has no room for the workflow and its step", why, fix)


def _check_params(job: Job, called: Job, say: _Saying) -> None:
    given: Mapping[str, Any] = job.with_.get("params") or {}
    for name, value in given.items():
        if name not in called.params:
            known = f"it declares {', '.join(called.params)}" if called.params else "it declares none"
            say("E243", ("with", "params", name), f"'{called.id}' has no parameter '{short(name)}'", known,
                "correct the name, or remove it", is_key=True)  # fmt: skip
        elif not fits(called.params[name], value):
            said = f"{shown_value(value)} does not fit the parameter '{name}' of '{called.id}'"
            say("E243", ("with", "params", name), said, "it must satisfy the parameter's schema", "change the value")
    missing = [name for name, param in called.params.items() if param.default is None and name not in given]
    for name in missing:
        said = f"'{called.id}' needs a value for its parameter '{name}'"
        say("E243", ("with", "job"), said, "it has no default", f"add params: {{{name}: …}}")


# ---------------------------------------------------------------- what leads where


def _unscheduled_below(entries: Entries) -> Mapping[str, list[str]]:
    found: dict[str, list[str]] = {}
    for id, entry in entries.items():
        if entry.job.schedule is None:
            for edge in entry.job.depends_on:
                found.setdefault(edge.job, []).append(id)
    return found


def _brings_about(id: str, entries: Entries, below: Mapping[str, list[str]]) -> list[str]:
    return [*below.get(id, ()), *_called_by(id, entries)]


def _waits_for(id: str, entries: Entries) -> list[str]:
    job = entries[id].job
    called = _called_by(id, entries) if job.with_.get("wait", True) else []
    return [*(edge.job for edge in job.depends_on if edge.job in entries), *called]


def _called_by(id: str, entries: Entries) -> list[str]:
    job = entries[id].job
    name = job.with_.get("job") if job.handler == "workflow" else None
    return [name] if isinstance(name, str) and name in entries else []


def _path_to(goal: str, begin: Iterable[str], following: Callable[[str], Iterable[str]]) -> list[str] | None:
    """Return the shortest path from one of `begin` to `goal`, both included; None without one."""
    before: dict[str, str | None] = dict.fromkeys(begin)
    frontier = list(before)
    for id in frontier:
        if id == goal:
            path, at = [id], before[id]
            while at is not None:
                path.append(at)
                at = before[at]
            return path[::-1]
        for each in following(id):
            if each not in before:
                before[each] = id
                frontier.append(each)
    return None


def _told(first: str, path: list[str], entries: Entries) -> str:
    steps = [f"'{id}' ({where(entries[id].document, ('jobs', id))})" for id in path[:10]]
    return " → ".join([f"'{first}'", *steps])
