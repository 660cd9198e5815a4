"""A round on a PostgreSQL server: two or three schedulers take over from each other, and the server dies as well.

What a round on SQLite knows goes on here: edits, commands, deaths of daemons and spawners. An attempt belongs to the
machine that started it. When its scheduler is not heard of for long, it is ended there and called lost; the driver
notes when that may have been, and the auditor asks of these attempts only that what ended well is not done again. Where
a machine was silent for so long that nobody waits for it any more, that is noted as the death of a spawner.
"""

from __future__ import annotations

import os
import signal
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Any

from tests.postgres import Server, own_server
from tests.torture import processes
from tests.torture.daemon import Daemon
from tests.torture.driver import STOP_S, Round
from tests.torture.fleet import ATTEMPTS_S, FENCED, Fleet

# A renewal is sent each second, and may take one on a busy machine.
RENEWED_S = 2.0
# After so much silence an attempt may be called lost before its machine has told how it ended: ten seconds after its
# lease it is, and a scheduler that is started again must begin to report by then, on a busy machine.
GIVEN_UP_S = ATTEMPTS_S + 2


class SharedRound(Round):
    """A round whose daemons share a server of its own."""

    daemon: Fleet

    def _make_daemon(self, config: Path, mark: str, code: Path | None) -> Any:
        self.server: Server = own_server()
        return Fleet(self.folder, config, mark, code, self.server.url, self.dice.choice((2, 3)))

    def _deeds(self) -> list[tuple[Callable[[], None], int]]:
        more = [(self._crash_server, 2), (self._restart_server, 1), (self._freeze_server, 1), (self._kill_standby, 1)]
        return [*super()._deeds(), *more]

    def _must_be_up(self) -> None:
        began = time.monotonic()
        with self._silence(10):
            if not self.daemon.mend() and self.daemon.is_up():
                return
            self.daemon.await_active(began)

    @contextmanager
    def _silence(self, earlier_s: float = 0) -> Iterator[None]:
        """Note, if so, that attempts may have heard nothing for too long in the meantime, or `earlier_s` before it."""
        before, starts, began = self.daemon.active, self.daemon.active.starts, time.time()
        yield
        after, ended = self.daemon.active, time.time()
        changed = after is not before or (earlier_s and after.starts != starts)
        if changed or ended - began > ATTEMPTS_S - RENEWED_S:
            self.notes.unheard.append((began - earlier_s, ended))
            if ended - began + earlier_s > GIVEN_UP_S:
                self.notes.spawner_kills.append(began - earlier_s)
            self._tell(f"  {before.place} was not heard of; {after.place} is active")

    # ------------------------------------------------------------ deaths

    def _kill(self) -> None:
        with self._silence():
            self._kill_one(self.daemon.active, aimed=True)

    def _kill_standby(self) -> None:
        if others := self.daemon.standby:
            with self._silence():
                self._kill_one(self.dice.choice(others))

    def _kill_one(self, place: Daemon, *, aimed: bool = False) -> None:
        if aimed:
            self._aim()
        place.signal(signal.SIGKILL)
        place.wait(STOP_S)
        self._while_down()
        self.daemon.start()

    def _kill_both(self) -> None:
        with self._silence():
            place = self.daemon.active
            if self.dice.random() < 0.5:
                self._kill_spawner()
                self._kill_one(place, aimed=True)
                return
            self._aim()
            place.signal(signal.SIGKILL)
            self._kill_spawner()
            place.wait(STOP_S)
            self._while_down()
            self.daemon.start()

    def _terminate(self) -> None:
        with self._silence():
            place = self.daemon.active
            place.signal(signal.SIGTERM)
            if self._must_end_well_at(place, "SIGTERM"):
                self._nothing_may_be_left_at(place)
            self._while_down()
            self.daemon.start()

    def _hand_over(self) -> None:
        with self._silence():
            place = self.daemon.active
            self._keep(place.give("stop", "--handover").finished(STOP_S))
            self._must_end_well_at(place, "stop --handover")
            self._while_down()
            self.daemon.start()

    def _must_end_well_at(self, place: Daemon, what: str) -> bool:
        """Whether it ended as told; it may have lost its lease meanwhile."""
        code = place.wait(STOP_S)
        if code not in (0, FENCED):
            self._ended_badly(what, code, place.complaint())
        return code == 0

    def _nothing_may_be_left_at(self, place: Daemon) -> None:
        patience = time.monotonic() + 1
        while found := processes.marked(place.mark):
            if time.monotonic() > patience:
                self.notes.left += [f"after SIGTERM: process {pid} ({words})" for pid, words in found.items()]
                return
            time.sleep(0.05)

    def _freeze(self) -> None:
        with self._silence():
            place = self.daemon.active
            place.signal(signal.SIGSTOP)
            self._is_frozen = True
            time.sleep(self.dice.choice((0.3, 1.0, 3.0, 5.0)))
            if self.dice.random() < 0.3:
                self._command()
            if self.dice.random() < 0.3:
                self._edit_now()
            place.signal(signal.SIGCONT)
            self._is_frozen = False
            began = time.monotonic()
            self.daemon.mend()
            self.daemon.await_active(began)

    def _intrude(self) -> None:
        """Start a second daemon on a state directory that has one: it is refused and disturbs nothing."""
        place = self.daemon.active
        starts, how = place.starts, self.dice.choice((["run"], ["run", "--once"]))
        code = place.intrude(*how)
        if code != FENCED and place.is_up() and place.starts == starts:
            self.notes.remarks.append(("P1", f"a second {' '.join(how)} on the same state gave {code}, not 4"))

    # ------------------------------------------------------------ the server

    def _crash_server(self) -> None:
        self._without_server(self.server.crash, self.server.start)

    def _restart_server(self) -> None:
        self._without_server(self.server.stop, self.server.start)

    def _freeze_server(self) -> None:
        self._without_server(lambda: self._signal_server(signal.SIGSTOP), lambda: self._signal_server(signal.SIGCONT))

    def _signal_server(self, number: signal.Signals) -> None:
        for pid in self.server.pids():
            with suppress(ProcessLookupError):
                os.kill(pid, number)

    def _without_server(self, end: Callable[[], None], begin: Callable[[], None]) -> None:
        self._gather(wait=True)
        with self._silence():
            self._aim()
            end()
            self._is_frozen = True
            if self.dice.random() < 0.3:
                self._command()
            if self.dice.random() < 0.3:
                self._edit_now()
            time.sleep(self.dice.choice((0.0, 0.3, 2.0, 4.0, 7.0)))
            begin()
            self._is_frozen = False
            self._await_commits()

    def _await_commits(self) -> None:
        """Wait until an active scheduler writes again, or none has anything to write."""
        began, seen = time.monotonic(), self.daemon.events
        self.daemon.await_active(began)
        while time.monotonic() < began + RENEWED_S and self.daemon.events == seen:
            self.daemon.mend()
            time.sleep(0.05)
            self.daemon.listen()
        self.daemon.await_active(began)

    # ------------------------------------------------------------ the end

    def _quieten(self) -> None:
        self.daemon.strays = False
        super()._quieten()

    def _stop(self) -> None:
        for place in self.daemon.standby:
            place.signal(signal.SIGTERM)
            self._must_end_well_at(place, "SIGTERM while standing by")
        super()._stop()

    def _abandon(self) -> None:
        self._signal_server(signal.SIGCONT)
        for place in self.daemon.places:
            if place.is_up():
                place.signal(signal.SIGKILL)
                place.wait(STOP_S)
        super()._abandon()
