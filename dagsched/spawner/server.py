"""The spawner's loop: orders in, processes started and reaped, exits out.

One thread, one `poll`. Each turn reads what the daemon sent, starts a handful of processes, reaps what has
ended, acts on timers that are due, appends the turn's records to the journal in one write and answers in
another. There is one connection at a time: the next is answered with its inventory only after the one before
was read to its end, so that every order that was sent is either carried out or was never here.

The spawner ends by itself when nothing runs and either no daemon is connected or the daemon said `quit`.
SIGTERM (the machine goes down) stops every attempt and then ends it.
"""

from __future__ import annotations

import os
import select
import signal
import socket
import time
from collections import deque

from . import logs, processes, spawning
from .attempt import ENDING, KILLING, RUNNING, Attempt
from .book import Book
from .family import Family
from .forks import Forks
from .link import Link
from .say import say
from .timers import Timers

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable
    from typing import Any

    from .journal import Key

STARTS_PER_TURN = 32
SWEEP_S, SWEEP_FAST_S = 0.2, 0.02
KILL_AGAIN_S = 0.2
WRITE_AGAIN_S = 1.0
TELL_S = 0.05
GRACE_S = 10.0
LOG_BYTES_MAX = 10 * 1024 * 1024
FILES_SPARED = 64
ACCEPT_AGAIN_S = 1.0


class Server:
    """Everything the spawner holds, and what it does about it."""

    def __init__(self, state_dir: str, protocol: int) -> None:
        self.state_dir = os.path.abspath(state_dir)
        self.protocol = protocol
        self.state_fd = os.open(self.state_dir, os.O_RDONLY | os.O_DIRECTORY)
        self.log_bytes_max = LOG_BYTES_MAX
        self.spare: list[int] = []  # nameless empty log files
        self.file_limits = processes.raise_file_limit()
        # Each living attempt holds its log open. What is spared is for connections, the journal and /proc.
        files_max = processes.files_max()
        self.attempts_max = max(files_max - FILES_SPARED, files_max // 2)
        self.quitting = self.terminated = False
        self.queue: deque[Attempt] = deque()
        self.queued: set[Key] = set()
        self.timers = Timers()
        self.sweeping = self.writing_again = False
        self.started: list[Attempt] = []  # this turn's, to be written
        self.untold: dict[Key, Attempt] = {}  # started, and the daemon has not been told
        self.telling = False
        self.starter = spawning.Starter(self.state_dir, self._state_id())
        self.forks = Forks(self._hear_forks, self._watch, self._unwatch)
        self.family = Family(self.forks)
        self.book = Book(self.state_dir, protocol, self._state_id())
        self.poll = select.poll()
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
        for folder in (logs.FOLDER, "outputs"):
            logs.make_folders(self.state_fd, folder)
        self.book.open()
        self._watch_signals()
        self._listen()
        self._accept(socket.socket(fileno=first))
        while not self._is_over():
            self._turn()
        self._end()

    def _is_over(self) -> bool:
        if self.queue or self.forks.asked or not self.family.is_empty:
            return False
        return self.quitting or (self.link is None and not self.waiting and not self.book.unwritten)

    def _turn(self) -> None:
        for fd, _ in self.poll.poll(0 if self.queue else self.timers.wait_ms()):
            way = self.ways.get(fd)
            if way is not None:
                way()
        if self.terminated:
            self._stop_all()
        self._start_some()
        self._reap()
        self.timers.run_due()
        self.forks.retire_if_idle()
        self._report()

    def _end(self) -> None:
        assert self.listener is not None
        self.listener.close()
        self.forks.retire()
        os.unlink(self._socket_name(), dir_fd=self.state_fd)
        self.book.close(settle=self.quitting)
        if self.link is not None:
            self.link.send({"is": "bye"})
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
        self.starter.ignored = processes.ignored_signals()
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
        for attempt in [*self.queue, *self._asked(), *self.family.living.values()]:
            self.stop(attempt.key, "stop", GRACE_S)

    def _asked(self) -> list[Attempt]:
        return [worker.attempt for worker in self.forks.asked.values()]

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
            try:
                self._obey(link, message)
            except (KeyError, TypeError, ValueError) as error:
                # A daemon that talks nonsense must not take everybody's attempts with it.
                self.book.remark(f"a message of the daemon was not understood: {error!r}")
                link.closed = True
        if link.closed:
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
            self.start(message["starts"])
        elif verb == "stop":
            self.stop((message["run"], message["attempt"]), message["cause"], message["grace_s"])
        elif verb == "ack":
            self.book.acknowledge(message["seqs"])
        elif verb == "settled":
            self.book.settle()
        elif verb == "quit":
            self.quitting = True

    def _hello(self, link: Link, message: dict[str, Any]) -> None:
        link.greeted = True
        link.draining = message["version"] != self.protocol
        self.quitting = False
        if not link.draining:
            self.starter.cwd, self.starter.env = message["cwd"], message["env"]
            self.log_bytes_max = message["log_bytes_max"]
            self.book.take_over_abandoned()

    def _greet(self, link: Link) -> None:
        """Answer a new connection with the inventory, once every earlier order has been carried out."""
        if not link.greeted or self.queue or self.forks.asked:
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
        link.send_rows("living", [[*each.key, each.pid] for each in self.family.living.values()])
        link.send_rows("recorded", [list(key) for key in self._recorded()])
        link.send_rows("exits", list(self.book.exits.values()))
        self._pass_on_remarks(link)
        link.ready = True
        link.send({"is": "ready"})

    def _recorded(self) -> list[Key]:
        exits = [(each["run"], each["attempt"]) for each in self.book.exits.values()]
        return [*self.family.living, *self.book.ghosts, *exits]

    # ------------------------------------------------------------ starts

    def start(self, orders: list[dict[str, Any]]) -> None:
        """Record the starts of orders that are new, then queue them; known ones are left as they are."""
        asked = {attempt.key: attempt for attempt in map(Attempt, orders)}
        fresh = [attempt for key, attempt in asked.items() if not self._is_known(key)]
        if self.link is not None and self.link.draining:
            for attempt in fresh:
                self._refuse(attempt, "this spawner takes no new starts: a newer one does")
            return
        try:
            self.book.record_starts(fresh)
        except OSError as error:
            for attempt in fresh:
                self._refuse(attempt, f"no start can be recorded in the state directory: {error.strerror}")
            return
        self.queue.extend(fresh)
        self.queued.update(each.key for each in fresh)

    def _is_known(self, key: Key) -> bool:
        known = key in self.family.living or key in self.queued or key in self.forks.asked
        return known or self.book.knows(key)

    def _refuse(self, attempt: Attempt, reason: str) -> None:
        attempt.ended = time.time()
        self.book.add_exit(attempt, error=reason)

    def _start_some(self) -> None:
        """Start some of what is queued; the rest waits for the next turn, so that ends are seen meanwhile."""
        for _ in range(min(STARTS_PER_TURN, len(self.queue))):
            attempt = self.queue.popleft()
            by_fork = self.forks.takes(attempt.order, self.starter.mark(attempt.order))
            if by_fork and self.forks.must_wait():
                self.queue.appendleft(attempt)
                return
            self.queued.discard(attempt.key)
            self._start(attempt, by_fork)

    def _start(self, attempt: Attempt, by_fork: bool) -> None:
        order = attempt.order
        if not self.spare and len(self.family.living) >= self.attempts_max:
            self._fail(attempt, f"{self.attempts_max} attempts run, and the limit of open files has no room for more")
            return
        try:
            attempt.log = logs.Log(self.state_fd, order["log"], self.log_bytes_max, self.spare)
            attempt.output = self.starter.output_path(order)
            attempt.start_ticks = (processes.ticks_now(), 0)
            if by_fork and self._ask_for(attempt, attempt.log.fd):
                return
            attempt.pid = self.starter.start(order, attempt.log.fd, attempt.output)
        except spawning.CannotStart as error:
            self._fail(attempt, str(error))
        except OSError as error:
            self._fail(attempt, f"cannot open the attempt's files: {error}")
        else:
            self._has_started(attempt)

    def _has_started(self, attempt: Attempt) -> None:
        order = attempt.order
        processes.limit_files(attempt.pid, self.file_limits)
        attempt.started = time.time()
        attempt.start_ticks = (attempt.start_ticks[0], processes.ticks_now())
        order.pop("stdin", None)  # it may be large, and the process has it
        self.family.add(attempt)
        self.started.append(attempt)
        if order["timeout_s"] is not None:
            self._set_timer(attempt, order["timeout_s"], self._time_out)
        self._sweep_later(SWEEP_S)

    # ------------------------------------------------------------ starts by fork

    def _ask_for(self, attempt: Attempt, log_fd: int) -> bool:
        """Ask the fork server for the attempt's process; False when it cannot be asked, and a start is due."""
        cwd, env = self.starter.place(attempt.order, attempt.output)
        self.starter.enter(self.starter.cwd)  # the server stands where the daemon does
        try:
            if not self.forks.is_there(attempt.order["fork"]["server"], self.starter):
                return False
            worker = self.forks.take_spare(attempt, env, cwd)
            if worker is None:
                self.forks.ask(attempt, env, cwd, log_fd)
        except OSError as error:
            say(f"{attempt.key[0]} is started, for it cannot be forked: {error}")
            return False
        if worker is not None:
            attempt.pid, attempt.is_forked = worker.pid, True
            self._has_started(attempt)
            attempt.start_ticks = worker.start_ticks
        return True

    def _hear_forks(self) -> None:
        for worker, error in self.forks.hear():
            attempt = worker.attempt
            if error:
                self._fail(attempt, f"cannot fork: {error}")
                continue
            attempt.pid, attempt.is_forked = worker.pid, True
            self._has_started(attempt)
            worker.start_ticks = attempt.start_ticks

    def _mourn(self, pid: int) -> None:
        """Go on after the death of a fork server."""
        for attempt in self.forks.bury(pid):
            # Behind the gate nothing of it has begun, and it ends there by itself.
            self._collect(attempt)
            self.queued.add(attempt.key)
            self.queue.appendleft(attempt)

    def _fail(self, attempt: Attempt, reason: str) -> None:
        self._collect(attempt)
        self._refuse(attempt, reason)

    # ------------------------------------------------------------ ends

    def _time_out(self, attempt: Attempt) -> None:
        if not self.family.main_has_ended(attempt):
            self.stop(attempt.key, "timeout", attempt.grace_s)

    def stop(self, key: Key, cause: str, grace_s: float) -> None:
        """End an attempt for that cause: TERM now, KILL after the grace; nothing if it is over.

        Asked for twice, the earlier KILL of the two holds.
        """
        attempt = self.family.living.get(key)
        if attempt is None:
            self._stop_queued(key, cause)
            return
        if not self.family.main_has_ended(attempt) and not attempt.cause:
            attempt.cause = cause
        self.family.find_strays()  # those that nobody has looked at yet are to get TERM as well
        self._terminate(attempt, grace_s)

    def _stop_queued(self, key: Key, cause: str) -> None:
        if key in self.forks.asked:
            # Its gate stays closed, and it ends there.
            asked = self.forks.asked[key].attempt
            asked.cause = asked.cause or cause
        for attempt in [each for each in self.queue if each.key == key]:
            self.queue.remove(attempt)
            self.queued.discard(key)
            attempt.cause, attempt.ended = cause, time.time()
            self.book.add_exit(attempt)

    def _terminate(self, attempt: Attempt, grace_s: float) -> None:
        if attempt.phase == RUNNING:
            attempt.phase = ENDING
            if grace_s > 0:
                self.family.signal(attempt, signal.SIGTERM)
                self.family.signal(attempt, signal.SIGCONT)  # a stopped process would not see TERM
        elif attempt.timer is not None and attempt.timer.due <= time.monotonic() + grace_s:
            return
        self._set_timer(attempt, grace_s, self._kill)

    def _kill(self, attempt: Attempt) -> None:
        """KILL, again and again: a process that forks fast can be missed once."""
        attempt.phase = KILLING
        self.family.signal(attempt, signal.SIGKILL)
        self._set_timer(attempt, KILL_AGAIN_S, self._kill)

    def _set_timer(self, attempt: Attempt, length_s: float, act: Callable[[Attempt], None]) -> None:
        if attempt.timer is not None:
            attempt.timer.cancel()
        attempt.timer = self.timers.after(length_s, lambda: act(attempt))

    def _reap(self) -> None:
        touched, is_alone = self.family.reap()
        while self.family.fallen:
            self._mourn(self.family.fallen.pop())
        ended, self.forks.ended = self.forks.ended, []
        touched += [attempt for attempt in ended if attempt not in touched]
        if not touched:
            return
        if not is_alone:
            self.family.find_strays()
        for attempt in touched:
            if attempt.status is not None:
                self._settle(attempt)

    def _settle(self, attempt: Attempt) -> None:
        """Go on after a process of an attempt has ended whose main process is over."""
        if attempt.leftovers is None:
            attempt.leftovers = len(self.family.members(attempt)) if attempt.strays else 0
        if not attempt.strays:
            self._finish(attempt)
        elif attempt.phase == RUNNING:
            self._terminate(attempt, attempt.grace_s)
        elif attempt.phase == ENDING:
            # Forked by one that TERM met a moment later: nothing but the KILL would reach it.
            self.family.signal_newcomers(attempt, signal.SIGTERM)
        elif attempt.phase == KILLING:
            self.family.signal(attempt, signal.SIGKILL)

    def _finish(self, attempt: Attempt) -> None:
        if not processes.HAS_PROC:
            processes.send_group(attempt.pid, signal.SIGKILL)
        self.family.remove(attempt)
        if attempt.timer is not None:
            attempt.timer.cancel()
        attempt.ended = time.time()
        output, complaint = spawning.collect_output(attempt.output)
        path, size = self._collect(attempt)
        lost = {"lost": True} if attempt.is_lost else {}
        self.book.add_exit(attempt, output=output, output_error=complaint, log=path, bytes=size, **lost)

    def _collect(self, attempt: Attempt) -> tuple[str, int]:
        """Close the log of an attempt and clear its folder for outputs; return the log's path and size."""
        if attempt.order.get("user") and attempt.output:
            import shutil  # few jobs have a user of their own, and this process is to stay small

            shutil.rmtree(os.path.dirname(attempt.output), ignore_errors=True)
        if attempt.log is None:
            return "", 0
        try:
            return attempt.log.finish()
        except OSError as error:
            self.book.remark(f"the log of {attempt.key[0]} attempt {attempt.key[1]} is damaged: {error}")
            return attempt.log.path, attempt.log.size

    # ------------------------------------------------------------ logs of what runs

    def _sweep_later(self, length_s: float) -> None:
        if not self.sweeping:
            self.sweeping = True
            self.timers.after(length_s, self._sweep)

    def _sweep(self) -> None:
        """Look at the logs of what still runs: name those with content, cut those that are too long."""
        began = time.monotonic()
        self.sweeping = False
        fast = False
        for attempt in self.family.living.values():
            assert attempt.log is not None, "an attempt with a process has a log"
            try:
                fast |= attempt.log.watch() > self.log_bytes_max // 4
            except OSError as error:
                self.book.remark(f"cannot tend the log of {attempt.key[0]}: {error}")
        if self.family.living:
            # At most a fiftieth of the time, however many there are.
            pause_s = SWEEP_FAST_S if fast else SWEEP_S
            self._sweep_later(max(pause_s, 50 * (time.monotonic() - began)))

    # ------------------------------------------------------------ what a turn leaves to say

    def _report(self) -> None:
        """Write down what the turn brought, then tell the daemon."""
        started, self.started = self.started, []
        exits = self.book.write(started)
        for attempt in started:
            self.forks.let_go(attempt)
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

    def _tell_exits(self, link: Link, exits: list[dict[str, Any]]) -> None:
        for each in exits:
            self.untold.pop((each["run"], each["attempt"]), None)
        link.send_rows("exits", exits)

    def _tell_later(self, started: list[Attempt]) -> None:
        """Tell of starts a little later: nobody waits for that, and of a short attempt its exit tells all."""
        self.untold.update((each.key, each) for each in started)
        if self.untold and not self.telling:
            self.telling = True
            self.timers.after(TELL_S, self._tell_started)

    def _tell_started(self) -> None:
        self.telling = False
        told = [each for each in self.untold.values() if each.key in self.family.living]
        self.untold.clear()
        if self.link is not None and self.link.ready:
            self.link.send_rows("started", [[*each.key, each.pid, each.started] for each in told])

    def _pass_on_remarks(self, link: Link) -> None:
        for text in self.book.take_remarks():
            link.send({"is": "remark", "text": text})

    def _write_again(self) -> None:
        self.writing_again = False  # the turn's flush tries, and comes back here if it must
