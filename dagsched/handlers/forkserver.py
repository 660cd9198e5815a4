"""The process that attempts of built-in handlers are forked from: `python -m dagsched.handlers.forkserver`.

Starting Python and importing a handler costs fifty times what a handler that does little needs. So the spawner keeps
one Python that has done both, and an attempt is a fork of it: still a process of its own, in a session of its own, with
its own log, environment, folder and end, and with the user's modules imported afresh.

    spawner ── attempt, its log, its gate ──▶ fork server ── fork ──▶ attempt
    spawner ◀── pid ───────────────────────────────────────────────── waits at the gate
    spawner ── go ──────────────────────────────────────────────────▶ runs
    spawner ◀── pid, status ── fork server

An attempt does nothing before the spawner has written its process down and says go; if the gate is closed without that
it ends, and nothing of it has begun. Standard input and the gate are sockets of the kind SOCK_SEQPACKET: one JSON
object a message; an attempt's order comes with two descriptors. The server ends when the spawner has closed its socket.
One thread, for only such a process may fork.

A job that says `reuse` lets its process serve further attempts: one that has ended well, with no thread and no process
left and with no module changed on disk, says so at its gate and waits there for the next order, with the next log.
"""

from __future__ import annotations

import atexit
import ctypes
import gc
import importlib
import json
import os
import select
import signal
import socket
import sys
import threading
import time
import traceback
from array import array
from contextlib import suppress
from typing import Any, NoReturn

import dagsched
from dagsched.handlers import child, python
from dagsched.handlers.table import BUILT_IN

MESSAGE_BYTES_MAX = 1 << 18
GO = b"go"
DONE = b"done"
MARK = "DAGSCHED_MARK"


def main() -> None:
    """Serve until the spawner closes the socket, or until this process is an attempt and has ended."""
    assert python.handler is not None, "imported here so that no attempt has to"
    sock = socket.socket(fileno=os.dup(0))
    nothing = os.open(os.devnull, os.O_RDWR)
    os.dup2(nothing, 0)
    os.dup2(nothing, 1)
    os.close(nothing)
    server = ForkServer(sock)
    try:
        server.serve()
    finally:
        server.leave_behind()


class ForkServer:
    """The socket, the mark, and the signal that tells of ends."""

    def __init__(self, sock: socket.socket) -> None:
        self._sock, self._mark = sock, Mark()
        self._wakeup = socket.socketpair()
        for end in self._wakeup:
            end.setblocking(False)
        signal.set_wakeup_fd(self._wakeup[1].fileno(), warn_on_full_buffer=False)
        signal.signal(signal.SIGCHLD, lambda *_: None)

    def serve(self) -> None:
        """Fork what is asked for and tell of ends, until nobody asks any more."""
        poll = select.poll()
        poll.register(self._sock, select.POLLIN)
        poll.register(self._wakeup[0], select.POLLIN)
        # What is here stays for ever: a collection in an attempt need not copy its pages.
        gc.collect()
        gc.freeze()
        while True:
            ready = {fd for fd, _ in poll.poll()}
            if self._wakeup[0].fileno() in ready:
                self._drain()
            if self._sock.fileno() in ready and not self._take():
                return
            if not self._reap():
                return

    def _drain(self) -> None:
        try:
            self._wakeup[0].recv(4096)
        except BlockingIOError:
            return

    def _take(self) -> bool:
        try:
            data, descriptors = _received(self._sock, 2)
        except OSError:
            return False
        if not data:
            return False
        order = json.loads(data)
        log, gate = descriptors
        # Only once: of a handler that was asked for, all later attempts find it imported.
        importlib.import_module(BUILT_IN[order["handler"]].partition(":")[0])
        try:
            pid = os.fork()
        except OSError as error:
            pid = -1
            with suppress(OSError):
                self._tell({"key": order["key"], "error": error.strerror})
        if not pid:
            self._become(order, log, gate)
        os.close(log)
        os.close(gate)
        return True

    def _reap(self) -> bool:
        """Tell of what has ended; False once nobody listens."""
        try:
            while (found := os.waitpid(-1, os.WNOHANG))[0]:
                self._tell({"ended": found[0], "status": found[1]})
        except ChildProcessError:
            return True
        except OSError:
            return False
        return True

    def _tell(self, message: dict[str, Any]) -> None:
        self._sock.send(json.dumps(message).encode())

    # ------------------------------------------------------------ in the attempt

    def _become(self, order: dict[str, Any], log: int, gate: int) -> NoReturn:
        """Be the attempt, from the gate to its end."""
        code = 1
        try:
            door = self._wait_to_begin(order, gate)
            code = 0 if door is None else _serve(order, log, door, self._mark)
        except BaseException:  # whatever it is, this process must not go on as a server
            traceback.print_exc()
        finally:
            _end(code)

    def _wait_to_begin(self, order: dict[str, Any], gate: int) -> socket.socket | None:
        """Return the gate once it is opened; None when it never will be: the spawner has other plans, or died."""
        global _BEGAN
        _BEGAN = time.time()
        os.setsid()
        self._mark.write(order["mark"])
        door = socket.socket(fileno=gate)
        try:
            self._tell({"key": order["key"], "pid": os.getpid()})
            self.leave_behind()
            return door if door.recv(len(GO)) == GO else None
        except OSError:
            return None

    def leave_behind(self) -> None:
        """Let go of what is the server's alone."""
        signal.set_wakeup_fd(-1)
        signal.signal(signal.SIGCHLD, signal.SIG_DFL)
        self._sock.close()
        for end in self._wakeup:
            end.close()


_BUFFER = memoryview(bytearray(MESSAGE_BYTES_MAX))
"""For every message: `recv_fds` has as much mapped anew each time, which takes longer than the message."""


def _received(sock: socket.socket, descriptors: int) -> tuple[bytes, array[int]]:
    """Return a message, b"" at the end, and the descriptors that came with it, that many at most."""
    found = array("i")
    size, extra, _, _ = sock.recvmsg_into([_BUFFER], socket.CMSG_LEN(descriptors * found.itemsize))
    for level, kind, data in extra:
        if (level, kind) == (socket.SOL_SOCKET, socket.SCM_RIGHTS):
            found.frombytes(data[: len(data) - len(data) % found.itemsize])
    return bytes(_BUFFER[:size]), found


class Mark:
    """The attempt's name where others look for it: the environment this process was started with (proc_pid_environ(5)).

    A fork keeps that memory, so the attempt writes its own mark over the room that the spawner left there.
    """

    def __init__(self) -> None:
        libc = ctypes.CDLL(None)
        libc.getenv.restype = ctypes.c_void_p
        self._address, self._room = libc.getenv(MARK.encode()), len(os.environ.get(MARK, ""))

    def write(self, text: str) -> None:
        data = os.fsencode(text)
        assert len(data) <= self._room, "the spawner does not ask for what has no room"
        ctypes.memmove(self._address, data.ljust(self._room, b"\0"), self._room)


def _serve(order: dict[str, Any], log: int, door: socket.socket, mark: Mark) -> int:
    """Do an attempt, and the next ones if the job lets this process be used again; return the last exit status."""
    usual = {number: signal.getsignal(number) for number in signal.valid_signals()}
    places = list(sys.path)
    while True:
        os.dup2(log, 1)
        os.dup2(log, 2)
        os.close(log)
        _settle_in(order)
        code = _run(order)
        if code or order["reuse"] is None or not _is_clean():
            return code
        for stream in (sys.stdout, sys.stderr):
            stream.flush()
        for number in (1, 2):
            os.dup2(0, number)
        _restore(usual)
        sys.path[:] = places
        mark.write("")
        try:
            door.send(DONE)
            data, descriptors = _received(door, 1)
        except OSError:
            return 0
        if not data:
            return 0
        order, log = json.loads(data), descriptors[0]
        mark.write(order["mark"])


def _restore(usual: dict[signal.Signals, Any]) -> None:
    """Let signals do what they did before: the next attempt's end is not for the handlers of this one."""
    signal.alarm(0)
    for number, handler in usual.items():
        if signal.getsignal(number) is not handler:
            signal.signal(number, handler)


def _is_clean() -> bool:
    """Whether nothing is left of what was done: no thread, no process, and no module that is another one by now."""
    if threading.active_count() > 1 or _has_children():
        return False
    return not any(_has_changed(name, module) for name, module in list(sys.modules.items()) if name not in _LASTING)


def _has_children() -> bool:
    try:
        os.waitid(os.P_ALL, 0, os.WEXITED | os.WNOHANG | os.WNOWAIT)
    except ChildProcessError:
        return False
    return True


_SEEN: dict[str, float] = {}
_LASTING = set(sys.builtin_module_names)
"""Modules that nobody edits while they are in use, as far as they were met: Python's own, and what is installed."""
_INSTALLED = (sys.base_prefix, sys.prefix, os.path.dirname(dagsched.__file__))
_BEGAN = time.time()


def _has_changed(name: str, module: Any) -> bool:
    """Whether a module's file, if it lies outside of Python's own folders, was changed since it can have been read."""
    path = getattr(module, "__file__", None)
    if path is None:
        return False
    if path.startswith(_INSTALLED):
        _LASTING.add(name)
        return False
    try:
        changed = os.stat(path).st_mtime
    except OSError:
        return True
    return changed > _BEGAN or _SEEN.setdefault(path, changed) != changed


def _settle_in(order: dict[str, Any]) -> None:
    """Make environment, folder and import path those of a Python started for this attempt."""
    _change_environment(order["env"])
    time.tzset()
    os.chdir(order["cwd"])
    sys.path[0] = os.getcwd()
    importlib.invalidate_caches()


def _change_environment(wanted: dict[str, str]) -> None:
    """Make the environment that one; from one attempt to the next, most of it stays as it is."""
    for name in set(os.environ) - wanted.keys():
        del os.environ[name]
    for name, value in wanted.items():
        if os.environ.get(name) != value:
            os.environ[name] = value


def _run(order: dict[str, Any]) -> int:
    """Return the exit status, as Python itself finds it."""
    try:
        return child.work(order["handler"], json.loads(order["context"]))
    except SystemExit as error:
        if error.code is None or isinstance(error.code, int):
            return error.code or 0
        print(error.code, file=sys.stderr)
        return 1


def _end(code: int) -> NoReturn:
    """End as an interpreter does, but for taking it apart: threads are waited for, what is registered is run."""
    try:
        threading._shutdown()  # type: ignore[attr-defined]
        atexit._run_exitfuncs()
        for stream in (sys.stdout, sys.stderr):
            stream.flush()
    except BaseException:  # a registered function may raise anything; the end comes all the same
        traceback.print_exc()
        code = code or 120
    finally:
        os._exit(code & 0xFF)


if __name__ == "__main__":
    main()
