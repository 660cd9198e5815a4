"""Drafts → the text of a job file, as a person would write it, and through the real loader before anyone sees it."""

from __future__ import annotations

import json
import re
from collections.abc import Iterator, Mapping, Sequence
from datetime import datetime
from typing import Any

from dagsched.config import Loaded, load_texts
from dagsched.declaration import Config
from dagsched.importers.draft import Draft, Imported
from dagsched.triggers.lint import lint

SHARED = ("cwd", "shell", "user", "timeout", "pool")
"""Keys that move to `defaults` when most jobs agree and none lacks them."""
ALIKE = ("tags", "keep")
"""Keys that do so when all agree."""
ORDER = (
    *("description", "tags", "schedule", "timezone", "dst", "catchup", "catchup_window", "jitter", "overlap"),
    *("depends_on", "trigger_rule", "when", "pool", "run", "handler", "with", "shell", "user", "cwd", "env", "secrets"),
    *("retry", "timeout", "keep"),
)
"""Of a job's keys: what it is, when it runs, after what, what it does, and how often."""
_PLAIN = re.compile(r"(?:\d+(?:ms|[smhd]))+|[A-Za-z_./][A-Za-z0-9_ ./@%+=,;()$\"-]*[A-Za-z0-9_/)\"]|[A-Za-z_/.]")
_NAME = re.compile(r"[A-Za-z_][A-Za-z0-9_.-]*")
_WORDS = frozenset(["true", "false", "null", "yes", "no", "on", "off", "y", "n"])


def checked(imported: Imported, name: str, now: datetime) -> tuple[str, Loaded]:
    """Return the job file's text and what the loader made of it; `name`: absolute path it will have.

    A job that the loader refuses is taken out of `imported`, with its reason as a verdict, until the rest loads.
    """
    text = emit(imported)
    loaded = load_texts({name: text}, now)
    if loaded.config is None:
        _take_out_refused(imported, name, now)
        text = emit(imported)
        loaded = load_texts({name: text}, now)
    if loaded.config is not None and _state_clock_changes(imported, loaded.config, now):
        text = emit(imported)
        loaded = load_texts({name: text}, now)
    return text, loaded


def _state_clock_changes(imported: Imported, config: Config, now: datetime) -> bool:
    """Say in the file what clock changes do to its jobs, where `validate` would warn of it; return whether any was.

    The rules are those that hold anyway, and those of cron: who moves in knows them, and need not be warned.
    """
    found: dict[str, dict[str, str]] = {}
    for draft in imported.drafts:
        job = config.jobs.get(draft.id)
        if job is None or job.schedule is None or "dst" in {**imported.defaults, **draft.keys}:
            continue
        codes = {remark.code for remark in lint(job.schedule, now)}
        rules: dict[str, str] = {}
        if len(codes & {"W301", "W302"}) == 1:
            rules["gap"] = "run" if "W301" in codes else "skip"
        if "W303" in codes:
            rules["overlap"] = "both"
        if rules:
            draft.keys = _after(draft.keys, ("timezone", "schedule"), {"dst": rules})
            found[draft.id] = rules
    words = {"run": "made up for after a gap", "skip": "left out in a gap", "both": "run each time they come"}
    for place, verdict in enumerate(imported.verdicts):
        if verdict.job in found:
            told = " and ".join(words[each] for each in found[verdict.job].values())
            why = f"when the clocks change its times are {told}, as under cron (`dst`)"
            imported.verdicts[place] = verdict._replace(why="; ".join(each for each in (verdict.why, why) if each))
    return bool(found)


def _after(keys: dict[str, Any], places: Sequence[str], more: dict[str, Any]) -> dict[str, Any]:
    """Return the keys with more of them behind the first of `places` that is there."""
    at = next(place for place in places if place in keys)
    found: dict[str, Any] = {}
    for key, value in keys.items():
        found[key] = value
        if key == at:
            found |= more
    return found


def _take_out_refused(imported: Imported, name: str, now: datetime) -> None:
    """Take out each job that is refused by itself; one that others wait for stays, as a job that fails and says why."""
    waited = {each for draft in imported.drafts for each in draft.keys.get("depends_on", ())}
    for draft in list(imported.drafts):
        refusal = _refusal(imported, draft, name, now)
        if refusal is None:
            continue
        why = f"dagsched refuses it: {refusal}"
        if draft.id in waited:
            _stand_in(imported, draft, refusal, name, now)
            why += "; a job that fails stands in its place"
        else:
            imported.drafts.remove(draft)
        for place, verdict in enumerate(imported.verdicts):
            if verdict.job == draft.id:
                imported.verdicts[place] = verdict._replace(kind="dropped", why=why)


def _refusal(imported: Imported, draft: Draft, name: str, now: datetime) -> str | None:
    """Return why a job cannot be loaded, leaving aside whom it waits for; None if it can."""
    alone = Imported(imported.timezone, imported.defaults, [_without_upstreams(draft)], top=imported.top)
    loaded = load_texts({name: emit(alone)}, now)
    if loaded.config is not None:
        return None
    return next(problem.message for problem in loaded.problems if problem.severity == "error")


def _stand_in(imported: Imported, draft: Draft, why: str, name: str, now: datetime) -> None:
    kept = ("schedule", "depends_on", "trigger_rule", "when")
    joins: dict[str, Any] = {key: draft.keys[key] for key in kept if key in draft.keys}
    said = f"{draft.id} could not be imported: {why}".replace("'", "’")
    draft.keys = {**joins, "run": f"echo '{printable(said)}' >&2; exit 1"}
    if _refusal(imported, draft, name, now) is not None:
        draft.keys.pop("schedule", None)


def _without_upstreams(draft: Draft) -> Draft:
    drop = {"depends_on", "when", "trigger_rule"}
    keys = {key: value for key, value in draft.keys.items() if key not in drop}
    keys["env"] = {name: value for name, value in keys.get("env", {}).items() if not isinstance(value, Mapping)}
    return Draft(draft.id, draft.file, draft.line, keys)


def emit(imported: Imported) -> str:
    """Return the text of a job file with these jobs, in their order."""
    zone = timezone_of(imported)
    lines = [*(f"# {printable(line)}".rstrip() for line in imported.head), *([""] if imported.head else [])]
    lines += ["version: 1", f"timezone: {scalar(zone)}"]
    shared = _common([draft.keys.get("env", {}) for draft in imported.drafts])
    keys_of = [draft.keys for draft in imported.drafts]
    alike = {key for key in ALIKE if all(keys.get(key) == keys_of[0].get(key) for keys in keys_of)}
    defaults = dict(imported.defaults) | _common(keys_of, (*SHARED, *sorted(alike)))
    if shared:
        defaults["env"] = {**defaults.get("env", {}), **shared}
    # What is said for all jobs need not be said again.
    said = {**defaults, "timezone": zone}
    for key, value in imported.top.items():
        if value:
            lines += ["", *_mapping({key: value}, "")]
    if defaults:
        lines += ["", "defaults:", *_mapping(defaults, "  ")]
    lines += ["", "jobs:" if imported.drafts else "jobs: {}"]
    for draft in imported.drafts:
        lines += _comment(draft.comments)
        keys = {key: draft.keys[key] for key in sorted(draft.keys, key=_place)}
        keys = {key: value for key, value in keys.items() if key not in said or said[key] != value}
        if own := {name: value for name, value in keys.get("env", {}).items() if shared.get(name) != value}:
            keys["env"] = own
        else:
            keys.pop("env", None)
        lines += [f"  {scalar(draft.id)}:", *_mapping(keys, "    "), ""]
    lines += _comment(imported.comments)
    return "\n".join(lines).rstrip("\n") + "\n"


def _place(key: str) -> int:
    return ORDER.index(key) if key in ORDER else len(ORDER)


def timezone_of(imported: Imported) -> str:
    """Return the zone of the file: the one that all jobs with times name, else that of the old machine."""
    found = {draft.keys.get("timezone", imported.timezone) for draft in imported.drafts if "schedule" in draft.keys}
    return found.pop() if len(found) == 1 else imported.timezone


def _common(mappings: Sequence[Mapping[str, Any]], among: Sequence[str] | None = None) -> dict[str, Any]:
    """Return what most of several mappings say; a key counts that none of them lacks. `among`: the keys looked at."""
    if len(mappings) < 2:
        return {}
    found: dict[str, Any] = {}
    for key in among if among is not None else mappings[0]:
        values = [mapping.get(key) for mapping in mappings]
        if any(value is None or (isinstance(value, Mapping) and "job" in value) for value in values):
            continue
        shown = [json.dumps(value, sort_keys=True) for value in values]
        often = max(shown, key=shown.count)
        if shown.count(often) * 2 > len(values):
            found[key] = values[shown.index(often)]
    return found


def _comment(lines: Sequence[str]) -> Iterator[str]:
    for line in lines:
        yield f"  # {printable(line)}".rstrip()


def printable(text: str) -> str:
    """Return the text without characters that a comment of YAML may not hold."""
    return "".join(each if each.isprintable() else "?" for each in text)


def _mapping(values: Mapping[str, Any], indent: str) -> Iterator[str]:
    for key, value in values.items():
        name = key if _NAME.fullmatch(key) and key.lower() not in _WORDS else json.dumps(key)
        if isinstance(value, Mapping) and (len(value) > 3 or any(_is_long(each) for each in value.values())):
            yield f"{indent}{name}:"
            yield from _mapping(value, indent + "  ")
        elif isinstance(value, str) and "\n" in value and _fits_block(value):
            yield f"{indent}{name}: |{'' if value.endswith(chr(10)) else '-'}"
            yield from (f"{indent}  {line}".rstrip() for line in value.split("\n")[: None if value[-1] != "\n" else -1])
        elif isinstance(value, list) and any(isinstance(each, Mapping) and len(each) > 2 for each in value):
            yield f"{indent}{name}:"
            yield from (f"{indent}  - {flow(each)}" for each in value)
        else:
            yield f"{indent}{name}: {flow(value)}"


def _is_long(value: Any) -> bool:
    return isinstance(value, Mapping) or len(str(value)) > 40


def _fits_block(text: str) -> bool:
    lines = text.split("\n")
    return (
        bool(lines[0].strip())
        and not lines[0].startswith((" ", "\t"))
        and not text.endswith("\n\n")
        and all(
            line == line.rstrip() and (line.isprintable() or line.replace("\t", "").isprintable()) for line in lines
        )
    )


def flow(value: Any) -> str:
    """Return a value on one line."""
    if isinstance(value, Mapping):
        return "{" + ", ".join(f"{scalar(key, True)}: {_flow_item(item)}" for key, item in value.items()) + "}"
    if isinstance(value, list | tuple):
        return "[" + ", ".join(_flow_item(item) for item in value) + "]"
    return scalar(value)


def _flow_item(value: Any) -> str:
    return scalar(value, True) if isinstance(value, str) else flow(value)


def scalar(value: Any, inside: bool = False) -> str:
    """Return text as YAML reads it back unchanged; `inside`: between brackets, where a comma ends it."""
    if not isinstance(value, str):
        return json.dumps(value)
    plain = (
        _PLAIN.fullmatch(value) and value.lower() not in _WORDS and not (inside and re.search(r"[,\"(){}\[\]]", value))
    )
    if plain and not value.startswith(("- ", "...", "---")):
        return value
    return (
        f"'{value.replace(chr(39), chr(39) * 2)}'" if value.isprintable() and value.count("'") < 3 else _quoted(value)
    )


def _quoted(value: str) -> str:
    """Return JSON's double quotes, which YAML reads too; what lies outside of both's plane stays as it is."""
    text = json.dumps(value, ensure_ascii=False)
    return "".join(
        each if each.isprintable() else f"\\x{ord(each):02x}" if ord(each) < 256 else f"\\u{ord(each):04x}"
        for each in text
    )
