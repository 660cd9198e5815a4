"""The random job files are valid, and hold what the torture is for: every kind of work, chains and fan-outs."""

from __future__ import annotations

import random
import re
from collections import Counter
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest

from dagsched.config import load_texts, render
from dagsched.handlers.shell import words
from tests.torture.driver import Round
from tests.torture.edits import text_of
from tests.torture.rounds import ROOT
from tests.torture.slants import SLANTS
from tests.torture.world import Maker

NAMES = ("a.yaml", "b.yaml")
KINDS = {"argv", "text without a shell", "text through a shell", "python"}


def kind(body: dict[str, Any]) -> str:
    if body.get("handler") == "python":
        return "python"
    if isinstance(body["run"], list):
        return "argv"
    return "text without a shell" if words(body["run"]) else "text through a shell"


def problems(sheets: dict[str, Any]) -> str:
    loaded = load_texts({name: text_of(sheet) for name, sheet in sheets.items()}, datetime.now(UTC))
    return "" if loaded.config is not None else render(loaded.problems, "human")


@pytest.mark.parametrize(("seed", "slant"), [*((seed, "") for seed in range(6)), *enumerate(SLANTS)])
def test_every_sheet_is_valid_and_stays_so_through_edits(seed: int, slant: str, tmp_path: Path):
    dice = random.Random(seed)
    maker = Maker(dice, tmp_path / "journal.txt", NAMES, gentle=False, slant=SLANTS.get(slant))
    sheets = maker.first()
    assert problems(sheets) == ""
    for _ in range(2):
        sheets |= maker.changed(sheets, dice.sample(NAMES, dice.randint(1, 2)))
        assert problems(sheets) == ""
    assert problems(maker.quiet(sheets, "unscheduled")) == ""
    quiet = maker.quiet(sheets, "disabled")
    assert problems(quiet) == ""
    # Whoever waits for an upstream's first tick hears of one within seconds.
    assert not any("cron" in body.get("schedule", {}) for sheet in quiet.values() for body in sheet["jobs"].values())


@pytest.mark.parametrize("name", SLANTS)
def test_what_a_slanted_round_goes_without_is_a_deed_of_others(name: str, tmp_path: Path):
    names = {"favours": ["kill_spawner"]}
    for folder in ("plain", "slanted"):
        (tmp_path / folder).mkdir()
    plain = {deed.__name__.strip("_") for deed, _ in Round(1, 1, tmp_path / "plain", **names)._deeds()}
    slanted = Round(1, 1, tmp_path / "slanted", slant=SLANTS[name], **names)._deeds()
    assert plain - {deed.__name__.strip("_") for deed, _ in slanted} == set(SLANTS[name].shuns)


def test_the_rounds_of_every_commit_hold_all_kinds_of_work(tmp_path: Path):
    (played,) = re.findall(r"torture --seeds (\d+) --first-seed (\d+)", (ROOT / ".ci" / "run").read_text())
    count, first = map(int, played)
    found: Counter[str] = Counter()
    for seed in range(first, first + count):
        folder = tmp_path / str(seed)
        folder.mkdir()
        jobs = {id: body for sheet in Round(seed, 1, folder).sheets.values() for id, body in sheet["jobs"].items()}
        found += Counter(kind(body) for body in jobs.values())
        found += Counter({"chain": "c04" in jobs, "fan-out": "f30" in jobs and len(jobs["f99"]["depends_on"]) >= 30})
    assert {*KINDS, "chain", "fan-out"} <= {name for name, number in found.items() if number}
