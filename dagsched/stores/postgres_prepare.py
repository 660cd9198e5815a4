"""Make, recognise and migrate a namespace's schema, before anything is read from it.

Migrations run one after another in a single transaction, behind a lock of the namespace that ends with it: two programs
that come at once do not both migrate, and one that dies leaves nothing half done.
"""

from __future__ import annotations

from typing import NamedTuple

from psycopg import sql

from dagsched.errors import StoreError, StoreHeld, StoreMissing, StoreNewer
from dagsched.stores import delivery
from dagsched.stores.address import Address
from dagsched.stores.postgres_session import Connection
from dagsched.stores.queries import migrations

OLDEST_SERVER = 14


class Layout(NamedTuple):
    """How far a namespace is migrated: `found` of `known`; 0 when it is not there."""

    found: int
    known: int

    @property
    def words(self) -> str:
        if self.found == 0:
            return "not there yet"
        if self.found == self.known:
            return f"layout {self.found}, up to date"
        if self.found > self.known:
            return f"layout {self.found}, of a later dagsched (this one knows {self.known})"
        return f"layout {self.found} of {self.known}"


def layout_of(connection: Connection, address: Address) -> Layout:
    """Return how far this namespace is migrated; raises StoreError for a server that is too old."""
    version = connection.raw.info.server_version // 10_000
    if version < OLDEST_SERVER:
        raise StoreError(f"{address.shown}: PostgreSQL {version}; {OLDEST_SERVER} or later is needed")
    known = len(migrations("postgres"))
    if not connection.ask("has_schema", (f"{address.schema}.layout",))[0][0]:
        return Layout(0, known)
    return Layout(connection.ask("layout")[0][0], known)


def prepare_to_read(connection: Connection, address: Address) -> None:
    """Raise unless the namespace is there and laid out as we know it."""
    layout = layout_of(connection, address)
    _require_known(layout, address)
    if layout.found == 0:
        raise StoreMissing(f"{address.shown}: there is no state here yet; it is made when the daemon starts")
    if layout.found < layout.known:
        raise StoreError(f"{address.shown}: {layout.words}; bring it up to date with `dagsched db upgrade`")


def prepare_to_write(connection: Connection, address: Address) -> None:
    """Make or migrate the namespace; raises StoreHeld when a migration is due while a scheduler is active."""
    layout = layout_of(connection, address)
    _require_known(layout, address)
    if layout.found < layout.known:
        upgrade(connection, address)


def upgrade(connection: Connection, address: Address) -> Layout:
    """Apply the migrations that are missing; return what was there before. Raises as `prepare_to_write` does."""

    def work(connection: Connection) -> Layout:
        connection.ask("migrating", (f"dagsched migrates {address.schema}",))
        before = layout_of(connection, address)
        _require_known(before, address)
        if 0 < before.found < before.known:
            _require_idle(connection, address)
        if before.found == 0:
            connection.raw.execute(sql.SQL("CREATE SCHEMA IF NOT EXISTS {}").format(sql.Identifier(address.schema)))
            connection.ask("layout_table")
        _upgrade_delivery(connection)
        for number, script in enumerate(migrations("postgres"), 1):
            if number > before.found:
                connection.raw.execute(script.encode())
                connection.ask("put_layout", (number,))
        return before

    return connection.transact("begin_write", work)


def _upgrade_delivery(connection: Connection) -> None:
    """Make procrastinate's tables, which ours refer to, or bring them up to date with the one that is installed."""
    connection.ask("delivery_table")
    ((since,),) = connection.ask("delivery_release")
    now = delivery.release()
    if since != now:
        for script in delivery.scripts(since):
            connection.raw.execute(script.encode())
        connection.ask("put_delivery_release", (now,))


def _require_known(layout: Layout, address: Address) -> None:
    if layout.found > layout.known:
        raise StoreNewer(f"{address.shown}: {layout.words}; upgrade dagsched on this machine")


def _require_idle(connection: Connection, address: Address) -> None:
    ((holder, _, is_held, _),) = connection.ask("holder")
    if is_held:
        raise StoreHeld(f"{address.shown}: held by {holder}; stop every scheduler before the layout changes", holder)
