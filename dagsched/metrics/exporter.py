"""All figures as text in the format of Prometheus, with a few queries whatever the length of the history."""

from __future__ import annotations

import platform
from collections import Counter
from collections.abc import Iterable, Iterator, Mapping
from datetime import datetime
from typing import Any

import dagsched
from dagsched.config import load_texts
from dagsched.errors import UsageError
from dagsched.metrics.buckets import Buckets
from dagsched.metrics.meter import Meter
from dagsched.model import EMPTY, Config, RunState, parse_instant
from dagsched.stores.contract import Snapshot, Store

JOBS_MAX = 200
OTHER = "other"
RECENT = 20_000
PAGE = 5_000


class Exporter:
    """Answers again and again; counters and histograms begin RECENT events before the first answer."""

    def __init__(self, store: Store) -> None:
        self._store = store
        self._meter: Meter | None = None
        self._config: tuple[str, Config] = ("", Config({}))

    async def text(
        self, status: Mapping[str, Any] | None, now: datetime, notices: Mapping[str, int] = EMPTY
    ) -> bytes:
        """Return all figures; `status`: a running daemon's, None if none. Raises UsageError without the library."""
        _require_library()
        snapshot = await self._store.snapshot({})
        meter = await self._counted(snapshot.last_event)
        config = self._config_of(snapshot)
        figures = Figures()
        figures.daemon(status)
        figures.configuration(config, snapshot, status)
        figures.runs(await self._store.counts(), await self._store.last_ends())
        figures.pools(config, snapshot)
        figures.events(meter, snapshot.last_event)
        figures.notices(notices)
        return figures.text()

    async def _counted(self, last: int) -> Meter:
        meter = self._meter = self._meter or Meter(max(0, last - RECENT))
        while rows := await self._store.events(since=meter.cursor, limit=PAGE):
            meter.take(rows)
        return meter

    def _config_of(self, snapshot: Snapshot) -> Config:
        version = snapshot.config
        if version is not None and version.digest != self._config[0]:
            self._config = (version.digest, load_texts(version.files, version.applied).config or Config({}))
        return self._config[1]


class Figures:
    """Families of figures, gathered one after the other."""

    def __init__(self) -> None:
        from prometheus_client import core

        self._core = core
        self._families: list[Any] = []

    def text(self) -> bytes:
        """Return them in the text format, version 0.0.4."""
        from prometheus_client import CollectorRegistry, generate_latest

        registry = CollectorRegistry(auto_describe=False)
        registry.register(self)
        return generate_latest(registry)

    def collect(self) -> Iterable[Any]:
        """Return what has been gathered; what a registry asks for."""
        return self._families

    # ------------------------------------------------------------ families

    def daemon(self, status: Mapping[str, Any] | None) -> None:
        """Is it up, since when, and can it write."""
        labels = {"version": dagsched.__version__, "python": platform.python_version()}
        self._gauge("build_info", "What this is.", [(labels, 1.0)])
        self._gauge("up", "Whether a daemon is running on this state.", [({}, float(status is not None))])
        if status is None:
            return
        since = parse_instant(status["since"]).timestamp()
        self._gauge("start_time_seconds", "When the daemon started.", [({}, since)])
        is_well = float(status["health"] == "ok")
        self._gauge("state_writable", "Whether the daemon can write its state.", [({}, is_well)])
        if status.get("slots"):
            self._gauge("slots", "How many attempts may run at a time.", [({}, float(status["slots"]))])
        if status.get("commits"):
            commits = Buckets.from_json(status["commits"])
            self._histogram("commit_duration_seconds", "How long it took to make transitions durable.", commits)

    def configuration(self, config: Config, snapshot: Snapshot, status: Mapping[str, Any] | None) -> None:
        """Which configuration is in force, and what is wrong with the files."""
        version = snapshot.config
        if version is not None:
            self._gauge("config_version", "Number of the configuration in force.", [({}, float(version.number))])
            applied = version.applied.timestamp()
            self._gauge("config_applied_timestamp_seconds", "When it came into force.", [({}, applied)])
        if status is not None:
            found = Counter({"error": 0, "warning": 0})
            found.update(problem["severity"] for problem in status["problems"])
            rows = [({"severity": severity}, float(count)) for severity, count in sorted(found.items())]
            self._gauge("config_problems", "Problems of the job files as they are now.", rows)
        paused = {mark.job for mark in snapshot.marks if mark.paused is not None}
        jobs = Counter({"enabled": 0, "disabled": 0, "paused": 0})
        jobs.update(
            "disabled" if not job.enabled else "paused" if id in paused else "enabled"
            for id, job in config.jobs.items()
        )
        self._gauge("jobs", "Jobs of the configuration in force.", [({"state": s}, float(n)) for s, n in jobs.items()])

    def runs(self, counts: Mapping[str, Mapping[str, int]], ends: Mapping[str, Mapping[str, datetime]]) -> None:
        """How many runs there are in each state, by job, and when one ended well or badly last."""
        names = frozenset(sorted(counts.keys() | ends.keys())[:JOBS_MAX])
        rows: Counter[tuple[str, str]] = Counter()
        for job, states in counts.items():
            for state, count in states.items():
                rows[job if job in names else OTHER, state] += count
        told = [({"job": job, "state": state}, float(count)) for (job, state), count in sorted(rows.items())]
        self._gauge("runs", "Runs on record, by what became of them.", told)
        for state, word in ((RunState.SUCCESS, "success"), (RunState.FAILED, "failure")):
            newest: dict[str, float] = {}
            for job, by_state in ends.items():
                if state in by_state:
                    name = job if job in names else OTHER
                    newest[name] = max(newest.get(name, 0.0), by_state[state].timestamp())
            help = f"When a run of the job last ended as a {word}."
            self._gauge(f"last_{word}_timestamp_seconds", help, [({"job": job}, at) for job, at in newest.items()])

    def pools(self, config: Config, snapshot: Snapshot) -> None:
        """How much of the pools is in use."""
        used = Counter(dict.fromkeys(config.pools, 0))
        running = 0
        for run in snapshot.runs:
            if run.state is RunState.RUNNING:
                running += 1
                job = config.jobs.get(run.job)
                if job is not None and job.pool is not None:
                    used[job.pool] += job.slots
        self._gauge("attempts_running", "Attempts that are under way.", [({}, float(running))])
        sizes = [({"pool": name}, float(slots)) for name, slots in config.pools.items()]
        self._gauge("pool_slots", "Slots of the pool.", sizes)
        self._gauge("pool_slots_used", "Slots in use.", [({"pool": name}, float(n)) for name, n in used.items()])

    def events(self, meter: Meter, last: int) -> None:
        """What happened, and how long it took."""
        self._counter("events_recorded", "Lines of the event log ever written.", [({}, float(last))])
        self._counter("events", "Events seen, by type.", _labelled("type", meter.events))
        self._counter("runs_ended", "Ends of runs seen, by state.", _labelled("state", meter.ended))
        self._counter("attempts_ended", "Ends of attempts seen, by outcome.", _labelled("outcome", meter.attempts))
        self._histogram("schedule_lag_seconds", "From a scheduled tick to the first start for it.", meter.lag)
        self._histogram("queue_wait_seconds", "From a run's being ready to its first start.", meter.wait)
        self._histogram("attempt_duration_seconds", "From start to end of an attempt.", meter.length)

    def notices(self, counts: Mapping[str, int]) -> None:
        """What became of notifications."""
        if counts:
            self._gauge("notifications", "Notifications on record, by state.", _labelled("state", counts))

    # ------------------------------------------------------------ kinds

    def _gauge(self, name: str, help: str, rows: Iterable[tuple[Mapping[str, str], float]]) -> None:
        self._add(self._core.GaugeMetricFamily(f"dagsched_{name}", help), f"dagsched_{name}", rows)

    def _counter(self, name: str, help: str, rows: Iterable[tuple[Mapping[str, str], float]]) -> None:
        self._add(self._core.CounterMetricFamily(f"dagsched_{name}", help), f"dagsched_{name}_total", rows)

    def _add(self, family: Any, name: str, rows: Iterable[tuple[Mapping[str, str], float]]) -> None:
        for labels, value in rows:
            family.add_sample(name, dict(labels), value)
        self._families.append(family)

    def _histogram(self, name: str, help: str, lengths: Buckets) -> None:
        buckets = lengths.cumulative()
        family = self._core.HistogramMetricFamily(f"dagsched_{name}", help, buckets=buckets, sum_value=lengths.sum_s)
        self._families.append(family)


def _labelled(label: str, counts: Mapping[str, int]) -> Iterator[tuple[Mapping[str, str], float]]:
    for name in sorted(counts):
        yield {label: name}, float(counts[name])


def _require_library() -> None:
    try:
        import prometheus_client  # noqa: F401
    except ImportError:
        raise UsageError("metrics need prometheus-client; fix: pip install 'dagsched[metrics]'") from None
