"""What survives a crash: one contract, several engines."""

from __future__ import annotations

from pathlib import Path

from dagsched.stores.contract import Batch, Snapshot, Store
from dagsched.stores.memory import MemoryState, MemoryStore
from dagsched.stores.sqlite import SqliteStore

__all__ = ["Batch", "MemoryState", "MemoryStore", "Snapshot", "SqliteStore", "Store", "open_store"]


def open_store(state_dir: Path) -> SqliteStore:
    """Return the store of a state directory, not yet opened."""
    return SqliteStore(state_dir / "dagsched.db")
