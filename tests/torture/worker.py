"""The command of every tortured job: it writes a journal of its own life, and misbehaves as told.

Standard library only, run by path with `-I -S` so that it starts quickly. One line is one write to a file opened
with O_APPEND, so the order of the lines is the order of what happened, whichever process wrote them:

    MONOTONIC WALL KIND RUN ATTEMPT PID START ROLE EXTRA

KIND is start, beat, term (a SIGTERM arrived), end (EXTRA: the exit code that follows) or born (a grandchild).
PID and START (clock ticks since boot, /proc/PID/stat) are the process's identity. ROLE is main or child.

    worker.py JOURNAL SECONDS FAIL_PERCENT HABITS [EDIT]

EDIT, which edit of the job this is, comes from the environment when it is not given. HABITS, joined by +: stubborn
(ignores TERM), session (leaves a child in a session of its own), orphan (leaves a grandchild by double fork), naked
(what it leaves has an empty environment), loud (prints a lot), output.
"""

import os
import signal
import sys
import time
import zlib

BEAT_S = 0.05
LEFTOVER_S = 15.0


def main() -> None:
    """Live as told."""
    if sys.argv[1] == "--leftover":
        _linger(sys.argv[2], sys.argv[3], sys.argv[4])
        return
    path, seconds, fail_percent, habits, *edit = sys.argv[1:]
    os._exit(live(path, seconds, fail_percent, habits, *edit))


def called(path: str, seconds: str, fail_percent: str, habits: str) -> "dict[str, str]":
    """Live as told inside a `handler: python`; a failure is an exception, which that handler makes exit code 1."""
    if live(path, seconds, fail_percent, habits, failure=1):
        raise RuntimeError("fails as told")
    return {"result": "well"}


def live(path: str, seconds: str, fail_percent: str, habits: str, edit: str = "", *, failure: int = 3) -> int:
    """Write one attempt's life and return its exit code, `failure` if it is to fail."""
    run, attempt = os.environ["DAGSCHED_RUN"], os.environ["DAGSCHED_ATTEMPT"]
    journal = Journal(path, run, attempt, "main")
    journal.write("start", edit or os.environ["EDIT"])
    # Before the handler is set: what is forked here must not write in this process's name.
    _misbehave(path, run, attempt, habits)
    dies_by_term = "stubborn" not in habits
    signal.signal(signal.SIGTERM, lambda *_: _terminated(journal, dies_by_term))
    _live(journal, float(seconds))
    code = failure if zlib.crc32(f"{run}#{attempt}".encode()) % 100 < int(fail_percent) else 0
    if "output" in habits:
        with open(os.environ["DAGSCHED_OUTPUT"], "a") as file:
            file.write(f"attempt={attempt}\n")
    journal.write("end", str(code))
    return code


class Journal:
    """The one file all jobs write to."""

    def __init__(self, path: str, run: str, attempt: str, role: str) -> None:
        self._fd = os.open(path, os.O_WRONLY | os.O_APPEND | os.O_CREAT | os.O_CLOEXEC, 0o600)
        with open("/proc/self/stat") as file:
            start = file.read().rpartition(")")[2].split()[19]
        self._who = f"{run} {attempt} {os.getpid()} {start} {role}"

    def write(self, kind: str, extra: str = "-") -> None:
        """Append one line with one write."""
        os.write(self._fd, f"{time.monotonic():.6f} {time.time():.6f} {kind} {self._who} {extra}\n".encode())


def _terminated(journal: Journal, dies: bool) -> None:
    journal.write("term")
    if dies:
        os._exit(143)


def _live(journal: Journal, seconds: float) -> None:
    until = time.monotonic() + seconds
    while (left := until - time.monotonic()) > 0:
        time.sleep(min(BEAT_S, left))
        journal.write("beat")


def _misbehave(path: str, run: str, attempt: str, habits: str) -> None:
    if "loud" in habits:
        os.write(1, b"a line that nobody will ever read\n" * 2000)
        os.write(2, b"\xff\xfe no text at all " * 500)
    if "session" in habits:
        _leave_behind(path, run, attempt, habits, fork_twice=False)
    if "orphan" in habits:
        _leave_behind(path, run, attempt, habits, fork_twice=True)


def _leave_behind(path: str, run: str, attempt: str, habits: str, *, fork_twice: bool) -> None:
    if os.fork():
        return
    os.setsid()
    if fork_twice and os.fork():
        os._exit(0)
    argv = [sys.executable, "-I", "-S", os.path.abspath(__file__), "--leftover", path, run, attempt]
    os.execve(sys.executable, argv, {} if "naked" in habits else dict(os.environ))


def _linger(path: str, run: str, attempt: str) -> None:
    journal = Journal(path, run, attempt, "child")
    journal.write("born")
    _live(journal, LEFTOVER_S)


if __name__ == "__main__":
    main()
