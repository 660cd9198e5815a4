"""Who is to be told of a line of the event log: the rules of job files, read."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from dagsched.model import Config, EventRow, NotifyRule

KINDS: Mapping[str, tuple[str, ...]] = {
    "run.failed": ("failure",),
    "run.upstream_failed": ("failure",),
    "run.late": ("late",),
    "run.succeeded": ("recovered", "success"),
    "config.rejected": ("config_rejected",),
}
"""What a line is news of, by its type."""


def is_wanted(config: Config, row: EventRow) -> bool:
    """Whether anybody may have to be told of this line; costs next to nothing for most lines."""
    kinds = KINDS.get(row.type)
    return kinds is not None and any(not rule_kinds.isdisjoint(kinds) for rule_kinds in _kinds_of(config, row))


def _kinds_of(config: Config, row: EventRow) -> list[set[str]]:
    return [set(rule.on) for rule in rules_for(config, row)]


def wanted(config: Config, row: EventRow) -> Sequence[tuple[str, str]]:
    """Return (kind, notifier) for each that is to be told of this line, each once."""
    kinds = KINDS.get(row.type, ())
    found = [
        (kind, name)
        for rule in rules_for(config, row)
        for kind in kinds
        if kind in rule.on
        for name in rule.to
        if name in config.notifiers
    ]
    return list(dict.fromkeys(found))


def is_asked(config: Config, row: EventRow, kind: str, notifier: str) -> bool:
    """Whether some rule that looks at this line wants news of the kind for the notifier."""
    return any(kind in rule.on and notifier in rule.to for rule in rules_for(config, row))


def mending(config: Config, row: EventRow) -> Sequence[tuple[str, str]]:
    """Return ("recovered" or "in_time", notifier) for each that is told of the job's failures, or that it is late.

    A success ends both, the latter only if it was in time.
    """
    if row.type != "run.succeeded":
        return ()
    ends = (("failure", "recovered"), ("late", "in_time"))
    return [(end, name) for rule in rules_for(config, row) for trouble, end in ends if trouble in rule.on
            for name in rule.to if name in config.notifiers]  # fmt: skip


def rules_for(config: Config, row: EventRow) -> tuple[NotifyRule, ...]:
    """Return the rules that look at this line."""
    if not row.job:
        return config.notify
    job = config.jobs.get(row.job)
    return job.notify if job is not None else ()
