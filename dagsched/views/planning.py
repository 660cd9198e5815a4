"""What an edit of the job files would change, from their texts: `dagsched plan` where only texts are at hand."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import timedelta
from pathlib import Path, PurePath
from typing import Any

from dagsched.clock import SystemClock
from dagsched.config import load_texts
from dagsched.config import rows as rows_of
from dagsched.errors import ConfigInvalid, Refused, Unknown, UsageError
from dagsched.preview import NOTHING, Base, preview, read_base
from dagsched.registered import is_registered
from dagsched.stores import open_store
from dagsched.views.plan_doc import document
from dagsched.views.plan_words import words_doc, words_of

NEW_NAME = "added.yaml"
FIRST_NAME = "jobs.yaml"


async def plan_of(home: Path, files: Mapping[str, str], days: int) -> Mapping[str, Any]:
    """Return `problems`, the warnings with their excerpts; `document`, as `plan --json`; and `words`, as `plan`.

    `files`: path → text. `days`: how far to look ahead. Raises ConfigInvalid, Refused, StoreError.
    """
    now = SystemClock().now()
    new = load_texts(files, now)
    if new.config is None:
        raise ConfigInvalid(new.problems)
    told = zip(rows_of(new.problems), new.problems, strict=True)
    store = open_store(home)
    await store.open(write=False)
    try:
        version = next(iter(await store.configs(limit=1)), None)
        try:
            base = read_base(version, now) if version is not None else Base(NOTHING)
        except ConfigInvalid:
            raise Refused("the configuration in force cannot be read by this version of dagsched") from None
        found = await preview(store, base, new, now, timedelta(days=days))
    finally:
        await store.close()
    return {
        "problems": [{**row, "excerpt": problem.excerpt} for row, problem in told],
        "document": document(found),
        "words": words_doc(words_of(found)),
    }


# ---------------------------------------------------------------- which file a text is


def own_files(files: Mapping[str, str]) -> list[str]:
    """Return the paths of what is in force that are job files; the others are the jobs registered at run time."""
    return [path for path in files if not is_registered(path)]


def in_place_of_all(home: Path, files: Mapping[str, str], text: str) -> dict[str, str]:
    """Return what would be loaded if this text were the only job file."""
    own = own_files(files)
    return _with_registered(own, files, {own[0] if own else str(home.with_name(FIRST_NAME)): text})


def in_place_of(home: Path, files: Mapping[str, str], name: str, text: str) -> dict[str, str]:
    """Return the files with this text in place of the one of that path, or of that last part of one path.

    NEW_NAME adds a file. Raises Unknown.
    """
    own = own_files(files)
    if not own:
        return in_place_of_all(home, files, text)
    if name == NEW_NAME:
        return {**files, str(PurePath(own[0]).with_name(NEW_NAME)): text}
    meant = [path for path in own if path == name] or [path for path in own if PurePath(path).name == name]
    if len(meant) != 1:
        raise Unknown("file in force", name, own[:5])
    return {**files, meant[0]: text}


def set_in_place_of(home: Path, files: Mapping[str, str], texts: Mapping[str, str]) -> dict[str, str]:
    """Return what would be loaded if these texts were the job files, each at the place that it has in force.

    A path in force is taken as it is. Of all others only what lies below their common folder counts, and that is put
    below the common folder of what is in force; a single text takes the place of a single file, whatever its name.
    Raises UsageError for two that would be one file.
    """
    own = own_files(files)
    if len(texts) == 1 and len(own) == 1:
        return in_place_of_all(home, files, next(iter(texts.values())))
    here, there = _folder(own) if own else home.parent, _folder(list(texts))
    placed: dict[str, str] = {}
    for path, text in texts.items():
        at = path if path in own else str(here / PurePath(path).relative_to(there))
        if at in placed:
            raise UsageError(f"two of the files would be {at}; name them as they are named in force")
        placed[at] = text
    return _with_registered(own, files, placed)


def _with_registered(own: list[str], files: Mapping[str, str], new: Mapping[str, str]) -> dict[str, str]:
    """Return the new texts and those of the registered jobs, which stay whatever the files say."""
    return {**new, **{path: text for path, text in files.items() if path not in own}}


def _folder(paths: list[str]) -> PurePath:
    """Return the deepest folder that all these paths lie in."""
    parents = [PurePath(path).parent for path in paths]
    found = parents[0]
    while not all(parent.is_relative_to(found) for parent in parents):
        found = found.parent
    return found
