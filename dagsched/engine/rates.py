"""Rate limits: when the next attempt of a job, or of anything in a pool, may start.

A limit `N/L` allows at most N starts in any window of length L that includes its beginning and not its end. So it is
enough to remember the newest N starts: the next is allowed a length after the oldest of them. Every start counts,
retries too. What is remembered is not kept with the state: the attempts are, and `learn` takes them from there.
"""

from __future__ import annotations

from bisect import insort
from collections import Counter
from collections.abc import Iterable, Mapping
from datetime import datetime, timedelta
from typing import NamedTuple

from dagsched.model import Job, RateLimit

Bucket = tuple[str, str]


class Start(NamedTuple):
    """An attempt began at the instant `at`; `job` and `pool` are "" where no limit counts it."""

    job: str
    pool: str
    at: datetime


class Rates:
    """The recent starts of all that is limited, by bucket: `("job", id)` or `("pool", name)`."""

    def __init__(self) -> None:
        self._starts: dict[Bucket, list[datetime]] = {}

    def learn(self, starts: Iterable[Start]) -> None:
        """Take starts from the store; one that is known already counts once."""
        found: dict[Bucket, list[datetime]] = {}
        for start in starts:
            for bucket in (("job", start.job), ("pool", start.pool)):
                if bucket[1]:
                    found.setdefault(bucket, []).append(start.at)
        for bucket, stamps in found.items():
            both = Counter(stamps) | Counter(self._starts.get(bucket, ()))
            self._starts[bucket] = sorted(both.elements())

    def known(self) -> list[Start]:
        """Return all that is remembered, for a plan that takes this one's place without a store."""
        found = []
        for (kind, name), stamps in self._starts.items():
            found += [Start(name, "", at) if kind == "job" else Start("", name, at) for at in stamps]
        return found

    def note(self, job: Job, pools: Mapping[str, RateLimit], now: datetime) -> None:
        """Count a start of `job`, at `now`, wherever it is limited."""
        if job.rate_limit is not None:
            self._add(("job", job.id), job.rate_limit, now)
        pool = job.pool or ""
        if pool in pools:
            self._add(("pool", pool), pools[pool], now)

    def job_opens(self, job: Job, now: datetime) -> datetime | None:
        """Return the instant after `now` from which the job's own limit allows a start, None if it does now."""
        return None if job.rate_limit is None else self._opens(("job", job.id), job.rate_limit, now)

    def pool_opens(self, pool: str, limit: RateLimit, now: datetime) -> datetime | None:
        """Return the instant after `now` from which the pool's limit allows a start, None if it does now."""
        return self._opens(("pool", pool), limit, now)

    def shift(self, by: timedelta) -> None:
        """Move all that is remembered with the wall clock, which somebody has set."""
        self._starts = {bucket: [stamp + by for stamp in stamps] for bucket, stamps in self._starts.items()}

    def _opens(self, bucket: Bucket, limit: RateLimit, now: datetime) -> datetime | None:
        stamps = self._starts.get(bucket, [])
        if len(stamps) < limit.starts:
            return None
        # A start that seems to lie ahead was stamped by a clock set back since: it is now at the latest.
        at = min(stamps[-limit.starts], now) + limit.per
        return at if at > now else None

    def _add(self, bucket: Bucket, limit: RateLimit, now: datetime) -> None:
        stamps = self._starts.setdefault(bucket, [])
        insort(stamps, now)
        # Halved now and then, so that forgetting costs little per start.
        if len(stamps) > 2 * limit.starts + 8:
            del stamps[: len(stamps) - limit.starts]
