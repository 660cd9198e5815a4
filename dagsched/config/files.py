"""The one place of this room that touches the machine: files read, the schema found, handlers listed."""

from __future__ import annotations

import json
import os
import stat
from collections import Counter
from collections.abc import Iterable, Iterator, Sequence
from contextlib import contextmanager
from functools import lru_cache
from pathlib import Path
from typing import Any

from dagsched.config.events import FILE_BYTES_MAX
from dagsched.config.problem import Problem
from dagsched.config.source import Source

SUFFIXES = (".yaml", ".yml")
BUILT_IN_HANDLERS = ("agent", "compact", "http", "python", "retention", "rollup", "workflow")


def job_files(paths: Sequence[Path]) -> tuple[list[Path], list[Problem]]:
    """Return the files that `paths` mean, folders replaced by their *.yaml and *.yml sorted by name.

    A file named twice counts once. Hidden files are left out of folders, and sub-folders are not entered.
    """
    found: dict[str, Path] = {}
    problems: list[Problem] = []
    for path in paths:
        try:
            for file in _inside(path) if path.is_dir() else [path]:
                found.setdefault(os.path.abspath(file), file)
        except OSError as error:
            problems.append(unreadable(path, error))
    return list(found.values()), problems


def _inside(folder: Path) -> list[Path]:
    with os.scandir(folder) as entries:
        names = [
            entry.name
            for entry in entries
            if entry.name.endswith(SUFFIXES) and not entry.name.startswith(".") and not entry.is_dir()
        ]
    return [folder / name for name in sorted(names)]


def read_file(path: Path) -> bytes | Problem:
    """Return the file's bytes, at most one more than may be read, or what prevents it."""
    try:
        # Looked at first: to open a pipe would be to wait for whoever writes into it.
        if not stat.S_ISREG(os.stat(path).st_mode):
            return _complaint(path, f"cannot read {path}: it is no regular file", "name a file or a folder")
        with open(path, "rb") as file:
            return file.read(FILE_BYTES_MAX + 1)
    except (OSError, ValueError) as error:
        return unreadable(path, error)


def is_there(path: str) -> bool:
    """Whether there is a file or a folder at that path."""
    return os.path.exists(path)


def unreadable(path: Path, error: Exception) -> Problem:
    """Return the problem for a file that the system does not give out."""
    reason = error.strerror if isinstance(error, OSError) and error.strerror else str(error)
    return _complaint(path, f"cannot read {path}: {reason}", "check the path and its permissions")


def _complaint(path: Path, message: str, fix: str) -> Problem:
    why = "every job file must be readable before any job is changed"
    return Source(str(path), "").problem("E001", (0, 0), message, why, fix)


@lru_cache(maxsize=1)
def schema_text() -> str:
    """Return the text of `jobs.schema.json`: of an installed package, or beside the package in a checkout."""
    package = Path(__file__).resolve().parent.parent
    installed = package / "schemas" / "jobs.schema.json"
    source = installed if installed.is_file() else package.parent / "schemas" / "jobs.schema.json"
    return source.read_text(encoding="utf-8")


def schema() -> dict[str, Any]:
    """Return the one grammar of job files, a JSON Schema (draft 2020-12); the caller may change it."""
    loaded: dict[str, Any] = json.loads(schema_text())
    return loaded


_LENT: Counter[str] = Counter()


@contextmanager
def lending(handlers: Iterable[str]) -> Iterator[None]:
    """Let `handler:` say these names as well for a while: this program does that work itself."""
    names = Counter(set(handlers))
    _LENT.update(names)
    try:
        yield
    finally:
        _LENT.subtract(names)


def installed_handlers() -> tuple[str, ...]:
    """Return what `handler:` may say: those built in, those of installed plug-ins, and those of this program."""
    from importlib.metadata import entry_points  # slow to load, and most job files name no plug-in

    plugins = (each.name for each in entry_points(group="dagsched.handlers"))
    return tuple(sorted({*BUILT_IN_HANDLERS, *plugins, *(name for name, count in _LENT.items() if count > 0)}))
