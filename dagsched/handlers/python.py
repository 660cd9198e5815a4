"""`handler: python`: a function, async or not, in a process of its own.

    handler: python
    with: {function: "reports:weekly", args: [7], kwargs: {dry: true}}

The module is looked for in the folder `path` if one is given, then in the attempt's folder (`cwd`). What the
function prints is the log; what it returns becomes outputs: a mapping's items, any other value as `result`, text
as it is and the rest as JSON.
"""

from __future__ import annotations

import os
import sys
from collections.abc import Mapping
from functools import reduce
from importlib import import_module
from typing import Any

from dagsched.errors import HandlerError

SCHEMA: Mapping[str, Any] = {
    "type": "object",
    "additionalProperties": False,
    "required": ["function"],
    "properties": {
        "function": {
            "description": "The function as module:name; names may have dots (module:Class.method).",
            "type": "string",
            "pattern": r"^[^\W\d]\w*(\.[^\W\d]\w*)*:[^\W\d]\w*(\.[^\W\d]\w*)*$",
            "examples": ["reports.weekly:main"],
        },
        "args": {"description": "Positional arguments.", "type": "array"},
        "kwargs": {"description": "Arguments by name.", "type": "object"},
        "reuse": {
            "description": "Let one process do many attempts, each after the other: no start, but globals stay.",
            "type": "boolean",
            "default": False,
        },
        "path": {"description": "A folder to import from first; relative to `cwd`.", "type": "string", "minLength": 1},
    },
}


class PythonHandler:
    """Calls the function that `with` names."""

    SCHEMA = SCHEMA

    def run(self, context: Mapping[str, Any]) -> Any:
        """Return what the function returns (a coroutine included), raise what it raises.

        Raises HandlerError when there is no such function.
        """
        asked = context["with"]
        if "path" in asked:
            sys.path.insert(0, os.path.abspath(asked["path"]))
        function = find_function(asked["function"])
        return function(*asked.get("args", ()), **asked.get("kwargs", {}))


def find_function(name: str) -> Any:
    """Return the function that `module:name` names; raises HandlerError."""
    module_name, _, path = name.partition(":")
    try:
        module = import_module(module_name)
    except ModuleNotFoundError as error:
        # A module that is there and misses another one has failed by itself: that is for its traceback.
        if error.name is None or not f"{module_name}.".startswith(f"{error.name}."):
            raise
        raise HandlerError(
            f"python handler: no module {error.name!r} in the attempt's folder or the installed packages"
        ) from None
    try:
        function = reduce(getattr, path.split("."), module)
    except AttributeError:
        raise HandlerError(f"python handler: module {module_name!r} has no {path!r}") from None
    if not callable(function):
        raise HandlerError(f"python handler: {name!r} is not a function")
    return function


handler = PythonHandler()
