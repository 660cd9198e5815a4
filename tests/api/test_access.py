"""Who may do what: every route with every role and with none, tokens, links, sessions, and foreign pages."""

from __future__ import annotations

import json
import re
import socket
import stat
import subprocess
import sys
from datetime import timedelta
from pathlib import Path

import httpx
import pytest

from dagsched.api.access import ROLES, SESSIONS_MAX, Access, Role
from dagsched.api.routes import ROUTES
from dagsched.errors import StoreError, Unknown
from dagsched.model import utc
from tests.api.caller import JOBS, Caller, bearer, called, problem_of
from tests.daemon.served import Served, environment

NOW = utc(2026, 11, 26)
PARTS = {"event": "arrived", "job": "nightly", "run": "job:nightly:2020-01-01T00:00:00Z"}


def path_of(template: str) -> str:
    return re.sub(r"{(\w+)}", lambda found: PARTS[found[1]], template)


# What would end the daemon or never end by itself is asked for with the roles that are refused alone.
NEVER_DONE = {"/api/v1/stop", "/api/v1/events/stream"}


@pytest.fixture(scope="module")
def clients(caller: Caller):
    found = {role: caller.client(role) for role in ROLES} | {None: httpx.Client(base_url=caller.url, timeout=20)}
    yield found
    for client in found.values():
        client.close()


@pytest.mark.parametrize("route", ROUTES, ids=lambda route: f"{route.method} {route.path}")
@pytest.mark.parametrize("role", [None, *ROLES])
def test_every_route_lets_in_whom_it_should_and_nobody_else(caller: Caller, clients, route, role: str | None) -> None:
    path = path_of(route.path)
    is_in = route.role is None or (role is not None and ROLES[role] >= route.role)
    if is_in and route.path in NEVER_DONE:
        return
    answer = clients[role].request(route.method, path)
    if is_in:
        # Nothing but the role is right about some of these requests.
        assert answer.status_code not in (403, 405, 500, 503), answer.text
        assert answer.status_code != 401 or route.path == "/login"
    elif role is None:
        problem_of(answer, 401, "unauthenticated")
        assert answer.headers["www-authenticate"].startswith("Bearer")
    else:
        problem_of(answer, 403, "forbidden")
    assert caller.root.request(route.method, path, headers=bearer("dagsched_00000000_" + "0" * 64)).status_code in (
        {401} if route.role is not None else {200, 303, 401}
    )


def test_the_table_has_a_route_of_every_role() -> None:
    assert {route.role for route in ROUTES} == {None, *Role}


def test_the_socket_in_the_state_directory_is_the_owners(caller: Caller) -> None:
    assert caller.local.get("/api/v1/me").json()["role"] == "admin"
    path = caller.daemon.folder / ".dagsched" / "api.sock"
    assert stat.S_IMODE(path.stat().st_mode) == 0o600


def test_only_hashes_are_kept_and_only_for_the_owner(caller: Caller) -> None:
    file = caller.daemon.folder / ".dagsched" / "access.json"
    assert stat.S_IMODE(file.stat().st_mode) == 0o600
    assert caller.token.rsplit("_", 1)[1] not in file.read_text()
    for other in (caller.daemon.folder / ".dagsched").rglob("*"):
        if other.is_file():
            assert caller.token.encode() not in other.read_bytes()


def test_a_revoked_token_is_refused_at_once(caller: Caller) -> None:
    token = caller.make_token("viewer", "--name", "laptop")
    me = f"{caller.url}/api/v1/me"
    assert httpx.get(me, headers=bearer(token)).json()["name"] == "laptop"
    caller.daemon.ask("token", "revoke", "laptop")
    problem_of(httpx.get(me, headers=bearer(token)), 401, "unauthenticated")
    caller.daemon.ask("token", "revoke", "laptop", code=2)


@pytest.mark.parametrize(
    "header",
    ["", "Bearer", "Basic dTpw", "Bearer x y", "Token abc", "Bearer " + "x" * 8000],
)
def test_what_is_no_token_lets_nobody_in(caller: Caller, header: str) -> None:
    problem_of(httpx.get(f"{caller.url}/api/v1/me", headers={"Authorization": header}), 401, "unauthenticated")


def test_a_session_secret_is_no_token_and_a_token_no_session(caller: Caller) -> None:
    cookie = {"Cookie": f"dagsched_session={caller.token}"}
    problem_of(httpx.get(f"{caller.url}/api/v1/me", headers=cookie), 401, "unauthenticated")
    link = json.loads(caller.daemon.ask("open", "--json"))["url"].partition("code=")[2]
    problem_of(httpx.get(f"{caller.url}/api/v1/me", headers=bearer(link)), 401, "unauthenticated")


# ---------------------------------------------------------------- browsers


def test_a_link_logs_a_browser_in_once(caller: Caller) -> None:
    url = json.loads(caller.daemon.ask("open", "--json", "--role", "operator"))["url"]
    with httpx.Client(base_url=caller.url, timeout=20) as browser:
        assert browser.head(url).status_code == 200
        first = browser.get(url)
        assert first.status_code == 303
        cookie = first.headers["set-cookie"].lower()
        assert "httponly" in cookie
        assert "samesite=strict" in cookie
        assert browser.get("/api/v1/me").json()["role"] == "operator"
        problem_of(httpx.get(url), 401, "unauthenticated")
        kept = f"dagsched_session={browser.cookies['dagsched_session']}"
        assert browser.post("/logout", headers={"Origin": caller.url}).json() == {"ended": True}
        problem_of(browser.get("/api/v1/me", headers={"Cookie": kept}), 401, "unauthenticated")


def test_a_session_changes_things_from_the_servers_own_pages_alone(caller: Caller) -> None:
    url = json.loads(caller.daemon.ask("open", "--json"))["url"]
    path = "/api/v1/jobs/nightly/resume"
    with httpx.Client(base_url=caller.url, timeout=20) as browser:
        browser.get(url)
        problem_of(browser.post(path), 403, "foreign-origin")
        problem_of(browser.post(path, headers={"Sec-Fetch-Site": "cross-site"}), 403, "foreign-origin")
        problem_of(browser.post(path, headers={"Sec-Fetch-Site": "same-site"}), 403, "foreign-origin")
        assert browser.post(path, headers={"Sec-Fetch-Site": "same-origin"}).status_code == 200
        assert browser.post(path, headers={"Origin": caller.url}).status_code == 200


@pytest.mark.parametrize("origin", ["http://evil.example", "null", "file://", "http://127.0.0.1:1", "https://localhost"])
def test_pages_of_another_origin_are_refused_whatever_token_they_have(caller: Caller, origin: str) -> None:
    for method, path in (("GET", "/api/v1/me"), ("POST", "/api/v1/jobs/nightly/resume"), ("GET", "/livez")):
        problem_of(caller.root.request(method, path, headers={"Origin": origin}), 403, "foreign-origin")


@pytest.mark.parametrize(
    "host",
    ["evil.example", "evil.example:8420", "localhost.evil", "localhost@evil", "127.0.0.1.evil", "a b", "[::1", ""],
)
def test_a_name_that_is_not_ours_is_refused(caller: Caller, host: str) -> None:
    problem_of(caller.root.get("/api/v1/me", headers={"Host": host}), 421, "foreign-host")


@pytest.mark.parametrize("host", ["localhost", "LOCALHOST:9", "127.0.0.1", "[::1]:8420", "10.1.1.7:80", "localhost."])
def test_addresses_and_localhost_are_ours(caller: Caller, host: str) -> None:
    assert caller.root.get("/api/v1/me", headers={"Host": host}).status_code == 200


def test_a_name_can_be_allowed(tmp_path: Path) -> None:
    with called(tmp_path, "--allow-host", "Sched.example") as caller:
        named = {"Host": "sched.example", "Origin": "https://sched.example"}
        assert caller.root.get("/api/v1/me", headers=named).status_code == 200
        problem_of(caller.root.get("/api/v1/me", headers={"Host": "other.example"}), 421, "foreign-host")


# ---------------------------------------------------------------- how the daemon is started


def test_the_first_token_is_shown_once_ever(tmp_path: Path) -> None:
    for _ in range(2):
        with called(tmp_path) as caller:
            told = re.findall(r"dagsched_[0-9a-f_]+", (tmp_path / "stderr").read_text())
            assert httpx.get(f"{caller.url}/api/v1/me", headers=bearer(told[0])).json()["role"] == "admin"
    assert len(told) == 1


def test_loopback_without_tokens_is_possible_and_shows_none(tmp_path: Path) -> None:
    with called(tmp_path, "--insecure-no-auth") as caller:
        assert httpx.get(f"{caller.url}/api/v1/me").json() == {"via": "open", "role": "admin", "id": "", "name": ""}
        problem_of(httpx.post(f"{caller.url}/api/v1/stop", headers={"Origin": "http://evil"}), 403, "foreign-origin")
        assert "dagsched_" not in (tmp_path / "stderr").read_text()


@pytest.mark.parametrize(
    ("words", "code", "why"),
    [
        (("--bind", "0.0.0.0:0", "--insecure-no-auth"), 2, "let everybody in"),
        (("--bind", "8420"), 2, "HOST:PORT"),
        (("--bind", "::1:8420"), 2, "HOST:PORT"),
        (("--bind", "127.0.0.1:99999"), 2, "65535"),
        (("--bind", "127.0.0.1:1", "--no-http"), 2, "not allowed with"),
        (("--bind", "no.such.host.invalid:1"), 4, "cannot listen"),
    ],
)
def test_a_start_that_makes_no_sense_is_refused(tmp_path: Path, words, code: int, why: str) -> None:
    (tmp_path / "jobs.yaml").write_text(JOBS)
    command = [sys.executable, "-m", "dagsched", "run", *words]
    done = subprocess.run(
        command, cwd=tmp_path, capture_output=True, text=True, timeout=60, env=environment(), check=False
    )
    assert (done.returncode, why in done.stderr) == (code, True), done.stderr
    assert not (tmp_path / ".dagsched").exists()


def test_a_busy_port_that_was_asked_for_is_an_error_and_the_default_one_is_not(tmp_path: Path) -> None:
    (tmp_path / "jobs.yaml").write_text(JOBS)
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        taken.listen()
        port = taken.getsockname()[1]
        command = [sys.executable, "-m", "dagsched", "run", "--bind", f"127.0.0.1:{port}"]
        done = subprocess.run(
            command, cwd=tmp_path, capture_output=True, text=True, timeout=60, env=environment(), check=False
        )
        assert done.returncode == 4
        assert f"cannot listen on 127.0.0.1:{port}: Address already in use" in done.stderr
    try:
        default = socket.create_server(("127.0.0.1", 8420))
    except OSError:
        default = socket.socket()  # somebody else on this machine has it
    with default, Served(tmp_path) as daemon:
        daemon.until_type("daemon.started")
        transport = httpx.HTTPTransport(uds=str(tmp_path / ".dagsched" / "api.sock"))
        with httpx.Client(base_url="http://local", transport=transport, timeout=20) as local:
            daemon.ask("trigger", "nightly")
            daemon.until_type("run.succeeded", "nightly")
            assert local.get("/api/v1/status").json()["daemon"]["http"] is None
        assert "api.sock alone" in (tmp_path / "stderr").read_text()


def test_no_http_means_none(tmp_path: Path) -> None:
    (tmp_path / "jobs.yaml").write_text(JOBS)
    with Served(tmp_path, "--no-http") as daemon:
        daemon.until_type("daemon.started")
        daemon.ask("trigger", "nightly")
        daemon.until_type("run.succeeded", "nightly")
        assert not (tmp_path / ".dagsched" / "api.sock").exists()
        assert (tmp_path / "stderr").read_text() == ""


# ---------------------------------------------------------------- the file


def test_tokens_end_with_their_time(tmp_path: Path) -> None:
    access = Access(tmp_path)
    entry, secret = access.create("token", Role.VIEWER, NOW, name="ci", life=timedelta(hours=1))
    assert access.find(secret, "token", NOW) == entry
    assert access.find(secret, "token", NOW + timedelta(hours=1)) is None
    assert access.find(secret + "0", "token", NOW) is None


def test_a_link_is_good_for_one_session_and_ten_minutes(tmp_path: Path) -> None:
    access = Access(tmp_path)
    _, old = access.create("link", Role.ADMIN, NOW, life=timedelta(minutes=10))
    assert access.redeem(old, NOW + timedelta(minutes=10)) is None
    _, link = access.create("link", Role.OPERATOR, NOW, life=timedelta(minutes=10))
    found = access.redeem(link, NOW)
    assert found is not None
    assert (found[0].kind, found[0].role) == ("session", Role.OPERATOR)
    assert access.redeem(link, NOW) is None


def test_what_another_process_changed_is_seen(tmp_path: Path) -> None:
    one, other = Access(tmp_path), Access(tmp_path)
    entry, secret = one.create("token", Role.ADMIN, NOW)
    assert other.find(secret, "token", NOW) == entry
    one.revoke(entry.id, NOW)
    assert other.find(secret, "token", NOW) is None
    with pytest.raises(Unknown):
        other.revoke(entry.id, NOW)


def test_sessions_do_not_pile_up(tmp_path: Path) -> None:
    access = Access(tmp_path)
    same = {"kind": "session", "role": "viewer", "name": "", "hash": "", "expires": None, "of": ""}
    rows = [{"id": str(n), "created": f"2026-11-25T0{n % 10}:00:00Z", **same} for n in range(SESSIONS_MAX)]
    access.path.write_text(json.dumps({"version": 1, "entries": rows}))
    _, link = access.create("link", Role.VIEWER, NOW)
    assert access.redeem(link, NOW) is not None
    assert sum(entry.kind == "session" for entry in access.entries(NOW)) == SESSIONS_MAX


@pytest.mark.parametrize("text", ["", "{}", "[]", '{"entries": [{"id": 1}]}', '{"entries": 3}'])
def test_a_damaged_file_lets_nobody_in(tmp_path: Path, text: str) -> None:
    (tmp_path / "access.json").write_text(text)
    with pytest.raises(StoreError, match="damaged"):
        Access(tmp_path).find("x", "token", NOW)
    assert Access(tmp_path).first_token(NOW) is None
