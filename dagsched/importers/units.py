"""Unit files → sections with a line number for every setting; drop-ins are laid over their unit."""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import NamedTuple


class Setting(NamedTuple):
    """One assignment: section, key, value, and where it stands."""

    section: str
    key: str
    value: str
    file: str
    line: int


def read_settings(text: str, file: str) -> list[Setting]:
    r"""Return the settings of a unit file in order; a line that ends with `\` goes on below, comments are left out."""
    found: list[Setting] = []
    section, pending, start = "", "", 0
    for number, raw in enumerate(text.split("\n"), 1):
        line = raw.strip()
        if line.startswith(("#", ";")) or (not line and not pending):
            continue
        start = start or number
        pending += line
        if pending.endswith("\\"):
            pending = pending[:-1] + " "
            continue
        if match := re.fullmatch(r"\[(.+)\]", pending):
            section = match[1]
        elif "=" in pending:
            key, _, value = pending.partition("=")
            found.append(Setting(section, key.strip(), value.strip(), file, start))
        else:
            found.append(Setting(section, "", pending, file, start))
        pending, start = "", 0
    return found


def units_of(files: Mapping[str, str]) -> dict[str, list[Setting]]:
    """Return the settings of each unit by its name; `files`: path → text, `NAME.d/*.conf` are drop-ins of NAME."""
    units: dict[str, list[Setting]] = {}
    for path in sorted(files, key=lambda each: (each.endswith(".conf"), each)):
        parts = path.split("/")
        is_drop_in = path.endswith(".conf") and len(parts) > 1 and parts[-2].endswith(".d")
        name = parts[-2].removesuffix(".d") if is_drop_in else parts[-1]
        units.setdefault(name, []).extend(read_settings(files[path], path))
    return units


def values_of(settings: list[Setting], section: str, key: str) -> list[Setting]:
    """Return the assignments that are in force, oldest first: an empty one takes back those before it."""
    found: list[Setting] = []
    for setting in settings:
        if (setting.section, setting.key) == (section, key):
            found = [*found, setting] if setting.value else []
    return found
