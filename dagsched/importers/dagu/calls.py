"""The steps of a DAG as nodes. A DAG that a step calls is written out there, once for each item it is called for."""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from itertools import count
from typing import Any, NamedTuple

from dagsched.config.reader import Path
from dagsched.counting import counted
from dagsched.importers.dagu import head, modern, steps
from dagsched.importers.dagu.documents import Part, Sheet, shown
from dagsched.importers.dagu.joints import Broken, Node, link
from dagsched.importers.dagu.steps import CALLS, StepReader
from dagsched.importers.dagu.surroundings import IsThere, Surroundings, take_env
from dagsched.importers.dagu.values import params_of
from dagsched.importers.dagu.words import canonical, text_of
from dagsched.importers.draft import Verdict
from dagsched.importers.names import name_of

JOBS_MAX = 2_000
"""Of one DAG, with what it calls: calls of calls multiply."""
_OF_A_CALL = frozenset(
    ["name", "description", "steps", "params", "env", "type", "working_dir", "shell", "defaults", "consts", "dotenv"]
)


@dataclass
class Library:
    """The DAGs of one PATH: `by_name` for calls from anywhere, `local` (file, name) → its other documents."""

    by_name: dict[str, Sheet] = field(default_factory=dict)
    local: dict[tuple[str, str], Sheet] = field(default_factory=dict)
    called: set[int] = field(default_factory=set)
    is_there: IsThere = lambda _: False

    def find(self, file: str, name: str) -> Sheet | None:
        last = re.sub(r"\.ya?ml$", "", name.rpartition("/")[2])
        return self.local.get((file, name)) or self.by_name.get(name) or self.by_name.get(last)


class _Level(NamedTuple):
    """Where a step is read: in which document, with what around it, below which calls, `prefix` before its name."""

    sheet: Sheet
    around: Surroundings
    stack: tuple[int, ...]
    prefix: str


class StepsReader:
    """Reads the steps of a DAG and of what it calls; `parts` are those whose keys want a verdict."""

    def __init__(self, library: Library) -> None:
        self._library = library
        self.parts: list[Part] = []
        self._count = 0

    def read(self, part: Part, around: Surroundings, stack: tuple[int, ...] = (), prefix: str = "") -> list[Node]:
        """Return the DAG's steps, each after those it waits for; `stack`: the DAGs being read. Raises Broken."""
        kind = text_of(part.get("type"))
        if kind not in ("chain", "graph", ""):
            raise Broken(f"`type: {kind}` is neither chain nor graph")
        level = _Level(part.sheet, around, (*stack, id(part.sheet.data)), prefix)
        numbers = count(1)
        stages = [
            [self._node(level, path, item, next(numbers)) for path, item in stage]
            for stage in _stages(part.get("steps"), part.path_of("steps"))
        ]
        if isinstance(part.get("steps"), dict):
            kind = "graph"  # a mapping has no order
        return link(stages, (kind or _kind_unsaid(part, stages)) == "chain")

    def part_of(self, sheet: Sheet, path: Path, value: Any) -> Part:
        """Return a step, which may be only a command, as a mapping in the words that `steps` reads."""
        given = value if isinstance(value, dict) else {"command": value}
        called = modern.overlay(given, lambda name: self._library.find(sheet.file, name) is not None)
        return Part(sheet, path, given, called)

    def _node(self, level: _Level, path: Path, item: Any, number: int) -> Node:
        self._count += 1
        if self._count > JOBS_MAX:
            raise Broken(f"it has more than {JOBS_MAX} steps, with those of the DAGs it calls")
        item = _unquoted(item)
        if not isinstance(item, str | dict):
            raise Broken(f"step {number} is neither a command nor a mapping")
        part = self.part_of(level.sheet, path, item)
        key = path[-1] if isinstance(path[-1], str) else ""
        names = tuple(dict.fromkeys(text_of(each) for each in (part.get("name") or key, part.get("id")) if each))
        names = names or (_invented(part, number),)
        line = level.sheet.line(path)
        step = StepReader(part, level.around).read(names, line)
        step.title = f"{level.prefix}{names[0]}"
        node = Node(names, step.depends, step.fails, step.skips, step)
        if isinstance(item, str):
            step.remark = Verdict(level.sheet.file, line, shown("", item)[2:], "same")
            return node
        self.parts.append(part)
        if "call" in part or _type(part) in CALLS:
            self._call(node, part, level)
        elif items := _items(part) if "parallel" in part else None:
            node.step = None
            for place, each in enumerate(items, 1):
                copy = StepReader(part, _with_item(level.around, each)).read((f"{names[0]}-{place}",), line)
                copy.title = f"{level.prefix}{copy.names[0]}"
                node.inner.append(Node(copy.names, [], node.fails, node.skips, copy, outer=node))
        return node

    def _call(self, node: Node, part: Part, level: _Level) -> None:
        assert node.step is not None, "it was read as a step"
        step, target = node.step, text_of(part.get("call") or part.get("command"))
        found, items = self._library.find(part.sheet.file, target), _items(part)
        why = "what it is called for is only known when it runs" if items is None else ""
        if found is None:
            why = f"it calls {target!r}, which is not in PATH"
        elif id(found.data) in level.stack:
            why = f"it calls {target!r}, which calls it again"
        if found is None or why:
            for name in ("call", "command", "executor", "params", "parallel"):
                part.say(name, "dropped", why)
            step.draft.keys["run"] = steps.unwritten(node.names[0], why)
            return
        self._library.called.add(id(found.data))
        for name in ("call", "command", "type", "executor"):
            part.say(name, "same", "the called steps are written out here")
        for name in ("retry_policy", "repeat_policy", "output", "timeout_sec", "env", "working_dir"):
            part.say(name, "dropped", "a called DAG is no job of its own here: say it for its steps")
        node.step = None
        for number, item in enumerate(items or [None]):
            prefix = step.title if len(items or ()) < 2 else f"{step.title}-{number + 1}"
            node.inner += self._called(found, part, level._replace(prefix=prefix), item)
        for child in node.inner:
            child.outer = node
            if not child.parents:
                _add_conditions(child, step)

    def _called(self, found: Sheet, caller: Part, level: _Level, item: Any) -> list[Node]:
        around, prefix = level.around, level.prefix
        part = Part(found, (), found.data)
        name = text_of(part.get("name")) or prefix
        inner = head.read_surroundings(part, name, around.cwd, self._library.is_there)
        inner.keys = {**around.keys, **inner.keys}
        given: list[tuple[str, str | None]] = []
        if isinstance(item, dict):
            given = [(key, text_of(each)) for key, each in item.items()]
        elif item is not None:
            given = [("ITEM", text_of(item)), ("", text_of(item))]
        if "params" in caller:
            asked = caller.get("params")
            if isinstance(item, dict):
                asked = _of_item(asked, {key: text_of(each) for key, each in item.items()})
            given = [*(pair for pair in given if pair[0]), *params_of(asked)]
        inner.places = [value or "" for key, value in given if not key] or inner.places
        # Values of the caller may name the caller's variables, and the item.
        known = {**around.env, **{key: value or "" for key, value in given if key == "ITEM"}}
        own, inner.env = inner.env, known
        inner.env.update(own)
        for key, value in given:
            if key and value is not None:
                inner.env.update({name: each for name, each in known.items() if name == "ITEM"})
                take_env(inner, {key: value})
        caller.say("params", "same", "`env` of the called steps")
        nodes = self.read(part, inner, level.stack, f"{prefix}.")
        if not nodes:
            raise Broken(f"{text_of(part.get('name'))!r}, which it calls, has no steps")
        for key in part.names() - _OF_A_CALL:
            part.say(key, "dropped", "it speaks of a DAG that is called; its steps are written out where that is")
        return nodes


def _kind_unsaid(part: Part, stages: Sequence[Sequence[Node]]) -> str:
    """Return how the steps of a DAG without `type` wait: the versions of Dagu do not agree about it."""
    nodes = [node for stage in stages for node in stage]
    if modern.is_modern(part.sheet.data):
        return "graph"
    if any(node.depends is not None for node in nodes):
        if any(node.depends is None for node in nodes[1:]):
            why = (
                "a step without `depends` waits for none, as in Dagu before 1.17 and since 2.7; else say `type: chain`"
            )
            part.say("steps", "differs", f"there is no `type`: {why}")
        return "graph"
    if len(nodes) > 1:
        why = "each step waits for the one before it, as in Dagu up to 2.6; since 2.7 none waits: say `type: graph`"
        part.say("steps", "differs", f"there is no `type`: {why}")
    return "chain"


def _of_item(value: Any, item: dict[str, str]) -> Any:
    """Return parameters of a call with the fields of the item it is made for filled in (`${ITEM.region}`)."""
    if isinstance(value, str):
        return re.sub(r"\$\{ITEM\.(\w+)\}", lambda match: item.get(match[1], match[0]), value)
    if isinstance(value, list):
        return [_of_item(each, item) for each in value]
    return {key: _of_item(each, item) for key, each in value.items()} if isinstance(value, dict) else value


def _stages(value: Any, path: Path) -> Iterator[list[tuple[Path, Any]]]:
    """Yield the places and values of steps that stand beside each other; raises Broken."""
    if isinstance(value, dict):
        yield [((*path, key), item) for key, item in value.items()]
    elif isinstance(value, list):
        for number, item in enumerate(value):
            at = (*path, number)
            yield [((*at, place), each) for place, each in enumerate(item)] if isinstance(item, list) else [(at, item)]
    elif value is not None:
        raise Broken("`steps` is neither a list nor a mapping")


def _type(part: Part) -> str:
    executor = part.get("executor")
    return text_of(executor.get("type") if isinstance(executor, dict) else executor or part.get("type"))


def _unquoted(item: Any) -> Any:
    """Return a command that YAML took for a mapping because of a colon in it (`- echo "done: all"`)."""
    if isinstance(item, dict) and len(item) == 1:
        (key, value), *_ = item.items()
        if " " in key and isinstance(value, str | int | float):
            return f"{key}: {text_of(value)}"
    return item


def _with_item(around: Surroundings, item: Any) -> Surroundings:
    found = around.copy()
    given = item if isinstance(item, dict) else {"ITEM": item}
    found.env.update({f"ITEM_{key}" if isinstance(item, dict) else key: text_of(each) for key, each in given.items()})
    return found


def _add_conditions(node: Node, caller: steps.Step) -> None:
    for each in [node.step] if node.step else []:
        each.conditions = [*caller.conditions, *each.conditions]
    for child in node.inner if node.step is None else []:
        if not child.parents:
            _add_conditions(child, caller)


def _invented(part: Part, number: int) -> str:
    for key in ("command", "script", "call"):
        value = part.get(key)
        text = text_of(value[0]) if isinstance(value, list) and value else value
        if isinstance(text, str) and not text.startswith("#!") and "\n" not in text.strip():
            return f"{number}-{name_of(text)}"
    return f"step-{number}"


def _items(part: Part) -> list[Any] | None:
    """Return what a call is made for; [] for one call, None when that is not known."""
    value = part.get("parallel")
    if isinstance(value, dict):
        given = {canonical(key): each for key, each in value.items()}
        if "max_concurrent" in given:
            part.say("parallel", "differs", "max_concurrent is no key of a call: give the jobs a pool")
        value = given.get("items")
    if value is None:
        return []
    if not isinstance(value, list) or not value or any("$" in text_of(each) for each in value):
        part.say("parallel", "dropped", "only a list that stands there can be written out")
        return None
    part.say("parallel", "same", f"written out {counted(len(value), 'time')}")
    return value
