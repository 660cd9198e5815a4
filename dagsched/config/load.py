"""From files to a configuration: read all, check all, and report everything that is wrong at once.

A `Loader` remembers the last good configuration file by file. When it loads again, a file with the same text is
not read again, and its jobs are checked against other files' only where something they hang on has changed. What
comes out is the same as from a load of everything: only where time is spent differs.
"""

from __future__ import annotations

import gc
import os
from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from datetime import date, datetime
from functools import cached_property
from operator import attrgetter
from pathlib import Path
from types import MappingProxyType
from typing import TYPE_CHECKING, Any, NamedTuple

from dagsched.config import telling
from dagsched.config.build import Entry
from dagsched.config.checks import View, check_cycles, check_part, day_of, may_close_a_cycle
from dagsched.config.explain import Complaint, short
from dagsched.config.files import BUILT_IN_HANDLERS, installed_handlers, job_files, read_file, unreadable
from dagsched.config.part import Part
from dagsched.config.problem import Problem
from dagsched.config.reader import Document
from dagsched.config.report import Report, where
from dagsched.config.schedules import Schedules
from dagsched.counting import counted
from dagsched.declaration import EMPTY, Calendar, Config, Keep, RateLimit
from dagsched.digests import sha256

if TYPE_CHECKING:  # plain files do without it
    from dagsched.config.shelf import Shelf


class Loaded(NamedTuple):
    """What became of the files: `config` is None when any problem is an error."""

    config: Config | None
    problems: tuple[Problem, ...]


def load(paths: Sequence[Path], now: datetime) -> Loaded:
    """Read and check job files and folders of them; `now` (aware) is what the lints look ahead from.

    Never raises for what stands in the files, nor for files that cannot be read: those are problems. Problems
    name files as `paths` do.
    """
    return load_with_entries(paths, now)[0]


def load_with_entries(paths: Sequence[Path], now: datetime) -> tuple[Loaded, Mapping[str, Entry]]:
    """Return what `load` does, and the jobs with where each part of them is said."""
    files, problems = job_files(paths)
    contents: dict[str, bytes | str] = {}
    names: dict[str, str] = {}
    for file in files:
        content = read_file(file)
        if isinstance(content, Problem):
            problems.append(content)
        else:
            absolute = os.path.abspath(file)
            contents[absolute], names[absolute] = content, str(file)
    if not files and not problems:
        for path in paths:
            problems.append(unreadable(path, OSError(0, "there is no *.yaml file in it")))
    loader = Loader()
    loaded = loader._load(contents, now, names, problems)
    return loaded, loader.entries()


def load_texts(files: Mapping[str, bytes | str], now: datetime) -> Loaded:
    """Check texts as `load` checks files; `files`: absolute path → content, none of them is opened.

    The same paths and contents give equal jobs, whatever the working directory.
    """
    return Loader().load(files, now)


class Loader:
    """Loads again and again; what has not changed since the last good load costs next to nothing."""

    def __init__(self) -> None:
        self._good: _Good | None = None
        # A bad file is read once, however often the others are tried with and without it.
        self._latest: Mapping[str, Part] = {}

    def load(self, files: Mapping[str, bytes | str], now: datetime) -> Loaded:
        """Return what `load_texts` returns."""
        return self._load(files, now, EMPTY, ())

    def entries(self) -> Mapping[str, Entry]:
        """Return the jobs of the last good load by id."""
        return self._good.entries if self._good else {}

    def _load(
        self,
        files: Mapping[str, bytes | str],
        now: datetime,
        names: Mapping[str, str],
        problems: Iterable[Problem],
    ) -> Loaded:
        with _collector_at_rest():
            loading = _Loading(self._good, self._latest, now, problems)
            loaded = loading.run(files, names)
            self._latest = loading.parts()
            if loaded.config is not None:
                self._good = loading.kept()
            return loaded


@contextmanager
def _collector_at_rest() -> Iterator[None]:
    """Keep the cyclic collector from walking, again and again, the many objects that are only being made."""
    was_enabled = gc.isenabled()
    gc.disable()
    try:
        yield
    finally:
        if was_enabled:
            gc.enable()


class _Good(NamedTuple):
    """A configuration without errors, file by file. `remarks`: path → what the checks said of that file's jobs."""

    parts: Mapping[str, Part]
    entries: Mapping[str, Entry]
    pools: Mapping[str, int | None]
    calendars: Mapping[str, Calendar | None]
    named: Mapping[str, telling.Declared]
    remarks: Mapping[str, tuple[Problem, ...]]
    day: date


_NOTHING = _Good(EMPTY, EMPTY, EMPTY, EMPTY, dict.fromkeys(telling.SECTIONS, EMPTY), EMPTY, date.min)


class _Loading:
    """One load: the files' parts, what they are together, and the report."""

    def __init__(
        self, good: _Good | None, latest: Mapping[str, Part], now: datetime, problems: Iterable[Problem]
    ) -> None:
        self._good, self._latest = good or _NOTHING, latest
        self._schedules = Schedules()
        self._now = now
        self._report = Report()
        self._parts: dict[str, Part] = {}
        self._entries: dict[str, Entry] = {}
        self._pools: dict[str, int | None] = {}
        self._pool_rates: dict[str, RateLimit] = {}
        self._calendars: dict[str, Calendar | None] = {}
        self._named: dict[str, dict[str, Mapping[str, Any] | None]] = {section: {} for section in telling.SECTIONS}
        self._remarks: dict[str, tuple[Problem, ...]] = {}
        self._is_whole = True
        for problem in problems:
            self._is_whole = False
            self._report.take(problem)

    def run(self, files: Mapping[str, bytes | str], names: Mapping[str, str]) -> Loaded:
        for path, content in files.items():
            self._parts[path] = self._known(path, content) or Part(path, names.get(path, path), content)
        self._make()
        for part in self._parts.values():
            self._join(part)
        self._join_groups()
        self._check()
        self._check_templates()
        problems = tuple(problem.told() for problem in self._report.sorted())
        for part in self._parts.values():
            part.let_go()
        if any(problem.is_error for problem in problems):
            return Loaded(None, problems)
        return Loaded(self._config(), problems)

    def parts(self) -> Mapping[str, Part]:
        """Return the files by path."""
        return self._parts

    def kept(self) -> _Good:
        """Return what the next load can use; only after a load without errors."""
        return _Good(
            self._parts, self._entries, self._pools, self._calendars, self._named, self._remarks, day_of(self._now)
        )

    def _known(self, path: str, content: bytes | str) -> Part | None:
        known = (self._good.parts.get(path), self._latest.get(path))
        return next((part for part in known if part is not None and part.is_of(content)), None)

    def _make(self) -> None:
        """Make of the files what is not made yet, or hangs on what other files say and they say otherwise now."""
        for path, part in self._parts.items():
            if part.has_patterns:
                if not part.holds(self._shelf):
                    self._parts[path] = part.again()
                self._parts[path].write_out(self._shelf)
        groups: dict[str, tuple[str, ...]] = {}
        for part in self._parts.values():
            groups.update(part.groups)
        for path, part in self._parts.items():
            if part.is_built and not part.is_built_with(groups):
                part = self._parts[path] = part.again()
                if part.has_patterns:
                    part.write_out(self._shelf)
            if not part.is_built:
                part.build(groups, self._schedules)

    @cached_property
    def _shelf(self) -> Shelf:
        """Return the templates of all files; made anew, a file still declares them with what it was read as."""
        from dagsched.config.shelf import Shelf

        documents = {part.raw: part.templates for part in self._parts.values() if part.raw is not None}
        return Shelf(documents, self._is_whole and len(documents) == len(self._parts))

    # ------------------------------------------------------------ all files are one namespace

    def _join(self, part: Part) -> None:
        for problem in part.problems:
            self._report.take(problem)
        self._is_whole = self._is_whole and part.is_whole
        for name, slots in part.pools.items():
            self._join_pool(part, name, slots)
        for name, calendar in part.calendars.items():
            self._join_calendar(part, name, calendar)
        for section, entries in part.named.items():
            self._join_named(part, section, entries)
        if self._entries.keys().isdisjoint(part.entries):
            self._entries.update(part.entries)
            return
        for id, entry in part.entries.items():
            if id in self._entries:
                self._twice(part, id)
            else:
                self._entries[id] = entry

    def _join_groups(self) -> None:
        """Report ids that stand for all jobs of a matrix, and for something else as well."""
        first: dict[str, Part] = {}
        for part in self._parts.values():
            for id in part.groups:
                other = self._entries[id].document if id in self._entries else first.get(id, part).raw
                if other is not part.raw:
                    self._twice(part, id, other)
                first.setdefault(id, part)

    def _join_pool(self, part: Part, name: str, slots: int | None) -> None:
        rate = part.pool_rates.get(name)
        if name not in self._pools and rate is not None:
            self._pool_rates[name] = rate
        before, its_rate = self._pools.setdefault(name, slots), self._pool_rates.get(name)
        if (before, its_rate) == (slots, rate) or before is None or slots is None:
            return
        first = next(each for each in self._parts.values() if name in each.pools)
        assert part.document is not None, "what declares a pool was understood"
        assert first.document is not None, "what declares a pool was understood"
        said = Complaint(
            "E209",
            ("pools", name),
            f"the pool '{short(name)}' is declared with {_pool_words(before, its_rate)} "
            f"and with {_pool_words(slots, rate)}",
            f"the other declaration is {where(first.document, ('pools', name))}",
            "declare it once, or with the same capacity",
            True,
        )
        self._report.complain(part.document, said)

    def _join_calendar(self, part: Part, name: str, calendar: Calendar | None) -> None:
        before = self._calendars.setdefault(name, calendar)
        if before == calendar or before is None or calendar is None:
            return
        first = next(each for each in self._parts.values() if name in each.calendars)
        assert part.document is not None, "what declares a calendar was understood"
        assert first.document is not None, "what declares a calendar was understood"
        said = Complaint(
            "E234",
            ("calendars", name),
            f"the calendar '{short(name)}' is declared twice, with other days",
            f"the other declaration is {where(first.document, ('calendars', name))}",
            "declare it once, or give one of them another name: a job may use both",
            True,
        )
        self._report.complain(part.document, said)

    def _join_named(self, part: Part, section: str, entries: telling.Declared) -> None:
        for name, said in entries.items():
            before = self._named[section].setdefault(name, said)
            if before is said or before is None or said is None:
                continue
            first = next(each for each in self._parts.values() if name in each.named.get(section, ()))
            assert part.document is not None, "what declares something was understood"
            assert first.document is not None, "what declares something was understood"
            self._report.complain(part.document, telling.twice(part.document, section, name, first.document))

    def _twice(self, part: Part, id: str, other: Document | None = None) -> None:
        document = part.raw if id in part.groups else part.document
        assert document is not None, "what declares a job was understood"
        said = Complaint(
            "E203",
            ("jobs", id),
            f"the job '{short(id)}' is declared twice",
            f"the other one is {where(other or self._entries[id].document, ('jobs', id))}",
            "rename or remove one; all files together are one namespace",
            True,
        )
        self._report.complain(document, said)

    # ------------------------------------------------------------ between jobs

    def _check(self) -> None:
        parts = self._parts.values()
        used = set().union(*(part.handlers for part in parts))
        # Looking for plug-ins takes longer than all the rest for a small file, so only if one may be meant.
        handlers = frozenset(BUILT_IN_HANDLERS if used <= {"shell", *BUILT_IN_HANDLERS} else installed_handlers())
        broken = frozenset().union(*(part.broken for part in parts))
        known = (self._entries, broken, self._pools, self._calendars, handlers)
        view = View(*known, self._is_whole, self._now, self._named)
        changed = self._changed_ids()
        for path, part in self._parts.items():
            if not self._is_settled(path, part, changed, handlers):
                report = self._report.beside()
                check_part(part, view, report)
                self._remarks[path] = report.sorted()
            else:
                self._remarks[path] = self._good.remarks[path]
            for problem in self._remarks[path]:
                self._report.take(problem)
        if not self._good.entries or may_close_a_cycle(changed, self._good.entries, self._entries):
            check_cycles(view, self._report)

    def _check_templates(self) -> None:
        """Report templates that no job rests on, and what is wrong with those that nobody else speaks for."""
        if not any(part.templates for part in self._parts.values()):
            return
        used: set[tuple[Document, str]] = set()
        for part in self._parts.values():
            used.update(part.expansion.used if part.expansion else ())
        for part in self._parts.values():
            for name in sorted(part.templates):
                assert part.raw is not None, "a file that declares one was understood"
                if (part.raw, name) in used or name in part.wrong_templates:
                    continue
                for problem in part.said_by(name, self._shelf, self._schedules):
                    if self._is_whole or problem.code != "W401":  # a job that uses it may be lost
                        self._report.take(problem)

    def _changed_ids(self) -> set[str]:
        """Return the ids that a file declares which is not, in both loads, the very same."""
        found: set[str] = set()
        for path in self._parts.keys() | self._good.parts.keys():
            now, before = self._parts.get(path), self._good.parts.get(path)
            if now is not before:
                for part in (now, before):
                    found.update(*((part.entries, part.broken) if part else ()))
        return found

    def _is_settled(self, path: str, part: Part, changed: set[str], handlers: frozenset[str]) -> bool:
        """Whether what the checks said of this file before is what they would say now."""
        good = self._good
        return (
            good.parts.get(path) is part
            and not part.is_timed
            and not part.calls
            and good.day == day_of(self._now)
            and changed.isdisjoint(part.entries)
            and not any(self._matters(id) for id in part.upstreams & changed)
            and all(good.pools.get(name) == self._pools.get(name) for name in part.used_pools)
            and all(good.calendars.get(name) == self._calendars.get(name) for name in part.used_calendars)
            and all((name in good.named[at]) == (name in self._named[at]) for at, name in part.used_names)
            and part.handlers - {"shell"} <= handlers
        )

    def _matters(self, upstream: str) -> bool:
        """Whether a job's checks may read differently because this upstream of it has changed."""
        before, now = self._good.entries.get(upstream), self._entries.get(upstream)
        if before is None or now is None:
            return True
        old, new = before.job, now.job
        return old.enabled != new.enabled or old.schedule != new.schedule

    def _config(self) -> Config:
        jobs = dict(zip(self._entries, map(_job_of, self._entries.values()), strict=True))
        if any("agent" in part.handlers for part in self._parts.values()):
            jobs = {id: telling.with_agent(job, self._named["agents"]) for id, job in jobs.items()}
        pools = {name: slots for name, slots in self._pools.items() if slots is not None}
        texts = {path: part.text for path, part in self._parts.items()}
        rates = MappingProxyType(self._pool_rates) if self._pool_rates else EMPTY
        calendars = {name: calendar for name, calendar in self._calendars.items() if calendar is not None}
        notifiers = {name: said for name, said in self._named["notifiers"].items() if said is not None}
        rules = (rule for part in self._parts.values() for rule in telling.about_no_job(part.rules))
        return Config(
            MappingProxyType(jobs),
            MappingProxyType(pools),
            MappingProxyType(texts),
            _digest(self._parts),
            rates,
            MappingProxyType(calendars) if calendars else EMPTY,
            _most_generous([part.keep for part in self._parts.values()]),
            notifiers=MappingProxyType(notifiers) if notifiers else EMPTY,
            notify=tuple(dict.fromkeys(rules)),
        )


def _pool_words(slots: int, rate: RateLimit | None) -> str:
    return counted(slots, "slot") + (f" and rate_limit {rate}" if rate is not None else "")


_job_of = attrgetter("job")


def _most_generous(keeps: Sequence[Keep | None]) -> Keep | None:
    """Return what keeps as much as any of these; None, all, if one of them says nothing."""
    said = [keep for keep in keeps if keep is not None]
    if not said or len(said) < len(keeps):
        return None
    days, runs = [keep.days for keep in said], [keep.runs for keep in said]
    return Keep(
        None if None in days else max(each for each in days if each is not None),
        None if None in runs else max(each for each in runs if each is not None),
    )


def _digest(parts: Mapping[str, Part]) -> str:
    """Return the hex SHA-256 over paths and digests of texts, in order of the paths; a length keeps them apart."""
    digest = sha256()
    for path in sorted(parts):
        name = path.encode(errors="surrogateescape")
        digest.update(len(name).to_bytes(8, "big"))
        digest.update(name + parts[path].digest)
    return digest.hexdigest()
