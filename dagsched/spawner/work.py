"""Every attempt from its order to its exit record: started or forked, timed, stopped, reaped, its log tended.

`start` takes orders, `start_some` makes processes of a handful of them, `reap` takes in what has ended. What came of a
turn is in `started` and in the book.
"""

from __future__ import annotations

import os
import signal
import time
from collections import deque

from . import logs, processes, spawning
from .attempt import ENDING, KILLING, RUNNING, Attempt
from .family import Family
from .forks import Forks
from .masking import MaskedLog
from .say import say

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable
    from typing import Any

    from .book import Book
    from .forks import Watch
    from .journal import Key
    from .timers import Timers

STARTS_PER_TURN = 32
SWEEP_S, SWEEP_FAST_S = 0.2, 0.02
KILL_AGAIN_S = 0.2
LOOK_AGAIN_S = 0.005
LOG_BYTES_MAX = 10 * 1024 * 1024
FILES_SPARED = 64


class Work:
    """What is to be started, what lives, and what to do about it."""

    def __init__(
        self,
        state_dir: str,
        state_id: str,
        state_fd: int,
        book: Book,
        timers: Timers,
        watch: Watch,
        unwatch: Callable[[int], None],
    ) -> None:
        self.state_fd, self.book, self.timers = state_fd, book, timers
        self.log_bytes_max = LOG_BYTES_MAX
        self.spare: list[int] = []  # nameless empty log files
        self.file_limit = processes.FileLimit()
        # Each living attempt holds its log open. What is spared is for connections, the journal and /proc.
        files_max = self.file_limit.files_max
        self.attempts_max = max(files_max - FILES_SPARED, files_max // 2)
        self.queue: deque[Attempt] = deque()
        self.queued: set[Key] = set()
        self.started: list[Attempt] = []  # this turn's, to be written down
        self.starter = spawning.Starter(state_dir, state_id)
        self.forks = Forks(self._hear_forks, watch, unwatch)
        self.family = Family(self.forks)
        self.sweeping = self.looking = False

    @property
    def is_owed(self) -> bool:
        """Whether an order was taken and its process is not there yet."""
        return bool(self.queue or self.forks.asked)

    @property
    def can_start(self) -> bool:
        """Whether `start_some` has something to do at once."""
        return bool(self.queue) and not (self._is_for_forks(self.queue[0]) and self.forks.must_wait())

    def _is_for_forks(self, attempt: Attempt) -> bool:
        order = attempt.order
        return bool(order.get("fork")) and self.forks.takes(order, self.starter.mark(order))

    @property
    def is_over(self) -> bool:
        """Whether nothing is to be started and nothing lives."""
        return not self.is_owed and self.family.is_empty

    def recorded(self) -> list[Key]:
        """Return the attempts whose start is on record."""
        return [*self.family.living, *self.book.ghosts, *(key for key, _, _ in self.book.exits.values())]

    def stop_all(self, grace_s: float, cause: str = "stop") -> None:
        """End everything, because the machine goes down or for another cause."""
        asked = [worker.attempt for worker in self.forks.asked.values()]
        for attempt in [*self.queue, *asked, *self.family.living.values()]:
            self.stop(attempt.key, cause, grace_s)

    # ------------------------------------------------------------ starts

    def start(self, orders: list[dict[str, Any]], *, draining: bool) -> None:
        """Record the starts of orders that are new, then queue them; known ones are left as they are.

        `draining`: they come from a daemon of another version, and are refused.
        """
        asked = {attempt.key: attempt for attempt in map(Attempt, orders)}
        fresh = [attempt for key, attempt in asked.items() if not self._is_known(key)]
        if draining:
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
        self.book.add_exit(attempt, error=reason if attempt.mask is None else attempt.mask.text(reason))

    def start_some(self) -> None:
        """Start some of what is queued; the rest waits for the next turn, so that ends are seen meanwhile."""
        for _ in range(min(STARTS_PER_TURN, len(self.queue))):
            attempt = self.queue.popleft()
            by_fork = self._is_for_forks(attempt)
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
        self.file_limit.make_room(len(self.family.living) + len(self.spare))
        try:
            attempt.log = self._log_of(attempt)
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

    def _log_of(self, attempt: Attempt) -> logs.Log:
        path = attempt.order["log"]
        if attempt.mask is None:
            return logs.Log(self.state_fd, path, self.log_bytes_max, self.spare)
        return MaskedLog(self.state_fd, path, self.log_bytes_max, self.spare, attempt.mask)

    def _has_started(self, attempt: Attempt) -> None:
        order = attempt.order
        self.file_limit.pass_on(attempt.pid)
        attempt.started = time.time()
        attempt.start_ticks = (attempt.start_ticks[0], processes.ticks_now())
        order.pop("stdin", None)  # it may be large, and the process has it
        if attempt.mask is not None:
            order.pop("env")
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

    def reap(self) -> None:
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
        if not attempt.strays and self.family.is_undecided(attempt):
            self._look_again_later()
            return
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

    def _look_again_later(self) -> None:
        if not self.looking:
            self.looking = True
            self.timers.after(LOOK_AGAIN_S, self._look_again)

    def _look_again(self) -> None:
        """Attribute what was in the middle of an exec, and go on with the attempts that waited for that."""
        self.looking = False
        self.family.find_strays()
        for attempt in [each for each in self.family.living.values() if each.status is not None]:
            self._settle(attempt)

    def _finish(self, attempt: Attempt) -> None:
        if not processes.HAS_PROC:
            processes.send_group(attempt.pid, signal.SIGKILL)
        self.family.remove(attempt)
        if attempt.timer is not None:
            attempt.timer.cancel()
        attempt.ended = time.time()
        output, complaint = spawning.collect_output(attempt.output)
        if attempt.mask is not None:
            output, complaint = attempt.mask.text(output), attempt.mask.text(complaint)
        path, size = self._collect(attempt)
        parts: dict[str, Any] = {"output": output, "output_error": complaint, "log": path, "bytes": size}
        if attempt.is_forked and not attempt.has_begun and not attempt.cause:
            parts["error"] = "its process ended before it could begin"
        elif attempt.is_lost:
            parts["lost"] = True
        self.book.add_exit(attempt, **parts)

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
