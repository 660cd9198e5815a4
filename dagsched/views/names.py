"""From what a person types to the job or run that is meant.

A run may be typed as its full name, without the leading `job:`, or as a job's id, which means its newest run.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import TYPE_CHECKING

from dagsched.closest import get_close_matches
from dagsched.errors import Refused, Unknown
from dagsched.model import Run, RunState, parse_run_name

if TYPE_CHECKING:
    from dagsched.stores.contract import Store


def known_job(name: str, known: Iterable[str]) -> str:
    """Return the name if it is known; raises Unknown with the nearest."""
    names = list(known)
    if name not in names:
        raise Unknown("job", name, get_close_matches(name, names, n=3))
    return name


async def find_run(store: Store, text: str, *, prefer: Sequence[RunState] = ()) -> Run:
    """Return the run a person means; raises Unknown with near names, Refused for a job that has had no run.

    A name of a tick inside a range row finds that row. A job means its newest run in a state of `prefer`,
    else its newest run of all.
    """
    run = await _by_name(store, text) or await _newest(store, text, prefer) or await _newest(store, text, ())
    if run is not None:
        return run
    known = await store.marks()
    if text in known:
        raise Refused(f"{text} has had no run yet")
    raise Unknown("run", text, await _near(store, text, known))


async def _newest(store: Store, job: str, states: Sequence[RunState]) -> Run | None:
    newest = await store.rows(job, states=states, limit=1)
    return newest[0] if newest else None


async def _by_name(store: Store, text: str) -> Run | None:
    try:
        job, tick = parse_run_name(text if text.startswith("job:") else f"job:{text}")
    except ValueError:
        return None
    return await store.run(job, tick)


async def _near(store: Store, text: str, known: Iterable[str]) -> list[str]:
    """Return names that look like it: the newest runs of the job it names, else near job ids."""
    job = text.removeprefix("job:").partition(":")[0]
    newest = await store.rows(job, limit=3)
    if newest:
        return [run.name for run in newest]
    return get_close_matches(job, list(known), n=3)
