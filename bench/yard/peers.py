"""The peers, in an environment of their own beside `.venv` that `./dev bench` makes from bench/requirements.txt.

A script that imports this file is one that `./dev bench` makes that environment for. A peer is run as its users run
it, by a program of its own or by one of `bench/peers/`, with the interpreter of that environment; whatever of it is
not there is told and not measured.
"""

from __future__ import annotations

import os
import shutil
import subprocess
from collections.abc import Callable
from pathlib import Path
from typing import TypeVar

from yard.report import Report

ENVIRONMENT = Path(__file__).parent.parent.parent / ".venv-peers"
PROGRAMS = Path(__file__).parent.parent / "peers"
FIX = "./dev bench installs it; to try again, remove .venv-peers"

Found = TypeVar("Found")


class NoPeer(Exception):
    """A peer that cannot be measured here; the text says why."""


def look_for(report: Report, what: str, look: Callable[[], Found]) -> Found | None:
    """Return what `look` returns, or tell in the report that this peer cannot be measured."""
    try:
        return look()
    except NoPeer as error:
        report.missing(what, str(error))
        return None


def peer_command(name: str) -> str:
    """Return the program of that name: the one of the peers' environment, else the one on PATH; raises NoPeer."""
    found = shutil.which(name, path=os.pathsep.join([str(ENVIRONMENT / "bin"), os.environ.get("PATH", os.defpath)]))
    if found is None:
        raise NoPeer(f"there is no {name}; {FIX}")
    return found


def peer_python(*modules: str) -> str:
    """Return the interpreter of the peers' environment, in which these modules can be imported; raises NoPeer."""
    python = str(ENVIRONMENT / "bin" / "python")
    if not Path(python).exists():
        raise NoPeer(f"there is no .venv-peers; {FIX}")
    tried = subprocess.run([python, "-c", f"import {', '.join(modules)}"], capture_output=True, text=True)
    if tried.returncode:
        raise NoPeer(f"{tried.stderr.strip().splitlines()[-1]}; {FIX}")
    return python


def peer_program(name: str) -> list[str]:
    """Return how `bench/peers/run_NAME.py` is run where the peer of that name can be imported; raises NoPeer."""
    return [peer_python(name), str(PROGRAMS / f"run_{name}.py")]
