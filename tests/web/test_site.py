"""The frame of all pages: who sees them, what they may load, how errors are shown, how links and forms work."""

from __future__ import annotations

import re
import subprocess
import sys
from pathlib import Path

import httpx
import pytest

from dagsched.web import forms
from dagsched.web.pages import PAGES
from dagsched.web.words import STATES
from tests.api.caller import Caller, bearer, called, problem_of
from tests.web.browser import PAGE, Browser, said, tags_of, text_of

LISTED = [page for page in PAGES if "{" not in page.path]


@pytest.mark.parametrize("page", LISTED, ids=lambda page: page.path)
def test_each_page_is_shown_to_whoever_may_look_and_to_nobody_else(
    admin: Browser, viewer: Browser, caller: Caller, page
) -> None:
    path = page.path[1:]
    assert f"<title>{page.title} · dagsched</title>" in admin.page(path)
    viewer.page(path)
    answer = httpx.get(caller.url + page.path, headers={"Accept": PAGE})
    assert answer.status_code == 401
    assert "dagsched open" in text_of(answer.text)
    assert page.title not in text_of(answer.text) or page.title == "Now"


@pytest.mark.parametrize("page", LISTED, ids=lambda page: page.path)
def test_a_viewer_sees_no_button_that_changes_something(viewer: Browser, page) -> None:
    forms_there = tags_of(viewer.page(page.path[1:]), "form")
    changing = [
        form for form in forms_there if form.get("method") == "post" and form["action"].split("/")[-2:-1] == ["do"]
    ]
    assert changing == []


def test_pages_run_scripts_of_this_server_alone_and_none_that_stand_in_them(admin: Browser) -> None:
    for page in LISTED:
        answer = admin.get(page.path[1:])
        policy = answer.headers["content-security-policy"]
        assert "script-src 'self';" in policy
        assert "unsafe" not in policy
        for script in tags_of(answer.text, "script"):
            assert script["src"].startswith(("./static/", "../static/")), script
        assert " style=" not in answer.text
        assert "<style" not in answer.text
        assert not re.search(r"<[^>]+\son[a-z]+=", answer.text)


def test_every_link_is_relative_so_that_any_prefix_will_do(admin: Browser) -> None:
    for page in LISTED:
        text = admin.page(page.path[1:])
        for tag, name in (("a", "href"), ("link", "href"), ("script", "src"), ("form", "action")):
            for attributes in tags_of(text, tag):
                assert not (attributes.get(name) or "").startswith(("/", "http")), attributes


def test_style_and_scripts_may_be_kept_for_ever_under_a_name_that_changes(admin: Browser, caller: Caller) -> None:
    (sheet,) = [link["href"] for link in tags_of(admin.page(""), "link") if link["rel"] == "stylesheet"]
    answer = httpx.get(f"{caller.url}/{sheet.removeprefix('./')}")  # without a session: the log-in page needs it too
    assert (answer.status_code, answer.headers["content-type"]) == (200, "text/css; charset=utf-8")
    assert "immutable" in answer.headers["cache-control"]
    older = httpx.get(f"{caller.url}/static/000000000000/app.css")
    assert (older.status_code, older.headers["cache-control"]) == (200, "no-store")
    for name in ("nothing.css", "..%2f__init__.py", "app.css%00", "%2e%2e"):
        problem_of(httpx.get(f"{caller.url}/static/0/{name}"), 404, "not-found")


def test_every_state_has_a_shape_in_the_style_sheet(caller: Caller) -> None:
    sheet = httpx.get(f"{caller.url}/static/0/app.css").text
    assert [state for state in STATES if f".s-{state or 'none'}::before" not in sheet] == []


def test_what_is_not_there_is_a_page_for_browsers_and_a_problem_for_programs(admin: Browser, caller: Caller) -> None:
    answer = admin.get("nowhere/%3Cb%3E")
    assert answer.status_code == 404
    assert "<b>" not in answer.text
    assert "there is nothing at /nowhere/<b>" in text_of(answer.text)
    problem_of(httpx.get(f"{caller.url}/nowhere"), 404, "not-found")
    problem_of(admin.get("api/v1/nowhere"), 404, "not-found")


def test_a_link_logs_in_once(caller: Caller) -> None:
    with Browser(caller, None) as browser:
        assert browser.get("").status_code == 401
        assert "dagsched open" in text_of(browser.page("login"))
        used = browser.get("login?code=dagsched_00000000_1")
        assert used.status_code == 401
        assert "this link was used or is too old" in text_of(used.text)


def test_logging_out_ends_the_session(caller: Caller) -> None:
    with Browser(caller, "viewer") as browser:
        answer = browser.send("logout", {})
        assert answer.status_code == 303
        assert "Log in" in browser.after(answer)
        assert browser.get("").status_code == 401


def test_nothing_of_the_pages_is_in_the_daemon() -> None:
    words = "import sys, dagsched.daemon, dagsched.control, dagsched.api.listening; print(*sys.modules)"
    loaded = subprocess.run([sys.executable, "-c", words], capture_output=True, text=True, check=True).stdout.split()
    assert {"jinja2", "markupsafe", "starlette", "dagsched.web"}.isdisjoint(loaded)


# ---------------------------------------------------------------- forms


def test_a_form_pauses_a_job_says_so_and_goes_back(admin: Browser, caller: Caller) -> None:
    answer = admin.send("do/pause", {"job": "nightly", "back": "?x=1"})
    assert answer.headers["location"] == "../?x=1"
    assert said(admin.after(answer)) == "nightly: paused"
    assert caller.get("/jobs/nightly")["paused"]
    assert 'class="said' not in admin.page("")
    admin.after(admin.send("do/resume", {"job": "nightly"}))
    assert not caller.get("/jobs/nightly")["paused"]


def test_what_the_daemon_refuses_is_said_in_its_words(admin: Browser) -> None:
    page = admin.after(admin.send("do/resume", {"job": ["nightly", "nightlyy"]}))
    assert "there is no job 'nightlyy'" in said(page) or "nightlyy" in said(page)
    page = admin.after(admin.send("do/pause", {}))
    assert said(page) == "nothing was chosen"


def test_a_viewer_cannot_send_a_form(viewer: Browser) -> None:
    answer = viewer.send("do/pause", {"job": "nightly"})
    assert answer.status_code == 403
    assert "operator" in text_of(answer.text)


@pytest.mark.parametrize(
    ("seal", "headers"),
    [
        ("", {}),
        ("0" * 64, {}),
        ("é", {}),
        (None, {"Origin": "http://evil.example"}),
        (None, {"Sec-Fetch-Site": "cross-site"}),
        (None, {"Sec-Fetch-Site": "same-site"}),
    ],
)
def test_a_form_of_another_page_is_refused(admin: Browser, caller: Caller, seal, headers) -> None:
    answer = admin.send("do/pause", {"job": "nightly"}, seal=seal, **headers)
    assert answer.status_code == 403
    assert not caller.get("/jobs/nightly")["paused"]


def test_a_form_without_origin_or_of_another_kind_is_refused(admin: Browser) -> None:
    seal = admin.seal()
    bare = admin.http.post("/do/pause", data={"seal": seal, "job": "nightly"})
    assert bare.status_code == 403
    as_json = admin.http.post("/do/pause", json={"job": "nightly"}, headers={"Origin": admin.origin})
    assert as_json.status_code == 415
    assert admin.send("do/stop", {}).status_code == 404


def test_the_seal_of_one_session_is_none_for_another(admin: Browser, caller: Caller) -> None:
    with Browser(caller, "operator") as other:
        assert other.send("do/pause", {"job": "nightly"}, seal=admin.seal()).status_code == 403


def test_who_comes_with_a_token_gets_a_seal_too(caller: Caller) -> None:
    headers = {**bearer(caller.token), "Accept": PAGE}
    with httpx.Client(base_url=caller.url, headers=headers, timeout=20) as client:
        found = client.get("/")
        assert forms.FORM_COOKIE in client.cookies
        assert "Log out" not in found.text


@pytest.mark.parametrize(
    ("text", "place"),
    [
        ("jobs?state=failed&sort=-name", "jobs?state=failed&sort=-name"),
        ("runs/job:a:2026-01-01T00:00:00Z", "runs/job:a:2026-01-01T00:00:00Z"),
        ("", ""),
        ("//evil.example", ""),
        ("/\\evil.example", ""),
        ("https://evil.example", ""),
        ("jobs/../../x", ""),
        ("\\evil", ""),
        ("jobs\r\nSet-Cookie: a=b", ""),
        ("x" * 3000, ""),
    ],
)
def test_a_form_leads_back_to_this_server_alone(text: str, place: str) -> None:
    assert forms.place(text) == place


def test_without_log_in_forms_are_sealed_all_the_same(tmp_path: Path) -> None:
    with (
        called(tmp_path, "--insecure-no-auth") as caller,
        httpx.Client(base_url=caller.url, headers={"Accept": PAGE}, timeout=20) as client,
    ):
        page = client.get("/jobs/nightly")
        (seal, *_) = [each["value"] for each in tags_of(page.text, "input") if each.get("name") == "seal"]
        fields, own = {"seal": seal, "job": "nightly"}, {"Origin": caller.url}
        assert client.post("/do/pause", data=fields).status_code == 403
        assert client.post("/do/pause", data=fields, headers={"Origin": "http://evil.example"}).status_code == 403
        assert client.post("/do/pause", data=fields, headers=own).status_code == 303
        assert caller.get("/jobs/nightly")["paused"]
        client.cookies.clear()
        assert client.post("/do/resume", data=fields, headers=own).status_code == 403
        client.cookies.set(forms.FORM_COOKIE, "chosen by somebody else")
        assert client.post("/do/resume", data=fields, headers=own).status_code == 403
