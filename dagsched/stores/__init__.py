"""What survives a crash: one contract, several engines."""

from dagsched.stores.contract import Batch, Snapshot, Store
from dagsched.stores.memory import MemoryState, MemoryStore

__all__ = ["Batch", "MemoryState", "MemoryStore", "Snapshot", "Store"]
