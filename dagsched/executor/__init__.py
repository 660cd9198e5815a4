"""One attempt from its start order to its outcome: the daemon's side of the spawner.

    daemon ── start, stop, acknowledge ──▶ Executor ── socket ──▶ spawner ── attempts
    daemon ◀── Started, Exited, SpawnerGone ──┘

The spawner (`dagsched/spawner/`) outlives the daemon, so `connect` first looks for a living one and starts
one only if there is none; either answers with an *inventory* of what it knows. Whatever that does not name
was never started.
"""

from dagsched.executor.executor import LOG_BYTES_MAX, PROTOCOL, Executor
from dagsched.executor.reports import Exited, Inventory, Living, Remark, Report, SpawnerGone, Started
from dagsched.spawner.masking import Mask

__all__ = [
    "LOG_BYTES_MAX",
    "PROTOCOL",
    "Executor",
    "Exited",
    "Inventory",
    "Living",
    "Mask",
    "Remark",
    "Report",
    "SpawnerGone",
    "Started",
]
