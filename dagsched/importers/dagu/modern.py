"""The words of Dagu since 2.7: `run` and `action` for what a step does, `${params.x}` and its like for values.

A step in these words is read as one in the older ones, which say the same: `run` is a command, `action: exec` is
`exec`, `dag.run` a call. References become variables of the shell, for that is how their values reach a job.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator, Mapping
from typing import Any, NamedTuple

from dagsched.importers.dagu.words import text_of

Overlay = dict[str, tuple[str, Any]]
"""Name of today's oldest words → (the key that says it in the file, value)."""

_TEXTS = ("run", "command", "script")
"""Keys whose text a shell reads, where a reference may stand within quotes."""

_REFERENCE = re.compile(r"\$\{(consts|params|env|steps|context|dag|run|step|paths)\.([A-Za-z_][\w.]*)\}")
_OUTPUT = re.compile(r"([A-Za-z]\w*)\.outputs\.([A-Za-z]\w*)")
_CONTEXT = {
    "dag.name": "DAG_NAME",
    "run.id": "DAG_RUN_ID",
    "run.status": "DAG_RUN_STATUS",
    "run.scheduled_at": "DAGSCHED_TICK",
    "step.name": "DAG_RUN_STEP_NAME",
    "paths.step_output_file": "DAGSCHED_OUTPUT",
}
_LONE = re.compile(r"''(\"\$\{\w+\}\")''")
"""A variable between single quotes with nothing in them."""

_LENGTH = re.compile(r"(?:\d+(?:\.\d+)?(?:h|m|s|ms))+")


class Wish(NamedTuple):
    """An output of another step that a text names: the variable it comes in, the step's id, the output's name."""

    variable: str
    step: str
    output: str


def is_modern(data: Mapping[str, Any]) -> bool:
    """Whether a DAG is written in the words of Dagu 2.7 and later, where steps without `type` do not wait."""
    steps = data.get("steps")
    items = list(steps.values()) if isinstance(steps, dict) else steps if isinstance(steps, list) else []
    found = [step for item in items for step in (item if isinstance(item, list) else [item]) if isinstance(step, dict)]
    return bool({"actions", "consts"} & data.keys()) or any(
        "action" in step or "foreach" in step or ("run" in step and not _may_call(step)) for step in found
    )


def _may_call(step: Mapping[str, Any]) -> bool:
    """Whether `run` can be what it once was, the name of a DAG."""
    value = step.get("run")
    return isinstance(value, str) and re.fullmatch(r"[\w./-]+", value) is not None and "with" not in step


def calls_by_run(step: Mapping[str, Any], is_dag: Callable[[str], bool]) -> bool:
    """Whether `run` names a DAG, as it did before `call` and long before it was a command."""
    return _may_call(step) and ("params" in step or "parallel" in step or is_dag(step["run"]))


def overlay(step: Mapping[str, Any], is_dag: Callable[[str], bool]) -> Overlay:
    """Return what a step in new words says in the old ones; {} for one in the old ones."""
    if "run" in step and "action" not in step and not calls_by_run(step, is_dag):
        found: Overlay = {"command": ("run", step["run"])}
        given = step.get("with")
        if isinstance(given, dict) and "shell" in given:
            arguments = given.get("shell_args")
            words = [text_of(given["shell"]), *map(text_of, arguments if isinstance(arguments, list) else [])]
            # `-c` is how the text is handed over, which `shell` says by itself.
            found["shell"] = ("with", " ".join(word for word in words if word != "-c"))
        return found
    if isinstance(step.get("action"), str):
        given = step.get("with")
        return _action(step["action"].strip(), dict(given) if isinstance(given, dict) else {})
    return {}


def _action(name: str, given: dict[str, Any]) -> Overlay:
    if name == "exec":
        return {"exec": ("with", given), "type": ("action", "")}
    if name == "dag.run":
        called: Overlay = {"call": ("with", given.get("dag")), "type": ("action", "")}
        return called | ({"params": ("with", given["params"])} if "params" in given else {})
    if name in ("docker.run", "container.run"):
        command = given.pop("command", None)
        found: Overlay = {"type": ("action", "docker"), "with": ("with", given)}
        return found | ({"command": ("with", command)} if command is not None else {})
    if name == "http.request":
        asked = f"{text_of(given.pop('method', ''))} {text_of(given.pop('url', ''))}"
        return {"type": ("action", "http"), "command": ("with", asked), "with": ("with", given)}
    if name == "log.write":
        return {"type": ("action", "log"), "with": ("with", given)}
    if name == "wait.duration" and (seconds := _seconds(text_of(given.get("duration")))) is not None:
        return {"command": ("with", f"sleep {seconds:g}"), "type": ("action", "")}
    return {"type": ("action", name), "with": ("with", given)}


def _seconds(text: str) -> float | None:
    """Return a length of Go (`1m30s`) in seconds."""
    if not _LENGTH.fullmatch(text):
        return None
    sizes = {"h": 3600.0, "m": 60.0, "s": 1.0, "ms": 0.001}
    return sum(float(number) * sizes[unit] for number, unit in re.findall(r"(\d+(?:\.\d+)?)(ms|h|m|s)", text))


def constants(value: Any) -> dict[str, str]:
    """Return `consts`, each of which may name those before it."""
    found: dict[str, str] = {}
    for item in value if isinstance(value, list) else [value]:
        for name, text in item.items() if isinstance(item, dict) else ():
            if not isinstance(text, dict | list):
                found[name] = resolved(text_of(text), found)
    return found


def translated(value: Any, consts: Mapping[str, str], key: str = "") -> Any:
    """Return a value of the file with its references as variables, at any depth; `key`: under which it stands."""
    if isinstance(value, str):
        return resolved(value, consts, is_shell=key in _TEXTS)
    if isinstance(value, list):
        return [translated(each, consts, key) for each in value]
    if isinstance(value, dict):
        return {name: translated(each, consts, name) for name, each in value.items()}
    return value


def resolved(text: str, consts: Mapping[str, str], is_shell: bool = False) -> str:
    """Return a text with `${params.x}` as `${x}` and so on; constants are written out.

    Within single quotes of a shell's text the quotes are opened around a variable, for Dagu fills it in there too.
    """

    def value(match: re.Match[str]) -> str:
        space, name = match[1], match[2]
        if space == "consts":
            return consts.get(name, match[0])
        variable = _variable(space, name)
        if variable is None:
            return match[0]
        return f"'\"${{{variable}}}\"'" if is_shell and _in_single_quotes(text, match.start()) else f"${{{variable}}}"

    found = _REFERENCE.sub(value, text).replace("DAGU_OUTPUT_FILE", "DAGSCHED_OUTPUT")
    return _LONE.sub(r"\1", found) if is_shell and found != text else found


def _variable(space: str, name: str) -> str | None:
    if space in ("params", "env"):
        return name if "." not in name else None
    if space == "steps":
        match = _OUTPUT.fullmatch(name)
        return variable_of(match[1], match[2]) if match else None
    return _CONTEXT.get(name if space == "context" else f"{space}.{name}")


def variable_of(step: str, output: str) -> str:
    """Return the variable in which a job gets an output of the job of a step."""
    return f"{step}_{output}".upper()


def wishes(value: Any) -> Iterator[Wish]:
    """Yield the outputs of other steps that a value of the file names, as it stands there."""
    if isinstance(value, str):
        for match in _REFERENCE.finditer(value):
            if match[1] == "steps" and (found := _OUTPUT.fullmatch(match[2])):
                yield Wish(variable_of(found[1], found[2]), found[1], found[2])
    for each in value.values() if isinstance(value, dict) else value if isinstance(value, list) else ():
        yield from wishes(each)


def _in_single_quotes(text: str, at: int) -> bool:
    quote = ""
    place = 0
    while place < at:
        sign = text[place]
        if sign == "\\" and quote != "'":
            place += 1
        elif sign in "'\"" and quote in ("", sign):
            quote = "" if quote else sign
        place += 1
    return quote == "'"


def is_pasted_into_a_document(text: str) -> bool:
    """Whether a reference may stand where no shell looks for variables: in a here-document with a quoted mark."""
    return bool(_REFERENCE.search(text)) and re.search(r"<<-?\s*\\?['\"]", text) is not None


def published(value: Any) -> list[str]:
    """Return the names of `outputs`, which a step writes to a file."""
    items = value if isinstance(value, list) else []
    return [text_of(each.get("name")) for each in items if isinstance(each, dict) and each.get("name")]
