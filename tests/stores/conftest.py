"""Every store in turn. A third one is one more class here with the same four methods."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest

from dagsched.stores import MemoryState, MemoryStore, SqliteStore, Store


class MemoryEngine:
    """Handles on one state in memory."""

    def __init__(self, folder: Path) -> None:
        self.state = MemoryState()

    def handle(self) -> Store:
        return MemoryStore(self.state)

    def lose_lock(self) -> None:
        """Let a second daemon in although the first still believes that it holds the state."""
        self.state.owner = None

    def spoil(self, run_job: str) -> None:
        """Remove the runs of a job behind the store's back."""
        del self.state.runs[run_job]


class SqliteEngine:
    """Handles on one database file."""

    def __init__(self, folder: Path) -> None:
        self.path = folder / "state" / "dagsched.db"

    def handle(self) -> Store:
        return SqliteStore(self.path)

    def lose_lock(self) -> None:
        self.path.with_name("daemon.lock").unlink(missing_ok=True)

    def spoil(self, run_job: str) -> None:
        import sqlite3
        from contextlib import closing

        with closing(sqlite3.connect(self.path)) as connection, connection:
            connection.execute("DELETE FROM runs WHERE job = ?", (run_job,))


Engine = MemoryEngine | SqliteEngine
ENGINES: dict[str, Callable[[Path], Engine]] = {"memory": MemoryEngine, "sqlite": SqliteEngine}


@pytest.fixture(params=ENGINES.values(), ids=ENGINES.keys())
def engine(request: pytest.FixtureRequest, tmp_path: Path) -> Engine:
    return request.param(tmp_path)
