"""Completion in the shell: commands, options, values, jobs; silence where nothing can be said."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys

import pytest

from dagsched.cli import COMMANDS

pytestmark = pytest.mark.usefixtures("jobs_file", "no_daemon")


def complete(call, *words: str) -> list[str]:
    result = call("_complete", "--", *words)
    assert (result.code, result.err) == (0, "")
    return result.lines


def test_the_first_word_is_a_command(call):
    assert complete(call, "") == [*(name for name in COMMANDS if name != "_complete"), "--help", "--version"]
    assert complete(call, "re") == ["rerun", "resume", "reload"]


@pytest.mark.parametrize(
    ("words", "expected"),
    [
        pytest.param(["next", ""], ["extract", "load", "tidy"], id="job"),
        pytest.param(["trigger", "l"], ["load"], id="job with a beginning"),
        pytest.param(["show", "e"], ["extract"], id="run"),
        pytest.param(["next", "load", ""], [], id="one job only"),
        pytest.param(["next", "--json", "t"], ["tidy"], id="after a flag"),
        pytest.param(["next", "-n", "3", "t"], ["tidy"], id="after an option with its value"),
        pytest.param(["run", "jobs.yaml", "--once", "load", "ti"], ["tidy"], id="jobs after --once"),
        pytest.param(["graph", "--format", ""], ["text", "dot", "mermaid", "json"], id="values of an option"),
        pytest.param(["history", "--state", "mis"], ["missed"], id="values with a beginning"),
        pytest.param(["completion", ""], ["bash", "fish", "zsh"], id="values of an argument"),
        pytest.param(["rerun", "--d"], ["--downstream"], id="option"),
        pytest.param(["validate", ""], [], id="a path is the shell's"),
        pytest.param(["history", "--since", ""], [], id="a value nobody can guess"),
        pytest.param(["nonsense", ""], [], id="unknown command"),
        pytest.param(["next", "--file", "no/such.yaml", ""], [], id="no such file"),
    ],
)
def test_further_words_are_what_the_command_takes(call, words, expected):
    assert complete(call, *words) == expected


def test_jobs_come_from_the_file_that_the_line_names(call, here):
    (here / "other.yaml").write_text("version: 1\njobs:\n  elsewhere: {run: x}\n")
    assert complete(call, "next", "--file", "other.yaml", "") == ["elsewhere"]


def test_a_broken_job_file_offers_nothing(call, jobs_file):
    jobs_file.write_text("jobs: [")
    assert complete(call, "next", "") == []


@pytest.mark.parametrize("shell", ["bash", "zsh", "fish"])
def test_each_script_is_accepted_by_its_shell(call, here, shell):
    script = call("completion", shell).out
    assert "dagsched _complete --" in script
    if shutil.which(shell) is None:
        pytest.skip(f"no {shell} here")
    (here / "script").write_text(script)
    subprocess.run([shell, "-n", "script"], check=True, timeout=60)


def test_bash_completes_with_it(call, here):
    (here / "script").write_text(call("completion", "bash").out)
    line = f"""
        dagsched() {{ '{sys.executable}' -m dagsched "$@"; }}
        . ./script
        COMP_WORDS=(dagsched trigger l) COMP_CWORD=2
        _dagsched
        printf '%s\\n' "${{COMPREPLY[@]}}"
    """
    done = subprocess.run(["bash", "-c", line], capture_output=True, text=True, check=True, timeout=60)
    assert done.stdout == "load\n"


@pytest.mark.skipif(shutil.which("fish") is None, reason="no fish here")
def test_fish_completes_with_it(call, here, program):
    (here / "script").write_text(call("completion", "fish").out)
    line = "source script; complete -C 'dagsched trigger l'"
    assert shown_by(["fish", "--no-config", "-c", line], program) == ["load"]


@pytest.mark.skipif(shutil.which("zsh") is None, reason="no zsh here")
def test_zsh_completes_with_it(call, here, program):
    (here / "script").write_text(call("completion", "zsh").out)
    # What zle would call with; compadd is asked for what it would have shown.
    line = """
        compdef() { }
        compadd() { shift; print -l -- "$@" }
        . ./script
        words=(dagsched trigger l) CURRENT=3
        _dagsched
    """
    assert shown_by(["zsh", "--no-rcs", "-c", line], program) == ["load"]


@pytest.fixture
def program(here):
    """Return a folder whose `dagsched` is this program."""
    folder = here / "bin"
    folder.mkdir()
    (folder / "dagsched").write_text(f"#!/bin/sh\nexec '{sys.executable}' -m dagsched \"$@\"\n")
    (folder / "dagsched").chmod(0o755)
    return folder


def shown_by(words, program):
    env = {**os.environ, "PATH": f"{program}{os.pathsep}{os.environ['PATH']}", "HOME": str(program)}
    done = subprocess.run(words, env=env, capture_output=True, text=True, check=True, timeout=120)
    return done.stdout.split()
