"""Who is told and who works elsewhere: `notifiers`, `agents`, and what names them.

Both are sections of named mappings that any file may declare and any file may use, like pools. A declaration keeps
what the file says and adds `folder`, which relative paths in it are below; secrets in it are references, and nothing
here looks at them.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from datetime import timedelta
from types import MappingProxyType
from typing import Any, NamedTuple

from dagsched.config.build import Entry
from dagsched.config.explain import Complaint, short
from dagsched.config.lengths import BadLength, parse_length
from dagsched.config.reader import Document, Path
from dagsched.config.report import Report, where
from dagsched.declaration import AGENT_TOKEN, Job, NotifyRule
from dagsched.references import reference_of

Declared = Mapping[str, Mapping[str, Any] | None]


class Section(NamedTuple):
    """What is particular to one of the two: the word for one entry, and its codes."""

    word: str
    unknown: str
    twice: str
    example: str


SECTIONS: Mapping[str, Section] = {
    "notifiers": Section("notifier", "E501", "E502", "{{{name}: {{type: webhook, url: https://…}}}}"),
    "agents": Section("agent", "E503", "E504", "{{{name}: {{url: https://…}}}}"),
}
# Lengths that may be nothing at all; any other of none would mean that nothing is ever answered.
_MAY_BE_ZERO = frozenset({"group", "repeat"})
_LENGTHS = ("group", "repeat", "timeout")


def declared(document: Document, section: str, folder: str, refused: set[str], report: Report) -> Declared:
    """Return the section's entries by name, None for one that was refused; bad lengths are reported."""
    raw = document.data.get(section)
    if not isinstance(raw, dict):
        return {}
    found: dict[str, Mapping[str, Any] | None] = {}
    for name, said in raw.items():
        is_good = name not in refused and isinstance(said, dict) and _has_good_lengths(document, section, name, report)
        found[name] = MappingProxyType({**said, "folder": folder}) if is_good else None
    return found


def _has_good_lengths(document: Document, section: str, name: str, report: Report) -> bool:
    said, is_good = document.data[section][name], True
    for key in _LENGTHS:
        if key not in said:
            continue
        try:
            length = parse_length(said[key])
        except BadLength as error:
            code, message = "E304" if error.is_range else "E303", str(error)
        else:
            if length > timedelta(0) or key in _MAY_BE_ZERO:
                continue
            code, message = "E304", f"'{key}' is zero"
        is_good = False
        why = "lengths are numbers with units, and nothing is answered in no time"
        report.complain(document, Complaint(code, (section, name, key), message, why, "write e.g. 10s, 1m or 500ms"))
    return is_good


def twice(document: Document, section: str, name: str, other: Document) -> Complaint:
    """Return the complaint that another file says something else under this name."""
    word, code = SECTIONS[section].word, SECTIONS[section].twice
    return Complaint(
        code,
        (section, name),
        f"the {word} '{short(name)}' is declared twice",
        f"the other declaration is {where(other, (section, name))}",
        "rename or remove one; all files together are one namespace",
        True,
    )


# ---------------------------------------------------------------- rules


def rules_of_file(document: Document, refused: set[str]) -> list[Mapping[str, Any]]:
    """Return the rules in `defaults`, [] when there are none that can be used."""
    defaults = document.data.get("defaults")
    rules = defaults.get("notify") if isinstance(defaults, dict) and "notify" not in refused else None
    return rules if isinstance(rules, list) else []


def about_no_job(rules: tuple[NotifyRule, ...]) -> tuple[NotifyRule, ...]:
    """Return of a file's rules those about what belongs to no job."""
    return tuple(rule for rule in rules if "config_rejected" in rule.on)


def check_rules(document: Document, base: Path, rules: tuple[NotifyRule, ...], known: Declared, report: Report) -> None:
    """Report names of notifiers that are not declared; `base`: the path of the rules."""
    for number, rule in enumerate(rules):
        for place, name in enumerate(rule.to):
            if name not in known:
                _unknown(document, (*base, number, "to", place), "notifiers", name, known, report)


def check_job_rules(entry: Entry, known: Declared, is_whole: bool, report: Report) -> None:
    """Report what is wrong with a job's own rules: unknown names, and news that never comes."""
    base = entry.path("notify")
    if base[0] == "defaults" or "notify" in entry.dropped:
        return  # told once, for the file; or refused as a whole
    if is_whole:
        check_rules(entry.document, base, entry.job.notify, known, report)
    for number, place, word, why, fix in _hopeless(entry.job):
        message = f"the rule can never match '{word}'"
        said = Complaint("W501", (*base, number, "on", place), message, why, fix)
        report.complain(entry.document, said)


def _hopeless(job: Job) -> Iterator[tuple[int, int, str, str, str]]:
    failing = {name for rule in job.notify if "failure" in rule.on for name in rule.to}
    for number, rule in enumerate(job.notify):
        for place, word in enumerate(rule.on):
            if word == "config_rejected":
                yield number, place, word, "job files are no job's own", "move the rule to defaults:"
            elif word == "recovered" and failing.isdisjoint(rule.to):
                why = "recovered is the first success after a failure that was told, and no rule tells them of failure"
                yield number, place, word, why, "add failure to the rule"
            elif word == "late" and job.deadline is None:
                why = "a run is late when its deadline has passed, and the job has none"
                yield number, place, word, why, "give the job a deadline, or remove the word"


# ---------------------------------------------------------------- agents


def check_agent(entry: Entry, known: Declared, report: Report) -> None:
    """Report a worker that is not declared."""
    name = entry.job.with_.get("agent")
    if isinstance(name, str) and name not in known:
        _unknown(entry.document, ("jobs", entry.job.id, "with", "agent"), "agents", name, known, report)


def with_agent(job: Job, agents: Declared) -> Job:
    """Return the job with what its worker's declaration says among its settings, as `at`: all an attempt needs.

    The worker's token is a secret of the job like any other: looked up when an attempt starts, and masked.
    """
    if job.handler != "agent":
        return job
    at = agents.get(str(job.with_.get("agent")))
    if at is None:
        return job
    secrets = job.secrets
    if "token" in at:
        secrets = MappingProxyType({**secrets, AGENT_TOKEN: reference_of(at["token"], at["folder"])})
    return job._replace(with_=MappingProxyType({**job.with_, "at": dict(at)}), secrets=secrets)


def _unknown(document: Document, path: Path, section: str, name: str, known: Declared, report: Report) -> None:
    word, code, _, example = SECTIONS[section]
    meant = report.guess(name, known)
    fix = f"did you mean '{meant}'?" if meant else f"declare it: {section}: {example.format(name=short(name))}"
    why = f"{section} must be declared in one of the files"
    report.complain(document, Complaint(code, path, f"unknown {word} '{short(name)}'", why, fix))
