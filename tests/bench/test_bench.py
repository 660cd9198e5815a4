"""The measurements themselves: figures are told as they are, and each script says what it compares with what."""

from __future__ import annotations

import ast
import importlib
import json
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

from dagsched.config import load_texts
from dagsched.model import utc

BENCH = Path(__file__).parent.parent.parent / "bench"
SCRIPTS = sorted(BENCH.glob("*.py"))


@pytest.fixture
def yard(monkeypatch: pytest.MonkeyPatch) -> Any:
    monkeypatch.syspath_prepend(str(BENCH))
    return importlib.import_module("yard")


def test_a_report_tells_samples_and_the_ratio_of_medians(yard: Any, capsys: pytest.CaptureFixture[str]):
    report = yard.Report("title")
    ours = report.add("ours", "s", [3, 1, 2, 5, 4])
    report.ratio("ours / theirs", ours, report.add("theirs", "s", [6, 6, 6, 2, 9]), goal=0.4)
    report.print(as_json=True)
    told = json.loads(capsys.readouterr().out)
    assert told["figures"][0] == {"label": "ours", "unit": "s", "samples": 5, "min": 1, "median": 3, "p95": 5, "max": 5}
    assert told["ratios"] == [{"label": "ours / theirs", "value": 0.5, "goal": 0.4}]
    report.print(as_json=False)
    assert "goal: at most 0.4, MISSED" in capsys.readouterr().out


@pytest.mark.parametrize(("share", "value"), [(0.05, 1), (0.5, 10), (0.95, 19), (1.0, 20)])
def test_a_quantile_is_a_sample_that_this_share_does_not_exceed(yard: Any, share: float, value: int):
    figure = yard.Report("title").add("label", "s", range(20, 0, -1))
    assert figure.quantile(share) == value


def test_the_measured_job_file_is_valid_and_the_same_every_time(yard: Any):
    text = yard.realistic_jobs(300, distinct=100)
    assert text == yard.realistic_jobs(300, distinct=100)
    config = load_texts({"jobs.yaml": text}, utc(2026, 11, 21)).config
    assert config is not None
    schedules = {job.schedule.cron for job in config.jobs.values() if job.schedule}
    zones = {job.timezone for job in config.jobs.values()}
    assert (len(config.jobs), len(schedules), zones) == (300, 100, set(yard.ZONES))


@pytest.mark.parametrize("script", SCRIPTS, ids=lambda script: script.stem)
def test_a_measurement_names_its_yardstick_and_explains_itself(script: Path):
    said = ast.get_docstring(ast.parse(script.read_text(encoding="utf-8"))) or ""
    assert "Measured" in said
    assert "Yardstick" in said
    done = subprocess.run([sys.executable, script, "--help"], capture_output=True, text=True, check=True)
    assert "--json" in done.stdout
    assert " ".join(done.stdout.split()).count(said.splitlines()[0][:60]) == 1
