"""Several schedulers, and workers, on one PostgreSQL server, killed, frozen and thawed while they share the same ticks.

Every scheduler has a state directory of its own, as on a machine of its own; the job file and the journal are shared.
What is gathered is what one daemon's round gathers, so the same auditor judges it. That a scheduler or a worker dies or
freezes is why an attempt of its machine may be lost; it is no reason to do again what has ended well, unless that
machine was silent for so long that nobody waits for it any more.

`python -m tests.torture.fight [--seconds S] [--seed N] [--workers N]` plays a round on a server of its own.
"""

from __future__ import annotations

import argparse
import json
import os
import random
import signal
import subprocess
import sys
import tempfile
import time
import uuid
from collections.abc import Callable, Sequence
from contextlib import suppress
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from dagsched.stores import Address
from tests.postgres import Server, own_server
from tests.torture import processes
from tests.torture.auditor import audit, repeated_work, summary
from tests.torture.daemon import COMMAND, Daemon
from tests.torture.edits import rename_over, text_of
from tests.torture.evidence import read_folder, read_journal
from tests.torture.world import QUICK, SENTINEL, WORKER, Sheet

SCHEDULERS = 4
WORKERS = 2
LEASE, WORKER_LEASE = "5s", "12s"
# After so many seconds of silence an attempt may be called lost before its machine can say how it ended: so much of
# lease, grace and margin is left for a new program to start and report on a busy machine.
GIVEN_UP_S, WORKER_GIVEN_UP_S = 8.0, 8.0
# An attempt that was left alone is lost at most so long after that: the longer lease, TERM, KILL, and a margin.
BURIED_S = 20.0
REST_S = 90.0
STOP_S = 30.0
RELOAD_S = 10.0


@dataclass(slots=True)
class Member(Daemon):
    """One scheduler after another on a machine of its own."""

    frozen_until: float = 0.0
    silent_since: float = 0.0  # wall time, 0 while it can speak
    given_up_s: float = GIVEN_UP_S

    def fall_silent(self) -> None:
        self.silent_since = time.time()

    def speak(self) -> float:
        """Return since when nobody can have waited for it any more, 0 if it was not silent for that long."""
        since, self.silent_since = self.silent_since, 0.0
        return since if since and time.time() - since > self.given_up_s else 0.0

    @property
    def is_active(self) -> bool:
        """Whether the one that is up, or was last, has ever led."""
        self.listen()
        return self.is_ready


@dataclass(slots=True)
class Hand(Member):
    """One worker after another on a machine of its own."""

    def launch(self) -> None:
        """Start a worker and do not wait for it."""
        self.starts += 1
        words = ["worker", "--queues", "far", "--slots", "4", "--grace", "1s", "--state-dir", str(self.state_dir)]
        with open(self._paths()[1], "wb") as stderr:
            self.process = subprocess.Popen(
                [*COMMAND, *words], stdin=subprocess.DEVNULL, stdout=stderr, stderr=stderr, cwd=self.folder,
                env={**self.env, processes.MARK: self.mark}, start_new_session=True,
            )  # fmt: skip


class Fight:
    """A round in `folder`, which must be empty; most of `beats` jobs are due each second.

    `server`: crashed too, if given. With `workers`, a third of the jobs is theirs.
    `script`: deeds that are done first, in this order, to whoever is active then; what follows is as the seed says, for
    as long as it takes until `runs_min` runs have started.
    """

    def __init__(
        self,
        seed: int,
        seconds: float,
        folder: Path,
        address: Address,
        server: Server | None = None,
        *,
        beats: int = 20,
        script: Sequence[str] = (),
        runs_min: int = 0,
        workers: int = 0,
    ) -> None:
        self.seed, self.seconds, self.folder, self.server = seed, seconds, folder, server
        self.script, self.runs_min = list(script), runs_min
        self.dice = random.Random(seed)
        self.journal = folder / "journal.txt"
        self.path = folder / "jobs.yaml"
        self.mark = f"fight-{seed}-{uuid.uuid4()}"
        self.beats = beats
        store = {"DAGSCHED_STORE": address.url, "DAGSCHED_NAMESPACE": address.namespace}
        self.env = {**store, "DAGSCHED_ATTEMPT_LEASE": LEASE, "DAGSCHED_WORKER_LEASE": WORKER_LEASE}
        self.members = [
            Member(folder, self.path, self.mark, place=f"-{number}", more=self.env) for number in range(SCHEDULERS)
        ]
        self.hands = [
            Hand(folder, self.path, self.mark, place=f"-w{number}", more=self.env, given_up_s=WORKER_GIVEN_UP_S)
            for number in range(workers)
        ]
        self.sheets = [self._sheet(is_over=False), self._sheet(is_over=True)]
        self.unheard: list[tuple[float, float]] = []
        self.given_up: list[float] = []
        self.left: list[str] = []
        self.remarks: list[tuple[str, str]] = []
        self.deeds: list[str] = []
        self.open: dict[str, str] = {}
        self.began = self.reload_at = time.monotonic()

    def run(self) -> None:
        """Play the round and write the evidence; what breaks it is a remark in there."""
        self.path.write_text(text_of(self.sheets[0]))
        try:
            for member in self._all():
                member.launch()
            self._until_ticking()
            self._fight()
            self._quieten()
            self._collect()
        finally:
            self._clear_away()
            for member in self._all():
                member.close()

    def _all(self) -> list[Member]:
        return [*self.members, *self.hands]

    # ------------------------------------------------------------ what is done to them

    def _fight(self) -> None:
        until = time.monotonic() + self.seconds
        while time.monotonic() < until or self.script or self._runs() < self.runs_min:
            self._revive()
            if self.script:
                self._wait(self._is_led, "nobody became active")
                {deed.__name__: deed for deed, _ in self._deeds()}[f"_{self.script[0]}"]()
                del self.script[0]
            else:
                self.dice.choices(*zip(*self._deeds(), strict=True))[0]()
            time.sleep(self.dice.choice((0.2, 0.7, 1.5, 3.0)))

    def _deeds(self) -> list[tuple[Callable[[], None], int]]:
        deeds: list[tuple[Callable[[], None], int]] = [
            (self._kill, 4), (self._freeze, 4), (self._terminate, 1), (self._command, 1),
        ]  # fmt: skip
        if self.hands:
            deeds += [(self._kill_worker, 3), (self._freeze_worker, 2)]
        return [*deeds, (self._crash_server, 2)] if self.server is not None else deeds

    def _victim(self) -> Member | None:
        """Return one that is up: most of the time the active one."""
        up = [each for each in self.members if each.is_up() and not each.frozen_until]
        active = [each for each in up if each.is_active]
        is_sure = bool(self.script) or self.dice.random() < 0.7
        return self.dice.choice(active if active and is_sure else up) if up else None

    def _kill(self, victim: Member | None = None) -> None:
        if (victim := victim or self._victim()) is not None:
            self._tell(f"kill {victim.place}")
            self._silence(victim)
            victim.signal(signal.SIGKILL)
            assert victim.process is not None
            victim.process.wait()

    def _kill_worker(self) -> None:
        self._kill(self.dice.choice([each for each in self.hands if each.is_up()] or [None]))

    def _freeze_worker(self) -> None:
        up = [each for each in self.hands if each.is_up() and not each.frozen_until]
        if up:
            # Beyond its lease, or not.
            self._freeze(self.dice.choice(up), self.dice.choice((2.0, 16.0)))

    def _freeze(self, victim: Member | None = None, length_s: float = 0.0) -> None:
        if (victim := victim or self._victim()) is not None:
            length_s = length_s or (8.0 if self.script else self.dice.choice((0.5, 2.0, 4.0, 8.0)))
            self._tell(f"freeze {victim.place} for {length_s} s")
            self._silence(victim)
            victim.signal(signal.SIGSTOP)
            victim.frozen_until = time.monotonic() + length_s

    def _terminate(self) -> None:
        if (victim := self._victim()) is not None:
            self._tell(f"terminate {victim.place}")
            victim.signal(signal.SIGTERM)

    def _crash_server(self) -> None:
        assert self.server is not None
        self._tell("crash the server")
        self._note()
        self.server.crash()
        time.sleep(self.dice.choice((0.1, 1.0, 2.0)))
        self.server.start()

    def _command(self) -> None:
        verb = self.dice.choice(("pause", "resume"))
        # Beside one that is frozen a command waits for it.
        beside = next((each for each in self.members if each.is_up() and not each.frozen_until), None)
        if beside is not None:
            self._tell(f"{verb} j00")
            beside.give(verb, "j00").finished(STOP_S)

    def _revive(self) -> None:
        for member in self._all():
            if member.frozen_until and time.monotonic() > member.frozen_until:
                self._tell(f"thaw {member.place}")
                member.frozen_until = 0.0
                # From the thaw on it is known to see again what it has missed.
                self._note()
                member.signal(signal.SIGCONT)
                if isinstance(member, Hand):
                    self._end_silence(member)
            elif not member.is_up():
                member.launch()
                self._end_silence(member)

    def _note(self) -> None:
        self.unheard.append((time.time(), time.time()))

    def _silence(self, member: Member) -> None:
        self._note()
        member.fall_silent()

    def _end_silence(self, member: Member) -> None:
        if since := member.speak():
            self._tell(f"{member.place} was given up")
            self.given_up.append(since)

    def _tell(self, words: str) -> None:
        self.deeds.append(f"{time.monotonic() - self.began:7.2f} {words}")

    # ------------------------------------------------------------ the end

    def _until_ticking(self) -> None:
        self._wait(lambda: self.journal.exists(), "no job ever started")

    def _quieten(self) -> None:
        for member in self._all():
            member.frozen_until = member.frozen_until and 1e-9
        self._revive()
        self._wait(self._is_led, "nobody became active")
        self.members[0].give("resume", "j00").finished(STOP_S)
        rename_over(self.path, text_of(self.sheets[1]), self.dice)
        self.reload_at = time.monotonic() + RELOAD_S
        self._wait(self._is_last_edit_in_force, "the last edit never came into force")
        self._wait(self._is_idle, "not everything came to an end")
        self._tell("stop")
        for member in self._all():
            if member.is_up():
                member.signal(signal.SIGTERM)
        for member in self._all():
            assert member.process is not None
            code = member.process.wait(STOP_S)
            if code not in (0, 4):
                self.remarks.append(("P7", f"{member.place} ended with {code}: {member.complaint()}"))
        self.stopped = datetime.now(UTC)
        self._nothing_may_be_left()

    def _up(self) -> list[Member]:
        self._revive()
        return [each for each in self.members if each.is_up()]

    def _is_led(self) -> bool:
        return any(each.is_active for each in self._up() if not each.frozen_until)

    def _runs(self) -> int:
        lines = read_journal(self.journal.read_text()) if self.journal.exists() else []
        return len({line.run for line in lines if line.kind == "start"})

    def _is_last_edit_in_force(self) -> bool:
        jobs = self._jobs()
        if jobs is not None and any(each["job"] == self._sentinel(self.sheets[1]) for each in jobs):
            return True
        if time.monotonic() > self.reload_at:
            # Who took over after the edit goes on with what is stored, and says that its files count once it is asked.
            self.reload_at = time.monotonic() + RELOAD_S
            for member in self._up():
                if member.is_active and not member.frozen_until:
                    self._tell(f"reload {member.place}")
                    member.give("reload").finished(STOP_S)
        return False

    def _is_idle(self) -> bool:
        jobs = self._jobs()
        last = {each["job"]: each["last"]["state"] for each in jobs or () if each["last"]}
        self.open = {job: state for job, state in last.items() if state in LIVE}
        return jobs is not None and not self.open

    def _jobs(self) -> list[dict[str, Any]] | None:
        """Return what `status` says of the jobs in force, None while the server is away."""
        self._revive()
        row = self.members[0].give("status", "--json").finished(STOP_S)
        found: list[dict[str, Any]] | None = None if row["code"] else json.loads(row["out"])["jobs"]
        return found

    def _nothing_may_be_left(self) -> None:
        # A spawner answers before it ends itself, and one whose scheduler was killed lives for as long as the lease.
        with suppress(AssertionError):
            self._wait(lambda: not self._alive(), "", BURIED_S)
        self.left += [f"after the stop: process {pid} ({words})" for pid, words in self._alive().items()]

    def _alive(self) -> dict[int, str]:
        lines = read_journal(self.journal.read_text()) if self.journal.exists() else []
        return processes.alive_of(lines)

    def _wait(self, is_so: Callable[[], bool], what: str, patience_s: float = REST_S) -> None:
        deadline = time.monotonic() + patience_s
        while not is_so():
            if time.monotonic() > deadline:
                told = "\n".join(f"{each.place}: {each.complaint()}" for each in self._all())
                raise AssertionError(f"{what}; open: {self.open}; {self.deeds[-5:]}\n{told}")
            time.sleep(0.1)

    def _clear_away(self) -> None:
        for member in self._all():
            if member.is_up():
                member.signal(signal.SIGKILL)
                assert member.process is not None
                member.process.wait()
            for pid in processes.spawners(member.state_dir):
                with suppress(ProcessLookupError):
                    os.kill(pid, signal.SIGKILL)
        for pid in {**processes.marked(self.mark), **self._alive()}:
            with suppress(ProcessLookupError):
                os.kill(pid, signal.SIGKILL)

    # ------------------------------------------------------------ jobs and evidence

    def _sheet(self, *, is_over: bool) -> Sheet:
        """Return the job file: quick beats, some that live on, a chain below, a pool; `is_over`: all disabled."""
        plain: dict[str, Any] = {"retry": {"max_attempts": 9, "delay": "100ms"}, "catchup": "all", "overlap": "allow"}
        jobs: dict[str, dict[str, Any]] = {}
        for number in range(self.beats):
            job = {**plain, "schedule": {"every": "1s"}}
            if number % 5 == 4:
                work = f"{sys.executable} -I -S {WORKER} {self.journal} {0.5 + number % 3} 10 -"
                job |= {"run": work, "schedule": {"every": "5s"}, "pool": "narrow", "overlap": "queue"}
            else:
                job["run"] = f"sh {QUICK} {self.journal} {'flaky' if number % 5 == 3 else 'steady'}"
            if self.hands and number % 3 == 0:
                job["queue"] = "far"
            jobs[f"j{number:02}"] = job
        below = {"depends_on": [{"job": "j01", "match": "latest"}], "run": f"sh {QUICK} {self.journal} steady"}
        jobs[f"j{self.beats:02}"] = {**plain, **below}
        edit = f"{SENTINEL}-0-{int(is_over)}"
        made = {
            id: {**job, "env": {"EDIT": edit}, **({"enabled": False} if is_over else {})} for id, job in jobs.items()
        }
        return {"version": 1, "pools": {"narrow": 3}, "jobs": {**made, edit: {"run": "true"}}}

    def _sentinel(self, sheet: Sheet) -> str:
        return next(id for id in sheet["jobs"] if id.startswith(SENTINEL))

    def _collect(self) -> None:
        one = self.members[0]
        history, events = one.read("history", "--json", "--limit", "0"), one.read("events", "--json")
        (self.folder / "history.jsonl").write_text(history)
        (self.folder / "events.jsonl").write_text(events)
        names = "\n".join(json.loads(line)["run"] for line in history.splitlines())
        shows = subprocess.run(
            [sys.executable, str(Path(__file__).with_name("shows.py")), str(one.state_dir)],
            input=names, capture_output=True, text=True, check=True, cwd=self.folder, env=one.env,
        )  # fmt: skip
        (self.folder / "shows.jsonl").write_text(shows.stdout)
        self._search_logs()
        (self.folder / "driver.json").write_text(
            json.dumps(self._notes([json.loads(each) for each in events.splitlines()]))
        )

    def _search_logs(self) -> None:
        for path in [*self.folder.glob("daemon-*.err"), *self.folder.glob("state-*/spawner.log")]:
            text = path.read_text(errors="replace")
            if "Traceback" in text or "made anew" in text:
                self.remarks.append(("log", f"{path.name}: {text[-1500:]}"))

    def _notes(self, events: list[dict[str, Any]]) -> dict[str, Any]:
        applied = [event for event in events if event["type"] == "config.applied"]
        versions = [
            {"number": number, "applied": event["time"], "candidates": [[self.sheets[min(number, 2) - 1]]]}
            for number, event in enumerate(applied, 1)
        ]
        nothing: dict[str, Any] = {"snapshots": [], "verbs": [], "spawner_freezes": [], "reload_s": []}
        return nothing | {
            "seed": self.seed, "versions": versions, "left": self.left, "remarks": self.remarks,
            "spawner_kills": self.given_up, "unheard": self.unheard, "stopped": self.stopped.isoformat(),
            "restart_s": [], "deeds": self.deeds,
        }  # fmt: skip


LIVE = ("waiting", "queued", "running", "retrying")


def play(fight: Fight) -> list[str]:
    """Play a round and return what it broke, and at the end of it nothing."""
    fight.run()
    return [str(each) for each in audit(read_folder(fight.folder))]


def takeovers(folder: Path) -> int:
    """Return how often a scheduler became the active one."""
    return sum(event["type"] == "daemon.started" for event in read_folder(folder).events)


def main() -> int:
    """Play one round; return 1 if it broke a promise."""
    parser = argparse.ArgumentParser(prog="python -m tests.torture.fight")
    parser.add_argument("--seconds", type=float, default=60)
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--workers", type=int, default=WORKERS)
    parser.add_argument("--keep", type=Path)
    args = parser.parse_args()
    signal.signal(signal.SIGTERM, signal.default_int_handler)
    server = own_server()
    folder = args.keep or Path(tempfile.mkdtemp(prefix="fight-"))
    folder.mkdir(parents=True, exist_ok=True)
    fight = Fight(args.seed, args.seconds, folder, Address(server.url), server, workers=args.workers)
    broken = play(fight)
    evidence = read_folder(folder)
    print(summary(evidence), f"{takeovers(folder)} times somebody became active", *fight.deeds, sep="\n")
    print(*(f"repeated after success: {each}" for each in repeated_work(evidence)), sep="\n")
    print(*broken, sep="\n")
    print(f"{len(broken)} violations; {folder}")
    return 1 if broken else 0


if __name__ == "__main__":
    sys.exit(main())
