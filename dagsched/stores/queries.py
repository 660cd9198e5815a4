"""The SQL of a store, read once and found by name: of `queries.sql` and of other files that are no migrations.

Such a file is a list of statements, each below two comment lines: `-- name: live_runs` and what it is for.
A `-- fragment: run_columns` is no statement; `{run_columns}` in a statement stands for its text.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from functools import cache
from pathlib import Path
from types import MappingProxyType

PIECE = re.compile(r"^-- (name|fragment): (\w+)\n-- (.+)\n", re.MULTILINE)


@cache
def queries(engine: str) -> Mapping[str, str]:
    """Return name → statement of the files of `stores/sql/<engine>` that are no migrations."""
    found: dict[tuple[str, str], str] = {}
    names = sorted(entry.name for entry in _folder(engine).iterdir() if re.match(r"[a-z]\w+\.sql", entry.name))
    pieces = [piece for name in names for piece in PIECE.split(_text(engine, name))[1:]]
    for kind, name, _description, text in zip(*[iter(pieces)] * 4, strict=True):
        assert (kind, name) not in found, f"two pieces of SQL are called {name}"
        found[kind, name] = text.strip()
    fragments = {name: text for (kind, name), text in found.items() if kind == "fragment"}
    return MappingProxyType({name: _filled(text, fragments) for (kind, name), text in found.items() if kind == "name"})


@cache
def migrations(engine: str) -> tuple[str, ...]:
    """Return the scripts `0001_*.sql`, `0002_*.sql`, … in order; each is one whole transaction."""
    names = sorted(entry.name for entry in _folder(engine).iterdir() if re.match(r"\d{4}_", entry.name))
    assert [int(name[:4]) for name in names] == list(range(1, len(names) + 1)), f"a gap in {names}"
    return tuple(_text(engine, name) for name in names)


def _filled(text: str, fragments: Mapping[str, str]) -> str:
    return re.sub(r"\{(\w+)\}", lambda match: fragments[match[1]], text)


def _text(engine: str, name: str) -> str:
    return (_folder(engine) / name).read_text(encoding="utf-8")


def _folder(engine: str) -> Path:
    # `importlib.resources` would find them in a zip file as well, where nothing of dagsched runs; it loads all that
    # packs and unpacks, and every command waits for that.
    return Path(__file__).with_name("sql") / engine
