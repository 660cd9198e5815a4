"""The output of an attempt: a file that costs next to nothing while it is empty.

It begins without a name (`O_TMPFILE`, open(2)) and is given one as soon as something was written to it, so an
attempt that prints nothing leaves nothing. Never a pipe: a grandchild that keeps a pipe open delays the end,
and its reader has to deal with endless lines. The processes write by `O_APPEND`, so several of them, and the
spawner, may write and truncate at the same time.

Making a file without a name is the dearest thing after making the process (ext4 keeps a list of orphans), so
one that stayed empty serves the next attempt: nobody writes to it any more, since an attempt is over only
when all its processes are.

Size is capped: the first and the last half of the cap stay. While the attempt runs, the middle is given back
to the disk by punching a hole, which moves no byte that anybody is still writing; at its end the file becomes
head, one line that says how much was left out, tail. Where no hole can be punched, the file is cut back to
its head each time, and the tail is what came after the last cut.
"""

from __future__ import annotations

import fcntl
import os

from .processes import HAS_PROC

TYPE_CHECKING = False
if TYPE_CHECKING:
    from ctypes import CDLL

FOLDER = "logs"
SPARE_MAX = 64

_KEEP_SIZE, _PUNCH_HOLE = 1, 2  # linux/falloc.h
_PAGE = 4096


class Log:
    """One attempt's output. `path` is below the state directory; `linked` once it exists there."""

    __slots__ = ("_dropped", "_holed", "_spare", "_state_fd", "fd", "limit", "linked", "path", "size")

    def __init__(self, state_fd: int, path: str, limit: int, spare: list[int]) -> None:
        """Open the file; raises OSError. `spare`: descriptors of nameless empty files, taken from and given to."""
        self._state_fd, self.path, self.limit, self._spare = state_fd, path, limit, spare
        self.size = 0
        self._dropped = self._holed = 0
        self.linked = False
        try:
            self.fd = spare.pop() if spare else open_unnamed(state_fd)
        except (OSError, AttributeError):
            self.fd = self._open_named()

    def identity(self) -> tuple[int, int]:
        """Return the file's device and inode, by which those who write to it are known."""
        where = os.fstat(self.fd)
        return where.st_dev, where.st_ino

    def watch(self) -> int:
        """Give the file its name once it has content, keep it below the cap; return by how much it grew."""
        size = os.fstat(self.fd).st_size
        grown, self.size = size - self.size, size
        if size and not self.linked:
            self._link()
        if size - self._holed > self.limit + self.limit // 2:
            self._drop_middle()
        return grown

    def finish(self) -> tuple[str, int]:
        """Close the file; return its path ("" when nothing was written) and how many bytes were."""
        self.watch()
        written = self.size + self._dropped
        if written > self.limit:
            self._shorten(written)
        if not self.size and self._is_reusable():
            self._spare.append(self.fd)
            return "", 0
        os.close(self.fd)
        if not self.size:
            self._unlink_empty()
            return "", 0
        return self.path, written

    def leave_out(self, length: int) -> None:
        """Count bytes that were written by the attempt and are not in the file."""
        self._dropped += length

    def _is_reusable(self) -> bool:
        """Whether another attempt can have this empty file: it never had a name, and nobody changed its mode."""
        untouched = fcntl.fcntl(self.fd, fcntl.F_GETFL) & os.O_APPEND
        return bool(untouched and not self.linked and len(self._spare) < SPARE_MAX)

    def _drop_middle(self) -> None:
        head, tail = self._halves()
        start = -(-head // _PAGE) * _PAGE
        end = (self.size - tail) // _PAGE * _PAGE
        if punch(self.fd, start, end - start):
            self._holed = end - head
            return
        os.ftruncate(self.fd, head)
        self._dropped += self.size - head
        self.size = head

    def _shorten(self, written: int) -> None:
        head, tail = self._halves()
        last = os.pread(self.fd, tail, max(head, self.size - tail))
        missing = written - head - len(last)
        mark = b"\n[dagsched: %d bytes left out; a log is capped at %d bytes]\n" % (missing, self.limit)
        os.ftruncate(self.fd, head)
        os.write(self.fd, mark)
        view = memoryview(last)
        while view:
            view = view[os.write(self.fd, view) :]

    def _halves(self) -> tuple[int, int]:
        return self.limit // 2, self.limit - self.limit // 2

    def _link(self) -> None:
        self.linked = True
        folder, _, _ = self.path.rpartition("/")
        make_folders(self._state_fd, folder)
        source = f"/proc/self/fd/{self.fd}"
        try:
            os.link(source, self.path, dst_dir_fd=self._state_fd, follow_symlinks=True)
        except FileExistsError:
            os.unlink(self.path, dir_fd=self._state_fd)
            os.link(source, self.path, dst_dir_fd=self._state_fd, follow_symlinks=True)

    def _open_named(self) -> int:
        folder, _, _ = self.path.rpartition("/")
        make_folders(self._state_fd, folder)
        self.linked = True
        flags = os.O_RDWR | os.O_CREAT | os.O_TRUNC | os.O_APPEND
        return os.open(self.path, flags, 0o600, dir_fd=self._state_fd)

    def _unlink_empty(self) -> None:
        if self.linked:
            os.unlink(self.path, dir_fd=self._state_fd)


def make_folders(state_fd: int, path: str) -> None:
    """Make a folder below the state directory, and those above it."""
    if not path:
        return
    try:
        os.mkdir(path, 0o700, dir_fd=state_fd)
    except FileExistsError:
        return
    except FileNotFoundError:
        make_folders(state_fd, path.rpartition("/")[0])
        os.mkdir(path, 0o700, dir_fd=state_fd)


def open_unnamed(state_fd: int) -> int:
    """Open a file without a name, which everybody appends to; raises OSError or AttributeError where there is none."""
    if not HAS_PROC:
        raise AttributeError("a file without a name gets one through /proc")
    flags = os.O_TMPFILE | os.O_RDWR | os.O_APPEND
    return os.open(FOLDER, flags, 0o600, dir_fd=state_fd)


def punch(fd: int, start: int, length: int) -> bool:
    """Give the blocks of a range back to the disk; the rest of the file stays where it is."""
    libc = _libc()
    if libc is None or length <= 0:
        return False
    import ctypes

    wide = ctypes.c_int64
    return bool(libc.fallocate(fd, _KEEP_SIZE | _PUNCH_HOLE, wide(start), wide(length)) == 0)


def _libc() -> CDLL | None:
    import ctypes

    libc = ctypes.CDLL(None)
    # off_t is 64 bits wide in `fallocate` only where long is.
    return libc if hasattr(libc, "fallocate") and ctypes.sizeof(ctypes.c_long) == 8 else None
