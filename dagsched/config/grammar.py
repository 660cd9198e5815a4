"""Does the data have the form of a job file? One schema, read by two validators.

The compiled one (`jsonschema_rs`) says yes in a few microseconds a job. Only where it says no does
`jsonschema` look, job by job, at what is refused; it is imported then. Both read `jobs.schema.json`.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from functools import lru_cache
from itertools import islice
from typing import Any, NamedTuple

from dagsched import __version__
from dagsched.config.compiled import Draft202012Validator, RegexOptions
from dagsched.config.explain import Complaint, complaints, shown_value
from dagsched.config.files import schema
from dagsched.declaration import EMPTY

# What each mapping of name → part is checked with, part by part, so that one bad job does not make
# `jsonschema` walk all the good ones.
_PARTS = {"jobs": "job", "pools": "capacity", "calendars": "calendar"}
# What is surely right as such a part, whatever its name.
_RIGHT: Mapping[str, Any] = {"jobs": {"run": "x"}, "pools": 1, "calendars": {"weekdays": ["sun"]}}
# Parts that are checked for form only where they are about templates and matrices.
_OPEN = ("template", "pattern")
# The `version` of the files that this program reads.
FORMAT = 1
# So many wrong parts of one file are explained; a file of nothing else would take minutes and fill the memory.
EXPLAINED_MAX = 1_000


class Verdict(NamedTuple):
    """What the grammar says against a file, and the ids of wrong jobs beyond EXPLAINED_MAX, which it only counts."""

    complaints: list[Complaint]
    unexplained: frozenset[str]


def check(data: dict[str, Any], members: Mapping[str, str] = EMPTY) -> Verdict:
    """Return what the grammar says against a file's data; nothing when it has the right form.

    `members`: of jobs that a template or matrix made, id → the id of the job that asked for it.
    """
    whole = _compiled("")
    if whole.is_valid(data):
        return Verdict([], frozenset())
    misnamed = {key: _misnamed(key, data[key]) for key in _PARTS if isinstance(data.get(key), dict)}
    found = complaints(_explainer(""), _outline(data, misnamed), ())
    unexplained: set[str] = set()
    for key, names in misnamed.items():
        part, inner = _PARTS[key], data[key]
        if len(names) > EXPLAINED_MAX:
            found.append(_more(key, names))
        wrong = [name for name, value in inner.items() if not _compiled(part).is_valid(value)]
        found += _explained(key, part, {name: inner[name] for name in wrong[:EXPLAINED_MAX]}, members)
        if len(wrong) > EXPLAINED_MAX:
            unexplained.update(wrong[EXPLAINED_MAX:] if key == "jobs" else ())
            found.append(_more(key, wrong))
    return Verdict(found or [_unexplained(whole, data)], frozenset(unexplained))


def later(data: Mapping[str, Any]) -> Complaint | None:
    """Return what to say of a file for a later program; None for every other one."""
    version = data.get("version")
    if not isinstance(version, int) or version <= FORMAT:
        return None
    return Complaint(
        "E115",
        ("version",),
        f"this file has format {shown_value(version)}; dagsched {__version__} reads format {FORMAT}",
        "a later format may mean something else by the same keys, so nothing of the file is used",
        f"upgrade dagsched, or write the file in format {FORMAT}",
    )


def is_pattern(job: Any) -> bool:
    """Whether a job has to be written out."""
    return isinstance(job, dict) and ("matrix" in job or "extends" in job)


def is_template(value: Any) -> bool:
    """Whether what a template says about itself has the right form, so that it can be laid below a job."""
    return _compiled("template").is_valid(value)


def has_patterns(data: Mapping[str, Any]) -> bool:
    """Whether a file declares templates, or jobs that have to be written out."""
    jobs = data.get("jobs")
    return "templates" in data or (isinstance(jobs, dict) and any(map(is_pattern, jobs.values())))


def check_patterns(data: dict[str, Any]) -> list[Complaint]:
    """Return what is wrong with the form of templates, and of what jobs say about templates and matrices.

    All else that they say is checked when it is written out.
    """
    found = []
    for key, part in (("templates", "template"), ("jobs", "pattern")):
        inner = data.get(key)
        for name, value in inner.items() if isinstance(inner, dict) else ():
            if (key == "templates" or is_pattern(value)) and not _compiled(part).is_valid(value):
                found += complaints(_explainer(part), value, (key, name))
                if len(found) > EXPLAINED_MAX:
                    return found
    templates = data.get("templates", {})
    names = {name: {} for name in templates} if isinstance(templates, dict) else templates
    outline = {"templates": names, "jobs": {}}
    return found if _compiled("").is_valid(outline) else found + complaints(_explainer(""), outline, ())


def _explained(key: str, part: str, wrong: Mapping[str, Any], members: Mapping[str, str]) -> list[Complaint]:
    """Explain the wrong parts; of members of one job that are wrong in the same way, one stands for all."""
    found: list[Complaint] = []
    known: dict[tuple[Any, ...], list[Complaint]] = {}
    for name, value in wrong.items():
        if key != "jobs" or name not in members:
            found += complaints(_explainer(part), value, (key, name))
            continue
        way = (members[name], *_way(part, value))
        if way not in known:
            known[way] = complaints(_explainer(part), value, (key, name))
        found += [each._replace(path=(key, name, *each.path[2:])) for each in known[way]]
    return found


def _way(part: str, value: Any) -> list[tuple[Any, ...]]:
    """Return in which way a value is wrong: where, and by which rules."""
    errors = islice(_compiled(part).iter_errors(value), 20)
    return [(*error.instance_path, None, *error.schema_path) for error in errors]


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


def _outline(data: dict[str, Any], misnamed: Mapping[str, list[str]]) -> dict[str, Any]:
    """Return the data with those of the parts alone whose name is wrong, each replaced by one that is surely right."""
    return data | {key: dict.fromkeys(names[:EXPLAINED_MAX], _RIGHT[key]) for key, names in misnamed.items()}


def _misnamed(key: str, inner: Mapping[str, Any]) -> list[str]:
    whole, right = _compiled(""), _RIGHT[key]
    if whole.is_valid({"jobs": {}, key: dict.fromkeys(inner, right)}):
        return []
    return [name for name in inner if not whole.is_valid({"jobs": {}, key: {name: right}})]


@lru_cache(maxsize=8)
def _compiled(part: str) -> Draft202012Validator:
    """Return the validator of a part, of the whole file for ""."""
    # Linear-time patterns, and no schema is ever looked for elsewhere.
    return Draft202012Validator(_part(part), offline=True, pattern_options=RegexOptions())


def _part(name: str) -> dict[str, Any]:
    if not name:
        whole = schema()
        # Those with templates and matrices are looked at before, and are written out here.
        whole["properties"]["jobs"]["additionalProperties"] = {"$ref": "#/$defs/job"}
        return whole
    whole = schema()
    # `anyOf` tells editors which keys there are and lets everything pass; compiled, it would be all of a job's grammar.
    whole["$defs"][name].pop("anyOf" if name in _OPEN else "", None)
    return {"$schema": whole["$schema"], "$ref": f"#/$defs/{name}", "$defs": whole["$defs"]}


@lru_cache(maxsize=8)
def _explainer(part: str) -> Any:
    from jsonschema import Draft202012Validator as Explainer
    from jsonschema.validators import extend

    strict: Any = extend(Explainer, {"pattern": _pattern})  # type: ignore[no-untyped-call]
    return strict(_part(part))


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
