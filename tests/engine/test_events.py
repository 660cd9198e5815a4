"""Schedules on events: one emission makes one tick, now, for all that listen and for what stands below them."""

from __future__ import annotations

from datetime import timedelta

from dagsched.engine import events
from dagsched.model import Origin, Schedule, is_schedule_tick, utc
from tests.engine.bench_of_one import START, Bench, job


def on(id: str, *names: str, **fields):
    bounds = {key: fields.pop(key) for key in ("start", "end", "max_runs") if key in fields}
    return job(id, schedule=Schedule(event=names or ("arrived",), **bounds), **fields)


def emit(bench: Bench, event: str = "arrived", **fields) -> None:
    bench.apply(events.EventEmitted(bench.now, event, **fields))


def test_an_event_makes_one_tick_for_all_that_listen_and_for_what_is_below_them():
    bench = Bench(on("load"), on("audit", "arrived", "corrected"), on("other", "left"), job("report after load audit"))
    emit(bench, data={"file": "a.csv"})
    assert set(bench.states()) == {"load", "audit", "report"}
    ticks = {bench.row(id).tick for id in ("load", "audit", "report")}
    assert len(ticks) == 1
    assert not is_schedule_tick(ticks.pop())
    assert [bench.row(id).origin for id in ("load", "report")] == [Origin.EVENT, Origin.UPSTREAM]
    bench.run_to_end()
    assert bench.states() == {"load": "success", "audit": "success", "report": "success"}


def test_every_run_of_the_event_is_told_its_name_and_data_and_listeners_their_params():
    bench = Bench(on("load"), job("report after load"))
    emit(bench, data={"n": 3}, params={"load": {"n": 3}})
    told = {"DAGSCHED_EVENT": "arrived", "DAGSCHED_EVENT_DATA": {"n": 3}}
    assert bench.row("load").params == {**told, "n": 3}
    assert bench.row("report").params == told


def test_an_event_that_nobody_listens_to_is_recorded():
    bench = Bench("load")
    emit(bench, "lost", data={"n": 1})
    assert [(row.type, row.detail["data"], row.detail["jobs"]) for row in bench.log[-1:]] == [
        ("event.emitted", {"n": 1}, [])
    ]
    assert bench.kept == {}


def test_an_id_makes_a_tick_only_once_also_after_a_restart():
    bench = Bench(on("load", overlap="allow"))
    emit(bench, id="1")
    emit(bench, id="1")
    emit(bench, id="2")
    assert len(bench.rows("load")) == 2
    emissions = bench.emissions
    bench.restart(living=[(run.name, 1) for run in bench.live()])
    emit(bench, id="2")
    assert len(bench.rows("load")) == 2
    assert [each.id for each in emissions] == ["1", "2"]
    assert [row.type for row in bench.log if row.type.startswith("event.")] == [
        "event.emitted", "event.repeated", "event.emitted", "event.repeated",
    ]  # fmt: skip


def test_while_paused_or_disabled_an_event_is_skipped_and_stays_so_below():
    bench = Bench(on("load"), on("off", enabled=False), job("report after load"))
    bench.apply(events.PauseRequested(bench.now, "load"))
    emit(bench, data={"n": 1})
    assert bench.reasons("load") == ["paused"]
    assert bench.reasons("report") == ["paused"]
    assert bench.reasons("off") == ["disabled"]
    assert bench.row("load").params["DAGSCHED_EVENT_DATA"] == {"n": 1}, "a later rerun is told as well"
    assert bench.starts == []


def test_a_second_event_while_the_job_is_active_is_judged_by_overlap_as_a_live_tick():
    bench = Bench(on("load"))
    emit(bench)
    emit(bench)
    assert [run.state for run in sorted(bench.kept.values(), key=lambda run: run.tick)] == ["running", "skipped"]


def test_a_listener_waits_for_its_upstreams():
    bench = Bench("extract", on("load after extract"))
    bench.trigger("extract")
    emit(bench)
    assert bench.state("load") == "waiting"
    bench.finish("extract")
    assert bench.state("load") == "running"


def test_start_end_and_max_runs_bound_what_an_event_makes():
    bench = Bench(
        on("later", start=START + timedelta(hours=1)),
        on("over", end=START + timedelta(hours=1)),
        on("twice", max_runs=2, overlap="allow"),
    )
    for _ in range(3):
        emit(bench)
        bench.run_to_end()
        bench.to(timedelta(minutes=50))
    assert [len(bench.rows(id)) for id in ("later", "over", "twice") if id in bench.states()] == [1, 2, 2]


def test_a_run_that_nothing_can_match_waits_for_the_next_event_and_ends_with_the_schedule():
    bench = Bench("extract", on("load after extract", end=START + timedelta(hours=1)))
    emit(bench)
    assert bench.state("load") == "waiting"
    bench.to(timedelta(minutes=30))
    assert bench.state("load") == "waiting"
    emit(bench)
    assert bench.reasons("load")[0] == "superseded: extract has never had a tick"
    bench.to("02:00")
    assert bench.reasons("load")[1] == "extract has never had a tick, and no schedule will make one"


def test_an_emission_comes_after_what_is_due_already():
    bench = Bench("hourly at 0 * * * *", on("load after hourly"))
    bench.now = utc(2026, 3, 2, 1, ms=5)
    emit(bench)
    assert [link.tick for link in bench.row("load").links] == [utc(2026, 3, 2, 1)]


def test_a_rerun_of_an_upstream_reopens_the_runs_of_every_event_it_stopped():
    bench = Bench("extract", on("load after extract", overlap="allow"))
    bench.trigger("extract")
    emit(bench)
    emit(bench)
    bench.fail("extract")
    assert bench.state("load") == "upstream_failed"
    bench.apply(events.RerunRequested(bench.now, bench.row("extract").name, rows=tuple(bench.kept.values())))
    assert [run.state for run in bench.kept.values() if run.job == "load"] == ["waiting", "waiting"]
