"""How an order becomes a process.

`posix_spawn` (vfork inside the C library) in a single-threaded process: own session, default signals, output
straight to the log's file. Only an order with `user` goes through `subprocess`, which can change the user.
What cannot be started raises `CannotStart` with a sentence that names the folder, the command or the user.
Modules that few attempts need are imported when the first one does: this process is to stay small.
"""

from __future__ import annotations

import errno
import os
import sys
from contextlib import suppress

from . import processes

TYPE_CHECKING = False
if TYPE_CHECKING:
    import pwd
    from collections.abc import Iterable
    from typing import Any

OUTPUT_BYTES_MAX = 65536


class CannotStart(Exception):
    """The attempt has no process; the text says why."""


class Starter:
    """Starts processes for the daemon whose `cwd` and `env` it was last told."""

    def __init__(self, state_dir: str, state_id: str) -> None:
        self._state_dir, self._state_id = state_dir, state_id
        self.ignored: list[int] = []
        self._here = ""
        self._path = os.environ.get("PATH")
        self._shared: dict[bytes, bytes] = {}
        self._shared_of: dict[str, str] | None = None
        self.cwd = "/"
        self.env: dict[str, str] = {}

    def output_path(self, order: dict[str, Any]) -> str:
        """Return where the attempt writes its outputs; a folder of its own when it runs as somebody else."""
        if not order.get("user"):
            return f"{self._state_dir}/{order['output']}"
        import tempfile

        account = _account(order["user"])
        folder = tempfile.mkdtemp(prefix="dagsched-")
        os.chown(folder, account.pw_uid, account.pw_gid)
        return os.path.join(folder, "output")

    def mark(self, order: dict[str, Any]) -> str:
        """Return what an order's processes are known by."""
        return f"{self._state_id}/{order['run']}/{order['attempt']}"

    def place(self, order: dict[str, Any], output: str) -> tuple[str, dict[str, str]]:
        """Return folder and environment of an order's process; raises CannotStart when the folder cannot be entered."""
        cwd = self._folder(order)
        self.enter(cwd)
        return cwd, self._environment(order, cwd, output)

    def _folder(self, order: dict[str, Any]) -> str:
        cwd = order.get("cwd")
        if not cwd or cwd[0] == "/":
            return cwd or self.cwd
        return os.path.join(self.cwd, cwd)

    def start(self, order: dict[str, Any], log_fd: int, output: str) -> int:
        """Start the order's process and return its pid; raises CannotStart."""
        cwd = self._folder(order)
        stdin_fd = _stdin(order.get("stdin"))
        path = order["env"].get("PATH", self.env.get("PATH"))
        try:
            if order.get("user"):
                env = self._environment(order, cwd, output)
                return self._start_as(order, env, cwd, log_fd, stdin_fd)
            self.enter(cwd)
            return self._spawn(order["argv"], self._own_environment(order, cwd, output), path, log_fd, stdin_fd)
        except OSError as error:
            raise CannotStart(_explain(error, order["argv"][0], path)) from error
        except (ValueError, IndexError) as error:  # a NUL inside a word, a `=` in a variable's name, no words
            raise CannotStart(f"cannot run {order['argv']!r}: {error}") from error
        finally:
            if stdin_fd > 0:
                os.close(stdin_fd)

    def _environment(self, order: dict[str, Any], cwd: str, output: str) -> dict[str, str]:
        env = {**self.env, "PWD": cwd.rstrip("/") or "/"}
        if order.get("user"):
            account = _account(order["user"])
            env.update(HOME=account.pw_dir, USER=account.pw_name, LOGNAME=account.pw_name)
        env.update(order["env"])
        env["DAGSCHED_OUTPUT"] = output
        env[processes.MARK] = self.mark(order)
        return env

    def _own_environment(self, order: dict[str, Any], cwd: str, output: str) -> dict[Any, Any]:
        """Return the same for an order without `user`, what all orders share as bytes.

        Text is encoded anew for every process, and of some forty variables a handful are the attempt's own.
        """
        if self._shared_of is not self.env:
            self._shared = {os.fsencode(name): os.fsencode(value) for name, value in self.env.items()}
            self._shared_of = self.env
        env: dict[Any, Any] = {**self._shared, b"PWD": os.fsencode(cwd.rstrip("/") or "/")}
        own = {**order["env"], "DAGSCHED_OUTPUT": output, processes.MARK: self.mark(order)}
        if "PWD" in own or not self.env.keys().isdisjoint(own):
            for name in own:
                env.pop(os.fsencode(name), None)
        env.update(own)
        return env

    def enter(self, cwd: str) -> None:
        """Make a folder this process's own, which is where the next process stands; raises CannotStart."""
        if cwd == self._here:
            return
        try:
            os.chdir(cwd)
        except OSError as error:
            self._here = ""
            raise CannotStart(f"cannot enter cwd {cwd!r}: {error.strerror}") from error
        self._here = cwd

    def _spawn(self, argv: list[str], env: dict[Any, Any], path: str | None, log_fd: int, stdin_fd: int) -> int:
        # posix_spawnp looks in the PATH of the caller, and the attempt's is the one that counts.
        if path != self._path:
            self._path = path
            os.environ.pop("PATH", None)
            if path is not None:
                os.environ["PATH"] = path
        actions: list[Any] = [(os.POSIX_SPAWN_DUP2, log_fd, 1), (os.POSIX_SPAWN_DUP2, log_fd, 2)]
        if stdin_fd:
            actions.append((os.POSIX_SPAWN_DUP2, stdin_fd, 0))
        options: dict[str, Any] = {
            "file_actions": actions,
            "setsid": True,
            "setsigmask": (),
            "setsigdef": self.ignored,
        }
        try:
            return os.posix_spawnp(argv[0], argv, env, **options)
        except OSError as error:
            if error.errno != errno.ENOEXEC:
                raise
            import shutil

            script = shutil.which(argv[0], path=path)
            if script is None:
                raise
            # A script without `#!`: POSIX has sh(1) and execvp(3) read it with the shell.
            return os.posix_spawn("/bin/sh", ["/bin/sh", script, *argv[1:]], env, **options)

    def _start_as(self, order: dict[str, Any], env: dict[str, str], cwd: str, log_fd: int, stdin_fd: int) -> int:
        import shutil
        import subprocess

        account = _account(order["user"])
        argv = order["argv"]
        program = shutil.which(argv[0], path=env.get("PATH"))
        if program is None:
            raise FileNotFoundError(errno.ENOENT, os.strerror(errno.ENOENT), argv[0])
        if not os.path.isdir(cwd):
            raise CannotStart(f"cannot enter cwd {cwd!r}: {os.strerror(errno.ENOENT)}")
        try:
            process = subprocess.Popen(
                argv, executable=program, env=env, cwd=cwd, stdin=stdin_fd, stdout=log_fd, stderr=log_fd,
                start_new_session=True, **_identity(account),
            )  # fmt: skip
        except (subprocess.SubprocessError, PermissionError) as error:
            raise CannotStart(f"cannot run {argv[0]!r} as user {order['user']!r}: {error}") from error
        # Whoever reaps it is not `process`, which would otherwise wait for it at its own leisure.
        process.returncode = 0
        return process.pid


def drop_outputs(state_dir: str, attempts: Iterable[tuple[str, int]]) -> None:
    """Remove the outputs of attempts whose end nobody saw: nobody will ask for them, and they are not masked."""
    import hashlib

    for run, attempt in attempts:
        name = hashlib.sha256(f"{run}/{attempt}".encode("utf-8", "surrogateescape")).hexdigest()[:24]
        with suppress(OSError):
            os.unlink(os.path.join(state_dir, "outputs", name))  # where the daemon's `launch` has them written


def collect_output(path: str) -> tuple[str, str]:
    """Return what was written to the outputs file and a complaint, either may be ""; remove the file."""
    try:
        fd = os.open(path, os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK)
    except FileNotFoundError:
        return "", ""
    except OSError as error:
        return "", f"the outputs file cannot be read: {error.strerror}"
    try:
        data = os.read(fd, OUTPUT_BYTES_MAX + 1)
        os.unlink(path)
    except OSError as error:
        return "", f"the outputs file cannot be read: {error.strerror}"
    finally:
        os.close(fd)
    if len(data) > OUTPUT_BYTES_MAX:
        return "", f"the outputs file is larger than {OUTPUT_BYTES_MAX} bytes"
    return data.decode("utf-8", "surrogateescape"), ""


def _account(user: str) -> pwd.struct_passwd:
    import pwd

    try:
        return pwd.getpwnam(user)
    except KeyError:
        raise CannotStart(f"there is no user {user!r} on this machine") from None


def _identity(account: pwd.struct_passwd) -> dict[str, Any]:
    if os.geteuid() == account.pw_uid:
        return {}
    groups = os.getgrouplist(account.pw_name, account.pw_gid) if os.geteuid() == 0 else None
    return {"user": account.pw_uid, "group": account.pw_gid, "extra_groups": groups}


def _stdin(text: str | None) -> int:
    """Return a descriptor to read `text` from; 0, which is /dev/null here, when there is none."""
    if text is None:
        return 0
    try:
        if sys.platform == "linux":
            fd = os.memfd_create("stdin")
        else:
            import tempfile

            fd, name = tempfile.mkstemp()
            os.unlink(name)
        os.write(fd, text.encode("utf-8", "surrogateescape"))
        os.lseek(fd, 0, os.SEEK_SET)
    except OSError as error:
        raise CannotStart(f"no room for the attempt's input: {error.strerror}") from error
    return fd


def _explain(error: OSError, command: str, path: str | None) -> str:
    if error.errno == errno.ENOENT and "/" not in command:
        return f"command {command!r} is not in PATH ({'unset' if path is None else path})"
    if error.errno == errno.ENOENT and os.path.exists(command):
        return f"cannot run {command!r}: the interpreter in its first line does not exist"
    return f"cannot run {command!r}: {error.strerror}"
