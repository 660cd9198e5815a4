"""Why the grammar refuses something, in our words.

`jsonschema` walks what the compiled validator has refused and names each failing keyword; this file says it
with a code, a reason and a fix. What stands in the file is never repeated at length: a small file can hold a
value of any size.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from typing import Any, NamedTuple

from dagsched.config.hints import known_key, nearest
from dagsched.config.reader import Path

SHOWN_CHARACTERS_MAX = 60


class Complaint(NamedTuple):
    """A problem without its place: `path` says where in the data, `is_key` that its key is meant."""

    code: str
    path: Path
    message: str
    why: str = ""
    fix: str = ""
    is_key: bool = False
    meant: str = ""  # of an unknown key, the one that was probably meant


def complaints(validator: Any, instance: Any, base: Path) -> list[Complaint]:
    """Return what `validator` (a jsonschema one) says against `instance`, which stands at `base`."""
    found: dict[tuple[Any, ...], Complaint] = {}
    for error in validator.iter_errors(instance):
        for complaint in _complaints(error, base):
            found.setdefault((complaint.path, complaint.is_key, complaint.code, complaint.message), complaint)
    return [each for each in found.values() if not _follows(each, found.values())]


def _follows(complaint: Complaint, others: Iterable[Complaint]) -> bool:
    """Whether it only says once more what an unknown key says: `command:` instead of `run:` leaves no `run`."""
    return complaint.code == "E108" and any(
        other.meant in ("run", "handler") and other.path[:-1] == complaint.path for other in others
    )


def _complaints(error: Any, base: Path) -> Iterator[Complaint]:
    path = (*base, *error.absolute_path)
    if error.validator == "oneOf" and _is_choice(error) and not isinstance(error.instance, dict):
        return  # "exactly one of these keys" says nothing of what has no keys; its type is told already
    if error.validator in ("anyOf", "oneOf") and error.context and not _is_choice(error):
        yield from _best_branch(error, base)
        return
    if "propertyNames" in error.absolute_schema_path:
        # The path ends at the mapping; the name that does not fit is the instance itself.
        yield _said(error, (*path, error.instance), is_key=True)
    elif error.validator == "additionalProperties":
        yield from _unknown_keys(error, path)
    elif error.validator == "required":
        yield from _missing(error, path)
    else:
        yield _said(error, path)


def _is_choice(error: Any) -> bool:
    """Whether it is a oneOf of `required` alone, which says "exactly one of these keys"."""
    return all(set(branch) == {"required"} for branch in error.validator_value)


def _best_branch(error: Any, base: Path) -> Iterator[Complaint]:
    """Explain the branch that fits the value's type: its errors are the ones that were meant."""
    branches: dict[int, list[Any]] = {}
    for inner in error.context:
        branches.setdefault(inner.schema_path[0], []).append(inner)
    fitting = [errors for errors in branches.values() if not any(_is_wrong_kind(each) for each in errors)]
    for inner in fitting[0] if fitting else next(iter(branches.values()))[:1]:
        yield from _complaints(inner, base)


def _is_wrong_kind(error: Any) -> bool:
    return not error.path and error.validator == "type"


def _unknown_keys(error: Any, path: Path) -> Iterator[Complaint]:
    known = list(error.schema.get("properties", {}))
    why = f"there is no such key in a {error.schema.get('title', 'job file')}"
    if len(known) < 9:
        why += f"; known are {', '.join(known)}" if known else ", which is empty"
    for key in error.instance:
        if key not in known:
            meant = known_key(key, known)
            fix = f"did you mean '{meant}'?" if meant else "remove it; `dagsched schema` prints the known keys"
            yield Complaint("E101", (*path, key), f"unknown key '{short(key)}'", why, fix, True, meant or "")


def _missing(error: Any, path: Path) -> Iterator[Complaint]:
    for key in error.validator_value:
        if key not in error.instance:
            why = f"a {error.schema.get('title', 'value')} cannot do without it"
            example = _example(error.schema.get("properties", {}).get(key, {}))
            fix = f"add it, e.g. {key}: {example}" if example else f"add '{key}:'"
            yield Complaint("E102", path, f"the key '{key}' is missing", why, fix, bool(path))


def _said(error: Any, path: Path, *, is_key: bool = False) -> Complaint:
    code, message = _sentence(error, path)
    schema = error.schema
    why = str(schema.get("description", "")) or _title_reason(schema)
    fix = _fix(error, code)
    return Complaint(code, path, message, why, fix, is_key or code in ("E102", "E108", "E109", "E143"))


def _title_reason(schema: Mapping[str, Any]) -> str:
    title = schema.get("title")
    return f"a {title} is expected here" if title else ""


def _sentence(error: Any, path: Path) -> tuple[str, str]:
    keyword, value = error.validator, error.validator_value
    name = f"'{path[-1]}'" if path and isinstance(path[-1], str) else "this item"
    shown = shown_value(error.instance)
    title = error.schema.get("title", "")
    if keyword in ("type", "pattern", "maxLength") and title == "length":
        return "E303", f"{shown} is no length of time"
    if keyword in ("type", "pattern") and title == "instant":
        return "E305", f"{shown} is no date and time"
    if title == "secret reference" or (keyword == "type" and title == "reference to a secret"):
        # Somebody may have written the secret itself.
        return "E140", f"the value of {name} is no reference to a secret"
    if keyword == "type":
        return "E103", f"{name} must be {_type_words(value)}, not {kind_of(error.instance)}"
    if keyword == "enum":
        return "E104", f"{shown} is not one of {', '.join(map(str, value))}"
    if keyword == "const":
        return "E104", f"{name} must be {value}, not {shown}"
    if keyword in ("pattern", "format"):
        return (
            "E105",
            f"{shown} is no {title or 'valid value here'}" if title else f"{shown} does not fit {name}",
        )
    if keyword in ("minimum", "exclusiveMinimum", "maximum", "exclusiveMaximum", "multipleOf"):
        bound = {
            "minimum": "at least",
            "maximum": "at most",
            "exclusiveMinimum": "above",
            "exclusiveMaximum": "below",
            "multipleOf": "a multiple of",
        }[keyword]
        return "E106", f"{name} must be {bound} {value}, not {shown}"
    if keyword in ("minLength", "minItems", "minProperties"):
        return "E107", f"{name} is empty"
    if keyword in ("maxLength", "maxItems"):
        return "E107", f"{name} is longer than {value}"
    if keyword == "dependentRequired":
        key = _dependent(error)
        return "E102", f"'{key}' needs {'an' if key == 'values' else 'a'} '{value[key][0]}'"
    if keyword == "oneOf" and _is_choice(error):
        return _choice(error)
    if keyword == "not" and "required" in value:
        return "E114", f"'{value['required'][0]}' and '{value['required'][1]}' exclude each other"
    return "E114", f"{name} is not allowed here ({keyword})"


def _dependent(error: Any) -> str:
    """Return the key that needs another one."""
    pairs = error.validator_value.items()
    return next(str(key) for key, needed in pairs if key in error.instance and needed[0] not in error.instance)


def _choice(error: Any) -> tuple[str, str]:
    keys = [branch["required"][0] for branch in error.validator_value]
    given = [key for key in keys if key in error.instance]
    code = "E108" if "run" in keys else "E143" if "file" in keys else "E109"
    where = {"E108": "the job", "E143": "the workflow", "E109": "the schedule"}[code]
    if not given:
        return code, f"{where} has none of {', '.join(keys)}"
    return code, f"{where} has {' and '.join(given)}"


def _fix(error: Any, code: str) -> str:
    value, schema = error.instance, error.schema
    if code == "E303":
        if isinstance(value, (int, float)) and not isinstance(value, bool):
            return f"say the unit: {value}s, {value}m or {value}h"
        return "write numbers with units: 90s, 15m, 2h, 1d, 1h30m, 500ms"
    if code == "E305":
        return "write it like 2026-12-24T18:00, or 2026-12-24T18:00:00Z for an instant"
    if code == "E108":
        return "write run: for a command, or handler: with with: for anything else; exactly one of them"
    if code == "E143":
        return "name a job of these files, or a file whose jobs are to run"
    if code == "E109":
        return "keep exactly one of cron, every, at, event; split the job if you need more"
    if error.validator == "enum":
        meant = nearest(str(value), map(str, error.validator_value))
        return f"did you mean '{meant}'?" if meant else f"write one of {', '.join(map(str, error.validator_value))}"
    if error.validator == "type":
        return _type_fix(value, error.validator_value, schema)
    if error.validator == "dependentRequired":
        key = _dependent(error)
        if key == "values":
            return "name the template under extends:, or use params: for the job's own parameters"
        if "wait" in error.validator_value:
            return "remove it: a file is waited for"
        if "with" not in error.validator_value:
            return f"add '{next(iter(error.validator_value.values()))[0]}'"
        return "name the handler, or use env: for a command's settings"
    example = _example(schema)
    return f"write e.g. {example}" if example else ""


def _type_fix(value: Any, wanted: Any, schema: Mapping[str, Any]) -> str:
    types = [wanted] if isinstance(wanted, str) else wanted
    if "string" in types and isinstance(value, (bool, int, float)):
        return "put it in quotes to make it text"
    if types == ["array"] and isinstance(value, str) and len(value) <= SHOWN_CHARACTERS_MAX:
        return f"write a list: [{value}]"
    example = _example(schema)
    return f"write e.g. {example}" if example else f"write {_type_words(wanted)}"


def _example(schema: Mapping[str, Any]) -> str:
    examples = schema.get("examples")
    return _flow(examples[0]) if examples else ""


def _flow(value: Any) -> str:
    if isinstance(value, Mapping):
        return "{" + ", ".join(f"{key}: {_flow(item)}" for key, item in value.items()) + "}"
    if isinstance(value, list):
        return "[" + ", ".join(map(_flow, value)) + "]"
    if isinstance(value, bool) or value is None:
        return str(value).lower() if value is not None else "null"
    text = str(value)
    return f'"{text}"' if isinstance(value, str) and any(sign in text for sign in "*:#{}[],&!|>'\"%@`") else text


def _type_words(wanted: Any) -> str:
    words = {"string": "text", "integer": "a whole number", "number": "a number", "boolean": "true or false",
             "array": "a list", "object": "a mapping", "null": "nothing"}  # fmt: skip
    types = [wanted] if isinstance(wanted, str) else list(wanted)
    return " or ".join(words[each] for each in types)


def kind_of(value: Any) -> str:
    """Return what kind of value it is, and the value itself when it is short."""
    if value is None:
        return "nothing"
    if isinstance(value, dict):
        return "a mapping"
    if isinstance(value, list):
        return "a list"
    return ("text " if isinstance(value, str) else "") + shown_value(value)


def shown_value(value: Any) -> str:
    """Return the value as a message may show it: never long."""
    if isinstance(value, bool) or value is None:
        return {True: "true", False: "false", None: "null"}[value]
    if isinstance(value, (dict, list)):
        return "a mapping" if isinstance(value, dict) else "a list"
    return f"'{short(value)}'" if isinstance(value, str) else short(str(value))


def short(text: str) -> str:
    """Return the text on one line, cut to SHOWN_CHARACTERS_MAX."""
    line = "".join(character if character.isprintable() else "\ufffd" for character in text[: SHOWN_CHARACTERS_MAX + 1])
    return line if len(line) <= SHOWN_CHARACTERS_MAX else line[: SHOWN_CHARACTERS_MAX - 3] + "..."
