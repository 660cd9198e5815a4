"""A file has changed: notice it, read it whole, and keep what was good of the rest.

Two halves. `ConfigWatcher` says *that* something changed and never what: it watches the folders of the job
files, of every symbolic link on the way to them and of what the links lead to, so that an in-place write, a
rename over the file, a swapped link (Kubernetes swaps `..data`, not the file) and a folder made anew all
arrive. `Sources` says *what holds now*: all new texts are tried together, files named by an error fall back
to their last good text until the set is valid, a named file that vanishes is an error whose last good text
stays, and a file gone from a watched folder for REMOVAL_DELAY is removed.

An editor that saves by deleting and creating, or by writing half and then the rest, passes through states
that are wrong; each is read, refused and outlived by the next signal.
"""

from __future__ import annotations

import asyncio
import os
import time
from collections.abc import AsyncGenerator, Collection, Iterator, Mapping, Sequence
from contextlib import aclosing, suppress
from dataclasses import dataclass
from datetime import datetime, timedelta
from pathlib import Path
from typing import TYPE_CHECKING, NamedTuple

from dagsched.config import Loaded, Loader, Problem
from dagsched.config.files import SUFFIXES, job_files, read_file, unreadable
from dagsched.model import Config

if TYPE_CHECKING:
    from watchfiles import Change

REMOVAL_DELAY = timedelta(seconds=2)
# A save is a burst of events: a signal comes after a quiet step, or after the debounce at the latest, so that
# endless edits delay it but never hold it back. The watching thread looks up once a step also when nothing happens,
# and that is most of what an idle daemon does: a shorter one costs more than it hastens.
QUIET_STEP_MS = 100
DEBOUNCE_MAX_MS = 400
STABLE_READS_MAX = 5
# Two writes within the precision of a file system's times (FAT: 2 s) can leave one stamp, so a stamp that is not older
# than this when the file is read says nothing about it later. git calls such files racy.
STAMP_RACY_NS = 2_000_000_000
TRIED_MAX = 32  # so many suspects are tried one by one
LINKS_MAX = 40  # as Linux: more on the way to a file are a loop


# ---------------------------------------------------------------- what holds now


@dataclass(frozen=True, slots=True)
class Reading:
    """What the files amount to. `config` None: no valid set can be made, not even of last good texts.

    `problems`: everything said about the new texts, also when older ones stand in for them. `reverted`: files
    whose last good text (or, without one, absence) stands in, sorted. `pending_removal`: a file is missing from
    its folder for less than REMOVAL_DELAY; read again after it.
    """

    config: Config | None
    problems: tuple[Problem, ...]
    reverted: tuple[str, ...]
    pending_removal: bool


class Sources:
    """The job files of a daemon, with the last good text of each.

    `paths`: files and folders; `last_good`: absolute path → text of the configuration last in force, empty
    when there was none. `also`: path → text of more, which is as good as in a file and stands in none. A valid reading
    becomes the last good one.
    """

    def __init__(self, paths: Sequence[Path], last_good: Mapping[str, str], also: Mapping[str, str] = {}) -> None:
        self._paths = [Path(os.path.abspath(path)) for path in paths]
        self._also = dict(also)
        self._last_good = {file: text for file, text in last_good.items() if self._owner(file) is not None}
        self._last_good |= self._also
        self._stamps: dict[str, Stamp] = {}  # of files whose last good text is what stands in them
        self._missing_since: dict[str, datetime] = {}
        self._loader = Loader()

    def read(self, now: datetime, *, trust_stamps: bool = False) -> Reading:
        """Read all files as they are at `now` (aware) and return the newest valid set of them.

        `trust_stamps`: a file that has the stamp of its last good text is not read again.
        """
        fresh, stamps, unread = self._texts(self._stamps if trust_stamps else {})
        bad = {problem.file for problem in unread}
        waiting = self._waiting(fresh, bad, now)
        stand_ins = {file for file in self._last_good if self._is_lost(file, bad, fresh)}
        texts = {**fresh, **{file: self._last_good[file] for file in (*waiting, *stand_ins)}}
        loaded = self._loader.load(_ordered(texts), now)
        said = tuple(sorted((*unread, *loaded.problems), key=lambda problem: problem.order))
        config, reverted = self._valid(loaded, texts, now)
        if bad and not self._last_good:
            config = None  # a first start takes all files or none
        if config is not None:
            self._last_good = dict(config.files)
            self._stamps = {file: stamp for file, stamp in stamps.items() if file not in reverted}
        return Reading(config, said, tuple(sorted({*bad, *stand_ins, *reverted})), bool(waiting))

    def keep(self, file: str, text: str | None) -> None:
        """Read this text with the files from now on, for it is good with them; None: no more."""
        if text is None:
            self._also.pop(file, None)
            self._last_good.pop(file, None)
        else:
            self._also[file] = self._last_good[file] = text

    def _texts(self, known: Mapping[str, Stamp]) -> tuple[dict[str, bytes | str], dict[str, Stamp], list[Problem]]:
        """Return the content of each file that can be read, stamps to trust, and a problem for each that cannot.

        `known`: stamps of last good texts; a file that has its own still is not read.
        """
        files, problems = job_files(self._paths)
        texts: dict[str, bytes | str] = dict(self._also)
        stamps: dict[str, Stamp] = {}
        now_ns = time.time_ns()  # the clock of file systems, whatever the daemon's is
        for path in self._paths:
            if os.path.isdir(path) and not any(file.parent == path for file in files):
                problems.append(unreadable(path, OSError(0, "there is no *.yaml file in it")))
        for file in files:
            name, stamp = str(file), _stamp(file)
            if stamp is not None and known.get(name) == stamp:
                texts[name], stamps[name] = self._last_good[name], stamp
                continue
            content, stamp = _read_stable(file, stamp)
            if isinstance(content, Problem):
                problems.append(content)
                continue
            texts[name] = content
            if stamp is not None and stamp.changed_ns < now_ns - STAMP_RACY_NS:
                stamps[name] = stamp
        return texts, stamps, problems

    def _waiting(self, fresh: Mapping[str, object], bad: set[str], now: datetime) -> list[str]:
        """Return the last good files that are gone from their folder, but not for long enough."""
        gone = [
            file
            for file in self._last_good
            if file not in fresh and file != str(self._owner(file)) and not self._is_lost(file, bad, fresh)
        ]
        self._missing_since = {file: self._missing_since.get(file, now) for file in gone}
        return sorted(file for file in gone if now - self._missing_since[file] < REMOVAL_DELAY)

    def _is_lost(self, file: str, bad: set[str], fresh: Mapping[str, object]) -> bool:
        """Whether a last good file, or the folder it came from, cannot be read."""
        return file not in fresh and (file in bad or str(self._owner(file)) in bad)

    def _valid(self, loaded: Loaded, texts: dict[str, bytes | str], now: datetime) -> tuple[Config | None, set[str]]:
        """Put back last good texts, of the files that errors name first, until the set is valid."""
        reverted: set[str] = set()
        while loaded.config is None and self._last_good:
            changed = {file for file in (*texts, *self._last_good) if self._differs(file, texts)}
            if not changed:
                break  # what was good is no longer: another version, a plug-in gone
            for file in self._guilty(changed, loaded, texts, now):
                reverted.add(file)
                self._put_back(file, texts)
            loaded = self._loader.load(_ordered(texts), now)
        return loaded.config, reverted

    def _guilty(
        self, changed: set[str], loaded: Loaded, texts: dict[str, bytes | str], now: datetime
    ) -> Collection[str]:
        """Return those of the changed files to put back, so that the edits of the others count.

        Errors name the file where they show, which may be another than the one to blame: that removed the upstream,
        say. So each one named is tried, then each other one: to blame is a file without which there are fewer errors.
        """
        named = [file for file in _named(loaded) if file in changed]
        if len(changed) > 1:
            for suspects in (named, sorted(changed.difference(named))):
                guilty = self._without_fewer(suspects, loaded, texts, now)
                if guilty:
                    return guilty
        return named or changed

    def _without_fewer(
        self, suspects: Sequence[str], loaded: Loaded, texts: dict[str, bytes | str], now: datetime
    ) -> list[str]:
        """Return the files without each of which there are fewer errors; none of so many that it would take long."""
        found: list[str] = []
        left, without = _errors(loaded), dict(texts)
        for file in suspects if len(suspects) <= TRIED_MAX else ():
            trial = dict(without)
            self._put_back(file, trial)
            errors = _errors(self._loader.load(_ordered(trial), now))
            if errors < left:
                found.append(file)
                left, without = errors, trial
        return found

    def _put_back(self, file: str, texts: dict[str, bytes | str]) -> None:
        if file in self._last_good:
            texts[file] = self._last_good[file]
        else:
            texts.pop(file, None)

    def _differs(self, file: str, texts: Mapping[str, bytes | str]) -> bool:
        content, good = texts.get(file), self._last_good.get(file)
        if content is None or good is None:
            return content is not good
        return _as_text(content) != good

    def _owner(self, file: str) -> Path | None:
        """Return the path that brings in this file: itself, or the folder it lies in."""
        for path in self._paths:
            if file == str(path) or os.path.dirname(file) == str(path):
                return path
        return None


def _named(loaded: Loaded) -> list[str]:
    """Return the files that errors are about: first those that use a template which is wrong for them, then the others.

    Where either could be put back, it is better that one job stays as it was than that all of a template do.
    """
    errors = [problem for problem in loaded.problems if problem.is_error]
    files = [*(problem.via for problem in errors if problem.via), *(problem.file for problem in errors)]
    return list(dict.fromkeys(files))


def _errors(loaded: Loaded) -> int:
    return sum(problem.is_error for problem in loaded.problems)


def _ordered(texts: Mapping[str, bytes | str]) -> dict[str, bytes | str]:
    return {file: texts[file] for file in sorted(texts)}


def _as_text(content: bytes | str) -> str | None:
    """Return the text as a configuration stores it; None when it is none."""
    if isinstance(content, str):
        return content
    try:
        return content.removeprefix(b"\xef\xbb\xbf").decode()
    except UnicodeDecodeError:
        return None


def read_stable(path: Path) -> bytes | Problem:
    """Return the file's bytes as they stood at one instant, or what prevents it.

    A file that changes while it is read is read again; one that goes on changing is a problem for now.
    """
    return _read_stable(path, _stamp(path))[0]


class Stamp(NamedTuple):
    """What of a file is another after each change; the change time is the system's own, nobody can set it back."""

    device: int
    inode: int
    size: int
    modified_ns: int
    changed_ns: int


def _read_stable(path: Path, before: Stamp | None) -> tuple[bytes | Problem, Stamp | None]:
    """Return the bytes and the stamp they have, or what prevents it; `before` is the present stamp."""
    for _ in range(STABLE_READS_MAX):
        content = read_file(path)
        after = _stamp(path)
        if isinstance(content, Problem) or (before is not None and before == after):
            return content, after
        before = after
    return unreadable(path, OSError(0, "it changes while it is read")), None


def _stamp(path: Path) -> Stamp | None:
    try:
        found = os.stat(path)
    except (OSError, ValueError):
        return None
    return Stamp(found.st_dev, found.st_ino, found.st_size, found.st_mtime_ns, found.st_ctime_ns)


# ---------------------------------------------------------------- something changed


class Folder(NamedTuple):
    """A folder to watch, and which folder it is: one made anew under the same name is another."""

    path: str
    device: int
    inode: int


class ConfigWatcher:
    """Says when job files may have changed."""

    def __init__(self, paths: Sequence[Path]) -> None:
        self._paths = [os.path.abspath(path) for path in paths]

    async def signals(self) -> AsyncGenerator[None, None]:
        """Yield once when the watch stands, then within half a second of each change; never ends by itself.

        Whoever reads the files after each signal misses nothing: changes from then on give a further one.
        """
        from watchfiles import awatch  # takes a tenth of the start of `run --once`, which watches nothing

        while True:
            names, folders = watched(self._paths)
            changes = awatch(
                *(folder.path for folder in folders),
                watch_filter=lambda change, path, names=names: _concerns(path, names),  # type: ignore[misc]
                debounce=DEBOUNCE_MAX_MS,
                step=QUIET_STEP_MS,
                recursive=False,
                ignore_permission_denied=True,
            )
            same = self._while_same(changes, (names, folders))
            async with aclosing(changes), aclosing(same):
                async for _ in same:
                    yield

    async def _while_same(
        self, changes: AsyncGenerator[set[tuple[Change, str]], None], seen: tuple[frozenset[str], frozenset[Folder]]
    ) -> AsyncGenerator[None, None]:
        """Yield when the watch stands and at each change, until other folders have to be watched."""
        coming = asyncio.ensure_future(anext(changes))
        try:
            # One turn of the loop sets up the watch; only then is it safe to say "read now".
            await asyncio.sleep(0)
            yield
            while True:
                await asyncio.wait([coming])
                coming.result()
                if watched(self._paths) != seen:
                    return
                coming = asyncio.ensure_future(anext(changes))
                yield
        finally:
            coming.cancel()
            with suppress(asyncio.CancelledError):
                await coming


def watched(paths: Sequence[str]) -> tuple[frozenset[str], frozenset[Folder]]:
    """Return the names worth a signal and the folders to watch for them.

    The folders hold a job file, a job folder, or a link on the way to one; a folder that is not there is
    replaced by the nearest one above it that is.
    """
    names: set[str] = set()
    folders: set[Folder] = set()
    for path in paths:
        for step in _steps(path):
            names.add(os.path.basename(step))
            folders.add(_existing(os.path.dirname(step), names))
        if os.path.isdir(path):
            folders.add(_existing(os.path.realpath(path), names))
            for entry in _yaml_links(path):
                for step in _steps(entry):
                    names.add(os.path.basename(step))
                    folders.add(_existing(os.path.dirname(step), names))
    return frozenset(names), frozenset(folders)


def _yaml_links(folder: str) -> Iterator[str]:
    with suppress(OSError):
        for name in sorted(os.listdir(folder)):
            path = os.path.join(folder, name)
            if name.endswith(SUFFIXES) and os.path.islink(path):
                yield path


def _steps(path: str) -> list[str]:
    """Return the path itself, the folder it lies in, and each link on the way with what it leads to."""
    found: list[str] = []
    pending = [path]
    while pending and len(found) < 2 * LINKS_MAX:
        step = pending.pop()
        if step in found:
            continue
        found.append(step)
        for part in _prefixes(step):
            if os.path.islink(part):
                found.append(part)
                target = os.path.join(os.path.dirname(part), os.readlink(part))
                pending.append(os.path.normpath(target + step[len(part) :]))
                break
    parent = os.path.dirname(path)
    return [*found, parent] if parent != os.path.dirname(parent) else found


def _prefixes(path: str) -> Iterator[str]:
    """Yield the path's leading parts, shortest first, itself last."""
    parts = path.split(os.sep)
    for count in range(2, len(parts) + 1):
        yield os.sep.join(parts[:count])


def _existing(folder: str, names: set[str]) -> Folder:
    """Return the folder, or the nearest above it that exists; what is missing then becomes worth a signal."""
    while True:
        names.add(os.path.basename(folder))
        with suppress(OSError):
            found = os.stat(folder)
            if os.path.isdir(folder):
                return Folder(folder, found.st_dev, found.st_ino)
        folder = os.path.dirname(folder)


def _concerns(path: str, names: frozenset[str]) -> bool:
    name = os.path.basename(path)
    return name in names or name.endswith(SUFFIXES)
