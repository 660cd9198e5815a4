"""Whose process is that?

An attempt ends only when everything it left behind is dead. As a subreaper the spawner becomes the parent of
whatever loses its parent below it, so all there is to watch are its own children: main processes, and
*strays*. A stray is attributed, in this order, by

    1. memory: it was seen below an attempt when that was last signalled,
    2. its session, which is the attempt's unless it called setsid,
    3. the mark in the environment it was started with,
    4. the file that its standard output or error goes to, which is its attempt's log unless it has closed both,
    5. time: the attempt that started last before it did.

The last one is a guess, needed only for a process that left its session, cleared its environment, closed its
output and lost its parents: it may be held against a neighbour that started later, and is then killed when that
one ends. In the middle of an exec a process shows no environment although it has one (proc_pid_environ(5)); on a
busy machine that lasts. Such a stray is *unread*: no attempt that could own it may end before it was looked at
again, and only one that stays unread for a second is guessed. A stray that no attempt can own is killed at once.
"""

from __future__ import annotations

import os
import signal
import time

from . import processes
from .attempt import Attempt

TYPE_CHECKING = False
if TYPE_CHECKING:
    from .forks import Forks
    from .journal import Key

UNREAD_S = 1.0


class Family:
    """All attempts with a process, and the strays of each."""

    def __init__(self, forks: Forks) -> None:
        self._forks = forks
        self._children = processes.OwnChildren()
        self.fallen: list[int] = []  # fork servers that were reaped and not looked after yet
        self.living: dict[Key, Attempt] = {}
        self._mains: dict[int, Attempt] = {}
        self._strays: dict[int, Attempt | None] = {}
        self._unread: dict[int, tuple[int, float]] = {}  # pid → its start in ticks, until when it may stay unread
        self._seen: dict[tuple[int, int], Attempt] = {}

    @property
    def is_empty(self) -> bool:
        """Whether nothing of any attempt lives."""
        return not self.living and not self._strays

    def add(self, attempt: Attempt) -> None:
        """Take in an attempt whose main process has just been made."""
        self.living[attempt.key] = attempt
        self._mains[attempt.pid] = attempt

    def remove(self, attempt: Attempt) -> None:
        """Forget an attempt of which nothing lives."""
        del self.living[attempt.key]
        if self._mains.get(attempt.pid) is attempt:
            del self._mains[attempt.pid]
        for each in attempt.family:
            self._seen.pop(each, None)

    def reap(self) -> tuple[list[Attempt], bool]:
        """Collect the children that have ended; return the attempts that lost one, and whether no child is left."""
        touched: dict[Key, Attempt] = {}
        while True:
            try:
                pid, status = os.waitpid(-1, os.WNOHANG)
            except ChildProcessError:
                return list(touched.values()), True
            if not pid:
                return list(touched.values()), False
            owner = self._bury(pid, status)
            if owner is not None:
                touched[owner.key] = owner

    def _bury(self, pid: int, status: int) -> Attempt | None:
        main = self._mains.get(pid)
        if main is not None and main.status is None:
            main.status = status
            self._forks.note_end(pid, status)
            return main
        if self._forks.is_ours(pid):
            self.fallen.append(pid)
            return None
        self._unread.pop(pid, None)
        owner = self._strays.pop(pid, None)
        if owner is not None:
            owner.strays.discard(pid)
        return owner

    def find_strays(self) -> None:
        """Attribute the children of ours that nobody has claimed yet.

        One that is dead when it is looked at may have left us children of its own after the list was read, so the list
        is read until it holds no death that is news.
        """
        dead: set[int] = set()
        while True:
            died = {pid for pid in self._children.listed() if not self._find_owner(pid)}
            if died <= dead:
                return
            dead |= died

    def _find_owner(self, pid: int) -> bool:
        """Attribute a child of ours, unless somebody has claimed it; False if nobody has and it is dead.

        What dies while it is looked at shows neither environment nor output: the guess would be a neighbour's.
        """
        main = self._mains.get(pid)
        if pid in self._strays or (main is not None and main.status is None) or self._forks.is_ours(pid):
            return True
        known = processes.stat(pid)
        if known is None or not known.alive:
            self._unread.pop(pid, None)
            return False
        mark = processes.mark_if_told(pid)
        owner = self._owner(known, mark or "")
        if owner is None:
            known = processes.stat(pid)
            if known is None or not known.alive:
                self._unread.pop(pid, None)
                return False
            if (mark is None or known.is_leaving) and self._stays_unread(known):
                return True
        self._unread.pop(pid, None)
        owner = owner or self._by_time(known.start)
        self._strays[pid] = owner
        if owner is None:
            processes.send(pid, signal.SIGKILL)
        else:
            owner.strays.add(pid)
        return True

    def _owner(self, known: processes.Stat, mark: str) -> Attempt | None:
        return (
            self._seen.get((known.pid, known.start))
            or self._mains.get(known.session)
            or self._by_mark(mark)
            or self._by_output(known.pid)
        )

    def _stays_unread(self, known: processes.Stat) -> bool:
        """Whether a stray that nothing but time attributes is to be looked at again before time is asked."""
        now = time.monotonic()
        _, until = self._unread.setdefault(known.pid, (known.start, now + UNREAD_S))
        return now < until and self._by_time(known.start) is not None

    def is_undecided(self, attempt: Attempt) -> bool:
        """Whether a stray is still unread that may turn out to be of this attempt."""
        return bool(self._unread) and any(attempt.start_ticks[0] <= start for start, _ in self._unread.values())

    def _by_mark(self, mark: str) -> Attempt | None:
        _, _, rest = mark.partition("/")
        run, _, attempt = rest.rpartition("/")
        return self.living.get((run, int(attempt))) if attempt.isdigit() else None

    def _by_output(self, pid: int) -> Attempt | None:
        written = processes.outputs(pid)
        return next((each for each in self.living.values() if each.log and each.log.identity() in written), None)

    def _by_time(self, start: int) -> Attempt | None:
        able = [each for each in self.living.values() if each.start_ticks[0] <= start]
        return max(able, key=lambda each: each.start_ticks, default=None)

    def members(self, attempt: Attempt) -> list[processes.Stat]:
        """Return every living process of an attempt, and remember them as its own."""
        roots = list(attempt.strays)
        if attempt.status is None:
            roots.append(attempt.pid)
        if not processes.HAS_PROC:
            return []
        found = processes.tree(roots)
        for each in found:
            identity = (each.pid, each.start)
            attempt.family.add(identity)
            self._seen[identity] = attempt
        return found

    def signal(self, attempt: Attempt, number: int) -> int:
        """Send a signal to everything of an attempt; return to how many processes."""
        members = self.members(attempt)
        # The group gets it in one stroke, so that nothing forks away between two of its members. Once the
        # main process is reaped its number may be another's: then only if a member still holds the group.
        held = any(each.group == attempt.pid for each in members)
        if attempt.status is None or held or not processes.HAS_PROC:
            processes.send_group(attempt.pid, number)
        for each in members:
            if each.group != attempt.pid:
                processes.send(each.pid, number)
        return len(members)

    def signal_newcomers(self, attempt: Attempt, number: int) -> None:
        """Send a signal to those of an attempt that were not there yet when it was last signalled."""
        known = set(attempt.family)
        for each in self.members(attempt):
            if (each.pid, each.start) not in known:
                processes.send(each.pid, number)

    @staticmethod
    def main_has_ended(attempt: Attempt) -> bool:
        """Whether the main process is over, though perhaps not reaped yet."""
        if attempt.status is not None:
            return True
        if attempt.is_forked:  # by another process, of whose children waitid(2) tells us nothing
            known = processes.stat(attempt.pid)
            return known is None or not known.alive
        if not hasattr(os, "waitid"):  # macOS
            return False
        return os.waitid(os.P_PID, attempt.pid, os.WEXITED | os.WNOHANG | os.WNOWAIT) is not None
