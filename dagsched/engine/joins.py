"""Joins in logical time: which upstream runs a run is judged against, and what the trigger rule says.

A run (j, T) is judged against one verdict of every upstream u: of u's newest tick <= T (`latest`), of u's tick at
exactly T (`same`), or of every schedule tick of u since j's previous schedule tick (`all`). The match is made once,
when the run is made, and kept as its links. `Join` counts verdicts as they come in, so that a run with a
thousand upstreams costs one step per upstream and not a thousand.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterator, Mapping, Sequence
from datetime import datetime, timedelta
from enum import Enum, IntEnum
from typing import NamedTuple

from dagsched.engine.due import MILLISECOND, newest_tick
from dagsched.engine.ledger import Ledger
from dagsched.model import BAD, LEFT_OUT, LIVE, Dependency, Job, Link, Match, Run, TriggerRule, is_schedule_tick
from dagsched.triggers import trigger_of

LOOK_BACK = timedelta(days=3660)


class Verdict(IntEnum):
    """What an upstream says so far; the order is the weight inside one `match: all`."""

    OK = 0
    LEFT = 1
    PENDING = 2
    BAD = 3


def links_of(job: Job, tick: datetime, ledger: Ledger, *, past: bool = False) -> tuple[Link, ...]:
    """Return what the run (job, tick) is judged against, one link or more per upstream (`all`: also none).

    `past`: the tick is backfilled, so that the row before it in memory need not be of the tick before it.
    """
    return tuple(link for edge in job.depends_on for link in link_edge(job, edge, tick, ledger, past=past))


def link_edge(job: Job, edge: Dependency, tick: datetime, ledger: Ledger, *, past: bool = False) -> Iterator[Link]:
    """Yield the links of one edge of the run (job, tick)."""
    if edge.match is Match.ALL:
        yield from _links_of_window(job, edge, tick, ledger, past)
        return
    row = _visible(ledger.covering(edge.job, tick))
    if edge.match is Match.SAME:
        yield Link(edge.job, tick if row else None, Match.SAME, exact=job.schedule is None)
    elif job.schedule is None and row is not None:
        # An unscheduled job takes the very tick that made it, whatever became of that.
        yield Link(edge.job, tick, Match.LATEST, exact=True)
    else:
        newest = ledger.newest(edge.job, tick)
        yield Link(edge.job, _last_tick(newest, tick) if newest else None, Match.LATEST)


def _links_of_window(job: Job, edge: Dependency, tick: datetime, ledger: Ledger, past: bool) -> Iterator[Link]:
    opened = previous_by_schedule(job, tick) if past else None
    opened = opened or ledger.schedule_tick_before(job.id, tick) or previous_by_schedule(job, tick)
    for row in ledger.between(edge.job, opened, tick):
        if is_schedule_tick(row.tick) or row.tick == tick:
            yield Link(edge.job, row.tick, Match.ALL)


def _last_tick(row: Run, until: datetime) -> datetime:
    """Return the newest tick of a row: a range that is split later must not lend its oldest one."""
    return row.until if row.until is not None and row.until <= until else row.tick


def previous_by_schedule(job: Job, tick: datetime) -> datetime | None:
    """Return the tick before `tick` that the job's schedule would have had, for a job that has no row yet.

    A job that is new counts from there, and not from the first row its upstream ever had.
    """
    if job.schedule is None:
        return None
    return newest_tick(trigger_of(job.schedule), tick - LOOK_BACK, tick - MILLISECOND)


def _visible(row: Run | None) -> Run | None:
    return None if row is None or row.only else row


def resolve(link: Link, ledger: Ledger) -> Run | None:
    """Return the run a link now points to: the matched row, or the run that stands in for it; None without one."""
    if link.tick is None:
        return None
    row = ledger.covering(link.job, link.tick)
    if row is None or row.stand_in is None or link.exact:
        return row
    for _ in range(100):  # A stand-in may itself have been replaced; chains are short and never cyclic.
        if row.stand_in is None or row.state in LIVE:
            break
        row = ledger.covering(link.job, row.stand_in) or row
    return row


def verdict_of(link: Link, row: Run | None) -> Verdict:
    """Return what one link says, given the row it resolves to."""
    if link.tick is None:
        # `same` without a tick at T is decided; an upstream that never had a tick is waited for.
        return Verdict.LEFT if link.match is Match.SAME else Verdict.PENDING
    if row is None:
        return Verdict.LEFT
    if row.state in LIVE:
        return Verdict.PENDING
    if row.state in BAD:
        return Verdict.BAD
    return Verdict.LEFT if row.state in LEFT_OUT else Verdict.OK


class Join:
    """The verdicts of one waiting run, counted per upstream.

    `links` in the order of `Run.links`; `upstreams` names every upstream of the job, also those without a link
    (an empty window of `all` is satisfied).
    """

    def __init__(self, rule: TriggerRule, upstreams: Sequence[str], links: Sequence[Link]) -> None:
        self.rule = rule
        self.links = links
        # Nothing heard is nothing to wait for, as with an empty window.
        self._said = [Verdict.OK] * len(links)
        # Counts stand in lists at the place that a verdict is: this is asked for every edge of every run.
        self._count = [len(set(upstreams)), 0, 0, 0]
        # An upstream with one link says what that says; only with `all`, or named twice, there are more to be weighed.
        self._edges: dict[str, list[int]] = {}
        if len({link.job for link in links}) < len(links):
            held = Counter(link.job for link in links)
            self._edges = {name: [held[name], 0, 0, 0] for name in upstreams}

    def hear(self, link: int, verdict: Verdict) -> None:
        """Take the verdict of link number `link`, the first or a newer one."""
        previous = self._said[link]
        if verdict is previous:
            return
        self._said[link] = verdict
        if self._edges:
            edge = self._edges[self.links[link].job]
            before = _edge_verdict(edge)
            edge[previous] -= 1
            edge[verdict] += 1
            previous, verdict = before, _edge_verdict(edge)
        self._count[previous] -= 1
        self._count[verdict] += 1

    def pending(self) -> list[int]:
        """Return the numbers of the links that are still waited for."""
        return [number for number, verdict in enumerate(self._said) if verdict is Verdict.PENDING]

    def first(self, verdict: Verdict) -> int | None:
        """Return the first link that says `verdict`."""
        return next((number for number, said in enumerate(self._said) if said is verdict), None)

    def judge(self) -> Judgement:
        """Return what the trigger rule says now, decided as early as it can be."""
        ok, left, pending, bad = self._count
        return judge(self.rule, Tally(ok, bad, left, pending))


def _edge_verdict(edge: list[int]) -> Verdict:
    _, left, pending, bad = edge
    if bad:
        return Verdict.BAD
    if pending:
        return Verdict.PENDING
    return Verdict.LEFT if left else Verdict.OK


class Judgement(Enum):
    """What a trigger rule says."""

    WAIT = "wait"
    RUN = "run"
    FAIL = "upstream_failed"
    SKIP = "skipped"


class Tally(NamedTuple):
    """How many upstreams are ok, bad, left out, and not decided yet."""

    ok: int
    bad: int
    left: int
    pending: int


def _never(tally: Tally) -> Judgement:
    return Judgement.FAIL if tally.bad else Judgement.SKIP


def _all_success(tally: Tally) -> Judgement:
    if tally.bad or tally.left:
        return _never(tally)
    return Judgement.WAIT if tally.pending else Judgement.RUN


def _all_done(tally: Tally) -> Judgement:
    return Judgement.WAIT if tally.pending else Judgement.RUN


def _all_failed(tally: Tally) -> Judgement:
    if tally.ok or tally.left:
        return Judgement.SKIP
    return Judgement.WAIT if tally.pending else Judgement.RUN


def _one_success(tally: Tally) -> Judgement:
    if tally.ok:
        return Judgement.RUN
    return Judgement.WAIT if tally.pending else _never(tally)


def _one_failed(tally: Tally) -> Judgement:
    if tally.bad:
        return Judgement.RUN
    return Judgement.WAIT if tally.pending else Judgement.SKIP


def _none_failed(tally: Tally) -> Judgement:
    if tally.bad:
        return Judgement.FAIL
    return Judgement.WAIT if tally.pending else Judgement.RUN


def _none_skipped(tally: Tally) -> Judgement:
    if tally.left:
        return _never(tally)
    return Judgement.WAIT if tally.pending else Judgement.RUN


_RULES: Mapping[TriggerRule, Callable[[Tally], Judgement]] = {
    TriggerRule.ALL_SUCCESS: _all_success,
    TriggerRule.ALL_DONE: _all_done,
    TriggerRule.ALL_FAILED: _all_failed,
    TriggerRule.ONE_SUCCESS: _one_success,
    TriggerRule.ONE_FAILED: _one_failed,
    TriggerRule.NONE_FAILED: _none_failed,
    TriggerRule.NONE_SKIPPED: _none_skipped,
    TriggerRule.ALWAYS: lambda tally: Judgement.RUN,
}


def judge(rule: TriggerRule, tally: Tally) -> Judgement:
    """Return what `rule` says of a tally; with no upstream at all every rule but `one_*` and `all_failed` runs."""
    return _RULES[rule](tally)
