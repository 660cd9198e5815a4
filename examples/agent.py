#!/usr/bin/env python3
"""A worker for `handler: agent`, of the standard library alone.

    AGENT_TOKEN=secret python agent.py --port 8421 train='python train.py' report='./report.sh'

Each word is a task and the command that does it. The command gets the task's input as JSON on standard input, and in
its environment DAGSCHED_JOB, DAGSCHED_RUN, DAGSCHED_TICK, DAGSCHED_ATTEMPT, TRACEPARENT and DAGSCHED_OUTPUT: the file
in which `name=value` lines become the run's outputs. What it writes becomes the run's log. Exit 0 is success.

It listens on 127.0.0.1 unless --host says else; put TLS in front of it (a reverse proxy) when it leaves the machine.
Tasks live in memory: when this process ends, so do they.
"""

from __future__ import annotations

import argparse
import hmac
import json
import os
import shlex
import signal
import subprocess
import tempfile
import threading
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from urllib.parse import parse_qs, quote, unquote, urlsplit

BODY_BYTES_MAX = 1024 * 1024
KEPT_MAX = 1000


class Task:
    """One run's work: a process, what it writes, and how it ends."""

    def __init__(self, order: dict, command: str, trace: str) -> None:
        self.attempt = order["attempt"]
        self.folder = tempfile.TemporaryDirectory(prefix="agent-")
        self._log = Path(self.folder.name, "log")
        self._outputs = Path(self.folder.name, "outputs")
        self._outputs.touch()
        told = {
            "DAGSCHED_JOB": order["job"],
            "DAGSCHED_RUN": order["run"],
            "DAGSCHED_TICK": order["tick"],
            "DAGSCHED_ATTEMPT": str(order["attempt"]),
            "DAGSCHED_OUTPUT": str(self._outputs),
            "TRACEPARENT": trace,
        }
        with self._log.open("wb") as log:
            self._process = subprocess.Popen(
                shlex.split(command),
                stdin=subprocess.PIPE,
                stdout=log,
                stderr=subprocess.STDOUT,
                env={**os.environ, **told},
                start_new_session=True,
            )
        threading.Thread(target=self._feed, args=(json.dumps(order["input"]).encode(),), daemon=True).start()

    def _feed(self, text: bytes) -> None:
        try:
            self._process.communicate(text)
        except BrokenPipeError:
            self._process.wait()

    def wait(self, timeout_s: float) -> None:
        try:
            self._process.wait(timeout_s)
        except subprocess.TimeoutExpired:
            return

    def state(self) -> str:
        code = self._process.poll()
        return "running" if code is None else "success" if code == 0 else "failed"

    def answer(self, offset: int) -> dict:
        state = self.state()
        said = {"state": state, "output": self._log.read_text(errors="replace")[offset:]}
        if state == "success":
            lines = self._outputs.read_text(errors="replace").splitlines()
            said["outputs"] = dict(line.split("=", 1) for line in lines if "=" in line)
        if state == "failed":
            said["error"] = f"exit {self._process.returncode}"
        return said

    def cancel(self) -> None:
        for number in (signal.SIGTERM, signal.SIGKILL):
            if self._process.poll() is None:
                os.killpg(self._process.pid, number)
                self.wait(5.0)

    def forget(self) -> None:
        self.cancel()
        self.folder.cleanup()


class Worker:
    """All tasks, by run."""

    def __init__(self, commands: dict[str, str], token: str) -> None:
        self.commands, self.token = commands, token
        self._tasks: dict[str, Task] = {}
        self._lock = threading.Lock()

    def begin(self, order: dict, trace: str) -> Task:
        """Start the work, or join it: a run has one task at a time, and one that succeeded is done for good."""
        with self._lock:
            known = self._tasks.get(order["run"])
            if known is not None:
                if known.state() != "failed" or known.attempt >= order["attempt"]:
                    return known
                known.forget()
            over = [run for run, task in self._tasks.items() if task.state() != "running"]
            for run in over[: max(0, len(self._tasks) - KEPT_MAX)]:
                self._tasks.pop(run).forget()
            task = self._tasks[order["run"]] = Task(order, self.commands[order["task"]], trace)
            return task

    def find(self, run: str) -> Task | None:
        with self._lock:
            return self._tasks.get(run)

    def close(self) -> None:
        with self._lock:
            for task in self._tasks.values():
                task.forget()


class Handler(BaseHTTPRequestHandler):
    server: Server
    timeout = 30

    def do_GET(self) -> None:
        if self.path == "/health":
            return self._say(200, {"tasks": sorted(self.server.worker.commands)})
        task = self._asked_task()
        if task is not None:
            query = parse_qs(urlsplit(self.path).query)
            offset = query.get("offset", ["0"])[0]
            self._say(200, task.answer(int(offset) if offset.isdigit() else 0))
        return None

    def do_DELETE(self) -> None:
        task = self._asked_task()
        if task is not None:
            task.cancel()
            self._say(200, task.answer(0) | {"output": ""})

    def do_POST(self) -> None:
        if not self._is_known():
            return self._say(401, {"error": "the token is wrong"})
        order = self._order()
        if self.path != "/runs" or order is None:
            return self._say(400, {"error": "POST /runs takes a JSON object with run, job, tick, attempt, task, input"})
        if order["task"] not in self.server.worker.commands:
            return self._say(422, {"error": f"no task {order['task']!r} here"})
        task = self.server.worker.begin(order, self.headers.get("traceparent", ""))
        task.wait(0.2)
        is_over = task.state() != "running"
        place = f"/runs/{quote(order['run'], safe='')}"
        return self._say(200 if is_over else 202, task.answer(0), {"Location": place, "Retry-After": "1"})

    def _order(self) -> dict | None:
        length = self.headers.get("Content-Length", "")
        if not length.isdigit() or int(length) > BODY_BYTES_MAX:
            return None
        try:
            order = json.loads(self.rfile.read(int(length)))
        except ValueError:
            return None
        wanted = {"run": str, "job": str, "tick": str, "attempt": int, "task": str}
        is_good = isinstance(order, dict) and all(isinstance(order.get(key), kind) for key, kind in wanted.items())
        return {"input": None, **order} if is_good else None

    def _asked_task(self) -> Task | None:
        if not self._is_known():
            self._say(401, {"error": "the token is wrong"})
            return None
        kind, _, run = urlsplit(self.path).path.lstrip("/").partition("/")
        task = self.server.worker.find(unquote(run)) if kind == "runs" else None
        if task is None:
            self._say(404, {"error": "no such run here"})
        return task

    def _is_known(self) -> bool:
        said = self.headers.get("Authorization", "").encode()
        return hmac.compare_digest(said, f"Bearer {self.server.worker.token}".encode())

    def _say(self, status: int, body: dict, headers: dict[str, str] | None = None) -> None:
        text = json.dumps(body).encode()
        self.send_response(status)
        for name, value in {"Content-Type": "application/json", **(headers or {})}.items():
            self.send_header(name, value)
        self.send_header("Content-Length", str(len(text)))
        self.end_headers()
        self.wfile.write(text)

    def log_message(self, *args: object) -> None:
        """Say nothing: requests come every few seconds."""


class Server(ThreadingHTTPServer):
    daemon_threads = True

    def __init__(self, address: tuple[str, int], worker: Worker) -> None:
        super().__init__(address, Handler)
        self.worker = worker


def main() -> None:
    parser = argparse.ArgumentParser(description="A worker for dagsched's `handler: agent`.")
    parser.add_argument("--host", default="127.0.0.1")
    parser.add_argument("--port", type=int, default=8421)
    parser.add_argument("--token-env", default="AGENT_TOKEN", help="the variable that holds the token")
    parser.add_argument("tasks", nargs="+", metavar="TASK=COMMAND")
    args = parser.parse_args()
    token = os.environ.pop(args.token_env, "")
    if not token:
        parser.error(f"set {args.token_env} to a secret")
    commands = dict(task.split("=", 1) for task in args.tasks)
    worker = Worker(commands, token)
    with Server((args.host, args.port), worker) as server:
        print(f"listening on {args.host}:{server.server_port}", flush=True)
        signal.signal(signal.SIGTERM, lambda *_: threading.Thread(target=server.shutdown).start())
        try:
            server.serve_forever()
        except KeyboardInterrupt:
            pass
        finally:
            worker.close()


if __name__ == "__main__":
    main()
