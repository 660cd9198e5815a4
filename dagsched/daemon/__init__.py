"""Where clock, store, executor and plan meet: *take events, apply, commit, then act*.

loop.py       the loop, and nothing but the loop
service.py    a daemon's life around it: start, reload, end
stopping.py   signals, and what is done about them
once.py       `run --once`
holding.py    becoming the one who writes, or standing by until then
jobfiles.py   what the job files say, what is wrong with them, when they change
heartbeat.py  when the daemon was last seen alive
outbox.py     commands → what one commit writes, and what is done after it
restoring.py  the store → a plan
systemd.py    readiness and watchdog
"""

from dagsched.daemon.loop import Observer
from dagsched.daemon.once import OneTick
from dagsched.daemon.service import Daemon

__all__ = ["Daemon", "Observer", "OneTick"]
