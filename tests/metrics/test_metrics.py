"""Figures for Prometheus, read back by its own parser."""

from __future__ import annotations

import asyncio
import re
import subprocess
import sys
from datetime import timedelta
from pathlib import Path

import pytest
from prometheus_client.parser import text_string_to_metric_families

from dagsched.cli.metrics import replace
from dagsched.metrics import Exporter, metrics_text
from dagsched.metrics.buckets import Buckets
from dagsched.metrics.exporter import JOBS_MAX
from dagsched.metrics.meter import Meter
from dagsched.model import ConfigVersion, EventRow, JobMark, Run, RunState, utc
from dagsched.stores import MemoryStore
from dagsched.stores.contract import Batch
from tests.daemon.served import Served

PAGE = Path(__file__).parents[2] / "docs" / "metrics.md"
NOW = utc(2026, 11, 23, 14)
SECOND = timedelta(seconds=1)
JOBS = """\
pools: {db: 4}
jobs:
  a: {run: x, pool: db, slots: 3}
  b: {run: x, enabled: false}
  c: {run: x}
"""
STATUS = {
    "since": "2026-11-23T10:00:00Z", "health": "ok", "slots": 8,
    "problems": [{"severity": "error"}, {"severity": "warning"}],
    "commits": {"bounds_s": [0.001, 0.01], "counts": [5, 2, 1], "sum_s": 0.5},
}  # fmt: skip


def run(job: str, state: RunState, after_s: int = 0) -> Run:
    tick = NOW + after_s * SECOND
    return Run(job, tick, state, started=tick, ended=tick + SECOND if state.is_terminal else None)


BATCH = Batch(
    runs=[run("a", RunState.SUCCESS), run("a", RunState.FAILED, 10), run("a", RunState.RUNNING, 20),
          run("c", RunState.SKIPPED)],
    marks=[JobMark("c", NOW, paused=NOW)],
    config=ConfigVersion(7, NOW, "d", {"/srv/jobs.yaml": JOBS}),
    events=[
        EventRow(1, NOW, "run.created", "a", NOW, None, "", "queued"),
        EventRow(2, NOW + 2 * SECOND, "run.started", "a", NOW, 1, "queued", "running"),
        EventRow(3, NOW + 5 * SECOND, "run.retrying", "a", NOW, 1, "running", "retrying"),
        EventRow(4, NOW + 8 * SECOND, "run.started", "a", NOW, 2, "retrying", "running"),
        EventRow(5, NOW + 9 * SECOND, "run.succeeded", "a", NOW, 2, "running", "success"),
        EventRow(6, NOW + 9 * SECOND, "run.acked", "a", NOW, None, "success", "success"),
    ],
)  # fmt: skip


async def opened(*batches: Batch) -> MemoryStore:
    store = MemoryStore()
    await store.open(write=True)
    await store.acquire("a test")
    for batch in batches:
        await store.commit(batch)
    return store


def figures(text: bytes) -> dict[str, float]:
    """Return name and labels → value, as Prometheus' own parser reads them."""
    found = {}
    for family in text_string_to_metric_families(text.decode()):
        assert family.documentation, family.name
        for sample in family.samples:
            labels = ",".join(f"{key}={value}" for key, value in sorted(sample.labels.items()))
            found[f"{sample.name}{{{labels}}}" if labels else sample.name] = sample.value
    return found


def read(*batches: Batch, status=STATUS, notices=None) -> dict[str, float]:
    async def body() -> bytes:
        return await metrics_text(await opened(*batches), status, NOW, notices or {})

    return figures(asyncio.run(body()))


def test_the_state_and_the_daemon_are_told():
    found = read(BATCH, notices={"failed": 2})
    wanted = {
        "dagsched_up": 1, "dagsched_state_writable": 1, "dagsched_slots": 8, "dagsched_config_version": 7,
        "dagsched_start_time_seconds": utc(2026, 11, 23, 10).timestamp(),
        "dagsched_config_problems{severity=error}": 1, "dagsched_config_problems{severity=warning}": 1,
        "dagsched_jobs{state=enabled}": 1, "dagsched_jobs{state=disabled}": 1, "dagsched_jobs{state=paused}": 1,
        "dagsched_runs{job=a,state=success}": 1, "dagsched_runs{job=a,state=running}": 1,
        "dagsched_runs{job=c,state=skipped}": 1,
        "dagsched_last_success_timestamp_seconds{job=a}": (NOW + SECOND).timestamp(),
        "dagsched_last_failure_timestamp_seconds{job=a}": (NOW + 11 * SECOND).timestamp(),
        "dagsched_attempts_running": 1, "dagsched_pool_slots{pool=db}": 4, "dagsched_pool_slots_used{pool=db}": 3,
        "dagsched_events_recorded_total": 6, "dagsched_events_total{type=run.started}": 2,
        "dagsched_runs_ended_total{state=success}": 1, "dagsched_attempts_ended_total{outcome=success}": 1,
        "dagsched_attempts_ended_total{outcome=failure}": 1, "dagsched_notifications{state=failed}": 2,
        "dagsched_commit_duration_seconds_bucket{le=0.01}": 7, "dagsched_commit_duration_seconds_count": 8,
        "dagsched_commit_duration_seconds_sum": 0.5,
        "dagsched_schedule_lag_seconds_sum": 2, "dagsched_schedule_lag_seconds_count": 1,
        "dagsched_queue_wait_seconds_sum": 2, "dagsched_queue_wait_seconds_count": 1,
        "dagsched_attempt_duration_seconds_sum": 4, "dagsched_attempt_duration_seconds_count": 2,
    }  # fmt: skip
    assert {name: found.get(name) for name in wanted} == wanted


def test_without_a_daemon_it_is_down_and_the_state_is_told_all_the_same():
    found = read(BATCH, status=None)
    assert (found["dagsched_up"], found["dagsched_runs{job=a,state=success}"]) == (0, 1)
    assert "dagsched_state_writable" not in found


def test_a_state_that_has_nothing_yet_has_figures_too():
    assert read()["dagsched_events_recorded_total"] == 0


def test_labels_are_bounded_whatever_there_are_of_jobs():
    many = Batch(runs=[run(f"job-{number:04}", RunState.SUCCESS, number) for number in range(JOBS_MAX + 50)])
    found = read(many)
    runs = {name: value for name, value in found.items() if name.startswith("dagsched_runs{")}
    assert (len(runs), sum(runs.values()), runs["dagsched_runs{job=other,state=success}"]) == (JOBS_MAX + 1, 250, 50)
    newest = (NOW + (JOBS_MAX + 50) * SECOND).timestamp()
    assert found["dagsched_last_success_timestamp_seconds{job=other}"] == newest


def test_who_answers_again_counts_each_event_once():
    async def body() -> list[dict[str, float]]:
        store = await opened(BATCH)
        exporter, found = Exporter(store), []
        for seq in (7, 8):
            found.append(figures(await exporter.text(None, NOW)))
            event = EventRow(seq, NOW, "run.started", "a", NOW + 20 * SECOND, 1, "queued", "running")
            await store.commit(Batch(events=[event]))
        return found

    first, second = asyncio.run(body())
    name = "dagsched_events_total{type=run.started}"
    assert (first[name], second[name]) == (2, 3)
    grown = [key for key in first if key.endswith(("_total", "_count")) and second[key] < first[key]]
    assert grown == []


def test_a_run_that_never_starts_is_forgotten():
    meter = Meter(0)
    meter.take([
        EventRow(1, NOW, "run.queued", "a", NOW, None, "waiting", "queued"),
        EventRow(2, NOW, "run.skipped", "a", NOW, None, "queued", "skipped"),
    ])  # fmt: skip
    assert meter._queued == {}
    assert meter.ended == {"skipped": 1}


def test_a_clock_that_was_set_back_makes_no_negative_length():
    buckets = Buckets((1.0,))
    buckets.add(-5)
    assert (buckets.cumulative(), buckets.sum_s) == ([("1.0", 1.0), ("+Inf", 1.0)], 0.0)


def test_every_figure_is_on_the_page():
    text = PAGE.read_text()
    names = {re.split(r"[{ ]", name)[0] for name in read(BATCH, notices={"failed": 1})}
    families = {re.sub(r"_(bucket|count|sum|total)$", "", name) for name in names}
    assert [name for name in sorted(families) if f"`{name}" not in text] == []


def test_a_file_is_replaced_whole(tmp_path):
    file = tmp_path / "dagsched.prom"
    for text in (b"one\n", b"two\n"):
        replace(file, text)
        assert file.read_bytes() == text
    assert (file.stat().st_mode & 0o777, [each.name for each in tmp_path.iterdir()]) == (0o644, ["dagsched.prom"])


def test_a_missing_library_is_named(monkeypatch):
    monkeypatch.setitem(sys.modules, "prometheus_client", None)
    from dagsched.errors import UsageError

    with pytest.raises(UsageError, match=r"dagsched\[metrics\]"):
        read(BATCH)


def test_a_running_daemon_tells_its_commits(tmp_path):
    (tmp_path / "jobs.yaml").write_text("jobs: {a: {run: 'true'}}\n")
    with Served(tmp_path) as daemon:
        daemon.until_type("daemon.started")
        daemon.ask("trigger", "a")
        daemon.until_type("run.succeeded", "a")
        found = figures(daemon.ask("metrics").encode())
        daemon.ask("metrics", "--textfile", "out.prom")
    assert found["dagsched_up"] == 1
    assert found["dagsched_commit_duration_seconds_count"] > 2
    assert found["dagsched_runs{job=a,state=success}"] == 1
    assert figures((tmp_path / "out.prom").read_bytes())["dagsched_up"] == 1


LIBRARIES = ("httpx", "aiosmtplib", "prometheus_client", "opentelemetry", "email.mime", "dagsched.notifiers")


def test_a_daemon_that_tells_nobody_loads_none_of_it():
    code = f"""
import sys
import dagsched.daemon, dagsched.api
print([name for name in {LIBRARIES!r} if name in sys.modules])
"""
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "[]"
