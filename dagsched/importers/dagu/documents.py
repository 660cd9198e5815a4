"""Dagu files → documents → mappings that remember which of their keys were told about.

A file may hold several documents. Each is read by the reader of job files, so what would blow up (nesting, aliases
that multiply) is refused before anything is built, and every key keeps its line.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from typing import Any, NamedTuple

from dagsched.config.reader import Document, Path, read
from dagsched.importers.dagu.modern import Overlay, constants, translated
from dagsched.importers.dagu.words import canonical
from dagsched.importers.draft import Imported, Verdict, worst

DOCUMENTS_MAX = 500
_MARK = re.compile(r"^(?:---(?=[ \t\r\n#]|$)|\.\.\.[ \t\r]*$)", re.MULTILINE)


class Sheet(NamedTuple):
    """One document of a file: `first` is the line it starts on, less one; `data` has references as variables."""

    file: str
    document: Document
    first: int
    data: dict[str, Any]

    def said(self, path: Path) -> Any:
        """Return what stands in the file, with its references as they are written."""
        value: Any = self.document.data
        part: Any
        for part in path:
            if not isinstance(value, dict | list) or (isinstance(value, dict) and part not in value):
                break  # a command alone, which is read as a mapping
            value = value[part]
        return value

    def line(self, path: Path) -> int:
        index = self.document.index(path, key=bool(path) and isinstance(path[-1], str))
        return self.document.source.place(index)[0] + self.first


def sheets_of(file: str, text: str, verdicts: list[Verdict]) -> Iterator[Sheet]:
    """Yield the documents that are mappings; what cannot be read becomes a verdict."""
    for number, (first, part) in enumerate(_parts(text)):
        if number == DOCUMENTS_MAX:
            why = f"the file has more than {DOCUMENTS_MAX} documents; the others were not read"
            verdicts.append(Verdict(file, first + 1, "---", "dropped", why))
            return
        # The reader refuses names that no file has; this one is for places only.
        document, _, problems = read(file, part)
        errors = [problem for problem in problems if problem.severity == "error"]
        if document is None or errors:
            lines = part.split("\n")
            for problem in errors[:20]:
                shows = " ".join(lines[problem.line - 1].split())[:70] if 0 < problem.line <= len(lines) else ""
                why = f"it cannot be read: {problem.message}"
                verdicts.append(Verdict(file, problem.line + first, shows, "dropped", why))
            continue
        yield Sheet(file, document, first, translated(document.data, constants(document.data.get("consts"))))


def _parts(text: str) -> Iterator[tuple[int, str]]:
    """Yield (lines before it, text) of each document that says anything. A mark stands at a line's start, where no
    text of a block can stand."""
    start = 0
    for match in [*_MARK.finditer(text), None]:
        end = match.start() if match else len(text)
        part = text[start:end]
        if re.search(r"^[ \t]*[^\s#]", part, re.MULTILINE):
            yield text.count("\n", 0, start), part
        start = match.end() if match else end


class Part:
    """A mapping of the file, and a verdict for each of its keys; `overlay`: what some of them say in older words."""

    def __init__(self, sheet: Sheet, path: Path, value: Mapping[str, Any], overlay: Overlay | None = None) -> None:
        self.sheet, self.path, self.job = sheet, path, ""
        self._value, self._overlay = value, overlay or {}
        self._keys: dict[str, str] = {}
        self._notes: dict[str, list[tuple[str, str]]] = {}
        owners = {key for key, _ in self._overlay.values()}
        for key in value:
            if key not in owners:
                self._keys.setdefault(canonical(key), key)
        self._keys |= {name: key for name, (key, _) in self._overlay.items()}

    def __contains__(self, name: str) -> bool:
        return name in self._keys

    def get(self, name: str) -> Any:
        """Return the value of a key under any of its names, None if it is not there."""
        if name in self._overlay:
            return self._overlay[name][1]
        return self._value[self._keys[name]] if name in self._keys else None

    def part(self, name: str) -> Part | None:
        """Return the mapping below a key."""
        value = self.get(name)
        return Part(self.sheet, (*self.path, self._keys[name]), value) if isinstance(value, dict) else None

    def names(self) -> set[str]:
        """Return the keys that are there, by their names of today."""
        return set(self._keys)

    def path_of(self, name: str) -> Path:
        return (*self.path, self._keys[name]) if name in self._keys else self.path

    def say(self, name: str, kind: str, why: str = "") -> None:
        """Add a verdict to a key; the worst of several counts. A key that is not there is passed over."""
        if name in self._keys:
            self._notes.setdefault(self._keys[name], []).append((kind, why))

    def verdicts(self, others: Mapping[str, str], out: Imported) -> None:
        """Hand in a verdict for each key; `others`: name → why a key that nothing was said about has no place here."""
        for key in self._value:
            notes = self._notes.get(key)
            first = self._keys.get(canonical(key), key)
            if notes is None and first != key:
                notes = [("dropped", f"'{first}' says the same and came first")]
            if notes is None:
                known = others.get(canonical(key))
                notes = [
                    ("dropped", known if known is not None else "neither Dagu nor dagsched has a key of that name")
                ]
            kind = worst([each for each, _ in notes])
            # Beside what was lost nobody wants to read what was not.
            said = [why for each, why in notes if why and (kind == "same" or each != "same")]
            why = "; ".join(dict.fromkeys(said))
            path = (*self.path, key)
            out.verdicts.append(
                Verdict(self.sheet.file, self.sheet.line(path), shown(key, self.sheet.said(path)), kind, why, self.job)
            )


def shown(key: str, value: Any) -> str:
    """Return a key and the beginning of its value on one line."""
    if isinstance(value, dict | list):
        return f"{key}: …"
    text = " ".join(str(value).split()) if not isinstance(value, bool) else str(value).lower()
    return f"{key}: {text[:60]}{'…' if len(text) > 60 else ''}"
