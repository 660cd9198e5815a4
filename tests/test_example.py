"""The example does what its page says, on real input: all of it is run once, and its report is opened."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from dagsched.config import load
from dagsched.model import utc

ROOT = Path(__file__).parent.parent
EXAMPLE = "jobs.example.yaml"
JOBS = {
    "library", "settled", "lines", "notes", "changes", "functions", "imports", "clock-changes", "report", "announce",
}  # fmt: skip
# A tree small enough to count by hand. The test folder is no part of a survey, the name with a space is.
TREE = {
    "app/__init__.py": "import json, os.path\nfrom . import core\n",
    "app/core.py": 'import json\n\n\ndef load(text):\n    """Read."""\n    return json.loads(text)  # TODO: check\n',
    "app/odd name.py": "async def wait():\n    pass\n",
    "broken.py": "def (:\n",
    "app/test/test_core.py": "import unittest\n",
    "notes.txt": "# TODO: nothing\n",
}


class Survey:
    """A copy of the example in a folder of its own, as somebody has it who took it home."""

    def __init__(self, folder: Path) -> None:
        self.home, self.tree, self.out = folder / "home", folder / "a tree", folder / "out"
        self.home.mkdir()
        shutil.copy(ROOT / EXAMPLE, self.home)
        shutil.copytree(ROOT / "examples", self.home / "examples", ignore=shutil.ignore_patterns("__pycache__"))
        for name, text in TREE.items():
            (self.tree / name).parent.mkdir(parents=True, exist_ok=True)
            (self.tree / name).write_text(text)
        # Without a daemon nobody can give a parameter, so the copy has another default.
        file = self.home / EXAMPLE
        changed = file.read_text().replace('{type: string, default: ""}', json.dumps({"default": str(self.tree)}))
        assert changed != file.read_text()
        file.write_text(changed)

    def dagsched(self, *words: str) -> str:
        env = {"PATH": os.environ["PATH"], "HOME": str(self.home), "DAGSCHED_DEMO_DIR": str(self.out)}
        command = [sys.executable, "-m", "dagsched", *words]
        done = subprocess.run(command, cwd=self.home, env=env, capture_output=True, text=True, timeout=120)
        assert done.returncode == 0, done.stdout + done.stderr
        return done.stdout

    def run(self) -> None:
        self.dagsched("run", "--once", EXAMPLE)

    def newest(self, job: str) -> dict[str, object]:
        return json.loads(self.dagsched("history", job, "--json", "--limit", "1", "--file", EXAMPLE))

    def outputs(self, job: str) -> dict[str, str]:
        found = json.loads(self.dagsched("show", str(self.newest(job)["run"]), "--json", "--file", EXAMPLE))
        return dict(found["outputs"])

    def report(self) -> str:
        return (self.out / "report.html").read_text()


@pytest.fixture(scope="module")
def survey(tmp_path_factory: pytest.TempPathFactory) -> Survey:
    survey = Survey(tmp_path_factory.mktemp("survey"))
    survey.run()
    return survey


def test_the_example_is_valid_without_a_warning_and_shows_what_it_is_to_show():
    loaded = load([ROOT / EXAMPLE], utc(2026, 11, 23))
    assert loaded.config is not None
    assert loaded.problems == ()
    jobs = loaded.config.jobs
    assert set(jobs) == JOBS
    assert {job.schedule.timezone for job in jobs.values() if job.schedule} == {"Europe/Berlin", "America/New_York"}
    assert {job.handler for job in jobs.values()} == {"shell", "python"}


def test_every_job_succeeds(survey: Survey):
    rows = [json.loads(line) for line in survey.dagsched("history", "--json", "--file", EXAMPLE).splitlines()]
    assert {row["job"]: row["state"] for row in rows} == dict.fromkeys(JOBS, "success")


def test_the_first_look_is_retried_and_nothing_else(survey: Survey):
    tries = {job: survey.newest(job)["attempts"] for job in JOBS}
    assert tries == {**dict.fromkeys(JOBS, 1), "settled": 2}


def test_the_figures_are_those_of_the_tree(survey: Survey):
    assert survey.outputs("lines") == {"files": "4", "lines": "11"}
    assert survey.outputs("notes") == {"notes": "1"}
    assert survey.outputs("functions") == {"functions": "2", "explained": "1"}
    assert survey.outputs("imports") == {"imported": "2"}
    assert (survey.out / "imports.tsv").read_text() == "2\tjson\n1\tos\n"


def test_outputs_are_handed_down_to_the_report_and_to_its_announcement(survey: Survey):
    figures = ["<b>4</b>files", "<b>11</b>lines", "<b>50 %</b>of them explained", "<b>first survey</b>"]
    assert [text for text in (*figures, str(survey.tree)) if text not in survey.report()] == []
    said = survey.dagsched("logs", "announce", "--file", EXAMPLE)
    assert said == f"11 lines in 4 files\nOpen {survey.out / 'report.html'}\n"


def test_the_report_says_when_clocks_change(survey: Survey):
    assert "Asia/Tokyo</td><td>stays at +09:00" in survey.report()
    assert "Europe/Berlin</td><td>Sunday, " in survey.report()


def test_the_next_survey_names_what_changed(tmp_path: Path):
    survey = Survey(tmp_path)
    survey.run()
    (survey.tree / "app/core.py").write_text("import sys\n")
    (survey.tree / "app/odd name.py").unlink()
    (survey.tree / "new.py").write_text("import csv\n")
    survey.run()
    rows = (survey.out / "changes.tsv").read_text()
    assert rows == "changed\tapp/core.py\ngone\tapp/odd name.py\nnew\tnew.py\n"
    assert "<b>3</b>files changed since the last survey" in survey.report()
