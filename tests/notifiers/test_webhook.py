"""Webhooks on a real server: body, signature, answers, and where no request goes."""

from __future__ import annotations

import base64
import hashlib
import hmac
import json
from datetime import UTC, datetime

import pytest

from dagsched.errors import NotifierError
from dagsched.notifiers.posting import retry_after_s
from dagsched.notifiers.webhook import signature
from tests.notifiers.receivers import Web, web
from tests.notifiers.samples import FAILURE, deliver


@pytest.fixture
def server():
    with web() as serving:
        yield serving


def spec_of(server: Web, **more):
    return {"type": "webhook", "url": server.url, "allow_private": True, **more}


def test_the_message_arrives_as_a_cloud_event(server: Web):
    deliver(spec_of(server, headers={"X-Team": "data", "Authorization": {"env": "AUTH"}}), {"AUTH": "Bearer abc"})
    [request] = server.requests
    assert json.loads(request.body) == FAILURE.cloud_event()
    assert request.headers["content-type"] == "application/cloudevents+json; charset=utf-8"
    assert (request.headers["x-team"], request.headers["authorization"]) == ("data", "Bearer abc")
    assert "webhook-signature" not in request.headers


@pytest.mark.parametrize(
    ("secret", "key"),
    [("a plain secret", b"a plain secret"), ("whsec_" + base64.b64encode(b"\x00\xff" * 12).decode(), b"\x00\xff" * 12)],
)
def test_the_signature_is_the_one_a_receiver_computes(server: Web, secret, key):
    deliver(spec_of(server, secret={"env": "S"}), {"S": secret})
    [request] = server.requests
    signed = f"{request.headers['webhook-id']}.{request.headers['webhook-timestamp']}.".encode() + request.body
    wanted = base64.b64encode(hmac.new(key, signed, hashlib.sha256).digest()).decode()
    assert request.headers["webhook-signature"] == f"v1,{wanted}"
    assert request.headers["webhook-id"] == "msg_1"


def test_the_signature_is_that_of_the_standards_own_example():
    # https://github.com/standard-webhooks/standard-webhooks/blob/main/spec/standard-webhooks.md
    secret = "whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw"
    signed = signature(secret, "msg_p5jXN8AQM9LWM0D4loKWxJek", "1614265330", b'{"test": 2432232314}')
    assert signed == "v1,g0hM9SsE+OTPJTGt/tmIKtSyZlE3uFJELVlNIOLJ1OE="


ANSWERS = [(400, True), (404, True), (410, True), (408, False), (429, False), (500, False), (503, False)]


@pytest.mark.parametrize(("status", "is_final"), ANSWERS)
def test_an_answer_says_whether_another_try_may_help(server: Web, status, is_final):
    server.answers.append((status, {"Retry-After": "7"}))
    with pytest.raises(NotifierError, match=f"status {status}") as caught:
        deliver(spec_of(server))
    assert (caught.value.is_final, caught.value.retry_after_s) == (is_final, 7.0)


def test_a_redirect_is_not_followed(server: Web):
    server.answers.append((302, {"Location": server.url}))
    with pytest.raises(NotifierError, match="redirects are not followed") as caught:
        deliver(spec_of(server))
    assert caught.value.is_final
    assert len(server.requests) == 1


def test_this_machine_is_not_connected_to_unless_the_file_allows_it(server: Web):
    with pytest.raises(NotifierError, match=r"127\.0\.0\.1 is no public address; allow_private: true") as caught:
        deliver(spec_of(server, allow_private=False))
    assert caught.value.is_final
    assert server.requests == []


def test_a_name_that_leads_to_this_machine_is_judged_by_its_address(server: Web):
    with pytest.raises(NotifierError, match=r"localhost is .*no public address"):
        deliver(spec_of(server, url=server.url.replace("127.0.0.1", "localhost"), allow_private=False))
    assert server.requests == []


def test_a_proxy_of_the_environment_is_not_used(server: Web, monkeypatch):
    monkeypatch.setenv("HTTP_PROXY", "http://127.0.0.1:1")
    deliver(spec_of(server))
    assert len(server.requests) == 1


def test_a_refused_connection_may_succeed_later():
    with web() as gone:
        url = gone.url
    with pytest.raises(NotifierError, match="no answer") as caught:
        deliver({"type": "webhook", "url": url, "allow_private": True})
    assert not caught.value.is_final


def test_a_secret_that_is_not_there_may_come_later_and_is_named(server: Web, tmp_path):
    with pytest.raises(NotifierError, match=r"the secret env:OPS_SECRET: .* has no such variable") as caught:
        deliver(spec_of(server, secret={"env": "OPS_SECRET"}))
    assert not caught.value.is_final
    with pytest.raises(NotifierError, match=f"the secret file:{tmp_path}/nothing cannot be read: No such file"):
        deliver(spec_of(server, secret={"file": "nothing"}, folder=str(tmp_path)))


def test_a_secret_may_be_a_credential_of_systemd(server: Web, tmp_path):
    (tmp_path / "ops").write_text("s3cret\n")
    (tmp_path / "url").write_text(server.url)
    ops = {"credential": "ops"}
    spec = spec_of(server, url={"credential": "url"}, secret=ops, headers={"X-Key": ops})
    with pytest.raises(NotifierError, match="systemd has given the scheduler no credentials"):
        deliver(spec)
    deliver(spec, {"CREDENTIALS_DIRECTORY": str(tmp_path)})
    (request,) = server.requests
    assert request.headers["x-key"] == "s3cret"
    assert request.headers["webhook-signature"] == signature(
        "s3cret", "msg_1", request.headers["webhook-timestamp"], request.body
    )


def test_a_secret_of_a_file_is_below_the_job_files_folder(server: Web, tmp_path):
    (tmp_path / "ops").write_text("s3cret\n")
    deliver(spec_of(server, secret={"file": "ops"}, folder=str(tmp_path)))
    request = server.requests[0]
    wanted = signature("s3cret", "msg_1", request.headers["webhook-timestamp"], request.body)
    assert request.headers["webhook-signature"] == wanted


def test_no_secret_stands_in_what_is_said_of_an_error(server: Web, tmp_path):
    url = "http://127.0.0.1:1/T0KEN-in-the-path"
    with pytest.raises(NotifierError) as caught:
        deliver({"type": "webhook", "url": {"env": "URL"}}, {"URL": url})
    assert "T0KEN" not in str(caught.value)
    with pytest.raises(NotifierError) as caught:
        deliver(spec_of(server, url={"env": "URL"}), {"URL": "ftp://T0KEN/"})
    assert "T0KEN" not in str(caught.value)
    (tmp_path / "hook").write_text("ftp://T0KEN/")
    with pytest.raises(NotifierError) as caught:
        deliver(spec_of(server, url={"credential": "hook"}), {"CREDENTIALS_DIRECTORY": str(tmp_path)})
    assert "T0KEN" not in str(caught.value)


@pytest.mark.parametrize(
    ("text", "seconds"),
    [("7", 7.0), ("999999", 3600.0), ("Mon, 23 Nov 2026 14:01:00 GMT", 60.0), ("Mon, 23 Nov 2026 13:00:00 GMT", 0.0),
     ("soon", None), ("-1", None), ("", None)],
)  # fmt: skip
def test_retry_after_is_seconds_or_a_date(text, seconds):
    assert retry_after_s(text, datetime(2026, 11, 23, 14, tzinfo=UTC)) == seconds
