"""The spawner's loop: orders in, processes started and reaped, exits out.

One thread, one `poll`. Each turn reads what the daemon sent, starts a handful of processes, reaps what has
ended, acts on timers that are due, appends the turn's records to the journal in one write and answers in
another. There is one connection at a time: the next is answered with its inventory only after the one before
was read to its end, so that every order that was sent is either carried out or was never here.

The spawner ends by itself when nothing runs and either no daemon is connected or the daemon said `quit`.
SIGTERM (the machine goes down) stops every attempt and then ends it.
"""

from __future__ import annotations

import gc
import os
import select
import signal
import socket

from . import cgroups, logs, processes, spawning, term
from .book import Book
from .link import Link
from .timers import Timers
from .work import Work

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable
    from typing import Any

    from .attempt import Attempt
    from .book import Exit
    from .journal import Key

WRITE_AGAIN_S = 1.0
TELL_S = 0.05
GRACE_S = 10.0
ACCEPT_AGAIN_S = 1.0
OBJECTS_BEFORE_A_LOOK = 20_000


class Server:
    """Everything the spawner holds, and what it does about it."""

    def __init__(self, state_dir: str, protocol: int) -> None:
        self.state_dir = os.path.abspath(state_dir)
        self.protocol = protocol
        self.state_fd = os.open(self.state_dir, os.O_RDONLY | os.O_DIRECTORY)
        self.quitting = self.terminated = False
        self.mourned = False  # a daemon waits for this process's end, and removes its cgroup then
        self.timers = Timers()
        self.writing_again = False
        self.untold: dict[Key, Attempt] = {}  # started, and the daemon has not been told
        self.telling = False
        self.book = Book(self.state_dir, protocol, self._state_id())
        self.poll = select.poll()
        self.work = Work(
            self.state_dir, self._state_id(), self.state_fd, self.book, self.timers, self._watch, self._unwatch
        )
        self.term = term.Term(self.timers, self.work)
        self.link: Link | None = None
        self.waiting: list[socket.socket] = []
        self.ways: dict[int, Callable[[], None]] = {}
        self.listener: socket.socket | None = None

    def _state_id(self) -> str:
        """Return what names the state directory in marks: a copy of it is another one."""
        found = os.fstat(self.state_fd)
        return f"{found.st_dev:x}-{found.st_ino:x}"

    # ------------------------------------------------------------ life

    def run(self, first: int) -> None:
        """Serve until there is nothing more to do; `first` is the descriptor of the first connection."""
        processes.become_subreaper()
        # What is here stays, and attempts are freed with their last reference: hardly anything is ever found.
        gc.freeze()
        gc.set_threshold(OBJECTS_BEFORE_A_LOOK)
        for folder in (logs.FOLDER, "outputs"):
            logs.make_folders(self.state_fd, folder)
        self.book.open()
        if self.book.ghosts:
            spawning.drop_outputs(self.state_dir, self.book.ghosts)
        self._watch_signals()
        self._listen()
        self._accept(socket.socket(fileno=first))
        while not self._is_over():
            self._turn()
        self._end()

    def _is_over(self) -> bool:
        if not self.work.is_over:
            return False
        return self.quitting or (self.link is None and not self.waiting and not self.book.unwritten)

    def _turn(self) -> None:
        for fd, _ in self.poll.poll(0 if self.work.can_start else self.timers.wait_ms()):
            way = self.ways.get(fd)
            if way is not None:
                way()
        if self.terminated:
            self._stop_all()
        self.work.start_some()
        self.work.reap()
        self.timers.run_due()
        self.work.forks.retire_if_idle()
        self._report()

    def _end(self) -> None:
        assert self.listener is not None
        self.listener.close()
        self.work.forks.retire()
        os.unlink(self._socket_name(), dir_fd=self.state_fd)
        cgroup = self.book.close(settle=self.quitting)
        if self.link is None or not self.mourned:
            cgroups.leave(cgroup)
        if self.link is not None:
            self.link.send({"is": "bye", "cgroup": cgroup if self.mourned else ""})
            self.link.finish()

    def _watch_signals(self) -> None:
        reader, writer = socket.socketpair()
        reader.setblocking(False)
        writer.setblocking(False)
        signal.set_wakeup_fd(writer.fileno(), warn_on_full_buffer=False)
        self.wakeup = (reader, writer)
        signal.signal(signal.SIGCHLD, lambda *_: None)
        signal.signal(signal.SIGTERM, self._on_terminate)
        for number in (signal.SIGINT, signal.SIGHUP):
            signal.signal(number, signal.SIG_IGN)
        self.work.starter.ignored = processes.ignored_signals()
        self._register(reader, self._drain_wakeups)

    def _drain_wakeups(self) -> None:
        try:
            self.wakeup[0].recv(4096)
        except BlockingIOError:
            return

    def _on_terminate(self, *_: object) -> None:
        self.terminated = True

    def _stop_all(self) -> None:
        """End everything because the machine goes down; once, whatever else comes."""
        self.terminated, self.quitting = False, True
        self.work.stop_all(GRACE_S)

    # ------------------------------------------------------------ connections

    def _socket_name(self) -> str:
        return f"spawner-{self.protocol}.sock"

    def _listen(self) -> None:
        self.listener = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
        # A socket's path has room for about 100 bytes, so it is bound from inside the folder.
        os.fchdir(self.state_fd)
        if os.path.lexists(self._socket_name()):
            os.unlink(self._socket_name())
        usual = os.umask(0o177)
        self.listener.bind(self._socket_name())
        os.umask(usual)
        self.listener.listen(16)
        self.listener.setblocking(False)
        self._register(self.listener, self._accept_next)

    def _register(self, sock: socket.socket, way: Callable[[], None]) -> None:
        self._watch(sock.fileno(), way)

    def _watch(self, fd: int, way: Callable[[], None]) -> None:
        self.ways[fd] = way
        self.poll.register(fd, select.POLLIN)

    def _unwatch(self, fd: int) -> None:
        del self.ways[fd]
        self.poll.unregister(fd)

    def _accept_next(self) -> None:
        assert self.listener is not None
        try:
            sock, _ = self.listener.accept()
        except (BlockingIOError, ConnectionAbortedError):
            return
        except OSError as error:  # too many open files, here or in the whole machine
            self.book.remark(f"cannot take a connection yet: {error.strerror}")
            self.poll.unregister(self.listener.fileno())
            self.timers.after(ACCEPT_AGAIN_S, self._accept_again)
            return
        self._accept(sock)

    def _accept_again(self) -> None:
        assert self.listener is not None
        self._register(self.listener, self._accept_next)

    def _accept(self, sock: socket.socket) -> None:
        self.waiting.append(sock)
        self._promote()

    def _promote(self) -> None:
        """Listen to the next connection if there is none."""
        if self.link is None and self.waiting:
            self.link = Link(self.waiting.pop(0), self.poll)
            self.ways[self.link.fileno()] = self._serve

    def _serve(self) -> None:
        link = self.link
        assert link is not None
        for message in link.receive():
            if link.refused:
                break  # what follows an order is not carried out without it
            try:
                self._obey(link, message)
            except (KeyError, TypeError, ValueError) as error:
                # A daemon that talks nonsense must not take everybody's attempts with it.
                self.book.remark(f"a message of the daemon was not understood: {error!r}")
                link.closed = True
        if link.closed or link.refused:
            del self.ways[link.fileno()]
            link.close()
            self.link = None
            self._promote()

    def _obey(self, link: Link, message: dict[str, Any]) -> None:
        verb = message.get("do")
        if verb == "hello":
            self._hello(link, message)
        elif not link.greeted:
            link.closed = True
        elif verb == "start":
            self._start(link, message)
        elif verb == "stop":
            self.work.stop((message["run"], message["attempt"]), message["cause"], message["grace_s"])
        elif verb == "renew":
            self.term.keep(message["until"])
        elif verb == "ack":
            self.book.acknowledge(message["seqs"])
        elif verb == "settled":
            self.book.settle()
        elif verb == "quit":
            self.quitting, self.mourned = True, bool(message.get("mourned"))

    def _start(self, link: Link, message: dict[str, Any]) -> None:
        if message.get("expires") is None or term.now_s() < message["expires"]:
            self.work.start(message["starts"], draining=link.draining)
        else:
            # Another scheduler may give these orders by now. A daemon that holds the lease after all learns from the
            # next inventory that they were not carried out.
            self.book.remark("orders that came after the end of the daemon's lease were refused")
            link.refused = True

    def _hello(self, link: Link, message: dict[str, Any]) -> None:
        link.greeted = True
        self.term.keep(message.get("until"))
        link.draining = message["version"] != self.protocol
        self.quitting = False
        if not link.draining:
            self.work.starter.cwd, self.work.starter.env = message["cwd"], message["env"]
            self.work.log_bytes_max = message["log_bytes_max"]
            self.book.take_over_abandoned()

    def _greet(self, link: Link) -> None:
        """Answer a new connection with the inventory, once every earlier order has been carried out."""
        if not link.greeted or self.work.is_owed:
            return
        link.send(
            {
                "is": "welcome",
                "version": self.protocol,
                "pid": os.getpid(),
                "drain": link.draining,
                "rebooted": self.book.rebooted,
            }
        )
        link.send_rows("living", [[*each.key, each.pid] for each in self.work.family.living.values()])
        link.send_rows("recorded", [list(key) for key in self.work.recorded()])
        link.send_bodies("exits", [body for _, _, body in self.book.exits.values()])
        self._pass_on_remarks(link)
        link.ready = True
        link.send({"is": "ready"})

    # ------------------------------------------------------------ what a turn leaves to say

    def _report(self) -> None:
        """Write down what the turn brought, then tell the daemon."""
        started, self.work.started = self.work.started, []
        exits = self.book.write(started)
        for attempt in started:
            self.work.forks.let_go(attempt)
        if self.book.unwritten and not self.writing_again:
            self.writing_again = True
            self.timers.after(WRITE_AGAIN_S, self._write_again)
        link = self.link
        if link is None:
            return
        if link.ready:
            self._tell_exits(link, exits)
            self._tell_later(started)
            self._pass_on_remarks(link)
        else:
            self._greet(link)
        link.flush()

    def _tell_exits(self, link: Link, exits: list[Exit]) -> None:
        for key, _, _ in exits:
            self.untold.pop(key, None)
        link.send_bodies("exits", [body for _, _, body in exits])

    def _tell_later(self, started: list[Attempt]) -> None:
        """Tell of starts a little later: nobody waits for that, and of a short attempt its exit tells all."""
        self.untold.update((each.key, each) for each in started)
        if self.untold and not self.telling:
            self.telling = True
            self.timers.after(TELL_S, self._tell_started)

    def _tell_started(self) -> None:
        self.telling = False
        told = [each for each in self.untold.values() if each.key in self.work.family.living]
        self.untold.clear()
        if self.link is not None and self.link.ready:
            self.link.send_rows("started", [[*each.key, each.pid, each.started] for each in told])

    def _pass_on_remarks(self, link: Link) -> None:
        for text in self.book.take_remarks():
            link.send({"is": "remark", "text": text})

    def _write_again(self) -> None:
        self.writing_again = False  # the turn's flush tries, and comes back here if it must
