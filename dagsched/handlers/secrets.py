"""Secrets: a job says where a value is, and only its attempts get it.

    env:NAME            a variable of the scheduler's own environment
    file:/run/secrets/x a file; one line feed at its end is no part of the value
    credential:NAME     what systemd was told to load, below $CREDENTIALS_DIRECTORY (https://systemd.io/CREDENTIALS/)

A value is looked up when an attempt starts, so a changed one is used from the next attempt on. It goes to the attempt's
environment and nowhere else; who masks it in logs and outputs is `spawner/masking.py`. No message here has a value.
"""

from __future__ import annotations

import os
import stat
from collections.abc import Iterable, Iterator, Mapping

from dagsched.errors import HandlerError
from dagsched.model import Job

VALUE_BYTES_MAX = 64 * 1024
VALUE_CHARACTERS_MIN = 4
# What most programs cannot do without is passed on to attempts all the same.
_NEVER_HIDDEN = frozenset({"HOME", "LANG", "LOGNAME", "PATH", "SHELL", "TMPDIR", "TZ", "USER"})


def resolved(secrets: Mapping[str, str]) -> dict[str, str]:
    """Return the values by variable; raises HandlerError naming the reference that gives none."""
    return {name: _value(name, reference) for name, reference in secrets.items()}


def hidden_variables(jobs: Iterable[Job]) -> frozenset[str]:
    """Return the variables of the scheduler's environment that are secrets of some job, and so nobody else's."""
    references = (reference for job in jobs if job.secrets for reference in job.secrets.values())
    found = (reference.removeprefix("env:") for reference in references if reference.startswith("env:"))
    return frozenset(found) - _NEVER_HIDDEN


def exposed_files(jobs: Iterable[Job]) -> Iterator[str]:
    """Yield the files of secrets that everybody on this machine may read, each once."""
    references = {reference for job in jobs if job.secrets for reference in job.secrets.values()}
    for reference in sorted(references):
        kind, _, path = reference.partition(":")
        if kind == "file" and _is_for_everybody(path):
            yield path


def _is_for_everybody(path: str) -> bool:
    try:
        return bool(os.stat(path).st_mode & stat.S_IROTH)
    except OSError:
        return False


def _value(name: str, reference: str) -> str:
    kind, _, rest = reference.partition(":")
    if kind == "env":
        value = os.environ.get(rest)
        if value is None:
            raise HandlerError(f"secret {name}: {reference}: the scheduler's environment has no such variable")
    elif kind == "file":
        value = _read(name, reference, rest)
    else:
        folder = os.environ.get("CREDENTIALS_DIRECTORY")
        if not folder:
            raise HandlerError(f"secret {name}: {reference}: systemd has given the scheduler no credentials")
        value = _read(name, reference, os.path.join(folder, rest))
    return _checked(name, reference, value)


def _read(name: str, reference: str, path: str) -> str:
    try:
        # A pipe would keep the whole scheduler waiting for whoever writes into it.
        fd = os.open(path, os.O_RDONLY | os.O_NONBLOCK | os.O_CLOEXEC)
        with open(fd, "rb") as file:
            if not stat.S_ISREG(os.fstat(fd).st_mode):
                raise HandlerError(f"secret {name}: {reference} is no regular file")
            data = file.read(VALUE_BYTES_MAX + 2)
    except OSError as error:
        raise HandlerError(f"secret {name}: {reference} cannot be read: {error.strerror}") from None
    try:
        return data.decode().removesuffix("\n").removesuffix("\r")
    except UnicodeDecodeError:
        raise HandlerError(f"secret {name}: {reference} is not UTF-8 text") from None


def _checked(name: str, reference: str, value: str) -> str:
    if len(value) < VALUE_CHARACTERS_MIN:
        words = "is empty" if not value else f"has fewer than {VALUE_CHARACTERS_MIN} characters"
        raise HandlerError(f"secret {name}: {reference} {words}: it could not be masked")
    if len(os.fsencode(value)) > VALUE_BYTES_MAX:
        raise HandlerError(f"secret {name}: {reference} is longer than {VALUE_BYTES_MAX:,} bytes")
    if "\0" in value:
        raise HandlerError(f"secret {name}: {reference} holds a NUL, which no environment variable can")
    return value
