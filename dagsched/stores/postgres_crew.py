"""A worker's side of the state: what it takes, what it reports, and the lease under which it may do that."""

from __future__ import annotations

import json
import os
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any, NamedTuple

import dagsched
from dagsched.clock import boottime_s
from dagsched.definition import from_json
from dagsched.errors import StoreError
from dagsched.model import Exit, Job, Run, RunState, parse_run_name
from dagsched.stores import codec
from dagsched.stores.address import Address
from dagsched.stores.contract import Term
from dagsched.stores.delivery import NOTIFIED, channels_of
from dagsched.stores.fleet import (
    ENDING_S,
    LEASE,
    LEASE_MIN_S,
    LEASE_S,
    MARGIN_S,
    Began,
    began_text,
    text_of,
)
from dagsched.stores.lease import length_s_of
from dagsched.stores.postgres_listener import Listener
from dagsched.stores.postgres_prepare import prepare_to_read
from dagsched.stores.postgres_session import Connection, Session
from dagsched.stores.procedures import decoded


def lease_s() -> float:
    """Return for how long a worker may act after it was last heard of, in seconds; raises UsageError."""
    return length_s_of(LEASE, LEASE_S, LEASE_MIN_S, "leaves no time to end attempts")


@dataclass(slots=True)
class Card:
    """What a worker is: where its state directory is, its name, and what it serves."""

    place: str
    name: str
    queues: Sequence[str]
    labels: Sequence[str]
    slots: int
    started: datetime
    is_draining: bool = False


class Taken(NamedTuple):
    """An attempt that this worker is to do.

    `stopping`: why it has been told to end, if it has. `env`: what the job's own `env` came to. `hidden`: variables of
    the worker's environment that are secrets, of whichever job.
    """

    run: Run
    job: Job
    fence: int
    stopping: str
    env: dict[str, str]
    hidden: frozenset[str]

    @property
    def attempt(self) -> tuple[str, int]:
        return self.run.name, self.run.attempts


class WrongRelease(StoreError):
    """The scheduler is of another release than this worker."""


class Crew:
    """One worker's place in the fleet of a namespace. Calls raise StoreError."""

    def __init__(self, address: Address, card: Card) -> None:
        self.address, self.card = address, card
        self.lease_s = lease_s()
        self._channels = channels_of(card.queues, card.labels)
        # What keeps the attempts alive waits for nothing else.
        self._lease, self._work = Session(address, "lease"), Session(address, "worker")
        self._listener: Listener | None = None
        self.refused: WrongRelease | None = None

    async def open(self) -> None:
        """See that the namespace is there and laid out as we know it."""
        await self._lease.call(lambda connection: prepare_to_read(connection, self.address))

    async def renew(self) -> tuple[Term, list[Taken]]:
        """Put the lease off; return until when it lasts, and the attempts that this worker has.

        `refused` is why it gets no more of them, if it does not: it may finish what it has.
        """
        began_s = boottime_s()
        card = self.card
        said = {
            "place": card.place, "name": card.name, "pid": os.getpid(), "queues": json.dumps(list(card.queues)),
            "labels": json.dumps(list(card.labels)), "slots": card.slots, "version": dagsched.__version__,
            "started": card.started, "draining": card.is_draining, "lease_s": self.lease_s,
            "safe_s": self.lease_s + MARGIN_S,
        }  # fmt: skip

        def work(connection: Connection) -> tuple[str, list[Taken]]:
            ((release,),) = connection.ask("release")
            connection.ask("put_worker", said)
            return release, decoded(_taken, connection.ask("held", (card.place,)))

        release, held = await self._lease.write(work)
        self.refused = None
        if release not in ("", dagsched.__version__):
            self.refused = WrongRelease(
                f"{self.address.shown}: its scheduler is dagsched {release} and this worker {dagsched.__version__}; "
                "install the same release on both"
            )
        # Counted from before the server was asked, so that all has ended here before anybody there thinks so.
        until_s = began_s + self.lease_s - ENDING_S
        return Term(until_s, until_s), held

    async def take(self, at_most: int) -> list[Taken]:
        """Return up to so many attempts that are this worker's from now on."""
        return await self._work.call(lambda connection: self._take(connection, at_most))

    def _take(self, connection: Connection, at_most: int) -> list[Taken]:
        return decoded(_taken, connection.ask("take", (self.card.place, self._channels, at_most)))

    async def began(self, begun: Sequence[tuple[int, Began]]) -> None:
        """Report by fence that attempts have processes."""
        rows = [(*_key(began.run, began.attempt), fence, began_text(began)) for fence, began in begun]
        text = codec.json_of_rows(("job", "tick", "number", "fence", "began"), rows)

        def work(connection: Connection) -> None:
            connection.ask("begin_dispatches", (text,))
            connection.ask("tell_scheduler")

        await self._work.write(work)

    async def ended(self, exits: Sequence[tuple[int, Exit]], at_most: int = 0) -> tuple[set[int], list[Taken]]:
        """Report by fence how attempts ended, and take up to so many others in the same transaction.

        Returns the fences that still counted, and what was taken.
        """
        rows = [(*_key(exit.run, exit.attempt), fence, text_of(exit)) for fence, exit in exits]
        text = codec.json_of_rows(("job", "tick", "number", "fence", "ended"), rows)

        def work(connection: Connection) -> tuple[set[int], list[Taken]]:
            found = {fence for (fence,) in connection.ask("end_dispatches", (text,))}
            connection.ask("tell_scheduler")
            return found, self._take(connection, at_most) if at_most else []

        return await self._work.write(work)

    async def wrote(self, run: str, attempt: int, fence: int, first: int, data: bytes, *, anew: bool = False) -> bool:
        """Keep what an attempt wrote from an offset on (`anew`: in place of what was kept); False: it is not ours."""
        job, tick, number = _key(run, attempt)
        key = {"job": job, "tick": tick, "number": number}

        def work(connection: Connection) -> bool:
            if not connection.ask("is_dispatched", {**key, "fence": fence}):
                return False
            if anew:
                connection.ask("cut_output", {**key, "first": first})
            connection.ask("put_output", {**key, "first": first, "data": data})
            return True

        return await self._work.write(work)

    def listen(self, heard: Callable[[bool], None]) -> None:
        """Have `heard` called in the event loop when there may be work (False) or something to end (True)."""
        stops = f"{self.address.schema}_stops"
        channels = [stops, *(NOTIFIED + channel for channel in self._channels)]

        def on_notice(channel: str, text: str) -> None:
            if channel != stops:
                heard(False)
            if not channel or (channel == stops and text == self.card.place):
                heard(True)

        self._listener = Listener(self.address, "notices", channels, on_notice)
        self._listener.start()

    async def leave(self) -> None:
        """Say that this worker goes for good; one that leaves attempts behind is remembered."""
        await self._work.write(lambda connection: connection.ask("forget_worker", (self.card.place,)))

    async def close(self) -> None:
        """Release everything."""
        if self._listener is not None:
            self._listener.stop()
        for session in (self._lease, self._work):
            await session.close()


def _key(run: str, attempt: int) -> tuple[str, int, int]:
    job, tick = parse_run_name(run)
    return job, codec.ms_of(tick), attempt


def _taken(row: Sequence[Any]) -> Taken:
    job, tick_ms, number, fence, stopping, env, params, definition, hidden = row
    run = Run(job, codec.instant(tick_ms), RunState.RUNNING, attempts=number, params=codec.mapping_of(params))
    body = from_json(json.loads(definition))
    return Taken(run, body, fence, stopping, dict(codec.mapping_of(env)), frozenset(json.loads(hidden)))
