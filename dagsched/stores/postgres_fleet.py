"""A scheduler's side of attempts in other places on PostgreSQL, and what anybody may ask about workers."""

from __future__ import annotations

import json
from collections.abc import Callable, Sequence
from datetime import UTC, datetime
from typing import Any, Protocol

from dagsched.clock import boottime_s
from dagsched.model import Exit, Outcome, parse_run_name, run_name
from dagsched.stores import codec, sql_retention
from dagsched.stores.address import Address
from dagsched.stores.contract import Dispatch
from dagsched.stores.delivery import channel_of
from dagsched.stores.fleet import Began, Key, Remainder, Reports, Waiting, WorkerRow, began_of, exit_of, text_of
from dagsched.stores.lease import attempts_s, safe_after_s
from dagsched.stores.postgres_listener import Listener
from dagsched.stores.postgres_session import Connection, Session
from dagsched.stores.procedures import decoded

DISPATCH_COLUMNS = ("job", "tick", "number", "queue", "labels", "channel", "priority", "env")
# procrastinate serves the greatest number first, and its numbers have 32 bits: seconds from here last until 2093.
TURNS_FROM = datetime(2025, 1, 1, tzinfo=UTC)
_PRIORITY_MAX = 2**31 - 1


def dispatch_columns(dispatch: Dispatch) -> codec.Row:
    """Return a dispatch as DISPATCH_COLUMNS."""
    turn_s = int((TURNS_FROM - dispatch.turn).total_seconds())
    return (
        dispatch.job, codec.ms_of(dispatch.tick), dispatch.number, dispatch.queue, json.dumps(list(dispatch.labels)),
        channel_of(dispatch.queue, dispatch.labels), max(-_PRIORITY_MAX, min(_PRIORITY_MAX, turn_s)),
        codec.json_of({name: codec.storable(value) for name, value in dispatch.env.items()}),
    )  # fmt: skip


class Sessions(Protocol):
    """What a fleet needs of its store."""

    address: Address
    _epoch: int
    _place: str

    def _opened_reader(self) -> Session: ...

    def _opened_writer(self) -> Session: ...


class PostgresFleet:
    """What a scheduler does with attempts of other places; what the active one writes carries its epoch."""

    def __init__(self, store: Sessions) -> None:
        self._store = store

    async def dispatched(self) -> Sequence[Key]:
        found = await self._store._opened_reader().read(lambda connection: connection.ask("dispatched"))
        return [_key(row) for row in found]

    async def left(self) -> Sequence[Key]:
        wanted = (self._store._place,)
        found = await self._store._opened_reader().read(lambda connection: connection.ask("left_open", wanted))
        return [_key(row) for row in found]

    async def reports(self) -> Reports:
        found = await self._store._opened_reader().read(lambda connection: decoded(_said, connection.ask("reports")))
        return Reports([began for began, _ in found if began], [ended for _, ended in found if ended])

    async def hand_over(self, ended: Sequence[Exit], *, vouches: bool) -> Remainder:
        place, length_s, asked_s = self._store._place, attempts_s(), boottime_s()
        said = {"place": place, "safe_s": safe_after_s(length_s)}
        reported = _ends(ended, place)

        def work(connection: Connection) -> Remainder:
            ((is_led,),) = connection.ask("is_led", (place,))
            open = _open(connection, place)
            # Before anything is reported, so that rows are locked in the order in which the active one locks them.
            is_vouched = vouches and bool(open and connection.ask("vouch", said))
            if open and reported and connection.ask("report_ends", reported):
                connection.ask("tell_scheduler")
            # Counted from before the server was asked. What nobody waits for any more ends at once.
            return Remainder(open, asked_s + length_s if is_vouched else asked_s, is_led)

        return await self._store._opened_writer().write(work)

    async def stop(self, run: str, attempt: int, cause: str, now: datetime) -> None:
        key = dict(zip(("job", "tick", "number"), _columns_of(run, attempt), strict=True))
        untaken = Exit(run, attempt, Outcome.CANCELLED, now, cause="cancel", reason="cancelled")

        def work(connection: Connection) -> None:
            connection.ask("impatient")
            sql_retention.fenced(connection, self._store._epoch)
            found = connection.ask("stop_dispatch", {**key, "cause": cause, "ended": text_of(untaken)})
            for (worker,) in found:
                connection.ask("tell_worker", (worker,)) if worker else connection.ask("tell_scheduler")

        await self._store._opened_writer().write(work)

    async def mend(self, now: datetime, *, is_left: bool = True) -> Sequence[Key]:
        lost = Exit("", 0, Outcome.LOST, now, reason="its worker was not heard of any more")
        left = lost._replace(reason="the scheduler that had it was not heard of")

        def work(connection: Connection) -> list[Any]:
            connection.ask("impatient")
            sql_retention.fenced(connection, self._store._epoch)
            found = connection.ask("lose_dispatches", (text_of(lost),))
            # These look at every week that there is, so they are asked only when there is something.
            if is_left:
                found += connection.ask("lose_attempts", {"ended": text_of(left), "place": self._store._place})
            if connection.ask("has_ends"):
                connection.ask("forget_ends")
            connection.ask("mend_deliveries")
            connection.ask("forget_workers")
            return found

        return [_key(row) for row in await self._store._opened_writer().write(work)]

    def listen(self, heard: Callable[[], None]) -> Callable[[], None]:
        channel = f"{self._store.address.schema}_ends"
        listener = Listener(self._store.address, "reports", [channel], lambda channel, text: heard())
        listener.start()
        return listener.stop


def _ends(ended: Sequence[Exit], place: str) -> dict[str, Any]:
    """Return how attempts ended as parameters of `report_ends`, none of them for none."""
    rows = [(*_columns_of(exit.run, exit.attempt), text_of(exit)) for exit in ended]
    text = codec.json_of_rows(("job", "tick", "number", "ended"), rows)
    return {"ends": text, "place": place, "ticks": [tick for _, tick, *_ in rows]} if text else {}


def _open(connection: Connection, place: str) -> dict[tuple[str, int], str]:
    """Return the open attempts of a place, each with why it has been told to end."""
    found = connection.ask("remaining", (place,))
    if not found:
        return {}
    wanted = {"ticks": [tick for _, tick, _ in found], "jobs": [job for job, *_ in found]}
    told = {(job, tick): why for job, tick, why in connection.ask("told_to_end", wanted)}
    return {(run_name(job, codec.instant(tick)), number): told.get((job, tick), "") for job, tick, number in found}


def _columns_of(run: str, attempt: int) -> tuple[str, int, int]:
    job, tick = parse_run_name(run)
    return job, codec.ms_of(tick), attempt


def _key(row: Sequence[Any]) -> Key:
    job, tick, number = row
    return job, codec.instant(tick), number


def _said(row: Sequence[Any]) -> tuple[Began | None, Exit | None]:
    job, tick_ms, number, began, ended = row
    key = (job, codec.instant(tick_ms), number)
    return began_of(*key, began) if began else None, exit_of(*key, ended) if ended else None


def worker_of(row: Sequence[Any]) -> WorkerRow:
    """Return a worker from a row of the query `workers`."""
    name, queues, labels, slots, running, version, started, seen, is_alive, is_draining = row
    return WorkerRow(
        name, json.loads(queues), json.loads(labels), slots, running, version, started.astimezone(UTC),
        seen.astimezone(UTC), is_alive, is_draining,
    )  # fmt: skip


def waiting_of(row: Sequence[Any]) -> Waiting:
    """Return what waits from a row of the query `queues`."""
    queue, labels, attempts, since = row
    return Waiting(queue, json.loads(labels), attempts, since.astimezone(UTC))
