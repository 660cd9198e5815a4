"""What one file says by itself: its jobs and pools, and what is wrong with it whatever the others say.

A part is a function of the file's path and text, of the other files' templates that it uses, and of the members of the
matrices it names; so one for which all that did not change is used again. What only all parts together can tell is in
`checks.py`.
"""

from __future__ import annotations

import os
from collections.abc import Iterable, Mapping
from typing import TYPE_CHECKING, Any

from dagsched.config import grammar, telling
from dagsched.config.build import Builder, Dropped, Entry, Groups, checked_rate, keep_of, rules_of
from dagsched.config.explain import Complaint, short
from dagsched.config.problem import Problem
from dagsched.config.reader import Document, Path, read
from dagsched.config.report import Report
from dagsched.config.schedules import Schedules
from dagsched.declaration import EMPTY, Calendar, Keep, NotifyRule, RateLimit
from dagsched.digests import sha256

if TYPE_CHECKING:  # plain files do without all that
    from dagsched.config.patterns import Expansion
    from dagsched.config.shelf import Looked, Shelf

SLOTS_MAX = 1_000_000  # what a pool has that limits the rate alone


class Part:
    """One file's share of a configuration, made in three steps that wait for those of the other files.

    Opened, it is read: `raw` is what stands there, None when it cannot be understood, and `templates` are the names of
    those it declares. Written out, its `document` has plain jobs only, and `groups` says which of them a matrix made.
    Built, `entries` are its jobs.

    `broken`: ids of jobs that could not be built. `pools`: capacity by name, None where it was refused. `pool_rates`:
    rate limits of those pools that have one. `calendars`: days off by name, None where they were refused. `keep`: what
    it says for all its jobs. `named`: notifiers and agents by section and name. `rules`: the file's default rules of
    notification. `is_whole`: nothing of the file was lost. `has_patterns`: there is something to write out;
    `expansion` is what became of it. `is_timed`: an instant is named after which a schedule has no tick. `calls`: it
    has workflows, which look at all jobs. `name` is what problems call the file.
    """

    __slots__ = (
        "_digest", "_group_names", "_groups_then", "_opened", "_tried", "broken", "calendars", "calls", "document",
        "entries", "expansion", "groups", "handlers", "has_patterns", "is_built", "is_timed", "is_whole", "keep",
        "name", "named", "path", "pool_rates", "pools", "problems", "raw", "rules", "templates", "text", "upstreams",
        "used_calendars", "used_names", "used_pools", "wrong_templates",
    )  # fmt: skip

    def __init__(self, path: str, name: str, content: bytes | str) -> None:
        document, source, unread = read(name, content)
        if document is not None and (later := grammar.later(document.data)):
            # Judged by this format the rest of it would only be called wrong.
            report = Report()
            report.complain(document, later)
            document, unread = None, list(report.sorted())
        self._open(path, name, source.text, document, tuple(unread))

    def again(self) -> Part:
        """Return the same file as opened, to be made anew with what other files say now."""
        other = Part.__new__(Part)
        other._open(self.path, self.name, self.text, self.raw, self._opened)
        return other

    def _open(self, path: str, name: str, text: str, document: Document | None, unread: tuple[Problem, ...]) -> None:
        self.path, self.name, self.text, self.raw, self._opened = path, name, text, document, unread
        self.document = document
        self.entries: dict[str, Entry] = {}
        self.broken: set[str] = set()
        self.pools: dict[str, int | None] = {}
        self.pool_rates: dict[str, RateLimit] = {}
        self.calendars: dict[str, Calendar | None] = {}
        self.keep: Keep | None = None
        self.named: dict[str, telling.Declared] = {}
        self.rules: tuple[NotifyRule, ...] = ()
        self.groups: Groups = EMPTY
        self.expansion: Expansion | None = None
        self.wrong_templates: frozenset[str] = frozenset()
        self.problems: tuple[Problem, ...] = unread
        self.is_whole, self.is_built = document is not None, False
        templates = document.data.get("templates") if document is not None else None
        self.templates = frozenset(templates) if isinstance(templates, dict) else frozenset()
        self.has_patterns = document is not None and grammar.has_patterns(document.data)
        self._digest = b""
        self._tried: dict[str, tuple[tuple[Problem, ...], Looked]] = {}
        self._groups_then: Groups = EMPTY

    def write_out(self, shelf: Shelf) -> None:
        """Replace templates and matrices by the jobs they mean, if the file has any."""
        if self.raw is None or self.expansion is not None or not self.has_patterns:
            return
        from dagsched.config.patterns import write_out

        report = Report()
        refused = grammar.check_patterns(self.raw.data)
        for complaint in refused:
            report.complain(self.raw, complaint)
        names = frozenset((str(each.path[0]), str(each.path[1])) for each in refused if len(each.path) > 1)
        self.expansion = write_out(self.raw, shelf, names, report)
        self.document, self.groups = self.expansion.document, self.expansion.groups
        self.broken.update(self.expansion.broken)
        self.wrong_templates = frozenset(name for section, name in names if section == "templates")
        self.is_whole = self.is_whole and not self.expansion.broken and not self.wrong_templates
        self.problems += report.sorted()

    def build(self, groups: Groups, schedules: Schedules) -> None:
        """Make the jobs; `groups`: those of all files."""
        report = Report()
        if self.document is not None:
            self._declare(self.document, groups, schedules, report)
        for problem in self.problems:
            report.take(problem)
        self.problems = report.sorted()
        self.is_built = True
        self._outline()

    def holds(self, shelf: Shelf) -> bool:
        """Whether the templates that the file uses are what they were when it was written out."""
        return self.expansion is None or shelf.still_finds(self.expansion.looked)

    def is_built_with(self, groups: Groups) -> bool:
        """Whether the matrices of which jobs of this file wait for all jobs are what they were when it was built."""
        if not self.is_built:
            return False
        named = groups.keys() & self._group_names if groups else frozenset()
        return {name: groups[name] for name in named} == self._groups_then

    def said_by(self, template: str, shelf: Shelf, schedules: Schedules) -> tuple[Problem, ...]:
        """Return what is to be said of a template that no job rests on: that, and what is wrong with it."""
        assert self.raw is not None, "a file that declares one was understood"
        known = self._tried.get(template)
        if known is not None and shelf.still_finds(known[1]):
            return known[0]
        from dagsched.config.patterns import tried
        from dagsched.config.shelf import Template

        report = Report()
        document, looked = tried(Template(self.raw, template), shelf, report)
        if document is not None:
            self.again()._declare(document, EMPTY, schedules, report)
        unused = Complaint(
            "W401",
            ("templates", template),
            f"no job uses the template '{short(template)}'",
            "it changes nothing",
            "remove it, or let a job say extends:",
            True,
        )
        report.complain(self.raw, unused)
        self._tried[template] = (report.sorted(), looked)
        return self._tried[template][0]

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
            self._digest = sha256(self.text.encode()).digest()
        return self._digest

    def let_go(self) -> None:
        """Free what is only needed to say where things stand; it is read again when somebody asks."""
        for document in (self.raw, self.document):
            if document is not None:
                document.let_go()

    def _declare(self, document: Document, groups: Groups, schedules: Schedules, report: Report) -> None:
        """Make the pools and jobs of a document without patterns, and report what is wrong with them."""
        refused, unexplained = grammar.check(document.data, document.members)
        for complaint in refused:
            report.complain(document, complaint)
        top = {str(complaint.path[0]) for complaint in refused if len(complaint.path) == 1}
        defaults = document.data.get("defaults")
        timezone = document.data.get("timezone") if "timezone" not in top else None
        if timezone is not None:
            schedules.is_zone(timezone, document, ("timezone",), report)
        below = _without(defaults, _refused_names(refused, "defaults")) if isinstance(defaults, dict) else {}
        keep = document.data.get("keep")
        if isinstance(keep, dict) and not any(each.path[0] == "keep" for each in refused if each.path):
            self.keep = keep_of(keep)
            below = {"keep": keep, **below}
        folder = os.path.dirname(self.path) or os.sep
        builder = Builder(document, folder, report, schedules, _dropped(refused), below, timezone, groups)
        self._declare_pools(document, _refused_names(refused, "pools"), report)
        if "calendars" in document.data:
            self._declare_calendars(document, _refused_names(refused, "calendars"), report)
        for section in telling.SECTIONS:
            self._declare_named(document, section, _refused_names(refused, section), report)
        self.rules = rules_of(telling.rules_of_file(document, _refused_names(refused, "defaults")))
        self._declare_jobs(document.data, builder, unexplained)
        if "${{" in self.text:
            self._tell_strays(document, report)
        self._groups_then = {name: groups[name] for name in builder.named_groups}

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

    def _declare_named(self, document: Document, section: str, refused: set[str], report: Report) -> None:
        if section in document.data:
            self.is_whole = self.is_whole and isinstance(document.data[section], dict)
            folder = os.path.dirname(self.path) or os.sep
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

    def _tell_strays(self, document: Document, report: Report) -> None:
        """Report placeholders in jobs in which nothing replaces them."""
        from dagsched.config.placeholders import strays

        for id in self.entries.keys() - document.members.keys():
            path: Path = ("jobs", id)
            for where, offset, length in strays(document.value_at(path), path):
                said = Complaint(
                    "W403",
                    where,
                    f"nothing replaces the placeholder in the job '{id}'",
                    "placeholders are for jobs with extends or matrix; here it is text as any other",
                    "use $DAGSCHED_PARAM_NAME for a parameter, or extend a template",
                )
                report.complain_inside(document, said, offset, length)

    def _outline(self) -> None:
        """Note what the checks between jobs look at, so that a change elsewhere is known not to matter."""
        jobs = [entry.job for entry in self.entries.values()]
        self.upstreams = {edge.job for job in jobs for edge in job.depends_on}
        self._group_names = self.upstreams | self._groups_then.keys()
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
