"""The templates of all files, and which of them a file means by a name.

A file's own template comes first, so that no other file can change what it means; then that of the one other file
that has the name. What was found is noted: while all of it is found again, what was made of it holds.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import NamedTuple

from dagsched.config.reader import Document


class Template(NamedTuple):
    """A template by the file that declares it, as read, and its name there."""

    document: Document
    name: str


Found = tuple[Document, ...] | None
"""The files that a name may mean: one, none, or several, which is one too many; None if one that has it may be lost."""
Looked = Mapping[tuple[Document, str], Found]
"""What was found, by the file that asked and the name."""


class Shelf:
    """`names`: file → its templates. `is_whole`: no file was lost that might declare one."""

    def __init__(self, names: Mapping[Document, Iterable[str]], is_whole: bool = True) -> None:
        self._own = {document: frozenset(own) for document, own in names.items() if own}
        self._by_name: dict[str, tuple[Document, ...]] = {}
        self._is_whole = is_whole
        for document, own in self._own.items():
            for name in sorted(own):
                self._by_name[name] = (*self._by_name.get(name, ()), document)

    def find(self, asker: Document, name: str) -> Found:
        """Return which files' template that file means."""
        if name in self._own.get(asker, ()):
            return (asker,)
        return self._by_name.get(name, () if self._is_whole else None)

    def names(self) -> set[str]:
        """Return the name of every template."""
        return set(self._by_name)

    def still_finds(self, looked: Looked) -> bool:
        """Whether what was once found is what is found now."""
        return all(self.find(asker, name) == found for (asker, name), found in looked.items())


class Noted:
    """Looks up for one file, and notes what it finds; with `looked` alone it finds that again."""

    def __init__(self, shelf: Shelf | None, looked: Looked | None = None) -> None:
        self._shelf = shelf
        self.looked: dict[tuple[Document, str], Found] = dict(looked or {})

    def find(self, asker: Document, name: str) -> Found:
        key = (asker, name)
        if key not in self.looked:
            assert self._shelf is not None, "a second time, nothing else is looked for"
            self.looked[key] = self._shelf.find(asker, name)
        return self.looked[key]

    def names(self) -> set[str]:
        return self._shelf.names() if self._shelf else set()
