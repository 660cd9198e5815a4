"""Where a secret is, as job files say it, and the looking up.

    env:NAME            a variable of the scheduler's own environment
    file:/run/secrets/x a file; one line feed at its end is no part of the value
    credential:NAME     what systemd was told to load, below $CREDENTIALS_DIRECTORY (https://systemd.io/CREDENTIALS/)

Jobs write them as that text; notifiers and agents as `{env: NAME}`, `{file: PATH}` or `{credential: NAME}`, for there a
text would be the value itself, and a relative path is below the job file's folder. A value is looked up each time it is
needed, so a changed one is used from then on. No message here has a value.
"""

from __future__ import annotations

import os
import posixpath
import stat
from collections.abc import Iterator, Mapping
from typing import Any

from dagsched.errors import SecretMissing

VALUE_BYTES_MAX = 64 * 1024
VALUE_CHARACTERS_MIN = 4
KINDS = ("env", "file", "credential")


def is_reference(said: Any) -> bool:
    """Whether a setting of a notifier or an agent is a reference to a secret, not a value."""
    return isinstance(said, Mapping) and len(said) == 1 and next(iter(said)) in KINDS


def reference_of(said: Mapping[str, Any], folder: str) -> str:
    """Return such a reference as jobs write it.

    >>> reference_of({"file": "token"}, "/srv/etl"), reference_of({"env": "TOKEN"}, "/srv/etl")
    ('file:/srv/etl/token', 'env:TOKEN')
    """
    ((kind, name),) = said.items()
    return f"{kind}:{posixpath.join(folder, str(name)) if kind == 'file' else name}"


def references_in(said: Any, folder: str) -> Iterator[str]:
    """Yield each reference in the settings of a notifier or an agent."""
    if is_reference(said):
        yield reference_of(said, folder)
    elif isinstance(said, Mapping):
        for each in said.values():
            yield from references_in(each, folder)


def value_of(reference: str, environ: Mapping[str, str], whose: str = "scheduler") -> str:
    """Return the value; raises SecretMissing, which names the reference, when there is none that can be used.

    `whose`: the kind of program that has that environment.
    """
    kind, _, rest = reference.partition(":")
    if kind == "env":
        value = environ.get(rest)
        if value is None:
            raise SecretMissing(f"{reference}: the {whose}'s environment has no such variable")
    elif kind == "file":
        value = _read(reference, rest)
    else:
        folder = environ.get("CREDENTIALS_DIRECTORY")
        if not folder:
            raise SecretMissing(f"{reference}: systemd has given the {whose} no credentials")
        value = _read(reference, os.path.join(folder, rest))
    return _checked(reference, value)


def _read(reference: str, path: str) -> str:
    try:
        # A pipe would keep the whole scheduler waiting for whoever writes into it.
        fd = os.open(path, os.O_RDONLY | os.O_NONBLOCK | os.O_CLOEXEC)
        with open(fd, "rb") as file:
            if not stat.S_ISREG(os.fstat(fd).st_mode):
                raise SecretMissing(f"{reference} is no regular file")
            data = file.read(VALUE_BYTES_MAX + 2)
    except OSError as error:
        raise SecretMissing(f"{reference} cannot be read: {error.strerror}") from None
    try:
        return data.decode().removesuffix("\n").removesuffix("\r")
    except UnicodeDecodeError:
        raise SecretMissing(f"{reference} is not UTF-8 text") from None


def _checked(reference: str, value: str) -> str:
    if len(value) < VALUE_CHARACTERS_MIN:
        words = "is empty" if not value else f"has fewer than {VALUE_CHARACTERS_MIN} characters"
        raise SecretMissing(f"{reference} {words}: it could not be masked")
    if len(os.fsencode(value)) > VALUE_BYTES_MAX:
        raise SecretMissing(f"{reference} is longer than {VALUE_BYTES_MAX:,} bytes")
    if "\0" in value:
        raise SecretMissing(f"{reference} holds a NUL, which no environment variable can")
    return value
