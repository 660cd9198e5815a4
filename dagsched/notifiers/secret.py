"""Secrets by reference: looked up when they are needed, kept nowhere, masked in what is told of errors."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

from dagsched.errors import NotifierError

MASK = "[secret]"
BYTES_MAX = 64 * 1024
# A shorter text would mask half of what an error says.
_LENGTH_MIN = 4


def text_of(said: Any, spec: Mapping[str, Any], environ: Mapping[str, str]) -> str:
    """Return what a value of the job file stands for: itself, or what `{env: …}` or `{file: …}` leads to.

    Raises NotifierError (which another try may mend) when there is nothing there.
    """
    if not isinstance(said, Mapping):
        return str(said)
    if "env" in said:
        value = environ.get(str(said["env"]), "")
        if not value:
            raise NotifierError(f"the scheduler's environment has no variable {said['env']}")
        return value
    path = Path(spec.get("folder", "."), str(said["file"]))
    try:
        with open(path, encoding="utf-8") as file:
            value = file.read(BYTES_MAX).rstrip("\r\n")
    except (OSError, ValueError) as error:
        raise NotifierError(f"cannot read the secret in {path}: {error}") from None
    if not value:
        raise NotifierError(f"the secret in {path} is empty")
    return value


def masked(text: str, spec: Mapping[str, Any], environ: Mapping[str, str]) -> str:
    """Return the text without any secret that `spec` refers to."""
    for said in _references(spec):
        try:
            value = text_of(said, spec, environ)
        except NotifierError:
            continue
        for part in {value, *value.split()}:
            if len(part) >= _LENGTH_MIN:
                text = text.replace(part, MASK)
    return text


def _references(said: Any) -> Iterator[Mapping[str, Any]]:
    """Yield each reference to a secret in a notifier's settings."""
    if isinstance(said, Mapping):
        if said.keys() in ({"env"}, {"file"}):
            yield said
        else:
            for each in said.values():
                yield from _references(each)

