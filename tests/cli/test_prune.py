"""`prune`: by the daemon where one runs, else by itself."""

from __future__ import annotations

from tests.cli.conftest import answer_with


def test_without_a_daemon_old_runs_and_their_logs_go(call, home):
    result = call("prune", "--older-than", "2026-11-23T12:00", "--json")
    assert result.json == {"before": "2026-11-23T12:00:00Z", "deleted": 3}
    left = {row["run"] for row in call("history", "--json").rows}
    assert left == {
        "job:extract:2026-11-23T14:00:00Z",
        "job:load:2026-11-23T14:00:00Z",
        "job:tidy:2026-11-23T03:00:00Z",
    }
    assert [file.name for file in (home / "logs").iterdir()] == ["extract.3"]


def test_nothing_is_old_by_default(call, home):
    assert call("prune").out == "deleted 0 runs that ended before 2026-08-25T14:30:00Z\n"


def test_a_running_daemon_does_it(call, home, monkeypatch):
    asked = answer_with(monkeypatch, {"deleted": 7})
    assert call("prune", "--older-than", "1h").out == "deleted 7 runs that ended before 2026-11-23T13:30:00Z\n"
    assert asked == [("prune", {"before": "2026-11-23T13:30:00Z"})]


def test_no_state_is_nothing_to_delete(call, here, jobs_file, at_now, no_daemon):
    assert call("prune", "--json").json["deleted"] == 0
    assert not (here / ".dagsched").exists()


KEEP = """\
version: 1
keep: {runs: 1}
jobs:
  extract: {schedule: "0 9 * * *", run: ./extract}
  load: {depends_on: [extract], run: ./load, keep: {days: 1}}
  tidy: {schedule: "0 * * * *", run: ./tidy}
"""


def test_without_an_age_the_job_files_say_what_is_kept(call, home, here):
    (here / "jobs.yaml").write_text(KEEP)
    assert call("prune", "--dry-run").out == "would delete 3 runs beyond what `keep` says\n"
    assert call("prune", "--dry-run", "--json").json == {"before": None, "would_delete": 3}
    assert len(call("history", "--json", "--limit", "0").rows) == 6
    assert call("prune").out == "deleted 3 runs beyond what `keep` says\n"
    assert len(call("history", "--json", "--limit", "0").rows) == 3


def test_an_age_counts_whatever_the_job_files_say(call, home, here):
    (here / "jobs.yaml").write_text(KEEP)
    assert call("prune", "--older-than", "300d").out.startswith("deleted 0 runs that ended before")


def test_a_running_daemon_is_asked_to_keep_house(call, home, here, monkeypatch):
    (here / "jobs.yaml").write_text(KEEP)
    asked = answer_with(monkeypatch, {"deleted": 2})
    assert call("prune", "--dry-run").out == "would delete 2 runs beyond what `keep` says\n"
    call("prune")
    assert asked == [("retention", {"dry_run": True}), ("retention", {})]
