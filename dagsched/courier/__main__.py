"""Start of the courier: `python -m dagsched.courier STATE_DIR AFTER`; see the package for what it is.

A byte on standard input says that there is news, its end that nobody will say so any more. The last line on standard
output is JSON, `{"cursor": 12, "wake_s": null}`. Exit status 0; 4 when the state cannot be read.
"""

from __future__ import annotations

import asyncio
import fcntl
import json
import logging
import os
import socket
import sys
from contextlib import closing, suppress
from pathlib import Path

from dagsched import logs
from dagsched.clock import Clock, SystemClock
from dagsched.cloudevents import source_of
from dagsched.courier.serve import Courier, Ended
from dagsched.courier.tracer import Tracer
from dagsched.errors import StoreError, UsageError
from dagsched.stores import open_store
from dagsched.stores.contract import Store
from dagsched.stores.notices import Notices
from dagsched.tracing import is_traced

log = logging.getLogger("dagsched.courier")

LOCK = "courier.lock"


async def main(state_dir: Path, after: int) -> Ended:
    """Serve until idle; raises StoreError."""
    store = open_store(state_dir)
    await store.open(write=False)
    try:
        with closing(Notices(state_dir, write=True)) as notices:
            source = source_of(socket.gethostname(), str(state_dir))
            clock = SystemClock()
            tracer = _tracer(store, notices, source, clock, after)
            courier = Courier(store, notices, source, clock, os.environ, after, tracer)
            asyncio.get_running_loop().add_reader(0, _hear, courier)
            return await courier.run()
    finally:
        await store.close()


def _tracer(store: Store, notices: Notices, source: str, clock: Clock, after: int) -> Tracer | None:
    """Return what sends traces if somebody wants them; a missing library is told and stops nothing else."""
    if not is_traced(os.environ):
        return None
    try:
        from dagsched.tracing.otlp import Sender
    except UsageError as error:
        log.warning("nothing is traced: %s", error)
        return None
    return Tracer(store, notices, Sender(source), clock.now, after)


def _hear(courier: Courier) -> None:
    with suppress(BlockingIOError):
        if not os.read(0, 4096):
            courier.is_last = True
            asyncio.get_running_loop().remove_reader(0)
        courier.look.set()


def begin(state_dir: Path, after: int) -> int:
    """Be the one courier of this state, to the end; return the exit status."""
    logs.set_up(logs.JSON if os.environ.get(logs.VARIABLE) == logs.JSON else logs.TEXT)
    # One of an earlier daemon may still have a message under way: without waiting for it that would be told twice.
    lock = os.open(state_dir / LOCK, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
    fcntl.flock(lock, fcntl.LOCK_EX)
    os.set_blocking(0, False)
    try:
        ended = asyncio.run(main(state_dir, after))
    except StoreError as error:
        log.error("nobody is told anything at present: %s", error)
        return error.exit_code
    print(json.dumps(ended._asdict()), flush=True)
    return 0


if __name__ == "__main__":
    sys.exit(begin(Path(sys.argv[1]), int(sys.argv[2])))
