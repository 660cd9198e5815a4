"""Many rounds side by side, each in a process of its own, so that one that fails ends no other."""

from __future__ import annotations

import os
import shutil
import signal
import subprocess
import sys
import tempfile
import time
from collections import Counter, deque
from collections.abc import Iterator, Sequence
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path

from tests.torture import processes
from tests.torture.driver import PATIENCE_S
from tests.torture.round import SQLITE, Result, read_result

ROOT = Path(__file__).parent.parent.parent
SAID = "harness.txt"
LOOK_S = 0.1
# A round's quiet end may take minutes, if its last queues are long; more is a failure of the harness.
END_S = 900.0
PARTING_S = 60.0


@dataclass(frozen=True, slots=True)
class Order:
    """A round to be played. `code`: the folder of the program, None for this tree; the rest is as in `play`.

    `slant`: its name, "" for none.
    """

    seed: int
    seconds: float
    code: Path | None = None
    patience_s: float = PATIENCE_S
    favours: Sequence[str] = ()
    store: str = SQLITE
    slant: str = ""


@dataclass(frozen=True, slots=True)
class Played:
    """A round that is over. `result` None: the harness failed, and `complaint` is the end of what it printed."""

    order: Order
    folder: Path
    result: Result | None
    complaint: str = ""
    took_s: float = 0.0

    @property
    def is_clean(self) -> bool:
        return self.result is not None and not self.result.violations

    def lines(self) -> Iterator[str]:
        """Yield what is to be said of it: one line, and one for each thing that is out of the ordinary."""
        result = self.result
        if result is None:
            yield f"seed {self.order.seed}: the harness failed; evidence: {self.folder}"
            yield from (f"  {line}" for line in self.complaint.splitlines()[-15:])
            return
        starts, reloads = result.start_s, result.reload_s
        times = f"{len(starts)} starts (longest {max(starts, default=0):.2f} s)"
        times += f", {len(reloads)} edits timed (longest {max(reloads, default=0):.2f} s)"
        yield f"{result.line}, {times}, {self.took_s:.0f} s"
        yield from (f"  repeated after success: {each}" for each in result.repeated)
        yield from (f"  {words}" for _, words in result.violations)
        if result.violations:
            yield f"  evidence: {self.folder}"


def play_all(orders: deque[Order], jobs: int, keep: Path | None) -> Iterator[Played]:
    """Play rounds, `jobs` at a time, and yield each when it is over; ended early, it ends those under way.

    `orders` are taken from the left, and may be added to after each round. The rounds' folders lie below `keep`, or in
    the place for temporary files; nothing is removed here.
    """
    playing: list[_Playing] = []
    try:
        while orders or playing:
            while orders and len(playing) < jobs:
                playing.append(_Playing(orders.popleft(), keep))
            for each in [each for each in playing if each.is_over()]:
                playing.remove(each)
                yield each.played()
            time.sleep(LOOK_S)
    finally:
        for each in playing:
            each.end()


class _Playing:
    """A round under way."""

    def __init__(self, order: Order, keep: Path | None) -> None:
        self.order = order
        self.folder = Path(tempfile.mkdtemp(prefix=f"torture-{order.seed}-", dir=keep))
        self.began = time.monotonic()
        words: list[object] = [order.seed, order.seconds, self.folder, "--patience", order.patience_s]
        words += ["--store", order.store]
        if order.code is not None:
            words += ["--code", order.code]
        words += [f"--favour={name}" for name in order.favours]
        words += ["--slant", order.slant] if order.slant else []
        with (self.folder / SAID).open("w") as said:
            self.process = subprocess.Popen(
                [sys.executable, "-m", "tests.torture.round", *map(str, words)],
                stdin=subprocess.DEVNULL, stdout=said, stderr=said, cwd=ROOT,
                # An interrupt from the terminal comes once, from here.
                start_new_session=True,
            )  # fmt: skip

    @property
    def took_s(self) -> float:
        return time.monotonic() - self.began

    def is_over(self) -> bool:
        if self.process.poll() is None and self.took_s > self.order.seconds + END_S:
            self.end()
        return self.process.poll() is not None

    def end(self) -> None:
        self.process.terminate()
        with suppress(subprocess.TimeoutExpired):
            self.process.wait(PARTING_S)
        self.process.kill()
        self.process.wait()
        self._clear_away()

    def _clear_away(self) -> None:
        """End what a round that came to no end has left: daemon, spawner and jobs all name its folder."""
        for pid in processes.naming(self.folder):
            with suppress(ProcessLookupError):
                os.kill(pid, signal.SIGKILL)

    def played(self) -> Played:
        said = (self.folder / SAID).read_text(errors="replace")
        result = read_result(self.folder) if self.process.returncode == 0 else None
        if result is None:
            self._clear_away()
        complaint = said or f"it ended with {self.process.returncode}"
        return Played(self.order, self.folder, result, complaint, self.took_s)


def tell(played: Played, keep: Path | None) -> None:
    """Print a round, and remove its folder unless it is to be kept or tells of something that went wrong."""
    for line in played.lines():
        print(line, flush=True)
    if played.is_clean and keep is None:
        shutil.rmtree(played.folder)


class Total:
    """The sum of many rounds."""

    def __init__(self) -> None:
        self.rounds = self.unclean = self.failed = self.rows = self.attempts = self.events = self.repeated = 0
        self.starts: list[float] = []
        self.reloads: list[float] = []
        self.promises: Counter[str] = Counter()

    def add(self, played: Played) -> None:
        self.rounds += 1
        self.unclean += not played.is_clean
        result = played.result
        if result is None:
            self.failed += 1
            return
        self.rows, self.attempts = self.rows + result.rows, self.attempts + result.attempts
        self.events, self.repeated = self.events + result.events, self.repeated + len(result.repeated)
        self.starts += result.start_s
        self.reloads += result.reload_s
        self.promises += result.promises

    def __str__(self) -> str:
        broken = ", ".join(f"{promise} {count}" for promise, count in sorted(self.promises.items())) or "none"
        failed = f", the harness failed in {self.failed}" if self.failed else ""
        return (
            f"{self.rounds} rounds, {self.unclean} not clean{failed}: {self.rows} rows, {self.attempts} attempts, "
            f"{self.events} events, {len(self.starts)} starts of a daemon\n"
            f"violations by promise: {broken}; {self.repeated} attempts repeated after success\n"
            f"longest start {max(self.starts, default=0):.2f} s, longest reload {max(self.reloads, default=0):.2f} s"
        )
