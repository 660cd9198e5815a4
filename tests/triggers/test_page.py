"""The page on schedules says what happens."""

from __future__ import annotations

import doctest
import re
from datetime import UTC, timedelta
from pathlib import Path

import pytest
import yaml

from dagsched.errors import InvalidSchedule
from dagsched.model import parse_instant
from dagsched.triggers import Cron

PAGE = Path(__file__).parents[2] / "docs" / "schedules.md"
TEXT = PAGE.read_text(encoding="utf-8")
CLOCK_ROWS = re.findall(r"^\| `([^`]+)` \| (\d{4}-\S+Z) \| ?(.*?) ?\|$", TEXT, re.MULTILINE)
REFUSED = TEXT.partition("**Refused, with a fix,**")[2].partition("\n## ")[0]
REFUSED_ROWS = re.findall(r"^\| (`.+`) \| [^|]+ \| (.*?) ?\|$", REFUSED, re.MULTILINE)
CRONS = [
    text
    for block in re.findall(r"```yaml\n(.*?)```", TEXT, re.DOTALL)
    for text in re.findall(r'"(\S+ \S+ \S+ \S+ \S+)"', block)
]


def test_python_examples_hold() -> None:
    result = doctest.testfile(str(PAGE), module_relative=False)
    assert result.attempted > 3
    assert result.failed == 0


@pytest.mark.parametrize(("expression", "start", "ticks"), CLOCK_ROWS)
def test_table_of_clock_changes_holds(expression: str, start: str, ticks: str) -> None:
    first = parse_instant(start)
    found = Cron(expression, "America/New_York").ticks(
        first - timedelta(seconds=1), first + timedelta(hours=12, seconds=-1)
    )
    assert [f"{tick.astimezone(UTC):%H:%M}" for tick in found] == ticks.split()


@pytest.mark.parametrize(("written", "instead"), REFUSED_ROWS)
def test_what_the_page_calls_refused_is_refused_and_its_replacement_is_not(
    written: str, instead: str
) -> None:
    for text in re.findall(r"`([^`]+)`", written):
        with pytest.raises(InvalidSchedule):
            Cron(text)
    for text in re.findall(r"`(\S+ \S+ \S+ \S+ \S+)`", instead):
        Cron(text)


def test_tables_were_found() -> None:
    assert len(CLOCK_ROWS) == 7
    assert len(REFUSED_ROWS) == 7


@pytest.mark.parametrize("expression", CRONS)
def test_expressions_of_the_job_files_are_usable(expression: str) -> None:
    assert Cron(expression).next(parse_instant("2026-11-21T00:00Z"))


def test_job_files_are_complete() -> None:
    blocks = [yaml.safe_load(block) for block in re.findall(r"```yaml\n(.*?)```", TEXT, re.DOTALL)]
    assert len(blocks) == 3
    assert all(job.keys() >= {"schedule", "run"} for block in blocks for job in block["jobs"].values())
