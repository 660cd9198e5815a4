"""Judging a condition by the facts of a run; what cannot be decided is false, and told."""

from __future__ import annotations

import json
import math
import re
from collections.abc import Callable
from typing import Any

from dagsched.conditions.words import TRUTH, WEEKDAYS, Condition, Facts, Value, Verdict, short

FACTS_SHOWN_MAX = 5
_NUMBER = re.compile(r"\s*[+-]?([0-9]{1,300}([.][0-9]{0,300})?|[.][0-9]{1,300})([eE][+-]?[0-9]{1,3})?\s*")


def judge(condition: Condition, facts: Facts) -> Verdict:
    """Return whether the condition holds, and the facts that decided it."""
    judging = _Judging(facts)
    try:
        holds = judging.truth(condition.root)
    except _Undecided as undecided:
        return Verdict(False, undecided.words)
    return Verdict(holds, ", ".join(judging.shown[:FACTS_SHOWN_MAX]))


class _Undecided(Exception):
    """The condition cannot be decided; `words` say why."""

    def __init__(self, words: str) -> None:
        self.words = words
        super().__init__(words)


class _Judging:
    """One look at one condition; `shown`: the facts it has asked for, in words."""

    def __init__(self, facts: Facts) -> None:
        self._facts = facts
        self.shown: list[str] = []

    def truth(self, node: Any) -> bool:
        found = self._value(node)
        if not isinstance(found, bool):
            raise _Undecided(f"{_shown(found)} is neither true nor false")
        return found

    def _value(self, node: Any) -> Value:
        return _VALUES_OF[type(node).__name__](self, node)

    def _both(self, node: Any) -> bool:
        if type(node.op).__name__ == "And":
            return all(self.truth(value) for value in node.values)
        return any(self.truth(value) for value in node.values)

    def _unary(self, node: Any) -> Value:
        kind = type(node.op).__name__
        if kind == "Not":
            return not self.truth(node.operand)
        value: Any = self._value(node.operand)
        return -value if kind == "USub" else value  # type: ignore[no-any-return]

    def _compare(self, node: Any) -> bool:
        left = self._value(node.left)
        for operator, comparator in zip(node.ops, node.comparators, strict=True):
            right = self._value(comparator)
            if not _compared(type(operator).__name__, left, right):
                return False
            left = right
        return True

    def _list(self, node: Any) -> Value:
        return [self._value(item) for item in node.elts]

    def _clock(self, node: Any) -> Value:
        local = self._facts.local
        value: Value = WEEKDAYS[local.weekday()] if node.attr == "weekday" else int(getattr(local, node.attr))
        self._show(f"local.{node.attr} = {_shown(value)}")
        return value

    def _call(self, node: Any) -> Value:
        name = node.func.id
        if name == "number":
            return _number(self._value(node.args[0]))
        first = node.args[0].value
        if name == "state":
            state = self._facts.state(first)
            if state is None:
                raise _Undecided(f"{first} has no run to ask about")
            self._show(f"{first} is {state}")
            return state
        if name == "param":
            return self._param(first)
        return self._output(first, node)

    def _output(self, job: str, node: Any) -> Value:
        name = node.args[1].value
        found = self._facts.output(job, name)
        if found is None and len(node.args) == 3:
            default = self._value(node.args[2])
            found = default if isinstance(default, str) else json.dumps(default)
        if found is None:
            raise _Undecided(f"{job} wrote no output {short(name)}")
        self._show(f"{short(name)} = {_shown(found)}")
        return found

    def _param(self, name: str) -> Value:
        found = self._facts.param(name)
        if not isinstance(found, str | int | float | bool | list):
            raise _Undecided(f"the parameter {short(name)} has no value to compare")
        self._show(f"{short(name)} = {_shown(found)}")
        return found

    def _show(self, words: str) -> None:
        if words not in self.shown:
            self.shown.append(words)


_VALUES_OF: dict[str, Callable[[_Judging, Any], Value]] = {
    "BoolOp": _Judging._both,
    "UnaryOp": _Judging._unary,
    "Compare": _Judging._compare,
    "Constant": lambda judging, node: node.value,
    "List": _Judging._list,
    "Tuple": _Judging._list,
    "Name": lambda judging, node: TRUTH[node.id],
    "Attribute": _Judging._clock,
    "Call": _Judging._call,
}


def _compared(operator: str, left: Value, right: Value) -> bool:
    if operator in ("In", "NotIn"):
        return _is_in(left, right) == (operator == "In")
    left, right = _alike(left, right)
    if operator in ("Eq", "NotEq"):
        return (left == right) == (operator == "Eq")
    if isinstance(left, bool | list) or isinstance(right, bool | list):
        raise _Undecided(f"{_shown(left)} and {_shown(right)} have no order")
    return _ORDERS[operator](left, right)


_ORDERS: dict[str, Callable[[Any, Any], bool]] = {
    "Lt": lambda left, right: left < right,
    "LtE": lambda left, right: left <= right,
    "Gt": lambda left, right: left > right,
    "GtE": lambda left, right: left >= right,
}


def _is_in(item: Value, where: Value) -> bool:
    if isinstance(where, list):
        return any(_compared("Eq", item, each) for each in where)
    if isinstance(where, str) and isinstance(item, str):
        return item in where
    raise _Undecided(f"{_shown(item)} cannot be in {_shown(where)}")


def _alike(left: Value, right: Value) -> tuple[Value, Value]:
    """Return both as one kind: a text beside a number or a truth value is read as such."""
    if isinstance(left, str) and not isinstance(right, str):
        return _read_as(left, right), right
    if isinstance(right, str) and not isinstance(left, str):
        return left, _read_as(right, left)
    if isinstance(left, bool) != isinstance(right, bool) or isinstance(left, list) != isinstance(right, list):
        raise _Undecided(f"{_shown(left)} and {_shown(right)} cannot be compared")
    return left, right


def _read_as(text: str, other: Value) -> Value:
    if isinstance(other, bool):
        if text in TRUTH:
            return TRUTH[text]
        raise _Undecided(f"{_shown(text)} is neither true nor false")
    if isinstance(other, list):
        raise _Undecided(f"{_shown(text)} is no list")
    return _number(text)


def _number(value: Value) -> int | float:
    if isinstance(value, int | float) and not isinstance(value, bool):
        return value
    if not isinstance(value, str) or not _NUMBER.fullmatch(value):
        raise _Undecided(f"{_shown(value)} is no number")
    number = float(value)
    if not math.isfinite(number):
        raise _Undecided(f"{_shown(value)} is no number that can be compared")
    return int(value) if re.fullmatch(r"\s*[+-]?[0-9]{1,300}\s*", value) else number


def _shown(value: Value) -> str:
    return short(json.dumps(value, ensure_ascii=False, default=str))
