"""What a job's attempt is to be: a command with its environment, computed without touching the machine."""

from __future__ import annotations

import json
import re
import sys
from collections.abc import Mapping
from datetime import datetime
from functools import lru_cache
from typing import Any, NamedTuple
from zoneinfo import ZoneInfo

from dagsched.digests import sha256
from dagsched.errors import HandlerError
from dagsched.handlers import shell
from dagsched.handlers.params import event_of, params_env, params_of
from dagsched.handlers.table import BUILT_IN
from dagsched.model import EMPTY, Attempt, Job, Run, format_instant

GRACE_S = 10.0

# What the interpreter, the loader or the C library looks at when a process starts, and never again.
_READ_AT_START = re.compile(r"PYTHON|LD_|LC_|LANG|MALLOC_|GLIBC_|DYLD_|OPENSSL_|SSL_|OMP_")


class Fork(NamedTuple):
    """Forking the attempt from a process that has already loaded what it needs.

    The server's command, the handler, and `reuse`: the import path that the forked process must have to do further
    attempts ("" for the usual one), None when it may not.
    """

    server: tuple[str, ...]
    handler: str
    reuse: str | None


class Launch(NamedTuple):
    """A start order for one attempt.

    `env` is what is added to the daemon's own environment. `cwd` None or relative: from the daemon's folder.
    `stdin` None: /dev/null. `timeout_s` None: no limit. After `timeout_s` everything of the attempt gets
    TERM, and KILL `grace_s` later. `log` and `output` are paths below the state directory. `fork`: what may be done
    instead of executing `argv`, with the same result. `secrets`: variables of `env` whose values are masked in what the
    attempt leaves.
    """

    run: str
    attempt: int
    argv: tuple[str, ...]
    env: Mapping[str, str]
    cwd: str | None
    user: str | None
    stdin: str | None
    timeout_s: float | None
    grace_s: float
    log: str
    output: str
    fork: Fork | None = None
    secrets: tuple[str, ...] = ()

    def __repr__(self) -> str:
        # Without its environment, which may hold secrets.
        return f"Launch({self.run!r}, {self.attempt}, {self.argv!r})"


def launch(
    job: Job,
    run: Run,
    attempt: int,
    *,
    env: Mapping[str, str],
    secrets: Mapping[str, str] = EMPTY,
    grace_s: float = GRACE_S,
) -> Launch:
    """Return the start order for an attempt.

    `env`: the job's own `env` with outputs of upstreams already filled in; it has the last word. `secrets`: values by
    variable. Raises HandlerError when the job has neither a command nor a handler that could run.
    """
    stdin = None if job.handler == "shell" else _context(job, run, attempt, env)
    name = run.name
    of_attempt = _digest(f"{name}/{attempt}")
    return Launch(
        run=name,
        attempt=attempt,
        argv=_argv(job),
        env={**_told(job, run, name, attempt, of_attempt), **params_env(job, run), **env, **secrets},
        cwd=job.cwd,
        user=job.user,
        stdin=stdin,
        timeout_s=None if job.timeout is None else job.timeout.total_seconds(),
        grace_s=grace_s,
        log=log_path(run, attempt),
        output=f"outputs/{of_attempt[:24]}",
        fork=None if secrets else _fork(job, env),
        secrets=tuple(secrets),
    )


def log_of(attempt: Attempt) -> str:
    """Return where an attempt's output is, below the state directory; "" when it ended without any.

    While it is under way nothing is on record yet, and the file is there as soon as something was found in it.
    """
    return attempt.log or ("" if attempt.ended else log_path(attempt, attempt.number))


def log_path(run: Run | Attempt, attempt: int) -> str:
    """Return where the attempt's output is, below the state directory; no file is there while it is empty."""
    return f"logs/{run.job}/{format_instant(run.tick)}.{attempt}.log"


def traceparent(run: str, attempt: int) -> str:
    """Return the W3C trace context of an attempt: the trace is the run, the span its attempt.

    https://www.w3.org/TR/trace-context/#traceparent-header
    """
    return _traceparent(run, _digest(f"{run}/{attempt}"))


def _traceparent(run: str, of_attempt: str) -> str:
    return f"00-{_digest(run)[:32]}-{of_attempt[:16]}-01"


def _argv(job: Job) -> tuple[str, ...]:
    if job.handler != "shell":
        return (sys.executable, "-m", "dagsched.handlers.child", job.handler)
    if job.run is None or not job.run:
        raise HandlerError(f"job {job.id!r} has nothing to run: give it `run` or `handler`")
    return job.run if isinstance(job.run, tuple) else shell.argv(job.run, job.shell)


def _fork(job: Job, env: Mapping[str, str]) -> Fork | None:
    """Return how the attempt may be forked, None when only a Python of its own does what the job says.

    A plug-in may be replaced at any time, so it is loaded anew; some variables are read once, when a process starts.
    One with secrets is never forked: neither server nor any later attempt may have them in its memory.
    """
    if job.handler not in BUILT_IN or any(map(_READ_AT_START.match, env)):
        return None
    reuse = str(job.with_.get("path", "")) if job.with_.get("reuse") else None
    return Fork((sys.executable, "-m", "dagsched.handlers.forkserver"), job.handler, reuse)


def _told(job: Job, run: Run, name: str, attempt: int, of_attempt: str) -> dict[str, str]:
    return {
        "DAGSCHED_JOB": job.id,
        "DAGSCHED_RUN": name,
        "DAGSCHED_TICK": format_instant(run.tick),
        "DAGSCHED_TICK_LOCAL": _local(run.tick, job.timezone),
        "DAGSCHED_ATTEMPT": str(attempt),
        "TRACEPARENT": _traceparent(name, of_attempt),
    }


@lru_cache(maxsize=256)  # of a graph all runs have the same
def _local(tick: datetime, timezone: str) -> str:
    return tick.astimezone(ZoneInfo(timezone)).isoformat(timespec="milliseconds" if tick.microsecond else "seconds")


def _context(job: Job, run: Run, attempt: int, env: Mapping[str, str]) -> str:
    return json.dumps(
        {
            "job": job.id,
            "run": run.name,
            "tick": format_instant(run.tick),
            "attempt": attempt,
            "with": job.with_,
            "params": params_of(job, run),
            "env": dict(env),
            **({"secrets": list(job.secrets)} if job.secrets else {}),
            **({"event": event} if (event := event_of(run)) else {}),
        },
        default=_plain,
    )


def _plain(value: Any) -> Any:
    if isinstance(value, Mapping):
        return dict(value)
    return str(value)


def _digest(text: str) -> str:
    return sha256(text.encode("utf-8", "surrogateescape")).hexdigest()
