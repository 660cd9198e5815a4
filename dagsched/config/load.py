"""From files to a configuration: read all, check all, and report everything that is wrong at once."""

from __future__ import annotations

import hashlib
import os
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path
from types import MappingProxyType
from typing import Any

from dagsched.config import grammar
from dagsched.config.build import Builder, Dropped, Entry
from dagsched.config.checks import View, all_checks
from dagsched.config.explain import Complaint, short
from dagsched.config.files import BUILT_IN_HANDLERS, installed_handlers, job_files, read_file, unreadable
from dagsched.config.problem import Problem
from dagsched.config.reader import Document, read
from dagsched.config.report import Report, where
from dagsched.config.schedules import Schedules
from dagsched.model import Config


@dataclass(frozen=True, slots=True)
class Loaded:
    """What became of the files: `config` is None when any problem is an error."""

    config: Config | None
    problems: tuple[Problem, ...]


def load(paths: Sequence[Path], now: datetime) -> Loaded:
    """Read and check job files and folders of them; `now` (aware) is what the lints look ahead from.

    Never raises for what stands in the files, nor for files that cannot be read: those are problems. Problems
    name files as `paths` do.
    """
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
    return _Loading(names, now, problems).run(contents)


def load_texts(files: Mapping[str, bytes | str], now: datetime) -> Loaded:
    """Check texts as `load` checks files; `files`: absolute path → content, none of them is opened.

    The same paths and contents give equal jobs, whatever the working directory.
    """
    return _Loading({}, now, []).run(files)


class _Loading:
    """One load: the files' documents, the jobs they declare, and the report."""

    def __init__(self, names: Mapping[str, str], now: datetime, problems: Iterable[Problem]) -> None:
        self._names = names
        self._now = now
        self._report = Report()
        self._schedules = Schedules()
        self._entries: dict[str, Entry] = {}
        self._pools: dict[str, int | None] = {}
        self._pool_places: dict[str, str] = {}
        self._is_whole = True
        self._broken: set[str] = set()
        for problem in problems:
            self._is_whole = False
            self._report.take(problem)

    def run(self, files: Mapping[str, bytes | str]) -> Loaded:
        texts: dict[str, str] = {}
        for path, content in files.items():
            document, source, unread = read(self._names.get(path, path), content)
            texts[path] = source.text
            for problem in unread:
                self._report.take(problem)
            if document is None:
                self._is_whole = False
            else:
                self._declare(document, os.path.dirname(path) or os.sep)
        self._check()
        problems = self._report.sorted()
        if any(problem.is_error for problem in problems):
            return Loaded(None, problems)
        return Loaded(self._config(texts), problems)

    def _declare(self, document: Document, folder: str) -> None:
        """Add one file's pools and jobs."""
        refused = grammar.check(document.data)
        for complaint in refused:
            self._report.complain(document, complaint)
        top = {str(complaint.path[0]) for complaint in refused if len(complaint.path) == 1}
        defaults = document.data.get("defaults")
        timezone = document.data.get("timezone") if "timezone" not in top else None
        if timezone is not None:
            self._schedules.is_zone(timezone, document, ("timezone",), self._report)
        builder = Builder(
            document,
            folder,
            self._report,
            self._schedules,
            _dropped(refused),
            _without(defaults, _refused_names(refused, "defaults")) if isinstance(defaults, dict) else {},
            timezone,
        )
        self._declare_pools(document, _refused_names(refused, "pools"))
        self._declare_jobs(document, builder)

    def _declare_pools(self, document: Document, refused: set[str]) -> None:
        pools = document.data.get("pools")
        if not isinstance(pools, dict):
            self._is_whole = self._is_whole and pools is None and "pools" not in document.data
            return
        for name, slots in pools.items():
            capacity = None if name in refused else slots
            if self._pools.setdefault(name, capacity) not in (capacity, None):
                said = f"the pool '{short(name)}' is declared with {self._pools[name]} slots and with {slots}"
                self._report.complain(
                    document,
                    Complaint(
                        "E209",
                        ("pools", name),
                        said,
                        f"the other declaration is {self._pool_places[name]}",
                        "declare it once, or with the same capacity",
                        True,
                    ),
                )
            self._pool_places.setdefault(name, where(document, ("pools", name)))

    def _declare_jobs(self, document: Document, builder: Builder) -> None:
        jobs = document.data.get("jobs")
        if not isinstance(jobs, dict):
            self._is_whole = False
            return
        for id, raw in jobs.items():
            other = self._entries.get(id)
            if other is not None:
                place = where(other.document, ("jobs", id))
                self._report.complain(
                    document,
                    Complaint(
                        "E203",
                        ("jobs", id),
                        f"the job '{short(id)}' is declared twice",
                        f"the other one is {place}",
                        "rename or remove one; all files together are one namespace",
                        True,
                    ),
                )
            elif isinstance(raw, dict):
                self._entries[id] = builder.job(id, raw)
            else:
                self._broken.add(id)

    def _check(self) -> None:
        used = {entry.job.handler for entry in self._entries.values()}
        # Looking for plug-ins takes longer than all the rest for a small file, so only if one may be meant.
        handlers = frozenset(BUILT_IN_HANDLERS if used <= {"shell", *BUILT_IN_HANDLERS} else installed_handlers())
        all_checks(
            View(self._entries, frozenset(self._broken), self._pools, handlers, self._is_whole, self._now), self._report
        )

    def _config(self, texts: Mapping[str, str]) -> Config:
        jobs = {id: entry.job for id, entry in self._entries.items()}
        pools = {name: slots for name, slots in self._pools.items() if slots is not None}
        return Config(MappingProxyType(jobs), MappingProxyType(pools), MappingProxyType(dict(texts)), _digest(texts))


def _dropped(refused: Iterable[Complaint]) -> dict[str, Dropped]:
    """Return by job what the grammar refused of it, as little as possible, so that the rest is checked too."""
    keys: dict[str, set[str]] = {}
    parts: dict[str, set[tuple[str, str | int]]] = {}
    for complaint in refused:
        path = complaint.path
        if len(path) > 2 and path[0] == "jobs":
            id, key = str(path[1]), str(path[2])
            keys.setdefault(id, set())
            if key in ("depends_on", "env", "params") and len(path) > 3:
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


def _digest(texts: Mapping[str, str]) -> str:
    """Return the hex SHA-256 over paths and texts, in order of the paths; lengths keep them apart."""
    digest = hashlib.sha256()
    for path in sorted(texts):
        for part in (path.encode(errors="surrogateescape"), texts[path].encode()):
            digest.update(len(part).to_bytes(8, "big"))
            digest.update(part)
    return digest.hexdigest()
