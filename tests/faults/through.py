"""What every fault of whatever keeps the state comes to: starts stop, what runs goes on, and all is well afterwards."""

from __future__ import annotations

import sqlite3
import time
from collections.abc import Callable
from contextlib import AbstractContextManager, closing
from pathlib import Path

from dagsched.stores import Address
from tests.daemon.served import Served, ask
from tests.faults.hands import tell, wait_until

QUIET_S = 1.5

Fault = Callable[[], AbstractContextManager[None]]
HELD = "until [ -e go ]; do sleep 0.05; done"
JOBS = {
    "often": {"schedule": {"every": "1s"}, "run": "echo $DAGSCHED_RUN >> journal"},
    "held": {"run": HELD},
}
COUNT = "SELECT count(*) FROM {}attempts WHERE job = 'often'"


def begun(folder: Path) -> list[str]:
    """Return the runs of `often` whose command has begun."""
    path = folder / "journal"
    return path.read_text().splitlines() if path.exists() else []


def health(state: Path) -> str:
    return str(tell(state, "status")["health"])


def is_through(folder: Path, daemon: Served, state: Path, fault: Fault, address: Address | None = None) -> None:
    """Go through a fault, a context. `address`: where on a server the state is, None for the file in `state`."""
    daemon.until_type("daemon.started")
    tell(state, "trigger", job="held")
    daemon.until_type("run.started", "held")
    daemon.until_type("run.succeeded", "often")
    with fault():
        wait_until(lambda: health(state) != "ok", "the daemon's notice")
        wait_until_on_record(state, folder, address)
        before = begun(folder)
        time.sleep(QUIET_S)  # what is tested is that nothing starts
        assert begun(folder) == before
        assert health(state) in ask(folder, "status", "--state-dir", str(state))
        (folder / "go").touch()
        assert daemon.process.poll() is None
    daemon.until_type("run.succeeded", "held")
    daemon.until_type("run.succeeded", "often")
    wait_until(lambda: health(state) == "ok", "the recovery")
    assert len(begun(folder)) == len(set(begun(folder)))


def wait_until_on_record(state: Path, folder: Path, address: Address | None) -> None:
    """Wait until what was started before the fault has written its line."""
    wait_until(lambda: len(begun(folder)) == started(state, address), "the attempts on record")


def started(state: Path, address: Address | None) -> int:
    """Return how many attempts of `often` are on record."""
    if address is None:
        with closing(sqlite3.connect(f"file:{state}/dagsched.db?mode=ro", uri=True)) as connection:
            return int(connection.execute(COUNT.format("")).fetchone()[0])
    import psycopg  # only who asks for it needs a server

    with psycopg.connect(address.url) as there:
        ((found,),) = there.execute(COUNT.format(f"{address.schema}.").encode()).fetchall()
        return int(found)
