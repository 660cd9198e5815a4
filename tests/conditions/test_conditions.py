"""The language of `when`: what it says, what it refuses, and that nothing makes it fail."""

from __future__ import annotations

from datetime import datetime
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from dagsched.conditions import BadCondition, judge, parse
from tests.config.test_fuzz import FUZZ, outlives, quick


class Given:
    """Facts as they are given: `outputs` and `states` by job."""

    local = datetime(2026, 11, 26, 10, 30)  # a Thursday

    def __init__(self, outputs: Any = None, params: Any = None) -> None:
        self.outputs, self.params = outputs or {}, params or {}

    def state(self, job: str) -> str | None:
        return {"a": "success", "b": "failed"}.get(job)

    def output(self, job: str, name: str) -> str | None:
        return self.outputs.get(name)

    def param(self, name: str) -> Any:
        return self.params.get(name)


FACTS = Given({"rows": "12", "text": "abc", "flag": "true", "huge": "9" * 400}, {"n": 5, "on": True, "list": ["x"]})

HOLDS = [
    'state("a") == "success"', "state('b') != 'success'", 'output("a", "rows") > 9', 'output("a", "rows") == 12.0',
    'output("a", "rows") == "12"', 'output("a", "none", "7") >= 7', 'output("a", "none", 7) == 7',
    'output("a", "text") < "abd"', '"b" in output("a", "text")', 'output("a", "flag") == true', 'param("on")',
    'param("n") in [1, 5]', '"x" in param("list")', 'number(output("a", "rows")) < 100', 'local.weekday == "thu"',
    'local.hour == 10 and local.minute == 30', 'local.day == 26 and local.month == 11 and local.year == 2026',
    'not (state("a") == "failed" or local.hour < 9)', "9 <= local.hour < 17", "-1 < 0", "true", "not false",
    'state("a")\n  == "success"\nand true', '  true  ', 'state("a") in ("success", "failed")', 'not not true',
    'state("a") == "success" or output("a", "none") > 0',
]  # fmt: skip


@pytest.mark.parametrize("text", HOLDS)
def test_a_condition_that_holds(text):
    assert judge(parse(text), FACTS).holds


FAILS = {
    'state("a") == "failed"': "a is success",
    'output("a", "none") > 0': "a wrote no output none",
    'output("a", "text") > 0': '"abc" is no number',
    'output("a", "huge") > 0': f'"{"9" * 56}... is no number',
    'output("a", "text") == true': '"abc" is neither true nor false',
    'state("zz") == "success"': "zz has no run to ask about",
    'param("none") == 1': "the parameter none has no value to compare",
    'param("n")': "5 is neither true nor false",
    'not (param("list") == 1)': '["x"] and 1 cannot be compared',
    'param("list") < param("list")': '["x"] and ["x"] have no order',
    '1 in param("n")': "1 cannot be in 5",
    'local.hour < 9 and output("a", "none") > 0': "local.hour = 10",
}


@pytest.mark.parametrize(("text", "words"), FAILS.items())
def test_a_condition_that_does_not_hold_says_why(text, words):
    assert judge(parse(text), FACTS) == (False, words)


REFUSED = {
    "": ("E131", 0),
    "  ": ("E131", 0),
    'state("a") = "success"': ("E131", 0),
    "true and": ("E131", 7),
    "(true": ("E131", 0),
    "true)": ("E131", 4),
    "true) or (true": ("E131", 4),
    "true # always": ("E131", 5),
    "local.day % 2 == 0": ("E131", 0),
    "[x for x in 'ab']": ("E131", 0),
    "f'{1}' == '1'": ("E131", 0),
    "lambda: true": ("E131", 0),
    "(x := true)": ("E131", 1),
    "local.day if true else false": ("E131", 0),
    '__import__("os").system("x")': ("E132", 0),
    "().__class__": ("E132", 0),
    "success": ("E132", 0),
    'state("a") == success': ("E132", 14),
    'stat("a") == "failed"': ("E132", 0),
    "local.weekdays == 1": ("E132", 0),
    "local": ("E133", 0),
    "state == 1": ("E133", 0),
    'state("a")': ("E133", 0),
    "not 5": ("E133", 4),
    'state() == "x"': ("E133", 0),
    'state(job="a") == "failed"': ("E133", 0),
    'state(local.day) == "failed"': ("E133", 6),
    'state("a") == "sucess"': ("E133", 14),
    '"é" == "é" and state("a") == "ok"': ("E133", 29),
    'local.weekday in ["mon", "thr"]': ("E133", 25),
    "1 == true": ("E133", 5),
    "true < false": ("E133", 7),
    "[1] == [1]": ("E133", 7),
    "[[1]] == 1": ("E133", 1),
    "5 in 5": ("E133", 5),
    "none is 5": ("E132", 0),
    "5 is 5": ("E133", 0),
    "-local.day < 0": ("E133", 0),
    "1j == 1": ("E133", 0),
    "1e999 > 0": ("E133", 0),
    "b'x' == 'x'": ("E133", 0),
    "None == 1": ("E133", 0),
    "... == 1": ("E133", 0),
}


@pytest.mark.parametrize(("text", "expected"), REFUSED.items())
def test_what_is_no_condition_is_refused_at_its_place(text, expected):
    with pytest.raises(BadCondition) as caught:
        parse(text)
    assert (caught.value.code, caught.value.offset) == expected
    assert caught.value.message
    assert caught.value.why
    assert caught.value.fix


@pytest.mark.parametrize(
    "text",
    ["true " + "and true " * 200, "(" * 21 + "true" + ")" * 21, "not " * 21 + "true", "-" * 999, "[" * 500, "~" * 900],
    ids=["too long", "too deep", "too many nots", "signs", "brackets", "tildes"],
)  # fmt: skip
def test_what_is_too_much_is_refused_quickly(text):
    with pytest.raises(BadCondition):
        quick(lambda: parse(text))


def test_a_condition_tells_what_it_asks_about():
    condition = parse('state("a") == "failed" or param("p") == output("b", "x")')
    assert [(use.kind, use.name, use.offset) for use in condition.uses] == [
        ("state", "a", 6), ("param", "p", 32), ("output", "b", 47)
    ]  # fmt: skip


@pytest.mark.parametrize("failure", [SystemError, MemoryError, RecursionError, ValueError, SyntaxError])
def test_a_parser_that_fails_is_a_condition_that_cannot_be_read(failure, monkeypatch):
    def fail(*_: Any, **__: Any) -> None:
        raise failure("AST constructor recursion depth mismatch")

    monkeypatch.setattr("ast.parse", fail)
    with pytest.raises(BadCondition) as caught:
        parse(f'state("read when {failure.__name__}") == "success"')
    assert caught.value.code == "E131"


WORDS = st.sampled_from([
    'state("a")', 'output("a", "x")', 'param("p")', "number(", "local.", "weekday", "hour", "and", "or", "not", "in",
    "==", "<", "!=", "(", ")", "[", "]", ",", '"', "'", "\\", "\n", "1", "-", "1e9", "true", "None", "lambda", ":",
    "*", "**", "if", "else", "for", "await", ":=", "{", "}", "f'", "#", "é", "\0", ".", "_",
])  # fmt: skip
TEXTS = st.lists(WORDS | st.text(max_size=3), max_size=40).map(" ".join) | st.text(max_size=300)


@FUZZ
@given(TEXTS)
def test_reading_a_condition_outlives_any_text(text):
    outlives(parse, text, BadCondition)


ATOMS = st.sampled_from([
    'state("a") == "success"', 'output("a", "x") > 3', 'output("a", "x", "1") == "1"', 'param("p") == 1', 'param("p")',
    '"a" in output("a", "x")', 'param("p") in [1, "b", true]', 'number(output("a", "x")) <= 5', "local.hour < 12",
    'param("p") < output("a", "x")', 'output("a", "x") == true',
])  # fmt: skip
TREES = st.recursive(
    ATOMS,
    lambda inner: st.builds("not ({})".format, inner)
    | st.builds("({}) and ({})".format, inner, inner)
    | st.builds("({}) or ({})".format, inner, inner),
    max_leaves=6,
)  # fmt: skip
ANYTHING = st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=5) | st.lists(st.integers()) | (
    st.dictionaries(st.text(max_size=2), st.integers())
)  # fmt: skip


@FUZZ
@given(TREES, st.text(max_size=5) | st.sampled_from(["3", "-1e5", "1e999", "nan", " 7 ", "0x1", "٣"]), ANYTHING)
def test_judging_a_condition_never_fails(text, output, param):
    verdict = quick(lambda: judge(parse(text), Given({"x": output}, {"p": param})))
    assert isinstance(verdict.holds, bool)
    assert len(verdict.words) < 1000
