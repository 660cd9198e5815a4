"""Which handlers there are: those built in, then those that installed packages bring."""

from __future__ import annotations

from collections.abc import Mapping
from importlib import import_module
from typing import TYPE_CHECKING, Any, Protocol

from dagsched.closest import get_close_matches
from dagsched.errors import HandlerError

if TYPE_CHECKING:
    from importlib.metadata import EntryPoint, EntryPoints

GROUP = "dagsched.handlers"

# Imported when used: `validate` never loads an HTTP client.
BUILT_IN = {
    "agent": "dagsched.handlers.agent:handler",
    "http": "dagsched.handlers.http:handler",
    "python": "dagsched.handlers.python:handler",
    "retention": "dagsched.handlers.housekeeping:retention",
    "compact": "dagsched.handlers.housekeeping:compact",
    "rollup": "dagsched.handlers.housekeeping:rollup",
    "workflow": "dagsched.handlers.workflow:handler",
}


class Handler(Protocol):
    """What a plug-in gives: an object (a module will do) with `run`, and perhaps `SCHEMA`.

    `run(context)` does the work of one attempt in a process of its own; it may be `async`. The keys of
    `context`: job, run, tick, attempt, with, params, env, outputs (where the outputs file is). What it prints
    is the attempt's log. Returning is success, and a returned mapping becomes the outputs; an exception is
    failure. `SCHEMA` is the JSON Schema of the job's `with`.
    """

    def run(self, context: Mapping[str, Any]) -> Any: ...


def names() -> tuple[str, ...]:
    """Return what `handler:` may say, sorted."""
    return tuple(sorted({"shell", *BUILT_IN, *(each.name for each in _plugins())}))


def find(name: str) -> Handler:
    """Return the handler of that name; raises HandlerError when there is none or its code does not load."""
    found: Handler = _load(name)
    if not callable(getattr(found, "run", None)):
        raise HandlerError(f"handler {name!r} cannot be used: {found!r} has no function `run(context)`")
    return found


def schema_of(name: str) -> Mapping[str, Any] | None:
    """Return the JSON Schema of the handler's `with`, None when it says nothing; raises as `find` does."""
    if name == "shell":
        return {"type": "object", "maxProperties": 0}
    schema: Mapping[str, Any] | None = getattr(find(name), "SCHEMA", None)
    return schema


def _load(name: str) -> Any:
    if name in BUILT_IN:
        module, _, attribute = BUILT_IN[name].partition(":")
        return getattr(import_module(module), attribute)
    plugin = _entry_point(name)
    try:
        return plugin.load()
    except Exception as error:
        raise HandlerError(f"handler {name!r} ({plugin.value}) does not load: {error!r}") from error


def _plugins() -> EntryPoints:
    from importlib.metadata import entry_points  # slow to load, and built-in handlers do without it

    return entry_points(group=GROUP)


def _entry_point(name: str) -> EntryPoint:
    for each in _plugins():
        if each.name == name:
            return each
    nearest = get_close_matches(name, names(), n=1)
    hint = f"; did you mean {nearest[0]!r}?" if nearest else ""
    raise HandlerError(f"there is no handler {name!r}{hint} (known: {', '.join(names())})")
