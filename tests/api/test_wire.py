"""Whoever speaks to the port in bad faith: slowly, at length, in pieces, or not in HTTP at all."""

from __future__ import annotations

import socket
import time
from contextlib import ExitStack, suppress
from pathlib import Path

import pytest

from dagsched.api.guard import HEAD_BYTES_MAX
from dagsched.api.wire import CONNECTIONS_MAX
from tests.api.caller import Caller, called

HOST = b"Host: localhost\r\n"


def ask(caller: Caller, request: bytes) -> bytes:
    """Send bytes as they are and return everything that comes back until the end of the connection."""
    with caller.raw() as client:
        with suppress(OSError):  # who is cut off in the middle of sending still has an answer to read
            client.sendall(request)
        return drained(client)


def drained(client: socket.socket) -> bytes:
    found = b""
    with suppress(ConnectionResetError):
        while part := client.recv(65536):
            found += part
    return found


def status_of(answer: bytes) -> int:
    return int(answer.split(b" ", 2)[1])


@pytest.mark.parametrize(
    "request_bytes",
    [
        b"\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03",
        b"GET\r\n\r\n",
        b"GET / HTTP/9.9\r\nConnection: close\r\n\r\n",
        b"GET /api/v1/events/ws HTTP/1.1\r\nHost: evil.example\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n"
        b"Sec-WebSocket-Version: 13\r\nSec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n\r\n",
        b"GET /livez HTTP/1.1\r\n\r\n",
        b"GET /livez HTTP/1.1\r\n" + HOST + HOST + b"\r\n",
        b"GET /livez HTTP/1.1\r\n" + HOST + b"Content-Length: 1\r\nContent-Length: 2\r\n\r\n",
        b"GET /livez HTTP/1.1\r\n" + HOST + b"Content-Length: -1\r\n\r\n",
        b"POST /livez HTTP/1.1\r\n" + HOST + b"Transfer-Encoding: gzip, chunked\r\n\r\n",
        b"GET /live\x00z HTTP/1.1\r\n" + HOST + b"\r\n",
        b"GET /livez HTTP/1.1\r\n" + HOST + b"X: a\x00b\r\n\r\n",
    ],
)
def test_what_is_no_http_is_answered_or_cut_and_never_a_server_error(caller: Caller, request_bytes: bytes) -> None:
    answer = ask(caller, request_bytes)
    assert status_of(answer) in (400, 421, 501)
    assert caller.root.get("/livez").status_code == 200


def test_a_head_too_long_is_refused(caller: Caller) -> None:
    request = b"GET /livez HTTP/1.1\r\n" + HOST + b"X: " + b"x" * (HEAD_BYTES_MAX * 4) + b"\r\n\r\n"
    assert status_of(ask(caller, request)) in (400, 431)


def test_what_is_pipelined_behind_garbage_is_not_served(caller: Caller) -> None:
    good = b"GET /livez HTTP/1.1\r\n" + HOST + b"\r\n"
    answer = ask(caller, good + good + b"NONSENSE\r\n\r\n" + good * 50)
    assert answer.count(b"HTTP/1.1 200") == 2
    assert answer.count(b"HTTP/1.1 400") == 1


def test_a_body_too_long_is_refused_whether_it_says_so_or_not(caller: Caller) -> None:
    token = f"Authorization: Bearer {caller.token}\r\nContent-Type: application/json\r\n".encode()
    head = b"POST /api/v1/jobs/nightly/trigger HTTP/1.1\r\n" + HOST + token
    declared = ask(caller, head + b"Content-Length: 99999999999\r\n\r\n")
    assert status_of(declared) == 413
    piece = b"10000\r\n" + b" " * 0x10000 + b"\r\n"
    chunked = ask(caller, head + b"Transfer-Encoding: chunked\r\n\r\n" + piece * 200)
    assert status_of(chunked) == 413
    assert caller.get("/runs?job=nightly")["items"] == []


@pytest.mark.parametrize(
    "path",
    [
        b"/api/v1/runs/..%2f..%2f..%2fetc%2fpasswd/log",
        b"/api/v1/runs/%2e%2e/log",
        b"/api/v1/runs/..%5c..%5cetc/log",
        b"/api/v1/runs/a%00b/log",
        b"/api/v1/runs/job:..%2f..%2f:2026-11-26T00:00:00Z/log",
        b"/api/v1/runs/job:nightly:2026-11-26T00:00:00Z%00/log",
        b"/api/v1/jobs/..%2f..%2fdagsched.db",
        b"/api/v1/jobs/%ff%fe",
        b"/api/v1/jobs/%ed%a0%80",
        b"/../../../../etc/passwd",
        b"/api/v1/../../etc/passwd",
        b"//etc/passwd",
        b"/%2e%2e/%2e%2e/etc/passwd",
        b"/api/v1/jobs/nightly%2fyaml",
        b"/static/x/..%2f..%2fsite.py",
        b"/static/x/..%5c..%5csite.py",
        b"/static/../../site.py",
        b"/static/x/app.css%00.js",
        b"/static/x/",
        b"/jobs/..%2f..%2fetc%2fpasswd",
        b"/jobs/a%00b",
        b"/runs/job:..%5c..%5cetc:2026-11-26T00:00:00Z",
    ],
)
@pytest.mark.parametrize("method", [b"GET", b"PUT", b"DELETE"])
def test_no_path_leads_anywhere_else(caller: Caller, method: bytes, path: bytes) -> None:
    token = f"Authorization: Bearer {caller.token}\r\nConnection: close\r\n".encode()
    answer = ask(caller, method + b" " + path + b" HTTP/1.1\r\n" + HOST + token + b"\r\n")
    assert status_of(answer) in (400, 404, 405, 409, 415), answer
    assert b"root:" not in answer


def test_whoever_says_nothing_is_cut_and_others_are_served_meanwhile(caller: Caller) -> None:
    began = time.monotonic()
    with caller.raw() as silent, caller.raw() as slow, caller.raw() as trickling:
        slow.sendall(b"GET /livez HT")
        trickling.sendall(b"GET /livez HTTP/1.1\r\n" + HOST + b"X: ")
        assert caller.root.get("/livez").status_code == 200
        assert until_cut(trickling) == b""
        assert 8 < time.monotonic() - began < 40
        assert drained(silent) == drained(slow) == b""


def until_cut(client: socket.socket) -> bytes:
    """Send a byte four times a second until the connection ends; return what came back."""
    client.settimeout(0.25)
    while True:
        try:
            client.sendall(b"x")
            return drained(client)
        except TimeoutError:
            continue
        except OSError:
            return b""


@pytest.mark.parametrize(
    ("headers", "status"),
    [
        (b"Host: evil.example\r\n", 421),
        (b"Host: 127.0.0.1.evil.example\r\n", 421),
        (b"Host: localhost@evil.example\r\n", 421),
        (b"Host: localhost\x00.evil.example\r\n", 400),
        (b"Host:\r\n", 421),
        (HOST + b"Origin: http://evil.example\r\n", 403),
        (HOST + b"Origin: null\r\n", 403),
        (HOST + b"Origin: http://localhost.evil.example\r\n", 403),
        (HOST + b"Origin: http://localhost\r\nOrigin: http://evil.example\r\n", 403),
    ],
)
@pytest.mark.parametrize("path", [b"/", b"/login", b"/api/v1/status", b"/livez", b"/events", b"/do/trigger"])
def test_a_foreign_host_or_origin_reaches_nothing(caller: Caller, path: bytes, headers: bytes, status: int) -> None:
    token = f"Authorization: Bearer {caller.token}\r\nAccept: text/html\r\nConnection: close\r\n".encode()
    method = b"POST " if path.startswith(b"/do") else b"GET "
    answer = ask(caller, method + path + b" HTTP/1.1\r\n" + headers + token + b"\r\n")
    assert status_of(answer) == status
    assert b"text/html" not in answer


def test_a_flood_of_connections_stops_neither_the_schedule_nor_the_owner(tmp_path: Path) -> None:
    jobs = "version: 1\njobs:\n  tick: {schedule: {every: 1s}, run: 'true'}\n"
    with called(tmp_path, jobs=jobs) as caller, ExitStack() as flood:
        for _ in range(CONNECTIONS_MAX * 3):
            client = flood.enter_context(caller.raw())
            with suppress(OSError):
                client.sendall(b"GET / HTTP/1.1\r\nX: ")
        started = [caller.daemon.until_type("run.started", "tick") for _ in range(4)]
        # By the second, as without the flood; the local socket still answers.
        assert [late(event) < 0.9 for event in started] == [True] * 4
        assert caller.local.get("/api/v1/status").status_code == 200
    assert "Traceback" not in (tmp_path / "stderr").read_text()


def late(event) -> float:
    """Return how many seconds after its tick an event came."""
    from datetime import datetime

    tick = event["run"].removeprefix("job:tick:")
    return (datetime.fromisoformat(event["time"]) - datetime.fromisoformat(tick)).total_seconds()
