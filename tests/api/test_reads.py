"""What the API shows: the rows that the command line prints."""

from __future__ import annotations

import json

import httpx
import pytest

from tests.api.caller import Caller, problem_of
from tests.daemon.served import rows


def test_signs_of_life_need_no_token(caller: Caller) -> None:
    with httpx.Client(base_url=caller.url, timeout=20) as nobody:
        assert nobody.get("/livez").json() == {"status": "ok"}
        assert nobody.get("/readyz").json() == {"status": "ok"}


def test_the_same_rows_as_the_command_line(caller: Caller) -> None:
    name = caller.run_once("broken", "run.failed")
    told = caller.daemon.ask
    assert caller.get(f"/runs/{name}") == json.loads(told("show", name, "--json"))
    assert caller.get("/runs", params={"job": "broken"})["items"] == rows(told("history", "broken", "--json"))
    assert caller.get("/stats", params={"job": "broken"})["items"] == rows(told("stats", "broken", "--json"))
    assert caller.get("/graph") == json.loads(told("graph", "--json"))
    assert caller.get("/jobs/nightly/next")["items"] == rows(told("next", "nightly", "--json"))
    explained = caller.get(f"/jobs/broken/why?tick={name.removeprefix('job:broken:')}")
    assert explained.pop("lines")
    assert explained == json.loads(told("why", name, "--json"))
    page = caller.get("/events?limit=1000")
    assert page["next"] is None
    assert page["items"] == rows(told("events", "--json"))
    there, here = caller.get("/status"), json.loads(told("status", "--json"))
    assert there == here


def test_a_state_of_one_machine_has_no_workers(caller: Caller) -> None:
    assert caller.get("/workers") == {"items": [], "waiting": []}


def test_a_job_says_where_it_stands_and_who_is_around_it(caller: Caller) -> None:
    job = caller.get("/jobs/load")
    assert (job["source"], job["position"]["line"], job["upstream"]) == ("file", 4, ["extract"])
    assert job["definition"]["run"] == "echo loaded"


def test_jobs_come_by_the_page(caller: Caller) -> None:
    seen, after = [], None
    while True:
        page = caller.get("/jobs", params={"limit": 2, **({"after": after} if after else {})})
        seen += [item["job"] for item in page["items"]]
        if (after := page["next"]) is None:
            break
    assert seen == ["extract", "load", "broken", "nightly", "long", "listener"]
    problem_of(caller.root.get("/api/v1/jobs?after=nobody"), 400, "malformed")


def test_pages_of_runs_hold_each_run_once(caller: Caller) -> None:
    for _ in range(3):
        caller.run_once("nightly")
    everything = caller.get("/runs")["items"]
    seen, cursor = [], None
    while True:
        page = caller.get("/runs", params={"limit": 1, **({"cursor": cursor} if cursor else {})})
        seen += page["items"]
        if (cursor := page["next"]) is None:
            break
    assert seen == everything
    assert len(seen) >= 3
    only = caller.get("/runs?state=failed&state=success&job=nightly")["items"]
    assert {row["state"] for row in only} == {"success"}


def test_a_log_comes_whole_or_by_a_range(caller: Caller) -> None:
    name = caller.run_once("extract")
    path = f"/api/v1/runs/{name}/log"
    whole = caller.root.get(path)
    assert (whole.text, whole.headers["x-dagsched-ended"]) == ("one\ntwo\n", "true")
    for wanted, text, told in (
        ("bytes=4-", "two\n", "bytes 4-7/8"),
        ("bytes=0-2", "one", "bytes 0-2/8"),
        ("bytes=-4", "two\n", "bytes 4-7/8"),
        ("bytes=4-999", "two\n", "bytes 4-7/8"),
    ):
        part = caller.root.get(path, headers={"Range": wanted})
        assert (part.status_code, part.text, part.headers["content-range"]) == (206, text, told)
    for wanted in ("bytes=8-", "bytes=-0", "bytes=5-4"):
        answer = caller.root.get(path, headers={"Range": wanted})
        problem_of(answer, 416, "range")
        assert answer.headers["content-range"] == "bytes */8"
    for ignored in ("bytes=0-1,3-4", "lines=1-2", "bytes=-", "nonsense"):
        assert caller.root.get(path, headers={"Range": ignored}).status_code == 200
    assert caller.root.head(path).headers["content-length"] == "8"
    problem_of(caller.root.get(path + "?attempt=7"), 404, "unknown")


def test_a_run_that_has_written_nothing_has_an_empty_log(caller: Caller) -> None:
    name = caller.run_once("nightly")
    answer = caller.root.get(f"/api/v1/runs/{name}/log")
    assert (answer.status_code, answer.content) == (200, b"")


def test_an_unchanged_configuration_is_not_sent_again(caller: Caller) -> None:
    first = caller.root.get("/api/v1/config")
    tag = first.headers["etag"]
    again = caller.root.get("/api/v1/config", headers={"If-None-Match": tag})
    assert (again.status_code, again.content, again.headers["etag"]) == (304, b"", tag)
    assert caller.root.get("/api/v1/config", headers={"If-None-Match": '"other"'}).json() == first.json()


def test_a_text_is_validated_with_places(caller: Caller) -> None:
    answer = caller.root.post("/api/v1/validate", content="jobs:\n  x: {runn: 'true'}\n").json()
    assert answer["valid"] is False
    assert [(row["line"], row["column"], row["code"]) for row in answer["items"]] == [(2, 7, "E101")]
    assert caller.root.post("/api/v1/validate", content="jobs: {}\n").json() == {"valid": True, "items": []}


def test_texts_are_validated_as_a_plan_takes_them(caller: Caller) -> None:
    def checked(body: object) -> list[str]:
        found = caller.root.post("/api/v1/validate", json=body).json()
        return [f"{row['file']}:{row['line']} {row['code']}" for row in found["items"]]

    assert checked({"text": "jobs: {}\n"}) == []
    assert checked({"text": "jobs:\n  x: {runn: 'true'}\n"})[0] == "jobs.yaml:2 E101"
    files = {"a.yaml": "jobs: {x: {run: 'true'}}\n", "b.yaml": "jobs: {y: {run: x, depends_on: [z]}}\n"}
    assert checked({"files": files}) == ["b.yaml:1 E201"]
    assert checked({"jobs": {"x": {"run": "true"}}}) == [], "a job file may be JSON"
    assert checked({"text": 1})[0].endswith("E102"), "anything else is looked at as a job file"


@pytest.mark.parametrize(
    ("path", "status", "kind"),
    [
        ("/jobs/lod", 404, "unknown"),
        ("/runs/job:load:2020-01-01T00:00:00Z", 404, "unknown"),
        ("/runs/nonsense", 404, "unknown"),
        ("/runs?limit=0", 400, "malformed"),
        ("/runs?limit=1001", 400, "malformed"),
        ("/runs?limit=1&limit=2", 400, "malformed"),
        ("/runs?state=gone", 400, "malformed"),
        ("/runs?cursor=x", 400, "malformed"),
        ("/runs?since=yesterday", 400, "malformed"),
        ("/runs?stat=failed", 400, "malformed"),
        ("/events?since=-1", 400, "malformed"),
        ("/jobs/load/why?tick=never", 400, "malformed"),
        ("/nothing", 404, "not-found"),
        ("/jobs/load/trigger", 405, "method"),
    ],
)
def test_what_is_wrong_is_told_as_a_problem(caller: Caller, path: str, status: int, kind: str) -> None:
    problem_of(caller.root.get(f"/api/v1{path}"), status, kind)


def test_an_unknown_name_comes_with_the_nearest(caller: Caller) -> None:
    assert problem_of(caller.root.get("/api/v1/jobs/lod"), 404, "unknown")["nearest"] == ["load"]


def test_every_answer_carries_the_headers_that_keep_browsers_safe(caller: Caller) -> None:
    for answer in (caller.root.get("/livez"), caller.root.get("/nothing"), httpx.get(f"{caller.url}/api/v1/me")):
        assert "default-src 'none'" in answer.headers["content-security-policy"]
        assert answer.headers["x-content-type-options"] == "nosniff"
        assert answer.headers["cache-control"] == "no-store"
        assert "server" not in answer.headers
