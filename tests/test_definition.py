"""A job as JSON and back, and its hash."""

import json
from datetime import UTC, datetime, timedelta
from types import MappingProxyType

import pytest
from hypothesis import given
from hypothesis import strategies as st

from dagsched.definition import digest, from_json, to_json
from dagsched.model import (
    Backoff,
    Catchup,
    Dependency,
    Job,
    Keep,
    Match,
    NotifyRule,
    OnCrash,
    OutputRef,
    Overlap,
    Param,
    Position,
    RateLimit,
    RetryPolicy,
    Schedule,
    TriggerRule,
    Window,
)

FULL = Job(
    "weekly",
    schedule=Schedule(
        cron=("0 9 * * mon", "0 10 * * tue"), timezone="Europe/Berlin", start=datetime(2026, 1, 1, tzinfo=UTC),
        end=datetime(2027, 1, 1, tzinfo=UTC), max_runs=3, gap="skip", fold="both", days="all",
    ),
    depends_on=(Dependency("a", Match.ALL), Dependency("b")), trigger_rule=TriggerRule.ONE_FAILED,
    when="local.day == 1",
    run=("python", "x.py"), with_=MappingProxyType({"url": "https://x", "json": {"n": [1, 2]}}),
    env=MappingProxyType({"A": "1", "ROWS": OutputRef("a", "rows", "0")}),
    params=MappingProxyType({"day": Param({"type": "string"}, "mon")}),
    cwd="/srv", shell="bash", user="ops",
    retry=RetryPolicy(5, Backoff.EXPONENTIAL, timedelta(seconds=2), 3.0, timedelta(minutes=10), timedelta(seconds=1),
                      ("timed_out", 75)),
    timeout=timedelta(hours=1), deadline=timedelta(hours=2), catchup=Catchup.ALL,
    catchup_window=timedelta(days=1), overlap=Overlap.QUEUE,
    max_active_runs=2, max_queued=7, pool="p", slots=2, priority=-7,
    rate_limit=RateLimit(10, timedelta(minutes=1)),
    window=(Window("22:00", "06:00", ("mon", "sat"), "skip"), Window("09:00", "24:00", outside="skip")),
    calendar=("bank", "mine"),
    jitter=timedelta(minutes=3), on_crash=OnCrash.FAIL,
    enabled=False, keep=Keep(90, 1000), description="d", tags=("x", "y"), owner="me",
    notify=(NotifyRule(("failure",), ("ops",)),), position=Position("jobs.yaml", 3, 5),
)  # fmt: skip


@pytest.mark.parametrize(
    "job",
    [
        FULL,
        Job("a", run="true"),
        Job("b", schedule=Schedule(every=timedelta(minutes=15))),
        Job("c", schedule=Schedule(at=datetime(2026, 12, 24, 18))),
        Job("d", schedule=Schedule(at=datetime(2026, 12, 24, 18, tzinfo=UTC)), max_active_runs=None),
    ],
    ids=lambda job: job.id,
)
def test_a_job_comes_back_from_json_as_it_was(job):
    back = from_json(json.loads(json.dumps(to_json(job))))
    assert back == job
    assert back.position == job.position
    assert digest(back) == digest(job)


def test_defaults_are_left_out():
    assert to_json(Job("a", run="true")) == {"id": "a", "run": "true"}


def test_the_hash_does_not_depend_on_where_the_job_stands():
    assert digest(Job("a", position=Position("x", 1))) == digest(Job("a", position=Position("y", 9)))


@pytest.mark.parametrize(
    "other",
    [
        Job("a", run="false"), Job("a", run=("true",)), Job("b", run="true"), Job("a", run="true", slots=2),
        Job("a", run="true", env=MappingProxyType({"A": "1"})), Job("a", run="true", enabled=False),
    ],
)  # fmt: skip
def test_the_hash_changes_with_anything_the_job_says(other):
    assert digest(other) != digest(Job("a", run="true"))


@given(st.integers(0, 10**12))
def test_lengths_keep_their_milliseconds(ms):
    job = Job("a", timeout=timedelta(milliseconds=ms))
    assert from_json(to_json(job)).timeout == job.timeout


def test_what_is_no_job_is_refused():
    with pytest.raises(ValueError, match="sideways"):
        from_json({"id": "a", "overlap": "sideways"})
