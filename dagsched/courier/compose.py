"""From gathered news to one message: a broken run is named once, and what did not start for it is counted.

Nothing here decides what is delivered how; it reads the state and what notifiers know already.
"""

from __future__ import annotations

import hashlib
from collections.abc import Sequence
from dataclasses import dataclass, field
from datetime import datetime
from typing import NamedTuple

from dagsched.config.lengths import parse_length
from dagsched.courier.rules import is_asked
from dagsched.model import BAD, Config, EventRow, Origin, Run, RunState, format_instant, run_name
from dagsched.notifiers import Item, Message, message_of
from dagsched.notifiers.message import AFFECTED_MAX
from dagsched.stores.contract import Store
from dagsched.stores.notices import Notices

Key = tuple[str, datetime]
STEPS_MAX = 1000
REPEAT = "4h"
"""How long a notifier is not told again of a job that goes on failing or being late, when it does not say."""
ENDS = {"recovered": "failure", "in_time": "late"}
"""The kinds of news that end what another kind has begun; nobody is told of `in_time`."""
_ENDED_BY = {trouble: end for end, trouble in ENDS.items()}


class Composed(NamedTuple):
    """A message, and what its notifier knows with it: `broken` runs, jobs in trouble (`broke`), jobs that are `mended`.

    `spared`: jobs whose trouble goes on, once for each time that it is not told of because it was told lately.
    """

    message: Message | None
    broken: tuple[Key, ...] = ()
    broke: tuple[str, ...] = ()
    mended: tuple[str, ...] = ()
    spared: tuple[str, ...] = ()


@dataclass(slots=True)
class Cluster:
    """A broken run and what did not start for it. `row`: the news of its own failure, None when only others tell."""

    run: Run | None
    row: EventRow | None
    affected: list[str] = field(default_factory=list)

    def jobs(self, key: Key) -> Sequence[str]:
        """Return the jobs that its news are of."""
        return [key[0]] if self.row is not None else list(dict.fromkeys(self.affected))


class Composer:
    """Makes the message of one group of news."""

    def __init__(self, store: Store, notices: Notices, config: Config, source: str, now: datetime) -> None:
        self._store, self._notices, self._config = store, notices, config
        self._source, self._now = source, now
        self._runs: dict[Key, Run | None] = {}
        self._roots: dict[Key, Run] = {}

    async def message(self, notifier: str, kind: str, news: Sequence[EventRow]) -> Composed:
        """Return what is to be told, `message` None when it turns out to be nothing. The news are oldest first."""
        if kind == "config_rejected":
            return Composed(self._told(notifier, kind, news, (), news[-1]))
        rows = [row for row in news if not await self._is_of_once(row)]
        if kind == "failure":
            return await self._failure(notifier, kind, rows)
        if kind == "late":
            return await self._late(notifier, kind, rows)
        if kind in ENDS:
            rows = [row for row in rows if self._notices.is_troubled(notifier, ENDS[kind], row.job)]
            rows = list({row.job: row for row in reversed(rows)}.values())[::-1]
            return await self._recovered(notifier, kind, rows)
        items = [self._item(row, await self._run(row.job, row.tick)) for row in rows]
        return Composed(self._told(notifier, kind, news, items))

    async def _recovered(self, notifier: str, kind: str, rows: Sequence[EventRow]) -> Composed:
        # Whoever wants no word of it is told of the next failure at once all the same.
        told = [row for row in rows if is_asked(self._config, row, kind, notifier)]
        items = [self._item(row, await self._run(row.job, row.tick)) for row in told]
        return Composed(self._told(notifier, kind, rows, items), mended=tuple(row.job for row in rows))

    async def _late(self, notifier: str, kind: str, rows: Sequence[EventRow]) -> Composed:
        spared = {row.job for row in rows if self._is_spared(notifier, kind, row.job)}
        told = [row for row in rows if row.job not in spared]
        items = [self._item(row, await self._run(row.job, row.tick)) for row in told]
        items = [item._replace(untold=self._untold(notifier, kind, item.job)) for item in items]
        broke = tuple(dict.fromkeys(row.job for row in told))
        return Composed(
            self._told(notifier, kind, rows, items),
            broke=broke,
            spared=tuple(row.job for row in rows if row.job in spared),
        )

    async def _failure(self, notifier: str, kind: str, rows: Sequence[EventRow]) -> Composed:
        clusters: dict[Key, Cluster] = {}
        for row in rows:
            if row.to_state == RunState.FAILED and row.tick is not None:
                clusters[row.job, row.tick] = Cluster(await self._run(row.job, row.tick), row)
        for row in rows:
            if row.to_state == RunState.FAILED or row.tick is None:
                continue
            run = await self._run(row.job, row.tick)
            root = await self._root(run) if run is not None else None
            key = root.key if root is not None else (row.job, row.tick)
            if key not in clusters and self._notices.was_told(notifier, *key):
                continue  # it knows what is broken; that more waits for it is no news
            cluster = clusters.setdefault(key, Cluster(root, row if root is None else None))
            cluster.affected.append(row.job)
        spared = [key for key, each in clusters.items() if self._are_spared(notifier, each.jobs(key))]
        told = {key: each for key, each in clusters.items() if key not in spared}
        items = [self._item_of(notifier, key, each) for key, each in told.items()]
        items.sort(key=lambda item: -item.affected)
        broke = dict.fromkeys(job for key, each in told.items() for job in each.jobs(key))
        return Composed(
            self._told(notifier, kind, rows, items),
            tuple(clusters),
            tuple(broke),
            spared=tuple(job for key in spared for job in clusters[key].jobs(key)),
        )

    def _are_spared(self, notifier: str, jobs: Sequence[str]) -> bool:
        """Whether the notifier was told so lately that these jobs fail that it need not be told again."""
        return all(self._is_spared(notifier, "failure", job) for job in jobs)

    def _is_spared(self, notifier: str, kind: str, job: str) -> bool:
        known = self._notices.last_told(notifier, kind, job)
        if known is None or self._notices.is_gathered(notifier, _ENDED_BY[kind], job):
            return False  # a job that has worked, or was in time, in between has begun anew
        spec = self._config.notifiers.get(notifier, {})
        return self._now - known[0] < parse_length(spec.get("repeat", REPEAT))

    async def _is_of_once(self, row: EventRow) -> bool:
        """Whether it is of a `run --once`: whoever started that has seen it."""
        run = await self._run(row.job, row.tick)
        return run is not None and run.origin is Origin.ONCE

    async def _run(self, job: str, tick: datetime | None) -> Run | None:
        if tick is None:
            return None
        if (job, tick) not in self._runs:
            self._runs[job, tick] = await self._store.run(job, tick)
        return self._runs[job, tick]

    async def _root(self, run: Run) -> Run:
        """Return the run for which this one could not start: the first on the way up that went bad by itself."""
        path, at = [run.key], run
        for _ in range(STEPS_MAX):
            if at.state is not RunState.UPSTREAM_FAILED or at.key in self._roots:
                break
            above = await self._bad_upstream(at)
            if above is None or above.key in path:
                break
            path.append(above.key)
            at = above
        root = self._roots.get(at.key, at)
        self._roots.update(dict.fromkeys(path, root))
        return root

    async def _bad_upstream(self, run: Run) -> Run | None:
        found = []
        for link in run.links:
            above = await self._run(link.job, link.tick)
            while above is not None and above.stand_in is not None and above.state not in BAD:
                above = await self._run(above.job, above.stand_in)
            if above is not None and above.state in BAD:
                found.append(above)
        # What failed by itself tells more than what could not start either.
        return min(found, key=lambda each: each.state is RunState.UPSTREAM_FAILED, default=None)

    # ------------------------------------------------------------ in words

    def _told(
        self,
        notifier: str,
        kind: str,
        news: Sequence[EventRow],
        items: Sequence[Item],
        rejected: EventRow | None = None,
    ) -> Message | None:
        if not items and rejected is None:
            return None
        first = news[0]
        basis = f"{self._source}\n{notifier}\n{kind}\n{first.seq}\n{format_instant(first.time)}"
        id = "msg_" + hashlib.sha256(basis.encode()).hexdigest()[:26]
        problems = list(rejected.detail.get("problems", ())) if rejected is not None else []
        return message_of(id, kind, notifier, format_instant(self._now), self._source, items, problems)

    def _item_of(self, notifier: str, key: Key, cluster: Cluster) -> Item:
        job, tick = key
        row = cluster.row or EventRow(0, tick, "", job, tick)
        names = tuple(dict.fromkeys(cluster.affected))[:AFFECTED_MAX]
        item = self._item(row, cluster.run)
        untold = self._untold(notifier, "failure", job)
        return item._replace(affected=len(cluster.affected), affected_jobs=names, untold=untold)

    def _untold(self, notifier: str, kind: str, job: str) -> int:
        known = self._notices.last_told(notifier, kind, job)
        return known[1] if known else 0

    def _item(self, row: EventRow, run: Run | None) -> Item:
        job = self._config.jobs.get(row.job)
        assert row.tick is not None, "news of a job are of a run"
        state, reason, attempt = row.to_state, row.reason, row.attempt
        if run is not None and not state:
            state, reason, attempt = str(run.state), reason or run.reason, run.attempts or None
        return Item(
            job=row.job,
            run=run_name(row.job, row.tick),
            state=state,
            reason=reason,
            attempt=attempt,
            started=format_instant(run.started) if run is not None and run.started else None,
            ended=format_instant(run.ended) if run is not None and run.ended else None,
            owner=job.owner if job else "",
            description=job.description if job else "",
        )
