"""From a text to a condition: parsed by Python, and held against a white-list node by node."""

from __future__ import annotations

import math
import warnings
from collections.abc import Callable, Iterator
from functools import lru_cache
from typing import TYPE_CHECKING, Any

from dagsched.closest import get_close_matches
from dagsched.conditions.words import TRUTH, WEEKDAYS, BadCondition, Condition, Use, short
from dagsched.model import RunState

if TYPE_CHECKING:
    import ast

LENGTH_MAX = 1000
NESTING_MAX = 20
NOTS_MAX = 20

CLOCK = ("weekday", "day", "month", "hour", "minute", "year")
FUNCTIONS = {"state": (1, 1), "output": (2, 3), "param": (1, 1), "number": (1, 1)}


@lru_cache(maxsize=4096)
def parse(text: str) -> Condition:
    """Return the condition that `text` says; raises BadCondition."""
    import ast  # only who has a condition waits for it

    _look_first(text)
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            tree = ast.parse(f"({text}\n)", mode="eval")
    except SyntaxError as error:
        raise _no_expression(text, error) from None
    except (ValueError, RecursionError, MemoryError, SystemError):
        # SystemError: ended by a lack of memory or of stack, the parser of some Pythons miscounts how deep it was, in
        # this call or in the next ones (https://github.com/python/cpython/issues/106905).
        raise _no_expression(text, None) from None
    return _Check(text).condition(tree.body)


# ---------------------------------------------------------------- before it is read


def _look_first(text: str) -> None:
    """Refuse what is too long or too deep, before anything else looks at it; and comments, which YAML has itself."""
    if len(text) > LENGTH_MAX:
        raise _syntax(f"the condition is longer than {LENGTH_MAX:,} characters", "shorten it, or decide in the command")
    if not text.strip():
        raise _syntax("the condition is empty", 'write e.g. state("extract") == "success", or remove when')
    depth, quote, place = 0, "", 0
    while place < len(text):
        sign = text[place]
        if quote:
            if sign == "\\":
                place += 1
            elif sign == quote:
                quote = ""
        elif sign in "\"'":
            quote = sign
        elif sign == "#":
            raise _syntax("a condition has no comments", "move it to a line of its own in the job file", place)
        elif sign in "([{":
            depth += 1
            if depth > NESTING_MAX:
                raise _syntax(f"the condition is nested more than {NESTING_MAX} deep", "write it flatter", place)
        elif sign in ")]}":
            depth -= 1
            if depth < 0:
                raise _syntax(f"nothing is open for this '{sign}'", "remove it", place)
        place += 1


def _no_expression(text: str, error: SyntaxError | None) -> BadCondition:
    words = str(error.msg) if error is not None and error.msg else "it cannot be read"
    offset = 0
    if error is not None and error.lineno and error.offset:
        lines = text.splitlines() or [""]
        before = sum(len(line) + 1 for line in lines[: error.lineno - 1])
        offset = before + error.offset - 1 - (1 if error.lineno == 1 else 0)
    fix = 'write comparisons joined by and, or, not: state("extract") == "success" and local.hour < 12'
    return _syntax(f"the condition cannot be read: {words[:100]}", fix, min(max(offset, 0), len(text) - 1))


def _syntax(message: str, fix: str, offset: int = 0) -> BadCondition:
    return BadCondition("E131", message, "a condition is one expression in the grammar of Python", fix, offset)


# ---------------------------------------------------------------- the white-list


class _Check:
    """Walks a tree once, refuses what is not on the list, and tells kinds as far as they can be told.

    A kind is "truth", "number", "text", "list" or "any"; "state" and "weekday" are texts with few values.
    """

    def __init__(self, text: str) -> None:
        self._text = text
        self._lines = text.splitlines(keepends=True) or [""]
        self._uses: list[Use] = []

    def condition(self, root: ast.expr) -> Condition:
        self._is_truth(root, 0)
        return Condition(self._text, root, tuple(self._uses))

    def _is_truth(self, node: ast.expr, nots: int) -> None:
        kind = self._kind(node, nots)
        if kind not in ("truth", "any"):
            raise self._wrong(
                node, f"this is a {_KIND_WORDS[kind]}, and a yes or no is needed",
                "compare it with something, e.g. == \"success\" or > 0",
            )  # fmt: skip

    def _kind(self, node: ast.expr, nots: int = 0) -> str:
        name = type(node).__name__
        check = _CHECKS.get(name)
        if check is None:
            raise BadCondition(
                "E131", f"a condition cannot have {_FORMS.get(name, 'this')}", _ALLOWED, "say it in these words",
                *self._span(node),
            )  # fmt: skip
        return check(self, node, nots)

    def _both(self, node: ast.BoolOp, nots: int) -> str:
        for value in node.values:
            self._is_truth(value, nots)
        return "truth"

    def _unary(self, node: ast.UnaryOp, nots: int) -> str:
        sign = type(node.op).__name__
        if sign == "Not":
            if nots >= NOTS_MAX:
                raise _syntax(f"more than {NOTS_MAX} times not", "write it flatter", self._span(node)[0])
            self._is_truth(node.operand, nots + 1)
            return "truth"
        if (
            sign not in ("USub", "UAdd")
            or type(node.operand).__name__ != "Constant"
            or self._kind(node.operand) != "number"
        ):
            raise self._wrong(node, "a sign stands before a number only", "write a number, e.g. -1")
        return "number"

    def _constant(self, node: ast.Constant, nots: int) -> str:
        value = node.value
        if isinstance(value, bool):
            return "truth"
        if isinstance(value, str):
            return "text"
        if isinstance(value, int | float) and math.isfinite(value):
            return "number"
        raise self._wrong(node, "this is no text, number or truth value", 'write e.g. "text", 5, 1.5, true')

    def _list(self, node: ast.List | ast.Tuple, nots: int) -> str:
        for item in node.elts:
            if self._kind(item) == "list":
                raise self._wrong(item, "a list in a list", "write the items in one list")
        return "list"

    def _compare(self, node: ast.Compare, nots: int) -> str:
        kinds = [self._kind(each) for each in (node.left, *node.comparators)]
        sides = [node.left, *node.comparators]
        for place, operator in enumerate(node.ops):
            left, right = sides[place], sides[place + 1]
            self._comparable(type(operator).__name__, kinds[place], kinds[place + 1], right, node)
            self._known_values(kinds[place], right)
            self._known_values(kinds[place + 1], left)
        return "truth"

    def _comparable(self, operator: str, left: str, right: str, node: ast.expr, whole: ast.expr) -> None:
        if operator in ("Is", "IsNot"):
            raise self._wrong(whole, "is compares nothing here", "write == or !=")
        if operator in ("In", "NotIn"):
            if right in ("number", "truth") or left == "list":
                raise self._wrong(node, f"in wants a list or a text on its right, not a {_KIND_WORDS[right]}",
                                  'write e.g. in ["mon", "tue"]')  # fmt: skip
            return
        if "list" in (left, right):
            raise self._wrong(node, "a list is compared with in alone", "write in, or compare with one value")
        if operator not in ("Eq", "NotEq") and "truth" in (left, right):
            raise self._wrong(node, "true and false have no order", "write == or !=")
        if {left, right} == {"truth", "number"}:
            raise self._wrong(node, "a truth value is never a number", "compare with true or false, or with a number")

    def _known_values(self, kind: str, other: ast.expr) -> None:
        """Refuse a state or a weekday that there is not, beside one."""
        known = _VALUES.get(kind, ())
        for item in _constants(other) if known else ():
            if isinstance(item.value, str) and item.value not in known:
                close = get_close_matches(item.value, known, 1)
                fix = f'did you mean "{close[0]}"?' if close else f"write one of {', '.join(known)}"
                raise self._wrong(item, f'"{short(item.value)}" is no {kind}', fix)

    def _name(self, node: ast.Name, nots: int) -> str:
        if node.id in TRUTH:
            return "truth"
        if node.id in FUNCTIONS:
            raise self._wrong(node, f"'{node.id}' is a function", f'write {node.id}("...")')
        if node.id == "local":
            raise self._wrong(node, "'local' is no value", f"write local.{', local.'.join(CLOCK)}")
        raise self._unknown(node, node.id, 'put text in quotes, e.g. "success"')

    def _attribute(self, node: ast.Attribute, nots: int) -> str:
        if type(node.value).__name__ != "Name" or node.value.id != "local":  # type: ignore[attr-defined]
            raise self._unknown(node, "an attribute", f"only the tick has some: local.{', local.'.join(CLOCK)}")
        if node.attr not in CLOCK:
            close = get_close_matches(node.attr, CLOCK, 1)
            raise self._unknown(node, f"local.{node.attr}", f"did you mean local.{close[0] if close else CLOCK[0]}?")
        return "weekday" if node.attr == "weekday" else "number"

    def _call(self, node: ast.Call, nots: int) -> str:
        name = node.func.id if type(node.func).__name__ == "Name" else ""  # type: ignore[attr-defined]
        if name not in FUNCTIONS:
            close = get_close_matches(name, FUNCTIONS, 1)
            fix = f"did you mean {close[0]}(...)?" if close else f"there are {', '.join(FUNCTIONS)}"
            raise self._unknown(node.func, f"function {name}" if name else "a function", fix)
        least, most = FUNCTIONS[name]
        if node.keywords or not least <= len(node.args) <= most:
            raise self._wrong(node, f"{name} does not take these arguments", f"write {_SHAPES[name]}")
        if name == "number":
            if self._kind(node.args[0]) in ("list", "truth"):
                raise self._wrong(node.args[0], "this is no number", f"write {_SHAPES[name]}")
            return "number"
        for each in node.args[: min(2, least)]:
            if not isinstance(getattr(each, "value", None), str) or type(each).__name__ != "Constant":
                raise self._wrong(each, f"{name} wants a name in quotes", f"write {_SHAPES[name]}")
        if len(node.args) == 3 and self._kind(node.args[2]) in ("list", "state", "weekday"):
            raise self._wrong(node.args[2], "a default is text, a number or a truth value", f"write {_SHAPES[name]}")
        first: Any = node.args[0]
        self._uses.append(Use(name, first.value, *self._span(first)))
        return {"state": "state", "output": "text", "param": "any"}[name]

    def _wrong(self, node: ast.expr, message: str, fix: str) -> BadCondition:
        return BadCondition("E133", message, _ALLOWED, fix, *self._span(node))

    def _unknown(self, node: ast.expr, what: str, fix: str) -> BadCondition:
        return BadCondition("E132", f"unknown in a condition: {short(what)}", _ALLOWED, fix, *self._span(node))

    def _span(self, node: ast.expr) -> tuple[int, int]:
        start = self._offset(node.lineno, node.col_offset)
        end = self._offset(node.end_lineno or node.lineno, node.end_col_offset or node.col_offset + 1)
        return start, max(1, end - start)

    def _offset(self, line: int, column: int) -> int:
        """Return the offset in characters of a place that Python counts in lines and bytes, behind one bracket."""
        if line > len(self._lines):
            return len(self._text)
        inside = self._lines[line - 1].encode(errors="surrogatepass")[: max(0, column - (line == 1))]
        return sum(map(len, self._lines[: line - 1])) + len(inside.decode(errors="ignore"))


def _constants(node: Any) -> Iterator[Any]:
    kind = type(node).__name__
    if kind == "Constant":
        yield node
    elif kind in ("List", "Tuple"):
        yield from (item for item in node.elts if type(item).__name__ == "Constant")


_CHECKS: dict[str, Callable[[_Check, Any, int], str]] = {
    "BoolOp": _Check._both,
    "UnaryOp": _Check._unary,
    "Compare": _Check._compare,
    "Constant": _Check._constant,
    "List": _Check._list,
    "Tuple": _Check._list,
    "Name": _Check._name,
    "Attribute": _Check._attribute,
    "Call": _Check._call,
}
_ALLOWED = (
    "a condition has literals, lists, and, or, not, comparisons, state(), output(), param(), number() and "
    "local.weekday, local.day, local.month, local.hour, local.minute, local.year"
)
_FORMS = {"BinOp": "arithmetic", "Lambda": "functions of its own", "IfExp": "an if", "Subscript": "indexes",
          "JoinedStr": "f-strings", "NamedExpr": "assignments", "Dict": "mappings", "Set": "sets"}  # fmt: skip
_SHAPES = {
    "state": 'state("job")',
    "output": 'output("job", "name") or output("job", "name", "default")',
    "param": 'param("name")',
    "number": 'number(output("job", "name"))',
}
_KIND_WORDS = {"text": "text", "state": "state", "weekday": "weekday", "number": "number", "list": "list",
               "truth": "yes or no", "any": "value"}  # fmt: skip
_VALUES: dict[str, tuple[str, ...]] = {"state": tuple(state.value for state in RunState), "weekday": WEEKDAYS}
