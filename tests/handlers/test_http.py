"""`handler: http` against a real server."""

import json
import threading
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

import jsonschema
import pytest

from dagsched.handlers import schema_of, traceparent
from dagsched.handlers.http import seconds
from dagsched.model import Outcome, run_name
from tests.handlers.attempts import TICK, attempt

RUN = run_name("j", TICK)


class Answers(BaseHTTPRequestHandler):
    """Remembers requests; the path says what is answered: /STATUS, /slow, /large, /away."""

    def answer(self):
        length = int(self.headers.get("content-length") or 0)
        self.server.requests.append((self.command, self.path, dict(self.headers.items()), self.rfile.read(length)))
        name = self.path.strip("/").partition("?")[0]
        if name == "slow":
            self.server.never.wait(30)
        body = b"x" * 2_000_000 if name == "large" else b'{"ok": true}'
        self.send_response(int(name) if name.isdigit() else 200)
        if name == "302":
            self.send_header("Location", "/200")
        self.send_header("Content-Type", "application/octet-stream" if name == "large" else "application/json")
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    do_GET = do_POST = do_PUT = answer

    def log_message(self, *args):
        pass


@pytest.fixture
def server():
    with ThreadingHTTPServer(("127.0.0.1", 0), Answers) as made:
        made.daemon_threads, made.requests, made.never = True, [], threading.Event()
        made.url = f"http://127.0.0.1:{made.server_port}"
        thread = threading.Thread(target=made.serve_forever, kwargs={"poll_interval": 0.01})
        thread.start()
        yield made
        made.never.set()
        made.shutdown()
        thread.join()


def test_request_is_sent_as_described_with_key_and_trace(tmp_path, server):
    with_ = {
        "method": "POST",
        "url": f"{server.url}/hook?a=1",
        "params": {"b": "x y"},
        "headers": {"X-Mine": "yes", "X-Number": 3},
        "json": {"report": "done"},
    }
    exit, log = attempt(tmp_path, "http", with_)
    assert exit.outcome is Outcome.SUCCESS, log
    ((method, path, headers, body),) = server.requests
    headers = {name.lower(): value for name, value in headers.items()}
    assert (method, json.loads(body)) == ("POST", {"report": "done"})
    assert path in ("/hook?a=1&b=x+y", "/hook?a=1&b=x%20y")
    assert (headers["idempotency-key"], headers["traceparent"]) == (RUN, traceparent(RUN, 1))
    assert (headers["x-mine"], headers["x-number"], headers["content-type"]) == ("yes", "3", "application/json")


def test_answer_is_the_log_and_small_text_an_output(tmp_path, server):
    exit, log = attempt(tmp_path, "http", {"url": f"{server.url}/200"})
    assert exit.outputs == {"status": "200", "body": '{"ok": true}'}
    assert log.startswith("HTTP/1.0 200 OK\n")
    assert "content-type: application/json\n" in log.lower()
    assert log.endswith('\n\n{"ok": true}\n')


@pytest.mark.parametrize(
    ("path", "expect", "outcome", "says"),
    [
        ("201", None, Outcome.SUCCESS, "201"),
        ("404", None, Outcome.FAILED, "status 404 is not in 200-299"),
        ("404", 404, Outcome.SUCCESS, "404"),
        ("404", [200, 404], Outcome.SUCCESS, "404"),
        ("200", 201, Outcome.FAILED, "status 200 is not 201"),
        ("500", [200, 404], Outcome.FAILED, "status 500 is not one of 200, 404"),
        ("302", None, Outcome.FAILED, "status 302 is not in 200-299"),
    ],
)
def test_status_decides(tmp_path, server, path, expect, outcome, says):
    with_ = {"url": f"{server.url}/{path}", **({} if expect is None else {"expect": expect})}
    exit, log = attempt(tmp_path, "http", with_)
    assert exit.outcome is outcome
    assert says in log


def test_redirects_are_followed_only_when_asked(tmp_path, server):
    exit, _ = attempt(tmp_path, "http", {"url": f"{server.url}/302", "follow_redirects": True})
    assert (exit.outcome, exit.outputs["status"]) == (Outcome.SUCCESS, "200")


def test_body_is_sent_as_it_is_and_headers_can_be_replaced(tmp_path, server):
    attempt(
        tmp_path,
        "http",
        {"method": "PUT", "url": f"{server.url}/200", "body": "naïve", "headers": {"idempotency-key": "mine"}},
    )
    ((method, _, headers, body),) = server.requests
    assert (method, body.decode()) == ("PUT", "naïve")
    assert [value for name, value in headers.items() if name.lower() == "idempotency-key"] == ["mine"]


def test_large_answer_is_capped_in_the_log_and_no_output(tmp_path, server):
    exit, log = attempt(tmp_path, "http", {"url": f"{server.url}/large"})
    assert exit.outputs == {"status": "200"}
    assert f"[dagsched: {2_000_000 - 1024 * 1024} bytes left out]" in log
    assert len(log) < 1_050_000


def test_server_that_does_not_answer_is_a_failure_after_the_timeout(tmp_path, server):
    exit, log = attempt(tmp_path, "http", {"url": f"{server.url}/slow", "timeout": "200ms"})
    assert exit.outcome is Outcome.FAILED
    assert "ReadTimeout" in log
    assert "Traceback" not in log


@pytest.mark.parametrize("url", ["http://127.0.0.1:1/", "http://", "http://[/"])
def test_unreachable_url_is_a_failure_that_names_it(tmp_path, url):
    exit, log = attempt(tmp_path, "http", {"url": url})
    assert exit.outcome is Outcome.FAILED
    assert f"GET {url}: " in log
    assert "Traceback" not in log


LENGTHS = [("500ms", 0.5), ("1m30s", 90.0), ("10s", 10), ("1.5m", 90), ("1h", 3600)]


@pytest.mark.parametrize(("length", "wanted"), LENGTHS)
def test_timeout_carries_its_unit(length, wanted):
    assert seconds(length) == wanted


@pytest.mark.parametrize(
    ("with_", "good"),
    [
        ({"url": "https://x"}, True),
        ({"url": "https://x", "json": None, "expect": [200], "timeout": "1s"}, True),
        ({}, False),
        ({"url": "ftp://x"}, False),
        ({"url": "https://x", "json": {}, "body": ""}, False),
        ({"url": "https://x", "timeout": 10}, False),
        ({"url": "https://x", "methode": "GET"}, False),
        ({"url": "https://x", "expect": 1000}, False),
    ],
)
def test_schema_says_what_with_may_hold(with_, good):
    assert jsonschema.Draft202012Validator(schema_of("http")).is_valid(with_) is good
