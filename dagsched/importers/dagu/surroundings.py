"""What a DAG gives to each of its steps: variables, a shell, files of variables."""

from __future__ import annotations

import shlex
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any

from dagsched.importers.dagu.script import double_quoted, filled
from dagsched.importers.dagu.values import VARIABLE, pairs_of
from dagsched.importers.dagu.words import text_of

IsThere = Callable[[str], bool]
"""Whether there is a file of that path."""


@dataclass
class Surroundings:
    """What a DAG gives to each of its steps.

    `env`: variables with values known now; `lines`: of sh, for what only the step's start knows; `places`: parameters
    without a name; `keys`: of each job; `unwritten`: why no step can run as it is, or ""; `files`: of variables, which
    each step reads as it starts.
    """

    name: str
    file: str
    cwd: str
    env: dict[str, str] = field(default_factory=dict)
    lines: list[str] = field(default_factory=list)
    places: list[str] = field(default_factory=list)
    defaults: dict[str, Any] = field(default_factory=dict)
    keys: dict[str, Any] = field(default_factory=dict)
    shell: str = ""
    timeout: Any = None
    unwritten: str = ""
    container: Any = None
    files: list[str] = field(default_factory=list)

    def copy(self) -> Surroundings:
        return Surroundings(
            self.name, self.file, self.cwd, dict(self.env), list(self.lines), list(self.places), self.defaults,
            self.keys, self.shell, self.timeout, self.unwritten, self.container, self.files,
        )  # fmt: skip


def shell_of(value: Any) -> tuple[str, str, str]:
    """Return a shell as text, with a verdict and its reason."""
    text = " ".join(map(text_of, value)) if isinstance(value, list) else text_of(value).strip()
    if text == "direct":
        return "", "differs", "plain commands are started directly here; the others go to sh"
    if not text or "$" in text or text.split()[0].rpartition("/")[2] in ("nix-shell", "cmd", "cmd.exe", "powershell"):
        return "", "dropped", f"{text or 'no shell'} cannot be the `shell` of a job; sh is used"
    return text, "same", ""


def take_env(around: Surroundings, value: Any) -> list[tuple[str | None, str]]:
    """Add variables to the surroundings; return what is to be said, as (name or None for what is left out, why)."""
    notes: list[tuple[str | None, str]] = []
    for name, text in pairs_of(value):
        if text is None or not VARIABLE.fullmatch(name) or name.startswith("DAGSCHED_"):
            notes.append((None, f"{name} is no variable that a job can have"))
            continue
        known = filled(text, around.env)
        if known is None:
            around.env.pop(name, None)
            around.lines.append(f"export {name}={double_quoted(text)}")
            notes.append((name, f"{name} is worked out when each step starts, not once"))
        else:
            around.lines = [line for line in around.lines if not line.startswith(f"export {name}=")]
            around.env[name] = known
    return notes


def take_files(around: Surroundings, value: Any, folder: str, is_there: IsThere) -> list[str]:
    """Let each step read the files of `dotenv`, and the `.env` that Dagu reads unasked; return those not known.

    `folder`: of the DAG's file. Paths are looked for in the working directory, then there.
    """
    unknown: list[str] = []
    if value == []:
        return unknown
    for text in dict.fromkeys([".env", *map(text_of, value if isinstance(value, list) else [value] if value else [])]):
        path = filled(text, around.env)
        if path is None:
            unknown.append(text)
            continue
        places = [path] if path.startswith("/") else [f"{each}/{path}" for each in dict.fromkeys([around.cwd, folder])]
        found = next((each for each in places if is_there(each)), None)
        if found is None and text != ".env":
            found = places[0]
        if found is not None:
            around.files.append(found)
    for path in reversed(around.files):
        quoted = shlex.quote(path)
        around.lines.insert(0, f"set -a; [ ! -r {quoted} ] || . {quoted}; set +a")
    return unknown
