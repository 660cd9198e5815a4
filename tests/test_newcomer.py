"""What a newcomer reads is what a newcomer gets: the tutorial runs, and what pages show is what is printed."""

from __future__ import annotations

import os
import re
import subprocess
import sys
from pathlib import Path

from dagsched.config import load_texts, render
from dagsched.daemon.service import KILL_GRACE
from dagsched.model import utc
from dagsched.testing import World

ROOT = Path(__file__).parent.parent
NOW = utc(2026, 11, 21)
README = (ROOT / "README.md").read_text()
TUTORIAL = (ROOT / "docs" / "tutorial.md").read_text()


def blocks(page: str, kind: str) -> list[str]:
    return re.findall(rf"^```{kind}\n(.*?)^```$", page, re.MULTILINE | re.DOTALL)


def sh(text: str, folder: Path) -> str:
    env = {
        "PATH": os.pathsep.join([str(Path(sys.executable).parent), os.environ["PATH"]]),
        "HOME": str(folder),
    }
    command = ["sh", "-eu", "-c", text]
    done = subprocess.run(command, cwd=folder, env=env, capture_output=True, text=True, timeout=120)
    assert done.returncode == 0, done.stdout + done.stderr
    return done.stdout


def complaint_shown_on(page: str) -> str:
    """Return the part of a shown terminal that complains of an unknown upstream."""
    shown = next(block for block in blocks(page, "(?:console|text)") if "E201" in block)
    return shown[shown.index("/") if shown.startswith("dagsched: ") else 0 :]


def test_a_tutorial_job_whose_tar_fails_is_no_success(tmp_path: Path):
    (tmp_path / "backups").mkdir()
    jobs = blocks(TUTORIAL, "yaml jobs.yaml")[0].replace("max_attempts: 3", "max_attempts: 1")
    (tmp_path / "jobs.yaml").write_text(jobs)
    said = sh("dagsched run --once || true; dagsched history", tmp_path)
    assert re.search(r"archive\S* +failed .* exit code", said)
    assert re.search(r"rotate\S* +upstream_failed ", said)


def test_the_tutorials_mistake_is_answered_as_shown():
    text = blocks(TUTORIAL, "yaml jobs.yaml")[0].replace("[verify]", "[verfy]")
    problems = load_texts({"/home/you/batch/jobs.yaml": text}, NOW).problems
    assert complaint_shown_on(TUTORIAL).strip() in render(problems, "human")


def test_the_front_pages_mistake_is_answered_as_shown(tmp_path: Path):
    sh("dagsched init", tmp_path)
    mistake = next(block for block in blocks(README, "sh") if "mistake.yaml" in block)
    said = sh(mistake.replace("dagsched validate mistake.yaml", "dagsched validate mistake.yaml 2>&1"), tmp_path)
    assert complaint_shown_on(README).strip() in said
    assert "exit code 3" in said


def test_the_front_page_asks_why_and_is_answered_as_shown():
    (shown,) = [block for block in blocks(README, "console") if "why weekly-report" in block]
    world = World(blocks(README, "yaml")[0], start="2026-11-22T12:00", timezone="America/New_York")
    world.takes("data-refresh", "4h59m59s", on="2026-11-23")
    world.fails("data-refresh", on="2026-11-23", attempt=1)
    world.run_until("2026-11-23T09:00")
    # What the virtual clock does not have: a state that is older, a folder, milliseconds.
    plain = re.sub(r" \(in force since \S+\)|/srv/batch/|\.\d+(?=Z)", "", shown.partition("\n")[2])
    assert plain.replace("configuration 3", "configuration 1").strip() == world.why("weekly-report", "2026-11-23")


def test_the_page_on_operations_shows_the_unit_that_is_shipped():
    page = (ROOT / "docs" / "operations.md").read_text()
    assert blocks(page, "ini") == [(ROOT / "examples" / "dagsched.service").read_text()]


def test_the_unit_waits_longer_than_a_stop_can_take():
    unit = dict(re.findall(r"^(\w+)=(.*)$", (ROOT / "examples" / "dagsched.service").read_text(), re.MULTILINE))
    grace = re.search(r"--grace (\d+)s", unit["ExecStart"])
    assert grace is not None
    assert int(unit["TimeoutStopSec"]) > int(grace[1]) + KILL_GRACE.total_seconds()
    assert unit["KillMode"] == "process"
    assert unit["Type"] == "notify"
