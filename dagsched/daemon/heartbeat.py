"""When the daemon was last seen alive, for the next one to say how long nobody watched."""

from __future__ import annotations

import logging
from datetime import UTC, datetime
from pathlib import Path

log = logging.getLogger("dagsched.daemon")

BEAT_S = 5.0


class Heartbeat:
    """A file in the state directory whose time of change is that of the last beat; a clean stop removes it."""

    def __init__(self, state_dir: Path) -> None:
        self._path = state_dir / "heartbeat"

    def beat(self) -> None:
        """Show that this daemon lives; on a full disk that is left out."""
        try:
            self._path.touch()
        except OSError as error:
            log.debug("no heartbeat: %s", error)

    def last(self) -> datetime | None:
        """Return when a daemon that did not stop cleanly was last seen, in whole seconds; None without one."""
        try:
            return datetime.fromtimestamp(int(self._path.stat().st_mtime), UTC)
        except OSError:
            return None

    def end(self) -> None:
        """Say that this stop is a clean one."""
        self._path.unlink(missing_ok=True)
