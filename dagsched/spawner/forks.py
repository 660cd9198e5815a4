"""Attempts that are forked from a warm process instead of started from a file.

An order may name a *fork server*: a command that reads orders from its standard input (a SOCK_SEQPACKET socket), forks
an attempt for each and tells of its pid and its end (`dagsched/handlers/forkserver.py` has the picture and the
protocol). It is started when first needed, one for each environment and folder that a daemon comes with, and is ended
after a minute without work.

Its attempts are its children and not the spawner's, so their ends come as messages. When it dies they become the
spawner's own, which is their subreaper; one whose end it had seen and not told any more is *lost*. An attempt waits at
its gate, a socket, until its process is written down; one that was asked for and never got that far has not begun. A
process that may be used again says at its gate that it is done, and stays there for the next order of its folder.
"""

from __future__ import annotations

import json
import os
import signal
import socket
import time
from functools import partial

from . import processes
from .say import say

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from typing import Any

    from .attempt import Attempt
    from .journal import Key
    from .spawning import Starter

    Watch = Callable[[int, Callable[[], None]], None]

MESSAGE_BYTES_MAX = 1 << 18
ANSWER_BYTES_MAX = 1 << 16
ORDER_BYTES_MAX = 1 << 16
ASKED_MAX = 4
MARK_BYTES_MAX = 512
IDLE_S = 60.0
GO = b"go"
DONE = b"done"
SPARE_MAX = 64


class Worker:
    """A forked process, its gate, and what it last did. `start_ticks`: between which ticks since boot it was made."""

    __slots__ = ("attempt", "gate", "pid", "place", "start_ticks")

    def __init__(self, gate: socket.socket, attempt: Attempt, cwd: str) -> None:
        self.gate, self.attempt = gate, attempt
        self.place = (cwd, attempt.order["fork"]["reuse"])  # where its modules come from
        self.pid = 0
        self.start_ticks = (0, 0)


class Forks:
    """The fork server, what was asked of it, and the processes it has made."""

    def __init__(self, hear: Callable[[], None], watch: Watch, unwatch: Callable[[int], None]) -> None:
        """Take what is called when the server has said something, and how descriptors are listened to."""
        self._on_answer = hear
        self._watch, self._unwatch = watch, unwatch
        self.pid = 0
        self.old: set[int] = set()  # servers that were told to end and are not reaped yet
        self.asked: dict[Key, Worker] = {}
        self.workers: dict[int, Worker] = {}  # those whose process lives, by pid
        self.ended: list[Attempt] = []  # whose main process is over, or is done with them
        self._ready: dict[Key, dict[str, Any]] = {}  # orders for spare processes that are not given yet
        self._spare: list[Worker] = []
        self.is_unusable = False  # it died before it ever answered: what it would do is done without it
        self._sock: socket.socket | None = None
        self._made_for: object = None
        self._has_answered = False
        self._used = 0.0

    # ------------------------------------------------------------ orders

    def takes(self, order: dict[str, Any], mark: str) -> bool:
        """Whether an order that may be forked is one that a fork server can take."""
        return (
            not order.get("user")
            and processes.HAS_PROC
            and not self.is_unusable
            and len(os.fsencode(mark)) <= MARK_BYTES_MAX
            and len(order.get("stdin") or "") <= ORDER_BYTES_MAX
        )

    def must_wait(self) -> bool:
        """Whether no order can be given now: it has enough to do, or it is dying."""
        return len(self.asked) >= ASKED_MAX or (self.pid != 0 and self._sock is None)

    def is_there(self, command: list[str], starter: Starter) -> bool:
        """See to it that a server made for the daemon's environment and folder is there; raises OSError.

        False when one made for another is still needed: what was asked of that has to end first.
        """
        wanted = (command, starter.env, starter.cwd)
        self._used = time.monotonic()
        if self._sock is not None and self._made_for != wanted:
            if self.asked or len(self.workers) > len(self._spare):
                return False
            self.retire()
        if self._sock is None:
            self._begin(command, starter)
            self._made_for = wanted
        return True

    def _begin(self, command: list[str], starter: Starter) -> None:
        ours, theirs = socket.socketpair(socket.AF_UNIX, socket.SOCK_SEQPACKET)
        try:
            for sock in (ours, theirs):
                sock.setsockopt(socket.SOL_SOCKET, socket.SO_SNDBUF, 4 * MESSAGE_BYTES_MAX)
            self.pid = os.posix_spawnp(
                command[0],
                command,
                {**starter.env, processes.MARK: " " * MARK_BYTES_MAX},
                file_actions=[(os.POSIX_SPAWN_DUP2, theirs.fileno(), 0)],
                setsid=True,
                setsigmask=(),
                setsigdef=starter.ignored,
            )
        except OSError:
            ours.close()
            raise
        finally:
            theirs.close()
        ours.setblocking(False)
        self._sock, self._has_answered = ours, False
        self._watch(ours.fileno(), self._on_answer)

    def take_spare(self, attempt: Attempt, env: dict[str, str], cwd: str) -> Worker | None:
        """Return a process that waits for more work in this folder, and give it the attempt; None without one."""
        if attempt.order["fork"]["reuse"] is None:
            return None
        # Modules of one name may be others in another folder or on another import path.
        place = (cwd, attempt.order["fork"]["reuse"])
        worker = next((each for each in reversed(self._spare) if each.place == place), None)
        if worker is not None:
            self._spare.remove(worker)
            worker.attempt = attempt
            self._ready[attempt.key] = _message(attempt, env, cwd)
        return worker

    def ask(self, attempt: Attempt, env: dict[str, str], cwd: str, log_fd: int) -> None:
        """Ask for an attempt's process; raises OSError when that cannot be asked."""
        assert self._sock is not None, "it is there"
        ours, theirs = socket.socketpair(socket.AF_UNIX, socket.SOCK_SEQPACKET)
        try:
            data = json.dumps(_message(attempt, env, cwd)).encode()
            socket.send_fds(self._sock, [data], [log_fd, theirs.fileno()])
        except OSError:
            ours.close()
            raise
        finally:
            theirs.close()
        ours.setblocking(False)
        self.asked[attempt.key] = Worker(ours, attempt, cwd)

    def let_go(self, attempt: Attempt) -> None:
        """Let a forked attempt begin, whose process is written down; one that was told to end before never does.

        Only what has gone through its gate can be a success, whatever its process ends with.
        """
        message = self._ready.pop(attempt.key, None)
        worker = self.workers.get(attempt.pid)
        if worker is None or worker.attempt is not attempt or attempt.has_begun:
            return
        if attempt.cause or attempt.log is None:
            self._close(worker)
            return
        try:
            if message is None:
                worker.gate.send(GO)
            else:
                socket.send_fds(worker.gate, [json.dumps(message).encode()], [attempt.log.fd])
        except OSError:
            self._close(worker)  # it died at its gate
        else:
            attempt.has_begun = True

    # ------------------------------------------------------------ answers

    def hear(self) -> Iterator[tuple[Worker, str]]:
        """Take what the server says; yield each process it has made with "", or what was asked with what went wrong."""
        while self._sock is not None:
            try:
                data = self._sock.recv(ANSWER_BYTES_MAX)
            except BlockingIOError:
                return
            except OSError:
                data = b""
            if not data:
                self._hang_up()
                return
            self._has_answered = True
            answer = json.loads(data)
            if "ended" in answer:
                self.note_end(answer["ended"], answer["status"])
                continue
            worker = self.asked.pop(tuple(answer["key"]))
            if "error" in answer:
                worker.gate.close()
                yield worker, answer["error"]
                continue
            worker.pid = answer["pid"]
            self.workers[worker.pid] = worker
            self._watch(worker.gate.fileno(), partial(self._hear_worker, worker))
            yield worker, ""

    def note_end(self, pid: int, status: int) -> None:
        """Take note of the end of a forked process."""
        worker = self.workers.pop(pid, None)
        if worker is None:
            return
        self._close(worker)
        if worker in self._spare:
            self._spare.remove(worker)
        elif worker.attempt.status is None:
            worker.attempt.status = status
            self.ended.append(worker.attempt)

    def _hear_worker(self, worker: Worker) -> None:
        try:
            is_done = worker.gate.recv(len(DONE)) == DONE
        except OSError:
            is_done = False
        attempt = worker.attempt
        if not is_done or attempt.status is not None:
            self._close(worker)
            return
        attempt.status = 0
        self.ended.append(attempt)
        if attempt.cause or len(self._spare) >= SPARE_MAX:
            self._close(worker)
        else:
            self._spare.append(worker)

    def _close(self, worker: Worker) -> None:
        """Shut a process's gate: it ends where it stands there."""
        if worker.gate.fileno() >= 0:
            self._unwatch(worker.gate.fileno())
            worker.gate.close()

    # ------------------------------------------------------------ its end

    def retire_if_idle(self) -> None:
        """Let the server end if it has had nothing to do for long."""
        if not self.asked and len(self.workers) == len(self._spare) and time.monotonic() - self._used > IDLE_S:
            self.retire()

    def retire(self) -> None:
        """End the server and the processes that wait for work; nothing is expected of them any more."""
        self._end_spare()
        if self._sock is not None:
            self._hang_up()
            self.old.add(self.pid)
            self.pid = 0

    def _hang_up(self) -> None:
        if self._sock is not None:
            self._unwatch(self._sock.fileno())
            self._sock.close()
            self._sock = None

    def is_ours(self, pid: int) -> bool:
        """Whether this child is a fork server or one of its processes without work, and so no attempt's."""
        return pid != 0 and (pid == self.pid or pid in self.old)

    def bury(self, pid: int) -> list[Attempt]:
        """Take note of the death of what `is_ours`; return the attempts that were asked of it and have not begun."""
        if pid != self.pid:
            self.old.discard(pid)
            return []
        self._hang_up()
        self.pid = 0
        self.is_unusable = not self._has_answered
        if self.is_unusable:
            say("the fork server ends at its start; Python handlers are started one by one")
        for worker in self.asked.values():
            worker.gate.close()
        unborn, self.asked = [worker.attempt for worker in self.asked.values()], {}
        # They have become our children, and are nobody's attempt until they are reaped.
        self.old.update(worker.pid for worker in self._spare if _is_child(worker.pid))
        self._end_spare()
        for worker in list(self.workers.values()):
            # It was reaped, so what it left has become ours; what is not has ended before, and it had told nobody.
            if not _is_child(worker.pid) and worker.attempt.status is None:
                worker.attempt.is_lost = True
                self.note_end(worker.pid, 0)
        return unborn

    def _end_spare(self) -> None:
        for worker in self._spare:
            self._close(worker)
            processes.send(worker.pid, signal.SIGKILL)
            self.workers.pop(worker.pid, None)
        self._spare.clear()


def _message(attempt: Attempt, env: dict[str, str], cwd: str) -> dict[str, Any]:
    return {
        "key": attempt.key,
        "handler": attempt.order["fork"]["handler"],
        "reuse": attempt.order["fork"]["reuse"],
        "context": attempt.order["stdin"],
        "env": env,
        "cwd": cwd,
        "mark": env[processes.MARK],
    }


def _is_child(pid: int) -> bool:
    known = processes.stat(pid)
    return known is not None and known.parent == os.getpid()
