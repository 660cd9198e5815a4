"""The embedded default: one SQLite file, one writer, any number of readers.

A commit is one `BEGIN IMMEDIATE` transaction: the epoch is compared, every statement runs once per table
(`executemany`), and the log is on the disk before it returns. Reads use a second connection, so a long one
never delays a commit, and see committed state only. See docs/state.md for the files and their faults.
"""

from __future__ import annotations

import asyncio
import os
from collections.abc import Mapping
from datetime import datetime
from functools import partial
from pathlib import Path
from typing import Any

from dagsched.errors import StoreError, StoreUnavailable
from dagsched.stores import codec, sql_retention, sqlite_write
from dagsched.stores.contract import Batch
from dagsched.stores.faults import is_busy
from dagsched.stores.lock import LOCK, DaemonLock
from dagsched.stores.pace import Pace
from dagsched.stores.prepare import prepare_to_read, prepare_to_write
from dagsched.stores.session import Session, Work
from dagsched.stores.sql_store import SqlStore


class SqliteStore(SqlStore):
    """A store in the SQLite file at `path`; the daemon's lock is `daemon.lock` beside it."""

    def __init__(self, path: Path) -> None:
        super().__init__()
        self.path = path
        self._pace = Pace()
        self._lock = DaemonLock(path.with_name(LOCK))
        self._reader: Session | None = None
        self._writer: Session | None = None
        self._file: os.stat_result | None = None

    # ------------------------------------------------------------ life

    async def open(self, *, write: bool) -> None:
        await self.close()
        if write:
            await asyncio.to_thread(prepare_to_write, self.path, self._lock)
            mode = "ro"
            self._writer = Session(self.path, "rw")
        else:
            mode = await asyncio.to_thread(prepare_to_read, self.path)
        self._file = self.path.stat()
        self._reader = Session(self.path, mode)

    async def close(self) -> None:
        reader, self._reader = self._reader, None
        writer, self._writer = self._writer, None
        # The writer last: the last connection to close folds the log into the file, which a reader cannot.
        for session in (reader, writer):
            if session is not None:
                await session.close()
        self._epoch = 0
        self._lock.release()

    async def acquire(self, holder: str) -> int:
        writer = self._opened_writer()
        was_held = self._lock.is_held
        self._lock.take(holder)
        try:
            self._epoch = await writer.write(
                lambda connection: sqlite_write.next_epoch(connection, holder, str(self.path))
            )
        except BaseException:
            if not was_held:
                self._lock.release()
            raise
        return self._epoch

    # ------------------------------------------------------------ writing

    async def commit(self, batch: Batch) -> None:
        writer, rows = self._opened_writer(), batch.count()
        self._require_same_file()
        work = partial(sqlite_write.write, batch=batch, epoch=self._epoch)
        is_quick = batch.config is None and self._pace.is_quick(rows)
        if not (is_quick and writer.is_free and await self._committed_here(writer, work)):
            await writer.write(work, fold=self._pace.must_fold(rows))
        self._pace.took(rows, writer.took_s)

    async def _committed_here(self, writer: Session, work: Work[None]) -> bool:
        """Whether it could be done at once; not while another program has the write lock."""
        try:
            await writer.write_here(work)
        except StoreUnavailable as error:
            if not is_busy(error):
                raise
            return False
        return True

    async def post(self, verb: str, body: Mapping[str, Any], time: datetime) -> int:
        self._opened_reader()
        row = (codec.ms_of(time), verb, codec.json_of(body))
        new = partial(sqlite_write.new_request, row=row, place=str(self.path))
        if self._writer is not None:
            return await self._writer.write(new)
        session = Session(self.path, "rw")
        try:
            return await session.write(new)
        finally:
            await session.close()

    async def compact(self) -> tuple[int, int]:
        writer, before = self._opened_writer(), self._bytes_used()
        async with self._housekeeping:
            has_more = True
            while has_more:
                has_more = await writer.write(partial(sql_retention.give_back, epoch=self._epoch))
        # On a connection of its own: to fold much of a log takes seconds, and the writer need not wait for it.
        session = Session(self.path, "rw")
        try:
            await session.call(lambda connection: connection.ask("fold_log"))
        finally:
            await session.close()
        return before, self._bytes_used()

    def _bytes_used(self) -> int:
        files = (self.path, self.path.with_name(f"{self.path.name}-wal"))
        return sum(file.stat().st_size for file in files if file.exists())

    # ------------------------------------------------------------ helpers

    def _opened_reader(self) -> Session:
        if self._reader is None:
            raise StoreError(f"{self.path}: the store is not open")
        return self._reader

    def _opened_writer(self) -> Session:
        if self._writer is None:
            raise StoreError(f"{self.path}: the store is not open for writing")
        return self._writer

    def _require_same_file(self) -> None:
        """Refuse to go on writing into a file that has been deleted or replaced: nobody could read it."""
        try:
            if self._file is not None and os.path.samestat(self._file, os.stat(self.path)):
                return
        except OSError:
            pass
        raise StoreUnavailable(f"{self.path}: removed or replaced while in use; put the file back in its place")
