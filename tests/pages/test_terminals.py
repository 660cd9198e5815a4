"""Every command on every page is run, or the table in stages.py says why not; and prints what the page shows."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

from tests.pages.blocks import FENCE, PAGES, blocks_of, commands_of
from tests.pages.stages import NOT_RUN, STAGES
from tests.pages.walk import Stage, Walk, masked

COMMANDS = {page: [command.text for block in blocks_of(page) for command in commands_of(block)] for page in PAGES}
WALKED = [page for page, commands in COMMANDS.items() if set(commands) - set(NOT_RUN)]


@pytest.mark.parametrize("page", WALKED, ids=lambda page: page.name)
def test_the_commands_of_a_page_run_and_print_what_it_shows(page: Path, tmp_path: Path):
    walk = Walk(page, tmp_path, STAGES.get(page.name, Stage()), NOT_RUN)
    if not walk.stage.unchecked:
        assert "\n".join(walk.differences()) == ""


def test_every_exception_is_of_a_command_that_is_there():
    shown = {command for commands in COMMANDS.values() for command in commands}
    assert [command for command in NOT_RUN if command not in shown] == []
    stale = [
        (name, command)
        for name, stage in STAGES.items()
        for command in stage.instead
        if command not in next(commands for page, commands in COMMANDS.items() if page.name == name)
    ]
    assert stale == []


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.name)
def test_no_command_stands_outside_of_the_blocks_that_are_run(page: Path):
    prose = FENCE.sub("", page.read_text(encoding="utf-8"))
    assert re.findall(r"^ {4}(?:dagsched|curl|sqlite3|python3?|pip|sudo|\./dev|docker) .*", prose, re.MULTILINE) == []


def test_what_differs_each_time_is_no_difference():
    one = "job:a:2026-11-21T05:36:04.210Z  success  Sat 2026-11-21 06:36:04.210 CET  manual  4  1.2s"
    other = "job:a:2027-06-01T15:00:14.001Z  success  Tue 2027-06-01 17:00:14.001 CEST  manual  1  43ms"
    assert masked(one) == masked(other)
    assert masked(one) != masked(other.replace("success", "failed"))
