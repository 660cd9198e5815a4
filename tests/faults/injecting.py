"""Faults that the kernel hands out: strace(1) attaches to a process that runs and spoils chosen system calls.

`signal=SIGKILL:when=N` kills at the N-th call, before the kernel carries it out. `error=EIO` has calls fail that never
reach the disk. Either ends when the context does, and the process goes on as if nothing had been.
"""

from __future__ import annotations

import os
import re
import shutil
import signal
import subprocess
from collections import Counter
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

import pytest

WRITES = ("write", "pwrite64", "writev", "sendto", "sendmsg")
CLONES = ("clone", "clone3", "vfork", "fork")
SYNCS = ("fsync", "fdatasync")
NAMES = ("rename", "renameat", "renameat2", "link", "linkat", "unlink", "unlinkat", "ftruncate")
PATIENCE_S = 10.0

# Long versions of what the ordinary tests do in part.
TAKES_ALL = os.environ.get("DAGSCHED_FAULTS") == "all"


def needed(tool: str, package: str) -> str:
    """Return where a tool is; without it the test is skipped, but fails in CI, where it must be there."""
    found = shutil.which(tool)
    if found is None:
        words = f"this needs {tool}: apt-get install {package}"
        if os.environ.get("CI"):
            pytest.fail(words)
        pytest.skip(words)
    return found


def threads(pid: int) -> list[int]:
    """Return the threads of a process, oldest first."""
    return sorted(int(name) for name in os.listdir(f"/proc/{pid}/task"))


@contextmanager
def injected(target: int, *injections: str, all_threads: bool = True) -> Iterator[None]:
    """Spoil calls of a process, or (not `all_threads`) of one of its threads, as long as the context lasts.

    Each injection is what stands behind strace's `-e inject=`, such as `pwrite64,fdatasync:error=ENOSPC`.
    """
    names = ",".join(injection.partition(":")[0] for injection in injections)
    options = [f"--trace={names}", *(f"--inject={injection}" for injection in injections)]
    with _attached(target, options, Path(os.devnull), all_threads):
        yield


@contextmanager
def counted(target: int, *names: str) -> Iterator[Counter[tuple[int, str]]]:
    """Count the calls of these names; afterwards there is a number for each (thread as `threads` has it, name)."""
    found: Counter[tuple[int, str]] = Counter()
    order = threads(target)
    listing = Path(f"/tmp/{os.getpid()}.calls")
    try:
        # Not every machine has each of these calls, which is what the question mark is for.
        with _attached(target, [f"--trace={','.join(f'?{name}' for name in names)}"], listing, True):
            yield found
        for line in listing.read_text(errors="replace").splitlines():
            call = re.match(r"(\d+) +(\w+)\(", line)
            if call is not None and int(call[1]) in order:
                found[order.index(int(call[1])), call[2]] += 1
    finally:
        listing.unlink(missing_ok=True)


@contextmanager
def _attached(target: int, options: list[str], listing: Path, all_threads: bool) -> Iterator[None]:
    strace = needed("strace", "strace")
    follow = ["-f"] if all_threads else []
    with subprocess.Popen(
        [strace, *follow, "-s", "0", *options, "-o", str(listing), "-p", str(target)],
        stderr=subprocess.PIPE,
    ) as tracer:
        assert tracer.stderr is not None
        told = tracer.stderr.readline()  # it says so once it has attached, or why it cannot
        assert b" attached" in told, f"strace: {told.decode()}{tracer.stderr.read().decode()}"
        try:
            yield
        finally:
            with suppress(ProcessLookupError):
                tracer.send_signal(signal.SIGINT)
            tracer.wait(PATIENCE_S)
