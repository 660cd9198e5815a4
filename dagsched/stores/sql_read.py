"""What a SQL store's reader does on its connection's thread, each on one unchanging view of the state."""

from __future__ import annotations

import heapq
import json
from collections import Counter
from collections.abc import Collection, Iterable, Mapping, Sequence
from datetime import datetime
from itertools import islice
from typing import Any

from dagsched.model import LIVE, Attempt, ConfigVersion, Run, RunState
from dagsched.stores import codec
from dagsched.stores.contract import Snapshot
from dagsched.stores.needed import by_start, last_tick, with_needed
from dagsched.stores.procedures import Procedures, decoded
from dagsched.stores.rollup import Days, Rollup, RowFacts, add_days, day_of, rolled_up
from dagsched.stores.statistics import RUNS_MEASURED, Facts

EVER_MS = 1 << 60
ATTEMPTS_PAGE = 1000
# A page of a long history takes a few milliseconds; others come between two.
FACTS_AT_ONCE = 250
DROPPED, PRESENT = "dropped", "present"


def snapshot(connection: Procedures, horizons: Mapping[str, datetime]) -> Snapshot:
    rows = [*live_runs(connection), *runs_of(connection, "newest_runs")]
    for job, horizon in horizons.items():
        rows += runs_of(connection, "runs_after", {"job": job, "after": codec.ms_of(horizon)})
    found = with_needed(rows, lambda job, tick: row_at(connection, job, tick))
    attempts = decoded(codec.attempt_of, connection.ask("open_attempts"))
    ((last_event, last_seen),) = connection.ask("log_position")
    ((last_backfill,),) = connection.ask("last_backfill")
    return Snapshot(
        runs=sorted(found.values(), key=lambda run: (run.tick, run.job)),
        attempts=[attempt for attempt in attempts if (attempt.job, attempt.tick) in found],
        marks=decoded(codec.mark_of, connection.ask("marks")),
        last_event=last_event,
        last_seen=codec.instant_or_none(last_seen),
        config=next(iter(configs(connection, {"at": EVER_MS, "limit": 1})), None),
        requests=decoded(codec.request_of, connection.ask("requests")),
        backfills=decoded(codec.backfill_of, connection.ask("active_backfills")),
        last_backfill=last_backfill,
        emissions=decoded(codec.emission_of, connection.ask("emissions")),
    )


def configs(connection: Procedures, bounds: Mapping[str, int]) -> list[ConfigVersion]:
    known: dict[str, str] = {}

    def text_of(digest: str) -> str:
        if digest not in known:
            ((known[digest],),) = connection.ask("text", (digest,))
        return known[digest]

    return decoded(lambda row: codec.config_of(row, text_of), connection.ask("configs", bounds))


def live_runs(connection: Procedures) -> list[Run]:
    return runs_of(connection, "live_runs")


def runs_of(connection: Procedures, name: str, parameters: Sequence[Any] | Mapping[str, Any] = ()) -> list[Run]:
    return decoded(codec.run_of, connection.ask(name, parameters))


def row_of(connection: Procedures, name: str, job: str, tick: datetime) -> Run | None:
    return next(iter(runs_of(connection, name, (job, codec.ms_of(tick)))), None)


def row_at(connection: Procedures, job: str, tick: datetime) -> Run | None:
    if exact := row_of(connection, "run", job, tick):
        return exact
    over = row_of(connection, "range_over", job, tick)
    return over if over is not None and over.tick <= tick else None


def rows_at(connection: Procedures, ticks: Collection[tuple[str, datetime]]) -> dict[tuple[str, datetime], Run]:
    """Return the row that covers each of these ticks; only for those without a row of their own one by one."""
    wanted = json.dumps([(job, codec.ms_of(tick)) for job, tick in dict.fromkeys(ticks)])
    exact = {(run.job, run.tick): run for run in runs_of(connection, "runs_of", {"wanted": wanted})}
    found = {key: exact[key] if key in exact else row_at(connection, *key) for key in ticks}
    return {key: run for key, run in found.items() if run is not None}


def started_since(connection: Procedures, since: datetime) -> list[Attempt]:
    """Return attempts by their start, looking back page by page until a whole page lies before `since`."""
    found: list[Attempt] = []
    below = EVER_MS
    while True:
        rows = connection.ask("attempts_below", {"below": below, "limit": ATTEMPTS_PAGE})
        page = [attempt for attempt in decoded(codec.attempt_of, rows) if attempt.started >= since]
        found += page
        if not page or len(rows) < ATTEMPTS_PAGE:
            return sorted(found, key=by_start)
        below = rows[-1][-1]


def keys_of(connection: Procedures, rows: Sequence[Run]) -> set[tuple[str, int]]:
    found = with_needed(rows, lambda job, tick: row_at(connection, job, tick))
    return {(job, codec.ms_of(tick)) for job, tick in found}


def rows_of_job(
    connection: Procedures, job: str, bounds: Mapping[str, Any], states: Sequence[RunState], newest_first: bool
) -> list[Run]:
    """Return rows of one job: those of one tick and range rows, each found in order, merged."""
    listed = f"|{'|'.join(state.value for state in states)}|" if states else ""
    order = "newest" if newest_first else "oldest"
    bounds = {**bounds, "job": job, "states": listed}
    walks = [connection.ask(f"{kind}_{order}", bounds) for kind in ("job_rows", "job_range_rows")]
    return _merged([decoded(codec.run_of, walk) for walk in walks], bounds, newest_first)


def rows_of_all(
    connection: Procedures, bounds: Mapping[str, Any], states: Sequence[RunState], newest_first: bool
) -> list[Run]:
    """Return rows of all jobs: one walk of the index per state of what is over, and the few that are not, merged."""
    wanted, order = set(states or RunState), "newest" if newest_first else "oldest"
    live = decoded(codec.run_of, connection.ask("live_rows", bounds)) if wanted & LIVE else []
    walks = [sorted((run for run in live if run.state in wanted), key=_sorting_key, reverse=newest_first)]
    for state in sorted(wanted - LIVE):
        rows = connection.ask(f"state_rows_{order}", {**bounds, "state": state.value})
        walks.append(decoded(codec.run_of, rows))
    return _merged(walks, bounds, newest_first)


def newest(connection: Procedures, bounds: Mapping[str, Any]) -> dict[str, list[Run]]:
    """Return the newest rows of each job, newest first."""
    found: dict[str, list[Run]] = {}
    for run in decoded(codec.listed_of, connection.ask("newest_of_jobs", bounds)):
        found.setdefault(run.job, []).append(run)
    for runs in found.values():
        runs.sort(key=lambda run: run.tick, reverse=True)
    return {job: found[job] for job in json.loads(bounds["jobs"]) if job in found}


def _merged(walks: Sequence[Sequence[Run]], bounds: Mapping[str, Any], newest_first: bool) -> list[Run]:
    limit = bounds["limit"]
    merged = heapq.merge(*walks, key=_sorting_key, reverse=newest_first)
    return list(islice(merged, None if limit < 0 else limit))


def _sorting_key(run: Run) -> tuple[datetime, str, datetime]:
    return last_tick(run), run.job, run.tick


def counts_by_job(connection: Procedures) -> dict[str, Counter[str]]:
    # Adding up drops the states whose rows are all gone.
    return {job: +facts.states for job, facts in _counted(connection.ask("counts")).items()}


def last_ends(connection: Procedures) -> dict[str, dict[str, datetime]]:
    found: dict[str, dict[str, datetime]] = {}
    for job, state, ended in connection.ask("last_ends"):
        found.setdefault(job, {})[state] = codec.instant(ended)
    return found


def facts_by_job(connection: Procedures, job: str | None, since_ms: int | None) -> dict[str, Facts]:
    if since_ms is not None:
        facts = _counted(_counts_since(connection, since_ms))
    elif job is not None:
        facts = _counted(connection.ask("job_counts", {"job": job}))
    else:
        facts = _counted(connection.ask("counts"))
    if job is not None:
        facts = {name: found for name, found in facts.items() if name == job}
    for name, found in facts.items():
        since = -EVER_MS if since_ms is None else since_ms
        bounds = {"job": name, "since": since, "limit": RUNS_MEASURED}
        for duration_ms, lateness_ms in connection.ask("lengths", bounds):
            if duration_ms is not None:
                found.durations_ms.append(duration_ms)
            if lateness_ms is not None:
                found.lateness_ms.append(lateness_ms)
    return facts


def _counts_since(connection: Procedures, since_ms: int) -> list[Any]:
    bounds = {"since": since_ms}
    rows = connection.ask("live_counts_since", bounds)
    for state in sorted(set(RunState) - LIVE):
        rows += connection.ask("counts_since", {**bounds, "state": state.value})
    return rows


def _counted(rows: Iterable[Sequence[Any]]) -> dict[str, Facts]:
    facts: dict[str, Facts] = {}
    for job, state, count, ended in rows:
        found = facts.setdefault(job, Facts())
        found.states[state] += count
        if state == RunState.SUCCESS:
            found.last_success = codec.instant_or_none(ended)
        if state == RunState.FAILED:
            found.last_failure = codec.instant_or_none(ended)
    # A job may have no row left: what was counted is gone.
    return {job: found for job, found in facts.items() if found.states.total()}


def facts_of(job: str, row: Sequence[Any]) -> RowFacts:
    last, state, duration_ms, lateness_ms = row
    return RowFacts(job, day_of(last), state, duration_ms, lateness_ms)


def rollup_of(body: str) -> Rollup:
    return decoded(lambda row: Rollup.of(row[0]), [(body,)])[0]


def page_of_facts(connection: Procedures, job: str, after_ms: int, before_ms: int) -> tuple[Days, int | None]:
    """Return the figures by day of a job's next rows after a tick, and the tick reached, None at the end."""
    bounds = {"job": job, "after": after_ms, "before": before_ms, "limit": FACTS_AT_ONCE}
    rows = connection.ask("job_facts", bounds)
    days = rolled_up(facts_of(job, row[1:]) for row in rows)
    return days, rows[-1][0] if len(rows) == FACTS_AT_ONCE else None


def changed_days(connection: Procedures, job: str, days: Days, before_ms: int) -> dict[int, Rollup]:
    """Return the figures, by day, that are not kept as `days` says they are; empty ones of days without a row."""
    rows = connection.ask("job_rollups", {"job": job, "since": -EVER_MS})
    known = {day: body for _, day, part, body in rows if part == PRESENT and day < before_ms}
    found = {}
    for day in sorted(known.keys() | {day for _, day in days}):
        rollup = days.get((job, day), Rollup())
        if known.get(day, "") != (rollup.as_text() if rollup.states else ""):
            found[day] = rollup
    return found


def counted_jobs(connection: Procedures) -> list[str]:
    return [job for (job,) in connection.ask("counted_jobs")]


def days_since(connection: Procedures, job: str | None, since_ms: int) -> Days:
    """Return the figures by day: of deleted rows and days before the last roll-up as kept, of the rest as they are."""
    since_ms = day_of(since_ms)
    rolled = max((before for (before,) in connection.ask("rolled")), default=-EVER_MS)
    if job is None:
        stored = connection.ask("rollups", {"since": since_ms})
    else:
        stored = connection.ask("job_rollups", {"job": job, "since": since_ms})
    found: Days = {}
    for name, day, part, body in stored:
        if part == DROPPED or day < rolled:
            add_days(found, {(name, day): rollup_of(body)})
    for name in counted_jobs(connection) if job is None else [job]:
        rows = connection.ask("facts_since", {"job": name, "since": max(since_ms, rolled)})
        add_days(found, rolled_up(facts_of(name, row) for row in rows))
    return found


def findings(connection: Procedures) -> list[str]:
    found = [text for (text,) in connection.ask("integrity") if text != "ok"]
    for name in ("check_orphans", "check_open_attempts", "check_log", "check_ranges", "check_totals"):
        found += [text for (text,) in connection.ask(name)]
    return found
