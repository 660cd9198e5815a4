"""Job files made at random, and an independent reading of what they declare.

A *sheet* is one job file as data; a *world* is what the sheets in force together declare. Nothing here comes from
the program under test: the few kinds of schedules used are simple enough to compute their ticks by hand.
"""

from __future__ import annotations

import random
import sys
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from math import inf
from pathlib import Path
from typing import Any

from tests.torture.slants import CHANGES, Slant

WORKER = Path(__file__).with_name("worker.py")
QUICK = Path(__file__).with_name("quick.sh")
MODULE = "tortured"
SENTINEL = "sheet"
EVENTS = ("e0", "e1")
SECOND = timedelta(seconds=1)
RULES = ("all_success", "all_done", "all_failed", "one_success", "one_failed", "none_failed", "none_skipped", "always")

Sheet = Mapping[str, Any]


# ---------------------------------------------------------------- what a sheet declares


@dataclass(frozen=True, slots=True)
class Declared:
    """One job as its sheet declares it, defaults filled in.

    No `period_s`, `minutes`, `once` nor `event`: no schedule.
    """

    id: str
    period_s: int = 0
    minutes: frozenset[int] = frozenset()
    once: datetime | None = None
    event: str = ""
    end: datetime | None = None
    depends_on: tuple[tuple[str, str], ...] = ()
    rule: str = "all_success"
    attempts_max: int = 1
    timeout_s: float = inf
    catchup: str = "latest"
    overlap: str = "skip"
    active_max: int | None = 1
    pool: str = ""
    slots: int = 1
    on_crash: str = "retry"
    rate: tuple[int, float] | None = None
    deadline_s: float = inf
    enabled: bool = True
    edit: str = "-"

    @property
    def is_scheduled(self) -> bool:
        return bool(self.period_s or self.minutes or self.once or self.event)

    def is_due_at(self, tick: datetime) -> bool:
        """Whether the schedule has this tick: whole periods since 1970, or minutes of the hour, in UTC."""
        if tick.microsecond or not self.is_scheduled or self.event or (self.end is not None and tick > self.end):
            return False
        if self.once is not None:
            return tick == self.once
        if self.period_s:
            return int(tick.timestamp()) % self.period_s == 0
        return tick.second == 0 and tick.minute in self.minutes

    def ticks(self, after: datetime, until: datetime) -> Iterator[datetime]:
        """Yield the ticks in (after, until]."""
        tick = after.replace(microsecond=0) + SECOND
        while tick <= until:
            if self.is_due_at(tick):
                yield tick
            tick += SECOND


@dataclass(frozen=True, slots=True)
class World:
    """What several sheets declare together."""

    jobs: Mapping[str, Declared] = field(default_factory=dict)
    pools: Mapping[str, int] = field(default_factory=dict)

    def below(self, job: str) -> list[Declared]:
        """Return the jobs without a schedule that a tick of `job` reaches."""
        found: dict[str, Declared] = {}
        frontier = [job]
        while frontier:
            above = frontier.pop()
            for each in self.jobs.values():
                if each.id not in found and not each.is_scheduled and above in {name for name, _ in each.depends_on}:
                    found[each.id] = each
                    frontier.append(each.id)
        return list(found.values())


def read_world(sheets: Sequence[Sheet]) -> World:
    """Return what these sheets declare together."""
    jobs: dict[str, Declared] = {}
    pools: dict[str, int] = {}
    for sheet in sheets:
        pools |= sheet.get("pools", {})
        jobs |= {id: read_job(id, body) for id, body in sheet["jobs"].items()}
    return World(jobs, pools)


def read_job(id: str, body: Mapping[str, Any]) -> Declared:
    """Return one job as declared."""
    schedule = body.get("schedule") or {}
    overlap = body.get("overlap", "skip")
    return Declared(
        id,
        period_s=int(schedule["every"].removesuffix("s")) if "every" in schedule else 0,
        minutes=_minutes(schedule["cron"]) if "cron" in schedule else frozenset(),
        once=datetime.fromisoformat(schedule["at"]) if "at" in schedule else None,
        event=schedule.get("event", ""),
        end=datetime.fromisoformat(schedule["end"]) if "end" in schedule else None,
        depends_on=tuple((edge["job"], edge["match"]) for edge in body.get("depends_on", ())),
        rule=body.get("trigger_rule", "all_success"),
        attempts_max=body.get("retry", {}).get("max_attempts", 1),
        timeout_s=float(body["timeout"].removesuffix("s")) if "timeout" in body else inf,
        catchup=body.get("catchup", "latest"),
        overlap=overlap,
        active_max=body.get("max_active_runs", None if overlap == "allow" else 1),
        pool=body.get("pool", ""),
        slots=body.get("slots", 1),
        on_crash=body.get("on_crash", "retry"),
        rate=_rate(body["rate_limit"]) if "rate_limit" in body else None,
        deadline_s=_seconds(body["deadline"]) if "deadline" in body else inf,
        enabled=body.get("enabled", True),
        edit=body.get("env", {}).get("EDIT", "-"),
    )


def _rate(text: str) -> tuple[int, float]:
    """Return how many starts there may be in how many seconds."""
    starts, _, length = text.partition("/")
    return int(starts), _seconds(length)


def _seconds(length: str) -> float:
    return float(length[:-2]) / 1000 if length.endswith("ms") else float(length.removesuffix("s"))


def _minutes(expression: str) -> frozenset[int]:
    minute = expression.split()[0]
    if minute == "*":
        return frozenset(range(60))
    if minute.startswith("*/"):
        return frozenset(range(0, 60, int(minute[2:])))
    return frozenset(int(part) for part in minute.split(","))


# ---------------------------------------------------------------- made at random


@dataclass(slots=True)
class Maker:
    """Makes sheets and changes them. `journal`: where jobs write; `gentle`: nothing that outlives a killed spawner.

    `slant`: what all of them consist of, None for a bit of everything.
    """

    random: random.Random
    journal: Path
    files: Sequence[str]
    gentle: bool
    slant: Slant | None = None
    _edits: int = 0
    _stamps: dict[str, tuple[dict[str, Any], str]] = field(default_factory=dict)

    def first(self) -> dict[str, Sheet]:
        """Return the first sheet of every file: 3 to 15 jobs of all sorts, and perhaps a chain or a fan-out."""
        dice = self.random
        bodies: dict[str, dict[str, Any]] = {}
        if self.slant is not None:
            ids = [f"j{number:02}" for number in range(self.slant.jobs)]
            bodies = {id: self._slanted(self.slant, ids[: ids.index(id)]) for id in ids}
            return {name: self._sheet(name, bodies) for name in self.files}
        if dice.random() < 0.5:
            bodies |= self._chain()
        if dice.random() < 0.4:
            bodies |= self._fan_out()
        crowd = list(bodies)
        ids = [f"j{number:02}" for number in range(dice.randint(3, 15))]
        for number, id in enumerate(ids):
            bodies[id] = self._body(id, [*dice.sample(crowd, min(len(crowd), 2)), *ids[:number]])
        return {name: self._sheet(name, bodies) for name in self.files}

    def changed(self, sheets: Mapping[str, Sheet], names: Sequence[str]) -> dict[str, Sheet]:
        """Return new sheets for the files `names`, a few of their jobs added, removed or changed."""
        bodies = {id: dict(body) for sheet in sheets.values() for id, body in sheet["jobs"].items()}
        bodies = {id: body for id, body in bodies.items() if not id.startswith(SENTINEL)}
        mine = [id for id in bodies if self._home(id) in names and (id[0] == "j" or self.random.random() < 0.05)]
        for id in self.random.sample(mine, min(len(mine), self.random.randint(1, 3))):
            if self.random.random() < self._removal and len(bodies) > 3 and not self._is_needed(id, bodies, names):
                del bodies[id]
            else:
                self._change(id, bodies)
        free = [id for id in (f"j{n:02}" for n in range(15)) if id not in bodies and self._home(id) in names]
        if free and self.random.random() < 0.3:
            new = self.random.choice(free)
            bodies[new] = self._body(new, [id for id in bodies if id < new])
        return {name: self._sheet(name, dict(sorted(bodies.items()))) for name in names}

    @property
    def _removal(self) -> float:
        return 0.2 if self.slant is None else self.slant.removal

    def quiet(self, sheets: Mapping[str, Sheet], how: str) -> dict[str, Sheet]:
        """Return last sheets under which nothing more is due: `disabled`, `unscheduled` or `empty`."""
        made = {}
        for name, sheet in sheets.items():
            bodies = {id: dict(body) for id, body in sheet["jobs"].items() if not id.startswith(SENTINEL)}
            for body in bodies.values():
                if how == "disabled":
                    body["enabled"] = False
                    if "cron" in body.get("schedule", {}):
                        # Who waits for its first tick would wait for minutes.
                        body["schedule"] = {"every": "2s"}
                else:
                    body.pop("schedule", None)
            made[name] = self._sheet(name, {} if how == "empty" else bodies)
        return made

    def _home(self, id: str) -> str:
        return self.files[int(id[1:]) % len(self.files)]

    def _is_needed(self, id: str, bodies: Mapping[str, Any], names: Sequence[str]) -> bool:
        """Take a job out of its downstream jobs' lists; whether one of them is in a file that is not to change."""
        below = [other for other, body in bodies.items() if any(e["job"] == id for e in body.get("depends_on", ()))]
        if any(self._home(other) not in names for other in below):
            return True
        for other in below:
            bodies[other]["depends_on"] = [edge for edge in bodies[other]["depends_on"] if edge["job"] != id]
        return False

    def _sheet(self, name: str, bodies: Mapping[str, Any]) -> Sheet:
        self._edits += 1
        edit = f"{SENTINEL}-{self.files.index(name)}-{self._edits}"
        jobs = {id: self._stamped(id, body, edit) for id, body in bodies.items() if self._home(id) == name}
        pools = {"narrow": self.random.randint(1, 3), "wide": 4} if name == self.files[0] else {}
        # A job that never runs tells `status` which version of which file is in force.
        jobs[edit] = {"run": "true"}
        return {"version": 1, **({"pools": pools} if pools else {}), "jobs": jobs}

    def _stamped(self, id: str, body: Mapping[str, Any], edit: str) -> dict[str, Any]:
        """Return a job with the edit that last changed it, so that an unchanged one stays as it is to the letter."""
        plain = {key: value for key, value in body.items() if key != "env"}
        if "depends_on" in plain and ("schedule" not in plain or "event" in plain["schedule"]):
            # Without a schedule of clock times there is no window of which `all` could be meant.
            plain["depends_on"] = [{**e, "match": e["match"].replace("all", "latest")} for e in plain["depends_on"]]
        if self._stamps.get(id, ({}, ""))[0] != plain:
            self._stamps[id] = (plain, edit)
        return {**plain, "env": {"EDIT": self._stamps[id][1]}}

    # ------------------------------------------------------------ crowds on the fast path

    def _chain(self) -> dict[str, dict[str, Any]]:
        """Return a chain of 5 to 10 quick jobs, each of which waits for the one before."""
        bodies = {f"c{number:02}": {"run": self._quick()} for number in range(self.random.randint(5, 10))}
        for above, (id, body) in zip(list(bodies), list(bodies.items())[1:], strict=False):
            bodies[id] = body | {"depends_on": [{"job": above, "match": "latest"}]}
        bodies["c00"]["schedule"] = {"every": f"{self.random.randint(2, 5)}s"}
        return bodies

    def _fan_out(self) -> dict[str, dict[str, Any]]:
        """Return a quick job, 30 to 40 that start when it has succeeded, and one that waits for all of those."""
        dice = self.random
        pool = dice.choice(({}, {"pool": "wide", "slots": dice.choice((1, 2))}, {"pool": "narrow"}))
        retry = {"retry": {"max_attempts": 3, "delay": "100ms"}}
        leaves = [f"f{number:02}" for number in range(1, dice.randint(30, 40) + 1)]
        above = {"depends_on": [{"job": "f00", "match": "latest"}]}
        bodies: dict[str, dict[str, Any]] = {id: {"run": self._quick(), **above, **retry, **pool} for id in leaves}
        root = {"run": self._quick("steady"), "schedule": {"every": f"{dice.randint(4, 7)}s"}}
        join = {"run": self._quick(), "depends_on": [{"job": id, "match": "latest"} for id in leaves]}
        return {"f00": root, **bodies, "f99": join}

    def _quick(self, habit: str = "") -> str | list[str]:
        """Return the quickest command, started directly (as text or as argv) or through a shell."""
        habit = habit or self.random.choice(("steady", "steady", "steady", "flaky"))
        argv = ["sh", str(QUICK), str(self.journal), habit]
        text = " ".join(argv)
        return self.random.choice((argv, text, text + " && true"))

    # ------------------------------------------------------------ one job

    def _slanted(self, slant: Slant, above: Sequence[str]) -> dict[str, Any]:
        words = [str(self.journal), self.random.choice(slant.seconds), "0", slant.habits]
        run = [sys.executable, "-I", "-S", str(WORKER), *words]
        edge = [{"job": above[-1], "match": "latest"}] if above else []
        due = {"depends_on": edge} if slant.chained and edge else {"schedule": self._schedule()}
        return {"run": run, **due, **slant.keys}

    def _body(self, id: str, above: Sequence[str]) -> dict[str, Any]:
        if self.slant is not None:
            return self._slanted(self.slant, above)
        dice = self.random
        body: dict[str, Any] = {**self._work(), "retry": self._retry()}
        if above and dice.random() < 0.6:
            body["depends_on"] = self._edges(above)
            if dice.random() < 0.6:
                body["trigger_rule"] = dice.choice(RULES)
        if not body.get("depends_on") or dice.random() < 0.5:
            body["schedule"] = self._schedule()
        if dice.random() < 0.4:
            body["timeout"] = dice.choice(("1s", "1s", "2s", "5s"))
        if dice.random() < 0.35:
            body["pool"] = dice.choice(("narrow", "wide"))
            body["slots"] = dice.choice((1, 1, 2)) if body["pool"] == "wide" else 1
        return body | self._policies() | self._gates(id)

    def _gates(self, id: str) -> dict[str, Any]:
        """Return gates that let a round come to its end; from dice of their own, so that the rest stays as it was."""
        dice = random.Random(f"{id} {self._edits} {self.journal.parent.name}")
        body: dict[str, Any] = {}
        if dice.random() < 0.3:
            body["priority"] = dice.choice((-100, -1, 2, 50))
        if dice.random() < 0.2:
            body["rate_limit"] = dice.choice(("3/1s", "8/2s"))
        if dice.random() < 0.2:
            body["deadline"] = dice.choice(("500ms", "3s"))
        if dice.random() < 0.1:
            # Open at all times, so that nothing is held up for hours, and asked about at each start.
            body["window"] = [{"from": "00:00", "to": "12:00"}, {"from": "12:00", "to": "24:00"}]
        return body

    def _policies(self) -> dict[str, Any]:
        dice = self.random
        body: dict[str, Any] = {"overlap": dice.choice(("skip", "queue", "allow", "replace")), "max_queued": 10}
        if dice.random() < 0.4:
            body["max_active_runs"] = dice.choice((1, 2, 3))
        body["catchup"] = dice.choice(("none", "latest", "all"))
        body["on_crash"] = dice.choice(("retry", "retry", "fail"))
        if dice.random() < 0.1:
            body["enabled"] = False
        if dice.random() < 0.1:
            body["jitter"] = dice.choice(("300ms", "2s"))
        return body

    def _edges(self, above: Sequence[str]) -> list[dict[str, str]]:
        chosen = self.random.sample(list(above), min(len(above), self.random.choice((1, 1, 2, 3))))
        return [{"job": id, "match": self.random.choice(("latest", "latest", "same", "all"))} for id in sorted(chosen)]

    def _schedule(self) -> dict[str, str]:
        if self.slant is not None:
            return {"every": f"{self.random.choice(self.slant.periods)}s"}
        if self.random.random() < 0.12:
            return {"event": self.random.choice(EVENTS)}
        if self.random.random() < 0.15:
            return {"cron": self.random.choice(("* * * * *", "*/2 * * * *", "0,15,30,31,32,45 * * * *"))}
        schedule = {"every": f"{self.random.randint(1, 5)}s"}
        if self.random.random() < 0.1:
            soon = datetime.now(UTC).replace(microsecond=0) + self.random.randint(2, 20) * SECOND
            text = soon.isoformat().replace("+00:00", "Z")
            return {"at": text} if self.random.random() < 0.3 else schedule | {"end": text}
        return schedule

    def _retry(self) -> dict[str, Any]:
        return {
            "max_attempts": self.random.choice((1, 2, 3, 4)),
            "delay": self.random.choice(("100ms", "300ms", "1s")),
            "backoff": self.random.choice(("constant", "linear", "exponential")),
            "max_delay": "2s",
        }

    def _work(self) -> dict[str, Any]:
        """Return what a job does: a command run directly or through a shell, or a Python function."""
        dice = self.random
        if dice.random() < 0.15:
            return {"run": self._quick()}
        habits = [name for name in ("session", "orphan", "loud", "output") if dice.random() < 0.12]
        if dice.random() < 0.05:
            habits.append("stubborn")
        if not self.gentle and dice.random() < 0.3:
            habits.append("naked")
        seconds = dice.choice(("0", "0.1", "0.3", "0.8", "1.5", "3", "3"))
        fails = dice.choice(("0", "0", "20", "50"))
        words = [str(self.journal), seconds, fails, "+".join(habits) or "-"]
        argv = [sys.executable, "-I", "-S", str(WORKER), *words]
        text = " ".join(argv)
        how = dice.choice(("text", "argv", "shell", "exec", "exec", "python"))
        if how == "python":
            return {"handler": "python", "with": self._function(words)}
        run = {"text": text, "argv": argv, "shell": f'{text} "$EDIT" && true'}
        return {"run": run.get(how, ["sh", "-c", 'exec "$@" "$EDIT"', "sh", *argv])}

    def _function(self, words: Sequence[str]) -> dict[str, Any]:
        folder = self.journal.parent / "modules"
        folder.mkdir(exist_ok=True)
        text = f"import sys\n\nsys.path.insert(0, {str(WORKER.parent)!r})\nfrom worker import called as work\n"
        (folder / f"{MODULE}.py").write_text(text)
        reuse = self.random.random() < 0.5
        return {"function": f"{MODULE}:work", "path": str(folder), "args": list(words), "reuse": reuse}

    def _change(self, id: str, bodies: dict[str, Any]) -> None:
        body, dice = bodies[id], self.random
        above = [other for other in bodies if other < id]
        what = dice.choice(CHANGES if self.slant is None else self.slant.changes)
        if what == "schedule" and "schedule" in body:
            body["schedule"] = self._schedule()
        elif what == "edges" and above and (body.get("depends_on") or "schedule" in body):
            body["depends_on"] = self._edges(above)
            body["trigger_rule"] = dice.choice(RULES)
        elif what == "policies":
            plain = {key: value for key, value in body.items() if key not in ("enabled", "jitter")}
            bodies[id] = plain | self._policies()
        elif what == "command":
            plain = {key: value for key, value in body.items() if key not in ("run", "handler", "with")}
            bodies[id] = plain | self._work()
        else:
            bodies[id] = self._body(id, above)
