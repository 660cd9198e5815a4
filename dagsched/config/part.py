"""What one file says by itself: its jobs and pools, and what is wrong with it whatever the others say.

A part is a function of the file's path and text alone, so one whose text did not change is used again. What
only all parts together can tell is in `checks.py`.
"""

from __future__ import annotations

import hashlib
import os
from collections.abc import Iterable, Mapping
from typing import Any

from dagsched.config import grammar, telling
from dagsched.config.build import Builder, Dropped, Entry, checked_rate, rules_of
from dagsched.config.explain import Complaint
from dagsched.config.reader import Document, read
from dagsched.config.report import Report
from dagsched.config.schedules import Schedules
from dagsched.declaration import Calendar, NotifyRule, RateLimit

SLOTS_MAX = 1_000_000  # what a pool has that limits the rate alone


class Part:
    """One file's share of a configuration.

    `entries`: its jobs as built. `broken`: ids of those that could not be. `pools`: capacity by name, None where it
    was refused. `calendars`: the same of its days off. `pool_rates`: rate limits of those pools that have one.
    `named`: notifiers and agents by section and name. `rules`: the file's default rules of notification.
    `is_whole`: nothing of the file was lost. `is_timed`: an instant is named after which a schedule has no tick.
    `calls`: it has workflows, which look at all jobs. `document`: None when the file cannot be understood. `name` is
    what problems call the file.
    """

    __slots__ = (
        "_digest", "broken", "calendars", "calls", "document", "entries", "handlers", "is_timed", "is_whole", "name",
        "named", "pool_rates", "pools", "problems", "rules", "text", "upstreams", "used_calendars", "used_names",
        "used_pools",
    )  # fmt: skip

    def __init__(self, path: str, name: str, content: bytes | str, schedules: Schedules) -> None:
        report = Report()
        document, source, unread = read(name, content)
        self.name, self.text, self.document = name, source.text, document
        self.entries: dict[str, Entry] = {}
        self.broken: set[str] = set()
        self.pools: dict[str, int | None] = {}
        self.pool_rates: dict[str, RateLimit] = {}
        self.calendars: dict[str, Calendar | None] = {}
        self.named: dict[str, telling.Declared] = {}
        self.rules: tuple[NotifyRule, ...] = ()
        self.is_whole = document is not None
        for problem in unread:
            report.take(problem)
        if document is not None:
            self._declare(document, os.path.dirname(path) or os.sep, schedules, report)
        self.problems = report.sorted()
        self._digest = b""
        self._outline()

    def is_of(self, content: bytes | str) -> bool:
        """Whether this is the part that the content makes."""
        if content is self.text:
            return True
        if isinstance(content, str):
            return content.removeprefix("\ufeff") == self.text
        return content.removeprefix(b"\xef\xbb\xbf") == self.text.encode(errors="surrogatepass")

    @property
    def digest(self) -> bytes:
        """Return the SHA-256 of the text."""
        if not self._digest:
            self._digest = hashlib.sha256(self.text.encode()).digest()
        return self._digest

    def let_go(self) -> None:
        """Free what is only needed to say where things stand; it is read again when somebody asks."""
        if self.document is not None:
            self.document.let_go()

    def _declare(self, document: Document, folder: str, schedules: Schedules, report: Report) -> None:
        refused, unexplained = grammar.check(document.data)
        for complaint in refused:
            report.complain(document, complaint)
        top = {str(complaint.path[0]) for complaint in refused if len(complaint.path) == 1}
        defaults = document.data.get("defaults")
        timezone = document.data.get("timezone") if "timezone" not in top else None
        if timezone is not None:
            schedules.is_zone(timezone, document, ("timezone",), report)
        builder = Builder(
            document,
            folder,
            report,
            schedules,
            _dropped(refused),
            _without(defaults, _refused_names(refused, "defaults")) if isinstance(defaults, dict) else {},
            timezone,
        )
        self._declare_pools(document, _refused_names(refused, "pools"), report)
        if "calendars" in document.data:
            self._declare_calendars(document, _refused_names(refused, "calendars"), report)
        for section in telling.SECTIONS:
            self._declare_named(document, section, folder, _refused_names(refused, section), report)
        self.rules = rules_of(telling.rules_of_file(document, _refused_names(refused, "defaults")))
        self._declare_jobs(document.data, builder, unexplained)

    def _declare_calendars(self, document: Document, refused: set[str], report: Report) -> None:
        from dagsched.config.calendars import calendar_of  # only who has calendars waits for it

        calendars = document.data["calendars"]
        if not isinstance(calendars, dict):
            self.is_whole = False
            return
        for name, said in calendars.items():
            path = ("calendars", name)
            self.calendars[name] = None if name in refused else calendar_of(said, path, document, report)

    def _declare_pools(self, document: Document, refused: set[str], report: Report) -> None:
        pools = document.data.get("pools")
        if not isinstance(pools, dict):
            self.is_whole = self.is_whole and "pools" not in document.data
            return
        for name, said in pools.items():
            said = None if name in refused else said
            self.pools[name] = said.get("slots", SLOTS_MAX) if isinstance(said, dict) else said
            if isinstance(said, dict) and "rate_limit" in said:
                rate = checked_rate(said["rate_limit"], document, ("pools", name, "rate_limit"), report)
                if rate is not None:
                    self.pool_rates[name] = rate

    def _declare_named(self, document: Document, section: str, folder: str, refused: set[str], report: Report) -> None:
        if section in document.data:
            self.is_whole = self.is_whole and isinstance(document.data[section], dict)
            self.named[section] = telling.declared(document, section, folder, refused, report)

    def _declare_jobs(self, data: Mapping[str, Any], builder: Builder, unexplained: frozenset[str]) -> None:
        jobs = data.get("jobs")
        if not isinstance(jobs, dict):
            self.is_whole = False
            return
        for id, raw in jobs.items():
            if isinstance(raw, dict) and id not in unexplained:
                self.entries[id] = builder.job(id, raw)
            else:
                self.broken.add(id)

    def _outline(self) -> None:
        """Note what the checks between jobs look at, so that a change elsewhere is known not to matter."""
        jobs = [entry.job for entry in self.entries.values()]
        self.upstreams = {edge.job for job in jobs for edge in job.depends_on}
        self.used_calendars = {name for job in jobs for name in job.calendar}
        self.used_pools = {job.pool for job in jobs if job.pool is not None}
        self.handlers = {job.handler for job in jobs}
        self.calls = any(job.handler == "workflow" for job in jobs)
        rules = {rule for told in (self.rules, *{job.notify for job in jobs}) for rule in told}
        self.used_names = {("notifiers", name) for rule in rules for name in rule.to}
        self.used_names |= {("agents", str(job.with_.get("agent"))) for job in jobs if job.handler == "agent"}
        self.is_timed = any(job.schedule is not None and (job.schedule.end or job.schedule.at) for job in jobs)


def _dropped(refused: Iterable[Complaint]) -> dict[str, Dropped]:
    """Return by job what the grammar refused of it, as little as possible, so that the rest is checked too."""
    keys: dict[str, set[str]] = {}
    parts: dict[str, set[tuple[str, str | int]]] = {}
    for complaint in refused:
        path = complaint.path
        if len(path) > 2 and path[0] == "jobs":
            id, key = str(path[1]), str(path[2])
            keys.setdefault(id, set())
            if key in ("depends_on", "env", "secrets", "params") and len(path) > 3:
                parts.setdefault(id, set()).add((key, path[3]))
            else:
                keys[id].add(key)
    # What is refused as a whole loses its parts with it.
    return {
        id: Dropped(frozenset(found), frozenset(part for part in parts.get(id, ()) if part[0] not in found))
        for id, found in keys.items()
    }


def _refused_names(refused: Iterable[Complaint], section: str) -> set[str]:
    """Return the names in that top-level mapping which the grammar refused."""
    return {str(each.path[1]) for each in refused if len(each.path) > 1 and each.path[0] == section}


def _without(mapping: Mapping[str, Any], keys: set[str]) -> dict[str, Any]:
    return {key: value for key, value in mapping.items() if key not in keys}
