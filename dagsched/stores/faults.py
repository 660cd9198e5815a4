"""SQLite's errors in our words: may the same batch succeed later, or is something wrong for good?

Result codes: https://www.sqlite.org/rescode.html. An extended code's lowest byte is its primary code.
"""

from __future__ import annotations

import sqlite3
from pathlib import Path

from dagsched.errors import IntegrityBroken, StoreCorrupt, StoreError, StoreReadOnly, StoreUnavailable

LATER = frozenset(
    {
        sqlite3.SQLITE_BUSY,
        sqlite3.SQLITE_LOCKED,
        sqlite3.SQLITE_NOMEM,
        sqlite3.SQLITE_INTERRUPT,
        sqlite3.SQLITE_IOERR,
        sqlite3.SQLITE_FULL,
        sqlite3.SQLITE_CANTOPEN,
        sqlite3.SQLITE_PROTOCOL,
    }
)
HARMLESS = frozenset({sqlite3.SQLITE_BUSY, sqlite3.SQLITE_LOCKED, sqlite3.SQLITE_CONSTRAINT})
DAMAGED = frozenset({sqlite3.SQLITE_CORRUPT, sqlite3.SQLITE_NOTADB, sqlite3.SQLITE_ERROR, sqlite3.SQLITE_FORMAT})

ADVICE = {
    sqlite3.SQLITE_BUSY: "another program has locked it; let it finish, or end it",
    sqlite3.SQLITE_LOCKED: "another program has locked it; let it finish, or end it",
    sqlite3.SQLITE_FULL: "free some disk space",
    sqlite3.SQLITE_IOERR: "look for disk errors, quotas and full disks in the system's log",
    sqlite3.SQLITE_CANTOPEN: "check that the folder is there and its permissions",
}


def primary_code(error: sqlite3.Error) -> int:
    """Return SQLite's primary result code, 0 when the error is the Python module's own."""
    return getattr(error, "sqlite_errorcode", 0) & 0xFF


def is_harmless(error: sqlite3.Error) -> bool:
    """Whether the connection is certainly as good as before this error."""
    return primary_code(error) in HARMLESS


def is_busy(error: BaseException) -> bool:
    """Whether this is, or stands for, SQLite's saying that another program has the write lock."""
    told = error if isinstance(error, sqlite3.Error) else error.__cause__
    return isinstance(told, sqlite3.Error) and primary_code(told) == sqlite3.SQLITE_BUSY


def translated(error: sqlite3.Error, path: Path) -> StoreError:
    """Return the error of ours that says what SQLite's says about the state at `path`."""
    code = primary_code(error)
    if code in LATER:
        return StoreUnavailable(f"{path}: {error}; {ADVICE.get(code, 'it may succeed later')}")
    if code == sqlite3.SQLITE_READONLY:
        return StoreReadOnly(f"{path}: {error}; make the file and its folder writable for this user")
    if code == sqlite3.SQLITE_CONSTRAINT:
        return IntegrityBroken(f"{path}: the batch contradicts what is stored: {error}")
    if code in DAMAGED:
        return damaged(path, str(error))
    return StoreError(f"{path}: {error}")


def damaged(path: Path, what: str) -> StoreCorrupt:
    """Return the refusal of a file that is no whole database of ours."""
    return StoreCorrupt(
        f"{path}: {what}; it is left as it is: put a backup in its place, or move it away to begin anew"
    )
