"""Housekeeping as jobs: what a daemon is asked, and what an attempt says when there is none."""

from __future__ import annotations

from pathlib import Path

import pytest

from dagsched.errors import HandlerError
from dagsched.handlers.housekeeping import retention
from tests.daemon.served import Served, ask, rows

JOBS = """\
version: 1
keep: {runs: 2}
jobs:
  often: {schedule: "*/10 * * * *", run: "echo hi", keep: {days: 5000}}
  tidy: {handler: retention}
  sums: {handler: rollup}
  shrink: {handler: compact}
"""


def test_retention_roll_ups_and_compaction_run_as_jobs_of_a_daemon(tmp_path: Path) -> None:
    (tmp_path / "jobs.yaml").write_text(JOBS)
    with Served(tmp_path) as served:
        served.until_type("daemon.started")
        served.ask("backfill", "often", "--from", "2026-03-02T00:00", "--to", "2026-03-02T00:50", "--yes", "--follow")
        before = rows(served.ask("stats", "often", "--by", "day", "--since", "2026-03-01", "--json"))
        for job, words in (("sums", "worked out anew"), ("tidy", "deleted 4 runs"), ("shrink", "bytes back")):
            served.ask("trigger", job)
            served.until_type("run.succeeded", job)
            assert words in served.ask("logs", job)
        assert len(rows(served.ask("history", "often", "--json"))) == 2
        logs = tmp_path / ".dagsched" / "logs" / "often"
        assert len(list(logs.iterdir())) == 2
        after = rows(served.ask("stats", "often", "--by", "day", "--since", "2026-03-01", "--json"))
        assert (after, after[0]["total"]) == (before, 6)


def test_without_a_daemon_the_attempt_fails_and_says_why(tmp_path: Path) -> None:
    (tmp_path / "jobs.yaml").write_text(JOBS)
    ask(tmp_path, "run", "--once", "tidy", code=1)
    assert "no daemon answers on" in ask(tmp_path, "logs", "tidy")


def test_outside_an_attempt_it_is_refused() -> None:
    with pytest.raises(HandlerError, match="no attempt of dagsched"):
        retention.run({"outputs": ""})
