"""What the placeholders of a job stand for: values given, defaults of parameters, and the axes of a matrix."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

from dagsched.config.placeholders import OPENING, Unfilled, filled
from dagsched.config.reader import NODES_MAX
from dagsched.config.woven import Items, Said, Weave

TEXT_CHARACTERS_MAX = 32_000_000


class TooMuch(Exception):
    """What the patterns of a file come to is larger than a file may be."""


class Growth:
    """Counts the values and characters that the patterns of one file come to."""

    def __init__(self) -> None:
        self._nodes = self._characters = 0
        self._sizes: dict[int, tuple[int, bool]] = {}

    def add(self, nodes: int, characters: int = 0) -> None:
        """Count before it is made; raises TooMuch."""
        self._nodes += nodes
        self._characters += characters
        if self._nodes > NODES_MAX or self._characters > TEXT_CHARACTERS_MAX:
            raise TooMuch

    def size(self, value: Any) -> tuple[int, bool]:
        """Return how many values it is, and whether there is a placeholder in it."""
        if not isinstance(value, (dict, list)):
            return 1, isinstance(value, str) and OPENING in value
        known = self._sizes.get(id(value))
        if known is None:
            parts = [self.size(each) for each in (value.values() if isinstance(value, dict) else value)]
            is_open = any(each[1] for each in parts)
            if isinstance(value, dict):
                is_open = is_open or any(OPENING in key for key in value)
            known = self._sizes[id(value)] = (1 + sum(each[0] for each in parts), is_open)
        return known


class Names:
    """The values of one job by name.

    `params`: its parameters; `said`: what is given for them, for the axes, and the defaults of the others. A value may
    hold placeholders itself.
    """

    def __init__(self, params: Mapping[str, Any], said: Items, weave: Weave, growth: Growth) -> None:
        self._params, self._said, self._weave, self._growth = params, said, weave, growth
        self._known: dict[str, Any] = {}
        self._open: list[str] = []

    def all(self, tell: Callable[[Unfilled, Said], None]) -> Items:
        """Return every name's value, without those that have none; what is wrong with one is told at its place."""
        found = {}
        for name, said in self._said.items():
            try:
                found[name] = said._replace(value=self.value(name, 0, 0))
            except Unfilled as unfilled:
                if unfilled.reason != "broken":
                    tell(unfilled, unfilled.at or said)
        return found

    def value(self, name: str, offset: int, length: int) -> Any:
        """Return the value; raises Unfilled, TooMuch."""
        if name not in self._known:
            said = self._said.get(name)
            if said is None:
                raise Unfilled("missing" if name in self._params else "unknown", name, offset, length)
            self._known[name] = _Broken
            self._open.append(name)
            try:
                self._known[name] = self.fill(said)
            finally:
                self._open.pop()
        value = self._known[name]
        if value is _Broken:
            raise Unfilled("circle" if name in self._open else "broken", name, offset, length)
        if isinstance(value, str):
            self._growth.add(0, len(value))
        elif isinstance(value, (dict, list)):
            self._growth.add(self._growth.size(value)[0])
        return value

    def fill(self, said: Said) -> Any:
        """Return what is said with its placeholders replaced; raises Unfilled with its place, TooMuch."""
        value = said.value
        if isinstance(value, str):
            return self._text(value, said) if OPENING in value else value
        if not self._growth.size(value)[1]:
            return value
        made: Any
        if isinstance(value, dict):
            made = {}
            for key, each in self._weave.items(value).items():
                if OPENING in key:
                    raise Unfilled("key", key, 0, len(key), each)
                made[key] = self.fill(each)
        else:
            made = [self.fill(each) for each in self._weave.listed(value)]
        return self._weave.like(made, value)

    def _text(self, text: str, said: Said) -> Any:
        self._growth.add(0, len(text))
        try:
            return filled(text, self.value)
        except Unfilled as unfilled:
            unfilled.at = unfilled.at or said
            raise


class _Broken:
    """Stands for a value that could not be made; it is told where it stands."""
