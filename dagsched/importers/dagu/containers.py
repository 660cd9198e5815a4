"""Steps that Dagu runs in a container → `docker run` before their commands."""

from __future__ import annotations

import shlex
from typing import Any

from dagsched.importers.dagu.script import double_quoted
from dagsched.importers.dagu.values import pairs_of
from dagsched.importers.dagu.words import canonical, text_of

_FLAGS = {"working_dir": "-w", "user": "-u", "network": "--network", "platform": "--platform", "hostname": "--hostname"}
_LISTS = {"volumes": "-v", "binds": "-v", "ports": "-p"}
_PULLS = {"always": "always", "missing": "missing", "never": "never", "true": "always", "false": "never"}
_SETTLED = frozenset(
    ["image", "auto_remove", "name", "container_name", "keep_container", "startup", "env", "pull", "pull_policy"]
)


def docker_run(config: Any) -> tuple[str, list[str]] | None:
    """Return the words before a command that runs it in a new container, and the keys that are left out.

    `config`: of `container` or of an executor of type docker. None if no image is named, as with a container that runs
    already.
    """
    given = _flat(config) if isinstance(config, dict) else {}
    image = given.get("image")
    if not isinstance(image, str) or not image.strip():
        return None
    words = ["docker", "run", "--rm"]
    pull = _PULLS.get(text_of(given.get("pull_policy", given.get("pull"))).lower())
    if pull:
        words.append(f"--pull={pull}")
    for key, flag in _FLAGS.items():
        if text_of(given.get(key)):
            words += [flag, _word(text_of(given[key]))]
    for key, flag in _LISTS.items():
        listed = given.get(key)
        for each in listed if isinstance(listed, list) else []:
            words += [flag, _word(text_of(each))]
    for name, value in pairs_of(given.get("env")):
        if value is not None:
            words += ["-e", _word(f"{name}={value}")]
    left = sorted(given.keys() - _FLAGS.keys() - _LISTS.keys() - _SETTLED)
    return " ".join([*words, _word(image)]), left


def _flat(config: dict[str, Any]) -> dict[str, Any]:
    """Return the keys by their names of today; those of Docker's own API stand one level deeper."""
    found: dict[str, Any] = {}
    for key, value in config.items():
        name = canonical(key)
        if name in ("container", "host") and isinstance(value, dict):
            found |= {canonical(inner): each for inner, each in value.items()}
        else:
            found[name] = value
    return found


def _word(text: str) -> str:
    return double_quoted(text) if "$" in text or "`" in text else shlex.quote(text)
