"""A job as JSON and back, and its hash.

Each attempt uses the definition in force at its start; the store keeps every definition once, under its
hash. The position in the file is not part of it: moving a job changes nothing.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from datetime import datetime, timedelta
from itertools import compress, count
from operator import is_not
from types import MappingProxyType
from typing import Any

from dagsched.digests import sha256
from dagsched.model import (
    Backoff,
    Catchup,
    Dependency,
    Job,
    Keep,
    Match,
    NotifyRule,
    OnCrash,
    OutputRef,
    Overlap,
    Param,
    Position,
    RateLimit,
    RetryPolicy,
    Schedule,
    TriggerRule,
    Window,
    format_instant,
)


def to_json(job: Job) -> dict[str, Any]:
    """Return the job as JSON-able data: lengths in seconds, instants as text, defaults left out."""
    return _plain(job)


def digest(job: Job) -> str:
    """Return 16 hex digits of SHA-256 that stand for everything the job says, its position excepted."""
    return digest_of(to_json(job))


def digest_of(definition: Mapping[str, Any]) -> str:
    """Return the same of what `to_json` returned."""
    said = {key: value for key, value in definition.items() if key != "position"}
    return sha256(_sorted(said).encode()).hexdigest()[:16]


_sorted = json.JSONEncoder(sort_keys=True, default=str, check_circular=False).encode


def from_json(data: Mapping[str, Any]) -> Job:
    """Return the job that `to_json` wrote; raises KeyError or ValueError on anything else."""
    made: dict[str, Any] = {name: _READERS.get(name, _same)(value) for name, value in data.items()}
    return Job(**made)


def _plain(value: Any) -> dict[str, Any]:
    found = {}
    names, defaults = _DEFAULTS[type(value)]
    # Of some forty fields most are the very defaults, and this is asked for every job that starts for the first time.
    for number in compress(count(), map(is_not, value, defaults)):
        item = value[number]
        if item != defaults[number]:
            found[names[number]] = item if type(item) in _AS_THEY_ARE else _item(item)
    return found


_AS_THEY_ARE = frozenset({str, int, bool, float, Backoff, Catchup, Match, OnCrash, Overlap, TriggerRule})


def _item(value: Any) -> Any:
    kind = type(value)
    if kind in _AS_THEY_ARE:
        return value
    if kind in _DEFAULTS:
        return _plain(value)
    if kind is tuple:
        return [_item(part) for part in value]
    if kind is timedelta:
        return value.total_seconds()
    if isinstance(value, datetime):
        return format_instant(value) if value.tzinfo else value.isoformat()
    if isinstance(value, Mapping):
        return {key: _item(part) for key, part in value.items()}
    return value


def _defaults(of: Any, default: Any) -> tuple[tuple[str, ...], list[Any]]:
    return of._fields, [getattr(default, name, _NO_DEFAULT) for name in of._fields]


_NO_DEFAULT = object()
"""Equal to nothing a job can say, so that the field is always told."""

_SPARSE = (Job(id=""), RetryPolicy(), Schedule(), Window("", ""), Keep())
"""Of these, what is as it is here is left out."""

_DEFAULTS: Mapping[type, tuple[tuple[str, ...], list[Any]]] = {
    **{type(default): _defaults(type(default), default) for default in _SPARSE},
    **{of: _defaults(of, None) for of in (Dependency, NotifyRule, OutputRef, Param, Position, RateLimit)},
}


def _same(value: Any) -> Any:
    return value


def _length(value: float | None) -> timedelta | None:
    return None if value is None else timedelta(seconds=value)


def _instant(value: str | None) -> datetime | None:
    return None if value is None else datetime.fromisoformat(value)


def _schedule(data: Mapping[str, Any] | None) -> Schedule | None:
    if data is None:
        return None
    readers: dict[str, Any] = {
        "cron": tuple, "event": tuple, "every": _length, "at": _instant, "start": _instant, "end": _instant,
    }  # fmt: skip
    return Schedule(**{key: readers.get(key, _same)(value) for key, value in data.items()})


def _retry(data: Mapping[str, Any]) -> RetryPolicy:
    readers: dict[str, Any] = {
        "delay": _length,
        "max_delay": _length,
        "jitter": _length,
        "on": tuple,
        "backoff": Backoff,
    }
    return RetryPolicy(**{key: readers.get(key, _same)(value) for key, value in data.items()})


def _env(data: Mapping[str, Any]) -> Mapping[str, Any]:
    return MappingProxyType(
        {key: value if isinstance(value, str) else OutputRef(**value) for key, value in data.items()}
    )


_READERS: dict[str, Any] = {
    "schedule": _schedule,
    "depends_on": lambda edges: tuple(Dependency(edge["job"], Match(edge["match"])) for edge in edges),
    "trigger_rule": TriggerRule,
    "run": lambda value: tuple(value) if isinstance(value, list) else value,
    "with_": MappingProxyType,
    "env": _env,
    "params": lambda data: MappingProxyType({key: Param(**value) for key, value in data.items()}),
    "secrets": MappingProxyType,
    "retry": _retry,
    "rate_limit": lambda value: None if value is None else RateLimit(value["starts"], timedelta(seconds=value["per"])),
    "window": lambda value: tuple(Window(**{**each, "days": tuple(each.get("days", ()))}) for each in value),
    "timeout": _length,
    "deadline": _length,
    "catchup": Catchup,
    "catchup_window": _length,
    "overlap": Overlap,
    "jitter": _length,
    "on_crash": OnCrash,
    "calendar": tuple,
    "keep": lambda value: None if value is None else Keep(**value),
    "tags": tuple,
    "labels": tuple,
    "notify": lambda rules: tuple(NotifyRule(tuple(rule["on"]), tuple(rule["to"])) for rule in rules),
    "position": lambda value: None if value is None else Position(**value),
}
