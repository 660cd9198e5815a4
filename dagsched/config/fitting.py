"""Whether a value fits a parameter: its JSON Schema, compiled once however many jobs have it."""

from __future__ import annotations

from collections.abc import Mapping
from functools import lru_cache
from typing import Any

from dagsched.config.compiled import Draft202012Validator, RegexOptions

# Of a schema, what says nothing about which values fit; a default differs from job to job of a matrix.
_WORDS = frozenset({"default", "title", "description", "examples"})


def schema_validator(schema: Mapping[str, Any]) -> Draft202012Validator:
    """Return the validator of a parameter; raises ValidationError or ValueError if the schema cannot be used."""
    said = {key: value for key, value in schema.items() if key not in _WORDS}
    return _compiled(repr(said), _Schema(said))


class _Schema(dict[str, Any]):
    """A schema as an argument of a cached function; the text beside it is its identity."""

    def __hash__(self) -> int:  # type: ignore[override]
        return 0

    def __eq__(self, other: object) -> bool:
        return isinstance(other, _Schema)


@lru_cache(maxsize=1024)
def _compiled(identity: str, schema: _Schema) -> Draft202012Validator:
    return Draft202012Validator(dict(schema), offline=True, pattern_options=RegexOptions())


def kind_schema(value: Any) -> dict[str, Any]:
    """Return the schema of values like this one, a single value.

    >>> [kind_schema(value) for value in ("eu", 3, True)]
    [{'type': 'string'}, {'type': 'integer'}, {'type': 'boolean'}]
    """
    if isinstance(value, bool):
        return {"type": "boolean"}
    return {"type": "string" if isinstance(value, str) else "integer" if isinstance(value, int) else "number"}
