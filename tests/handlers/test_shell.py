"""`run:` text is executed directly only where a shell would have done the same."""

import subprocess

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from dagsched.errors import HandlerError
from dagsched.handlers import shell


@pytest.mark.parametrize(
    ("text", "argv"),
    [
        ("backup", ("backup",)),
        ("./refresh.sh", ("./refresh.sh",)),
        ("/usr/bin/env python3", ("/usr/bin/env", "python3")),
        ("  cp  a\tb  \n", ("cp", "a", "b")),
        ("cp 'a b' \"c d\"", ("cp", "a b", "c d")),
        ("cp 'a'\"b\"c ''", ("cp", "abc", "")),
        ("cp 'x $HOME *' y", ("cp", "x $HOME *", "y")),
        ("make --jobs=4 -C dir target:all", ("make", "--jobs=4", "-C", "dir", "target:all")),
        ("mail a@b.example,c@d.example 50%", ("mail", "a@b.example,c@d.example", "50%")),
        ("grep 'naïve ~' file", ("grep", "naïve ~", "file")),
        ("'my program' x", None),
    ],
)
def test_plain_words_are_executed_directly(text, argv):
    assert shell.words(text) == argv


@pytest.mark.parametrize(
    "text",
    [
        pytest.param("", id="nothing"),
        pytest.param("  \n", id="blank"),
        pytest.param("a | b", id="pipe"),
        pytest.param("a && b", id="and"),
        pytest.param("a; b", id="list"),
        pytest.param("a\nb", id="two lines"),
        pytest.param("a &", id="background"),
        pytest.param("a > f", id="redirection"),
        pytest.param("a 2>&1", id="descriptor"),
        pytest.param("a $X", id="variable"),
        pytest.param('a "$X"', id="quoted variable"),
        pytest.param("a `b`", id="substitution"),
        pytest.param("a *.txt", id="glob"),
        pytest.param("a file?", id="one-letter glob"),
        pytest.param("a [ab]", id="class"),
        pytest.param("ls ~", id="home"),
        pytest.param("ls a~", id="tilde anywhere"),
        pytest.param("a {b,c}", id="braces"),
        pytest.param("a # b", id="comment"),
        pytest.param("a \\b", id="backslash"),
        pytest.param('a "b\\c"', id="backslash in quotes"),
        pytest.param("a 'b", id="open quote"),
        pytest.param("X=1 a", id="assignment"),
        pytest.param("X=1", id="assignment alone"),
        pytest.param("! a", id="negation"),
        pytest.param("(a)", id="subshell"),
        pytest.param("if a", id="reserved word"),
        pytest.param("exit 3", id="exit"),
        pytest.param("cd /tmp", id="cd"),
        pytest.param(". ./file", id="dot"),
        pytest.param(":", id="colon"),
        pytest.param("test -e x", id="test"),
        pytest.param("'exit' 3", id="quoted builtin"),
        pytest.param("ex'it' 3", id="partly quoted builtin"),
        pytest.param("echo 'a\\nb'", id="echo"),
        pytest.param("ulimit -n 100", id="ulimit"),
        pytest.param("'' a", id="empty command"),
        pytest.param("-x a", id="option first"),
        pytest.param("%1", id="job first"),
        pytest.param("a é", id="letters of a locale"),
        pytest.param("a\u00a0b", id="no-break space"),
        pytest.param("a\x0bb", id="vertical tab"),
        pytest.param("a\r", id="carriage return"),
    ],
)
def test_anything_else_goes_to_the_shell(text):
    assert shell.argv(text) == ("sh", "-c", text)


plain = st.text(st.sampled_from("ab1_@%+:,./=-"), min_size=1, max_size=6)
inside = st.text("ab $*~#;|>`\\\"'é!", max_size=6)
quoted = st.builds(lambda sign, text: sign + text + sign, st.sampled_from("'\""), inside)
wild = st.text("ab1_@%+:,./=-~$*?[]{}()<>|&;#!^\\'\"` \té\n", max_size=12)
words = st.lists(plain | quoted | plain | quoted | wild, min_size=1, max_size=3).map("".join)


@settings(max_examples=500, deadline=None)
@given(st.lists(words, max_size=4).map(" ".join))
def test_sh_would_have_given_the_program_the_same_arguments(rest):
    text = f"/usr/bin/env printf '%s\\0' {rest} end"
    direct = shell.words(text)
    if direct is None:
        return
    seen = subprocess.run(["sh", "-c", text], capture_output=True, check=True, stdin=subprocess.DEVNULL).stdout
    assert seen.decode().split("\0") == [*direct[3:], ""]


@settings(max_examples=300, deadline=None)
@given(st.lists(words, min_size=1, max_size=3).map(" ".join))
def test_first_words_that_are_executed_directly_are_programs_to_sh(text):
    direct = shell.words(text)
    if direct is None:
        return
    # `command -V` of a shell without functions and aliases says what a word is to it.
    said = subprocess.run(
        ["sh", "-c", 'PATH=/none; command -V "$1" || :', "sh", direct[0]], capture_output=True, text=True, check=True
    )
    assert "keyword" not in said.stdout
    assert "builtin" not in said.stdout


def test_every_builtin_and_reserved_word_of_the_shells_here_goes_to_the_shell():
    listed = subprocess.run(
        ["bash", "-c", "compgen -b -k"], capture_output=True, text=True, check=False
    ).stdout.split() or ["cd"]
    posix = """
    break : continue . eval exec exit export readonly return set shift times trap unset alias bg cd command
    false fc fg getopts hash jobs kill newgrp pwd read true type ulimit umask unalias wait ! { } case do done elif
    else esac fi for if in then until while echo printf test [ local
    """.split()  # noqa: SIM905 - sixty quoted words would fill a page
    assert [word for word in {*listed, *posix} if shell.words(f"{word} a") is not None] == []


@pytest.mark.parametrize(
    ("given", "argv"),
    [
        ("bash", ("bash", "-c", "plain words")),
        ("bash -eo pipefail", ("bash", "-eo", "pipefail", "-c", "plain words")),
        ("/bin/my' 'sh", ("/bin/my sh", "-c", "plain words")),
    ],
)
def test_a_shell_that_is_asked_for_is_always_used(given, argv):
    assert shell.argv("plain words", given) == argv


@pytest.mark.parametrize("given", ["", "  ", "bash 'open"])
def test_a_shell_that_is_none_is_refused(given):
    with pytest.raises(HandlerError, match="shell"):
        shell.argv("a", given)


def test_long_text_is_judged_in_one_pass():
    assert shell.words("a " + "b" * 200_000 + " $") is None
    assert shell.words("a " + "'b'" * 50_000) == ("a", "b" * 50_000)
