"""What is to be told and what became of it: a small database beside the state, written by the courier alone.

It has its own file because the state has one writer, the daemon, which must never wait for news to be told. How far
the event log has been read moves in the same transaction as what was made of it, so after a crash nothing is lost
and nothing is gathered twice; only a message whose receiver had it and whose courier died before writing that down
is sent again, under the same id.
"""

from __future__ import annotations

import json
import os
import sqlite3
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from datetime import datetime
from pathlib import Path
from typing import Any, NamedTuple

from dagsched.errors import StoreError, StoreMissing, StoreNewer
from dagsched.model import EventRow
from dagsched.stores.codec import instant, ms_of
from dagsched.stores.faults import translated
from dagsched.stores.queries import migrations, queries

FILE = "notices.db"
WAITING_MAX = 1000
DELIVERED_KEPT = 500
FAILED_KEPT = 1000
TOLD_KEPT = 20_000
BUSY_TIMEOUT_S = 5.0
SQL = queries("notices")


class Group(NamedTuple):
    """News of one kind for one notifier that are being gathered; `due`: when they become a message."""

    notifier: str
    kind: str
    due: datetime


class Waiting(NamedTuple):
    """A message that is to be delivered; `tries`: how many there were."""

    id: str
    notifier: str
    body: Mapping[str, Any]
    tries: int
    next_try: datetime


class Told(NamedTuple):
    """A message for people to look at. `state`: waiting, delivered, failed or dropped."""

    id: str
    notifier: str
    kind: str
    title: str
    state: str
    created: datetime
    tries: int
    next_try: datetime | None
    ended: datetime | None
    error: str


class Notices:
    """The queue in the state directory; `write=False` only looks, and raises StoreMissing when there is none."""

    def __init__(self, state_dir: Path, *, write: bool) -> None:
        self.path = state_dir / FILE
        if not write and not self.path.exists():
            raise StoreMissing(f"{self.path}: nobody has been told anything yet")
        with self._in_words():
            if write:
                os.close(os.open(self.path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600))
            mode = "rw" if write else "ro"
            uri = f"{self.path.absolute().as_uri()}?mode={mode}"
            self._db = sqlite3.connect(uri, uri=True, isolation_level=None, timeout=BUSY_TIMEOUT_S)
            self._migrate(write)

    def _migrate(self, write: bool) -> None:
        scripts = migrations("notices")
        version = self._ask("version")[0][0]
        if version > len(scripts):
            raise StoreNewer(f"{self.path}: written by a later dagsched")
        if write:
            self._ask("use_wal")
            self._ask("sync_every_commit")
            for script in scripts[version:]:
                self._db.executescript(script)
        elif version < len(scripts):
            raise StoreMissing(f"{self.path}: nobody has been told anything yet")

    def close(self) -> None:
        """Release the file."""
        self._db.close()

    @contextmanager
    def transaction(self) -> Iterator[None]:
        """Make what is written inside durable together, or nothing of it; raises StoreError."""
        with self._in_words():
            self._ask("begin")
            try:
                yield
                self._ask("commit")
            except BaseException:
                if self._db.in_transaction:
                    self._ask("rollback")
                raise

    # ------------------------------------------------------------ gathering

    def cursor(self, reader: str) -> int | None:
        """Return the number of the newest event this reader has dealt with, None when it never has."""
        found = self._ask("cursor", (reader,))
        return int(found[0][0]) if found else None

    def move(self, reader: str, seq: int) -> None:
        """Remember how far the reader has come."""
        self._ask("move_cursor", (reader, seq))

    def gather(self, notifier: str, kind: str, row: EventRow, due: datetime) -> None:
        """Keep a piece of news; a group that was begun stays due when it was."""
        begun = self._ask("due_of_group", (notifier, kind))[0][0]
        tick = None if row.tick is None else ms_of(row.tick)
        self._ask(
            "gather",
            (
                notifier, kind, row.seq, ms_of(row.time), ms_of(due) if begun is None else begun, row.job, tick,
                row.attempt, row.to_state, row.reason, json.dumps(dict(row.detail)),
            ),
        )  # fmt: skip

    def groups(self) -> Sequence[Group]:
        """Return the groups that are being gathered."""
        return [Group(notifier, kind, instant(due)) for notifier, kind, due in self._ask("groups")]

    def news(self, notifier: str, kind: str) -> Sequence[EventRow]:
        """Return what has been gathered, oldest first."""
        return [
            EventRow(
                seq, instant(time), kind, job, None if tick is None else instant(tick), attempt, "", state,
                reason, json.loads(detail),
            )
            for seq, time, job, tick, attempt, state, reason, detail in self._ask("group", (notifier, kind))
        ]  # fmt: skip

    def is_gathered(self, notifier: str, kind: str, job: str) -> bool:
        """Whether there is news of the job among what is being gathered."""
        return bool(self._ask("is_gathered", (notifier, kind, job)))

    def drop(self, notifier: str, kind: str, seq: int) -> None:
        """Forget what was gathered up to this number."""
        self._ask("drop_group", (notifier, kind, seq))

    # ------------------------------------------------------------ messages

    def queue(self, id: str, notifier: str, kind: str, title: str, body: Mapping[str, Any], now: datetime) -> None:
        """Add a message; when WAITING_MAX of its notifier wait already it is kept as dropped, for people to see."""
        is_full = self._ask("waiting_of", (notifier,))[0][0] >= WAITING_MAX
        at = ms_of(now)
        state = ("dropped", at, None, at, f"{WAITING_MAX} messages wait already") if is_full else (
            "waiting", at, at, None, ""
        )  # fmt: skip
        self._ask("new_message", (id, notifier, kind, title, json.dumps(body), *state))
        if is_full:
            self._ask("trim", {"state": "dropped", "kept": FAILED_KEPT})

    def waiting(self) -> Sequence[Waiting]:
        """Return the oldest waiting message of each notifier: they are delivered in order."""
        return [
            Waiting(id, notifier, json.loads(body), tries, instant(next_try))
            for id, notifier, body, tries, next_try in self._ask("first_waiting")
        ]

    def delivered(self, message: Waiting, now: datetime) -> None:
        """Remember that the receiver has it."""
        self._put(message, "delivered", None, now, "")
        self._ask("trim", {"state": "delivered", "kept": DELIVERED_KEPT})

    def postponed(self, message: Waiting, next_try: datetime, error: str) -> None:
        """Remember when it is tried again, and why."""
        self._put(message, "waiting", next_try, None, error)

    def failed(self, message: Waiting, now: datetime, error: str) -> None:
        """Remember that nobody tries again: a dead letter."""
        self._put(message, "failed", None, now, error)
        self._ask("trim", {"state": "failed", "kept": FAILED_KEPT})

    def _put(
        self, message: Waiting, state: str, next_try: datetime | None, ended: datetime | None, error: str
    ) -> None:
        at = [None if each is None else ms_of(each) for each in (next_try, ended)]
        self._ask("put_message", (state, message.tries + 1, *at, error, message.id))

    def counts(self) -> Mapping[str, int]:
        """Return how many messages there are in each state that occurs."""
        return dict(self._ask("counts"))

    def messages(self, *, failed: bool = False, limit: int = 20) -> Sequence[Told]:
        """Return messages, newest first; with `failed` those that nobody got."""
        return [
            Told(
                id, notifier, kind, title, state, instant(created), tries,
                None if next_try is None else instant(next_try), None if ended is None else instant(ended), error,
            )
            for id, notifier, kind, title, state, created, tries, next_try, ended, error in self._ask(
                "messages", {"all": not failed, "limit": limit}
            )
        ]  # fmt: skip

    # ------------------------------------------------------------ what notifiers know

    def was_told(self, notifier: str, job: str, tick: datetime) -> bool:
        """Whether the notifier knows that this run is broken."""
        return bool(self._ask("was_told", (notifier, job, ms_of(tick))))

    def tell(self, notifier: str, job: str, tick: datetime, seq: int) -> None:
        """Remember that it knows, until TOLD_KEPT others were told."""
        self._ask("tell", (notifier, job, ms_of(tick), seq))
        self._ask("forget_told", (TOLD_KEPT,))

    def is_troubled(self, notifier: str, kind: str, job: str) -> bool:
        """Whether the notifier was told that the job fails, or is late (`kind`), and that is not over."""
        return bool(self._ask("is_troubled", (notifier, kind, job)))

    def last_told(self, notifier: str, kind: str, job: str) -> tuple[datetime, int] | None:
        """Return when the notifier was last told of that, and how often it was spared since."""
        found = self._ask("last_told", (notifier, kind, job))
        return (instant(found[0][0]), found[0][1]) if found else None

    def troubled(self, notifier: str, kind: str, job: str, now: datetime) -> None:
        """Remember that the notifier was told of that."""
        self._ask("trouble", (notifier, kind, job, ms_of(now)))

    def spare(self, notifier: str, kind: str, job: str) -> None:
        """Remember that there was more of that which the notifier was not told of."""
        self._ask("spare", (notifier, kind, job))

    def mended(self, notifier: str, kind: str, job: str) -> None:
        """Remember that it is over."""
        self._ask("mend", (notifier, kind, job))

    # ------------------------------------------------------------ helpers

    def _ask(self, name: str, parameters: Sequence[Any] | Mapping[str, Any] = ()) -> list[Any]:
        with self._in_words():
            return self._db.execute(SQL[name], parameters).fetchall()

    @contextmanager
    def _in_words(self) -> Iterator[None]:
        try:
            yield
        except sqlite3.Error as error:
            raise translated(error, self.path) from error
        except OSError as error:
            raise StoreError(f"{self.path}: {error.strerror or error}") from error

