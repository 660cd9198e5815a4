"""The text of an outputs file."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from dagsched.handlers.outputs import UnreadableOutputs, parse, render


@pytest.mark.parametrize(
    ("text", "outputs"),
    [
        pytest.param("", {}, id="nothing"),
        pytest.param("a=1\n", {"a": "1"}, id="one"),
        pytest.param("a=1", {"a": "1"}, id="no end of line"),
        pytest.param("a=1\r\nb=2\r\n", {"a": "1", "b": "2"}, id="CRLF"),
        pytest.param("a=\n", {"a": ""}, id="empty value"),
        pytest.param("a= x = y \n", {"a": " x = y "}, id="blanks and signs are the value's"),
        pytest.param("a=1\n\na=2\n", {"a": "2"}, id="the last one wins"),
        pytest.param("a<<E\nx\n\ny\nE\nb=1\n", {"a": "x\n\ny", "b": "1"}, id="several lines"),
        pytest.param("a<<E\nE\n", {"a": ""}, id="no lines"),
        pytest.param("a=x<<E\n", {"a": "x<<E"}, id="a sign inside a value"),
        pytest.param("a='1'\n", {"a": "'1'"}, id="quotes stay"),
    ],
)
def test_lines_become_outputs(text, outputs):
    assert parse(text) == outputs


@pytest.mark.parametrize(
    ("text", "says"),
    [
        pytest.param("a=1\noops\n", "line 2: 'oops' is not `name=value`", id="no sign"),
        pytest.param("1a=1\n", "line 1", id="digit first"),
        pytest.param("a-b=1\n", "line 1", id="hyphen"),
        pytest.param(" a=1\n", "line 1", id="blank first"),
        pytest.param("# note\n", "line 1", id="comment"),
        pytest.param("\n\na<<E\nx\n", "line 3: the value never ends, no line is 'E' alone", id="never ends"),
        pytest.param("a<<\nx\n", "line 1: `<<` is followed by", id="no word"),
        pytest.param("a=\udcff\n", "line 1: the value of 'a' is not UTF-8", id="bytes"),
        pytest.param("a=x\0y\n", "line 1: the value of 'a' is not UTF-8", id="NUL"),
        pytest.param("x" * 500, "…' is not", id="long line is shortened"),
    ],
)
def test_bad_line_is_named(text, says):
    with pytest.raises(UnreadableOutputs, match="outputs, line") as caught:
        parse(text)
    assert says in str(caught.value)


texts = st.text(st.characters(exclude_categories=["Cs"], exclude_characters="\0"), max_size=40)
lines = st.lists(st.sampled_from(["END", "END_", "", "a=1", "x"]), max_size=5).map("\n".join)


@given(st.dictionaries(st.from_regex(r"[A-Za-z_][A-Za-z0-9_]{0,5}", fullmatch=True), texts | lines, max_size=4))
def test_what_is_written_is_read_back(outputs):
    assert parse(render(outputs)) == outputs


def test_a_name_that_cannot_be_read_back_is_not_written():
    with pytest.raises(UnreadableOutputs, match="'a b'"):
        render({"a b": "1"})
