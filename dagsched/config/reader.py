"""From text to plain data with a place for every value, over libyaml's events.

libyaml's own constructor recurses (60 kB of `[` end the process) and builds before anyone can refuse, so the
events are read one by one, without recursion, and everything is counted before it is built. Events are
scanned lazily: whatever comes after the first refused one costs nothing.

A file that cannot be understood further (syntax, caps) gives one problem and no data. Mistakes that leave
the structure clear (a key twice, a tag, a merge key) are collected, and reading goes on.
"""

from __future__ import annotations

from array import array
from collections.abc import Callable, Iterable, Mapping, MutableMapping
from typing import Any, NoReturn

from yaml.events import (
    AliasEvent,
    DocumentEndEvent,
    DocumentStartEvent,
    MappingEndEvent,
    MappingStartEvent,
    ScalarEvent,
    SequenceEndEvent,
    SequenceStartEvent,
    StreamEndEvent,
)

from dagsched.config.events import Refusal, decoded, scan
from dagsched.config.problem import Problem
from dagsched.config.scalars import SPECIAL_FIRST, resolve
from dagsched.config.source import Source
from dagsched.declaration import EMPTY

DEPTH_MAX = 40
NODES_MAX = 2_000_000
ALIASES_MAX = 1_000
GROWTH_MAX = 10
# Longer texts are mostly of one job alone, its command or description: to look for them takes time, to note them room.
SHARED_CHARACTERS_MAX = 40
# One mistake repeated without end is told this often.
PROBLEMS_MAX = 100
# Below this many values growth is harmless, whatever its factor.
GROWTH_FREE = 1_000

Path = tuple[str | int, ...]


class Document:
    """One file's data, and where each part of it stands.

    `data` is made of dict, list, str, int, float, bool and None; keys are text. Aliases share one object,
    whose place is that of its anchor. Both weigh several times what the text does: after `let_go` the text alone
    is kept, and read again when somebody asks.

    `members`: of jobs that a template or matrix made, id → the id of the job that asked for it. `again` returns an
    equal document; None when reading the text does.
    """

    def __init__(
        self,
        source: Source,
        data: dict[str, Any],
        marks: MutableMapping[int, array[int]],
        members: Mapping[str, str] = EMPTY,
    ) -> None:
        self.source, self.members = source, members
        self._data: dict[str, Any] | None = data
        self._marks = marks
        self.again: Callable[[], Document] | None = None
        self._numbers: dict[int, dict[str, int]] = {}

    @property
    def data(self) -> dict[str, Any]:
        if self._data is None:
            again = self.again() if self.again else read(self.source.name, self.source.text)[0]
            assert again is not None, "the same text was understood before"
            self._data, self._marks = again.data, again._marks
        return self._data

    def marks(self) -> MutableMapping[int, array[int]]:
        """Return by the id of each list and mapping the offsets of its items, or of its keys and values in turn."""
        assert self._data is not None, "marks are read with the data"
        return self._marks

    def marks_of(self, container: Any) -> array[int]:
        return self._marks[id(container)]

    def let_go(self) -> None:
        """Free everything but the text."""
        self._data, self._marks, self._numbers = None, {}, {}

    def value_at(self, path: Path) -> Any:
        """Return the value at that path; raises KeyError, IndexError or TypeError when there is none."""
        value: Any = self.data
        for step in path:
            value = value[step]
        return value

    def index(self, path: Path, *, key: bool = False) -> int:
        """Return the offset of the value at `path`, or of its key; of the nearest outer part if there is none."""
        at = 0
        container: Any = self.data  # before the marks, which are read with it
        for number, step in enumerate(path):
            marks = self._marks.get(id(container))
            place = self._number(container, step)
            if marks is None or place is None:
                return at
            if isinstance(container, list):
                at = marks[place]
            else:
                at = marks[2 * place + (0 if key and number == len(path) - 1 else 1)]
            container = container[step]
        return at

    def key_indexes(self, path: Path) -> dict[str, int]:
        """Return key → its offset for the mapping at `path`."""
        mapping = self.value_at(path)
        return dict(zip(mapping, self._marks[id(mapping)][::2], strict=True))

    def span(self, path: Path, *, key: bool = False) -> tuple[int, int]:
        """Return the span of the value at `path`, or of its key."""
        try:
            value = path[-1] if key and path else self.value_at(path)
        except (KeyError, IndexError, TypeError):
            value = None
        return self.source.extent(self.index(path, key=key), value)

    def _number(self, container: Any, step: str | int) -> int | None:
        if isinstance(container, list):
            return step if isinstance(step, int) and step < len(container) else None
        if not isinstance(container, dict):
            return None
        numbers = self._numbers.get(id(container))
        if numbers is None:
            numbers = self._numbers[id(container)] = {name: number for number, name in enumerate(container)}
        return numbers.get(step)  # type: ignore[arg-type]


def read(name: str, content: bytes | str) -> tuple[Document | None, Source, list[Problem]]:
    """Return the document, or None when the content cannot be understood, with what is wrong with it.

    Never raises, whatever the content.
    """
    source, encoded, problem = decoded(name, content)
    if problem is not None:
        return None, source, [problem]
    builder = _Builder(source)
    try:
        scan(source, encoded, builder.consume)
        data = builder.finished()
    except Refusal as refusal:
        return None, source, [*builder.problems, refusal.problem]
    return Document(source, data, builder.marks), source, builder.problems


class _Frame:
    """A collection that is still open.

    `key`: of a mapping the key whose value comes next, None when a key does; of a list never None.
    """

    __slots__ = ("anchor", "extra", "height", "is_mapping", "items", "key", "key_mark", "marks", "nodes_before")

    def __init__(self, items: Any, is_mapping: bool, anchor: str | None, nodes_before: int) -> None:
        self.items = items
        self.is_mapping = is_mapping
        self.marks: list[int] = []
        self.key: str | None = None if is_mapping else ""
        self.key_mark = 0
        self.anchor = anchor
        self.nodes_before = nodes_before
        self.extra = 0  # values that aliases inside would add if they were written out
        self.height = 0


class _Anchored:
    """What an anchor names: its value, size when written out and height; `open` while it is being read."""

    __slots__ = ("height", "is_open", "size", "value")

    def __init__(self, value: Any, size: int, height: int, is_open: bool) -> None:
        self.value, self.size, self.height, self.is_open = value, size, height, is_open


class _Builder:
    """Builds data from events; the stack is a list, so that depth costs no recursion.

    At its bottom lies a list of no file, whose only item becomes the root.
    """

    def __init__(self, source: Source) -> None:
        self.source = source
        self.problems: list[Problem] = []
        self.marks: dict[int, array[int]] = {}
        self._stack = [_Frame([], False, None, 0)]
        self._texts: dict[str, str] = {}  # each short text once: keys and many values come again in every job
        self._resolved: dict[str, Any] = {}  # what plain scalars stand for that may be no text, each looked at once
        self._anchors: dict[str, _Anchored] = {}
        self._nodes = 0
        self._aliases = 0
        self._grown = 0
        self._widest = (0, 0)  # the alias that adds most: (values, offset)

    def consume(self, events: Iterable[Any]) -> None:
        """Take all events of the stream; raises Refusal."""
        documents = 0
        stack, special, shared, resolved = self._stack, SPECIAL_FIRST, self._texts.setdefault, self._resolved
        for event in events:
            kind = event.__class__
            if kind is ScalarEvent:
                # Most events are these; what can be told of them at a glance is not handed on.
                value, plain = event.value, event.implicit[0]
                if len(value) <= SHARED_CHARACTERS_MAX:
                    value = shared(value, value)
                frame = stack[-1]
                key = frame.key
                if plain and key is not None and (not value or value[0] in special):
                    if value not in resolved:
                        resolved[value] = resolve(value)
                    value = resolved[value]
                if not plain or event.anchor is not None or event.tag is not None:
                    self._marked_scalar(event, value)
                self._nodes += 1
                if self._nodes > NODES_MAX:
                    self._too_many(event)
                mark = event.start_mark.index
                if key is None:
                    if value in frame.items or value == "<<":
                        self._doubtful_key(frame, value, mark, plain)
                    frame.key, frame.key_mark = value, mark
                elif frame.is_mapping:
                    if key not in frame.items:  # of a key given twice the first value stays
                        frame.items[key] = value
                        frame.marks += (frame.key_mark, mark)
                    frame.key = None
                else:
                    frame.items.append(value)
                    frame.marks.append(mark)
            elif kind is MappingStartEvent:
                self._open(event, {}, True)
            elif kind is SequenceStartEvent:
                self._open(event, [], False)
            elif kind is MappingEndEvent or kind is SequenceEndEvent:
                self._close()
            elif kind is AliasEvent:
                self._alias(event)
            elif kind is DocumentStartEvent:
                documents += 1
                if documents > 1:
                    index = event.start_mark.index
                    self._refuse(
                        "E011",
                        (index, index + 3),
                        "the file holds several documents",
                        "a job file is one YAML document",
                        "put each into its own file",
                    )
            elif kind is StreamEndEvent:
                return
            else:
                assert kind is DocumentEndEvent or documents == 0, f"a new kind of event: {kind}"

    def finished(self) -> dict[str, Any]:
        """Return the root mapping; raises Refusal when there is none or aliases grow too much."""
        bottom = self._stack[0]
        root = bottom.items[0] if bottom.items else None
        if root is None:
            self._refuse(
                "E012",
                (0, 0),
                "the file is empty",
                "an empty file may be one that was cut off",
                "write 'jobs: {}' for a file without jobs",
            )
        if self._grown > max(GROWTH_FREE, GROWTH_MAX * self._nodes):
            self._too_grown()
        if not isinstance(root, dict):
            what = "a list" if isinstance(root, list) else "a single value"
            span = self.source.extent(bottom.marks[0], root)
            self._refuse(
                "E013",
                span,
                f"the file is {what}, not a mapping",
                "a job file is a mapping with the key 'jobs'",
                "start it with 'jobs:' and indent the jobs below",
            )
        return root

    def _doubtful_key(self, frame: _Frame, name: str, mark: int, plain: bool) -> None:
        if name in frame.items:
            self._twice(frame, name, mark)
        elif plain:
            self._merge_key(mark)

    def _put(self, frame: _Frame, value: Any, mark: int) -> None:
        """Add a value to the open list, or set that of the open key; of a key given twice the first value stays."""
        if not frame.is_mapping:
            frame.items.append(value)
            frame.marks.append(mark)
            return
        assert frame.key is not None, "a value follows its key"
        if frame.key not in frame.items:
            frame.items[frame.key] = value
            frame.marks += (frame.key_mark, mark)
        frame.key = None

    def _marked_scalar(self, event: Any, value: Any) -> None:
        """Look closer at a scalar that is tagged, anchored or quoted."""
        if event.tag is not None:
            self._tag(event)
        if event.anchor is not None:
            self._anchors[event.anchor] = _Anchored(value, 1, 0, False)
        if event.value and "\0" in event.value:
            span = self.source.extent(event.start_mark.index, None)
            self._note(
                self.source.problem(
                    "E004",
                    span,
                    "the text holds a NUL character",
                    "no command, argument or variable can carry one",
                    "remove the \\0",
                )
            )

    def _open(self, event: Any, items: Any, is_mapping: bool) -> None:
        self._nodes += 1
        mark = event.start_mark.index
        stack = self._stack
        outer = stack[-1]
        if len(stack) > DEPTH_MAX:
            self._too_deep(mark)
        if self._nodes > NODES_MAX:
            self._too_many(event)
        if outer.key is None:
            self._refuse(
                "E014",
                (mark, mark + 1),
                "a key is a list or a mapping",
                "keys are plain text",
                "write text, or move it to the value's side",
            )
        if event.tag is not None:
            self._tag(event)
        # Attached before it is filled: what stands in it is reached from the root at any time.
        self._put(outer, items, mark)
        if event.anchor is not None:
            self._anchors[event.anchor] = _Anchored(items, 0, 0, True)
        stack.append(_Frame(items, is_mapping, event.anchor, self._nodes - 1))

    def _close(self) -> None:
        frame = self._stack.pop()
        self.marks[id(frame.items)] = array("I", frame.marks)
        height = frame.height + 1
        if frame.anchor is not None:
            size = self._nodes - frame.nodes_before + frame.extra
            self._anchors[frame.anchor] = _Anchored(frame.items, size, height, False)
        outer = self._stack[-1]
        outer.extra += frame.extra
        if height > outer.height:
            outer.height = height

    def _alias(self, event: Any) -> None:
        mark, name = event.start_mark.index, event.anchor
        span = (mark, mark + 1 + len(name))
        if self._stack[-1].key is None:
            self._refuse("E014", span, "a key is an alias", "keys are plain text", "write the key itself")
        self._aliases += 1
        if self._aliases > ALIASES_MAX:
            self._refuse(
                "E008",
                span,
                f"the file has more than {ALIASES_MAX:,} aliases",
                "so many hide what the file says",
                "use defaults:",
            )
        anchored = self._anchors.get(name)
        if anchored is None:
            self._refuse(
                "E016",
                span,
                f"the alias '*{name}' has no anchor before it",
                "an alias repeats a value marked with & earlier in the file",
                f"mark the value with &{name}, or quote the text if it is meant to start with *",
            )
        if anchored.is_open:
            self._refuse(
                "E008",
                span,
                f"the alias '*{name}' stands inside its own anchor",
                "the value would have no end",
                "write out the part that is meant",
            )
        if len(self._stack) - 1 + anchored.height > DEPTH_MAX:
            self._too_deep(mark)
        self._use(anchored, mark)

    def _use(self, anchored: _Anchored, mark: int) -> None:
        self._nodes += 1
        self._grown += anchored.size
        self._widest = max(self._widest, (anchored.size, mark))
        frame = self._stack[-1]
        frame.extra += anchored.size
        frame.height = max(frame.height, anchored.height)
        self._put(frame, anchored.value, mark)

    # ------------------------------------------------------------ complaints

    def _note(self, problem: Problem) -> None:
        if len(self.problems) >= PROBLEMS_MAX:
            raise Refusal(problem)
        self.problems.append(problem)

    def _refuse(self, code: str, span: tuple[int, int], message: str, why: str, fix: str) -> NoReturn:
        raise Refusal(self.source.problem(code, span, message, why, fix))

    def _too_deep(self, mark: int) -> None:
        self._refuse(
            "E006",
            (mark, mark + 1),
            f"the nesting is deeper than {DEPTH_MAX} levels",
            "no job needs so many",
            "write it flatter",
        )

    def _too_many(self, event: Any) -> None:
        mark = event.start_mark.index
        self._refuse(
            "E007",
            (mark, mark + 1),
            f"the file has more than {NODES_MAX:,} values",
            "a job file is held in memory as a whole",
            "split it into several files",
        )

    def _too_grown(self) -> None:
        mark = self._widest[1]
        self._refuse(
            "E008",
            self.source.extent(mark, None),
            f"aliases make the file more than {GROWTH_MAX} times as large",
            "aliases of aliases multiply until nothing can hold the result",
            "use defaults:, or write the values out",
        )

    def _tag(self, event: Any) -> None:
        mark = event.start_mark.index
        self._note(
            self.source.problem(
                "E010",
                (mark, mark + 1),
                f"the tag '{event.tag[:60]}' is not used in job files",
                "tags make programs build things of their own from text",
                "remove it; quote a value to make it text",
            )
        )

    def _twice(self, frame: _Frame, key: str, mark: int) -> None:
        line, column = self.source.place(frame.marks[2 * list(frame.items).index(key)])
        self._note(
            self.source.problem(
                "E009",
                self.source.extent(mark, key),
                f"the key '{_short(key)}' is given twice",
                f"it stands at line {line}, column {column} already; only one of them could count",
                "remove or rename one",
            )
        )

    def _merge_key(self, mark: int) -> None:
        self._note(
            self.source.problem(
                "E015",
                self.source.extent(mark, "<<"),
                "the merge key '<<' is not used in job files",
                "YAML 1.2 has none, and tools disagree about which value wins",
                "put shared values under defaults:, or repeat a whole value with an alias",
            )
        )


def _short(text: str) -> str:
    return text if len(text) <= 60 else text[:57] + "..."
