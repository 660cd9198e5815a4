"""The old program's fire times beside those of the loaded job: what is left over on either side, and why."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime
from typing import NamedTuple

from dagsched.declaration import Config
from dagsched.importers.draft import Draft
from dagsched.triggers import trigger_of

EXAMPLES = 5


class Difference(NamedTuple):
    """What the coming time holds for one job: `old` and `new` count starts.

    `missing`: instants only the old program has; `extra`: only dagsched; `explained`: instant and reason of those where
    the two are known to differ, which are counted in neither. `unverifiable`: why nothing could be compared, or "".
    """

    job: str
    old: int = 0
    new: int = 0
    missing: tuple[datetime, ...] = ()
    extra: tuple[datetime, ...] = ()
    explained: tuple[tuple[datetime, str], ...] = ()
    unverifiable: str = ""

    @property
    def is_zero(self) -> bool:
        """Whether nothing is left that has no reason."""
        return not self.missing and not self.extra


def compare(drafts: Sequence[Draft], config: Config, after: datetime, until: datetime) -> list[Difference]:
    """Return a row for each draft, over (after, until]; the jobs are those that the loader made of the emitted text."""
    return [_compare(draft, config, after, until) for draft in drafts]


def _compare(draft: Draft, config: Config, after: datetime, until: datetime) -> Difference:
    if draft.fires is None:
        return Difference(draft.id, unverifiable=draft.unverifiable or "it has no times of its own")
    job = config.jobs.get(draft.id)
    new = set(trigger_of(job.schedule).ticks(after, until)) if job is not None and job.schedule is not None else set()
    fires = {fire.tick: fire for fire in draft.fires(after, until)}
    explained = []
    for tick in sorted(fires.keys() | new):
        fire = fires.get(tick)
        if fire is not None and fire.why and (fire.times != 1 or fire.is_near or tick not in new):
            explained.append((tick, fire.why))
    reasons = {tick for tick, _ in explained}
    return Difference(
        draft.id,
        sum(fire.times for fire in fires.values()),
        len(new),
        tuple(sorted(fires.keys() - new - reasons)),
        tuple(sorted(new - fires.keys())),
        tuple(explained),
    )
