"""Run a graph with the least that keeps the same record: a limit for programs in Python with SQLite, and no scheduler.

Before a command starts its intent is durable, and before another one starts because of it so is its end; all that ended
in the meantime shares a commit. Each command has a session of its own and its output in a file without a name. That is
all: there is one process and one thread, nothing can be asked, retried, stopped or adopted, and there are no events.

Takes the graph's JSON file, whose `commands` say the words of each job, and writes the seconds of the run alone beside
it, as every program here does.
"""

from __future__ import annotations

import json
import os
import signal
import sqlite3
import sys
from collections import deque
from pathlib import Path
from time import perf_counter, time

TABLE = """
CREATE TABLE jobs (id TEXT PRIMARY KEY, started REAL, ended REAL, status INTEGER) WITHOUT ROWID;
"""


class Record:
    """The durable record, as fast as SQLite has it."""

    def __init__(self, path: Path) -> None:
        self._file = sqlite3.connect(path, isolation_level=None)
        for setting in ("journal_mode = wal", "synchronous = full"):
            self._file.execute(f"PRAGMA {setting}").fetchall()
        self._file.executescript(TABLE)

    def keep(self, ended: list[tuple[float, int, str]], started: list[tuple[str, float]]) -> None:
        """Make ends and intents durable in one commit."""
        self._file.execute("BEGIN IMMEDIATE")
        self._file.executemany("UPDATE jobs SET ended = ?, status = ? WHERE id = ?", ended)
        self._file.executemany("INSERT INTO jobs (id, started) VALUES (?, ?)", started)
        self._file.execute("COMMIT")


def main() -> int:
    start = perf_counter()
    file = Path(sys.argv[1])
    graph = json.loads(file.read_text())
    os.chdir(file.parent)
    record = Record(file.with_name("least.db"))
    run(record, graph["edges"], graph["commands"], graph["slots"])
    file.with_name("seconds").write_text(str(perf_counter() - start))
    return 0


def run(record: Record, edges: dict[str, list[str]], commands: dict[str, list[str]], slots: int) -> None:
    """Run every command after those it waits for."""
    below: dict[str, list[str]] = {id: [] for id in edges}
    for id, upstream in edges.items():
        for each in upstream:
            below[each].append(id)
    missing = {id: len(upstream) for id, upstream in edges.items()}
    ready = deque(id for id, count in missing.items() if not count)
    alive: dict[int, str] = {}
    logs: dict[str, int] = {}
    spare: list[int] = []
    ended: list[tuple[float, int, str]] = []
    while True:
        chosen = [ready.popleft() for _ in range(min(slots - len(alive), len(ready)))]
        record.keep(ended, [(id, time()) for id in chosen])
        if not chosen and not alive:
            return
        for id in chosen:
            logs[id] = spare.pop() if spare else os.open(".", os.O_TMPFILE | os.O_RDWR | os.O_APPEND, 0o600)
            alive[spawn(commands[id], logs[id])] = id
        ended = []
        for pid, status in reaped():
            id = alive.pop(pid)
            ended.append((time(), status, id))
            keep_output(logs.pop(id), id, spare)
            for each in below[id]:
                missing[each] -= 1
                if not missing[each]:
                    ready.append(each)


def spawn(words: list[str], log: int) -> int:
    actions = [(os.POSIX_SPAWN_DUP2, log, 1), (os.POSIX_SPAWN_DUP2, log, 2)]
    return os.posix_spawnp(words[0], words, os.environ, file_actions=actions, setsid=True, setsigdef=[signal.SIGPIPE])


def reaped() -> list[tuple[int, int]]:
    """Wait for an end, and return all there are."""
    found = [os.waitpid(-1, 0)]
    try:
        while (another := os.waitpid(-1, os.WNOHANG))[0]:
            found.append(another)
    except ChildProcessError:
        pass
    return found


def keep_output(log: int, id: str, spare: list[int]) -> None:
    """Give the file a name if something was written to it; an empty one serves the next command."""
    if os.fstat(log).st_size:
        os.link(f"/proc/self/fd/{log}", f"{id}.log", follow_symlinks=True)
        os.close(log)
    else:
        spare.append(log)


if __name__ == "__main__":
    sys.exit(main())
