"""A plan restored from what was kept decides as the one that was thrown away would have."""

from __future__ import annotations

from datetime import datetime, timedelta
from typing import Any

from hypothesis import given, settings
from hypothesis import strategies as st

from dagsched.definition import from_json
from dagsched.engine import Plan, commands, events
from dagsched.errors import Refused
from dagsched.model import Catchup, Config, Exit, Job, Match, Outcome, RunState, Schedule, TriggerRule, is_schedule_tick
from dagsched.model import Dependency as Edge
from tests.engine.bench_of_one import START, job

CRONS = ("0 * * * *", "*/30 * * * *", "15 */2 * * *", None)
NAMES = "abcde"


@st.composite
def graphs(draw: st.DrawFn) -> tuple[Job, ...]:
    """Two to five jobs, each depending on some before it."""
    made = []
    for place, name in enumerate(NAMES[: draw(st.integers(2, 5))]):
        cron = draw(st.sampled_from(CRONS))
        edges = draw(st.lists(st.sampled_from(NAMES[:place]), unique=True, max_size=2)) if place else []
        made.append(
            job(
                name,
                schedule=Schedule(cron=(cron,)) if cron else None,
                depends_on=tuple(Edge(edge, draw(st.sampled_from(list(Match)))) for edge in edges),
                trigger_rule=draw(st.sampled_from(list(TriggerRule))),
                overlap=draw(st.sampled_from(["skip", "queue", "replace", "allow"])),
                catchup=draw(st.sampled_from(list(Catchup))),
                retry=draw(st.integers(1, 3)),
                pool=draw(st.sampled_from([None, "p"])),
                max_queued=draw(st.sampled_from([3, 100])),
                jitter=timedelta(minutes=draw(st.sampled_from([0, 0, 5]))),
            )
        )
    return tuple(made)


STEPS = st.lists(
    st.tuples(
        st.sampled_from(
            [
                "pass",
                "pass",
                "sleep",
                "finish",
                "finish",
                "fail",
                "trigger",
                "up",
                "only",
                "pause",
                "resume",
                "cancel",
                "rerun",
                "edit",
            ]
        ),
        st.integers(0, 9),
    ),
    max_size=40,
)


class Pair:
    """A plan that lives on, and what a store would have kept of it."""

    def __init__(self, jobs: tuple[Job, ...], *, forgetful: bool = False) -> None:
        self.config = Config({one.id: one for one in jobs}, {"p": 1}, digest="x")
        self.all_jobs, self.number = jobs, 1
        self.now = START
        self.kept: dict[Any, Any] = {}
        self.attempts: dict[Any, Any] = {}
        self.marks: dict[str, Any] = {}
        self.definitions: dict[str, Any] = {}
        self.pools_at_start: dict[tuple[str, int], str | None] = {}
        self.plan = Plan()
        if forgetful:
            self.plan.book.ledger.wants_pruning = lambda job: True  # type: ignore[method-assign]
        self.take(self.plan.apply(events.ConfigApplied(self.now, self.config, 1)))

    def take(self, wanted: list[commands.Command]) -> None:
        for command in wanted:
            if isinstance(command, commands.SplitRow):
                del self.kept[(command.job, command.tick)]
            elif isinstance(command, commands.SaveRun):
                self.kept[command.run.key] = command.run
            elif isinstance(command, commands.SaveAttempt):
                self.attempts[(command.attempt.job, command.attempt.tick)] = command.attempt
            elif isinstance(command, commands.SaveMark):
                self.marks[command.mark.job] = command.mark
            elif isinstance(command, commands.SaveDefinition):
                self.definitions[command.digest] = command.definition

    def restored(self) -> Plan:
        """A second plan, made from what was kept: live rows, newest rows, and what windows and links reach."""
        plan = Plan()
        plan.restore(
            runs=list(self.kept.values()),
            attempts=[attempt for attempt in self.attempts.values() if attempt.ended is None],
            marks=self.marks.values(), last_event=self.plan.book.last_event, last_seen=self.plan.book.last_seen,
            config=self.config, config_number=self.number,
            definitions={digest: from_json(data) for digest, data in self.definitions.items()},
        )  # fmt: skip
        living = frozenset((run.name, run.attempts) for run in self.plan.running())
        plan.apply(events.Recovered(self.now, living, (), frozenset()))
        plan.apply(events.ConfigApplied(self.now, self.config, self.number))
        plan.book.last_event = self.plan.book.last_event  # it has told of the attempts it adopted
        return plan

    def event(self, what: str, number: int) -> events.Event | None:
        if what in ("pass", "sleep"):
            self.now += timedelta(minutes=(number + 1) * (37 if what == "sleep" else 4))
            return events.TimePassed(self.now)
        if what == "edit":
            return self.edit(number)
        ids = list(self.config.jobs)
        id = ids[number % len(ids)]
        running = self.plan.running()
        if what in ("finish", "fail"):
            if not running:
                return None
            run = running[number % len(running)]
            outcome = Outcome.SUCCESS if what == "finish" else Outcome.FAILED
            return events.AttemptFinished(self.now, Exit(run.name, run.attempts, outcome, self.now, exit_code=0))
        if what in ("trigger", "up", "only"):
            return events.TriggerRequested(self.now, id, with_upstream=what == "up", only=what == "only")
        if what == "pause":
            return events.PauseRequested(self.now, id)
        if what == "resume":
            return events.ResumeRequested(self.now, id)
        rows = sorted(self.kept.values(), key=lambda run: (run.tick, run.job))
        live = [run for run in rows if (run.state.is_terminal) == (what == "rerun")]
        if not live:
            return None
        name = live[number % len(live)].name
        return (
            events.CancelRequested(self.now, name)
            if what == "cancel"
            else events.RerunRequested(self.now, name, rows=tuple(rows))
        )

    def edit(self, number: int) -> events.Event:
        """Put another configuration in force: one job changed in one way, or gone, or back again."""
        jobs = dict(self.config.jobs)
        victim = self.all_jobs[number % len(self.all_jobs)]
        below = any(edge.job == victim.id for one in jobs.values() for edge in one.depends_on)
        if victim.id not in jobs:
            jobs[victim.id] = victim._replace(depends_on=tuple(edge for edge in victim.depends_on if edge.job in jobs))
        elif number % 5 == 0 and not below:
            del jobs[victim.id]
        elif number % 5 == 1:
            jobs[victim.id] = victim._replace(enabled=not jobs[victim.id].enabled)
        elif number % 5 == 2:
            jobs[victim.id] = victim._replace(schedule=Schedule(cron=("20 * * * *",)), pool=None)
        elif number % 5 == 3:
            jobs[victim.id] = victim._replace(depends_on=())
        else:
            jobs[victim.id] = victim._replace(trigger_rule=TriggerRule.ALL_DONE, jitter=timedelta(minutes=3))
        jobs = {one: jobs[one] for one in NAMES if one in jobs}
        jobs = {
            id: one._replace(depends_on=tuple(edge for edge in one.depends_on if edge.job in jobs))
            for id, one in jobs.items()
        }
        self.number += 1
        self.config = Config(jobs, {"p": 1}, digest=f"x{self.number}")
        return events.ConfigApplied(self.now, self.config, self.number)


def applied(plan: Plan, event: events.Event) -> list[commands.Command] | str:
    try:
        return plan.apply(event)
    except Refused as error:
        return str(error)


def comparable(wanted: list[commands.Command] | str) -> Any:
    """What an event wants, but for definitions, which a new plan keeps once more."""
    if isinstance(wanted, str):
        return wanted
    return [command for command in wanted if not isinstance(command, commands.SaveDefinition)]


@settings(max_examples=150, deadline=None)
@given(graphs(), STEPS, STEPS)
def test_a_restored_plan_decides_as_the_one_before_it(jobs: tuple[Job, ...], before: Any, after: Any) -> None:
    pair = Pair(jobs)
    for what, number in before:
        event = pair.event(what, number)
        wanted = applied(pair.plan, event) if event else []
        pair.take(wanted if isinstance(wanted, list) else [])
    twin = pair.restored()
    for what, number in after:
        event = pair.event(what, number)
        if event is None:
            continue
        wanted = applied(pair.plan, event)
        assert comparable(applied(twin, event)) == comparable(wanted), (what, number)
        pair.take(wanted if isinstance(wanted, list) else [])
    assert twin.wake_at() == pair.plan.wake_at()


@settings(max_examples=100, deadline=None)
@given(graphs(), STEPS)
def test_a_plan_that_forgets_what_it_may_decides_as_one_that_knows_all(jobs: tuple[Job, ...], steps: Any) -> None:
    one, all_knowing = Pair(jobs, forgetful=True), Pair(jobs).plan
    for what, number in steps:
        event = one.event(what, number)
        if event is None:
            continue
        wanted = applied(one.plan, event)
        assert comparable(wanted) == comparable(applied(all_knowing, event)), (what, number)
        one.take(wanted if isinstance(wanted, list) else [])


@settings(max_examples=100, deadline=None)
@given(graphs(), STEPS)
def test_random_events_break_no_promise_the_engine_keeps_alone(jobs: tuple[Job, ...], steps: Any) -> None:
    pair = Pair(jobs)
    started: set[tuple[str, int]] = set()
    last_event = pair.plan.book.last_event
    for what, number in steps:
        event = pair.event(what, number)
        wanted = applied(pair.plan, event) if event else []
        if isinstance(wanted, str):
            continue
        pair.take(wanted)
        for command in wanted:
            if isinstance(command, commands.StartAttempt):
                key = (command.run.name, command.run.attempts)
                assert key not in started
                started.add(key)
                pair.pools_at_start[key] = command.job.pool
                assert command.run.attempts <= command.run.attempt_limit
            if isinstance(command, commands.RecordEvent):
                assert command.row.seq == last_event + 1
                last_event += 1
        running = [run for run in pair.plan.running() if pair.pools_at_start[(run.name, run.attempts)]]
        assert len(running) <= 1
    no_row_lies_in_another(pair)
    nothing_is_stuck(pair)


def no_row_lies_in_another(pair: Pair) -> None:
    for id in pair.config.jobs:
        rows = sorted((run for run in pair.kept.values() if run.job == id), key=lambda run: run.tick)
        rows = [run for run in rows if is_schedule_tick(run.tick)]
        ends: list[datetime] = [run.until or run.tick for run in rows]
        assert all(end < row.tick for end, row in zip(ends, rows[1:], strict=False))


def nothing_is_stuck(pair: Pair) -> None:
    """Once nobody is paused and everything that runs succeeds, all ends (P7)."""
    for id in pair.config.jobs:
        pair.take(pair.plan.apply(events.ResumeRequested(pair.now, id)))
    quiet = Config(
        {
            one.id: job(one.id, depends_on=one.depends_on, trigger_rule=one.trigger_rule)
            for one in pair.config.jobs.values()
        }
    )
    pair.take(pair.plan.apply(events.ConfigApplied(pair.now, quiet, pair.number + 1)))
    for _ in range(500):
        pair.now += timedelta(minutes=10)
        pair.take(pair.plan.apply(events.TimePassed(pair.now)))
        for run in pair.plan.running():
            end = Exit(run.name, run.attempts, Outcome.SUCCESS, pair.now, exit_code=0)
            pair.take(pair.plan.apply(events.AttemptFinished(pair.now, end)))
        if pair.plan.is_idle():
            break
    assert [run for run in pair.kept.values() if run.state is RunState.WAITING or not run.state.is_terminal] == []
