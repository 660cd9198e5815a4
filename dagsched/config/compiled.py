"""The compiled validator of JSON Schema, imported without what it never needs here.

Imported, its library turns the date of its own build into a `datetime` by `email.utils`. Nobody asks for that
date, and what that module imports (sockets, calendars, random numbers) takes as long as checking a small job file. So
meanwhile the library meets a stand-in, which leaves the date as it is written and imports the module for all else.
"""

from __future__ import annotations

import sys
from types import ModuleType
from typing import Any

_STOOD_IN_FOR = "email.utils"


class _StandIn(ModuleType):
    def parsedate_to_datetime(self, data: Any) -> Any:
        return data if _is_standing_in() else _module().parsedate_to_datetime(data)

    def __getattr__(self, name: str) -> Any:
        if name.startswith("__"):  # importing asks whether it is a package
            raise AttributeError(name)
        return getattr(_module(), name)


def _is_standing_in() -> bool:
    return isinstance(sys.modules.get(_STOOD_IN_FOR), _StandIn)


def _module() -> Any:
    if _is_standing_in():
        del sys.modules[_STOOD_IN_FOR]
    import email.utils

    return email.utils


sys.modules.setdefault(_STOOD_IN_FOR, _StandIn(_STOOD_IN_FOR))
try:
    from jsonschema_rs import Draft202012Validator, RegexOptions, ValidationError
finally:
    if _is_standing_in():
        del sys.modules[_STOOD_IN_FOR]

__all__ = ["Draft202012Validator", "RegexOptions", "ValidationError"]
