"""What a SQLite store's reader does on its connection's thread, each on one unchanging view of the state."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from datetime import datetime
from typing import Any

from dagsched.model import Run, RunState
from dagsched.stores import codec
from dagsched.stores.contract import Snapshot
from dagsched.stores.needed import with_needed
from dagsched.stores.session import Procedures, decoded
from dagsched.stores.statistics import Facts

EVER_MS = 1 << 60


def snapshot(connection: Procedures, horizons: Mapping[str, datetime]) -> Snapshot:
    rows = [*live_runs(connection), *runs_of(connection, "newest_runs")]
    for job, horizon in horizons.items():
        rows += runs_of(connection, "runs_after", (job, codec.ms_of(horizon)))
    found = with_needed(rows, lambda job, tick: row_at(connection, job, tick))
    attempts = decoded(codec.attempt_of, connection.ask("open_attempts"))
    configs = connection.ask("configs", {"at": EVER_MS, "limit": 1})
    ((last_event, last_seen),) = connection.ask("log_position")
    return Snapshot(
        runs=sorted(found.values(), key=lambda run: (run.tick, run.job)),
        attempts=[attempt for attempt in attempts if (attempt.job, attempt.tick) in found],
        marks=decoded(codec.mark_of, connection.ask("marks")),
        last_event=last_event,
        last_seen=codec.instant_or_none(last_seen),
        config=decoded(codec.config_of, configs)[0] if configs else None,
        requests=decoded(codec.request_of, connection.ask("requests")),
    )


def live_runs(connection: Procedures) -> list[Run]:
    return runs_of(connection, "live_runs")


def runs_of(connection: Procedures, name: str, parameters: Sequence[Any] = ()) -> list[Run]:
    return decoded(codec.run_of, connection.ask(name, parameters))


def row_of(connection: Procedures, name: str, job: str, tick: datetime) -> Run | None:
    return next(iter(runs_of(connection, name, (job, codec.ms_of(tick)))), None)


def row_at(connection: Procedures, job: str, tick: datetime) -> Run | None:
    if exact := row_of(connection, "run", job, tick):
        return exact
    over = row_of(connection, "range_over", job, tick)
    return over if over is not None and over.tick <= tick else None


def keys_of(connection: Procedures, rows: Sequence[Run]) -> set[tuple[str, int]]:
    found = with_needed(rows, lambda job, tick: row_at(connection, job, tick))
    return {(job, codec.ms_of(tick)) for job, tick in found}


def facts_by_job(connection: Procedures, job: str | None, since_ms: int | None) -> dict[str, Facts]:
    bounds: dict[str, Any] = {} if job is None else {"job": job}
    if job is not None or since_ms is not None:
        bounds |= {"since": -EVER_MS if since_ms is None else since_ms}
    prefix = "job_" if job is not None else "" if since_ms is not None else "all_"
    facts: dict[str, Facts] = {}
    for name, state, count, ended in connection.ask(f"{prefix}state_counts", bounds):
        of_job = facts.setdefault(name, Facts())
        of_job.states[state] = count
        if state == RunState.SUCCESS:
            of_job.last_success = codec.instant_or_none(ended)
        if state == RunState.FAILED:
            of_job.last_failure = codec.instant_or_none(ended)
    for name, duration_ms, lateness_ms in connection.ask(f"{prefix}lengths", bounds):
        if duration_ms is not None:
            facts[name].durations_ms.append(duration_ms)
        if lateness_ms is not None:
            facts[name].lateness_ms.append(lateness_ms)
    return facts


def findings(connection: Procedures) -> list[str]:
    found = [text for (text,) in connection.ask("integrity") if text != "ok"]
    for name in ("check_orphans", "check_open_attempts", "check_log", "check_ranges"):
        found += [text for (text,) in connection.ask(name)]
    return found
