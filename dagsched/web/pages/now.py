"""*Now*: what runs, what waits and for what, what failed, what comes next."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from dagsched.model import LIVE, Run, RunState
from dagsched.views.rows import reason_of
from dagsched.web.table import Look, Page

LIVE_SHOWN = 100
FAILURES_SHOWN = 12
COMING_SHOWN = 20
USUAL_OF = 20


@dataclass(frozen=True, slots=True)
class Going:
    """A run that is not over. `usual_s`: how long the job's runs take, None when none is known."""

    run: Run
    blocked: str
    usual_s: float | None

    def elapsed_s(self, look: Look) -> float | None:
        """Return how long it has been running, None when it does not."""
        started = self.run.started
        return (look.now - started).total_seconds() if started and self.run.state is RunState.RUNNING else None


async def data(look: Look) -> Mapping[str, Any]:
    """Return what is going on."""
    store = look.desk.store
    live = await store.rows(states=sorted(LIVE), limit=LIVE_SHOWN * 5)
    failed = await store.rows(states=[RunState.FAILED], limit=FAILURES_SHOWN)
    daemon = await look.shelf.daemon()
    going = [run for run in live if run.state in (RunState.RUNNING, RunState.RETRYING)]
    waiting = [run for run in live if run.state in (RunState.QUEUED, RunState.WAITING)]
    blocked = daemon["blocked"] if daemon else {}
    usual = await look.shelf.usual_s({run.job for run in going[:LIVE_SHOWN]})
    soonest = await look.shelf.soonest(look.now, COMING_SHOWN)
    return {
        "running": [Going(run, blocked.get(run.name, ""), usual.get(run.job)) for run in going[:LIVE_SHOWN]],
        "waiting": [Going(run, blocked.get(run.name, ""), None) for run in waiting[:LIVE_SHOWN]],
        "totals": {"running": len(going), "waiting": len(waiting)},
        "failed": failed,
        "coming": soonest,
        "reason_of": reason_of,
        "problems": errors_first(daemon["problems"]) if daemon else [],
        "reverted": daemon["reverted"] if daemon else [],
    }


def errors_first(problems: Sequence[Mapping[str, Any]]) -> list[Mapping[str, Any]]:
    """Return the problems of the job files, errors before warnings."""
    return sorted(problems, key=lambda problem: problem["severity"] != "error")


PAGE = Page("/", "Now", "now.html", data, in_menu=True, follows=True)
