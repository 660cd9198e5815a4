"""The first five minutes as a browser sees them: a file, an edit, a mistake, its repair; nobody reloads the page."""

from __future__ import annotations

import re
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from tests.api.caller import Caller, called
from tests.web.chromium import PATIENCE_MS, complaints, launched, logged_in

expect = pytest.importorskip("playwright.sync_api").expect
expect.set_options(timeout=PATIENCE_MS)


@pytest.fixture
def caller(tmp_path: Path) -> Iterator[Caller]:
    subprocess.run([sys.executable, "-m", "dagsched", "init", str(tmp_path)], check=True, stdout=subprocess.DEVNULL)
    with called(tmp_path, jobs=(tmp_path / "jobs.yaml").read_text()) as found:
        yield found


def edit(caller: Caller, old: str, new: str) -> None:
    file = caller.daemon.folder / "jobs.yaml"
    text = file.read_text()
    assert old in text
    file.write_text(text.replace(old, new))


def test_an_edit_a_mistake_and_its_repair_are_seen_without_a_reload(caller: Caller) -> None:
    with launched() as browser:
        page = logged_in(browser, caller)
        wrong = complaints(page)
        coming = page.locator('[data-part="next"]')
        expect(page.locator("h1")).to_have_text("Now")
        expect(coming).to_contain_text("largest-files")
        expect(coming).to_contain_text("02:00")

        edit(caller, '"0 2 ', '"30 3 ')
        expect(coming).to_contain_text("03:30")
        expect(coming).not_to_contain_text("02:00")

        edit(caller, "largest-files]", "largest-flies]")
        banner = page.get_by_role("region", name="Configuration problems")
        expect(banner).to_contain_text("The job files have 1 error")
        expect(banner).to_contain_text("unknown upstream job 'largest-flies'")
        expect(banner).to_contain_text("did you mean 'largest-files'")
        # The last good configuration is still what runs.
        expect(coming).to_contain_text("03:30")
        page.goto(f"{caller.url}/config")
        expect(page.locator("main")).to_contain_text(re.compile(r"\^{13}"))

        page.goto(caller.url)
        expect(banner).to_be_visible()
        edit(caller, "largest-flies]", "largest-files]")
        expect(banner).to_have_count(0)
        assert wrong == []


def test_everything_runs_at_the_press_of_a_button(caller: Caller) -> None:
    with launched() as browser:
        page = logged_in(browser, caller)
        page.goto(f"{caller.url}/jobs/disk-usage")
        page.get_by_role("button", name="Trigger").click()
        page.wait_for_url(re.compile("/runs/job:disk-usage:"))
        state: Any = page.locator(f'.state[data-run="{page.url.rsplit("/", 1)[1]}"]').first
        expect(state).to_have_text("success")
