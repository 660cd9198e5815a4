"""A daemon that serves HTTP on a port of its own, and ways to call it."""

from __future__ import annotations

import json
import socket
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import httpx

from tests.daemon.served import Served

JOBS = """\
version: 1
jobs:
  extract: {run: 'echo one; echo two', params: {day: {type: string, default: mon}}}
  load: {depends_on: [extract], run: 'echo loaded'}
  broken: {run: 'echo oops; exit 3'}
  nightly: {schedule: '0 3 * * *', timezone: Europe/Berlin, run: 'true'}
  long: {run: 'echo begun; sleep 60'}
  listener: {schedule: {event: arrived}, run: 'true'}
"""


class Caller:
    """A daemon's HTTP as one client sees it: `root` is an admin on TCP, `local` comes over the unix socket."""

    def __init__(self, daemon: Served) -> None:
        self.daemon = daemon
        self.url = json.loads(daemon.ask("status", "--json"))["daemon"]["http"]
        self.token = self.make_token("admin")
        self.root = httpx.Client(base_url=self.url, headers=bearer(self.token), timeout=20)
        transport = httpx.HTTPTransport(uds=str(daemon.folder / ".dagsched" / "api.sock"))
        self.local = httpx.Client(base_url="http://local", transport=transport, timeout=20)

    def make_token(self, role: str, *words: str) -> str:
        made: dict[str, Any] = json.loads(self.daemon.ask("token", "create", "--role", role, "--json", *words))
        return str(made["token"])

    def client(self, role: str) -> httpx.Client:
        return httpx.Client(base_url=self.url, headers=bearer(self.make_token(role)), timeout=20)

    def get(self, path: str, **more: Any) -> Any:
        """Return the JSON of a successful GET below /api/v1."""
        answer = self.root.get(f"/api/v1{path}", **more)
        assert answer.status_code == 200, answer.text
        return answer.json()

    def post(self, path: str, body: Mapping[str, Any] | None = None, **more: Any) -> Any:
        answer = self.root.post(f"/api/v1{path}", json=body, **more)
        assert answer.status_code == 200, answer.text
        return answer.json()

    def run_once(self, job: str, then: str = "run.succeeded") -> str:
        """Trigger a job, wait for its end, and return the run's name."""
        name: str = self.post(f"/jobs/{job}/trigger")["runs"][0]
        self.daemon.until(lambda event: event["run"] == name and event["type"] == then, f"{then} of {name}")
        return name

    def raw(self) -> socket.socket:
        parts = urlsplit(self.url)
        assert parts.hostname is not None
        return socket.create_connection((parts.hostname, parts.port or 80), 20)

    def close(self) -> None:
        self.root.close()
        self.local.close()


def bearer(token: str) -> dict[str, str]:
    return {"Authorization": f"Bearer {token}"}


@contextmanager
def called(folder: Path, *arguments: str, jobs: str = JOBS, bind: str = "127.0.0.1:0") -> Iterator[Caller]:
    """Serve a folder and give a caller."""
    (folder / "jobs.yaml").write_text(jobs)
    with Served(folder, "--bind", bind, *arguments) as daemon:
        daemon.until_type("daemon.started")
        # The doors open right after that event.
        while not json.loads(daemon.ask("status", "--json"))["daemon"].get("http"):
            pass
        caller = Caller(daemon)
        try:
            yield caller
        finally:
            caller.close()


def problem_of(answer: httpx.Response, status: int, kind: str) -> dict[str, Any]:
    """Return the problem document of an answer that must be one."""
    assert (answer.status_code, answer.headers["content-type"]) == (status, "application/problem+json"), answer.text
    document: dict[str, Any] = answer.json()
    assert document["type"] == f"urn:dagsched:problem:{kind}"
    assert document["status"] == status
    assert document["title"]
    assert document["detail"]
    return document
