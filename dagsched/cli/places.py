"""Where job files and state are: from the command line, then the environment, then the current folder."""

from __future__ import annotations

import argparse
import os
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from dagsched.errors import ConfigInvalid, UsageError

if TYPE_CHECKING:
    from dagsched.model import Config

DEFAULT_FILES = ("dagsched.yaml", "jobs.yaml")
STATE_DIR = ".dagsched"


def job_files(paths: Sequence[Path]) -> list[Path]:
    """Return the given paths, else $DAGSCHED_FILE, else the first default file here; raises UsageError."""
    found = _find_job_files(paths)
    if not found:
        here = " or ".join(DEFAULT_FILES)
        raise UsageError(
            f"no job file: there is no {here} in {Path.cwd()}; "
            "name one, set $DAGSCHED_FILE, or write one with `dagsched init`"
        )
    return found


def _find_job_files(paths: Sequence[Path]) -> list[Path]:
    if paths:
        return list(paths)
    if named := os.environ.get("DAGSCHED_FILE"):
        return [Path(named)]
    return [Path(name) for name in DEFAULT_FILES if Path(name).is_file()][:1]


def state_dir(args: argparse.Namespace) -> Path:
    """Return the absolute state directory of a command; it need not exist.

    `--state-dir`, else $DAGSCHED_STATE_DIR, else `.dagsched` beside the first job file (inside it, when that
    is a directory), else `.dagsched` here if there is one. Raises UsageError when none of these says where.
    """
    if args.state_dir is not None:
        return Path(args.state_dir).absolute()
    if named := os.environ.get("DAGSCHED_STATE_DIR"):
        return Path(named).absolute()
    files = _find_job_files(args.paths)
    if files:
        return beside(files[0])
    if Path(STATE_DIR).is_dir():
        return Path(STATE_DIR).absolute()
    raise UsageError("no state: neither a job file nor a .dagsched folder is here; name one with --state-dir or --file")


def beside(path: Path) -> Path:
    """Return the state directory that belongs to a job file or a directory of them."""
    home = path if path.is_dir() else path.parent
    return home.absolute() / STATE_DIR


def load_config(paths: Sequence[Path]) -> Config:
    """Return the checked configuration of these files; raises ConfigInvalid with every problem."""
    files = job_files(paths)
    from dagsched.clock import SystemClock
    from dagsched.config import load

    loaded = load(files, SystemClock().now())
    if loaded.config is None:
        raise ConfigInvalid(loaded.problems)
    return loaded.config


def load_config_if_any(paths: Sequence[Path]) -> Config | None:
    """Return the configuration of these files, or None when there is none or it is invalid."""
    try:
        return load_config(paths)
    except (ConfigInvalid, UsageError):
        return None


def texts_of(paths: Sequence[Path]) -> dict[str, str]:
    """Return the job files at these paths, absolute path to text; raises UsageError for one that cannot be sent."""
    from dagsched.config import Problem
    from dagsched.config.files import job_files as found_at
    from dagsched.config.files import read_file

    files, problems = found_at(paths)
    texts: dict[str, str] = {}
    for file in files:
        content = read_file(file)
        if isinstance(content, Problem):
            problems.append(content)
            continue
        try:
            texts[str(file.absolute())] = content.decode() if isinstance(content, bytes) else content
        except UnicodeDecodeError as error:
            raise UsageError(f"{file} is no UTF-8 at byte {error.start}") from None
    if problems:
        raise ConfigInvalid(problems)
    return texts
