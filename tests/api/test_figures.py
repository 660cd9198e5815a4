"""`/metrics`, read by the parser of Prometheus' own library."""

from __future__ import annotations

import asyncio
from pathlib import Path
from typing import Any

import httpx
import pytest
from prometheus_client.parser import text_string_to_metric_families

from dagsched.api.app import make_app
from dagsched.api.desk import Desk
from dagsched.errors import UsageError
from dagsched.stores import open_store
from tests.api.caller import Caller, problem_of


def figures(caller: Caller) -> dict[tuple[str, str], float]:
    """Return the figures that have no label, or only a job's state and name, by name and value of the labels."""
    answer = caller.root.get("/metrics")
    assert answer.status_code == 200, answer.text
    assert answer.headers["content-type"] == "text/plain; version=0.0.4; charset=utf-8"
    return {
        (sample.name, " ".join(str(value) for value in sample.labels.values())): sample.value
        for family in text_string_to_metric_families(answer.text)
        for sample in family.samples
    }


def test_figures_go_on_from_the_answer_before(caller: Caller) -> None:
    before = figures(caller)
    caller.run_once("nightly")  # nothing waits for it
    after = figures(caller)
    assert after["dagsched_up", ""] == 1
    assert after["dagsched_runs", "nightly success"] == before.get(("dagsched_runs", "nightly success"), 0) + 1
    ended = ("dagsched_runs_ended_total", "success")
    assert after[ended] == before.get(ended, 0) + 1
    assert after["dagsched_last_success_timestamp_seconds", "nightly"] > 0


def test_figures_are_for_who_may_look(caller: Caller) -> None:
    with httpx.Client(base_url=caller.url, timeout=20) as nobody:
        problem_of(nobody.get("/metrics"), 401, "unauthenticated")
    with caller.client("viewer") as viewer:
        assert viewer.get("/metrics").status_code == 200
    assert caller.local.get("/metrics").status_code == 200


def test_without_the_library_it_says_so(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def missing() -> None:
        raise UsageError("metrics need prometheus-client; pip install 'dagsched[metrics]'")

    monkeypatch.setattr("dagsched.metrics.exporter._require_library", missing)

    async def body() -> httpx.Response:
        store = open_store(tmp_path)
        await store.open(write=True)
        await store.close()
        desk = Desk(tmp_path, has_auth=False)
        await desk.open()
        try:
            app = make_app(desk)

            async def served(scope: Any, receive: Any, send: Any) -> None:
                await app({**scope, "state": {"is_local": True}}, receive, send)

            transport = httpx.ASGITransport(served)
            async with httpx.AsyncClient(transport=transport, base_url="http://127.0.0.1") as client:
                return await client.get("/metrics")
        finally:
            await desk.close()

    found = problem_of(asyncio.run(body()), 503, "unavailable")
    assert "dagsched[metrics]" in found["detail"]
