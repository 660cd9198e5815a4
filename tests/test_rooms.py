"""The shape of the program: imports point one way, and the rooms that decide things stay quiet."""

from __future__ import annotations

import ast
from collections.abc import Iterator
from pathlib import Path

import pytest

import dagsched

PACKAGE = Path(dagsched.__file__).parent

# Rooms of one line do not know each other; each may use what stands in the lines above it.
ROWS: tuple[tuple[str, ...], ...] = (
    ("closest", "counting", "digests"),
    ("errors", "passing", "reasons"),
    ("declaration",),
    ("model",),
    ("definition", "graph", "triggers", "clock", "conditions", "logs", "references"),
    ("config", "engine"),
    ("importers",),
    ("handlers", "stores", "notifiers", "virtual_steps"),
    ("virtual",),
    ("rehearsal",),
    ("executor", "reload", "retention", "loading", "registered", "asked", "backfill", "cloudevents", "tracing"),
    ("lookups", "courier", "metrics"),
    ("daemon",),
    ("explaining", "preview", "registering", "worker"),
    ("control",),
    ("views",),
    ("api", "testing"),
    ("web",),
    ("embedding",),
    ("pytest_plugin",),
    ("cli",),
    ("__main__",),
)
ROW_OF = {room: number for number, rooms in enumerate(ROWS) for room in rooms}

QUIET = (
    "closest", "digests", "reasons", "declaration", "model", "graph", "definition", "triggers", "conditions", "config",
    "engine", "importers", "virtual_steps", "virtual", "rehearsal",
)  # fmt: skip
LOUD = {"asyncio", "logging", "random", "socket", "subprocess", "threading", "time"}
LOUD_CALLS = {"open", "read_text", "read_bytes", "stat", "environ", "getenv", "utcnow", "today"}
OPENS_FILES = {
    "config/files.py": "it is the one that opens files",
    "triggers/links.py": "reads the time zone database's list of old names",
}


def files() -> Iterator[Path]:
    yield from sorted(PACKAGE.rglob("*.py"))


def room_of(path: Path) -> str:
    first = path.relative_to(PACKAGE).parts[0]
    return first.removesuffix(".py")


def imported(path: Path) -> Iterator[str]:
    for node in ast.walk(ast.parse(path.read_text())):
        if isinstance(node, ast.Import):
            yield from (alias.name for alias in node.names)
        elif isinstance(node, ast.ImportFrom) and node.level == 0 and node.module:
            if node.module == "dagsched":
                yield from (f"dagsched.{alias.name}" for alias in node.names)
            else:
                yield node.module


@pytest.mark.parametrize("path", list(files()), ids=lambda path: str(path.relative_to(PACKAGE)))
def test_imports_point_to_rooms_above(path: Path) -> None:
    room = room_of(path)
    used = {name.split(".")[1] for name in imported(path) if name.startswith("dagsched.")} - {room, "__version__"}
    if room == "__init__":
        return  # hands names on, each when it is asked for
    if room == "spawner":
        assert used == set()  # standard library only, nothing of ours
        return
    lower = {other for other in used - {"spawner"} if ROW_OF[other] >= ROW_OF[room]}
    behind_the_daemon = {"daemon"} if room == "api" else set()
    assert lower - behind_the_daemon == set()
    assert "spawner" not in used or room == "executor"


@pytest.mark.parametrize("room", QUIET)
def test_quiet_rooms_have_no_clock_process_network_or_log(room: str) -> None:
    paths = [path for path in files() if room_of(path) == room]
    assert paths
    for path in paths:
        assert LOUD.isdisjoint(name.split(".")[0] for name in imported(path)), path


@pytest.mark.parametrize("room", QUIET)
def test_quiet_rooms_open_no_files(room: str) -> None:
    for path in (path for path in files() if room_of(path) == room):
        if str(path.relative_to(PACKAGE)) in OPENS_FILES:
            continue
        assert LOUD_CALLS.isdisjoint(called(path)), path


def called(path: Path) -> set[str]:
    """Return the last word of everything that is called or read as an attribute in a file."""
    found = set()
    for node in ast.walk(ast.parse(path.read_text())):
        if isinstance(node, ast.Call) and isinstance(node.func, ast.Name):
            found.add(node.func.id)
        elif isinstance(node, ast.Attribute):
            found.add(node.attr)
    return found


def test_no_file_holds_more_than_500_lines() -> None:
    assert [str(path) for path in files() if len(path.read_text().splitlines()) > 500] == []
