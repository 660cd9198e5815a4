"""The executor: finds or starts the spawner, sends it orders, turns what it says into reports.

Attempts are known by (run, attempt). Orders given while no spawner is there are dropped: the daemon learns
from the next inventory that they never arrived, and gives them again under the same attempt number. The
spawner ignores an order for an attempt it knows, so nothing can start twice.

A spawner of another protocol version is left to *drain*: its attempts are reported, stopped and acknowledged
through it, new ones go to a spawner of this version beside it. Nothing here blocks the loop: orders stand in one
line, of which some are sent in each turn of it, those of one turn in one write; an inventory is taken in as it comes.
"""

from __future__ import annotations

import asyncio
import itertools
import os
import socket
from collections import deque
from collections.abc import AsyncIterator, Callable, Iterable, Iterator, Mapping
from contextlib import suppress
from pathlib import Path
from typing import Any, cast

from dagsched.clock import boottime_s
from dagsched.errors import SpawnerError
from dagsched.executor import places
from dagsched.executor.exits import exit_of, instant
from dagsched.executor.peer import Peer
from dagsched.executor.reports import Exited, Inventory, Living, Remark, Report, SpawnerGone, Started
from dagsched.handlers import GRACE_S, Launch
from dagsched.model import Exit
from dagsched.passing import passed_on
from dagsched.spawner import cgroups
from dagsched.stores.contract import Term

PROTOCOL = 1
LOG_BYTES_MAX = 10 * 1024 * 1024
ORDERS_PER_TURN = 64

_PAUSE_S = 0.01
_PAUSE_MAX_S = 5.0


class Executor:
    """The daemon's hand on its attempts.

    `on_report` is called in the event loop with each report, in the order in which things happened. `env`
    and `cwd` are what attempts start from: this process's own when not given. `log_bytes_max` caps the output
    of one attempt. `patience_s` bounds how long `connect` waits for a spawner to answer, which includes the
    death of what an earlier one left.
    """

    def __init__(
        self,
        state_dir: Path,
        on_report: Callable[[Report], None],
        *,
        env: Mapping[str, str] | None = None,
        cwd: Path | None = None,
        log_bytes_max: int = LOG_BYTES_MAX,
        protocol: int = PROTOCOL,
        patience_s: float = 60.0,
    ) -> None:
        self._state_dir = state_dir.absolute()
        self._on_report = on_report
        self._base = passed_on(os.environ if env is None else env)
        self._env = self._base
        self._cwd = (cwd or Path.cwd()).absolute()
        self._log_bytes_max, self._protocol, self._patience_s = log_bytes_max, protocol, patience_s
        self._own: Peer | None = None
        self._drains: list[Peer] = []
        self._newborns: list[places.Newborn] = []
        self._numbers = itertools.count(1)
        self._seqs: dict[int, tuple[Peer, int]] = {}  # our number of an exit → its spawner and number there
        # Everything to be sent, in order: a start, the number of an exit to acknowledge, or a message to all.
        self._orders: deque[Launch | int | dict[str, Any]] = deque()
        self._sending = self._closing = False
        self._recovery: asyncio.Task[None] | None = None
        self._prepared: tuple[places.Newborn | None, socket.socket] | None = None
        self._term: Term | None = None  # of the lease on a shared store

    def renew(self, term: Term) -> None:
        """Act under a new term of the lease: start what waits for one, and tell the spawner how long it lasts."""
        self._term = term
        for peer in self._peers():
            peer.send({"do": "renew", "until": term.attempts_until})
            peer.flush()
        self._send_soon()

    def drop_starts(self) -> list[Launch]:
        """Forget the starts that wait for a new term, and return them: somebody else may do them by now."""
        dropped = [order for order in self._orders if isinstance(order, Launch)]
        self._orders = deque(order for order in self._orders if not isinstance(order, Launch))
        return dropped

    def may_start(self) -> bool:
        """Whether the lease, if the store has one, is known to last; else starts wait until it is renewed."""
        return self._term is None or boottime_s() < self._term.starts_until

    @property
    def spawner_pid(self) -> int | None:
        """The spawner's process id, None while there is none."""
        return self._own.pid if self._own is not None else None

    def hide(self, names: frozenset[str]) -> None:
        """Give attempts that start from now on the environment without these variables."""
        env = passed_on(self._base, names)
        if env == self._env:
            return
        self._env = env
        if self._own is not None:
            # Behind the starts that were ordered before. A spawner takes what a second greeting says as what holds now.
            self._orders.append(self._hello())
            self._send_soon()

    # ---------------------------------------------------------------- connecting

    def prepare(self) -> None:
        """Reach for the spawner, or start one, while there is something else to do; `connect` goes on from there."""
        with suppress(OSError):  # what keeps it from starting is found again, and told, by `connect`
            self._prepared = self._reach()

    def _reach(self) -> tuple[places.Newborn | None, socket.socket]:
        sock = places.connect(self._state_dir, self._protocol)
        return (None, sock) if sock is not None else places.start(self._state_dir, self._protocol)

    def release(self) -> None:
        """Let go of what was prepared and never used: a spawner without a daemon ends by itself."""
        if self._prepared is not None:
            self._prepared[1].close()
            self._prepared = None

    async def connect(self) -> Inventory:
        """Find the living spawner or start one, and return what it knows; raises SpawnerError."""
        self._state_dir.mkdir(parents=True, exist_ok=True, mode=0o700)
        self._drop_peers()
        try:
            async with asyncio.timeout(self._patience_s):
                own, survived = await self._find_all()
        except TimeoutError:
            self._drop_peers()
            raise SpawnerError(self._no_answer()) from None
        except OSError as error:
            # No file can be opened, the folder may not be read: like a spawner that cannot start, it may pass.
            self._drop_peers()
            raise SpawnerError(f"cannot reach the spawner of {self._state_dir}: {error}") from error
        self._own = own
        return self._inventory([own, *self._drains], survived)

    async def _find_all(self) -> tuple[Peer, bool]:
        """Fill `_drains`, then return the own peer and whether its spawner was there before."""
        while True:
            async for peer in self._find_drains():
                self._drains.append(peer)
            own, survived = await self._find_own()
            if not any(each.lost.done() for each in [own, *self._drains]):
                return own, survived
            own.close()  # one was lost while others were looked for: what it said is no longer so
            self._drop_peers()

    def _no_answer(self) -> str:
        words = places.last_words(self._state_dir)
        return (
            f"the spawner of {self._state_dir} did not answer within {self._patience_s:g} s; "
            "another daemon may be connected to it, or processes that were killed do not die"
            + (f"; its last words: {words}" if words else "")
        )

    async def _find_own(self) -> tuple[Peer, bool]:
        """Return the peer for this version and whether its spawner was there before."""
        for pause_s in _pauses():
            try:
                newborn, sock = self._prepared or self._reach()
            except OSError as error:
                raise SpawnerError(f"cannot start the spawner of {self._state_dir}: {error}") from error
            self._prepared = None
            if newborn is not None:
                self._newborns.append(newborn)
            peer = await self._greet(sock)
            if peer is not None:
                return peer, newborn is None
            # It was about to end, or another one was quicker: look again.
            await asyncio.sleep(pause_s)
            if newborn is not None and newborn.poll() not in (None, 0, places.HELD):
                words = places.last_words(self._state_dir)
                raise SpawnerError(f"the spawner of {self._state_dir} failed at its start: {words}")
        raise AssertionError("pauses never end")

    async def _find_drains(self) -> AsyncIterator[Peer]:
        """Yield a peer for each living spawner of another version."""
        for version in places.other_versions(self._state_dir, self._protocol):
            for pause_s in _pauses():
                sock = places.connect(self._state_dir, version)
                peer = await self._greet(sock) if sock is not None else None
                if peer is not None:
                    yield peer
                    break
                if not places.is_held(self._state_dir, version):
                    break  # abandoned: the own spawner takes its journal over
                await asyncio.sleep(pause_s)

    async def _greet(self, sock: socket.socket) -> Peer | None:
        """Say hello and return the peer with its inventory, None when the stream ended before that."""
        loop = asyncio.get_running_loop()
        sock.setblocking(False)
        _, peer = await loop.create_connection(lambda: Peer(self._take, self._lost), sock=sock)
        peer.send(self._hello())
        peer.flush()
        try:
            await asyncio.wait([peer.ready])
        except asyncio.CancelledError:
            peer.abort()
            raise
        return None if peer.ready.cancelled() else peer

    def _hello(self) -> dict[str, Any]:
        return {
            "do": "hello",
            "version": self._protocol,
            "cwd": str(self._cwd),
            "env": self._env,
            "log_bytes_max": self._log_bytes_max,
            "until": self._term and self._term.attempts_until,
        }

    def _inventory(self, peers: Iterable[Peer], survived: bool) -> Inventory:
        living, exits, recorded, rebooted = [], [], set(), False
        for peer in peers:
            living += [Living(run, attempt, pid) for (run, attempt), pid in peer.living.items()]
            exits += [self._exit(peer, record) for record in peer.exits]
            recorded |= peer.recorded
            rebooted |= peer.rebooted
            peer.exits.clear()
        return Inventory(tuple(living), tuple(exits), frozenset(recorded), rebooted, survived)

    # ---------------------------------------------------------------- orders

    def start(self, launches: Iterable[Launch]) -> None:
        """Have attempts started; they are sent together at the end of this turn of the loop."""
        if self._own is not None:
            self._orders.extend(launches)
            self._send_soon()

    def stop(self, run: str, attempt: int, cause: str = "cancel", grace_s: float = GRACE_S) -> None:
        """End an attempt: TERM to all of it now, KILL `grace_s` later.

        `cause` is `timeout`, `cancel`, `stop` or `lease`. An attempt that is over by then stays as it is.
        """
        self._send_to_all({"do": "stop", "run": run, "attempt": attempt, "cause": cause, "grace_s": grace_s})

    def acknowledge(self, seq: int) -> None:
        """Say that an exit is durable: its spawner may forget it."""
        # Behind the orders given before: after a new spawner took over, one may be given again for an attempt that has
        # ended meanwhile, and a spawner that forgets the exit before that order comes starts the attempt twice.
        self._orders.append(seq)
        self._send_soon()

    def settled(self) -> None:
        """Say that all the last inventory told is durable: recorded starts without an exit are forgotten."""
        self._send_to_all({"do": "settled"})

    def _peers(self) -> list[Peer]:
        return [each for each in (self._own, *self._drains) if each is not None]

    def _send_to_all(self, message: dict[str, Any]) -> None:
        self._orders.append(message)
        self._send_soon()

    def _send_soon(self) -> None:
        if self._orders and not self._sending:
            self._sending = True
            asyncio.get_running_loop().call_soon(self._send_later)

    def send(self) -> None:
        """Send what was ordered now and not at the end of this turn of the loop; of many orders, the first."""
        if self.may_start():
            self._send(ORDERS_PER_TURN)

    def _send_later(self) -> None:
        self._sending = False
        if self.may_start():
            self._send(ORDERS_PER_TURN)
            self._send_soon()
        else:
            self._send_stops()

    def _send_stops(self) -> None:
        """Send what ends attempts; starts, and what was ordered behind them, wait for a new term."""
        waiting, self._orders = self._orders, deque()
        later: list[Launch | int | dict[str, Any]] = []
        for order in waiting:
            is_stop = isinstance(order, dict) and order["do"] == "stop"
            (self._orders if is_stop else later).append(order)
        self._send_all()
        self._orders.extend(later)

    def _send_all(self) -> None:
        while self._orders:
            self._send(ORDERS_PER_TURN)

    def _send(self, at_most: int) -> None:
        """Send the next orders, neighbours of one kind in one message."""
        taken = [self._orders.popleft() for _ in range(min(at_most, len(self._orders)))]
        for kind, orders in itertools.groupby(taken, type):
            if kind is Launch:
                self._send_starts(cast(Iterable[Launch], orders))
            elif kind is int:
                self._send_acknowledgements(cast(Iterable[int], orders))
            else:
                for message, peer in itertools.product(orders, self._peers()):
                    peer.send(cast(dict[str, Any], message))
        for peer in self._peers():
            peer.flush()

    def _send_starts(self, launches: Iterable[Launch]) -> None:
        if self._own is not None:
            expires = self._term and self._term.starts_until
            self._own.send({"do": "start", "starts": [_order(launch) for launch in launches], "expires": expires})

    def _send_acknowledgements(self, seqs: Iterable[int]) -> None:
        found: dict[Peer, list[int]] = {}
        for seq in seqs:
            peer, number = self._seqs.pop(seq, (None, 0))
            if peer is not None:
                found.setdefault(peer, []).append(number)
        for peer, numbers in found.items():
            peer.send({"do": "ack", "seqs": numbers})

    # ---------------------------------------------------------------- what spawners say

    def _take(self, peer: Peer, message: dict[str, Any]) -> None:
        kind = message["is"]
        if kind == "started":
            for run, attempt, pid, wall_s in message["rows"]:
                self._on_report(Started(run, attempt, pid, instant(wall_s)))
        elif kind == "exits":
            for record in message["rows"]:
                peer.living.pop((record["run"], record["attempt"]), None)
                self._on_report(Exited(self._exit(peer, record)))
        elif kind == "remark":
            self._on_report(Remark(message["text"]))

    def _exit(self, peer: Peer, record: dict[str, Any]) -> Exit:
        seq = next(self._numbers)
        self._seqs[seq] = (peer, record["seq"])
        return exit_of(record, seq)

    def _lost(self, peer: Peer) -> None:
        if self._own is None:
            return  # connecting: `_find_all` looks at what it found
        self._seqs = {seq: each for seq, each in self._seqs.items() if each[0] is not peer}
        self._newborns = [each for each in self._newborns if each.poll() is None]
        if peer in self._drains:
            self._drains.remove(peer)
            if not peer.living:
                return  # it has drained
        elif peer is not self._own:
            return
        if not self._closing:
            self._drop_peers()
            self._recovery = asyncio.get_running_loop().create_task(self._recover())

    def _drop_peers(self) -> None:
        """Forget all connections; a spawner that lives answers the next one with its whole inventory."""
        peers = self._peers()
        self._own, self._drains = None, []
        # What is under way to nobody is not given to the next: its inventory will not name it.
        self._orders.clear()
        for peer in peers:
            peer.close()

    async def _recover(self) -> None:
        told = ""
        for pause_s in _pauses():
            try:
                inventory = await self.connect()
            except SpawnerError as error:
                if str(error) != told:
                    told = str(error)
                    self._on_report(Remark(told))
                await asyncio.sleep(pause_s)
            else:
                self._on_report(SpawnerGone(inventory))
                return

    # ---------------------------------------------------------------- closing

    async def close(self, handover: bool) -> None:
        """Leave living attempts to the spawner (`handover`), or wait until all has ended and it with them.

        Reports go on until then, and exits can be acknowledged. Nothing is stopped by this: stop first what
        is not to be waited for. Without `handover` no process of any attempt is left when this returns.
        """
        recovering, self._closing = self._recovery is not None and not self._recovery.done(), True
        if self._recovery is not None:
            self._recovery.cancel()
            await asyncio.wait([self._recovery])
        self._send_all()
        peers = self._peers()
        if handover:
            for peer in peers:
                peer.close()
            await _all_lost(peers)
        elif peers or recovering:
            await self._quit(peers)
        self._own, self._drains = None, []

    async def _quit(self, peers: list[Peer]) -> None:
        while True:
            children = {newborn.pid for newborn in self._newborns}
            for peer in peers:
                peer.send({"do": "quit", "mourned": peer.pid in children})
                peer.flush()
            await _all_lost(peers)
            if peers and all(peer.bye for peer in peers):
                break
            # One was killed in the middle of this: a new one kills what it left.
            await self.connect()
            peers = self._peers()
        for newborn in self._newborns:
            await asyncio.to_thread(newborn.wait)
        for peer in peers:
            if peer.cgroup:
                # By now nobody is in it. A spawner that left it while it lived would wait for the kernel to move it.
                cgroups.remove(peer.cgroup)
        # One that was started by an earlier daemon has said goodbye, but may still be on its way out.
        for peer in peers:
            for pause_s in _pauses():
                if not places.is_held(self._state_dir, peer.version):
                    break
                await asyncio.sleep(pause_s)


async def _all_lost(peers: list[Peer]) -> None:
    if peers:
        await asyncio.wait([peer.lost for peer in peers])


def _order(launch: Launch) -> dict[str, Any]:
    order = launch._asdict()
    order["env"] = dict(launch.env)
    if launch.fork is not None:
        order["fork"] = launch.fork._asdict()
    return order


def _pauses() -> Iterator[float]:
    """Yield growing pauses without end, in seconds."""
    pause_s = _PAUSE_S
    while True:
        yield pause_s
        pause_s = min(pause_s * 2, _PAUSE_MAX_S)
