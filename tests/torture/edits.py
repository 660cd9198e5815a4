"""The ways in which people and tools replace a job file while the daemon watches it."""

from __future__ import annotations

import json
import os
import random
import time
from pathlib import Path
from typing import Any

from tests.torture.world import Sheet


def text_of(sheet: Sheet) -> str:
    """Return a sheet as a job file: JSON is YAML, and no part of it is a whole file."""
    return json.dumps(sheet, indent=1)


def rename_over(path: Path, text: str, dice: random.Random) -> None:
    """Write a new file beside it and move that over it, as most editors and deployments do."""
    fresh = path.with_name(f".{path.name}.new")
    fresh.write_text(text)
    os.replace(fresh, path)


def in_place(path: Path, text: str, dice: random.Random) -> None:
    """Truncate and write the same file."""
    path.write_text(text)


def swap_symlink(path: Path, text: str, dice: random.Random) -> None:
    """Make the name a link to another file, as configuration maps do."""
    versions = path.parent.parent / "versions"
    versions.mkdir(exist_ok=True)
    target = versions / f"{path.stem}-{time.monotonic_ns()}.txt"
    target.write_text(text)
    link = path.with_name(f".{path.name}.link")
    link.symlink_to(target)
    os.replace(link, path)


def in_halves(path: Path, text: str, dice: random.Random) -> None:
    """Write a part, be interrupted, then write the rest; no part of it is a valid file."""
    cut = dice.randrange(1, len(text) - 1)
    with path.open("w") as file:
        file.write(text[:cut])
        file.flush()
        time.sleep(dice.choice((0.02, 0.2, 0.8)))
        file.write(text[cut:])


def delete_and_create(path: Path, text: str, dice: random.Random) -> None:
    """Remove the file and put another one in its place, sometimes long after."""
    path.unlink()
    time.sleep(dice.choice((0.0, 0.1, 0.5, 2.5)))
    path.write_text(text)


def in_a_storm(path: Path, text: str, dice: random.Random) -> None:
    """Save it again and again in a fraction of a second, every other time cut off somewhere."""
    for _ in range(dice.randint(5, 30)):
        way = dice.choice((rename_over, in_place))
        way(path, text[: dice.randrange(1, len(text) - 1)], dice)
        way(path, text, dice)
        time.sleep(0.005)


WAYS = (rename_over, in_place, swap_symlink, in_halves, delete_and_create, in_a_storm)


def spoiled(text: str, dice: random.Random) -> str:
    """Return a text that no daemon may accept."""
    whole: dict[str, Any] = json.loads(text)
    how = dice.choice(("cut", "key", "cycle", "word", "empty"))
    if how == "cut":
        return text[: dice.randrange(1, len(text) - 1)]
    if how == "empty":
        return ""
    if how == "key":
        whole["jobz"] = {}
    elif how == "cycle":
        whole["jobs"]["spoiled"] = {"run": "true", "depends_on": ["spoiled"]}
    else:
        whole["jobs"]["spoiled"] = {"run": "true", "schedule": "every now and then"}
    return json.dumps(whole)
