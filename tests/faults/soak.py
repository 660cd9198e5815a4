"""A real daemon under load for a long time: its memory stays where it was.

    python -m tests.faults.soak --minutes 60

Twenty jobs come due every second or two, with joins, outputs, failures and retries; every few seconds the job file
is edited or somebody triggers, pauses, cancels or looks. The resident memory of daemon and spawner is sampled every
few seconds. The first fifth of the time is warm-up. Of what comes after it, the last quarter must not lie more than
5 % above the first. Exit code 1 when it does, or when something else went wrong; the figures are printed either way.
"""

from __future__ import annotations

import argparse
import asyncio
import json
import random
import signal
import subprocess
import sys
import tempfile
import time
from collections import Counter
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from dagsched.api.client import call
from dagsched.errors import Refused
from tests.daemon.served import ask, environment, rows
from tests.faults.memory import GROWTH_MAX, growth, resident_kb, warm
from tests.torture.processes import spawners

SAMPLES = 240
CHAINS = 5
DEED_S = 5.0


def jobs(edition: int) -> dict[str, Any]:
    """Return the job file of an edit: the same load each time, one job changed and one that comes and goes."""
    declared: dict[str, Any] = {}
    for number in range(CHAINS):
        declared[f"source-{number}"] = {
            "schedule": {"every": f"{1 + number % 2}s"},
            "run": 'echo "rows=$DAGSCHED_TICK" >> "$DAGSCHED_OUTPUT"; echo did it',
        }
        declared[f"middle-{number}"] = {"depends_on": [f"source-{number}"], "run": ["true"]}
        declared[f"sink-{number}"] = {"depends_on": [f"middle-{number}"], "run": "true && true"}
        declared[f"shaky-{number}"] = {
            "schedule": {"every": "2s"},
            "run": f"test $(($(date +%s) / 2 % 3)) -eq {number % 3}",
            "retry": {"max_attempts": 2, "delay": "200ms"},
        }
    declared["edited"] = {"schedule": {"every": "5s"}, "run": f"echo edition {edition}"}
    if edition % 2:
        declared["now-and-then"] = {"schedule": {"every": "3s"}, "run": "true"}
    declared["held"] = {"run": "sleep 30"}
    return {"version": 1, "jobs": declared}


class Soak:
    """One daemon, what is done to it, and the samples taken."""

    def __init__(self, folder: Path, minutes: float, seed: int) -> None:
        self.folder, self.length_s = folder, minutes * 60
        self.dice = random.Random(seed)
        self.edition = 0
        self.samples: dict[str, list[int]] = {"daemon": [], "spawner": []}
        self.deeds: Counter[str] = Counter()

    def run(self) -> bool:
        """Go through it all, tell what was seen, and return whether memory stayed where it was."""
        self._edit()
        with (self.folder / "stderr").open("w") as stderr:
            daemon = subprocess.Popen(
                [sys.executable, "-m", "dagsched", "run", "--json"],
                cwd=self.folder, stdout=subprocess.DEVNULL, stderr=stderr, env=environment(),
            )  # fmt: skip
        try:
            self._live(daemon)
        finally:
            daemon.send_signal(signal.SIGINT)
            time.sleep(1)
            daemon.send_signal(signal.SIGINT)
            daemon.wait(60)
        return self._report()

    def _live(self, daemon: subprocess.Popen[bytes]) -> None:
        state = self.folder / ".dagsched"
        while not spawners(state):
            time.sleep(0.1)
        (spawner,) = spawners(state)
        began = time.monotonic()
        pause_s = self.length_s / SAMPLES
        next_sample, next_deed = began + pause_s, began + DEED_S
        while time.monotonic() < began + self.length_s:
            time.sleep(max(0.0, min(next_sample, next_deed) - time.monotonic()))
            if time.monotonic() >= next_deed:
                next_deed += DEED_S
                self._do_something()
            if time.monotonic() >= next_sample:
                next_sample += pause_s
                self.samples["daemon"].append(resident_kb(daemon.pid))
                self.samples["spawner"].append(resident_kb(spawner))
                self._write_samples()

    # ------------------------------------------------------------ deeds

    def _do_something(self) -> None:
        deed = self.dice.choice(
            (self._edit, self._edit, self._trigger, self._trigger, self._pause, self._cancel, self._look)
        )
        self.deeds[deed.__name__.strip("_")] += 1
        deed()

    def _edit(self) -> None:
        self.edition += 1
        draft = self.folder / ".draft"
        draft.write_text(json.dumps(jobs(self.edition)))
        draft.rename(self.folder / "jobs.yaml")

    def _trigger(self) -> None:
        self._tell("trigger", job=self.dice.choice(("middle-1", "source-2", "edited")))

    def _pause(self) -> None:
        job = f"source-{self.dice.randrange(CHAINS)}"
        self._tell("pause", job=job)
        self._tell("resume", job=job)

    def _cancel(self) -> None:
        answer = self._tell("trigger", job="held")
        if answer:
            self._tell("cancel", run=answer["runs"][0])

    def _look(self) -> None:
        ask(self.folder, "history", "--json", "--limit", "50")
        ask(self.folder, "status", "--json")

    def _tell(self, verb: str, **body: str) -> dict[str, Any] | None:
        try:
            return asyncio.run(call(self.folder / ".dagsched", verb, body))
        except Refused:
            return None  # paused twice, already over: nothing that matters here

    # ------------------------------------------------------------ what came of it

    def _write_samples(self) -> None:
        (self.folder / "samples.json").write_text(json.dumps(self.samples))

    def _report(self) -> bool:
        history = rows(ask(self.folder, "history", "--json", "--limit", "0"))
        states = Counter(row["state"] for row in history)
        events = len(ask(self.folder, "events", "--json").splitlines())
        print(f"{len(history)} rows {dict(states)}, {events} events, deeds {dict(self.deeds)}")
        complaints = (self.folder / "stderr").read_text()
        if complaints:
            print(f"the daemon said:\n{complaints[-2000:]}")
        kept = [verdict(name, each) for name, each in self.samples.items()]
        return all(kept) and "ERROR" not in complaints and states["success"] > 0


def verdict(name: str, samples: Sequence[int]) -> bool:
    """Print the figures of one process and return whether its memory stayed within 5 %."""
    after = warm(samples)
    grown = growth(after)
    print(
        f"{name}: {samples[0]} kB at first, {after[0]} kB after the warm-up, {after[-1]} kB at the end, "
        f"at most {max(samples)} kB; {grown:+.1%} ({len(samples)} samples)"
    )
    return grown <= GROWTH_MAX


def main() -> int:
    """Run the command line."""
    parser = argparse.ArgumentParser(prog="python -m tests.faults.soak", description=__doc__.split("\n\n")[0])
    parser.add_argument("--minutes", type=float, default=60)
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--folder", type=Path, help="where to keep state and samples (default: a temporary folder)")
    args = parser.parse_args()
    if args.folder is not None:
        args.folder.mkdir(parents=True, exist_ok=True)
        return 0 if Soak(args.folder, args.minutes, args.seed).run() else 1
    with tempfile.TemporaryDirectory(prefix="dagsched-soak-") as folder:
        return 0 if Soak(Path(folder), args.minutes, args.seed).run() else 1


if __name__ == "__main__":
    sys.exit(main())
