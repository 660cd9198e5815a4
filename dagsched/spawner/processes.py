"""What the kernel says about processes.

The identity of a process is (pid, start time, boot id): pids are used again, start times within one boot are
not. Linux tells all of it in /proc, see proc(5); elsewhere these functions answer "unknown" and the spawner
does with process groups alone.
"""

from __future__ import annotations

import os
import resource
import signal
import time

from .say import say

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator

MARK = "DAGSCHED_MARK"
HAS_PROC = os.path.exists("/proc/self/stat")
TICKS_PER_SECOND = os.sysconf("SC_CLK_TCK")

_SINCE_BOOT = getattr(time, "CLOCK_BOOTTIME", time.CLOCK_MONOTONIC)
_PR_SET_CHILD_SUBREAPER = 36  # linux/prctl.h
_FILES_MAX = 65536


class Stat:
    """A process as /proc/PID/stat has it; `start` in clock ticks since boot.

    `is_bare`: it has no environment and will not show one, as a kernel thread and what was started with `env -i`.
    `is_leaving`: it is no kernel thread, and has given up its memory and nothing else yet, which an exit begins with.
    """

    __slots__ = ("group", "is_bare", "is_leaving", "parent", "pid", "session", "start", "state")

    def __init__(self, pid: int, text: bytes) -> None:
        # The name in brackets may hold blanks and brackets itself, so count from the last one.
        fields = text[text.rindex(b")") + 2 :].split()
        self.pid = pid
        self.state = fields[0].decode()
        self.parent, self.group, self.session = int(fields[1]), int(fields[2]), int(fields[3])
        self.start = int(fields[19])
        # An exec sets env_start and env_end (equal at first) and, once both are final, start_code.
        has_memory, start_code, environment = fields[20] != b"0", fields[23], fields[47:49]
        self.is_bare = not has_memory or (start_code not in (b"0", b"1") and len({*environment}) == 1)
        self.is_leaving = not has_memory and self.state not in "ZX" and self.session != 0

    @property
    def alive(self) -> bool:
        return self.state not in "ZX"


def stat(pid: int) -> Stat | None:
    """Return what is known of a process, None when there is none."""
    text = _read(f"/proc/{pid}/stat")
    return Stat(pid, text) if text else None


def all_stats() -> Iterator[Stat]:
    """Yield every process that can be seen."""
    if not HAS_PROC:
        return
    for name in os.listdir("/proc"):
        if name.isdigit():
            found = stat(int(name))
            if found is not None:
                yield found


def mark(pid: int) -> str:
    """Return the mark in the environment a process was started with, "" when there is none to be seen."""
    return mark_if_told(pid) or ""


def mark_if_told(pid: int) -> str | None:
    """Return the mark of a process, "" if it has none, None if its environment cannot be seen.

    In the middle of an exec a process shows an empty environment: proc_pid_environ(5).
    """
    environment = _read(f"/proc/{pid}/environ")
    for item in environment.split(b"\0"):
        if item.startswith(MARK.encode() + b"="):
            return os.fsdecode(item[len(MARK) + 1 :])
    if environment:
        return ""
    # Looked at afterwards: before, it could still have been the old program.
    known = stat(pid)
    return "" if known is None or known.is_bare else None


def is_in_exec(known: Stat) -> bool:
    """Whether a process of this user shows no environment yet, though it may be about to."""
    try:
        is_own = os.stat(f"/proc/{known.pid}").st_uid == os.geteuid()
    except OSError:
        return False
    return is_own and mark_if_told(known.pid) is None


def outputs(pid: int) -> set[tuple[int, int]]:
    """Return which files (device, inode) a process's standard output and error go to."""
    found = set()
    for number in (1, 2):
        try:
            where = os.stat(f"/proc/{pid}/fd/{number}")
        except OSError:
            continue
        found.add((where.st_dev, where.st_ino))
    return found


def children(pid: int) -> list[int]:
    """Return the direct children of a process, zombies included."""
    try:
        threads = os.listdir(f"/proc/{pid}/task")
    except OSError:
        return []
    found: list[int] = []
    for thread in threads:
        found += map(int, _read(f"/proc/{pid}/task/{thread}/children").split())
    return found


class OwnChildren:
    """The direct children of this process, which must have one thread: each thread has a list of its own."""

    def __init__(self) -> None:
        try:
            self._fd = os.open(f"/proc/self/task/{os.getpid()}/children", os.O_RDONLY)
        except OSError:
            self._fd = -1

    def listed(self) -> list[int]:
        """Return them, zombies included."""
        try:
            # Kept open: of the time that a look takes, finding and opening the file is nine tenths.
            os.lseek(self._fd, 0, os.SEEK_SET)
            return [*map(int, _rest(self._fd).split())]
        except OSError:
            return children(os.getpid())


def _children_by_scan(pid: int) -> list[int]:
    return [each.pid for each in all_stats() if each.parent == pid]


if not os.path.exists(f"/proc/self/task/{os.getpid()}/children"):  # CONFIG_PROC_CHILDREN is not set
    children = _children_by_scan


def tree(roots: Iterable[int]) -> list[Stat]:
    """Return the living processes among `roots` and everything below them."""
    found, queue, seen = [], list(roots), set()
    while queue:
        pid = queue.pop()
        if pid in seen:
            continue
        seen.add(pid)
        known = stat(pid)
        if known is not None and known.alive:
            found.append(known)
            queue += children(pid)
    return found


def send(pid: int, number: int) -> None:
    """Signal a process that may be gone by now; one that may not be signalled is left alone."""
    try:
        os.kill(pid, number)
    except (ProcessLookupError, PermissionError):
        return


def send_group(group: int, number: int) -> None:
    """Signal a process group that may be gone by now."""
    try:
        os.killpg(group, number)
    except (ProcessLookupError, PermissionError):
        return


def boot_id() -> str:
    """Return what names this boot of the machine, "" where the kernel does not say."""
    return _read("/proc/sys/kernel/random/boot_id").decode().strip()


def ticks_now() -> int:
    """Return the time since boot in the unit of `Stat.start`; suspended time counts."""
    return int(time.clock_gettime(_SINCE_BOOT) * TICKS_PER_SECOND)


def become_subreaper() -> bool:
    """Become the parent of whatever descendants leave behind; False where that does not exist."""
    if not HAS_PROC:
        return False
    import ctypes

    prctl = getattr(ctypes.CDLL(None), "prctl", None)
    return prctl is not None and prctl(_PR_SET_CHILD_SUBREAPER, 1, 0, 0, 0) == 0


class FileLimit:
    """How many files may be open: in children as many as is usual here, in this process more once it needs them.

    `files_max`: how many it may have open at most.
    """

    def __init__(self) -> None:
        self._usual = soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
        self.files_max = hard if hard < _FILES_MAX else max(soft, _FILES_MAX)
        self._is_usual = True

    def make_room(self, files: int) -> None:
        """Raise this process's limit before so many logs, as many gates of forked attempts, and others reach it."""
        if self._is_usual and 3 * files >= self._usual[0]:
            self._is_usual = False
            try:
                resource.setrlimit(resource.RLIMIT_NOFILE, (self.files_max, self._usual[1]))
            except (OSError, ValueError):
                say("the limit of open files stays as it is")

    def pass_on(self, pid: int) -> None:
        """Give a child the limit that is usual here; programs with select(2) rely on a low one."""
        if self._is_usual:
            return  # it was born with it
        try:
            resource.prlimit(pid, resource.RLIMIT_NOFILE, self._usual)
        except (AttributeError, OSError):  # not Linux, another user's, or gone already
            return


def ignored_signals() -> list[int]:
    """Return the signals this process ignores: a child would go on ignoring them after exec."""
    return [int(each) for each in signal.valid_signals() if signal.getsignal(each) == signal.SIG_IGN]


def _read(path: str) -> bytes:
    try:
        fd = os.open(path, os.O_RDONLY)
    except OSError:
        return b""
    try:
        return _rest(fd)
    except OSError:
        return b""
    finally:
        os.close(fd)


def _rest(fd: int) -> bytes:
    parts = []
    while part := os.read(fd, 65536):
        parts.append(part)
    return b"".join(parts)
