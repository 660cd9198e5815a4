"""Several schedulers on one PostgreSQL store, a state directory each: one is active, the others stand by."""

from __future__ import annotations

import random
import time
from collections.abc import Sequence
from contextlib import suppress
from pathlib import Path
from typing import Any

from tests.torture.daemon import START_S, Broken, Daemon, Verb

NAMESPACE = "torture"
# How long attempts go on unheard. Twice what a renewal may take on a busy machine.
ATTEMPTS_S = 6.0
FENCED = 4
TRIES = 4


class Fleet:
    """To be used like a Daemon, which is the active one of them; the words of `run` and what it says are the same."""

    def __init__(self, folder: Path, config: Path, mark: str, code: Path | None, url: str, size: int) -> None:
        words = ["--store", url, "--namespace", NAMESPACE]
        more = {"DAGSCHED_ATTEMPT_LEASE": f"{ATTEMPTS_S:g}s"}
        names = [f"-{chr(ord('a') + number)}" for number in range(size)]
        self.places = [Daemon(folder, config, f"{mark}{name}", code, name, words, more) for name in names]
        self.numbers: set[int] = set()
        self.runs: list[str] = []
        for each in self.places:
            each.numbers, each.runs = self.numbers, self.runs
        self.restart_s: list[float] = []
        self.dice = random.Random(mark)
        self.strays = True  # whether commands are now and then given where nobody is active
        self._active: Daemon | None = None

    # ------------------------------------------------------------ who is active

    @property
    def active(self) -> Daemon:
        """Return the one that came up last, or the last that was."""
        self.listen()
        return self._active or self.places[0]

    @property
    def standby(self) -> list[Daemon]:
        return [each for each in self.places if each is not self.active and each.is_up()]

    def listen(self) -> None:
        """Take in what all of them have printed; one that says it has started is the active one from then on."""
        for each in self.places:
            was_ready = each.is_ready
            each.listen()
            if each.is_ready and not was_ready:
                self._active = each

    def is_up(self) -> bool:
        return self.active.is_ready and self.active.is_up()

    def start(self) -> None:
        """Start those that do not run, and wait until one is active; raises Broken when none becomes so."""
        began = time.monotonic()
        for each in self.places:
            if not each.is_up():
                each.launch()
        self.await_active(began)

    def await_active(self, began: float) -> None:
        """Wait for an active one; `began`: since when there may have been none."""
        while not self.is_up():
            if time.monotonic() - began > START_S:
                said = "\n".join(f"{each.place}: {each.complaint()}" for each in self.places)
                raise Broken("P7", f"nobody took over within {START_S:.0f} s: {said}")
            self.mend()
            time.sleep(0.01)
        self.restart_s.append(time.monotonic() - began)

    def mend(self) -> bool:
        """Start again whoever has lost the lease and ended, as a supervisor does; return whether there was one."""
        ended = [each for each in self.places if each.process is not None and not each.is_up()]
        for each in ended:
            assert each.process is not None
            if each.process.returncode != FENCED:
                words = f"the daemon{each.place} ended by itself with {each.process.returncode}: {each.complaint()}"
                raise Broken("P7", words)
            each.launch()
        return bool(ended)

    # ------------------------------------------------------------ like one daemon

    @property
    def state_dir(self) -> Path:
        return self.active.state_dir

    @property
    def state_dirs(self) -> Sequence[Path]:
        return [each.state_dir for each in self.places]

    @property
    def marks(self) -> Sequence[str]:
        return [each.mark for each in self.places]

    @property
    def env(self) -> dict[str, str]:
        return self.active.env

    @property
    def starts(self) -> int:
        return sum(each.starts for each in self.places)

    @property
    def events(self) -> int:
        return sum(each.events for each in self.places)

    def signal(self, number: int) -> None:
        self.active.signal(number)

    def wait(self, timeout_s: float) -> int:
        return self.active.wait(timeout_s)

    def complaint(self) -> str:
        return self.active.complaint()

    def close(self) -> None:
        for each in self.places:
            each.close()

    def give(self, *args: str) -> Verb:
        """Give a command, on the machine of the active one or now and then on another."""
        is_astray = self.strays and args[0] not in ("stop", "status") and self.dice.random() < 0.1
        return (self.dice.choice(self.places) if is_astray else self.active).give(*args)

    def intrude(self, *args: str) -> int:
        return self.active.intrude(*args)

    def read(self, *args: str) -> str:
        """Return what a reading command prints; who is asked may lose its lease meanwhile."""
        for _ in range(TRIES - 1):
            with suppress(Broken):
                return self.active.read(*args)
            time.sleep(1)
        return self.active.read(*args)

    def status(self) -> dict[str, Any]:
        return self.active.status()
