"""The OpenAPI document says what is served, and nothing that fits it makes the server fail.

The run of schemathesis is short; DAGSCHED_API_EXAMPLES sets how many requests of each route are tried.
"""

from __future__ import annotations

import copy
import os
import re
from collections.abc import Iterator
from itertools import count
from pathlib import Path
from typing import Any

import httpx
import pytest

from dagsched import control
from dagsched.api.openapi import written
from dagsched.api.routes import ROUTES
from dagsched.api.verbs import VERBS
from dagsched.config import schema
from tests.api.caller import Caller, bearer, called

EXAMPLES = int(os.environ.get("DAGSCHED_API_EXAMPLES", "6"))
JOBS = """\
version: 1
jobs:
  extract: {run: 'echo one', params: {day: {type: string, default: mon}}}
  load: {depends_on: [extract], run: 'true'}
"""


def test_the_document_names_every_route_and_role() -> None:
    paths = written()["paths"]
    assert {(method.upper(), path) for path, methods in paths.items() for method in methods} == {
        (route.method, route.path) for route in ROUTES
    }
    for route in ROUTES:
        operation = paths[route.path][route.method.lower()]
        assert (operation["security"] == []) == (route.role is None)
        assert {each["name"] for each in operation["parameters"] if each["in"] == "path"} == set(
            re.findall(r"{(\w+)}", route.path)
        )
    ids = [operation["operationId"] for methods in paths.values() for operation in methods.values()]
    assert len(ids) == len(set(ids))


# Those that only this machine's own processes use, or that have a route of another shape.
OTHERWISE = {"call", "outcome", "audit", "status", "why", "register", "unregister"}


def test_every_verb_of_the_daemon_can_be_asked_for_over_http() -> None:
    """A new verb is a line in `api/verbs.py`, or named here as one that is not for people elsewhere."""
    assert {verb.name for verb in VERBS} == set(control._VERBS) - OTHERWISE


def test_what_is_one_commit_of_the_daemon_takes_an_idempotency_key() -> None:
    assert {verb.name for verb in VERBS if verb.keyed} == set(control.REMEMBERED)


def test_every_route_is_on_the_page_that_people_read() -> None:
    """By the end of its path, for those of one thing stand together there: `/jobs/{job}/pause`, `/resume`."""
    docs = Path(__file__).parents[2] / "docs"
    said = (docs / "api.md").read_text() + (docs / "security.md").read_text()
    paths = {route.path.removeprefix("/api/v1") for route in ROUTES}
    ends = {path if path.endswith("}") else path[path.rindex("/") :] for path in paths}
    assert {end for end in ends if f"{end}`" not in said} == set()


def test_a_job_is_described_by_the_one_schema() -> None:
    components = written()["components"]["schemas"]
    assert components["job"]["properties"].keys() == schema()["$defs"]["job"]["properties"].keys()
    assert "#/$defs/" not in str(written())


def test_it_is_served_to_everybody(caller: Caller) -> None:
    assert httpx.get(f"{caller.url}/api/v1/openapi.json").json() == written()


# ---------------------------------------------------------------- whatever fits it, and much that does not


@pytest.fixture(scope="module")
def tried(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Caller]:
    with called(tmp_path_factory.mktemp("tried"), jobs=JOBS) as caller:
        caller.run_once("extract")
        yield caller
        assert "Traceback" not in (caller.daemon.folder / "stderr").read_text()


# A stream never ends, and without its daemon a server answers nothing.
LEFT_OUT = {"/api/v1/events/stream", "/api/v1/stop"}


@pytest.mark.parametrize(
    "path", sorted({route.path for route in ROUTES if route.path not in LEFT_OUT}), ids=lambda path: path or "/"
)
def test_no_request_makes_the_server_fail(tried: Caller, path: str) -> None:
    schemathesis = pytest.importorskip("schemathesis")
    from hypothesis import HealthCheck, Phase, given, settings

    names = {"event": "arrived", "job": "extract", "run": tried.get("/runs?job=extract")["items"][-1]["run"]}
    turns = count()
    document = schemathesis.openapi.from_dict({**without_conditions(), "servers": [{"url": tried.url}]})
    for operation in document[path].values():

        @given(case=operation.as_strategy())
        @settings(
            max_examples=EXAMPLES,
            deadline=None,
            database=None,
            derandomize="DAGSCHED_API_EXAMPLES" not in os.environ,
            phases=[Phase.generate],
            suppress_health_check=list(HealthCheck),
        )
        def send(case: Any) -> None:
            # Made-up names are not known, and what is behind a known one is to be tried as well.
            if next(turns) % 2:
                case.path_parameters = {name: names[name] for name in case.path_parameters or {}}
            answer = case.call(base_url=tried.url, headers=bearer(tried.token), timeout=30)
            assert answer.status_code < 500, f"{case.method} {path}: {answer.status_code} {answer.text}"
            if answer.status_code >= 400:
                assert answer.headers["content-type"] == ["application/problem+json"]
            case.validate_response(answer, checks=_checks())

        send()


def without_conditions() -> dict[str, Any]:
    """Return the document with a wider schema of jobs: nothing can be made up that fits all its conditions."""
    document = copy.deepcopy(dict(written()))
    job = document["components"]["schemas"]["job"]
    for condition in ("allOf", "dependentRequired"):
        del job[condition]
    return document


def _checks() -> list[object]:
    from schemathesis.specs.openapi import checks

    return [
        checks.status_code_conformance,
        checks.content_type_conformance,
        checks.response_schema_conformance,
    ]
