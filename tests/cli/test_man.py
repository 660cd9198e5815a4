"""The manual page: every command and option, and roff that groff reads without a complaint."""

from __future__ import annotations

import re
import shutil
import subprocess
from pathlib import Path

import pytest

import dagsched
from dagsched.cli import COMMANDS, load
from dagsched.cli.man import page
from dagsched.cli.parser import Parser


def sections() -> dict[str, str]:
    """Return each command's part of the page as plain text, without the signs of roff."""
    plain = page().replace("\\-", "-").replace("\\fB", "").replace("\\fR", "").replace("\\&", "")
    parts = plain.partition(".SH EXIT STATUS")[0].split(".SS dagsched ")[1:]
    return {part.partition("\n")[0]: part for part in parts}


def test_the_page_has_the_commands_of_the_program_and_no_other():
    assert list(sections()) == [name for name, line in COMMANDS.items() if line]


@pytest.mark.parametrize("name", [name for name, line in COMMANDS.items() if line])
def test_the_page_has_every_option_of_a_command(name: str):
    parser = Parser(name, COMMANDS[name])
    load(name).arguments(parser)
    missing = [option for option in parser.options() if option != "--help" and option not in sections()[name]]
    assert missing == []


def test_the_variables_of_the_page_are_those_that_the_program_reads():
    code = "".join(file.read_text() for file in Path(dagsched.__file__).parent.rglob("*.py") if file.stem != "man")
    names = re.findall(r"^\\fB([A-Z_]+)\\fR$", page().partition(".SH ENVIRONMENT")[2], re.MULTILINE)
    assert len(names) > 5
    assert [name for name in names if name not in code] == []


def test_the_command_prints_the_page(call):
    result = call("man")
    assert (result.code, result.out, result.err) == (0, page(), "")
    assert result.out.isascii()


@pytest.mark.skipif(shutil.which("groff") is None, reason="needs groff")
def test_groff_has_no_complaint_and_shows_what_a_person_reads():
    words = ["groff", "-man", "-ww", "-Tascii", "-P-cbou"]
    done = subprocess.run(words, input=page(), capture_output=True, text=True, timeout=60, check=True)
    assert done.stderr == ""
    assert "dagsched - run jobs declared in YAML, and know why" in done.stdout
    assert "--state-dir DIR" in done.stdout
