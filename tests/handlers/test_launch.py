"""A job, a run and an attempt number become a start order."""

import json
import os
import re
import sys
from datetime import timedelta

import pytest

from dagsched.errors import HandlerError
from dagsched.handlers import launch, log_path, traceparent
from dagsched.model import Job, Param, Run, RunState, utc

TICK = utc(2026, 11, 23, 14)
RUN = Run("weekly-report", TICK, RunState.QUEUED)
JOB = Job("weekly-report", run="./report.sh", timezone="America/New_York")


def test_attempt_is_told_who_it_is():
    env = launch(JOB, RUN, 2, env={}).env
    assert {name: env[name] for name in env if name != "TRACEPARENT"} == {
        "DAGSCHED_JOB": "weekly-report",
        "DAGSCHED_RUN": "job:weekly-report:2026-11-23T14:00:00Z",
        "DAGSCHED_TICK": "2026-11-23T14:00:00Z",
        "DAGSCHED_TICK_LOCAL": "2026-11-23T09:00:00-05:00",
        "DAGSCHED_ATTEMPT": "2",
    }


def test_local_tick_of_a_job_without_time_zone_is_utc():
    env = launch(JOB._replace(timezone="UTC"), RUN._replace(tick=utc(2026, 1, 2, 3, ms=45)), 1, env={}).env
    assert env["DAGSCHED_TICK_LOCAL"] == "2026-01-02T03:00:00.045+00:00"


def test_trace_is_the_runs_and_span_the_attempts():
    first, second = (traceparent(RUN.name, attempt).split("-") for attempt in (1, 2))
    assert first[1] == second[1]
    assert first[2] != second[2]
    assert re.fullmatch(r"00-[0-9a-f]{32}-[0-9a-f]{16}-01", "-".join(first))
    assert launch(JOB, RUN, 1, env={}).env["TRACEPARENT"] == "-".join(first)
    assert traceparent("job:other:2026-11-23T14:00:00Z", 1).split("-")[1] != first[1]


def test_params_reach_the_command_as_environment_variables():
    job = JOB._replace(params={"max-rows": Param({}, 10), "who": Param({}), "dry": Param({}, False)})
    env = launch(job, RUN._replace(params={"who": "$HOME; rm", "max-rows": 7}), 1, env={}).env
    assert {name: value for name, value in env.items() if "PARAM" in name} == {
        "DAGSCHED_PARAM_MAX_ROWS": "7",
        "DAGSCHED_PARAM_WHO": "$HOME; rm",
        "DAGSCHED_PARAM_DRY": "false",
    }


def test_the_jobs_own_env_has_the_last_word():
    env = launch(JOB, RUN, 1, env={"ROWS": "12", "TRACEPARENT": "mine"}).env
    assert (env["ROWS"], env["TRACEPARENT"]) == ("12", "mine")


@pytest.mark.parametrize(
    ("parts", "argv"),
    [
        pytest.param({"run": "./report.sh now"}, ("./report.sh", "now"), id="plain text"),
        pytest.param({"run": "a | b"}, ("sh", "-c", "a | b"), id="shell text"),
        pytest.param({"run": "a | b", "shell": "bash -e"}, ("bash", "-e", "-c", "a | b"), id="shell of its own"),
        pytest.param({"run": ("a b", "$c")}, ("a b", "$c"), id="list"),
        pytest.param(
            {"run": None, "handler": "http"}, (sys.executable, "-m", "dagsched.handlers.child", "http"), id="handler"
        ),
    ],
)
def test_what_is_executed(parts, argv):
    assert launch(JOB._replace(**parts), RUN, 1, env={}).argv == argv


@pytest.mark.parametrize("run", [None, ()])
def test_job_with_nothing_to_run_is_refused(run):
    with pytest.raises(HandlerError, match="'weekly-report' has nothing to run"):
        launch(JOB._replace(run=run), RUN, 1, env={})


def test_limits_places_and_identity_are_passed_on():
    made = launch(JOB._replace(timeout=timedelta(minutes=5), cwd="work", user="daemon"), RUN, 3, env={}, grace_s=2)
    assert (made.timeout_s, made.grace_s, made.cwd, made.user) == (300.0, 2, "work", "daemon")
    assert made.log == "logs/weekly-report/2026-11-23T14:00:00Z.3.log" == log_path(RUN, 3)
    assert launch(JOB, RUN, 1, env={}).timeout_s is None


def test_two_attempts_never_share_a_place_for_outputs_and_its_name_is_short():
    long = JOB._replace(id="x" * 250)
    places = {launch(JOB, RUN, 1, env={}).output, launch(JOB, RUN, 2, env={}).output}
    places.add(launch(long, RUN._replace(job=long.id), 1, env={}).output)
    assert len(places) == 3
    assert all(len(os.path.basename(each)) < 40 for each in places)


def test_handler_gets_its_context_on_stdin_and_a_command_gets_nothing():
    job = JOB._replace(
        run=None, handler="http", with_={"url": "http://x", "json": {"a": [1, None]}}, params={"n": Param({}, 1)}
    )
    assert json.loads(launch(job, RUN, 2, env={"A": "b"}).stdin) == {
        "job": "weekly-report",
        "run": RUN.name,
        "tick": "2026-11-23T14:00:00Z",
        "attempt": 2,
        "with": {"url": "http://x", "json": {"a": [1, None]}},
        "params": {"n": 1},
        "env": {"A": "b"},
    }
    assert launch(JOB, RUN, 1, env={}).stdin is None


def test_a_start_order_that_is_printed_shows_no_environment():
    order = launch(JOB, RUN, 1, env={"TOKEN": "s3cret"})
    assert order.env["TOKEN"] == "s3cret"
    assert RUN.name in repr(order)
    assert "s3cret" not in repr(order)
