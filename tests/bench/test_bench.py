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
    assert told["ratios"] == [{"label": "ours / theirs", "value": 0.5, "goal": 0.4, "bound": "at most"}]
    report.print(as_json=False)
    assert "goal: at most 0.4, MISSED" in capsys.readouterr().out


@pytest.mark.parametrize(
    ("bound", "value", "verdict"),
    [
        ("at most", 1.9, "goal: at most 2, met"),
        ("at most", 2.1, "goal: at most 2, MISSED"),
        ("at least", 1.9, "goal: at least 2, MISSED"),
        ("at least", 2.1, "goal: at least 2, met"),
    ],
)
def test_a_goal_is_missed_on_one_side(
    yard: Any, capsys: pytest.CaptureFixture[str], bound: str, value: float, verdict: str
):
    report = yard.Report("title")
    report.limit("ours / theirs", value, 2, bound)
    report.print(as_json=False)
    assert verdict in capsys.readouterr().out


def test_a_peer_that_is_not_there_is_told_and_the_rest_measured(
    yard: Any, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch, tmp_path: Path
):
    peers = importlib.import_module("yard.peers")
    monkeypatch.setattr(peers, "ENVIRONMENT", tmp_path)
    monkeypatch.setenv("PATH", str(tmp_path))
    report = yard.Report("title")
    assert peers.look_for(report, "ninja", lambda: peers.peer_command("ninja")) is None
    assert peers.look_for(report, "doit", lambda: peers.peer_program("doit")) is None
    (tmp_path / "bin").mkdir()
    (tmp_path / "bin" / "python").symlink_to(sys.executable)
    assert peers.look_for(report, "huey", lambda: peers.peer_python("no_such_module")) is None
    assert peers.look_for(report, "json", lambda: peers.peer_python("json")) == str(tmp_path / "bin" / "python")
    report.add("ours", "s", [1])
    report.print(as_json=False)
    lines = [line for line in capsys.readouterr().out.splitlines() if "not measured" in line]
    assert [line.split()[2] for line in lines] == ["ninja", "doit", "huey"]
    assert "No module named 'no_such_module'" in lines[2]
    report.print(as_json=True)
    assert len(json.loads(capsys.readouterr().out)["not measured"]) == 3


def test_every_peer_is_pinned_once():
    lines = (BENCH / "requirements.txt").read_text().splitlines() + (BENCH / "constraints.txt").read_text().splitlines()
    pins = [line.split("#")[0].strip() for line in lines if not line.startswith("#")]
    names = [pin.split("==")[0].lower().replace("_", "-") for pin in pins]
    assert [pin for pin in pins if pin.count("==") != 1] == []
    assert len(names) == len(set(names))


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
