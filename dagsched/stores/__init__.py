"""What survives a crash: one contract, several engines."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

from dagsched.errors import StoreError
from dagsched.stores.address import Address, address_of
from dagsched.stores.contract import Batch, Snapshot, Store
from dagsched.stores.sqlite import SqliteStore

if TYPE_CHECKING:
    from dagsched.stores.memory import MemoryState, MemoryStore

__all__ = [
    "Address",
    "Batch",
    "MemoryState",
    "MemoryStore",
    "Snapshot",
    "SqliteStore",
    "Store",
    "address_of",
    "open_store",
]


def open_store(state_dir: Path) -> Store:
    """Return the store of a state directory, not yet opened; raises UsageError, StoreError when it cannot be told."""
    address = address_of(state_dir)
    return SqliteStore(state_dir / "dagsched.db") if address is None else shared_store(address, state_dir)


def shared_store(address: Address, state_dir: Path | None = None) -> Store:
    """Return the store of a namespace, not yet opened; raises StoreError without the extra it needs."""
    try:
        from dagsched.stores.postgres import PostgresStore
    except ImportError as error:
        raise StoreError(
            f"{address.shown} needs psycopg, which is not installed ({error}); pip install 'dagsched[postgres]'"
        ) from error
    return PostgresStore(address, state_dir)


def __getattr__(name: str) -> object:
    """Load the store in memory when it is first asked for: simulations have one, and commands that find no state."""
    if name not in ("MemoryState", "MemoryStore"):
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    from dagsched.stores import memory

    return getattr(memory, name)
