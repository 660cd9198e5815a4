"""Every store in turn. A third one is one more class here with the same four methods."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest

from dagsched.stores import MemoryState, MemoryStore, SqliteStore, Store, shared_store
from tests.postgres import new_address


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


class PostgresEngine:
    """Handles on one namespace of a server."""

    def __init__(self, folder: Path) -> None:
        self.address = new_address()

    def handle(self) -> Store:
        return shared_store(self.address)

    def lose_lock(self) -> None:
        # With an epoch to itself: else the first may renew its lease before the second asks for one.
        self._run("UPDATE ledger SET lease_until = '-infinity', epoch = epoch + 1")

    def spoil(self, run_job: str) -> None:
        self._run("DELETE FROM runs WHERE job = %s", (run_job,))

    def _run(self, statement: str, parameters: tuple[object, ...] | None = None) -> None:
        import psycopg

        with psycopg.connect(self.address.url, options=f"-csearch_path={self.address.schema}") as connection:
            if connection.execute("SELECT to_regclass('ledger') IS NOT NULL").fetchone() == (True,):
                connection.execute(statement, parameters)


Engine = MemoryEngine | SqliteEngine | PostgresEngine
ENGINES: dict[str, Callable[[Path], Engine]] = {
    "memory": MemoryEngine,
    "sqlite": SqliteEngine,
    "postgres": PostgresEngine,
}


@pytest.fixture(params=ENGINES.values(), ids=ENGINES.keys())
def engine(request: pytest.FixtureRequest, tmp_path: Path) -> Engine:
    return request.param(tmp_path)
