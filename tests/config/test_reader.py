from __future__ import annotations

import json
import math

import pytest
import yaml
from hypothesis import given, settings
from hypothesis import strategies as st

from dagsched.config import reader
from dagsched.config.events import FILE_BYTES_MAX
from dagsched.config.reader import ALIASES_MAX, DEPTH_MAX, NODES_MAX, read
from dagsched.config.scalars import resolve
from tests.config.texts import FILE, spelled

REFUSED = {
    "nothing": (b"", "E012 1:1-2"),
    "blank lines and comments": (b"# a\n\n", "E012 1:1-2"),
    "an empty document": (b"---\n...\n", "E012 1:1-2"),
    "null": (b"~\n", "E012 1:1-2"),
    "a list": (b"- a\n- b\n", "E013 1:1-2"),
    "a flow list": (b"[a, b]\n", "E013 1:1-7"),
    "a scalar": (b"jobs\n", "E013 1:1-5"),
    "a colon in a value": (b"jobs: a: b\n", "E005 1:8-9"),
    "an open bracket": (b"jobs: [1,\n", "E005 2:1-2"),
    "an open quote": (b'jobs: "x\n', "E005 2:1-2"),
    "a tab": (b"jobs:\n\ta: 1\n", "E005 2:1-2"),
    "a NUL": (b"a: 1\nb: \x00\n", "E004 2:4-5"),
    "a control character after wide ones": ("ä: ü\nb: é\x07\n".encode(), "E004 2:5-6"),
    "an escaped NUL": (b'jobs: {a: "x\\0"}\n', "E004 1:11-16"),
    "latin-1": ("a: x\nb: ü\n".encode("latin-1"), "E003 2:4-5"),
    "UTF-16": ("jobs: {}".encode("utf-16"), "E003 1:1-2"),
    "a lone surrogate": ("jobs: {a: \ud800}", "E003 1:11-12"),
    "two documents": (b"jobs: {}\n---\njobs: {}\n", "E011 2:1-4"),
    "a tag": (b"jobs: !!python/name:os.system {}\n", "E010 1:7-8"),
    "a tag of one's own": (b"jobs: {a: !secret b}\n", "E010 1:11-12"),
    "a merge key": (b"jobs: {a: &a {x: 1}, b: {<<: *a}}\n", "E015 1:26-28"),
    "a list as key": (b"jobs: {[a]: 1}\n", "E014 1:8-9"),
    "a mapping as key": (b"? {a: 1}\n: b\n", "E014 1:3-4"),
    "an alias as key": (b"jobs: {a: &x b, *x : 1}\n", "E014 1:17-19"),
    "an unknown alias": (b"jobs: *all\n", "E016 1:7-11"),
    "an alias in its own anchor": (b"jobs: &a [*a]\n", "E008 1:11-13"),
    "a key twice": (b"jobs: {}\njobs: {a: 1}\n", "E009 2:1-5"),
    "a quoted key twice": (b'jobs: {a: 1, "a": 2}\n', "E009 1:14-17"),
    "too deep": (b"jobs: " + b"[" * DEPTH_MAX + b"]" * DEPTH_MAX, "E006 1:46-47"),
}


@pytest.mark.parametrize(("content", "expected"), REFUSED.values(), ids=REFUSED.keys())
def test_what_is_no_job_file_gives_one_problem_at_its_place(content, expected):
    _, _, problems = read(FILE, content)
    assert [spelled(problem) for problem in problems] == [expected]
    assert all(problem.why and problem.fix for problem in problems)


ACCEPTED = {
    "a byte order mark": b"\xef\xbb\xbfjobs: {}",
    "CRLF": b"jobs: {}\r\n",
    "a YAML 1.2 directive": b"%YAML 1.2\n---\njobs: {}\n",
    "an end of document": b"---\njobs: {}\n...\n",
    "text with a byte order mark": "\ufeffjobs: {}",
}


@pytest.mark.parametrize("content", ACCEPTED.values(), ids=ACCEPTED.keys())
def test_other_spellings_of_the_same_file_are_read_alike(content):
    document, _, problems = read(FILE, content)
    assert (document is not None and document.data, problems) == ({"jobs": {}}, [])


def test_scalars_have_the_meaning_of_yaml_1_2():
    spellings = "on no off yes 010 -010 12:30 1_000 0b1 .inf .nan 1e999 true False null ~ 0 -7 +7 0o17 0x1F 1.5 1e3"
    assert [resolve(text) for text in spellings.split()] == [
        *["on", "no", "off", "yes", "010", "-010", "12:30", "1_000", "0b1", ".inf", ".nan", "1e999"],
        True, False, None, None, 0, -7, 7, 15, 31, 1.5, 1000.0,
    ]  # fmt: skip


def test_quoted_scalars_and_keys_are_text():
    document, _, _ = read(FILE, "1: '1'\ntrue: \"true\"\nnull: |\n  5\n")
    assert document is not None
    assert document.data == {"1": "1", "true": "true", "null": "5\n"}


def test_text_that_comes_again_is_read_by_how_it_is_written_there():
    document, _, problems = read("f", b"1: [1, '1', 1, ~, '~']\n~: 1\nnull: {a: '1', b: null, c: 'null'}\n")
    assert document is not None
    assert not problems
    assert document.data == {"1": [1, "1", 1, None, "~"], "~": 1, "null": {"a": "1", "b": None, "c": "null"}}


def test_a_number_too_long_to_be_one_stays_text():
    assert resolve("9" * 5000) == "9" * 5000


def test_file_above_the_cap_is_refused_unread():
    assert [problem.code for problem in read(FILE, b"#" * (FILE_BYTES_MAX + 1))[2]] == ["E002"]


def test_too_many_values_are_refused_before_they_are_built(monkeypatch):
    assert NODES_MAX == 2_000_000
    monkeypatch.setattr(reader, "NODES_MAX", 2_000)
    problems = read(FILE, "jobs: [" + "1," * 2_000 + "]")[2]
    assert [problem.code for problem in problems] == ["E007"]


def test_too_many_aliases_are_refused():
    text = "jobs: {a: &a 1}\nb: [" + "*a, " * (ALIASES_MAX + 1) + "]"
    assert [problem.code for problem in read(FILE, text)[2]] == ["E008"]


def test_aliases_of_aliases_are_refused_for_their_growth():
    bomb = "a0: &a0 [x, x, x, x, x, x, x, x, x, x]\n"
    bomb += "".join(f"a{n}: &a{n} [{', '.join([f'*a{n - 1}'] * 9)}]\n" for n in range(1, 9))
    assert [problem.code for problem in read(FILE, bomb)[2]] == ["E008"]


def test_a_chain_of_aliases_counts_as_nesting():
    chain = "a0: &a0 [x]\n" + "".join(f"a{n}: &a{n} [*a{n - 1}]\n" for n in range(1, 60))
    assert [problem.code for problem in read(FILE, chain)[2]] == ["E006"]


def test_a_modest_alias_repeats_its_value():
    document, _, problems = read(FILE, "a: &list [1, 2]\nb: *list\n")
    assert document is not None
    assert (document.data, problems) == ({"a": [1, 2], "b": [1, 2]}, [])


def test_repeated_mistakes_are_told_a_bounded_number_of_times():
    problems = read(FILE, "a: 1\n" * 100_000)[2]
    assert len(problems) == 101


@pytest.mark.parametrize("unit", ["[", "{", "? ", "- ", "{a: ", "[a: ", "- - - - ", "&a [", "!x ["])
def test_deep_nesting_is_refused_without_reading_on(unit):
    problems = read(FILE, unit * 30_000)[2]
    assert len(problems) >= 1
    assert problems[-1].severity == "error"
    assert problems[-1].line == 1
    assert problems[-1].column < 400


def test_places_of_keys_values_and_items_are_found():
    document, source, _ = read(FILE, 'jobs:\n  a:\n    run: "x y"\n    tags: [p, q r]\n')
    assert document is not None
    paths = [(("jobs", "a"), True), (("jobs", "a", "run"), False), (("jobs", "a", "tags", 1), False)]
    spans = [document.span(path, key=key) for path, key in paths]
    assert [source.text[start:end] for start, end in spans] == ["a", '"x y"', "q r"]


def test_excerpt_points_below_wide_and_tabbed_text():
    problem = read(FILE, "# x\njobs: {日本: !x 1}\n")[2][0]
    assert problem.excerpt == "    2 | jobs: {日本: !x 1}\n      |              ^"


# What JSON text may hold as it stands and YAML may too; libyaml knows no \\ud83d\\ude00 pairs of escapes.
TEXT = st.text(st.characters(exclude_categories=["Cs", "Cc", "Cn", "Cf", "Zl", "Zp"]) | st.sampled_from('\n\t"\\'))
JSON_LIKE = st.recursive(
    st.none()
    | st.booleans()
    | st.integers(-(10**60), 10**60)
    | st.floats(allow_nan=False, allow_infinity=False)
    | TEXT,
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(TEXT, inner, max_size=4),
    max_leaves=12,
)


@given(st.dictionaries(TEXT, JSON_LIKE, max_size=4))
def test_json_is_read_as_it_was_written(data):
    document, _, problems = read(FILE, json.dumps(data, ensure_ascii=False))
    assert problems == []
    assert document is not None
    assert document.data == data


@given(st.binary(max_size=300))
def test_no_bytes_raise(content):
    document, _, problems = read(FILE, content)
    assert document is not None or problems


YAML_PIECES = st.lists(
    st.sampled_from(
        [*"[]{}:,-?&*!|>'\"%@`#\n\t ", "a", "jobs", ": ", "- ", "\n  ", "<<", "&a ", "*a", "!!x ", "---\n"]
    ),
    max_size=60,
).map("".join)


@settings(max_examples=300)
@given(YAML_PIECES)
def test_no_text_raises_and_what_is_read_is_a_yaml_mapping(text):
    document, _, problems = read(FILE, text)
    assert document is not None or problems
    if document is not None and not problems:
        kinds = [type(event).__name__ for event in yaml.parse(text, yaml.CBaseLoader)]
        assert kinds[2] == "MappingStartEvent"


def test_nothing_infinite_comes_out():
    document, _, _ = read(FILE, "a: 1e400\nb: -.inf\nc: .NaN\n")
    assert document is not None
    assert not any(isinstance(value, float) and not math.isfinite(value) for value in document.data.values())
