"""One round of torture: a daemon, random job files, and everything that may happen to them, then a quiet end.

A round is random by its seed; what the machine makes of it in time is not, so a seed replays the plan of a round,
not each of its instants. Everything the auditor needs ends in the round's folder.
"""

from __future__ import annotations

import json
import os
import random
import signal
import subprocess
import sys
import time
import uuid
from collections.abc import Callable, Sequence
from contextlib import suppress
from dataclasses import dataclass, field
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, NoReturn

from tests.torture import edits, processes
from tests.torture.commands import FAVOUR, words_of_a_command
from tests.torture.daemon import Broken, Daemon, Verb
from tests.torture.evidence import read_journal
from tests.torture.slants import Slant
from tests.torture.versions import Sheets, candidates_of
from tests.torture.world import EVENTS, SENTINEL, Maker, Sheet

STOP_S = 30.0
PATIENCE_S = 30.0
REST_FACTOR = 10
CALM_S = 4.0
RELOAD_S = 3.0
VERBS_MAX = 3


@dataclass(slots=True)
class Notes:
    """What the driver keeps for the auditor."""

    verbs: list[dict[str, Any]] = field(default_factory=list)
    left: list[str] = field(default_factory=list)
    remarks: list[tuple[str, str]] = field(default_factory=list)
    snapshots: list[list[Any]] = field(default_factory=list)
    spawner_kills: list[float] = field(default_factory=list)
    spawner_freezes: list[tuple[float, float]] = field(default_factory=list)
    unheard: list[tuple[float, float]] = field(default_factory=list)
    deeds: list[str] = field(default_factory=list)
    reload_s: list[float] = field(default_factory=list)


class Round:
    """One round in `folder`, which must be empty. `kills_spawner` None: as the seed says.

    `code`: the folder of the program to torture, None for this tree. `patience_s`: for how long nothing may happen
    at the end before what is not over yet is taken to stay so. `favours`: deeds that are done, and commands that are
    given, more often than others. `slant`: what it is made of instead of a bit of everything.
    """

    def __init__(
        self,
        seed: int,
        seconds: float,
        folder: Path,
        *,
        kills_spawner: bool | None = None,
        code: Path | None = None,
        patience_s: float = PATIENCE_S,
        favours: Sequence[str] = (),
        slant: Slant | None = None,
    ) -> None:
        self.seed, self.seconds, self.folder = seed, seconds, folder
        self.patience_s, self.favours, self.slant = patience_s, favours, slant
        self.dice = random.Random(seed)
        by_seed = self.dice.random() < 0.5 or "kill_spawner" in favours
        self.kills_spawner = by_seed if kills_spawner is None else kills_spawner
        self.notes = Notes()
        self.began = time.monotonic()
        self.stopped = datetime.max.replace(tzinfo=UTC)
        names = self.dice.choice((["jobs.yaml"], ["a.yaml", "b.yaml"], ["a.yaml", "b.yaml", "c.yaml"]))
        jobs = folder / "jobs"
        jobs.mkdir()
        self.journal = folder / "journal.txt"
        self.maker = Maker(self.dice, self.journal, names, gentle=self.kills_spawner, slant=slant)
        self.paths = {name: jobs / name for name in names}
        self.daemon = self._make_daemon(jobs if len(names) > 1 else jobs / names[0], f"{seed}-{uuid.uuid4()}", code)
        self.sheets: dict[str, Sheet] = self.maker.first()
        self.written: list[Sheets] = [dict(self.sheets)]
        self.known: dict[int, Sheets] = {}
        self._by_sentinel: dict[str, tuple[str, Sheet]] = {}
        self._pending: list[Verb] = []
        self._is_frozen = False

    def _make_daemon(self, config: Path, mark: str, code: Path | None) -> Any:
        return Daemon(self.folder, config, mark, code)

    # ------------------------------------------------------------ a round

    def run(self) -> None:
        """Play the round and write the evidence; what breaks it is a remark in there."""
        for name, sheet in self.sheets.items():
            self._remember(name, sheet)
            self.paths[name].write_text(edits.text_of(sheet))
        try:
            self.daemon.start()
            self._learn()
            self._torture()
            self._quieten()
        except Broken as error:
            self.notes.remarks.append((error.promise, str(error)))
            self._abandon()
        except BaseException:
            self._abandon()
            raise
        finally:
            self.daemon.close()
        self._collect()

    def _torture(self) -> None:
        until = time.monotonic() + self.seconds
        deeds, weights = zip(*self._deeds(), strict=True)
        while time.monotonic() < until:
            deed = self.dice.choices(deeds, weights)[0]
            self._tell(_name(deed))
            deed()
            self._gather(wait=False)
            self.daemon.listen()
            if self.daemon.numbers - self.known.keys() and self.dice.random() < 0.7:
                self._learn()
            self._must_be_up()
            self.daemon.listen()
            time.sleep(self.dice.choice((0.0, 0.1, 0.3, 0.7)))
        if self.daemon.starts == 1:
            self._kill()

    def _must_be_up(self) -> None:
        if not self.daemon.is_up():
            raise Broken("P7", f"the daemon ended by itself: {self.daemon.complaint()}")

    def _deeds(self) -> list[tuple[Callable[[], None], int]]:
        harmless = [
            (self._edit, 5), (self._spoil, 1), (self._command, 8), (self._look, 1), (self._freeze, 1), (self._ask, 1),
            (self._hang_up, 1), (self._intrude, 1), (self._freeze_spawner, 1),
        ]  # fmt: skip
        deadly: list[tuple[Callable[[], None], int]] = [(self._kill, 4), (self._terminate, 1), (self._hand_over, 1)]
        if self.kills_spawner:
            deadly += [(self._kill_spawner, 2), (self._kill_both, 2)]
        shunned = () if self.slant is None else self.slant.shuns
        everything = [each for each in harmless + deadly if _name(each[0]) not in shunned]
        return [(deed, weight * FAVOUR if _name(deed) in self.favours else weight) for deed, weight in everything]

    def _tell(self, words: str) -> None:
        self.notes.deeds.append(f"{time.monotonic() - self.began:7.2f} {words}")

    # ------------------------------------------------------------ deaths

    def _aim(self) -> None:
        """Wait, half of the time, for the moment after a full second, when ticks are made and attempts start."""
        aim_s = None if self.slant is None else self.slant.aim_s
        if aim_s is not None or self.dice.random() < 0.5:
            time.sleep(1 - time.time() % 1 + self.dice.uniform(*(aim_s or (0, 0.1))))

    def _kill(self) -> None:
        self._aim()
        self.daemon.signal(signal.SIGKILL)
        self.daemon.wait(STOP_S)
        self._while_down()
        self.daemon.start()

    def _kill_spawner(self) -> None:
        self._aim()
        for pid in self._spawners():
            self.notes.spawner_kills.append(time.time())
            with suppress(ProcessLookupError):
                os.kill(pid, signal.SIGKILL)

    def _spawners(self) -> list[int]:
        return [pid for folder in self.daemon.state_dirs for pid in processes.spawners(folder)]

    def _kill_both(self) -> None:
        if self.dice.random() < 0.5:
            self._kill_spawner()
            self._kill()
            return
        self._aim()
        self.daemon.signal(signal.SIGKILL)
        self._kill_spawner()
        self.daemon.wait(STOP_S)
        self._while_down()
        self.daemon.start()

    def _terminate(self) -> None:
        self.daemon.signal(signal.SIGTERM)
        self._must_end_well("SIGTERM")
        self._nothing_may_be_left("SIGTERM")
        self._while_down()
        self.daemon.start()

    def _hand_over(self) -> None:
        self._keep(self.daemon.give("stop", "--handover").finished(STOP_S))
        self._must_end_well("stop --handover")
        self._while_down()
        self.daemon.start()

    def _freeze(self) -> None:
        self.daemon.signal(signal.SIGSTOP)
        self._is_frozen = True
        time.sleep(self.dice.choice((0.3, 1.0, 3.0)))
        if self.dice.random() < 0.3:
            self._command()
        if self.dice.random() < 0.3:
            self._edit_now()
        self.daemon.signal(signal.SIGCONT)
        self._is_frozen = False

    def _freeze_spawner(self) -> None:
        frozen, began = self._spawners(), time.time()
        for pid in frozen:
            os.kill(pid, signal.SIGSTOP)
        time.sleep(self.dice.choice((0.3, 1.0, 3.0)))
        for pid in frozen:
            with suppress(ProcessLookupError):
                os.kill(pid, signal.SIGCONT)
        self.notes.spawner_freezes.append((began, time.time()))

    def _hang_up(self) -> None:
        self.daemon.signal(signal.SIGHUP)

    def _intrude(self) -> None:
        """Start a second daemon on the same state: it is refused and disturbs nothing."""
        how = self.dice.choice((["run"], ["run", "--once"]))
        code = self.daemon.intrude(*how)
        if code != 4:
            self.notes.remarks.append(("P1", f"a second {' '.join(how)} on the same state gave {code}, not 4"))

    def _must_end_well(self, what: str) -> None:
        code = self.daemon.wait(STOP_S)
        if code:
            self._ended_badly(what, code, self.daemon.complaint())

    def _ended_badly(self, what: str, code: int, complaint: str) -> NoReturn:
        raise Broken("P7", f"after {what} the daemon ended with {code}: {complaint}")

    def _while_down(self) -> None:
        self.daemon.listen()
        for _ in range(self.dice.choice((0, 0, 1, 1, 2))):
            self.dice.choice((self._edit_now, self._command, self._spoil_now))()
        time.sleep(self.dice.choice((0.0, 0.0, 0.2, 1.0, 3.0)))

    def _nothing_may_be_left(self, what: str) -> None:
        # The spawner answers the daemon before it ends itself, so it may be seen for a moment.
        patience = time.monotonic() + 1
        while found := self._alive():
            if time.monotonic() > patience:
                self.notes.left += [f"after {what}: process {pid} ({words})" for pid, words in found.items()]
                return
            time.sleep(0.05)

    def _alive(self) -> dict[int, str]:
        lines = read_journal(self.journal.read_text()) if self.journal.exists() else []
        found = processes.alive_of(lines)
        for mark in self.daemon.marks:
            found |= processes.marked(mark)
        return found

    # ------------------------------------------------------------ edits

    def _edit(self) -> None:
        self._edit_now()
        if self.dice.random() < 0.6:
            self._wait_for_configuration()

    def _edit_now(self) -> None:
        if self.daemon.is_up() and not self._is_frozen and self.daemon.numbers - self.known.keys():
            self._learn()
        names = list(self.paths)
        several = len(names) > 1 and self.dice.random() < 0.4
        chosen = self.dice.sample(names, self.dice.randint(2, len(names))) if several else [self.dice.choice(names)]
        for name, sheet in self.maker.changed(self.sheets, chosen).items():
            self._write(name, sheet)

    def _write(self, name: str, sheet: Sheet) -> None:
        way = self.dice.choice(edits.WAYS)
        if not self.paths[name].exists():
            way = edits.rename_over
        self._remember(name, sheet)
        if way is edits.delete_and_create:
            self.written.append({**self.written[-1], name: None})
        self.sheets[name] = sheet
        self.written.append({**self.written[-1], name: sheet})
        self._tell(f"  {way.__name__} {name}: {self._sentinel(sheet)}")
        way(self.paths[name], edits.text_of(sheet), self.dice)

    def _spoil(self) -> None:
        self._spoil_now()
        time.sleep(self.dice.choice((0.1, 0.5, 1.5)))
        self._edit_now()

    def _spoil_now(self) -> None:
        name = self.dice.choice(list(self.paths))
        way = self.dice.choice((edits.rename_over, edits.in_place))
        way(self.paths[name], edits.spoiled(edits.text_of(self.sheets[name]), self.dice), self.dice)

    def _wait_for_configuration(self) -> None:
        """Wait until the newest sheets are in force, a few seconds at most, and learn which ones are."""
        began, newest = time.monotonic(), max(self.daemon.numbers, default=0)
        while time.monotonic() < began + RELOAD_S and self.daemon.is_up():
            self.daemon.listen()
            if max(self.daemon.numbers, default=0) > newest:
                self.notes.reload_s.append(time.monotonic() - began)
                break
            time.sleep(0.02)
        self._learn()

    def _learn(self) -> None:
        """Ask which version is in force, and of which sheets it was made."""
        status = self.daemon.status()
        if status["config"] is None or not status["daemon"]["running"]:
            return  # Without a daemon it tells of the files, which are not in force yet.
        ids = [row["job"] for row in status["jobs"] if row["job"].startswith(SENTINEL) and not row["removed"]]
        found = dict(self._by_sentinel[id] for id in ids)
        self.known[status["config"]["number"]] = {name: found.get(name) for name in self.paths}

    def _remember(self, name: str, sheet: Sheet) -> None:
        self._by_sentinel[self._sentinel(sheet)] = (name, sheet)

    def _sentinel(self, sheet: Sheet) -> str:
        return next(id for id in sheet["jobs"] if id.startswith(SENTINEL))

    # ------------------------------------------------------------ verbs

    def _command(self) -> None:
        if len(self._pending) >= VERBS_MAX and self._is_frozen:
            return  # Whoever is to answer those cannot.
        self._gather(wait=len(self._pending) >= VERBS_MAX)
        jobs = [id for sheet in self.sheets.values() for id in sheet["jobs"] if not id.startswith(SENTINEL)]
        runs = self.daemon.runs[-30:]
        words = words_of_a_command(self.dice, jobs, runs, self.favours)
        if not words:
            return
        self._tell(f"  {' '.join(words)}")
        self._pending.append(self.daemon.give(*words))

    def _gather(self, *, wait: bool) -> None:
        for verb in list(self._pending):
            if wait or verb.process.poll() is not None:
                self._pending.remove(verb)
                try:
                    self._keep(verb.finished(STOP_S))
                except subprocess.TimeoutExpired:
                    verb.process.kill()
                    self._keep(verb.finished(STOP_S))
                    self.notes.remarks.append(("P7", f"{' '.join(verb.args)} did not answer within {STOP_S:.0f} s"))

    def _keep(self, row: dict[str, Any]) -> None:
        self.notes.verbs.append(row)
        if "Traceback" in row["err"]:
            self.notes.remarks.append(("cli", f"{' '.join(row['args'])}: {row['err'][-800:]}"))

    def _look(self) -> None:
        rows = self.daemon.read("history", "--json", "--limit", "0")
        self.notes.snapshots.append([json.loads(line) for line in rows.splitlines()])

    def _ask(self) -> None:
        """Give a command that only reads; whatever state things are in, it answers or says what is wrong."""
        words = self.dice.choice((["status"], ["next"], ["stats"], ["graph"], ["history"], ["why"], ["logs"], ["show"]))
        if words[0] in ("why", "logs", "show"):
            if not self.daemon.runs:
                return
            run = self.dice.choice(self.daemon.runs[-30:])
            words = [words[0], run.split(":")[1] if words[0] == "why" else run]
        self._pending.append(self.daemon.give(*words))

    # ------------------------------------------------------------ the end

    def _quieten(self) -> None:
        """Let everything end by itself, stop the daemon, and look for what is left."""
        how = self.dice.choice(("disabled", "unscheduled", "empty"))
        self._tell(f"the end: {how}")
        self._gather(wait=True)
        # What a start would heal (a leaked slot, a forgotten join) must have the time to show.
        time.sleep(CALM_S)
        for row in self.daemon.status()["jobs"]:
            if row["paused"] and not row["removed"]:
                self._keep(self.daemon.give("resume", row["job"]).finished(STOP_S))
        for name, sheet in self.maker.quiet(self.sheets, how).items():
            self._remember(name, sheet)
            edits.rename_over(self.paths[name], edits.text_of(sheet), self.dice)
            self.sheets[name] = sheet
            self.written.append({**self.written[-1], name: sheet})
        self._await_last_configuration()
        for event in EVENTS:
            # What waits to be superseded by the next tick of a schedule has that of an event to wait for.
            self._keep(self.daemon.give("emit", event).finished(STOP_S))
        self._await_idleness()
        self._tell("stop")
        self._stop()
        self._tell("stopped")
        self.stopped = datetime.now(UTC)
        self._nothing_may_be_left("stop")

    def _stop(self) -> None:
        self._keep(self.daemon.give("stop").finished(STOP_S))
        self._must_end_well("stop")

    def _await_last_configuration(self) -> None:
        until = time.monotonic() + STOP_S
        while True:
            self._learn()
            if self.known[max(self.known)] == dict(self.sheets):
                return
            if time.monotonic() > until:
                raise Broken("P12", f"the last edit is not in force after {STOP_S:.0f} s: {self.daemon.complaint()}")
            time.sleep(0.2)

    def _await_idleness(self) -> None:
        began, seen = time.monotonic(), self.daemon.events
        until, limit = began + self.patience_s, began + REST_FACTOR * self.patience_s
        while True:
            rows = self.daemon.status()["jobs"]
            live = [row for row in rows if row["last"] and row["last"]["state"] in ("waiting", *_ACTIVE)]
            if not live:
                return
            # Listened to after the question, which can take long on a busy machine.
            self.daemon.listen()
            if self.daemon.events != seen:
                # A long queue may take its time, as long as something happens.
                until, seen = time.monotonic() + self.patience_s, self.daemon.events
            if time.monotonic() > min(until, limit):
                break
            time.sleep(0.5)
        for row in live:
            words = self.daemon.read("why", row["job"], row["last"]["tick"])
            self.notes.remarks.append(("P7", f"{row['last']['run']} is {row['last']['state']} for ever: {words}"))

    def _abandon(self) -> None:
        """End the daemon of a broken round, and what it leaves, by process id."""
        self._gather(wait=True)
        if self.daemon.is_up():
            self.daemon.signal(signal.SIGKILL)
            self.daemon.wait(STOP_S)
        for pid in [*self._spawners(), *self._alive()]:
            with suppress(ProcessLookupError):
                os.kill(pid, signal.SIGKILL)

    # ------------------------------------------------------------ evidence

    def _collect(self) -> None:
        history = self.daemon.read("history", "--json", "--limit", "0")
        events = self.daemon.read("events", "--json")
        (self.folder / "history.jsonl").write_text(history)
        (self.folder / "events.jsonl").write_text(events)
        (self.folder / "backfills.jsonl").write_text(self.daemon.read("backfill", "--list", "--json"))
        names = [json.loads(line)["run"] for line in history.splitlines()]
        shows = subprocess.run(
            [sys.executable, str(Path(__file__).with_name("shows.py")), str(self.daemon.state_dir)],
            input="\n".join(names), capture_output=True, text=True, errors="replace", check=False, cwd=self.folder,
            env=self.daemon.env,
        )  # fmt: skip
        if shows.returncode:
            self.notes.remarks.append(("cli", f"show failed: {shows.stderr[-1500:]}"))
        (self.folder / "shows.jsonl").write_text(shows.stdout)
        self._search_logs()
        stopped = self.stopped if self.stopped.year < 9999 else None
        (self.folder / "driver.json").write_text(
            json.dumps(
                {
                    "seed": self.seed,
                    "versions": self._versions([json.loads(line) for line in events.splitlines()]),
                    "snapshots": self.notes.snapshots,
                    "verbs": self.notes.verbs,
                    "left": self.notes.left,
                    "remarks": self.notes.remarks,
                    "spawner_kills": self.notes.spawner_kills,
                    "spawner_freezes": self.notes.spawner_freezes,
                    "unheard": self.notes.unheard,
                    "stopped": stopped.isoformat() if stopped else None,
                    "restart_s": self.daemon.restart_s,
                    "reload_s": self.notes.reload_s,
                    "deeds": self.notes.deeds,
                }
            )
        )

    def _search_logs(self) -> None:
        logs = [*self.folder.glob("daemon-*.err"), *(folder / "spawner.log" for folder in self.daemon.state_dirs)]
        for path in logs:
            text = path.read_text(errors="replace") if path.exists() else ""
            if "Traceback" in text or "made anew" in text or "a part of the daemon failed" in text:
                self.notes.remarks.append(("log", f"{path.name}: {text[-1500:]}"))

    def _versions(self, events: list[dict[str, Any]]) -> list[dict[str, Any]]:
        found = []
        for event in events:
            if event["type"] == "config.applied":
                number = int(event["reason"].split()[1].rstrip(":"))
                made_of = candidates_of(number, self.known, self.written, list(self.paths))
                candidates = [[s for s in sheets.values() if s is not None] for sheets in made_of]
                found.append({"number": number, "applied": event["time"], "candidates": candidates})
        return found


def _name(deed: Callable[[], None]) -> str:
    return deed.__name__.strip("_")


_ACTIVE = ("queued", "running", "retrying")
