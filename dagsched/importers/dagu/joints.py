"""How the jobs of one DAG wait for each other: what each waits for, by which rule, and whose outputs it gets."""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from graphlib import CycleError, TopologicalSorter
from typing import Any

from dagsched.importers.dagu.modern import Wish
from dagsched.importers.dagu.steps import Step

OK = frozenset(["success"])
_ORDER = ("success", "failed", "upstream_failed", "skipped")
OVER = frozenset(["success", "skipped"])


class Broken(Exception):
    """A DAG that Dagu would refuse as well; the text says why."""


@dataclass(eq=False)
class Node:
    """A step, or a call with the steps of what it calls as `inner`.

    `depends`: names; None is the ones before it in a chain, if there is a chain. `fails`, `skips`: whether others go
    on after its failure, its skip.
    """

    names: tuple[str, ...]
    depends: list[str] | None
    fails: bool = False
    skips: bool = False
    step: Step | None = None
    inner: list[Node] = field(default_factory=list)
    outer: Node | None = None
    parents: list[Node] = field(default_factory=list)

    @property
    def is_forgiven(self) -> bool:
        """Whether its failure, or that of the call it belongs to, is none of the whole DAG."""
        return self.fails or (self.outer is not None and self.outer.is_forgiven)


def link(stages: Sequence[Sequence[Node]], is_chain: bool) -> list[Node]:
    """Give each node its parents and return all of them, each after its parents; raises Broken."""
    nodes = [node for stage in stages for node in stage]
    by_name: dict[str, Node] = {}
    for node in nodes:
        for name in node.names:
            if by_name.setdefault(name, node) is not node:
                raise Broken(f"two steps are called {name!r}")
    before: Sequence[Node] = ()
    for stage in stages:
        for node in stage:
            node.parents = list(before) if is_chain and node.depends is None else []
            for name in node.depends or ():
                if name not in by_name:
                    raise Broken(f"step {node.names[0]!r} depends on {name!r}, which is no step of it")
                if by_name[name] not in node.parents:
                    node.parents.append(by_name[name])
        before = stage
    try:
        return list(TopologicalSorter({node: node.parents for node in nodes}).static_order())
    except CycleError as error:
        circle = " -> ".join(node.names[0] for node in error.args[1])
        raise Broken(f"its steps wait for each other: {circle}") from None


def leaves(nodes: Iterable[Node]) -> Iterator[Node]:
    """Yield the nodes that are steps, those of calls included."""
    for node in nodes:
        if node.step is None:
            yield from leaves(node.inner)
        else:
            yield node


def exits(nodes: Iterable[Node]) -> list[Node]:
    """Return the steps that no other of these waits for."""
    nodes = list(nodes)
    waited = {id(parent) for node in nodes for parent in node.parents}
    last = [node for node in nodes if id(node) not in waited]
    return [leaf for node in last for leaf in ([node] if node.step else exits(node.inner))]


def before(node: Node) -> list[Node]:
    """Return what a step waits for: the first ones of a call wait for what the call waits for."""
    if node.parents or node.outer is None:
        return node.parents
    return before(node.outer)


def accepted(leaf: Node, seen_from: Node) -> frozenset[str]:
    """Return the states of a step in which those go on that wait for it, or for the call it belongs to."""
    states = set(OK)
    if leaf.fails:
        states.add("failed")
    if leaf is not seen_from and seen_from.fails:
        states |= {"failed", "upstream_failed"}
    if leaf.skips or seen_from.skips:
        states.add("skipped")
    return frozenset(states)


def upstreams_of(node: Node) -> dict[Node, frozenset[str]]:
    """Return step → the states of it in which this one goes on."""
    return {
        leaf: accepted(leaf, parent)
        for parent in before(node)
        for leaf in ([parent] if parent.step else exits(parent.inner))
    }


def writers_for(node: Node, text: str) -> dict[str, tuple[Node, str]]:
    """Return variable → the nearest step before this one that writes it, and the name of its output.

    Of those that are not right above it only what the text names, in whatever language: programs that it calls may
    read what they like, but an edge for each would hide the graph.
    """
    found: dict[str, tuple[Node, str]] = {}
    direct = upstreams_of(node)
    for each in _above(node):
        if each.step and (name := each.step.output) and (each in direct or re.search(rf"\b{name}\b", text)):
            found.setdefault(name, (each, name))
    return found


def publishers_for(node: Node, wants: Mapping[str, Wish]) -> dict[str, tuple[Node, str]]:
    """Return variable → the step before this one that is called by its id, and the output of it that is wanted."""
    found: dict[str, tuple[Node, str]] = {}
    for each in _above(node):
        for variable, wish in wants.items():
            if each.step and wish.step in each.names and wish.output in each.step.published:
                found.setdefault(variable, (each, wish.output))
    return found


def _above(node: Node) -> Iterator[Node]:
    """Yield the steps before this one, nearest first."""
    queue, seen = list(upstreams_of(node)), set[int]()
    for each in queue:
        if id(each) not in seen:
            seen.add(id(each))
            yield each
            queue += upstreams_of(each)


def telling(nodes: Iterable[Node]) -> list[Node]:
    """Return the steps by whose states one can tell whether any step failed.

    A failure is seen in each step below that needs success, and from there on in those below it.
    """
    every = list(leaves(nodes))
    below: dict[Node, list[Node]] = {node: [] for node in every}
    for node in every:
        for parent in upstreams_of(node):
            below[parent].append(node)
    counted = [node for node in every if not node.is_forgiven]
    return [node for node in counted if not any(not each.is_forgiven and _passes_on(each) for each in below[node])]


def _passes_on(node: Node) -> bool:
    """Whether a failure before a step makes it `upstream_failed`, and not skipped by a condition."""
    kinds = set(upstreams_of(node).values())
    return kinds <= {OK} or kinds == {OVER}


def rule_of(upstreams: dict[str, frozenset[str]], also: str = "") -> dict[str, Any]:
    """Return `depends_on`, and `trigger_rule` and `when` where more than success counts; `also`: one more condition."""
    keys: dict[str, Any] = {"depends_on": list(upstreams)} if upstreams else {}
    kinds = set(upstreams.values())
    tests = []
    if kinds == {OVER}:
        keys["trigger_rule"] = "none_failed"
    elif not kinds <= {OK}:
        keys["trigger_rule"] = "all_done"
        tests = [_test(name, states) for name, states in upstreams.items()]
    if when := " and ".join([*tests, *([also] if also else [])]):
        keys["when"] = when
    return keys


def _test(name: str, states: frozenset[str]) -> str:
    listed = ", ".join(f'"{state}"' for state in sorted(states, key=_ORDER.index))
    return f'state("{name}") in [{listed}]' if len(states) > 1 else f'state("{name}") == {listed}'
