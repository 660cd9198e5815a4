"""The machine below the daemon: processes that live and end, and the spawner that is their parent.

Nothing here runs. A process is a length and an outcome drawn from the seed. The spawner keeps the real one's
word: orders arrive in order and may be late, an attempt that it knows is not started again, starts and exits
are on record until they are acknowledged or settled, a new connection is answered once the old one was read
to its end, and a new spawner kills what the one before it left behind. All instants here are monotonic seconds.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from random import Random
from typing import Protocol

from dagsched.clock import ManualClock
from dagsched.executor import Exited, Inventory, Report, SpawnerGone, Started
from dagsched.executor.reports import Living
from dagsched.handlers import Launch
from dagsched.model import Exit, Outcome

Key = tuple[str, int]


class Witness(Protocol):
    """Whoever writes down what the processes really do."""

    def process_began(self, run: str, attempt: int) -> None: ...

    def process_ended(self, run: str, attempt: int, how: str, code: int | None) -> None: ...


@dataclass(slots=True)
class Process:
    """One attempt's process: when it will end and how; `cause` once it was told to."""

    launch: Launch
    pid: int
    ends: float
    outcome: Outcome
    code: int | None
    cause: str = ""

    @property
    def key(self) -> Key:
        return (self.launch.run, self.launch.attempt)


@dataclass(slots=True)
class Order:
    """A message on its way to the spawner."""

    due: float
    act: Callable[[], object]


@dataclass(slots=True)
class Machine:
    """Processes, the spawner, and what of both is on disk."""

    clock: ManualClock
    rng: Random
    witness: Witness
    tell: Callable[[Report], None] | None = None
    living: dict[Key, Process] = field(default_factory=dict)
    orphans: dict[Key, Process] = field(default_factory=dict)
    ghosts: set[Key] = field(default_factory=set)
    exits: dict[int, Exit] = field(default_factory=dict)
    pipe: list[Order] = field(default_factory=list)
    reconnect: float | None = None
    rebooted: bool = False
    is_up: bool = False
    seq: int = 0
    pids: int = 100

    # ------------------------------------------------------------ what the daemon's executor does

    def connect(self, tell: Callable[[Report], None]) -> Inventory:
        """Read the old connection to its end, start a spawner if there is none, and return what it knows."""
        for order in self.pipe:
            order.act()
        self.pipe.clear()
        self.tell, self.reconnect = tell, None
        if not self.is_up:
            self._kill_orphans()
            self.is_up = True
        exits = tuple(self.exits.values())
        recorded = {*self.living, *self.ghosts, *((exit.run, exit.attempt) for exit in exits)}
        living = tuple(Living(run, attempt, each.pid) for (run, attempt), each in self.living.items())
        return Inventory(living, exits, frozenset(recorded), self.rebooted)

    def send(self, act: Callable[[], object]) -> None:
        """Send an order; most arrive at once, none overtakes another."""
        if not self.is_up:
            return
        delay = self.rng.uniform(0, 2) if self.rng.random() < 0.1 else 0.0
        due = max(self.now + delay, self.pipe[-1].due if self.pipe else 0.0)
        self.pipe.append(Order(due, act))
        self.pump()

    def start(self, launches: Sequence[Launch]) -> None:
        """Start what is not known yet."""
        for launch in launches:
            key = (launch.run, launch.attempt)
            exits = {(exit.run, exit.attempt) for exit in self.exits.values()}
            if key not in self.living and key not in self.ghosts and key not in exits:
                self._spawn(launch)

    def stop(self, key: Key, cause: str, grace_s: float) -> None:
        """End an attempt by a signal, at the latest after the grace."""
        process = self.living.get(key)
        if process is not None and not process.cause:
            end = self.now + self.rng.uniform(0, grace_s)
            if end < process.ends:
                process.ends, process.cause, process.outcome = end, cause, Outcome.CANCELLED

    def settle(self) -> None:
        """Forget recorded starts that have no exit."""
        self.ghosts.clear()
        self.rebooted = False

    def quit(self) -> None:
        """End the spawner once nothing lives."""
        self.hang_up(lose=False)
        self.is_up = False

    # ------------------------------------------------------------ what happens to it

    def hang_up(self, *, lose: bool) -> None:
        """The daemon is gone; what it had sent arrives, or (`lose`) only its first part."""
        kept = self.rng.randint(0, len(self.pipe)) if lose and self.pipe else len(self.pipe)
        for order in self.pipe[:kept]:
            order.act()
        self.pipe.clear()
        self.tell, self.reconnect = None, None

    def kill_spawner(self) -> None:
        """The spawner dies: what it was parent of lives on until the next one comes."""
        if not self.is_up:
            return
        self.is_up = False
        self.pipe.clear()
        self.ghosts |= set(self.living)
        self.orphans.update(self.living)
        self.living.clear()
        if self.tell is not None:
            self.reconnect = self.now + self.rng.uniform(0.05, 3)

    def reboot(self) -> None:
        """Power is lost: every process is gone, and some records of starts are."""
        self.pipe.clear()
        self.kill_spawner()
        self._kill_orphans()
        self.ghosts = {key for key in sorted(self.ghosts) if self.rng.random() < 0.7}
        self.tell, self.reconnect, self.rebooted = None, None, True

    # ------------------------------------------------------------ time

    @property
    def now(self) -> float:
        return self.clock.monotonic()

    def next(self) -> float | None:
        """Return when something happens next."""
        times = [each.ends for each in (*self.living.values(), *self.orphans.values())]
        times += [order.due for order in self.pipe[:1]]
        times += [self.reconnect] if self.reconnect is not None else []
        return min(times, default=None)

    def pump(self) -> None:
        """Do all that is due by now."""
        while self.pipe and self.pipe[0].due <= self.now:
            self.pipe.pop(0).act()
        for process in [each for each in self.living.values() if each.ends <= self.now]:
            self._end(process)
        for process in [each for each in self.orphans.values() if each.ends <= self.now]:
            del self.orphans[process.key]
            self.witness.process_ended(*process.key, "unseen", process.code)
        if self.reconnect is not None and self.reconnect <= self.now and self.tell is not None:
            tell = self.tell
            tell(SpawnerGone(self.connect(tell)))

    # ------------------------------------------------------------ processes

    def _spawn(self, launch: Launch) -> None:
        self.pids += 1
        process = Process(launch, self.pids, *self._fate(launch))
        if process.outcome is Outcome.SPAWN_ERROR:
            self._record(process, "cannot be executed")
            return
        self.living[process.key] = process
        self.witness.process_began(*process.key)
        self._say(Started(launch.run, launch.attempt, process.pid, self.clock.now()))

    def _fate(self, launch: Launch) -> tuple[float, Outcome, int | None]:
        luck = self.rng.random()
        longest = 60 if luck < 0.7 else 1200 if luck < 0.95 else 4 * 3600
        length, end = self.rng.uniform(0.2, longest), self.rng.random()
        if end < 0.01:
            return self.now, Outcome.SPAWN_ERROR, None
        if launch.timeout_s is not None and length > launch.timeout_s:
            return self.now + launch.timeout_s, Outcome.TIMED_OUT, None
        if end < 0.78:
            return self.now + length, Outcome.SUCCESS, 0
        return self.now + length, Outcome.FAILED, self.rng.randint(1, 3)

    def _end(self, process: Process) -> None:
        del self.living[process.key]
        if process.outcome is Outcome.CANCELLED:
            process.code = None
            self.witness.process_ended(*process.key, "cancelled", None)
        elif process.outcome is Outcome.TIMED_OUT:
            process.cause = "timeout"
            self.witness.process_ended(*process.key, "timed_out", None)
        else:
            self.witness.process_ended(*process.key, "itself", process.code)
        self._record(process)

    def _record(self, process: Process, reason: str = "") -> None:
        self.seq += 1
        run, attempt = process.key
        exit = Exit(
            run, attempt, process.outcome, self.clock.now(), seq=self.seq, exit_code=process.code,
            cause=process.cause, reason=reason,  # type: ignore[arg-type]
        )  # fmt: skip
        self.exits[self.seq] = exit
        self._say(Exited(exit))

    def _kill_orphans(self) -> None:
        for key in list(self.orphans):
            del self.orphans[key]
            self.witness.process_ended(*key, "unseen", None)

    def _say(self, report: Report) -> None:
        if self.tell is not None and self.is_up:
            self.tell(report)
