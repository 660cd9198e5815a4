"""PostgreSQL's errors in our words: may the same batch succeed later, or is something wrong for good?

SQLSTATE codes: https://www.postgresql.org/docs/current/errcodes-appendix.html. Class DS is our own: see the functions
in `sql/postgres`.
"""

from __future__ import annotations

import psycopg

from dagsched.errors import FencedOut, IntegrityBroken, StoreCorrupt, StoreError, StoreUnavailable
from dagsched.stores.address import Address

FENCED, CONTRADICTED, MADE = "DS001", "DS002", "DS003"
LOCK_TIMEOUT = "55P03"
# Connections lost or refused, too many of them, no space, somebody's lock, a server that goes down or only reads. One
# that is a standby server says to whoever wants to write that this is a feature it does not support (0A).
LATER = ("08", "53", "55", "57", "58", "40", "25", "0A")
NOT_ALLOWED = ("28", "3D", "42501")


def translated(error: psycopg.Error, address: Address) -> StoreError:
    """Return the error of ours that says what PostgreSQL's says about the state at `address`."""
    code = error.sqlstate or ""
    words = f"{address.shown}: {' '.join(str(error).split())}"
    if code == FENCED:
        return FencedOut(words)
    if code == CONTRADICTED or code.startswith("23"):
        return IntegrityBroken(f"{words}; the batch contradicts what is stored")
    if code.startswith(NOT_ALLOWED):
        return StoreError(f"{words}; check user, password, database and rights")
    if code.startswith("XX"):
        return StoreCorrupt(f"{words}; look at the server's log, and restore a backup")
    if code.startswith(LATER) or (not code and isinstance(error, psycopg.OperationalError)):
        return StoreUnavailable(f"{words}; it may succeed once the server answers again")
    return StoreError(words)
