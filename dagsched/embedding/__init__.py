"""The real daemon inside another asyncio program.

scheduler.py   what the program sees: start and stop, the verbs, events
daemon.py      a daemon that takes over no signal, and knows what an earlier process left
hand.py        attempts that are functions of this process; all others go to the spawner as ever
"""

from dagsched.embedding.hand import Context, Function
from dagsched.embedding.scheduler import Scheduler

__all__ = ["Context", "Function", "Scheduler"]
