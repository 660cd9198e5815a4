"""What an audit looks at: what the program says of itself, and what others saw of it.

The program's side is `history`, `events`, `show` and `backfill --list` as their `--json` prints them. The other side
is the journal the jobs wrote, the sheets the driver wrote, the commands it gave and the processes it found. All of it
can be kept in a folder and audited again later.
"""

from __future__ import annotations

import json
from bisect import bisect_right
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

from tests.torture.world import Declared, World, read_world

TERMINAL = frozenset({"success", "failed", "skipped", "upstream_failed", "missed", "cancelled"})
BAD = frozenset({"failed", "upstream_failed", "cancelled"})
LEFT_OUT = frozenset({"skipped", "missed"})
FOREVER = datetime.max.replace(tzinfo=UTC)

Row = Mapping[str, Any]


@dataclass(frozen=True, slots=True)
class Line:
    """One line of the journal; `place` is its number, from 0."""

    place: int
    wall: float
    kind: str
    run: str
    attempt: int
    pid: int
    start: int
    role: str
    extra: str


@dataclass(frozen=True, slots=True)
class Version:
    """A configuration in force from `applied` on; which one is known up to `candidates`, mostly exactly one."""

    number: int
    applied: datetime
    candidates: Sequence[World]


@dataclass(slots=True)
class Evidence:
    """Everything of one round. `seed` replays it; `stopped`: when the last clean stop was over.

    `told`: events as the daemons printed them. `snapshots`: rows as `history` gave them earlier. `verbs`: commands
    given, with `args`, `code`, `out`, `err`, `issued` and `done` (wall seconds). `left`: processes found after clean
    stops, in words. `remarks`: what the driver itself saw go wrong, as (promise, words). `unheard`: from when until
    when attempts heard nothing of their scheduler for so long that they were ended (on a store that several share).
    """

    seed: int = 0
    history: Sequence[Row] = ()
    events: Sequence[Row] = ()
    shows: Mapping[str, Row] = field(default_factory=dict)
    backfills: Sequence[Row] = ()
    journal: Sequence[Line] = ()
    versions: Sequence[Version] = ()
    told: Sequence[Row] = ()
    snapshots: Sequence[Sequence[Row]] = ()
    verbs: Sequence[Row] = ()
    left: Sequence[str] = ()
    remarks: Sequence[tuple[str, str]] = ()
    spawner_kills: Sequence[float] = ()
    spawner_freezes: Sequence[tuple[float, float]] = ()
    unheard: Sequence[tuple[float, float]] = ()
    stopped: datetime = FOREVER

    def version_at(self, moment: datetime) -> Version | None:
        """Return the configuration under which a tick at `moment` is made: a swap's own instant is the old one's."""
        place = bisect_right([version.applied for version in self.versions], moment)
        while place and self.versions[place - 1].applied >= moment:
            place -= 1
        return self.versions[place - 1] if place else None

    def declared(self, job: str, first: datetime, last: datetime) -> list[Declared]:
        """Return what may have been in force of a job at any instant of [first, last], ends included."""
        found: list[Declared] = []
        for place, version in enumerate(self.versions):
            ends = self.versions[place + 1].applied if place + 1 < len(self.versions) else FOREVER
            if version.applied <= last and ends >= first:
                found += [world.jobs[job] for world in version.candidates if job in world.jobs]
        return found

    def capacities(self, pool: str, moment: datetime) -> list[int]:
        """Return what capacity a pool may have had at `moment`, and just before and after a swap there."""
        slack = timedelta(milliseconds=1)
        return [
            world.pools[pool]
            for place, version in enumerate(self.versions)
            if version.applied <= moment + slack
            and (place + 1 == len(self.versions) or self.versions[place + 1].applied >= moment - slack)
            for world in version.candidates
            if pool in world.pools
        ]


def instant(text: str | None) -> datetime:
    """Return the instant of RFC 3339 text; a missing one is far in the future."""
    return FOREVER if text is None else datetime.fromisoformat(text)


def run_parts(name: str) -> tuple[str, datetime]:
    """Return the job and the tick in a run's name."""
    _, job, tick = name.split(":", 2)
    return job, instant(tick)


def read_journal(text: str) -> list[Line]:
    """Return the lines of a journal; one that is cut off at the very end is none."""
    found = []
    for place, line in enumerate(text.splitlines()):
        parts = line.split(" ")
        if len(parts) == 9:
            _, wall, kind, run, attempt, pid, start, role, extra = parts
            found.append(Line(place, float(wall), kind, run, int(attempt), int(pid), int(start), role, extra))
    return found


def read_folder(folder: Path) -> Evidence:
    """Return the evidence that a driver has gathered in a folder."""
    driver = json.loads((folder / "driver.json").read_text())
    journal = folder / "journal.txt"
    return Evidence(
        seed=driver["seed"],
        history=_json_lines(folder / "history.jsonl"),
        events=_json_lines(folder / "events.jsonl"),
        shows={row["run"]: row for row in _json_lines(folder / "shows.jsonl")},
        backfills=_json_lines(folder / "backfills.jsonl") if (folder / "backfills.jsonl").exists() else (),
        journal=read_journal(journal.read_text()) if journal.exists() else [],
        versions=[
            Version(each["number"], instant(each["applied"]), [read_world(sheets) for sheets in each["candidates"]])
            for each in driver["versions"]
        ],
        told=[row for path in sorted(folder.glob("daemon-*.out")) for row in _whole_lines(path)],
        snapshots=driver["snapshots"],
        verbs=driver["verbs"],
        left=driver["left"],
        remarks=[(promise, words) for promise, words in driver["remarks"]],
        spawner_kills=driver["spawner_kills"],
        spawner_freezes=[(began, ended) for began, ended in driver["spawner_freezes"]],
        unheard=[(began, ended) for began, ended in driver.get("unheard", ())],
        stopped=instant(driver["stopped"]),
    )


def _whole_lines(path: Path) -> list[Row]:
    """Return the lines of a process that may have been killed in the middle of one."""
    return [json.loads(line) for line in path.read_text().split("\n")[:-1]]


def _json_lines(path: Path) -> list[Row]:
    return [json.loads(line) for line in path.read_text().splitlines()]
