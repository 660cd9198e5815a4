"""Job files drawn from a seed, and edits of them; written as JSON, which every YAML reader reads."""

from __future__ import annotations

import json
import re
from collections.abc import Callable
from datetime import datetime, timedelta
from functools import lru_cache
from random import Random
from typing import Any

from dagsched.config import load_texts
from dagsched.model import Config, format_instant, utc

CRONS = (
    "0 * * * *", "*/30 * * * *", "15 */2 * * *", "0 */4 * * *", "30 */6 * * *", "0 2 * * *", "30 2 * * *",
    "0 9 * * mon-fri", "0 0,12 * * *", "45 23 * * *", "*/10 9-10 * * *", "0 6-9 * * *", "5 1,3 * * *",
)  # fmt: skip
EVENTS = ("arrived", "left")
EVERY = ("1h", "90m", "3h", "7h", "45m")
ZONES = ("UTC", "Europe/Berlin", "America/New_York", "Australia/Lord_Howe")
RULES = ("all_done", "all_failed", "one_success", "one_failed", "none_failed", "none_skipped", "always")
WINDOWS = (
    {"from": "22:00", "to": "06:00"},
    {"from": "08:00", "to": "18:00", "outside": "skip"},
    [{"from": "01:30", "to": "02:30"}, {"from": "12:00", "to": "24:00", "days": ["mon", "wed", "sat", "sun"]}],
)
# What a person may write, with `u` for an upstream, and the same for the auditor: (hour of the tick, state of u).
WHENS: dict[str, Callable[[int, str | None], bool]] = {
    "local.hour >= 6 and not local.hour > 20": lambda hour, state: 6 <= hour <= 20,
    'state("u") in ["success", "failed"]': lambda hour, state: state in ("success", "failed"),
    'state("u") != "failed" or local.hour < 12': lambda hour, state: (
        state is not None and (state != "failed" or hour < 12)
    ),
}
NAMES = tuple("abcdefghijklmnop")
FILE = "/jobs.yaml"

Sheet = dict[str, Any]


class Files:
    """One job file and what a person does to it. `start`, `end`: no schedule has a tick after `end`."""

    def __init__(self, rng: Random, start: datetime, end: datetime) -> None:
        self._rng, self._start, self._end = rng, start, end
        self.pools: dict[str, Any] = {"p": rng.randint(1, 3), "q": rng.randint(2, 4)}
        if rng.random() < 0.5:
            self.pools["q"] = {"slots": self.pools["q"], "rate_limit": rng.choice(("30/1h", "4/20m"))}
        # Days off in the middle of the life, so that some of each are seen.
        day = (start + timedelta(days=1)).date()
        self.calendars: dict[str, Any] = {"off": [str(day), str(day + timedelta(days=2))], "w": {"weekdays": ["sun"]}}
        self.jobs: dict[str, Sheet] = {}
        for name in NAMES[: rng.randint(3, 12)]:
            self.jobs[name] = self._sheet(list(self.jobs))

    def read(self) -> Config:
        """Return the configuration that the file stands for."""
        document = {"version": 1, "pools": self.pools, "calendars": self.calendars, "jobs": self.jobs}
        return _load(json.dumps(document))

    def edit(self) -> None:
        """Do one to three of the things that people do to a job file."""
        for _ in range(self._rng.randint(1, 3)):
            self._rng.choice((self._add, self._remove, self._rename, self._change, self._change, self._change))()

    def _add(self) -> None:
        free = [name for name in NAMES if name not in self.jobs]
        if free:
            self.jobs[self._rng.choice(free)] = self._sheet(list(self.jobs))

    def _remove(self) -> None:
        if len(self.jobs) > 2:
            name = self._rng.choice(list(self.jobs))
            del self.jobs[name]
            for sheet in self.jobs.values():
                sheet["depends_on"] = [edge for edge in sheet["depends_on"] if edge["job"] != name]
                _mend(sheet)

    def _rename(self) -> None:
        old = self._rng.choice(list(self.jobs))
        new = f"{old[0]}{self._rng.randint(1, 9)}"
        if new in self.jobs:
            return
        self.jobs = {new if name == old else name: sheet for name, sheet in self.jobs.items()}
        for sheet in self.jobs.values():
            if "when" in sheet:
                sheet["when"] = sheet["when"].replace(f'"{old}"', f'"{new}"')
            sheet["depends_on"] = [
                {**edge, "job": new if edge["job"] == old else edge["job"]} for edge in sheet["depends_on"]
            ]

    def _change(self) -> None:
        names = list(self.jobs)
        place = self._rng.randrange(len(names))
        fresh = self._sheet(names[:place])
        if self._rng.random() < 0.2:
            self.pools["p"] = self._rng.randint(1, 3)
            self.calendars["w"] = {"weekdays": [self._rng.choice(("fri", "sat", "sun", "mon"))]}
        sheet = self.jobs[names[place]]
        for key in self._rng.sample(sorted({*fresh, *sheet}), 3):
            if key in fresh:
                sheet[key] = fresh[key]
            else:
                sheet.pop(key, None)
        _mend(sheet)

    def _sheet(self, above: list[str]) -> Sheet:
        rng = self._rng
        edges = rng.sample(above, min(len(above), rng.choice((0, 0, 1, 1, 2, 3))))
        sheet: Sheet = {
            "run": "true",
            "depends_on": [{"job": name, "match": rng.choice(("latest", "latest", "same", "all"))} for name in edges],
            "overlap": rng.choice(("skip", "skip", "queue", "allow", "replace")),
            "catchup": rng.choice(("none", "latest", "latest", "all")),
            "retry": {"max_attempts": rng.choice((1, 1, 2, 3)), "delay": rng.choice(("1s", "30s", "10m")),
                      "backoff": rng.choice(("constant", "linear", "exponential"))},
        }  # fmt: skip
        self._maybe(sheet, "trigger_rule", 0.35, RULES)
        self._maybe(sheet, "pool", 0.4, ("p", "q"))
        self._maybe(sheet, "slots", 0.5, (1, 2))
        self._maybe(sheet, "priority", 0.3, (-100, -3, 1, 20, 100))
        self._maybe(sheet, "rate_limit", 0.35, ("2/20m", "1/10m", "6/1h", "8/80m"))
        if "rate_limit" in sheet and rng.random() < 0.6:
            sheet["overlap"] = rng.choice(("queue", "allow"))  # else hardly anything ever comes to its limit
        self._maybe(sheet, "calendar", 0.15, ("off", ["w", "off"]))
        self._maybe(sheet, "deadline", 0.2, ("1m", "30m", "5h"))
        self._maybe(sheet, "window", 0.15, WINDOWS)
        self._maybe(sheet, "timezone", 0.2, ZONES)
        if rng.random() < 0.2:
            about = [text for text in WHENS if edges or '"u"' not in text]
            sheet["when"] = rng.choice(about).replace('"u"', f'"{edges[0]}"' if edges else "")
        self._maybe(sheet, "max_active_runs", 0.2, (1, 2, 3))
        self._maybe(sheet, "max_queued", 0.2, (1, 2, 4))
        self._maybe(sheet, "on_crash", 0.3, ("retry", "fail"))
        self._maybe(sheet, "jitter", 0.2, ("30s", "10m"))
        self._maybe(sheet, "timeout", 0.3, ("40s", "15m"))
        self._maybe(sheet, "catchup_window", 0.2, ("30m", "2h"))
        self._maybe(sheet, "enabled", 0.08, (False,))
        if not edges or rng.random() < 0.45:
            sheet["schedule"] = self._schedule()
        _mend(sheet)
        return sheet

    def _maybe(self, sheet: Sheet, key: str, chance: float, values: tuple[Any, ...]) -> None:
        if self._rng.random() < chance:
            sheet[key] = self._rng.choice(values)

    def _schedule(self) -> Sheet:
        rng, kind = self._rng, self._rng.random()
        if kind < 0.06:
            hours = rng.randint(1, int((self._end - self._start) / timedelta(hours=1)))
            return {"at": format_instant(self._start + timedelta(hours=hours))}
        made: Sheet = {"end": format_instant(self._end)}
        if kind < 0.14:
            made["event"] = rng.sample(EVENTS, rng.choice((1, 1, 2)))
            self._maybe(made, "max_runs", 0.06, (1, 3, 10))
            return made
        if kind < 0.26:
            made["every"] = rng.choice(EVERY)
        else:
            made["cron"], made["timezone"] = rng.choice(CRONS), rng.choice(ZONES)
        self._maybe(made, "max_runs", 0.06, (1, 3, 10))
        return made


def _mend(sheet: Sheet) -> None:
    """Make a sheet valid again that had parts of two others put together."""
    if not sheet["depends_on"]:
        sheet.pop("trigger_rule", None)
    if "event" in sheet.get("schedule", {"event": ""}):
        for edge in sheet["depends_on"]:
            edge["match"] = "latest" if edge["match"] == "all" else edge["match"]
    about = re.search(r'state\("(\w+)"\)', sheet.get("when", ""))
    if about and all(edge["job"] != about[1] for edge in sheet["depends_on"]):
        del sheet["when"]
    if sheet.get("pool") != "q":
        sheet.pop("slots", None)


@lru_cache(maxsize=64)
def _load(text: str) -> Config:
    loaded = load_texts({FILE: text}, utc(2026, 1, 1))
    assert loaded.config is not None, [problem.message for problem in loaded.problems if problem.severity == "error"]
    return loaded.config
