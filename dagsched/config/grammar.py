"""Does the data have the form of a job file? One schema, read by two validators.

The compiled one (`jsonschema_rs`) says yes in a few microseconds a job. Only where it says no does
`jsonschema` look, job by job, at what is refused; it is imported then. Both read `jobs.schema.json`.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from functools import lru_cache
from typing import Any, NamedTuple

from jsonschema_rs import Draft202012Validator, RegexOptions

from dagsched.config.explain import Complaint, complaints
from dagsched.config.files import schema

# What each mapping of name → part is checked with, part by part, so that one bad job does not make
# `jsonschema` walk all the good ones.
_PARTS = {"jobs": "job", "pools": "capacity", "calendars": "calendar"}
# So many wrong parts of one file are explained; a file of nothing else would take minutes and fill the memory.
EXPLAINED_MAX = 1_000


class Verdict(NamedTuple):
    """What the grammar says against a file, and the ids of wrong jobs beyond EXPLAINED_MAX, which it only counts."""

    complaints: list[Complaint]
    unexplained: frozenset[str]


def check(data: dict[str, Any]) -> Verdict:
    """Return what the grammar says against a file's data; nothing when it has the right form."""
    whole = _compiled("")
    if whole.is_valid(data):
        return Verdict([], frozenset())
    found = complaints(_explainer(""), _outline(data), ())
    unexplained: set[str] = set()
    for key, part in _PARTS.items():
        inner = data.get(key)
        if not isinstance(inner, dict):
            continue
        wrong = [name for name, value in inner.items() if not _compiled(part).is_valid(value)]
        for name in wrong[:EXPLAINED_MAX]:
            found += complaints(_explainer(part), inner[name], (key, name))
        if len(wrong) > EXPLAINED_MAX:
            unexplained.update(wrong[EXPLAINED_MAX:] if key == "jobs" else ())
            found.append(_more(key, wrong))
    return Verdict(found or [_unexplained(whole, data)], frozenset(unexplained))


def _more(key: str, wrong: list[str]) -> Complaint:
    count = len(wrong) - EXPLAINED_MAX
    return Complaint(
        "E114",
        (key, wrong[EXPLAINED_MAX]),
        f"{count:,} more of these {key} are not right",
        f"the first {EXPLAINED_MAX:,} are explained",
        "correct those first",
        True,
    )


def _outline(data: dict[str, Any]) -> dict[str, Any]:
    """Return the data with every job, pool and calendar replaced by one that is surely right; names stay."""
    outline = dict(data)
    for key, stand_in in (("jobs", {"run": "x"}), ("pools", 1), ("calendars", {"weekdays": ["sun"]})):
        if isinstance(data.get(key), dict):
            outline[key] = dict.fromkeys(data[key], stand_in)
    return outline


@lru_cache(maxsize=4)
def _compiled(part: str) -> Draft202012Validator:
    """Return the validator of a part, of the whole file for ""."""
    # Linear-time patterns, and no schema is ever looked for elsewhere.
    return Draft202012Validator(_part(part) if part else schema(), offline=True, pattern_options=RegexOptions())


def _part(name: str) -> dict[str, Any]:
    return {"$schema": schema()["$schema"], "$ref": f"#/$defs/{name}", "$defs": schema()["$defs"]}


@lru_cache(maxsize=4)
def _explainer(part: str) -> Any:
    from jsonschema import Draft202012Validator as Explainer
    from jsonschema.validators import extend

    strict: Any = extend(Explainer, {"pattern": _pattern})  # type: ignore[no-untyped-call]
    return strict(_part(part) if part else schema())


def _pattern(validator: Any, pattern: str, instance: Any, schema: Any) -> Iterator[Any]:
    """Read `$` as the compiled validator does: as the end, and not as what a last line feed may follow."""
    from jsonschema import ValidationError

    exact = pattern[:-1] + r"\Z" if pattern.endswith("$") else pattern
    if isinstance(instance, str) and not re.search(exact, instance):
        yield ValidationError("the pattern does not match")


def _unexplained(validator: Draft202012Validator, data: dict[str, Any]) -> Complaint:
    """Return the compiled validator's own words, for the case that the two ever disagree."""
    error = next(iter(validator.iter_errors(data)))
    return Complaint(
        "E114",
        tuple(error.instance_path),
        "this value is not allowed here",
        f"the grammar refuses it at {'/'.join(map(str, error.schema_path))[:200]}",
        "see `dagsched schema`",
    )
