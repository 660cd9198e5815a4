"""The promise of `plan`: apply the edit in simulation, and exactly what it said happens.

A random job file lives for some hours, with failures, pauses and manual runs; perhaps its daemon is down for a while;
then it is edited at random. What `plan` says is held against two lives of the whole file from there on, one with the
edit and one without. These lives know nothing of what `plan` leaves out: all jobs are in them, attempts take their time
and fail.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import suppress
from datetime import datetime, timedelta
from hashlib import sha256
from random import Random

import pytest
from hypothesis import HealthCheck, Phase, given, settings
from hypothesis import strategies as st

from dagsched.config import Loaded
from dagsched.daemon.restoring import MILLISECOND
from dagsched.definition import digest
from dagsched.errors import Refused
from dagsched.model import Config, Job, Outcome, Run, is_schedule_tick, utc
from dagsched.preview import Fires, Preview
from dagsched.preview.fires import BEYOND, affected, fires
from dagsched.stores import MemoryStore
from dagsched.virtual import End
from tests.preview.life import Life, preview_of
from tests.simulation.files import Files

STARTS = (utc(2026, 3, 6), utc(2026, 3, 27), utc(2026, 4, 3), utc(2026, 10, 23), utc(2026, 10, 30))
DAYS = 1


def takes_its_time(job: Job, run: Run, attempt: int) -> End:
    """Return an end that looks random and is the same in every world: minutes to hours, every fourth one a failure."""
    dice = sha256(f"{run.name}#{attempt}".encode()).digest()
    length = timedelta(seconds=1 + dice[0] * (60 if dice[1] < 50 else 4))
    return End(length, Outcome.FAILED if dice[2] < 64 else Outcome.SUCCESS)


class Story:
    """A random file's life up to the edit, and what then becomes of it, with the edit and without."""

    def __init__(self, seed: int) -> None:
        rng = Random(seed)
        start = rng.choice(STARTS) + timedelta(hours=rng.randint(0, 23), minutes=rng.randint(0, 59))
        files = Files(rng, start, start + timedelta(days=9))
        life = Life.begin(files.read(), start, behave=takes_its_time)
        for _ in range(rng.randint(0, 6)):
            life.run_until(life.now + timedelta(minutes=rng.randint(1, 400), seconds=rng.randint(0, 59)))
            _do_something(life, rng)
        self.now = life.now
        self.is_down = rng.random() < 0.5
        if self.is_down:
            life.end()
            self.now += timedelta(minutes=rng.choice((0, 10, 200, 2000)))
        self.old = files.read()
        for _ in range(rng.randint(1, 2)):
            files.edit()
        self.new = files.read()
        self.before = {run.key: run for run in life.stored()}
        self.end = self.now + timedelta(days=DAYS)
        self.said = preview_of(MemoryStoreOn(life), Loaded(self.new, ()), self.now, DAYS)
        self.without, self.with_edit = (self._live(life, config) for config in (self.old, self.new))

    def _live(self, life: Life, config: Config) -> World:
        state = life.copy_of_state()
        after = Life.begin(self.old if not self.is_down else config, self.now, state=state, behave=self._goes_on)
        if not self.is_down:
            after.apply_config(config)
        at_once = {run.key: run for run in after.stored()}
        after.run_until(self.end + BEYOND)
        return World(config, at_once, after)


    def _goes_on(self, job: Job, run: Run, attempt: int) -> End:
        """Return the same end, but none before the edit: `plan` cannot know which attempts have ended unseen."""
        end = takes_its_time(job, run, attempt)
        assert run.started is not None
        return end._replace(duration=max(end.duration, self.now - run.started + timedelta(seconds=1)))


class World:
    """One life from the edit on: `at_once` are its rows in that instant."""

    def __init__(self, config: Config, at_once: dict[tuple[str, datetime], Run], life: Life) -> None:
        self.config, self.at_once, self.life = config, at_once, life

    def fires(self, job: str, after: datetime) -> set[datetime]:
        """Return the ticks to come at which the job is neither disabled nor paused."""
        rows = (run for run in self.life.rows(job) if run.tick > after and is_schedule_tick(run.tick))
        found = {run.tick for run in rows if run.until is None and fires(run)}
        for run in self.life.rows(job):
            if run.until is not None and run.until > after and fires(run):
                found.update(self.life.plan.ticks.ticks_between(job, max(after, run.tick - MILLISECOND), run.until))
        return found


def MemoryStoreOn(life: Life) -> MemoryStore:
    return life.store


def _do_something(life: Life, rng: Random) -> None:
    job = rng.choice(list(life.config.jobs))
    what = rng.choice(("trigger", "pause", "nothing", "nothing"))
    if what == "trigger":
        with suppress(Refused):  # disabled, or too many runs are open
            life.trigger(job)
    elif what == "pause":
        life.pause(job)


# A smaller seed is no simpler story, so there is nothing to shrink.
@settings(max_examples=12, deadline=None, phases=[Phase.generate], suppress_health_check=[HealthCheck.too_slow])
@given(st.integers(0, 2**32))
def test_what_plan_says_is_what_happens(seed: int) -> None:
    check(Story(seed))


def check(story: Story) -> None:
    _jobs(story.said, story.old, story.new)
    _open_runs(story)
    _due_ticks(story)
    _fire_times(story)
    _new_definitions(story)


def _jobs(said: Preview, old: Config, new: Config) -> None:
    edit = said.edit
    assert {job.id for job in edit.added} == new.jobs.keys() - old.jobs.keys()
    assert {job.id for job in edit.removed} == old.jobs.keys() - new.jobs.keys()
    both = old.jobs.keys() & new.jobs.keys()
    assert {each.new.id for each in edit.changed} == {id for id in both if digest(old.jobs[id]) != digest(new.jobs[id])}
    assert all(each.keys for each in edit.changed)


def _open_runs(story: Story) -> None:
    """Every open run stands after the edit as it was said, and those of which nothing was said as without it."""
    told = {each.run.key: each for each in story.said.runs}
    for key, run in story.before.items():
        if run.state.is_terminal:
            assert key not in told
            continue
        then, as_is = story.with_edit.at_once[key], story.without.at_once[key]
        if key in told:
            assert then.state is told[key].state, (run, told[key])
            assert (told[key].effect == "cancelled") == (then.reason == "job removed")
        else:
            assert (then.state, then.links) == (as_is.state, as_is.links)


def _due_ticks(story: Story) -> None:
    """The rows of ticks up to now are those that were said, on both sides."""
    for side, world in (("new", story.with_edit), ("old", story.without)):
        said = {run.key: run for each in story.said.due for run in getattr(each, side)}
        made = {
            key: run for key, run in world.at_once.items()
            if key not in story.before or story.before[key].until != run.until
        }  # fmt: skip
        assert {key: (run.until, run.state, run.reason, run.origin) for key, run in said.items()} == {
            key: (run.until, run.state, run.reason, run.origin) for key, run in made.items()
        }


def _fire_times(story: Story) -> None:
    """What comes, goes and moves in a day of the whole file is what was said; of other jobs nothing does."""
    said = {each.job: each for each in story.said.fires}
    for id in {*story.old.jobs, *story.new.jobs}:
        if _is_counted(id, story):
            continue  # how many runs start until `max_runs` hangs on how attempts end, which `plan` cannot know
        was, will = story.without.fires(id, story.now), story.with_edit.fires(id, story.now)
        if id not in said:
            assert was == will, id
            continue
        _is_as_said(said[id], was, will)


def _is_as_said(told: Fires, was: set[datetime], will: set[datetime]) -> None:
    end = told.until
    assert {tick for tick in will - was if tick <= end} == {
        tick for tick in (*told.added, *(pair.new for pair in told.moved)) if tick <= end
    }
    assert {tick for tick in was - will if tick <= end} == {
        tick for tick in (*told.dropped, *(pair.old for pair in told.moved)) if tick <= end
    }
    assert told.kept == sum(tick <= end for tick in was & will)
    for pair in told.moved:
        assert pair.old in was
        assert pair.new in will


def _is_counted(id: str, story: Story) -> bool:
    return any(_hangs_on_a_count(id, config) for config in (story.old, story.new))


def _hangs_on_a_count(id: str, config: Config) -> bool:
    job = config.jobs.get(id)
    if job is None:
        return False
    if job.schedule is not None:
        return job.schedule.max_runs is not None
    return any(_hangs_on_a_count(edge.job, config) for edge in job.depends_on)


def _new_definitions(story: Story) -> None:
    """A run that was said to take the new definition has it in its next attempt; its attempt under way has not."""
    for each in story.said.runs:
        run = story.with_edit.life.row(*each.run.key)
        job = story.new.jobs.get(each.run.job)
        if run is None or job is None:
            continue
        attempts = story.with_edit.life.attempts(*each.run.key)
        later = [attempt for attempt in attempts if attempt.number > each.run.attempts]
        assert all(attempt.definition == digest(job) for attempt in later)


WANTED = {
    "cancelled", "finishes", "takes", "keeps", "another fate of due ticks", "added", "moved", "dropped",
    "jobs that cannot differ", "waiting", "queued", "running",
}  # fmt: skip


def test_the_stories_have_everything_in_them() -> None:
    """Else the property would be one of edits that do nothing."""
    missing = set(WANTED)
    for seed in range(200):
        missing -= set(_what_is_in(Story(seed)))
        if not missing:
            return
    raise AssertionError(f"no story has {missing}")


def _what_is_in(story: Story) -> Iterator[str]:
    yield from (each.effect for each in story.said.runs)
    yield from (str(run.state) for run in story.before.values())
    if any(each.differs for each in story.said.due):
        yield "another fate of due ticks"
    if affected(story.old, story.new) < {*story.old.jobs}:
        yield "jobs that cannot differ"
    yield from (kind for kind in ("added", "moved", "dropped") for each in story.said.fires if getattr(each, kind))


@pytest.mark.parametrize("seed", range(6))
def test_what_plan_says_is_what_happens_in_known_stories(seed: int) -> None:
    check(Story(seed))
