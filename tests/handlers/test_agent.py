"""`handler: agent` with the worker of `examples/`, and with workers that misbehave."""

from __future__ import annotations

import asyncio
import json
import subprocess
import sys
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

import httpx
import pytest

from dagsched.declaration import AGENT_TOKEN
from dagsched.errors import HandlerError
from dagsched.handlers import launch, traceparent
from dagsched.handlers.agent import Work
from dagsched.model import Job, Outcome, Run, RunState, run_name
from tests.daemon.served import Served, rows
from tests.executor.harness import Hand
from tests.handlers.attempts import TICK, attempt

AGENT = Path(__file__).parents[2] / "examples" / "agent.py"
RUN = run_name("j", TICK)
TASKS = {
    "fine": """sh -c 'cat; echo; echo "$TRACEPARENT"; echo loss=0.02 >> "$DAGSCHED_OUTPUT"'""",
    "slow": "sh -c 'echo begun; until [ -e {folder}/go ]; do sleep 0.05; done; echo done'",
    "bad": "sh -c 'echo no luck; exit 3'",
    "second": "sh -c '[ $DAGSCHED_ATTEMPT -gt 1 ]'",
    "count": "sh -c 'echo x >> {folder}/count; until [ -e {folder}/go ]; do sleep 0.05; done'",
}


@contextmanager
def worker(folder: Path) -> Iterator[str]:
    """Run the reference worker and yield its URL."""
    process = subprocess.Popen(
        [sys.executable, AGENT, "--port", "0", *(f"{k}={v.format(folder=folder)}" for k, v in TASKS.items())],
        env={"AGENT_TOKEN": "s3cret", "PATH": "/usr/bin:/bin"},
        stdout=subprocess.PIPE,
        text=True,
    )
    assert process.stdout is not None
    try:
        port = process.stdout.readline().rpartition(":")[2].strip()
        yield f"http://127.0.0.1:{port}"
    finally:
        process.terminate()
        process.wait(30)
        process.stdout.close()


def settings(url: str, task: str, **more):
    at = {"url": url, "token": {"env": "TOKEN"}}
    return {"agent": "gpu", "task": task, "poll": "50ms", "at": at, **more}


def tried(tmp_path, url, task, env=None, **more):
    return attempt(tmp_path, "agent", settings(url, task, **more), env=env or {AGENT_TOKEN: "s3cret"})


def test_work_is_done_elsewhere_and_its_words_and_outputs_come_back(tmp_path):
    with worker(tmp_path) as url:
        exit, log = tried(tmp_path, url, "fine", input={"epochs": 3})
    assert exit.outcome is Outcome.SUCCESS, log
    assert log.splitlines() == ['{"epochs": 3}', traceparent(RUN, 1)]
    assert exit.outputs == {"loss": "0.02"}


def test_long_work_is_asked_after_and_its_words_come_once(tmp_path):
    with worker(tmp_path) as url:
        timer = threading.Timer(1.0, (tmp_path / "go").touch)
        timer.start()
        exit, log = tried(tmp_path, url, "slow")
        timer.join()
    assert (exit.outcome, log) == (Outcome.SUCCESS, "begun\ndone\n")


@pytest.mark.parametrize(
    ("task", "env", "words"),
    [
        ("bad", {}, "says that the work failed: exit 3"),
        ("unknown", {}, "refused the work: status 422: {\"error\": \"no task 'unknown' here\"}"),
        ("fine", {AGENT_TOKEN: "wrong"}, "refused the work: status 401"),
    ],
)
def test_what_goes_wrong_is_told_in_one_line(tmp_path, task, env, words):
    with worker(tmp_path) as url:
        exit, log = tried(tmp_path, url, task, {AGENT_TOKEN: "s3cret", **env})
    assert exit.outcome is Outcome.FAILED
    assert words in log.splitlines()[-1]
    assert "Traceback" not in log


def test_no_work_is_sent_to_a_worker_that_is_not_there(tmp_path):
    exit, log = tried(tmp_path, "http://127.0.0.1:1", "fine")
    assert exit.outcome is Outcome.FAILED
    assert "agent gpu (http://127.0.0.1:1) is not there: ConnectError" in log


def test_a_timeout_ends_the_work_elsewhere_too(tmp_path):
    job = Job("j", handler="agent", with_=settings("", "slow"))

    async def main(url: str):
        order = launch(
            job._replace(with_=settings(url, "slow")), Run("j", TICK, RunState.QUEUED), 1, env={AGENT_TOKEN: "s3cret"}
        )
        async with Hand(tmp_path / "state") as hand:
            exit = await hand.run(order._replace(timeout_s=2.0))
            return exit, hand.log(exit).decode()

    with worker(tmp_path) as url:
        exit, log = asyncio.run(main(url))
        place = f"{url}/runs/{RUN.replace(':', '%3A')}"
        state = httpx.get(place, headers={"Authorization": "Bearer s3cret"}).json()
    assert exit.outcome is Outcome.TIMED_OUT
    assert "told to end; the agent gpu was told (status 200)" in log
    assert state["state"] == "failed"


def test_a_second_attempt_does_failed_work_again_and_joins_what_still_runs(tmp_path):
    def again(url: str, task: str, number: int) -> str:
        context = {"run": f"job:{task}:x", "job": "j", "tick": "t", "attempt": number, "params": {}}
        with httpx.Client(headers={"Authorization": "Bearer s3cret"}) as client:
            order = {**context, "task": task, "input": None}
            return str(client.post(f"{url}/runs", json=order).json()["state"])

    with worker(tmp_path) as url:
        assert [again(url, "second", number) for number in (1, 1, 2, 3)] == ["failed", "failed", "success", "success"]
        assert [again(url, "count", number) for number in (1, 2)] == ["running", "running"]
        assert (tmp_path / "count").read_text() == "x\n"
        (tmp_path / "go").touch()


JOBS = """\
version: 1
agents: {{gpu: {{url: "{url}", token: {{file: token}}}}}}
jobs:
  a: {{handler: agent, with: {{agent: gpu, task: count, poll: 100ms}}}}
"""


def test_work_goes_on_elsewhere_when_the_daemon_is_killed_and_is_adopted(tmp_path):
    (tmp_path / "token").write_text("s3cret\n")
    with worker(tmp_path) as url:
        (tmp_path / "jobs.yaml").write_text(JOBS.format(url=url))
        with Served(tmp_path) as first:
            first.until_type("daemon.started")
            first.ask("trigger", "a")
            first.until_type("run.started", "a")
            deadline = time.monotonic() + 30
            while not (tmp_path / "count").exists():
                assert time.monotonic() < deadline
                time.sleep(0.02)
            first.process.kill()
        with Served(tmp_path) as second:
            second.until_type("attempt.adopted")
            (tmp_path / "go").touch()
            second.until_type("run.succeeded", "a")
            assert [row["attempts"] for row in rows(second.ask("history", "--json"))] == [1]
        assert (tmp_path / "count").read_text() == "x\n"


# ---------------------------------------------------------------- workers that misbehave


@contextmanager
def answers(*said: tuple[int, dict[str, str], str]) -> Iterator[tuple[str, list[str]]]:
    """Serve these answers, one after the other (the last again and again); yield URL and what was asked."""
    asked: list[str] = []
    left = list(said)

    class Handler(BaseHTTPRequestHandler):
        def answer(self) -> None:
            self.rfile.read(int(self.headers.get("Content-Length") or 0))
            asked.append(f"{self.command} {self.path}")
            status, headers, body = left.pop(0) if len(left) > 1 else left[0]
            self.send_response(status)
            for name, value in headers.items():
                self.send_header(name, value)
            self.send_header("Content-Length", str(len(body)))
            self.end_headers()
            self.wfile.write(body.encode())

        do_GET = do_POST = do_DELETE = answer

        def log_message(self, *args: object) -> None:
            """Say nothing."""

    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.01})
    thread.start()
    try:
        yield f"http://127.0.0.1:{server.server_port}", asked
    finally:
        server.shutdown()
        thread.join()
        server.server_close()


def work(url: str, health: object = False) -> dict[str, str]:
    with_ = {"agent": "gpu", "poll": "1ms", "at": {"url": url, "health": health}}
    context = {"run": RUN, "job": "j", "tick": "t", "attempt": 1, "params": {}, "with": with_}
    with httpx.Client(timeout=5) as client:
        return Work(client, url, context, sleep=lambda _: None).done()


DONE = (200, {}, json.dumps({"state": "success", "outputs": {"n": 1}}))


def test_a_worker_that_is_away_for_a_moment_is_asked_again():
    with answers((202, {}, ""), (503, {}, ""), (500, {}, "x"), (202, {}, ""), DONE) as (url, asked):
        assert work(url) == {"n": "1"}
    assert len(asked) == 5


def test_the_place_of_a_run_is_where_the_worker_says():
    with answers((202, {"Location": "/elsewhere/7"}, ""), DONE) as (url, asked):
        work(url)
    assert asked == ["POST /runs", "GET /elsewhere/7?offset=0"]


@pytest.mark.parametrize(
    ("said", "words"),
    [
        ([(202, {"Location": "http://evil.example.com/"}, "")], "points elsewhere: http://evil.example.com/"),
        ([(202, {}, ""), (404, {}, "gone")], "knows the run no more: status 404: gone"),
        ([(200, {}, "not json")], "no JSON"),
        ([(200, {}, "[1]")], "no JSON object"),
        ([(200, {}, '{"state": "odd"}')], "'odd', not running"),
        ([(200, {}, '{"state": "success", "outputs": 5}')], "no mapping"),
        ([(302, {"Location": "/x"}, "")], "refused the work: status 302"),
    ],
)  # fmt: skip
def test_an_answer_that_makes_no_sense_fails_the_attempt(said, words):
    with answers(*said) as (url, _), pytest.raises(HandlerError, match=words):
        work(url)


def test_a_worker_that_is_not_healthy_gets_no_work():
    with answers((503, {}, "")) as (url, asked), pytest.raises(HandlerError, match="not healthy: status 503 of /up"):
        work(url, "/up")
    assert asked == ["GET /up"]
