"""Job files for programs: a checked configuration, or one error that carries every problem and shows them."""

from __future__ import annotations

import os
from collections.abc import Iterable, Mapping
from datetime import datetime
from pathlib import Path

from dagsched.clock import SystemClock
from dagsched.config import Loaded, load_texts, render
from dagsched.config import load as load_files
from dagsched.config.files import lending
from dagsched.declaration import Config
from dagsched.errors import ConfigInvalid

Paths = str | os.PathLike[str] | Iterable[str | os.PathLike[str]]


def load(paths: Paths, *, handlers: Iterable[str] = (), now: datetime | None = None) -> Config:
    """Return the checked configuration of a job file, a folder of them, or several of both.

    Raises ConfigInvalid when any of its `problems` is an error: unknown keys, cycles, a file that cannot be read. They
    are shown with the traceback, each with its place, why and a fix. `handlers`: names that `handler:` may say besides
    those built in and installed. `now` (aware; default: the present) is what the checks of time look ahead from.
    """
    with lending(handlers):
        return checked(load_files(paths_of(paths), now or SystemClock().now()))


def load_text(text: str | Mapping[str, str], *, now: datetime | None = None) -> Config:
    """Return the checked configuration of a job file's text, or of several by name; raises ConfigInvalid."""
    files: Mapping[str, bytes | str] = {"jobs.yaml": text} if isinstance(text, str) else dict(text)
    return checked(load_texts(files, now or SystemClock().now()))


def paths_of(paths: Paths) -> list[Path]:
    """Return one path or several as a list."""
    return [Path(paths)] if isinstance(paths, str | os.PathLike) else [Path(path) for path in paths]


def checked(loaded: Loaded) -> Config:
    """Return the configuration; raises ConfigInvalid, which shows the problems where a traceback is printed."""
    if loaded.config is None:
        error = ConfigInvalid(loaded.problems)
        error.add_note(render(loaded.problems, "human"))
        raise error
    return loaded.config
