"""Where spawners are found, and how one is started."""

from __future__ import annotations

import fcntl
import os
import re
import socket
import subprocess
import sys
from pathlib import Path

import dagsched.spawner

_SCRIPT = Path(dagsched.spawner.__file__).with_name("__main__.py")
_SOCKET_PATH_MAX = 100  # sockaddr_un.sun_path holds 104 to 108 bytes, see unix(7)
HELD = 75


class Newborn(subprocess.Popen[bytes]):
    """A spawner that was just started. It outlives this process on purpose, so nobody minds that it runs."""

    def __del__(self) -> None:
        """Say nothing: a process that still runs is no resource that was forgotten."""


def start(state_dir: Path, protocol: int) -> tuple[Newborn, socket.socket]:
    """Start a spawner; return it and the first connection to it. Raises OSError."""
    ours, theirs = socket.socketpair(socket.AF_UNIX, socket.SOCK_STREAM)
    command = [sys.executable, "-I", "-S", "-X", "utf8", str(_SCRIPT), str(state_dir), str(protocol)]
    try:
        with theirs, open(log_path(state_dir), "ab") as log:
            process = Newborn(
                command,
                stdin=theirs.fileno(),
                stdout=subprocess.DEVNULL,
                stderr=log,
                cwd="/",
                start_new_session=True,
            )
    except OSError:
        ours.close()
        raise
    return process, ours


def connect(state_dir: Path, protocol: int) -> socket.socket | None:
    """Return a connection to the living spawner of that protocol version, None when there is none."""
    sock = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
    sock.setblocking(False)
    try:
        _connect(sock, os.fsencode(state_dir), f"spawner-{protocol}.sock".encode())
    except OSError:
        # None there, one that died, or (EAGAIN) so many in line that trying again is as good as waiting.
        sock.close()
        return None
    return sock


def _connect(sock: socket.socket, folder: bytes, name: bytes) -> None:
    if len(folder) + len(name) < _SOCKET_PATH_MAX:
        sock.connect(folder + b"/" + name)
    elif os.path.isdir("/proc/self/fd"):
        fd = os.open(folder, os.O_RDONLY | os.O_DIRECTORY)
        try:
            sock.connect(b"/proc/self/fd/%d/%s" % (fd, name))
        finally:
            os.close(fd)
    else:
        import tempfile

        with tempfile.TemporaryDirectory(dir="/tmp") as short:
            link = os.fsencode(short) + b"/s"
            os.symlink(folder, link)
            sock.connect(link + b"/" + name)


def other_versions(state_dir: Path, protocol: int) -> list[int]:
    """Return the protocol versions of other spawners that have ever served this state directory."""
    found = (re.fullmatch(r"spawner-(\d+)\.journal", each.name) for each in state_dir.iterdir())
    return sorted({int(each[1]) for each in found if each} - {protocol})


def is_held(state_dir: Path, protocol: int) -> bool:
    """Whether a spawner of that version is there, even one that has stopped listening and is about to end."""
    fd = os.open(state_dir / f"spawner-{protocol}.lock", os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
    try:
        fcntl.flock(fd, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        return True
    finally:
        os.close(fd)
    return False


def log_path(state_dir: Path) -> Path:
    """Return the spawner's own log: remarks, and the traceback should it ever fail."""
    return state_dir / "spawner.log"


def last_words(state_dir: Path) -> str:
    """Return the end of the spawner's own log."""
    try:
        return log_path(state_dir).read_bytes()[-2000:].decode(errors="replace").strip()
    except OSError:
        return ""
