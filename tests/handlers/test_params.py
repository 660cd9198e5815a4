"""Parameters: what fits, how text is read, and what the work is told."""

from __future__ import annotations

import pytest

from dagsched.errors import Refused
from dagsched.handlers.params import (
    checked_params,
    event_of,
    params_env,
    params_from_event,
    params_of,
    shared_params,
    typed,
)
from dagsched.model import Job, Param, Run, RunState, utc


def job(id: str = "load", **params: dict) -> Job:
    return Job(id, params={name: Param(schema, schema.get("default")) for name, schema in params.items()})


@pytest.mark.parametrize(
    ("schema", "text", "value"),
    [
        ({"type": "string"}, "12", "12"),
        ({}, "12", "12"),
        ({"type": "integer"}, "12", 12),
        ({"type": "integer"}, "12.5", 12.5),
        ({"type": "number"}, "1e3", 1000.0),
        ({"type": "boolean"}, "true", True),
        ({"type": "boolean"}, "yes", "yes"),
        ({"type": "null"}, "null", None),
        ({"type": "array"}, "[1, 2]", [1, 2]),
        ({"type": "object"}, '{"a": 1}', {"a": 1}),
        ({"type": ["integer", "string"]}, "12", "12"),
        ({"type": ["integer", "null"]}, "12", 12),
    ],
)
def test_text_is_read_as_the_type_that_is_declared(schema, text, value):
    assert typed(text, Param(schema)) == value


@pytest.mark.parametrize(
    ("schema", "good", "bad"),
    [
        ({"type": "string", "pattern": "^[a-z]+$"}, "abc", "ABC"),
        ({"type": "string", "maxLength": 2}, "ab", "abc"),
        ({"type": "integer", "minimum": 1}, 1, 0),
        ({"type": "integer"}, 3, 3.5),
        ({"type": "number", "exclusiveMaximum": 1}, 0.5, 1),
        ({"type": "boolean"}, True, "true"),
        ({"type": "array", "items": {"type": "integer"}, "uniqueItems": True}, [1, 2], [1, 1]),
        ({"type": "object", "required": ["a"]}, {"a": 1}, {}),
        ({"enum": ["eu", "us"]}, "eu", "as"),
        ({"const": 5}, 5, 6),
        ({"anyOf": [{"type": "integer"}, {"type": "null"}]}, None, "x"),
        ({"type": "string"}, "x" * 65_536, "x" * 65_537),
        ({"type": "string"}, "line\nline", "nul\0"),
        ({"type": "string"}, "é", "\udcff"),
    ],
)
def test_values_fit_their_schema_and_an_environment(schema, good, bad):
    assert checked_params(job(p=schema), {"p": good}) == {"p": good}
    with pytest.raises(Refused, match="parameter 'p' of load"):
        checked_params(job(p=schema), {"p": bad})


def test_an_unknown_name_gets_the_nearest_one_and_a_missing_one_is_named():
    with pytest.raises(Refused, match="load has no parameter 'regoin'; did you mean 'region'"):
        checked_params(job(region={}), {"regoin": "eu"})
    with pytest.raises(Refused, match="load needs a value for parameter 'region': --param region="):
        checked_params(job(region={}), {})


def test_an_event_gives_what_a_job_declares_and_no_more():
    listener = job(n={"type": "integer"}, who={"type": "string", "default": "nobody"})
    assert params_from_event(listener, {"n": "3", "other": 1}) == {"n": 3}
    assert params_from_event(listener, {"n": 3, "who": "me"}) == {"n": 3, "who": "me"}
    with pytest.raises(Refused, match="do not fit parameter 'who' of load: 5 is not of type 'string'"):
        params_from_event(listener, {"n": 3, "who": 5})
    with pytest.raises(Refused, match="the data have no 'n', which load needs"):
        params_from_event(listener, {})


def test_jobs_that_run_together_take_what_each_declares():
    jobs = [job("a", n={"type": "integer"}), job("b", n={"type": "string"}), job("c")]
    assert shared_params(jobs, {"n": "3"}) == {"a": {"n": 3}, "b": {"n": "3"}}
    with pytest.raises(Refused, match="no job that is to run has a parameter 'm'"):
        shared_params(jobs, {"n": "3", "m": "1"})
    with pytest.raises(Refused, match="a needs a value for parameter 'n'"):
        shared_params(jobs, {})


def test_the_work_is_told_params_and_event_apart():
    declared = job(
        **{"max-rows": {"type": "integer", "default": 5}, "flag": {"default": True}, "text": {"default": "a\nb"}}
    )
    told = {"DAGSCHED_EVENT": "arrived", "DAGSCHED_EVENT_DATA": {"k": "v"}, "max-rows": 7}
    run = Run("load", utc(2026, 1, 1, ms=1), RunState.RUNNING, params=told)
    assert params_of(declared, run) == {"max-rows": 7, "flag": True, "text": "a\nb"}
    assert params_env(declared, run) == {
        "DAGSCHED_PARAM_MAX_ROWS": "7",
        "DAGSCHED_PARAM_FLAG": "true",
        "DAGSCHED_PARAM_TEXT": "a\nb",
        "DAGSCHED_EVENT": "arrived",
        "DAGSCHED_EVENT_DATA": '{"k": "v"}',
    }
    assert event_of(run) == {"name": "arrived", "data": {"k": "v"}}
