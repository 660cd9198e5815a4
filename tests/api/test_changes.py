"""What can be changed over HTTP, and what is written down of it."""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor
from typing import Any

import pytest

from tests.api.caller import Caller, called, problem_of

HTTP_JOB = "handler: http  # a comment\nwith: {url: 'http://127.0.0.1:1/'}\n"
YAML = {"Content-Type": "application/yaml"}


def test_every_verb_does_over_http_what_it_does_on_the_command_line(caller: Caller) -> None:
    [name, after] = caller.post("/jobs/extract/trigger", {"params": {"day": "tue"}})["runs"]
    assert after.startswith("job:load:")
    assert caller.get(f"/runs/{name}")["params"] == {"day": "tue"}
    assert caller.post("/jobs/nightly/pause") == {"job": "nightly"}
    assert caller.get("/jobs/nightly")["state"] == "paused"
    caller.post("/jobs/nightly/resume")
    assert caller.get("/jobs/nightly")["paused"] is None
    failed = caller.run_once("broken", "run.failed")
    caller.post(f"/runs/{failed}/ack")
    assert caller.get(f"/runs/{failed}")["acknowledged"]
    caller.post(f"/runs/{failed}/rerun", {"downstream": False})
    caller.daemon.until(lambda event: event["run"] == failed and event["type"] == "run.failed", "the rerun")
    assert caller.get(f"/runs/{failed}")["attempts"] == 2
    [long] = caller.post("/jobs/long/trigger")["runs"]
    caller.daemon.until(lambda event: event["run"] == long and event["type"] == "run.started", "the start")
    caller.post(f"/runs/{long}/cancel")
    caller.daemon.until(lambda event: event["run"] == long and event["to"] == "cancelled", "the end")
    assert caller.post("/reload")["applied"] is False
    emitted = caller.post("/events/arrived", {"id": "one", "data": {"file": "x"}})
    assert (emitted["jobs"], len(emitted["runs"])) == (["listener"], 1)
    assert caller.post("/events/arrived", {"id": "one"})["repeated"]
    past = {"first": "2026-11-20T00:00:00Z", "last": "2026-11-21T00:00:00Z", "max_active": 1}
    filling = caller.post("/jobs/nightly/backfill", past)
    assert (filling["job"], filling["total"]) == ("nightly", 1)
    caller.daemon.until(lambda event: event["run"] == "job:nightly:2026-11-20T02:00:00Z", "the backfill")
    assert caller.post("/compact")["freed"] >= 0
    assert caller.post("/prune", {"before": "2020-01-01T00:00:00Z"}) == {"deleted": 0}


@pytest.mark.parametrize(
    ("path", "body", "status", "kind"),
    [
        ("/jobs/lod/trigger", {}, 404, "unknown"),
        ("/jobs/load/trigger", {"onli": True}, 400, "malformed"),
        ("/jobs/load/trigger", {"only": "yes"}, 400, "malformed"),
        ("/jobs/load/trigger", [], 400, "malformed"),
        ("/jobs/extract/trigger", {"params": {"nobody": 1}}, 409, "refused"),
        ("/runs/nonsense/cancel", {}, 404, "unknown"),
        ("/prune", {}, 400, "malformed"),
        ("/prune", {"before": "a very long time ago"}, 409, "refused"),
    ],
)
def test_what_cannot_be_done_is_told_as_a_problem(
    caller: Caller, path: str, body: object, status: int, kind: str
) -> None:
    problem_of(caller.root.post(f"/api/v1{path}", json=body), status, kind)


def test_a_body_is_json_and_says_so(caller: Caller) -> None:
    path = "/api/v1/jobs/nightly/trigger"
    problem_of(caller.root.post(path, content=b"only=true"), 415, "media-type")
    json_type = {"Content-Type": "application/json"}
    for nonsense in (b"{", b"\xff", b"NaN", b"[" * 100_000):
        problem_of(caller.root.post(path, content=nonsense, headers=json_type), 400, "malformed")


def test_changes_and_refusals_are_in_the_event_log(caller: Caller) -> None:
    caller.post("/jobs/nightly/pause")
    caller.root.post("/api/v1/jobs/load/trigger", json={"params": {"x": "secret"}})
    told = [row["reason"] for row in caller.get("/events?limit=1000")["items"] if row["type"] == "api.audit"]
    assert any(words.endswith("pause job=nightly") for words in told)
    assert any("trigger job=load: refused" in words for words in told)
    assert not any("secret" in words for words in told)
    caller.post("/jobs/nightly/resume")


# ---------------------------------------------------------------- registering


def test_a_job_is_registered_shown_run_exported_and_removed(caller: Caller) -> None:
    answer = caller.root.put("/api/v1/jobs/hook", content=HTTP_JOB, headers=YAML)
    assert (answer.status_code, answer.json()["created"]) == (201, True)
    assert caller.get("/jobs/hook")["source"] == "api"
    text = caller.root.get("/api/v1/jobs/hook/yaml").text
    assert "# a comment" in text
    assert caller.root.post("/api/v1/validate", content=text).json()["valid"]
    caller.run_once("hook", "run.failed")  # nobody listens there
    again = caller.root.put("/api/v1/jobs/hook", json={"handler": "http", "with": {"url": "http://127.0.0.1:2/"}})
    assert (again.status_code, again.json()["created"]) == (200, False)
    assert caller.get("/jobs/hook")["definition"]["with_"]["url"] == "http://127.0.0.1:2/"
    assert caller.root.delete("/api/v1/jobs/hook").status_code == 200
    assert caller.get("/jobs/hook")["removed"]
    problem_of(caller.root.delete("/api/v1/jobs/hook"), 404, "unknown")
    problem_of(caller.root.get("/api/v1/jobs/hook/yaml"), 404, "unknown")


def test_a_wrong_job_is_told_in_lines_of_its_own_text(caller: Caller) -> None:
    answer = caller.root.put("/api/v1/jobs/wrong", content=HTTP_JOB + "scheduel: '* * * * *'\n", headers=YAML)
    [found] = problem_of(answer, 422, "invalid-config")["problems"]
    assert (found["file"], found["line"], found["column"], found["code"]) == ("body", 3, 1, "E101")
    assert found["excerpt"] == "    3 | scheduel: '* * * * *'\n      | ^^^^^^^^"


def test_no_registered_job_takes_the_place_of_a_files_job(caller: Caller) -> None:
    answer = caller.root.put("/api/v1/jobs/load", content=HTTP_JOB, headers=YAML)
    assert "never takes a file's place" in problem_of(answer, 409, "refused")["detail"]
    problem_of(caller.root.delete("/api/v1/jobs/load"), 409, "refused")
    problem_of(caller.root.get("/api/v1/jobs/load/yaml"), 409, "refused")


@pytest.mark.parametrize(
    "text",
    [
        "run: echo hi\n",
        "run: [echo, hi]\n",
        "handler: python\nwith: {function: 'os:getpid'}\n",
        HTTP_JOB + "secrets: {HOME: 'env:HOME'}\n",
        "handler: compact\n",
        "run: [echo, '${{ a }}']\nmatrix: {a: [b]}\n",
    ],
    ids=["a command", "an argv", "python", "secrets", "a built-in", "in a matrix"],
)
def test_job_text_may_define_no_command(caller: Caller, text: str) -> None:
    answer = caller.root.put("/api/v1/jobs/evil", content=text, headers=YAML)
    assert "--allow-api-commands" in problem_of(answer, 409, "refused")["detail"]


@pytest.mark.parametrize(
    "text",
    [
        HTTP_JOB + "\u2028jobs: {}\n",
        HTTP_JOB + "\x85  evil: {run: id}\n",
        HTTP_JOB + "\rjobs: {evil: {run: id}}\n",
        HTTP_JOB + "\n  evil: {run: id}\n",
        HTTP_JOB + "---\njobs: {evil: {run: id}}\n",
        "*x",
        "",
        "&a [*a]",
        "[" * 1000,
    ],
)
def test_text_cannot_leave_the_place_of_its_job(caller: Caller, text: str) -> None:
    answer = caller.root.put("/api/v1/jobs/trick", content=text.encode(), headers=YAML)
    assert answer.status_code in (409, 422), answer.text
    assert "evil" not in {item["job"] for item in caller.get("/jobs")["items"]}
    problem_of(caller.root.get("/api/v1/jobs/trick/yaml"), 404, "unknown")


@pytest.mark.parametrize("id", ["..", "a%2fb", "%2e%2e%2fx", "a%00b", ".hidden", "a b", "x" * 300])
def test_no_id_leads_out_of_the_folder(caller: Caller, id: str) -> None:
    answer = caller.root.put(f"/api/v1/jobs/{id}", content=HTTP_JOB, headers=YAML)
    assert answer.status_code in (404, 405, 409), answer.text


def test_a_job_that_others_wait_for_cannot_be_removed(tmp_path) -> None:
    with called(tmp_path, "--allow-api-commands") as caller:
        assert caller.root.put("/api/v1/jobs/first", content="run: echo hi", headers=YAML).status_code == 201
        after = "run: echo ho\ndepends_on: [first]"
        assert caller.root.put("/api/v1/jobs/second", content=after, headers=YAML).status_code == 201
        answer = caller.root.delete("/api/v1/jobs/first")
        assert "first" in problem_of(answer, 422, "invalid-config")["problems"][0]["message"]
        assert caller.root.delete("/api/v1/jobs/second").status_code == 200
        assert caller.root.delete("/api/v1/jobs/first").status_code == 200


def test_a_matrix_can_be_registered_too(caller: Caller) -> None:
    text = HTTP_JOB.replace("1/'}", "1/${{ region }}'}") + "matrix: {region: [eu, us]}\n"
    answer = caller.root.put("/api/v1/jobs/ping", content=text, headers=YAML)
    assert answer.status_code == 201, answer.text
    made = [item["job"] for item in caller.get("/jobs")["items"] if item["source"] == "api"]
    assert len(made) == 2
    assert "matrix" in caller.root.get("/api/v1/jobs/ping/yaml").text
    assert caller.root.delete("/api/v1/jobs/ping").status_code == 200


def test_registered_jobs_outlive_the_daemon(tmp_path) -> None:
    with called(tmp_path) as caller:
        caller.root.put("/api/v1/jobs/hook", content=HTTP_JOB, headers=YAML)
    with called(tmp_path) as caller:
        assert caller.get("/jobs/hook")["source"] == "api"
        assert caller.root.delete("/api/v1/jobs/hook").status_code == 200
        assert caller.get("/config")["jobs"] == 6


# ---------------------------------------------------------------- asking again


def test_the_same_key_gets_the_same_answer_also_of_the_next_daemon(tmp_path) -> None:
    path, key = "/api/v1/jobs/extract/trigger", {"Idempotency-Key": "nightly load 2026-11-26"}
    with called(tmp_path) as caller:
        first = caller.root.post(path, headers=key, json={"params": {"day": "tue"}}).json()
        assert caller.root.post(path, headers=key, json={"params": {"day": "tue"}}).json() == first
        problem_of(caller.root.post(path, headers=key), 409, "refused")  # another question
        assert caller.root.post(path, headers={"Idempotency-Key": "other"}).json() != first
        caller.daemon.process.kill()
    with called(tmp_path) as caller:
        assert caller.root.post(path, headers=key, json={"params": {"day": "tue"}}).json() == first
        assert len(caller.get("/runs?job=extract")["items"]) == 2


def keyed(caller: Caller, path: str, key: str, body: object = None) -> Any:
    answer = caller.root.post(f"/api/v1{path}", headers={"Idempotency-Key": key}, json=body)
    assert answer.status_code == 200, answer.text
    return answer.json()


def test_an_event_a_backfill_and_a_rerun_with_a_key_are_done_once_also_by_the_next_daemon(tmp_path) -> None:
    week = {"first": "2026-11-02T00:00:00Z", "last": "2026-11-03T23:59:59Z", "max_active": 2}
    with called(tmp_path) as caller:
        broken = caller.run_once("broken", "run.failed")
        asked = (
            ("/events/arrived", {"data": {"n": 1}}),
            ("/jobs/nightly/backfill", week),
            (f"/runs/{broken}/rerun", None),
        )
        first = [keyed(caller, path, "k", body) for path, body in asked]
        caller.daemon.until(lambda event: event["run"] == broken and event["type"] == "run.failed", "its second end")
        assert [keyed(caller, path, "k", body) for path, body in asked] == first
        problem_of(caller.root.post("/api/v1/events/arrived", headers={"Idempotency-Key": "k"}), 409, "refused")
        assert keyed(caller, "/events/arrived", "other")["runs"] != first[0]["runs"]
        caller.daemon.process.kill()
    with called(tmp_path) as caller:
        assert [keyed(caller, path, "k", body) for path, body in asked] == first
        assert len(caller.get("/runs?job=listener")["items"]) == 2
        assert [each["id"] for each in caller.get("/backfills")["items"]] == [1]
        assert caller.get(f"/runs/{broken}")["attempts"] == 2


def test_a_change_with_a_key_is_not_done_again_when_it_was_taken_back(caller: Caller) -> None:
    first = keyed(caller, "/jobs/load/pause", "at noon")
    keyed(caller, "/jobs/load/resume", "at noon")  # a key is of one verb
    assert keyed(caller, "/jobs/load/pause", "at noon") == first == {"job": "load"}
    assert caller.get("/jobs/load")["paused"] is None
    name = caller.post("/jobs/long/trigger")["runs"][0]
    caller.daemon.until(lambda event: event["run"] == name and event["type"] == "run.started", "its start")
    assert keyed(caller, f"/runs/{name}/cancel", "k") == {"run": name}
    caller.daemon.until(lambda event: event["run"] == name and event["type"] == "run.cancelled", "its end")
    assert keyed(caller, f"/runs/{name}/cancel", "k") == {"run": name}
    problem_of(caller.root.post(f"/api/v1/runs/{name}/cancel"), 409, "refused")


def test_what_a_dry_run_has_told_keeps_nobody_from_the_real_one(caller: Caller) -> None:
    day = {"first": "2026-10-02T00:00:00Z", "last": "2026-10-02T23:59:59Z", "max_active": 1}
    assert keyed(caller, "/jobs/nightly/backfill", "k", {**day, "dry_run": True})["id"] is None
    assert keyed(caller, "/jobs/nightly/backfill", "k", day)["id"] is not None


def test_many_who_ask_at_once_with_one_key_have_it_done_once(caller: Caller) -> None:
    def manual() -> int:
        # Runs of a backfill that another test has asked for may still be coming.
        return sum(row["trigger"] == "manual" for row in caller.get("/runs?job=nightly")["items"])

    before = manual()

    def ask(_: int) -> object:
        return caller.root.post("/api/v1/jobs/nightly/trigger", headers={"Idempotency-Key": "once"}).json()

    with ThreadPoolExecutor(8) as pool:
        answers = list(pool.map(ask, range(24)))
    assert all(answer == answers[0] for answer in answers)
    assert manual() == before + 1


@pytest.mark.parametrize("key", ["", "x" * 201, "tab\there"])
def test_a_key_is_a_word(caller: Caller, key: str) -> None:
    answer = caller.root.post("/api/v1/jobs/nightly/trigger", headers={"Idempotency-Key": key})
    problem_of(answer, 400, "malformed")
