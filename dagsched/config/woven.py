"""New data out of read data, each part with the place it came from, also when that is in another file.

Places are offsets into one text that nobody ever writes down: that of the file itself, and behind it those of the
files whose templates it uses. `Woven` knows which of them an offset is in.
"""

from __future__ import annotations

from array import array
from bisect import bisect_right
from collections import ChainMap
from collections.abc import Iterable, Iterator, Mapping, MutableMapping
from typing import Any, NamedTuple

from dagsched.config.problem import Problem
from dagsched.config.reader import Document
from dagsched.config.source import Source


class Woven(Source):
    """The text of a file, and those of others behind it."""

    def __init__(self, first: Source) -> None:
        super().__init__(first.name, first.text)
        self._sources, self._starts = [first], [0]

    def start_of(self, source: Source) -> int:
        """Return the offset at which that text begins, which is put behind the others if it is not there yet."""
        for known, start in zip(self._sources, self._starts, strict=True):
            if known is source:
                return start
        start = self._starts[-1] + len(self._sources[-1].text) + 1
        self._sources.append(source)
        self._starts.append(start)
        return start

    def place(self, index: int) -> tuple[int, int]:
        source, start = self._of(index)
        return source.place(index - start)

    def at(self, index: int) -> str:
        source, start = self._of(index)
        return source.at(index - start)

    def problem(self, code: str, span: tuple[int, int], message: str, why: str = "", fix: str = "") -> Problem:
        source, start = self._of(span[0])
        return source.problem(code, (span[0] - start, span[1] - start), message, why, fix)

    def extent(self, index: int, value: Any) -> tuple[int, int]:
        source, start = self._of(index)
        first, end = source.extent(index - start, value)
        return first + start, end + start

    def inside(self, index: int, value: str, offset: int, length: int) -> tuple[int, int]:
        source, start = self._of(index)
        first, end = source.inside(index - start, value, offset, length)
        return first + start, end + start

    def _of(self, index: int) -> tuple[Source, int]:
        number = bisect_right(self._starts, index) - 1
        return self._sources[number], self._starts[number]


class Refused(Exception):
    """What is asked for cannot be made; why has been told."""


class Said(NamedTuple):
    """A value and the offsets of its key and of itself; an item of a list has its own for both."""

    value: Any
    key: int
    at: int


Items = dict[str, Said]


class Weave:
    """Makes the data of one document; `marks` are those of what was made here."""

    def __init__(self, document: Document) -> None:
        self.source = Woven(document.source)
        self.marks: dict[int, array[int]] = {}
        self._own = document
        self._made: list[Any] = []  # kept alive: a mark is found by its container's id

    def items(self, mapping: Mapping[str, Any], document: Document | None = None) -> Items:
        """Return what a mapping says; `document`: the file it was read from, if that is another one."""
        if document is not None and document is not self._own:
            mapping = self._taken(mapping, document, self.source.start_of(document.source))
        marks = self._marks_of(mapping)
        keys, values = marks[::2], marks[1::2]
        return {
            name: Said(value, key, at) for (name, value), key, at in zip(mapping.items(), keys, values, strict=True)
        }

    def listed(self, values: list[Any]) -> Iterator[Said]:
        """Yield the items of a list."""
        for value, at in zip(values, self._marks_of(values), strict=True):
            yield Said(value, at, at)

    def mapping(self, items: Mapping[str, Said]) -> dict[str, Any]:
        """Return a mapping that says this."""
        made = {name: said.value for name, said in items.items()}
        self._keep(made, (mark for said in items.values() for mark in said[1:]))
        return made

    def like(self, made: Any, container: Any) -> Any:
        """Return `made`, whose parts stand where those of `container` do."""
        self.marks[id(made)] = self._marks_of(container)
        self._made.append(made)
        return made

    def all_marks(self) -> MutableMapping[int, array[int]]:
        """Return the marks of everything, read and made."""
        return ChainMap(self.marks, self._own.marks())

    def _keep(self, made: Any, marks: Iterable[int]) -> None:
        self.marks[id(made)] = array("Q", marks)
        self._made.append(made)

    def _marks_of(self, container: Any) -> array[int]:
        marks = self.marks.get(id(container))
        return self._own.marks_of(container) if marks is None else marks

    def _taken(self, value: Any, document: Document, start: int) -> Any:
        """Return a copy of what another file says, with its places behind this one's text."""
        if not isinstance(value, (dict, list)):
            return value
        made: Any
        if isinstance(value, dict):
            made = {name: self._taken(each, document, start) for name, each in value.items()}
        else:
            made = [self._taken(each, document, start) for each in value]
        self._keep(made, (mark + start for mark in document.marks_of(value)))
        return made
