"""One daemon per state directory, by a lock that dies with its process.

`flock` on a file beside the database: the kernel lets go however the process ends, and because the
descriptor is closed on exec no attempt can inherit it. The file's text says who holds it. The file is never
deleted by us; if someone else deletes it the lock still excludes nobody wrongly, and the epoch in the
database fences out the daemon that lost its file.
"""

from __future__ import annotations

import errno
import fcntl
import os
from pathlib import Path

from dagsched.errors import StoreHeld, StoreReadOnly, StoreUnavailable

LOCK = "daemon.lock"
LOCKS = Path("/proc/locks")


def holder_of(state_dir: Path) -> str:
    """Return who holds a state directory now, in the words it left there; "" when nobody does, or nobody can tell.

    The lock is looked up where the kernel lists it, and not tried: a daemon that starts at that instant would find it
    taken.
    """
    path = state_dir / LOCK
    try:
        inode, held = os.stat(path).st_ino, LOCKS.read_text(encoding="ascii")
        # Of a lock the kernel tells the device of the file system below, which need not be that of `stat`.
        if not any(_is_lock_on(inode, line.split()) for line in held.splitlines()):
            return ""
        return path.read_text(encoding="utf-8", errors="replace").strip()
    except OSError:
        return ""


def _is_lock_on(inode: int, words: list[str]) -> bool:
    """Whether a line of /proc/locks, `1: FLOCK  ADVISORY  WRITE 4711 fd:01:131 0 EOF`, is of that file; see proc(5)."""
    return len(words) > 5 and words[1] == "FLOCK" and words[5].rpartition(":")[2] == str(inode)


class DaemonLock:
    """The lock of one state directory; not taken until `take`."""

    def __init__(self, path: Path) -> None:
        self.path = path
        self._descriptor: int | None = None

    @property
    def is_held(self) -> bool:
        return self._descriptor is not None

    def take(self, holder: str) -> None:
        """Take the lock and write `holder` into its file; at once, also when held already by this object.

        Raises StoreHeld naming the present holder, StoreUnavailable when the disk is full.
        """
        was_held = self.is_held
        if self._descriptor is None:
            self._descriptor = self._locked_descriptor()
        try:
            os.ftruncate(self._descriptor, 0)
            os.pwrite(self._descriptor, holder.encode("utf-8", "backslashreplace") + b"\n", 0)
        except OSError as error:
            if not was_held:
                self.release()
            raise StoreUnavailable(f"{self.path}: {error.strerror}") from error

    def release(self) -> None:
        """Let go; may be called twice."""
        if self._descriptor is not None:
            os.close(self._descriptor)
            self._descriptor = None

    def _locked_descriptor(self) -> int:
        while True:
            descriptor = self._opened()
            try:
                fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
            except OSError as error:
                raise self._refusal(descriptor, error) from error
            # Somebody may have replaced the file between open and flock: the lock would be on a ghost.
            if self._is_in_place(descriptor):
                return descriptor
            os.close(descriptor)

    def _opened(self) -> int:
        try:
            return os.open(self.path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
        except OSError as error:
            kind = StoreReadOnly if error.errno in (errno.EACCES, errno.EROFS, errno.EPERM) else StoreUnavailable
            raise kind(f"{self.path}: {error.strerror}; the daemon must be able to write there") from error

    def _refusal(self, descriptor: int, error: OSError) -> StoreHeld | StoreUnavailable:
        try:
            if error.errno not in (errno.EWOULDBLOCK, errno.EACCES):
                return StoreUnavailable(f"{self.path}: cannot be locked: {error.strerror}")
            holder = os.pread(descriptor, 1000, 0).decode("utf-8", "replace").strip() or "a daemon that is starting"
            return StoreHeld(f"{self.path.parent}: held by {holder}; stop that daemon first", holder)
        finally:
            os.close(descriptor)

    def _is_in_place(self, descriptor: int) -> bool:
        try:
            return os.path.samestat(os.fstat(descriptor), os.stat(self.path))
        except FileNotFoundError:
            return False
