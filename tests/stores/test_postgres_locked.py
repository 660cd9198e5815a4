"""Commits that wait for what another program has locked, and go on when that lets go."""

from __future__ import annotations

import asyncio
from collections.abc import Iterator
from contextlib import contextmanager

import pytest

from dagsched.errors import StoreUnavailable
from dagsched.stores import Address, Batch, shared_store
from tests.postgres import new_address
from tests.stores.make import attempt, daemon, event, row


@contextmanager
def locked(address: Address, table: str) -> Iterator[None]:
    import psycopg

    with psycopg.connect(address.url) as other:
        other.execute(f"LOCK TABLE {address.schema}.{table} IN EXCLUSIVE MODE".encode())
        yield


@pytest.mark.parametrize("table", ["runs", "attempts", "events"])
def test_a_commit_that_a_lock_has_kept_waiting_is_made_by_a_later_try(table, monkeypatch):
    """However often its statements were sent before: after a few times the server is asked to prepare them."""
    monkeypatch.setattr("dagsched.stores.postgres_session.COMMIT_LOCK_PATIENCE_MS", 50)
    address = new_address()

    async def main():
        async with daemon(shared_store(address)) as store:
            for hour in range(1, 5):
                await store.commit(
                    Batch(runs=[row("a", hour)], new_attempts=[attempt("a", hour)], events=[event(hour)])
                )
            for hour in range(5, 10):
                batch = Batch(runs=[row("a", hour)], new_attempts=[attempt("a", hour)], events=[event(hour)])
                with locked(address, table):
                    for _ in range(2):
                        with pytest.raises(StoreUnavailable, match="lock timeout"):
                            await store.commit(batch)
                await store.commit(batch)
            assert [each.seq for each in await store.events()] == list(range(1, 10))

    asyncio.run(main())
