"""`dagsched worker` and `dagsched workers`: what they refuse, and what they list."""

from __future__ import annotations

import asyncio
import json

import pytest

from dagsched.stores.fleet import Waiting, WorkerRow
from tests.stores.make import at
from tests.stores.test_fleet import namespace

NOWHERE = "postgresql://nobody@127.0.0.1:1/none"


@pytest.mark.parametrize(
    ("words", "said"),
    [
        (["--store", NOWHERE], "--queues"),
        (["--store", NOWHERE, "--queues", ","], "--queues: name at least one queue"),
        (["--store", NOWHERE, "--queues", "a b"], "--queues 'a b': a name is at most 40 letters, digits"),
        (["--store", NOWHERE, "--queues", "q" * 41], "a name is at most 40"),
        (["--store", NOWHERE, "--queues", "local"], "--queues local: jobs of that queue are the scheduler's own"),
        (["--store", NOWHERE, "--queues", "a", "--labels", "gpu,-x"], "--labels '-x': a name is"),
        (["--store", NOWHERE, "--queues", "a", "--slots", "0"], "--slots 0 would do nothing"),
        (["--store", NOWHERE, "--queues", "a", "--grace", "30"], "30"),
        (["--store", "sqlite:", "--queues", "a"], "no shared store is named"),
        (["--store", NOWHERE, "--queues", "a,b", "--labels", "a,b,c,d,e,f,g,h,i,j"], "make 2,048 kinds of work"),
    ],
)
def test_a_worker_that_cannot_work_says_so(call, tmp_path, monkeypatch, words, said):
    monkeypatch.chdir(tmp_path)
    result = call("worker", *words)
    assert (result.code, said in result.err) == (2, True), result.err


def test_a_lease_that_leaves_no_time_is_refused(call, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("DAGSCHED_WORKER_LEASE", "5s")
    assert "5s leaves no time to end attempts; at least 12s" in call("worker", "--store", NOWHERE, "--queues", "a").err
    monkeypatch.setenv("DAGSCHED_WORKER_LEASE", "soon")
    assert "$DAGSCHED_WORKER_LEASE" in call("worker", "--store", NOWHERE, "--queues", "a").err


def test_workers_are_listed_with_what_they_have_and_what_waits(call, tmp_path, monkeypatch):
    async def main():
        async with namespace() as space:
            await space.hand_out("a")
            await (await space.crew("busy", labels=("gpu",))).take(1)
            await space.crew("idle", ("ml", "etl"), slots=2)
            await space.hand_out("b", labels=("gpu",))
            await space.hand_out("c", queue="nobody")
            await space.hand_out("d", queue="nobody")
            return space.address

    address = asyncio.run(main())
    monkeypatch.chdir(tmp_path)
    words = ["--state-dir", str(tmp_path), "--store", address.url, "--namespace", address.namespace]
    shown = call("workers", *words).out
    titles, busy, idle, *waiting = shown.splitlines()
    assert titles.split() == ["WORKER", "STATE", "RUNNING", "SLOTS", "QUEUES", "LABELS", "LAST", "HEARD", "VERSION"]
    assert busy.split()[:6] == ["busy", "ready", "1", "4", "etl", "gpu"]
    assert idle.split()[:6] == ["idle", "ready", "0", "2", "ml", "etl"]
    assert waiting[0].startswith("queue etl (gpu): 1 attempt waits, the first for ")
    assert "no worker serves it" not in waiting[0]
    assert waiting[1].startswith("queue nobody: 2 attempts wait, the first for ")
    assert waiting[1].endswith("; no worker serves it")
    first, second = map(json.loads, call("workers", "--json", *words).out.splitlines())
    assert (first["worker"], first["labels"], first["running"]) == ("busy", ["gpu"], 1)
    assert (second["worker"], second["queues"], second["slots"]) == ("idle", ["ml", "etl"], 2)


def test_rows_of_workers_come_back_over_http_as_they_went():
    row = WorkerRow("w", ["a"], ["gpu"], 4, 1, "0.1.0", at(), at(1), True, True)
    assert WorkerRow.of_json(row.as_json()) == row
    gone = row._replace(is_alive=False, is_draining=False)
    assert WorkerRow.of_json(gone.as_json()) == gone
    waiting = Waiting("a", ["gpu"], 3, at())
    assert Waiting.of_json(waiting.as_json()) == waiting
    assert not waiting.is_served_by(row)
    assert waiting.is_served_by(row._replace(is_draining=False))
    assert not waiting.is_served_by(row._replace(is_draining=False, labels=[]))
