"""Secrets: a job says where a value is, and only its attempts get it.

A value (`references.py` says where they are) is looked up when an attempt starts. It goes to the attempt's environment
and nowhere else; who masks it in logs and outputs is `spawner/masking.py`. An agent's token is a secret of the jobs
that send work there.
"""

from __future__ import annotations

import os
import stat
from collections.abc import Iterator, Mapping

from dagsched.errors import HandlerError, SecretMissing
from dagsched.model import Config
from dagsched.references import references_in, value_of

# What most programs cannot do without is passed on to attempts all the same.
_NEVER_HIDDEN = frozenset({"HOME", "LANG", "LOGNAME", "PATH", "SHELL", "TMPDIR", "TZ", "USER"})


def resolved(secrets: Mapping[str, str], whose: str = "scheduler") -> dict[str, str]:
    """Return the values by variable; raises HandlerError naming the reference that gives none.

    `whose`: the kind of program that this is.
    """
    found = {}
    for name, reference in secrets.items():
        try:
            found[name] = value_of(reference, os.environ, whose)
        except SecretMissing as error:
            raise HandlerError(f"secret {name}: {error}") from None
    return found


def hidden_variables(config: Config) -> frozenset[str]:
    """Return the variables of the scheduler's environment that are secrets of somebody, and so nobody else's."""
    found = (each.removeprefix("env:") for each in _references(config) if each.startswith("env:"))
    return frozenset(found) - _NEVER_HIDDEN


def exposed_files(config: Config) -> Iterator[str]:
    """Yield the files of secrets that everybody on this machine may read, each once."""
    for reference in sorted(set(_references(config))):
        kind, _, path = reference.partition(":")
        if kind == "file" and _is_for_everybody(path):
            yield path


def _references(config: Config) -> Iterator[str]:
    for job in config.jobs.values():
        if job.secrets:
            yield from job.secrets.values()
    for said in config.notifiers.values():
        yield from references_in(said, str(said.get("folder", "")))


def _is_for_everybody(path: str) -> bool:
    try:
        return bool(os.stat(path).st_mode & stat.S_IROTH)
    except OSError:
        return False
