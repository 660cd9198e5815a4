"""`token`: made once, listed without secrets, revoked by id or name; with and without a state."""

from __future__ import annotations

import pytest

from dagsched.api.access import Access
from dagsched.clock import SystemClock

pytestmark = pytest.mark.usefixtures("here")
STATE = ("--state-dir", "state")


def test_a_token_is_shown_once(call, here):
    made = call("token", "create", "--role", "viewer", "--name", "ci", "--expires", "30d", *STATE)
    assert made.code == 0
    secret = made.out.strip()
    found = Access(here / "state").find(secret, "token", SystemClock().now())
    assert found is not None
    assert (found.role.word, found.name) == ("viewer", "ci")
    assert found.expires is not None
    listed = call("token", "list", *STATE)
    assert secret not in listed.out
    assert "ci" in listed.out


def test_json_has_the_token_and_what_there_is_to_know_of_it(call):
    made = call("token", "create", "--role", "admin", "--json", *STATE).json
    assert list(made) == ["token", "id", "kind", "role", "name", "created", "expires"]
    [row] = call("token", "list", "--json", *STATE).rows
    assert row == {key: value for key, value in made.items() if key != "token"}
    gone = call("token", "revoke", made["id"], "--json", *STATE).json
    assert [each["id"] for each in gone["revoked"]] == [made["id"]]
    assert call("token", "list", "--json", *STATE).rows == []


@pytest.mark.parametrize(
    "words",
    [
        ("create",),
        ("create", "x", "--role", "viewer"),
        ("create", "--role", "root"),
        ("create", "--role", "viewer", "--expires", "soon"),
        ("create", "--role", "viewer", "--expires", "99999999d"),
        ("create", "--role", "viewer", "--name", "a\nb"),
        ("revoke",),
        ("revoke", "nobody"),
        ("list", "--role", "viewer"),
        ("remove", "x"),
    ],
)
def test_a_command_that_makes_no_sense_is_refused(call, words):
    assert call("token", *words, *STATE).code == 2


def test_open_needs_a_daemon(call):
    assert call("open", *STATE).code == 4
