"""A round told by hand: rows, events, shows and journal that agree with each other, until a test breaks one of them."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from datetime import UTC, datetime, timedelta
from typing import Any

from tests.torture.evidence import Evidence, Line, Version, instant
from tests.torture.world import Sheet, read_world

NOON = datetime(2026, 3, 2, 12, 0, tzinfo=UTC)


def at(seconds: float) -> datetime:
    """Return the instant that many seconds after noon."""
    return NOON + timedelta(seconds=seconds)


def text(moment: datetime) -> str:
    """Return an instant as `--json` prints it."""
    return moment.isoformat(timespec="milliseconds" if moment.microsecond else "seconds").replace("+00:00", "Z")


class Story:
    """A round from noon on. Instants are seconds after noon; every method appends to what `evidence` returns."""

    def __init__(self, jobs: Mapping[str, Any], pools: Mapping[str, int] | None = None, *, stopped: float = 35) -> None:
        self.sheets: list[tuple[float, list[Sheet]]] = [(5, [{"jobs": jobs, "pools": pools or {}}])]
        self.rows: dict[str, dict[str, Any]] = {}
        self.events: list[dict[str, Any]] = []
        self.lines: list[tuple[float, str, str, int, int, str, str]] = []
        self.verbs: list[dict[str, Any]] = []
        self.stopped = stopped

    # ------------------------------------------------------------ what happens

    def event(self, second: float, type: str, run: str | None = None, **fields: Any) -> None:
        """Tell an event; the run's state follows `to`."""
        row: dict[str, Any] = {"time": text(at(second)), "type": type, "run": run, "job": run and run.split(":")[1]}
        row |= {"attempt": None, "from": None, "to": None, "reason": ""} | fields
        if run in self.rows:
            row["from"] = self.rows[run]["state"] if type != "run.created" else None
            row["to"] = row["to"] or row["from"]
            self.rows[run]["state"] = row["to"]
        self.events.append(row)

    def born(self, job: str, tick: float, *, at: float | None = None, links: Sequence[str] = (), **fields: Any) -> str:
        """Tell of a new run that waits for `links` (`run` or `run match`); without any it is queued."""
        run = self.row(job, tick, "waiting" if links else "queued", **fields)
        self.rows[run]["upstream"] = [_link(words) for words in links]
        self.event(tick if at is None else at, "run.created", run, to=self.rows[run]["state"])
        return run

    def ran(self, run: str, start: float, end: float, *, code: int = 0, to: str = "", attempt: int = 1) -> None:
        """Tell an attempt of a run from its start to its end."""
        if self.rows[run]["state"] == "waiting":
            self.event(start, "run.queued", run, to="queued")
        self.started(run, start, attempt=attempt)
        self.write(start + 0.02, "start", run, attempt)
        self.write(end - 0.02, "end", run, attempt, extra=str(code))
        self.ended(run, end, code=code, to=to or ("failed" if code else "success"), attempt=attempt)

    def started(self, run: str, second: float, *, attempt: int = 1) -> None:
        self.event(second, "run.started", run, attempt=attempt, to="running")
        row = self.rows[run]
        row["attempts"] = attempt
        row["attempt_list"].append({"attempt": attempt, "outcome": None, "exit_code": None})

    def ended(self, run: str, second: float, *, code: int | None, to: str, attempt: int = 1, outcome: str = "") -> None:
        type = {"success": "run.succeeded"}.get(to, f"run.{to}")
        self.event(second, type, run, attempt=attempt, to=to, reason="" if to == "success" else "exit code")
        self.rows[run] |= {"reason": "" if to == "success" else "exit code", "exit_code": code}
        how = outcome or ("success" if code == 0 else "failed")
        self.rows[run]["attempt_list"][-1] |= {"outcome": how, "exit_code": code}

    def left_out(self, job: str, tick: float, state: str, reason: str, *, until: float | None = None) -> str:
        """Tell of a tick, or several, that did not run."""
        run = self.row(job, tick, state, reason=reason, until=None if until is None else text(at(until)))
        self.event(tick, f"run.{state}", run, to=state, reason=reason)
        self.events[-1]["from"] = None
        return run

    def row(self, job: str, tick: float, state: str, **fields: Any) -> str:
        run = f"job:{job}:{text(at(tick))}"
        row: dict[str, Any] = {"run": run, "job": job, "tick": text(at(tick)), "until": None, "state": state}
        row |= {"reason": "", "trigger": "schedule", "attempts": 0, "attempt_limit": 1, "stand_in": None, "only": False}
        self.rows[run] = row | {"attempt_list": [], "upstream": []} | fields
        return run

    def write(
        self,
        second: float,
        kind: str,
        run: str,
        attempt: int = 1,
        *,
        pid: int = 0,
        role: str = "main",
        extra: str = "-",
    ) -> None:
        """Have a process write in the journal."""
        self.lines.append((second, kind, run, attempt, pid or 1000 + len(self.rows), role, extra))

    def swap(self, second: float, jobs: Mapping[str, Any], pools: Mapping[str, int] | None = None) -> None:
        """Put another configuration in force."""
        self.sheets.append((second, [{"jobs": jobs, "pools": pools or {}}]))

    # ------------------------------------------------------------ what is known of it

    def evidence(self) -> Evidence:
        """Return what an auditor gets to see."""
        rows = list(self.rows.values())
        events = sorted(self.events, key=lambda event: instant(event["time"]))
        lines = sorted(self.lines)
        told = [{**event, "seq": number} for number, event in enumerate(events, 1)]
        return Evidence(
            seed=7,
            history=rows,
            events=told,
            told=list(told),
            shows={row["run"]: row for row in rows},
            journal=[
                Line(place, at(second).timestamp(), kind, run, attempt, pid, 1, role, extra)
                for place, (second, kind, run, attempt, pid, role, extra) in enumerate(lines)
            ],
            versions=[
                Version(number, at(second), [read_world(sheets)])
                for number, (second, sheets) in enumerate(self.sheets, 1)
            ],
            verbs=self.verbs,
            stopped=at(self.stopped),
        )


def _link(words: str) -> dict[str, Any]:
    run, _, match = words.partition(" ")
    return {"job": run.split(":")[1], "match": match or "latest", "run": run}
