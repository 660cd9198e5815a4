"""What must not be forgotten: recorded starts, exits that nobody has acknowledged, and the file behind both.

*Ghosts* are starts of an earlier spawner that have no exit: it was killed, or the machine was restarted. They
stay on record until a daemon says `settled`, so that a daemon that dies while it deals with them finds them
again. A full disk does not end the spawner: exits stay in memory and are written as soon as they can be,
starts that cannot be recorded are refused.
"""

from __future__ import annotations

import fcntl
import os
import time

from . import cgroups, journal, processes, remains
from .say import say

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Iterable
    from typing import Any

    from .attempt import Attempt
    from .journal import Key

    # Whose, its number, and its record as JSON.
    Exit = tuple[Key, int, bytes]

_GARBAGE_BYTES_MAX = 1 << 18


class Book:
    """The journal and what it stands for. `rebooted`: some of it is from before a restart of the machine."""

    def __init__(self, state_dir: str, protocol: int, state_id: str) -> None:
        self._state_dir, self._protocol, self._state_id = state_dir, protocol, state_id
        self._journal = journal.Journal(f"{state_dir}/spawner-{protocol}.journal")
        self._remarks: list[str] = []
        self._complaint = ""
        self._next_seq = 1
        self._cgroup = ""
        self._live_bytes = 0  # length of the file when it held nothing superfluous
        self._starts: dict[Key, bytes] = {}
        self._processes: dict[Key, bytes] = {}
        self.rebooted = False
        self.ghosts: set[Key] = set()
        self.exits: dict[int, Exit] = {}
        self._exit_keys: set[Key] = set()
        self._fresh: list[Exit] = []  # this turn's
        self.unwritten: list[Exit] = []  # those the disk had no room for

    # ------------------------------------------------------------ beginning and end

    def open(self) -> None:
        """Take over what an earlier spawner left, kill its remains, and begin the file anew."""
        self._inherit(journal.read(self._journal.path))
        self.take_over_abandoned()
        self._cgroup = cgroups.enter(f"dagsched-{self._state_id}-{self._protocol}")
        self._try_compact()

    def close(self, *, settle: bool) -> str:
        """Leave the file to the next spawner, and return the cgroup that is to be removed, "" when there is none.

        `settle` forgets the ghosts, which a daemon has dealt with.
        """
        if settle:
            self.settle()
        self._cgroup, leaving = "", self._cgroup
        self._try_compact()
        self._journal.close()
        return leaving

    def take_over_abandoned(self) -> None:
        """Do the same for spawners of other protocol versions that live no more."""
        for name in sorted(os.listdir(self._state_dir)):
            path = f"{self._state_dir}/{name}"
            is_journal = name.startswith("spawner-") and name.endswith(".journal")
            if not is_journal or path == self._journal.path:
                continue
            lock = os.open(path.removesuffix(".journal") + ".lock", os.O_RDWR | os.O_CREAT, 0o600)
            try:
                fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
                self._inherit(journal.read(path), renumber=True)
                self._compact()
                os.unlink(path)
            except BlockingIOError:
                continue
            except OSError as error:
                self._complain(error)  # the file is still there for the next time
            finally:
                os.close(lock)

    def _inherit(self, past: journal.Past, *, renumber: bool = False) -> None:
        remains.kill(past, self._state_id)
        cgroups.remove(past.cgroup)
        self.ghosts |= past.open.keys()
        self.rebooted |= past.rebooted or bool(past.boot and past.boot != processes.boot_id())
        self._next_seq = max(self._next_seq, past.next_seq if not renumber else 1)
        for record in past.exits.values():
            key = (record["run"], record["attempt"])
            if key in self._exit_keys:
                continue
            if renumber:
                record["seq"] = self._next_seq
                self._next_seq += 1
            self._keep((key, record["seq"], journal.body_of(record)))
        for text in past.problems:
            self.remark(text)

    # ------------------------------------------------------------ records

    def knows(self, key: Key) -> bool:
        """Whether this attempt was started before and is not living."""
        return key in self._exit_keys or key in self.ghosts

    def record_starts(self, attempts: Iterable[Attempt]) -> None:
        """Write the starts down before they happen, all or none; raises OSError."""
        now = time.time()
        bodies = {each.key: journal.start_body(each.name, now) for each in attempts}
        if bodies:
            self._ensure_open()
            self._journal.append(bodies.values())
            self._starts.update(bodies)

    def add_exit(self, attempt: Attempt, **parts: Any) -> None:
        """Number the exit of an attempt; it is written and reported at the end of the turn."""
        body = journal.exit_body(
            attempt.name,
            seq=self._next_seq,
            pid=attempt.pid,
            status=attempt.status,
            cause=attempt.cause,
            started=attempt.started,
            ended=attempt.ended,
            leftovers=attempt.leftovers or 0,
            parts=parts,
        )
        exit = (attempt.key, self._next_seq, body)
        self._next_seq += 1
        self._starts.pop(attempt.key, None)
        self._processes.pop(attempt.key, None)
        self._keep(exit)
        self._fresh.append(exit)

    def _keep(self, exit: Exit) -> None:
        key, seq, _ = exit
        self.exits[seq] = exit
        self._exit_keys.add(key)

    def write(self, started: Iterable[Attempt]) -> list[Exit]:
        """Write the turn's records and return its exits, which are to be reported."""
        fresh, self._fresh = self._fresh, []
        self.unwritten += fresh
        bodies = {
            each.key: journal.process_body(each.name, each.pid, each.start_ticks)
            for each in started
            if each.key in self._starts
        }
        self._processes.update(bodies)
        try:
            if bodies or self.unwritten:
                self._ensure_open()
                self._journal.append([*bodies.values(), *(body for _, _, body in self.unwritten)])
            self.unwritten, self._complaint = [], ""
            if self._journal.bytes_written > 2 * self._live_bytes + _GARBAGE_BYTES_MAX:
                self._compact()
        except OSError as error:
            # Without its process record an attempt is still found by its mark or cgroup.
            self._complain(error)
        return fresh

    def acknowledge(self, seqs: Iterable[int]) -> None:
        """Drop exits that are durable elsewhere."""
        for seq in seqs:
            exit = self.exits.pop(seq, None)
            if exit is not None:
                self._exit_keys.discard(exit[0])
        self.unwritten = [each for each in self.unwritten if each[1] in self.exits]

    def settle(self) -> None:
        """Forget the ghosts and the restart: what became of them is durable elsewhere."""
        if self.ghosts or self.rebooted:
            self.ghosts, self.rebooted = set(), False
            self._try_compact()

    # ------------------------------------------------------------ the file

    def _compact(self) -> None:
        """Write the file anew with what is still needed; raises OSError, and the old one then stays."""
        head = {
            "t": "H",
            "boot": processes.boot_id(),
            "rebooted": self.rebooted,
            "cgroup": self._cgroup,
            "next": self._next_seq,
        }
        ghosts = [journal.start_body(journal.name_of(key), 0) for key in self.ghosts]
        exits = [body for _, _, body in self.exits.values()]
        records = [journal.body_of(head), *ghosts, *self._starts.values(), *self._processes.values(), *exits]
        self._journal.rewrite(records)
        self.unwritten = []
        self._live_bytes = self._journal.bytes_written

    def _try_compact(self) -> None:
        try:
            self._compact()
        except OSError as error:
            self._complain(error)

    def _ensure_open(self) -> None:
        """Begin the file if there was no room for that before; raises OSError."""
        if not self._journal.is_open:
            self._compact()

    def _complain(self, error: OSError) -> None:
        text = f"exits are kept in memory, the state directory cannot be written: {error.strerror}"
        if self._complaint != text:
            self._complaint = text
            self.remark(text)

    def remark(self, text: str) -> None:
        """Tell the daemon, and the spawner's own log, something that a person should know."""
        say(text)
        self._remarks.append(text)

    def take_remarks(self) -> list[str]:
        """Return the remarks that no daemon has been told yet."""
        told, self._remarks = self._remarks, []
        return told
