"""Make, recognise and migrate the database file, before anything is read from it.

A database is made beside its place and linked into it whole, so our own crash never leaves a short file:
whatever is empty, foreign or truncated was made so by somebody else and is refused, never replaced.
The file is looked at through SQLite alone: closing a descriptor of one's own would drop the locks that
another connection of this process holds on it (https://www.sqlite.org/howtocorrupt.html, 2.2).
"""

from __future__ import annotations

import errno
import os
import sqlite3
from contextlib import closing
from pathlib import Path

from dagsched.errors import (
    StoreCorrupt,
    StoreError,
    StoreMissing,
    StoreNewer,
    StoreReadOnly,
    StoreUnavailable,
)
from dagsched.stores.address import refused
from dagsched.stores.faults import damaged, translated
from dagsched.stores.lock import DaemonLock
from dagsched.stores.queries import migrations
from dagsched.stores.session import BUSY_TIMEOUT_S, Procedures, uri_of

APPLICATION_ID = int.from_bytes(b"dags", "big")
OLDEST_SQLITE = (3, 24, 0)  # the first with ON CONFLICT DO UPDATE


def prepare_to_write(path: Path, lock: DaemonLock) -> None:
    """Make or migrate the database at `path` and leave it fit for a writer.

    `lock` keeps two daemons from migrating at once: it is taken for that time only, unless held already.
    Raises StoreHeld when a migration is due under a daemon that runs.
    """
    _require_sqlite()
    _make_folder(path.parent)
    if not os.path.lexists(path):
        _make(path)
    _require_file(path)
    if not (os.access(path, os.W_OK) and os.access(path.parent, os.W_OK | os.X_OK)):
        raise StoreReadOnly(f"{path}: may not be written; make the file and its folder writable for this user")
    try:
        with closing(connected(path, "rw")) as connection:
            _prepare(connection, path, lock)
    except sqlite3.Error as error:
        raise translated(error, path) from error


def prepare_to_read(path: Path) -> str:
    """Return the mode in which the database can be read: "ro", or "immutable" in a folder nobody may write.

    Raises StoreMissing when there is none. Changes and migrates nothing.
    """
    _require_sqlite()
    require_there(path)
    try:
        return _reading_mode(path)
    except sqlite3.Error as error:
        raise translated(error, path) from error


def require_there(path: Path) -> None:
    """Raise StoreMissing when there is no database, StoreCorrupt when there is something else."""
    if not os.path.lexists(path):
        _require_no_log(path)
        raise StoreMissing(f"{path}: there is no state here yet; it is made when the daemon starts")
    _require_file(path)


def _prepare(connection: Procedures, path: Path, lock: DaemonLock) -> None:
    version = _version(connection, path)
    if version < len(migrations("sqlite")):
        _migrate_under_lock(connection, version, lock)
    mode = connection.ask("use_wal")[0][0]
    if mode != "wal":
        raise StoreError(f"{path}: this file system cannot keep a write-ahead log; use a local one for the state")
    connection.ask("fence")


def _reading_mode(path: Path) -> str:
    try:
        _try_to_read(path, "ro")
    except sqlite3.OperationalError as error:
        if os.access(path.parent, os.W_OK) or not os.access(path, os.R_OK):
            raise
        # A log in a folder we may not write can be read only while its index exists, made by a writer.
        if _size(_log(path)):
            raise StoreUnavailable(
                f"{path}: its last writer was killed, and reading what it left needs write permission in "
                f"{path.parent}; read as that user, or start the daemon there once"
            ) from error
        _try_to_read(path, "immutable")
        return "immutable"
    return "ro"


def _try_to_read(path: Path, mode: str) -> None:
    with closing(connected(path, mode)) as connection:
        version = _version(connection, path)
        if version < len(migrations("sqlite")):
            raise StoreError(f"{path}: written by an older dagsched; start the daemon once to bring it up to date")
        connection.ask("fence")


def _version(connection: Procedures, path: Path) -> int:
    """Return the number of the newest migration applied; refuse what is not ours or newer than we are."""
    version: int
    application, version = connection.ask("application")[0][0], connection.ask("version")[0][0]
    if application != APPLICATION_ID:
        raise damaged(path, "not a database of dagsched")
    if version > len(migrations("sqlite")):
        raise StoreNewer(
            f"{path}: written by a later dagsched (layout {version}, this one knows "
            f"{len(migrations('sqlite'))}); upgrade dagsched, or put a backup in its place"
        )
    if version < 1:
        raise damaged(path, "its header carries no version")
    # With a log beside it the file may rightly be short: what is missing stands in the log.
    if path.stat().st_size % connection.ask("page_size")[0][0] and not _size(_log(path)):
        raise damaged(path, "truncated inside a page")
    return version


def _migrate_under_lock(connection: Procedures, version: int, lock: DaemonLock) -> None:
    was_held = lock.is_held
    lock.take(f"process {os.getpid()}, bringing the database up to date")
    try:
        _migrate(connection, version)
    finally:
        if not was_held:
            lock.release()


def _migrate(connection: sqlite3.Connection, version: int) -> None:
    """Apply the migrations after `version`, each in its own transaction."""
    for script in migrations("sqlite")[version:]:
        try:
            connection.executescript(script)
        except BaseException:
            if connection.in_transaction:
                connection.rollback()
            raise


def _make(path: Path) -> None:
    """Make a new database; when another process is quicker, its database stands."""
    _require_no_log(path)
    draft = path.with_name(f"{path.name}.new-{os.getpid()}")
    try:
        make_draft(draft)
        with closing(connected(draft, "rw")) as connection:
            connection.ask("use_wal")
        _sync(draft)
        _link(draft, path)
    except sqlite3.Error as error:
        raise translated(error, path) from error
    except OSError as error:
        raise _refused(path, error) from error
    finally:
        remove_draft(draft)


def make_draft(draft: Path) -> None:
    """Make an empty database that has no log yet; what has this name is removed. Raises StoreError.

    It is not on the disk before `_sync` was called: nobody knows of it yet, so nothing of it is synced on the way.
    """
    try:
        # In a container the process that died while making one had our number, too.
        remove_draft(draft)
        os.close(os.open(draft, os.O_RDWR | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC, 0o600))
        with closing(connected(draft, "rw")) as connection:
            for name in ("shrink_on_request", "no_journal", "no_sync"):
                connection.ask(name)
            _migrate(connection, 0)
    except sqlite3.Error as error:
        raise translated(error, draft) from error
    except OSError as error:
        raise _refused(draft, error) from error


def remove_draft(draft: Path) -> None:
    """Remove a database that nobody knows of."""
    for suffix in ("", "-journal", "-wal", "-shm"):
        draft.with_name(draft.name + suffix).unlink(missing_ok=True)


def put_in_place(draft: Path, path: Path, aside: Path) -> None:
    """Put a filled draft, which nobody has open, durably in the place of what is there; that is kept as `aside`.

    The caller holds the daemon's lock. Raises StoreUnavailable while somebody has the old one open: its log would be
    taken for that of the new one.
    """
    try:
        with closing(connected(draft, "rw")) as connection:
            connection.ask("use_wal")
        _sync(draft)
        if os.path.lexists(path):
            # The last one to close it folds its log into it and removes that.
            with closing(connected(path, "rw")) as connection:
                connection.ask("fence")
            if os.path.lexists(_log(path)):
                raise StoreUnavailable(f"{path}: another program has it open; end that one, then try again")
            os.link(path, aside)
        else:
            _require_no_log(path)
        os.replace(draft, path)
        _sync(path.parent)
    except sqlite3.Error as error:
        raise translated(error, draft) from error
    except OSError as error:
        raise _refused(path, error) from error


def _link(draft: Path, path: Path) -> None:
    try:
        os.link(draft, path)
    except FileExistsError:
        return
    _sync(path.parent)


def _sync(path: Path) -> None:
    """Have a file nobody has open, or a folder, on the disk as it is."""
    descriptor = os.open(path, os.O_RDONLY | os.O_CLOEXEC)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)


def _make_folder(folder: Path) -> None:
    try:
        folder.parent.mkdir(parents=True, exist_ok=True)
        folder.mkdir(mode=0o700, exist_ok=True)
    except OSError as error:
        raise _refused(folder, error) from error


def _require_file(path: Path) -> None:
    try:
        is_file, size = path.is_file(), _size(path)
    except OSError as error:
        raise _refused(path, error) from error
    if not is_file:
        raise damaged(path, "not a file")
    if size == 0:
        raise damaged(path, "empty, although a database of dagsched never is: its content was lost")


def _require_no_log(path: Path) -> None:
    """Refuse to begin anew beside the log of a database that is gone: SQLite would delete the log."""
    if _size(_log(path)):
        raise StoreCorrupt(
            f"{path}: missing, but its log {_log(path).name} is there; put the database back beside its log, "
            "or move the log away to begin anew"
        )


def _require_sqlite() -> None:
    if sqlite3.sqlite_version_info < OLDEST_SQLITE:
        raise StoreError(f"this Python's SQLite is {sqlite3.sqlite_version}; 3.24 or later is needed")


def _refused(path: Path, error: OSError) -> StoreError:
    if isinstance(error, PermissionError) or error.errno == errno.EROFS:
        return refused(path, error)
    return StoreUnavailable(f"{path}: {error.strerror}")


def connected(path: Path, mode: str, *, is_shared: bool = False) -> Procedures:
    """Return a connection of this thread, or one that several use in turn; raises sqlite3.Error."""
    return sqlite3.connect(
        uri_of(path, mode),
        uri=True,
        factory=Procedures,
        isolation_level=None,
        timeout=BUSY_TIMEOUT_S,
        check_same_thread=not is_shared,
    )


def _log(path: Path) -> Path:
    return path.with_name(f"{path.name}-wal")


def _size(path: Path) -> int:
    try:
        return path.stat().st_size
    except FileNotFoundError:
        return 0
