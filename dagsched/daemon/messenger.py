"""Starts the courier when somebody may have to be told of something, and never waits for it.

All the daemon does for notifications is here: it looks at the type of each durable event, writes a byte into a pipe,
and starts a process now and then. What is to be told, and to whom, the courier reads from the event log.
"""

from __future__ import annotations

import asyncio
import json
import logging
import os
import subprocess
import sys
from collections.abc import Mapping, Sequence
from contextlib import suppress
from pathlib import Path
from typing import IO, Any

from dagsched import logs
from dagsched.courier.rules import is_wanted
from dagsched.model import Config, EventRow
from dagsched.tracing import is_traced

log = logging.getLogger("dagsched.daemon")

PAUSE_S = 1.0
PAUSE_MAX_S = 300.0
_TRACED = frozenset({"run.succeeded", "run.failed", "run.cancelled"})
# What the service manager told the daemon is not meant for its children.
_NOT_PASSED_ON = ("NOTIFY_SOCKET", "WATCHDOG_PID", "WATCHDOG_USEC", "LISTEN_PID", "LISTEN_FDS", "LISTEN_FDNAMES")


class Messenger:
    """The daemon's side of the courier; an observer of its loop. Configurations without notifiers cost nothing.

    `command`: what starts the courier, STATE_DIR and AFTER follow.
    """

    def __init__(
        self, state_dir: Path, command: Sequence[str] = (sys.executable, "-m", "dagsched.courier")
    ) -> None:
        self._state_dir, self._command = state_dir, tuple(command)
        self._is_traced = is_traced(os.environ)
        self._config: Config | None = None
        self._well: set[str] = set()
        self._seen = self._wanted = 0
        self._after: int | None = None
        self._pause_s = PAUSE_S
        self._process: Offspring | None = None
        self._task: asyncio.Task[None] | None = None
        self._timer: asyncio.TimerHandle | None = None
        self._is_closed = False

    # ------------------------------------------------------------ what happens

    def on_config(self, config: Config) -> None:
        """Learn the rules; whatever an earlier daemon left untold is seen to."""
        is_first = self._config is None
        self._config = config if config.notifiers or self._is_traced else None
        if self._config is not None and is_first:
            self._wanted = max(self._wanted, self._seen + 1)

    def on_events(self, events: Sequence[EventRow]) -> None:
        """Have the courier look when there is news among these."""
        if self._config is not None:
            if self._after is None:
                self._after = events[0].seq - 1
            if self._wanted > self._seen or any(self._is_news(row) for row in events):
                self._wanted = events[-1].seq
                self._look()
        self._seen = events[-1].seq

    def _is_news(self, row: EventRow) -> bool:
        assert self._config is not None, "asked for while there are rules"
        if self._is_traced and row.type in _TRACED:
            return True
        if row.type == "run.succeeded":
            return is_wanted(self._config, row) and self._is_recovery(row)
        if row.type in ("run.failed", "run.upstream_failed"):
            self._well.discard(row.job)
        return is_wanted(self._config, row)

    def _is_recovery(self, row: EventRow) -> bool:
        """Whether a success may be news: always if all are told, else the first one after each failure."""
        assert self._config is not None, "asked for while there are rules"
        if any("success" in rule.on for rule in self._config.jobs[row.job].notify):
            return True
        is_first = row.job not in self._well
        self._well.add(row.job)
        return is_first

    # ------------------------------------------------------------ the process

    def _look(self) -> None:
        if self._is_closed:
            return
        if self._process is not None and self._process.stdin is not None:
            # It may have ended a moment ago: what it had not read then is seen when its end is. A pipe that is
            # full says enough already.
            with suppress(OSError, ValueError):
                os.set_blocking(self._process.stdin.fileno(), False)
                os.write(self._process.stdin.fileno(), b"\n")
        elif self._task is None:
            self._cancel_timer()
            self._task = asyncio.get_running_loop().create_task(self._serve())

    async def _serve(self) -> None:
        try:
            cursor, wake_s = await self._one_courier()
        except (OSError, ValueError, KeyError) as error:
            log.warning("nobody is told anything at present: the courier failed: %r", error)
            cursor, wake_s = None, None
        finally:
            self._process, self._task = None, None
        if self._is_closed:
            return
        if cursor is None:
            # It is not started over and over while whatever keeps it from its work lasts.
            self._after_a_while(self._pause_s)
            self._pause_s = min(self._pause_s * 2, PAUSE_MAX_S)
            return
        self._pause_s = PAUSE_S
        if cursor < self._wanted:
            self._look()
        elif wake_s is not None:
            self._after_a_while(wake_s)

    async def _one_courier(self) -> tuple[int | None, float | None]:
        """See one courier to its end; return how far it read, None when it failed, and when to start the next."""
        process = self._process = await asyncio.to_thread(self._start)
        if self._is_closed:
            _close(process.stdin)
            return None, None
        written = await _read_to_end(process)
        # Its output ends with it; what little is left of it is waited for beside the loop.
        if await asyncio.to_thread(process.wait) != 0:
            return None, None
        ended: Mapping[str, Any] = json.loads(written)
        return ended["cursor"], ended["wake_s"]

    def _start(self) -> Offspring:
        environ = {name: value for name, value in os.environ.items() if name not in _NOT_PASSED_ON}
        environ[logs.VARIABLE] = logs.in_use()
        return Offspring(
            [*self._command, str(self._state_dir), str(self._after or 0)],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            env=environ,
            bufsize=0,
            # An interrupt at the terminal is meant for the daemon, and a message under way is brought to its end.
            start_new_session=True,
        )

    def _after_a_while(self, delay_s: float) -> None:
        self._cancel_timer()
        self._timer = asyncio.get_running_loop().call_later(delay_s, self._look)

    def _cancel_timer(self) -> None:
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None

    async def close(self) -> None:
        """Say that nothing more comes; the courier tells what it has to and ends without being waited for."""
        self._is_closed = True
        self._cancel_timer()
        if self._task is None:
            return
        if self._process is not None:
            _close(self._process.stdin)
            self._task.cancel()
        await asyncio.wait([self._task])


class Offspring(subprocess.Popen[bytes]):
    """A courier that was started. It outlives this process on purpose, so nobody minds that it runs."""

    def __del__(self) -> None:
        """Say nothing: a process that still runs is no resource that was forgotten."""


async def _read_to_end(process: Offspring) -> bytes:
    """Return what the process writes; the loop goes on meanwhile."""
    assert process.stdout is not None, "asked for as a pipe"
    loop, descriptor = asyncio.get_running_loop(), process.stdout.fileno()
    os.set_blocking(descriptor, False)
    written, ended = bytearray(), loop.create_future()

    def take() -> None:
        with suppress(BlockingIOError):
            part = os.read(descriptor, 4096)
            written.extend(part)
            if not part and not ended.done():
                ended.set_result(None)

    loop.add_reader(descriptor, take)
    try:
        await ended
    finally:
        loop.remove_reader(descriptor)
        _close(process.stdout)
        _close(process.stdin)
    return bytes(written)


def _close(pipe: IO[bytes] | None) -> None:
    if pipe is not None:
        with suppress(OSError):
            pipe.close()
