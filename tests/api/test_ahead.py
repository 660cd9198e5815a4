"""A plan and a forecast over HTTP: what the command line says, of texts that are sent, and nothing is applied."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from tests.api.caller import JOBS, Caller, problem_of
from tests.daemon.served import rows

EDITED = JOBS.replace("0 3 * * *", "0 4 * * *")


def test_a_plan_is_the_one_of_the_command_line(caller: Caller, tmp_path: Path) -> None:
    (tmp_path / "jobs.yaml").write_text(EDITED)
    here = json.loads(caller.daemon.ask("plan", str(tmp_path / "jobs.yaml"), "--json"))
    there = caller.post("/plan", {"text": EDITED})
    assert there["document"]["jobs"]["changed"][0]["keys"] == here["jobs"]["changed"][0]["keys"]
    assert there["document"]["jobs"]["moved"] == []  # a text that is sent stands where the file in force stands
    assert "1 job changed" in there["words"]["verdict"]
    assert caller.get("/config")["number"] == 1


@pytest.mark.parametrize(
    "body",
    [
        {"text": EDITED, "in_place_of": "jobs.yaml"},
        {"files": {"jobs.yaml": EDITED}, "days": 1},
        {"files": {"/elsewhere/other.yaml": EDITED}},
    ],
    ids=["by name", "as files", "from another folder"],
)
def test_a_text_takes_the_place_of_the_file_in_force(caller: Caller, body: dict[str, object]) -> None:
    found = caller.post("/plan", body)["document"]
    assert [each["job"] for each in found["jobs"]["changed"]] == ["nightly"]
    assert (found["jobs"]["added"], found["jobs"]["removed"]) == ([], [])


def test_one_file_more_adds_its_jobs(caller: Caller) -> None:
    more = {"text": "version: 1\njobs: {extra: {run: 'true'}}\n", "in_place_of": "added.yaml"}
    found = caller.post("/plan", more)["document"]["jobs"]
    assert ([each["job"] for each in found["added"]], found["removed"]) == (["extra"], [])


def test_without_a_text_nothing_changes(caller: Caller) -> None:
    assert caller.post("/plan")["document"]["changes"] is False


@pytest.mark.parametrize("path", ["/plan", "/simulate"])
def test_what_is_wrong_is_said(caller: Caller, path: str) -> None:
    send = lambda body: caller.root.post(f"/api/v1{path}", json=body)  # noqa: E731
    told = problem_of(send({"text": "jobs:\n  x: {runn: 'true'}\n"}), 422, "invalid-config")
    assert [(row["line"], row["code"]) for row in told["problems"]] == [(2, "E101")]
    problem_of(send({"text": "", "in_place_of": "/etc/passwd"}), 404, "unknown")
    problem_of(send({"text": "", "files": {"a.yaml": ""}}), 400, "malformed")
    problem_of(send({"days": 4000}), 400, "malformed")
    with caller.client("viewer") as viewer:
        problem_of(viewer.post(f"/api/v1{path}", json={}), 403, "forbidden")


def test_a_forecast_is_the_one_of_the_command_line(caller: Caller) -> None:
    words = ("--from", "2026-11-24T00:00+01:00", "--days", "2", "--duration", "nightly=5m", "--fail-rate", "0.5")
    here = json.loads(caller.daemon.ask("simulate", *words, "--seed", "3", "--json"))
    body = {"from": words[1], "days": 2, "duration": ["nightly=5m"], "fail_rate": ["0.5"], "seed": 3}
    assert caller.post("/simulate", body) == here
    problem_of(caller.root.post("/api/v1/simulate", json={"duration": ["nightli=5m"]}), 404, "unknown")
    problem_of(caller.root.post("/api/v1/simulate", json={"fail_rate": ["lots"]}), 400, "malformed")
    told = problem_of(caller.root.post("/api/v1/simulate", json={"duration": ["=5m"]}), 400, "malformed")
    assert told["detail"] == "duration '=5m' names no job before the `=`"


def test_a_backfill_is_shown_before_it_is_begun(caller: Caller) -> None:
    asked = {"first": "2026-01-01T00:00:00Z", "last": "2026-01-02T12:00:00Z", "max_active": 1}
    found = caller.post("/jobs/nightly/backfill", {**asked, "dry_run": True})
    assert (found["id"], found["total"], found["runs"]) == (None, 2, 2)
    (job,) = found["jobs"]
    assert (job["job"], job["new"], len(job["first_ticks"])) == ("nightly", 2, 2)
    assert caller.get("/backfills") == {"items": []}
    over = {**asked, "last": "2126-01-01T00:00:00Z", "dry_run": True}
    problem_of(caller.root.post("/api/v1/jobs/nightly/backfill", json=over), 409, "refused")


def test_backfills_are_listed(caller: Caller) -> None:
    assert caller.get("/backfills") == {"items": []}
    caller.post(
        "/jobs/nightly/backfill",
        {"first": "2026-01-01T00:00:00Z", "last": "2026-01-02T12:00:00Z", "max_active": 1},
    )
    (found,) = caller.get("/backfills")["items"]
    assert (found["job"], found["total"]) == ("nightly", 2)
    caller.daemon.until_type("backfill.done")
    assert caller.get("/backfills")["items"] == rows(caller.daemon.ask("backfill", "--list", "--json"))
