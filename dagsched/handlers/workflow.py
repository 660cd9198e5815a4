"""`handler: workflow`: another job, or the jobs of a file, as one step.

    with: {job: load, params: {day: monday}}     a run of that job; its end is the step's, and so are its outputs
    with: {file: sub/jobs.yaml, params: {…}}     `dagsched run --once` on that file; its exit code is the step's

The attempt asks the daemon for the run, and then for its end, through the socket in the state directory. While no
daemon answers it waits for the next one: an attempt outlives its daemon, and the run it waits for does too. What
becomes of that run when this one is cancelled, timed out or tried again is decided by the daemon (`engine/calls.py`).
"""

from __future__ import annotations

import hashlib
import json
import os
import shutil
import socket
import subprocess
import sys
import time
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from typing import Any

from dagsched.errors import HandlerError
from dagsched.handlers.params import as_text

AGAIN_S, AGAIN_MAX_S = 0.1, 2.0
ANSWER_TIMEOUT_S = 60.0
GRACE = "5s"
SOCKETS = ("control.sock", "calls.sock")  # of a daemon, of `run --once`

SCHEMA: Mapping[str, Any] = {
    "type": "object",
    "additionalProperties": False,
    "oneOf": [{"required": ["job"]}, {"required": ["file"]}],
    "dependentRequired": {"wait": ["job"]},
    "properties": {
        "job": {"description": "The job to run.", "type": "string"},
        "file": {"description": "A job file, relative to `cwd`, whose jobs are all run once.", "type": "string"},
        "params": {"description": "Parameters for the job, or for the jobs that declare them.", "type": "object"},
        "wait": {"description": "Whether the run's end is this one's.", "type": "boolean", "default": True},
    },
}


class WorkflowHandler:
    """Runs the job or the file that `with` names."""

    SCHEMA = SCHEMA

    def run(self, context: Mapping[str, Any]) -> dict[str, str] | None:
        """Return the outputs of the job that was run; raises HandlerError when it did not succeed."""
        if "file" not in context["with"]:
            return _run_job(context)
        _run_file(context)
        return None


# ---------------------------------------------------------------- a job


def _run_job(context: Mapping[str, Any]) -> dict[str, str] | None:
    asked, state_dir = context["with"], _state_dir(context)
    waits = asked.get("wait", True)
    wanted = {"job": asked["job"], "caller": context["run"], "params": asked.get("params", {}), "wait": waits}
    while True:
        answer = _ask(state_dir, "call", wanted)
        print(f"run {answer['run']}", flush=True)
        if not waits:
            return None
        end = _end_of(state_dir, answer["run"])
        print(f"{end['run']} is {end['state']}" + (f": {end['reason']}" if end["reason"] else ""), flush=True)
        if end["state"] == "success":
            return dict(end["outputs"])
        if not answer["stopping"]:
            raise HandlerError(f"`dagsched logs {end['run']}` shows what it wrote")
        # It was made by an attempt before this one, and was about to end when this one came.


def _end_of(state_dir: str, run: str) -> dict[str, Any]:
    while True:
        end = _ask(state_dir, "outcome", {"run": run})
        if end["is_over"]:
            return end


def _state_dir(context: Mapping[str, Any]) -> str:
    if not context["outputs"]:
        raise HandlerError("DAGSCHED_OUTPUT is not set: this is no attempt of dagsched")
    return str(os.path.dirname(os.path.dirname(context["outputs"])))


def _ask(state_dir: str, verb: str, body: Mapping[str, Any]) -> dict[str, Any]:
    """Return the daemon's answer, however long there is none; raises HandlerError when it refuses."""
    pause_s, told = AGAIN_S, False
    while True:
        line = _answer(state_dir, json.dumps({"verb": verb, "body": body}).encode() + b"\n")
        if line:
            break
        if pause_s == AGAIN_MAX_S and not told:
            told = True
            print("no daemon answers; waiting for the next one", flush=True)
        time.sleep(pause_s)
        pause_s = min(2 * pause_s, AGAIN_MAX_S)
    answer = json.loads(line)
    if "ok" not in answer:
        raise HandlerError(f"workflow handler: {answer['message']}")
    return dict(answer["ok"])


def _answer(state_dir: str, request: bytes) -> bytes:
    """Return the line that a daemon answers, b"" when there is none or it ended before it did."""
    for name in SOCKETS:
        try:
            with _connected(state_dir, name) as sock:
                sock.sendall(request)
                line = sock.makefile("rb").readline()
                return line if line.endswith(b"\n") else b""
        except OSError:
            continue
    return b""


@contextmanager
def _connected(state_dir: str, name: str) -> Iterator[socket.socket]:
    # The address of a socket has room for about 100 bytes, and a path can be longer.
    folder = os.open(state_dir, os.O_RDONLY | os.O_DIRECTORY)
    try:
        with socket.socket(socket.AF_UNIX, socket.SOCK_STREAM) as sock:
            sock.settimeout(ANSWER_TIMEOUT_S)
            is_linux = os.path.isdir("/proc/self/fd")
            sock.connect(f"/proc/self/fd/{folder}/{name}" if is_linux else os.path.join(state_dir, name))
            yield sock
    finally:
        os.close(folder)


# ---------------------------------------------------------------- a file


def state_of(state_dir: str, run: str) -> str:
    """Return where the state of the file's jobs is that a run has run."""
    return os.path.join(state_dir, "workflows", hashlib.sha256(run.encode()).hexdigest()[:24])


def _run_file(context: Mapping[str, Any]) -> None:
    """Run a file's jobs in a state of their own, which goes when all was well; raises HandlerError otherwise."""
    asked = context["with"]
    state = state_of(_state_dir(context), context["run"])
    os.makedirs(state, mode=0o700, exist_ok=True)
    words = [sys.executable, "-m", "dagsched", "run", os.path.abspath(asked["file"]), "--state-dir", state]
    for name, value in asked.get("params", {}).items():
        words += ["--param", f"{name}={as_text(value)}"]
    code = subprocess.run([*words, "--grace", GRACE, "--once"], check=False, stdin=subprocess.DEVNULL).returncode
    if code:
        raise HandlerError(f"{asked['file']} ended with {code}; `dagsched history --state-dir {state}` shows its runs")
    shutil.rmtree(state, ignore_errors=True)


handler = WorkflowHandler()
