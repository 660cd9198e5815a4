"""The verbs on a running daemon, from outside; what each answers and what it refuses."""

from __future__ import annotations

import asyncio
from collections.abc import Iterator, Mapping
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest

from dagsched.api.client import call
from dagsched.errors import Refused, Unknown
from dagsched.stores import open_store
from tests.daemon.served import Served, ask, rows

JOBS = """\
version: 1
pools: {narrow: 1}
jobs:
  first: {run: 'until [ -e go ]; do sleep 0.05; done', pool: narrow}
  second: {run: 'true', pool: narrow}
  extract: {run: 'true'}
  bad: {run: '[ -e fixed ]', depends_on: [extract]}
  last: {run: 'true', depends_on: [bad]}
  held: {run: 'until [ -e go ]; do sleep 0.05; done'}
  typed:
    run: echo "$DAGSCHED_PARAM_N"
    params:
      n: {type: integer, minimum: 1}
  listens:
    schedule: {event: arrived}
    run: echo "$DAGSCHED_EVENT $DAGSCHED_EVENT_DATA $DAGSCHED_PARAM_N" >> told
    params:
      n: {type: integer, minimum: 1, default: 7}
  follows: {run: 'echo "$DAGSCHED_EVENT_DATA" >> told', depends_on: [listens]}
"""


@pytest.fixture
def daemon(tmp_path: Path) -> Iterator[Served]:
    (tmp_path / "jobs.yaml").write_text(JOBS)
    with Served(tmp_path) as served:
        served.until_type("daemon.started")
        yield served


def do(daemon: Served, verb: str, **body: Any) -> Mapping[str, Any]:
    answer = asyncio.run(call(daemon.folder / ".dagsched", verb, body))
    assert answer is not None
    return answer


def history(daemon: Served) -> dict[str, str]:
    return {row["job"]: row["state"] for row in reversed(rows(ask(daemon.folder, "history", "--json")))}


def test_trigger_names_what_it_made_and_what_blocks_it(daemon: Served) -> None:
    answer = do(daemon, "trigger", job="bad", with_upstream=True)
    assert [name.split(":")[1] for name in answer["runs"]] == ["extract", "bad", "last"]
    assert "waits for upstream job:extract:" in answer["blocked"][0]


def test_trigger_in_the_middle_says_at_once_that_its_upstream_never_ran(daemon: Served) -> None:
    answer = do(daemon, "trigger", job="bad")
    assert "extract has never had a tick" in answer["blocked"][0]


def test_rerun_opens_again_what_the_failure_had_stopped(daemon: Served) -> None:
    do(daemon, "trigger", job="extract")
    failed = daemon.until_type("run.failed", "bad")
    daemon.until_type("run.upstream_failed", "last")
    (daemon.folder / "fixed").touch()
    do(daemon, "rerun", run=failed["run"])
    daemon.until_type("run.succeeded", "last")
    assert history(daemon) == {"extract": "success", "bad": "success", "last": "success"}


def test_rerun_of_a_run_below_a_bad_one_is_refused(daemon: Served) -> None:
    do(daemon, "trigger", job="extract")
    stopped = daemon.until_type("run.upstream_failed", "last")
    with pytest.raises(Refused, match=r"job:bad:.* is failed; run that again first"):
        do(daemon, "rerun", run=stopped["run"])


def test_cancel_ends_a_running_attempt(daemon: Served) -> None:
    run = do(daemon, "trigger", job="held")["runs"][0]
    daemon.until_type("run.started", "held")
    do(daemon, "cancel", run=run)
    daemon.until_type("run.cancelled", "held")
    with pytest.raises(Refused, match="is cancelled already"):
        do(daemon, "cancel", run=run)


def test_pause_and_resume_are_remembered_and_a_trigger_ignores_them(daemon: Served) -> None:
    do(daemon, "pause", job="extract")
    do(daemon, "trigger", job="extract")
    daemon.until_type("run.succeeded", "extract")
    do(daemon, "resume", job="extract")
    assert daemon.until_type("job.resumed")["job"] == "extract"


def test_ack_takes_a_failed_run_off_the_dead_letters(daemon: Served) -> None:
    do(daemon, "trigger", job="extract")
    failed = daemon.until_type("run.failed", "bad")
    do(daemon, "ack", run=failed["run"])
    daemon.until_type("run.acked", "bad")
    with pytest.raises(Refused, match="only a failed run"):
        do(daemon, "ack", run=failed["run"].replace(":bad:", ":extract:"))


@pytest.mark.parametrize(
    ("params", "words"),
    [({}, "needs a value for parameter 'n'"), ({"n": 0}, "less than the minimum"), ({"m": 1}, "no parameter 'm'")],
    ids=["missing", "out of range", "unknown"],
)
def test_trigger_refuses_parameters_that_do_not_fit(daemon: Served, params: dict[str, int], words: str) -> None:
    with pytest.raises(Refused, match=words):
        do(daemon, "trigger", job="typed", params=params)


def test_parameters_reach_the_command(daemon: Served) -> None:
    run = do(daemon, "trigger", job="typed", params={"n": 5})["runs"][0]
    daemon.until_type("run.succeeded", "typed")
    assert daemon.ask("logs", run) == "5\n"


def test_names_that_nobody_has_are_refused_with_the_nearest(daemon: Served) -> None:
    with pytest.raises(Unknown) as caught:
        do(daemon, "pause", job="extrct")
    assert caught.value.nearest == ("extract",)
    with pytest.raises(Refused, match="no run name"):
        do(daemon, "cancel", run="extract")
    with pytest.raises(Unknown):
        do(daemon, "rerun", run="job:extract:2020-01-01T00:00:00Z")
    with pytest.raises(Refused, match="there is no verb 'explode'"):
        do(daemon, "explode")


def test_status_tells_how_the_daemon_is(daemon: Served) -> None:
    status = do(daemon, "status")
    assert status["pid"] == daemon.process.pid
    assert (status["config"], status["problems"], status["health"]) == (1, [], "ok")


def test_why_names_the_one_condition_that_blocks(daemon: Served) -> None:
    do(daemon, "trigger", job="held")
    daemon.until_type("run.started", "held")
    do(daemon, "trigger", job="held")
    assert "max_active_runs 1 is reached" in daemon.ask("why", "held")
    (blocked,) = [words for run, words in do(daemon, "status")["blocked"].items() if run.startswith("job:held:")]
    assert blocked.startswith("max_active_runs 1 is reached")
    do(daemon, "trigger", job="held")
    of_each = {run: words for run, words in do(daemon, "status")["blocked"].items() if run.startswith("job:held:")}
    assert [words.startswith("max_active_runs 1 is reached") for words in of_each.values()] == [True, True]
    assert list(of_each) == sorted(of_each)
    assert "has no schedule" in daemon.ask("why", "bad", "2030-01-01T00:00:00Z")


@pytest.mark.parametrize(
    ("verb", "body", "words"),
    [
        ("trigger", {"job": "typed", "params": ["n"]}, "'params' is an object"),
        ("trigger", {"job": "extract", "only": "no"}, "'only' is true or false"),
        ("trigger", {"job": 7}, "needs 'job'"),
        ("rerun", {"run": "job:\ud800:2026-01-01T00:00:00Z"}, "no text"),
        ("cancel", {"run": "job:a:0001-01-01T00:00:00+10:00"}, "outside the years"),
    ],
    ids=["params as a list", "flag as text", "job as a number", "lone surrogate", "before the calendar"],
)
def test_bodies_of_the_wrong_type_are_refused(
    daemon: Served, verb: str, body: Mapping[str, Any], words: str
) -> None:
    with pytest.raises(Refused, match=words):
        do(daemon, verb, **body)


def test_nothing_in_the_inbox_keeps_a_daemon_from_starting(tmp_path: Path) -> None:
    (tmp_path / "jobs.yaml").write_text(JOBS)
    remembered = [
        ("trigger", {"job": ["extract"]}),
        ("cancel", {"run": "job:a:0001-01-01T00:00:00+10:00"}),
        ("stop", {}),
        ("explode", {}),
        ("trigger", {"job": "extract"}),
    ]

    async def post() -> None:
        store = open_store(tmp_path / ".dagsched")
        await store.open(write=True)
        for verb, body in remembered:
            await store.post(verb, body, datetime(2026, 1, 1, tzinfo=UTC))
        await store.close()

    asyncio.run(post())
    with Served(tmp_path) as served:
        served.until_type("run.succeeded", "extract")
        assert [event["type"] for event in served.seen].count("request.refused") == 4
    with Served(tmp_path) as served:
        served.until_type("daemon.started")
        do(served, "trigger", job="extract")
        served.until_type("run.succeeded", "extract")
        assert "request.refused" not in [event["type"] for event in served.seen]


def test_why_says_what_the_daemon_itself_would_say(daemon: Served) -> None:
    do(daemon, "trigger", job="first")
    daemon.until_type("run.started", "first")
    told = do(daemon, "trigger", job="second")["blocked"][0]
    assert "pool narrow has 0 of 1 slots free and it needs 1" in told
    assert "pool narrow has 0 of 1 slots free and it needs 1" in daemon.ask("why", "second")
    daemon.process.kill()
    daemon.process.wait()
    assert "nothing starts now: no daemon is running" in daemon.ask("why", "second")
    (daemon.folder / "go").touch()  # so that the spawner, which outlives the daemon, ends as well


def test_why_names_the_jitter_that_delays_a_run(tmp_path: Path) -> None:
    text = "jobs:\n  late: {schedule: {every: 2s}, overlap: queue, jitter: 1h, run: 'true'}\n"
    (tmp_path / "jobs.yaml").write_text(text)
    with Served(tmp_path) as served:
        first = served.until_type("run.created", "late")["run"]
        # Of the first, for the next one waits behind it, and on a slow machine may be there already.
        assert "its jitter ends at" in served.ask("why", first)


def test_why_knows_the_slots_of_the_daemon(tmp_path: Path) -> None:
    (tmp_path / "jobs.yaml").write_text(JOBS)
    with Served(tmp_path, "--slots", "1") as served:
        served.until_type("daemon.started")
        do(served, "trigger", job="held")
        served.until_type("run.started", "held")
        do(served, "trigger", job="extract")
        assert "the daemon has 1 slot, all taken" in served.ask("why", "extract")


def test_an_event_runs_those_who_listen_with_its_data(daemon: Served) -> None:
    answer = do(daemon, "emit", event="arrived", data={"n": "3", "file": "a b"})
    assert (answer["jobs"], answer["repeated"]) == (["listens"], False)
    assert [name.split(":")[1] for name in answer["runs"]] == ["listens", "follows"]
    daemon.until_type("run.succeeded", "follows")
    data = '{"n": "3", "file": "a b"}'
    assert (daemon.folder / "told").read_text() == f"arrived {data} 3\n{data}\n"


@pytest.mark.parametrize(
    ("body", "words"),
    [
        ({"data": {"n": 0}}, "parameter 'n' of listens: 0 is less than the minimum of 1"),
        ({"data": {"n": "many"}}, "parameter 'n' of listens: 'many' is not of type 'integer'"),
        ({"data": [1]}, "an object"),
        ({"data": {"x": "y" * 70_000}}, r"70,\d+ bytes as JSON; at most 65,536"),
        ({"event": "a b"}, "'a b' is no name of an event"),
        ({"event": ""}, "needs 'event'"),
        ({"id": 5}, "the id of an event is text"),
    ],
    ids=["below the minimum", "no number", "a list", "too much", "a bad name", "no name", "an id that is a number"],
)
def test_an_event_that_does_not_fit_makes_nothing(daemon: Served, body: Mapping[str, Any], words: str) -> None:
    with pytest.raises(Refused, match=words):
        do(daemon, "emit", **{"event": "arrived", **body})
    assert history(daemon) == {}
    assert not [row for row in rows(ask(daemon.folder, "events", "--json")) if row["type"].startswith("event.")]


def test_an_event_with_a_known_id_makes_nothing_also_after_a_restart(daemon: Served) -> None:
    assert do(daemon, "emit", event="arrived", id="a-1")["jobs"] == ["listens"]
    daemon.until_type("run.succeeded", "follows")
    daemon.__exit__(None, None, None)
    with Served(daemon.folder) as again:
        again.until_type("daemon.started")
        answer = do(again, "emit", event="arrived", id="a-1")
        assert (answer["repeated"], answer["runs"]) == (True, [])
        assert do(again, "emit", event="unheard")["jobs"] == []
