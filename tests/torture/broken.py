"""Programs with one defect each, to show that the torture finds it: by the promise that it breaks.

A *build* is a copy of the package with a few lines replaced. It is tortured like the real one, from outside: as
processes. A text that is to be replaced must stand in its file exactly once, so that a build whose code has moved is
noticed (`test_broken.py`) and does not turn into a second copy of the honest program.
"""

from __future__ import annotations

import shutil
from collections import deque
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path

from tests.torture.round import POSTGRESQL, SQLITE
from tests.torture.rounds import ROOT, Order, Played, play_all

SECONDS = 10.0
# Rounds in which each of them is found.
TRIES = 3
PATIENCE_S = 8.0


@dataclass(frozen=True, slots=True)
class Patch:
    """`old` becomes `new` in one file of the package."""

    file: str
    old: str
    new: str


@dataclass(frozen=True, slots=True)
class Build:
    """A broken program: what is wrong with it, and the promise that it must be caught by.

    `favours`: deeds and commands of a round without which the defect does not show. `store`: where it shows. `slant`:
    of what a round is made in which it shows at once, "" when any will do.
    """

    name: str
    promise: str
    patches: Sequence[Patch]
    favours: Sequence[str] = ()
    store: str = SQLITE
    slant: str = ""


def _build(
    name: str, promise: str, file: str, old: str, new: str, *favours: str, store: str = SQLITE, slant: str = ""
) -> Build:
    return Build(name, promise, (Patch(file, old, new),), favours, store, slant)


BUILDS: Sequence[Build] = (
    _build(
        "second-daemon", "P1", "stores/lock.py",
        "fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)",
        "fcntl.flock(descriptor, fcntl.LOCK_SH | fcntl.LOCK_NB)",
        "intrude",
    ),
    _build(
        "events-made-again", "P1", "engine/emissions.py",
        "    if event.id and key in book.emissions:\n",
        "    if False:\n",
        "command", "emit",
    ),
    _build(
        "double-start", "P2", "spawner/work.py",
        "            attempt.pid = self.starter.start(order, attempt.log.fd, attempt.output)\n",
        "            self.starter.start(order, attempt.log.fd, attempt.output)\n"
        "            attempt.pid = self.starter.start(order, attempt.log.fd, attempt.output)\n",
    ),
    _build(
        "exits-forgotten-early", "P2", "daemon/loop.py",
        "            await self._commit(batch)\n",
        "            for seq in turn.acknowledged:\n"
        "                self._hand.acknowledge(seq)\n"
        "            if turn.acknowledged:\n"
        "                await asyncio.sleep(0.3)\n"
        "            await self._commit(batch)\n",
        "kill", slant="brief",
    ),
    _build(
        "upstreams-not-awaited", "P3", "engine/joins.py",
        "    if row.state in LIVE:\n        return Verdict.PENDING\n",
        "    if row.state in LIVE:\n        return Verdict.OK\n",
    ),
    _build(
        "failed-upstreams-accepted", "P3", "engine/joins.py",
        "    if row.state in BAD:\n        return Verdict.BAD\n",
        "    if row.state in BAD:\n        return Verdict.OK\n",
    ),
    _build(
        "ticks-lost-at-restarts", "P4", "engine/ticks.py",
        "for due in self._dues_of(job, heir, now)]",
        "for due in self._dues_of(job, heir, now) if heirs is None]",
        "kill",
    ),
    _build(
        "failure-taken-for-success", "P5", "executor/exits.py",
        "    if code:\n",
        "    if code and code != 3:\n",
    ),
    _build(
        "finished-work-lost-at-restarts", "P5", "engine/plan.py",
        "self._end_attempt(run, exits[attempt])",
        "self._end_attempt(run, Exit(run.name, run.attempts, Outcome.LOST, event.now))",
        "kill", slant="brief",
    ),
    _build(
        "timeouts-ignored", "P5", "spawner/work.py",
        '        if order["timeout_s"] is not None:\n',
        "        if False:\n",
        slant="overdue",
    ),
    _build(
        "started-before-the-commit", "P6", "daemon/loop.py",
        "            await self._commit(batch)\n",
        "            await self._carry_out(turn.outbox.acts)\n"
        "            turn.outbox.acts = []\n"
        "            await asyncio.sleep(0.3)\n"
        "            await self._commit(batch)\n",
        "kill", slant="ordered",
    ),
    _build(
        "slots-leak", "P7", "engine/seats.py",
        "        held = self._holding.pop(key, None)\n",
        "        held = None\n",
        slant="pooled",
    ),
    _build(
        "joins-never-told", "P7", "engine/plan.py",
        "        self.waiting.upstream_changed(run)\n",
        "",
        slant="chained",
    ),
    _build(
        "one-attempt-too-many", "P8", "engine/retries.py",
        "    if run.attempts >= run.attempt_limit:\n",
        "    if run.attempts > run.attempt_limit:\n",
    ),
    _build(
        "on-crash-ignored", "P8", "engine/retries.py",
        "        return job.on_crash is OnCrash.RETRY\n",
        "        return True\n",
        "kill_spawner",
    ),
    _build(
        "no-fencing", "P9", "engine/plan.py",
        "                self._adopt(run)\n",
        "                self._end_attempt(run, Exit(run.name, run.attempts, Outcome.LOST, event.now))\n",
        "kill", slant="lasting",
    ),
    Build(
        "buried-alive", "P9",
        (
            Patch(
                "stores/sql/postgres/fleet.sql",
                "FROM schedulers WHERE safe_after <= clock_timestamp() AND",
                "FROM schedulers WHERE",
            ),
            Patch("daemon/dispatching.py", 'mend_at = "", loop.time() + PATIENCE_S', 'mend_at = "", 0.0'),
        ),
        ("kill",), POSTGRESQL, "enduring",
    ),
    _build(
        "ends-kept-to-itself", "P5", "daemon/service.py",
        "            self._remaining.begin()\n",
        "",
        "kill", store=POSTGRESQL, slant="enduring",
    ),
    _build(
        "leftovers-not-awaited", "P9", "spawner/work.py",
        "        if not attempt.strays:\n            self._finish(attempt)\n",
        "        if True:\n            self._finish(attempt)\n",
        slant="leave",
    ),
    _build(
        "pools-without-walls", "P10", "engine/seats.py",
        "        return capacity is None or self._pools[pool].used + slots <= capacity\n",
        "        return True\n",
        slant="pooled",
    ),
    _build(
        "overlap-ignored", "P11", "engine/seats.py",
        "is_full = job.max_active_runs is not None and len(desk.seated) >= job.max_active_runs\n",
        "is_full = False\n",
        slant="crowded",
    ),
    _build(
        "old-schedules-kept", "P12", "engine/swap.py",
        "    is_new = number != book.config_number\n",
        "    is_new = number != book.config_number\n"
        "    both = {id: job for id, job in config.jobs.items() if id in old and job.schedule and old[id].schedule}\n"
        "    kept = {id: job._replace(schedule=old[id].schedule) for id, job in both.items()}\n"
        "    config = config._replace(jobs={**config.jobs, **kept})\n",
        "edit", slant="reschedule",
    ),
    _build(
        "removed-jobs-scheduled", "P12", "engine/swap.py",
        "    is_new = number != book.config_number\n",
        "    is_new = number != book.config_number\n"
        "    gone = {id: job for id, job in old.items() if job.schedule and not job.depends_on}\n"
        "    config = config._replace(jobs={**gone, **config.jobs}, pools={**book.pools, **config.pools})\n",
        "edit", slant="remove",
    ),
    _build(
        "terminal-states-rewritten", "P13", "engine/ticks.py",
        "        due_now = self._due_now(now, at_most)\n",
        "        for id in self._book.jobs:\n"
        "            row = self._book.ledger.newest_of_all(id)\n"
        "            if row is not None and row.state is RunState.FAILED:\n"
        '                self._book.amend(row, "run.succeeded", "", state=RunState.SUCCESS)\n'
        "        due_now = self._due_now(now, at_most)\n",
    ),
    _build(
        "gaps-in-the-log", "P14", "stores/sqlite_write.py",
        "[codec.event_columns(event) for event in batch.events]",
        "[codec.event_columns(event) for event in batch.events if event.seq % 20]",
    ),
    Build(
        "leftovers-survive-a-stop", "P15",
        (
            Patch("spawner/work.py", "        if not attempt.strays:\n", "        if True:\n"),
            Patch("spawner/family.py", "not self.living and not self._strays", "not self.living"),
        ),
        ("terminate",),
        slant="leave",
    ),
)  # fmt: skip


def build_named(name: str) -> Build:
    """Return the build of that name; raises KeyError."""
    return {build.name: build for build in BUILDS}[name]


def patched(build: Build) -> Mapping[str, str]:
    """Return the files of a build that differ from the honest ones; raises ValueError if a patch does not fit."""
    files: dict[str, str] = {}
    for patch in build.patches:
        text = files.get(patch.file) or (ROOT / "dagsched" / patch.file).read_text()
        if text.count(patch.old) != 1:
            raise ValueError(f"{build.name}: {text.count(patch.old)} places in {patch.file} read\n{patch.old}")
        files[patch.file] = text.replace(patch.old, patch.new)
    return files


def make(build: Build, folder: Path) -> Path:
    """Write a build below `folder` and return what to put on PYTHONPATH; raises ValueError if a patch does not fit."""
    code = folder / build.name
    shutil.copytree(ROOT / "dagsched", code / "dagsched", ignore=shutil.ignore_patterns("__pycache__"))
    shutil.copytree(ROOT / "schemas", code / "schemas")
    for file, text in patched(build).items():
        (code / "dagsched" / file).write_text(text)
    return code


@dataclass(slots=True)
class Hunt:
    """A build and the rounds that were played on it; `rounds` hold what each of them found."""

    build: Build
    code: Path
    seconds: float = SECONDS
    rounds: list[Played] = field(default_factory=list)

    @property
    def is_caught(self) -> bool:
        return bool(self.rounds) and is_caught(self.build, self.rounds[-1])

    @property
    def patience_s(self) -> float:
        # An attempt of a machine that is not heard of is buried after a quarter of a minute.
        return PATIENCE_S if self.build.store == SQLITE else 3 * PATIENCE_S

    def order(self, first_seed: int) -> Order:
        """Return the next round to be played."""
        seed = first_seed + len(self.rounds)
        build = self.build
        return Order(seed, self.seconds, self.code, self.patience_s, build.favours, build.store, build.slant)

    def line(self) -> str:
        """Return what there is to say after a round."""
        last = self.rounds[-1]
        found = last.result.promises if last.result is not None else {}
        took = f"seed {last.order.seed}, {sum(each.took_s for each in self.rounds):.0f} s"
        if self.is_caught:
            others = ", ".join(sorted(found.keys() - {self.build.promise})) or "nothing"
            return f"{self.build.name}: caught by {self.build.promise} ({took}); besides broken: {others}"
        if last.result is None:
            return f"{self.build.name}: {took}: the harness failed: {last.complaint}"
        return f"{self.build.name}: {took}: broken so far: {', '.join(sorted(found)) or 'nothing'}"


def hunt(
    builds: Iterable[Build], folder: Path, *, first_seed: int = 1, tries: int, jobs: int, seconds: float = SECONDS
) -> Iterator[Hunt]:
    """Play rounds on each build until one catches it, `tries` at most; yield its hunt after every round.

    `jobs` rounds are played side by side, of different builds. Everything is written below `folder`.
    """
    hunts = {code: Hunt(build, code, seconds) for build in builds for code in [make(build, folder)]}
    orders = deque(each.order(first_seed) for each in hunts.values())
    for played in play_all(orders, jobs, folder):
        assert played.order.code is not None, "every build has its own code"
        found = hunts[played.order.code]
        found.rounds.append(played)
        if not found.is_caught and len(found.rounds) < tries:
            orders.appendleft(found.order(first_seed))
        shutil.rmtree(played.folder)
        yield found


def is_caught(build: Build, played: Played) -> bool:
    """Whether the round found the promise broken that this build breaks."""
    return played.result is not None and build.promise in played.result.promises
