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
from collections.abc import Iterator, Sequence
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
LONG = pytest.mark.skipif(not TAKES_ALL, reason="a variant of one that is tested; DAGSCHED_FAULTS=all has it too")


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
def injected(targets: int | Sequence[int], *injections: str) -> Iterator[None]:
    """Spoil calls as long as the context lasts: of a process in all its threads, or of the threads that are listed.

    Each injection is what stands behind strace's `-e inject=`, such as `pwrite64,fdatasync:error=ENOSPC`. What it
    counts (`when=`), it counts in each thread for itself.
    """
    names = ",".join(injection.partition(":")[0] for injection in injections)
    options = [f"--trace={names}", *(f"--inject={injection}" for injection in injections)]
    with _attached(targets, options, Path(os.devnull)):
        yield


@contextmanager
def counted(target: int, *names: str) -> Iterator[Counter[tuple[bool, str]]]:
    """Count the calls of these names, afterwards: (whether by the main thread, name) → the most by any one thread."""
    found: Counter[tuple[int, str]] = Counter()
    most: Counter[tuple[bool, str]] = Counter()
    known = threads(target)
    listing = Path(f"/tmp/{os.getpid()}.calls")
    try:
        # Not every machine has each of these calls, which is what the question mark is for.
        with _attached(target, [f"--trace={','.join(f'?{name}' for name in names)}"], listing):
            yield most
        for line in listing.read_text(errors="replace").splitlines():
            call = re.match(r"(\d+) +(\w+)\(", line)
            if call is not None and int(call[1]) in known:
                found[int(call[1]), call[2]] += 1
        for (thread, name), count in found.items():
            most[thread == target, name] = max(most[thread == target, name], count)
    finally:
        listing.unlink(missing_ok=True)


@contextmanager
def _attached(targets: int | Sequence[int], options: list[str], listing: Path) -> Iterator[None]:
    strace = needed("strace", "strace")
    chosen = ["-f", "-p", str(targets)] if isinstance(targets, int) else [f"-p{target}" for target in targets]
    with subprocess.Popen(
        [strace, "-s", "0", *options, "-o", str(listing), *chosen],
        stderr=subprocess.PIPE,
    ) as tracer:
        assert tracer.stderr is not None
        # It says so whenever it has attached to one, or why it cannot.
        for _ in [targets] if isinstance(targets, int) else targets:
            told = tracer.stderr.readline()
            assert b" attached" in told, f"strace: {told.decode()}{tracer.stderr.read().decode()}"
        try:
            yield
        finally:
            with suppress(ProcessLookupError):
                tracer.send_signal(signal.SIGINT)
            tracer.wait(PATIENCE_S)
