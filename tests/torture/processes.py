"""What lives on this machine, read from /proc."""

from __future__ import annotations

import os
from collections.abc import Iterable, Iterator
from pathlib import Path

from tests.torture.evidence import Line

MARK = "TORTURED_ROUND"


def marked(mark: str) -> dict[int, str]:
    """Return the living processes whose environment holds this round's mark: pid → command line."""
    wanted = f"{MARK}={mark}".encode()
    return {pid: _command(pid) for pid in _pids() if wanted in _read(pid, "environ").split(b"\0") and _is_alive(pid)}


def alive_of(journal: Iterable[Line]) -> dict[int, str]:
    """Return the living processes that wrote in the journal: pid → run."""
    known = {(line.pid, line.start): f"{line.run} attempt {line.attempt} {line.role}" for line in journal}
    return {pid: who for (pid, start), who in known.items() if _is_alive(pid) and _start(pid) == start}


def spawners(state_dir: Path) -> list[int]:
    """Return the processes that serve this state directory beside the daemon."""
    folder = os.fsencode(str(state_dir))
    found = []
    for pid in _pids():
        words = _read(pid, "cmdline").split(b"\0")
        if folder in words and any(b"spawner" in word for word in words) and _is_alive(pid):
            found.append(pid)
    return found


def naming(folder: Path) -> list[int]:
    """Return the processes, but this one, whose command line names something below `folder`."""
    name = os.fsencode(str(folder))
    return [pid for pid in _pids() if pid != os.getpid() and name in _read(pid, "cmdline") and _is_alive(pid)]


def _pids() -> Iterator[int]:
    return (int(name) for name in os.listdir("/proc") if name.isdigit())


def _read(pid: int, name: str) -> bytes:
    try:
        return Path(f"/proc/{pid}/{name}").read_bytes()
    except OSError:
        return b""


def _command(pid: int) -> str:
    return _read(pid, "cmdline").replace(b"\0", b" ").decode(errors="replace").strip()


def _stat(pid: int) -> list[str]:
    return _read(pid, "stat").decode(errors="replace").rpartition(")")[2].split()


def _is_alive(pid: int) -> bool:
    fields = _stat(pid)
    return bool(fields) and fields[0] not in "ZX"


def _start(pid: int) -> int:
    fields = _stat(pid)
    return int(fields[19]) if fields else -1
