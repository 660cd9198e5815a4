"""*Plan*: an edit is looked at on a page, by whoever may change things, in a process that is kept short."""

from __future__ import annotations

import asyncio
import os
import sys
from pathlib import Path

import pytest

from dagsched.errors import Refused
from dagsched.views import aside
from tests.api.caller import Caller
from tests.web.browser import Browser, tags_of, text_of


def plan(browser: Browser, text: str, **more: str):
    page = browser.page("plan")
    (chosen,) = [
        option["value"] for option in tags_of(page, "option") if "selected" in option and "/" in option["value"]
    ]
    return browser.send("plan", {"text": text, "days": "7", "in_place_of": chosen, **more})


@pytest.fixture(scope="module")
def in_force(caller: Caller) -> str:
    return (caller.daemon.folder / "jobs.yaml").read_text()


def test_an_edit_is_told_as_on_the_command_line_and_nothing_is_applied(
    admin: Browser, caller: Caller, in_force: str, tmp_path: Path
) -> None:
    edited = in_force.replace("0 3 * * *", "0 4 * * *") + "  weekly: {schedule: '@weekly', run: 'true'}\n"
    answer = plan(admin, edited.replace("\n", "\r\n"))
    assert answer.status_code == 200
    text = text_of(answer.text)
    (tmp_path / "new.yaml").write_text(edited)
    said = caller.daemon.ask("plan", str(tmp_path / "new.yaml"))
    verdict = said.strip().splitlines()[-1]
    assert verdict in text
    assert "1 job added, 1 job changed" in verdict
    assert "nightly schedule: 0 3 * * * → 0 4 * * *" in text
    assert "moved by +1h" in text
    assert [row["class"] for row in tags_of(answer.text, "tr") if "class" in row][:2] == ["is-added", "is-changed"]
    assert caller.get("/config")["number"] == 1


def test_errors_are_shown_with_line_and_caret_and_the_text_stays(admin: Browser, in_force: str) -> None:
    answer = plan(admin, in_force + "  typo: {depends_on: [extrct], run: 'true'}\n")
    text = text_of(answer.text)
    assert "This text has errors, so it would be rejected" in text
    assert "unknown upstream job 'extrct'" in text
    assert "^^^^^^" in answer.text
    assert "typo: {depends_on: [extrct]" in answer.text.partition("<textarea")[2]


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("[" * 60_000, "error E"),
        ("version: 1\njobs: {a: {run: '<script>alert(1)</script>'}}\n", "1 job added"),
        ("</textarea><script>alert(1)</script>", "error E"),
        ("jobs:\n\tx", "error E"),
        ("\x00\ud7ff", "error E"),
    ],
    ids=["deep", "markup in a job", "markup", "a tab", "odd letters"],
)
def test_odd_texts_are_answered(admin: Browser, text: str, words: str) -> None:
    answer = plan(admin, text)
    assert answer.status_code == 200
    assert words in text_of(answer.text)
    assert "<script>alert" not in answer.text


def test_an_empty_text_is_no_plan(admin: Browser) -> None:
    assert "Paste the edited job file here" in plan(admin, " \r\n").text


def test_what_a_form_may_not_ask_for_is_turned_away(admin: Browser, viewer: Browser, in_force: str) -> None:
    assert plan(admin, in_force, in_place_of="/etc/passwd").status_code == 400
    assert plan(admin, in_force, days="4000").status_code == 400
    assert plan(admin, "#" * (1 << 20) + "#").status_code == 413
    assert admin.send("plan", {"text": in_force, "days": "7"}, seal="0" * 64).status_code == 403


def test_a_viewer_cannot_plan(viewer: Browser, in_force: str) -> None:
    page = viewer.page("plan")
    assert "To plan takes the role operator." in text_of(page)
    assert "<textarea" not in page
    assert viewer.send("plan", {"text": in_force, "days": "7"}).status_code == 403


def test_a_file_in_force_can_be_begun_with(admin: Browser, viewer: Browser, caller: Caller) -> None:
    path = f"plan?file={caller.daemon.folder}/jobs.yaml"
    assert "nightly: {schedule: &#39;0 3 * * *&#39;" in admin.page(path)
    assert viewer.get(path).status_code == 403
    assert admin.get("plan?file=/etc/passwd").status_code == 404


def test_registered_jobs_stay_whatever_the_text(admin: Browser, caller: Caller, in_force: str) -> None:
    answer = caller.local.put("/api/v1/jobs/ping", json={"handler": "http", "with": {"url": "https://example.com/"}})
    assert answer.status_code in (200, 201), answer.text
    try:
        assert "nothing changes" in text_of(plan(admin, in_force).text)
        assert "nothing: one more file" in admin.page("plan")
        more = plan(admin, "version: 1\njobs: {extra: {run: 'true'}}\n", in_place_of="added.yaml")
        assert "1 job added" in text_of(more.text)
        assert "removed" not in text_of(more.text)
    finally:
        caller.local.delete("/api/v1/jobs/ping")


def test_a_plan_that_takes_too_long_is_ended_and_leaves_no_process(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    slow = tmp_path / "slow"
    slow.write_text("#!/bin/sh\necho $$ > pid\nexec sleep 600\n")
    slow.chmod(0o755)
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(sys, "executable", str(slow))
    monkeypatch.setattr(aside, "SECONDS_MAX", 1.0)
    with pytest.raises(Refused, match="takes longer than 1 s"):
        asyncio.run(aside.planned(tmp_path, {"jobs.yaml": "version: 1\njobs: {}\n"}, 7))
    if (tmp_path / "pid").exists():
        with pytest.raises(ProcessLookupError):
            os.kill(int((tmp_path / "pid").read_text()), 0)


def test_a_plan_that_needs_too_much_is_refused(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sys, "executable", "/bin/false")
    with pytest.raises(Refused, match="more than a server may use"):
        asyncio.run(aside.planned(tmp_path, {"jobs.yaml": "version: 1\njobs: {}\n"}, 7))
