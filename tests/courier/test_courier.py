"""What people are told, how often, and that nothing is lost or doubled over crashes."""

from __future__ import annotations

import asyncio
from datetime import timedelta

import pytest

from dagsched.courier.deliver import PAUSES
from dagsched.courier.serve import Courier, Ended
from dagsched.errors import NotifierError
from dagsched.stores.notices import Notices
from tests.courier.courting import JOBS, NOW, SECOND, World

DAY, MINUTE = timedelta(days=1), timedelta(minutes=1)


@pytest.fixture
def world(tmp_path, monkeypatch) -> World:
    return World(tmp_path, monkeypatch)


def test_a_failure_is_told_once_its_group_is_complete(world: World):
    world.end("extract", "failed", reason="exit 3")
    assert world.after(0) == []
    assert world.after(9.9) == []
    assert world.after(0.2) == ["ops failure: extract failed (exit 3)"]
    assert world.after(60) == []


def test_a_broken_upstream_is_one_message_that_counts_the_rest(world: World):
    world.end("extract", "failed", reason="exit 3")
    world.end("load", "upstream_failed", after="extract")
    world.end("report", "upstream_failed", after="load")
    world.after(0)
    assert world.after(11) == ["ops failure: extract failed (exit 3); 2 after it did not start"]


def test_what_waits_later_for_a_broken_run_is_no_news(world: World):
    world.end("extract", "failed")
    world.after(0)
    assert world.after(11) == ["ops failure: extract failed"]
    world.end("load", "upstream_failed", after="extract")
    world.after(0)
    assert world.after(11) == []


def test_the_root_is_named_to_those_who_watch_only_what_comes_after(world: World):
    world.apply(JOBS.replace("extract: {run: x, owner: data}", "extract: {run: x, notify: []}"))
    world.end("extract", "failed", reason="exit 3")
    world.end("load", "upstream_failed", after="extract")
    world.after(0)
    assert world.after(11) == ["ops failure: extract failed (exit 3); 1 after it did not start"]
    world.end("load", "success", tick=NOW + DAY)
    world.after(0)
    assert world.after(11) == ["ops recovered: load works again"]


def test_failures_close_together_are_one_message(world: World):
    for job in ("extract", "load", "report"):
        world.end(job, "failed", reason="exit 1")
    world.after(0)
    assert world.after(11) == ["ops failure: 3 runs failed: extract, load, report"]


def test_the_first_success_after_a_told_failure_is_told_and_no_other(world: World):
    world.end("extract", "success", tick=NOW - DAY)
    world.after(0)
    assert world.after(11) == []
    world.end("extract", "failed")
    world.after(0)
    world.after(11)
    world.told()
    for number in (1, 2):
        world.end("extract", "success", tick=NOW + number * DAY)
    world.after(0)
    assert world.after(11) == ["ops recovered: extract works again"]
    world.end("extract", "success", tick=NOW + 3 * DAY)
    world.after(0)
    assert world.after(11) == []


def test_a_rerun_that_succeeds_at_once_is_told_after_the_failure(world: World):
    world.end("extract", "failed")
    world.end("extract", "success")
    world.after(0)
    assert world.after(11) == ["ops failure: extract failed", "ops recovered: extract works again"]


def test_success_is_told_as_often_as_it_happens_but_a_recovery_as_one(world: World):
    world.end("chatty", "success")
    assert world.after(0) == ["mail success: chatty succeeded"]
    world.end("chatty", "failed", tick=NOW + DAY)
    assert world.after(0) == ["mail failure: chatty failed"]
    world.end("chatty", "success", tick=NOW + 2 * DAY)
    assert world.after(0) == ["mail recovered: chatty works again"]


def fail_every_minute(world: World, job: str, minutes: int, start: int = 0) -> list[str]:
    told = []
    for number in range(start, start + minutes):
        world.end(job, "failed", reason="exit 3", tick=NOW + number * MINUTE)
        told += world.after(60)
    return told


def test_a_job_that_fails_at_every_tick_is_told_of_at_first_and_then_now_and_then(world: World):
    told = fail_every_minute(world, "extract", 6 * 60)
    # Each time another failure has come when the group is complete.
    assert told == ["ops failure: 2 runs failed: extract"] * 2
    world.end("extract", "success", tick=NOW + DAY)
    world.end("extract", "success", tick=NOW + DAY + MINUTE)
    world.after(0)
    assert world.after(11) == ["ops recovered: extract works again"]
    world.end("extract", "failed", tick=NOW + 2 * DAY)
    world.after(0)
    assert world.after(11) == ["ops failure: extract failed"]


def test_a_reminder_says_how_often_it_failed_meanwhile(world: World):
    world.apply(JOBS.replace("group: 0s", "group: 0s, repeat: 10m"))
    world.end("chatty", "failed")
    assert world.after(0) == ["mail failure: chatty failed"]
    for number in range(1, 4):
        world.end("chatty", "failed", tick=NOW + number * MINUTE)
        assert world.after(60) == []
    world.clock.at += 10 * MINUTE
    world.end("chatty", "failed", tick=NOW + 14 * MINUTE)
    world.court()
    ((_, message),) = world.sent
    assert "  and 3 times before it, since the last message" in message.text.splitlines()
    assert message.items[0].untold == 3


def test_each_failure_is_told_to_whoever_wants_that(world: World):
    world.apply(JOBS.replace("group: 0s", "group: 0s, repeat: 0s"))
    assert len(fail_every_minute(world, "chatty", 3)) == 3


def test_what_could_not_start_for_a_job_that_goes_on_failing_is_no_news(world: World):
    told = []
    for number in range(3):
        tick = NOW + number * MINUTE
        world.end("extract", "failed", tick=tick)
        world.end("load", "upstream_failed", after="extract", tick=tick)
        world.after(0)
        told += world.after(60)
        world.end("report", "upstream_failed", after="load", tick=tick)
    assert told + world.after(60) == ["ops failure: extract failed; 1 after it did not start"]


def test_a_success_that_nobody_wants_to_hear_of_ends_the_quiet_all_the_same(world: World):
    world.apply(JOBS.replace("on: [success, recovered, failure]", "on: [failure]"))
    for state, told in (("failed", 1), ("failed", 0), ("success", 0), ("failed", 1), ("success", 0), ("failed", 1)):
        world.end("chatty", state, tick=NOW + world.seq * MINUTE)
        assert len(world.after(60)) == told, state


def test_a_job_that_worked_for_a_moment_has_failed_anew(world: World):
    world.end("extract", "failed")
    world.after(0)
    world.after(11)
    world.told()
    world.end("extract", "success", tick=NOW + MINUTE)
    world.end("extract", "failed", tick=NOW + 2 * MINUTE)
    world.after(0)
    assert "ops failure: extract failed" in world.after(11)


def test_late_runs_and_rejected_files_are_told(world: World):
    world.end("extract", "running")
    world.batch.events[-1] = world.batch.events[-1]._replace(type="run.late", reason="deadline passed")
    world.note("config.rejected", problems=[{"file": "a", "line": 1, "column": 2, "code": "E1", "message": "m"}])
    world.after(0)
    assert sorted(world.after(11)) == [
        "ops config_rejected: the job files cannot be used: 1 problem; the last good ones stay in force",
        "ops late: extract is late (deadline passed)",
    ]


def test_a_job_that_is_late_at_every_tick_is_told_of_at_first_and_then_now_and_then(world: World):
    told = []
    for number in range(6 * 60):
        world.be_late("extract", tick=NOW + number * MINUTE, ends="success")
        told += world.after(60)
    assert told == ["ops late: 2 runs are late: extract"] * 2


def test_a_reminder_says_how_often_it_was_late_meanwhile(world: World):
    world.apply(JOBS.replace("group: 10s", "group: 0s, repeat: 10m"))
    told = []
    for number in range(4):
        world.be_late("extract", tick=NOW + number * MINUTE, ends="success")
        told += world.after(60)
    assert told == ["ops late: extract is late (running 1h)"]
    world.clock.at += 10 * MINUTE
    world.be_late("extract", tick=NOW + 14 * MINUTE)
    world.court()
    ((_, message),) = world.sent
    assert message.title == "extract is late (running 1h)"
    assert message.items[0].untold == 3
    assert "  and 3 times before it, since the last message" in message.text.splitlines()


def test_a_run_that_was_in_time_ends_the_quiet_and_is_told_to_nobody(world: World):
    world.be_late("extract", ends="success")
    world.after(0)
    assert world.after(11) == ["ops late: extract is late (running 1h)"]
    world.end("extract", "success", tick=NOW + MINUTE)
    world.after(0)
    assert world.after(11) == []
    world.be_late("extract", tick=NOW + 2 * MINUTE)
    world.after(0)
    assert world.after(11) == ["ops late: extract is late (running 1h)"]


def test_one_that_was_in_time_while_the_late_one_was_being_gathered_ends_the_quiet_too(world: World):
    world.be_late("extract", ends="success")
    world.end("extract", "success", tick=NOW + MINUTE)
    world.after(0)
    assert world.after(11) == ["ops late: extract is late (running 1h)"]
    world.be_late("extract", tick=NOW + 2 * MINUTE)
    world.after(0)
    assert world.after(11) == ["ops late: extract is late (running 1h)"]


def test_being_late_and_failing_are_told_of_apart(world: World):
    world.be_late("extract", ends="failed")
    world.after(0)
    assert sorted(world.after(11)) == ["ops failure: extract failed", "ops late: extract is late (running 1h)"]
    world.be_late("extract", tick=NOW + MINUTE, ends="success")
    world.after(0)
    assert world.after(11) == ["ops recovered: extract works again"]
    world.end("extract", "failed", tick=NOW + 2 * MINUTE)
    world.be_late("extract", tick=NOW + 3 * MINUTE)
    world.after(0)
    assert world.after(11) == ["ops failure: extract failed"]


def test_jobs_without_rules_and_runs_that_somebody_watches_are_not_told_of(world: World):
    world.end("quiet", "failed")
    world.end("extract", "failed", origin="once")
    world.after(0)
    assert world.after(11) == []


def test_rules_are_those_in_force_when_it_happened(world: World):
    world.end("extract", "failed", reason="before")
    world.after(0)
    world.apply(JOBS.replace("[failure, recovered, late, config_rejected]", "[success]"))
    world.end("extract", "failed", tick=NOW + DAY, reason="after")
    world.after(0)
    assert world.after(11) == ["ops failure: extract failed (before)"]


# ---------------------------------------------------------------- tries


def test_a_message_that_is_refused_for_now_is_tried_again_with_growing_pauses_under_the_same_id(world: World):
    world.refusals = [NotifierError("no answer"), NotifierError("no answer")]
    world.end("chatty", "failed")
    assert world.after(0) == []
    assert world.after(4) == []
    assert world.after(2) == []
    assert world.after(31) == ["mail failure: chatty failed"]


def test_the_receivers_wish_to_wait_is_heeded(world: World):
    world.refusals = [NotifierError("status 429", retry_after_s=90)]
    world.end("chatty", "failed")
    assert (world.after(0), world.after(80)) == ([], [])
    assert world.after(11) == ["mail failure: chatty failed"]


def test_a_final_refusal_is_a_dead_letter_at_once_and_the_next_message_goes(world: World):
    world.refusals = [NotifierError("status 404", is_final=True)]
    world.end("chatty", "failed")
    world.end("chatty", "success", tick=NOW + DAY)
    assert world.after(0) == ["mail recovered: chatty works again"]
    assert [(each.state, each.error) for each in dead(world)] == [("failed", "status 404")]


def test_tries_come_to_an_end(world: World):
    world.refusals = [NotifierError("no answer")] * 100
    world.end("chatty", "failed")
    world.after(0)
    for pause in PAUSES:
        assert dead(world) == []
        world.after(pause.total_seconds() + 1)
    assert [(each.state, each.tries) for each in dead(world)] == [("failed", len(PAUSES) + 1)]


def dead(world: World):
    notices = Notices(world.folder, write=False)
    try:
        return notices.messages(failed=True)
    finally:
        notices.close()


def test_a_library_that_breaks_keeps_nobody_else_from_being_told(world: World, caplog):
    world.refusals = [ZeroDivisionError()]  # type: ignore[list-item]
    world.end("chatty", "failed")
    assert world.after(0) == []
    assert world.after(6) == ["mail failure: chatty failed"]
    assert "in a way that nobody foresaw" in caplog.text


def test_a_notifier_that_is_declared_no_more_leaves_a_dead_letter(world: World):
    world.refusals = [NotifierError("no answer")]
    world.end("chatty", "failed")
    world.after(0)
    world.apply("jobs: {}\n")
    assert world.after(60) == []
    assert [each.error for each in dead(world)] == ["no notifier of this name is declared any more"]


# ---------------------------------------------------------------- lives


def test_the_end_says_how_far_the_log_was_read_and_when_to_come_again(world: World):
    world.end("extract", "failed")
    assert world.court() == Ended(1, 10.0)
    world.clock.at += 4 * SECOND
    assert world.court() == Ended(1, 6.0)
    world.clock.at += 6 * SECOND
    assert world.court() == Ended(1, None)


def test_whoever_is_the_last_to_come_tells_what_was_gathered(world: World):
    world.end("extract", "failed")
    world.court(is_last=True)
    assert world.told() == ["ops failure: extract failed"]


def test_a_courier_that_dies_before_it_wrote_down_a_delivery_sends_the_same_message_again(world: World, monkeypatch):
    world.end("chatty", "failed")
    monkeypatch.setattr(Notices, "delivered", lambda *_: (_ for _ in ()).throw(KeyboardInterrupt))
    with pytest.raises(KeyboardInterrupt):
        world.court()
    monkeypatch.undo()
    monkeypatch.setattr("dagsched.courier.deliver.send", world._send)
    world.court()
    ids = [message.id for _, message in world.sent]
    assert len(ids) == 2
    assert len(set(ids)) == 1


def test_a_courier_that_dies_while_it_reads_loses_and_doubles_nothing(world: World, monkeypatch):
    for number in range(5):
        world.end("chatty", "success", tick=NOW + number * SECOND)
    move = Notices.move
    monkeypatch.setattr(Notices, "move", lambda *_: (_ for _ in ()).throw(KeyboardInterrupt))
    with pytest.raises(KeyboardInterrupt):
        world.court()
    monkeypatch.setattr(Notices, "move", move)
    assert world.after(0) == ["mail success: 5 runs succeeded: chatty, …"]
    assert world.after(0) == []


def test_one_that_was_never_there_begins_behind_the_event_it_is_told(world: World):
    world.end("chatty", "failed")
    world.end("chatty", "failed", tick=NOW + DAY)
    world.court(after=1)
    assert world.told() == ["mail failure: chatty failed"]
    world.court(after=0)
    assert world.told() == []


def test_news_wake_a_courier_that_waits(world: World):
    async def look_later(courier: Courier) -> None:
        asyncio.get_running_loop().call_later(0.01, courier.look.set)

    world.end("chatty", "failed")
    world.court(work=look_later)
    assert world.told() == ["mail failure: chatty failed"]
