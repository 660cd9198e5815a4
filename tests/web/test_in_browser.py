"""Pages in a real browser: coming in, a run that turns green, its output, a retry, a pause, keys, a flood of events."""

from __future__ import annotations

import json
import os
import re
import signal
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from tests.api.caller import Caller, called
from tests.web.chromium import PATIENCE_MS, complaints, logged_in
from tests.web.proxy import proxied

expect = pytest.importorskip("playwright.sync_api").expect

JOBS = """\
version: 1
jobs:
  gated: {run: 'echo begun; until [ -e go ]; do sleep 0.05; done; echo all done'}
  flaky: {run: '[ -e mended ] || { echo not yet; exit 4; }'}
  nightly: {schedule: '0 3 * * *', run: 'true'}
  asked: {params: {day: {type: string, default: mon}}, run: 'echo "day $DAGSCHED_PARAM_DAY"'}
  wordy: {run: 'seq 1 40000'}
"""


@pytest.fixture(scope="module")
def caller(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Caller]:
    with called(tmp_path_factory.mktemp("served"), jobs=JOBS) as found:
        yield found


def let_go(caller: Caller, name: str) -> None:
    """Have the gated run end, and wait for that."""
    (caller.daemon.folder / "go").touch()
    caller.daemon.until(lambda event: event["run"] == name and event["type"] == "run.succeeded", "its success")


def state_of(page: Any, name: str) -> Any:
    return page.locator(f'.state[data-run="{name}"]').first


def test_a_link_lets_a_browser_in_and_no_script_can_read_the_session(page: Any, caller: Caller) -> None:
    assert page.url == caller.url + "/"
    expect(page.locator("nav a[aria-current]")).to_have_text("Now")
    assert page.evaluate("document.cookie") == ""
    page.get_by_role("button", name="Log out").click()
    expect(page.locator("h1")).to_have_text("Log in")


def test_a_run_turns_green_while_it_is_watched_and_its_output_grows(page: Any, caller: Caller) -> None:
    page.goto(f"{caller.url}/jobs/gated")
    page.get_by_role("button", name="Trigger").click()
    page.wait_for_url(re.compile("/runs/job:gated:"))
    name = page.url.rsplit("/", 1)[1]
    expect(state_of(page, name)).to_have_class(re.compile("s-running"))
    expect(page.locator("[data-out]")).to_have_text("begun\n")
    (caller.daemon.folder / "go").touch()
    expect(state_of(page, name)).to_have_class(re.compile("s-success"))
    expect(state_of(page, name)).to_have_text("success")
    expect(page.locator("[data-out]")).to_have_text("begun\nall done\n")
    assert page.url.endswith(name), "the page was not left for it"


def test_now_shows_what_waits_and_for_what_as_soon_as_something_does(page: Any, caller: Caller) -> None:
    (caller.daemon.folder / "go").unlink(missing_ok=True)
    page.goto(caller.url)
    page.locator("[data-live]:not([hidden])").wait_for(state="attached")
    first = caller.post("/jobs/gated/trigger")["runs"][0]
    second = caller.post("/jobs/gated/trigger")["runs"][0]
    expect(page.locator('[data-part="waiting"]')).to_contain_text("queued")
    expect(state_of(page, second)).to_have_class(re.compile("s-queued"))
    let_go(caller, first)
    let_go(caller, second)


def test_now_shows_a_run_that_begins_after_the_page_was_loaded(page: Any, caller: Caller) -> None:
    (caller.daemon.folder / "go").unlink(missing_ok=True)
    page.goto(caller.url)
    page.locator("[data-live]:not([hidden])").wait_for(state="attached")
    name = caller.post("/jobs/gated/trigger")["runs"][0]
    expect(state_of(page, name)).to_have_class(re.compile("s-running"))
    let_go(caller, name)
    expect(state_of(page, name)).to_have_count(0)


def test_a_failure_is_retried_with_its_button(page: Any, caller: Caller) -> None:
    name = caller.run_once("flaky", "run.failed")
    page.goto(caller.url)
    expect(page.get_by_text("exit code 4")).to_be_visible()
    (caller.daemon.folder / "mended").touch()
    page.get_by_role("row", name="flaky").get_by_role("button", name="Retry").click()
    expect(page.get_by_role("status")).to_have_text(f"{name}: runs again")
    caller.daemon.until(lambda event: event["run"] == name and event["type"] == "run.succeeded", "its success")
    page.goto(f"{caller.url}/runs/{name}")
    expect(state_of(page, name)).to_have_class(re.compile("s-success"))


def test_a_job_is_paused_and_resumed_with_boxes_that_are_ticked(page: Any, caller: Caller) -> None:
    page.goto(f"{caller.url}/jobs?q=nightly")
    expect(page.get_by_role("button", name="Pause")).to_be_disabled()
    page.get_by_label("Choose nightly").check()
    page.get_by_role("button", name="Pause").click()
    expect(page.get_by_role("status")).to_have_text("nightly: paused")
    assert page.url == f"{caller.url}/jobs?q=nightly"
    expect(page.locator(".s-paused")).to_be_visible()
    assert caller.get("/jobs/nightly")["paused"]
    page.get_by_label("All", exact=True).check()
    page.get_by_role("button", name="Resume").click()
    expect(page.locator(".s-paused")).to_have_count(0)


def test_a_choice_in_the_filter_is_an_address(page: Any, caller: Caller) -> None:
    caller.run_once("wordy")
    page.goto(f"{caller.url}/jobs")
    page.get_by_label("State").select_option("success")
    page.wait_for_url(re.compile("state=success"))
    expect(page.get_by_role("link", name="wordy", exact=True)).to_be_visible()
    expect(page.get_by_role("link", name="nightly", exact=True)).to_have_count(0)


def test_what_was_written_before_the_end_is_loaded_on_request(page: Any, caller: Caller) -> None:
    name = caller.run_once("wordy")
    page.goto(f"{caller.url}/runs/{name}")
    out = page.locator("[data-out]")
    assert not out.text_content().startswith("1\n2\n")
    page.get_by_role("button", name="Load what is before it").click()
    expect(page.locator("[data-earlier]")).to_be_hidden()
    assert out.text_content() == "".join(f"{number}\n" for number in range(1, 40001))
    page.get_by_label("Find in the output").fill("39999")
    page.keyboard.press("Enter")
    expect(page.locator(".out")).to_have_text("39999 39999")


def test_keys_go_through_lists_and_pages(page: Any, caller: Caller) -> None:
    page.goto(caller.url)
    page.keyboard.press("g")
    page.keyboard.press("j")
    page.wait_for_url(f"{caller.url}/jobs")
    page.keyboard.press("j")
    page.keyboard.press("j")
    expect(page.locator("tr.is-here")).to_contain_text("flaky")
    page.keyboard.press("k")
    page.keyboard.press("Enter")
    page.wait_for_url(f"{caller.url}/jobs/asked")
    page.goto(f"{caller.url}/jobs")
    page.keyboard.press("/")
    page.keyboard.type("gat")
    page.keyboard.press("Enter")
    page.wait_for_url(re.compile("q=gat"))


def test_the_first_thing_that_tab_reaches_is_the_way_past_the_navigation(page: Any, caller: Caller) -> None:
    page.goto(f"{caller.url}/jobs")
    page.keyboard.press("Tab")
    expect(page.get_by_text("Skip to content")).to_be_focused()
    page.keyboard.press("Enter")
    expect(page.locator("main")).to_be_focused()


def test_without_script_a_job_is_triggered_with_parameters(browser: Any, caller: Caller) -> None:
    page = logged_in(browser, caller, java_script_enabled=False)
    page.goto(f"{caller.url}/jobs/asked")
    page.locator('[name="param.day"]').fill("tue")
    page.locator("#trigger").get_by_role("button", name="Trigger").click()
    page.wait_for_url(re.compile("/runs/job:asked:"))
    expect(page.get_by_role("status")).to_have_text("asked: triggered")
    page.context.close()


def test_a_viewer_has_no_buttons(browser: Any, caller: Caller) -> None:
    name = caller.run_once("wordy")
    page = logged_in(browser, caller, "viewer")
    for path in ("", "jobs", "jobs/asked", f"runs/{name}"):
        page.goto(f"{caller.url}/{path}")
        words = {text for button in page.get_by_role("button").all() if (text := button.text_content())}
        assert words <= {"Log out", "Filter", "Find", "Load what is before it"}
    page.context.close()


@pytest.mark.parametrize("scheme", ["light", "dark"])
def test_no_page_is_wider_than_a_phone(browser: Any, caller: Caller, scheme: str) -> None:
    name = caller.run_once("wordy")
    page = logged_in(browser, caller, color_scheme=scheme, viewport={"width": 400, "height": 800})
    for path in ("", "jobs", "jobs/asked", f"runs/{name}", "login", "nowhere"):
        page.goto(f"{caller.url}/{path}")
        assert page.evaluate("document.documentElement.scrollWidth") <= 400, path
    page.context.close()


FRAMES = """
  window.frames_ms = [];
  window.changes = 0;
  let last = performance.now();
  const next = (at) => { window.frames_ms.push(at - last); last = at; requestAnimationFrame(next); };
  requestAnimationFrame(next);
  new MutationObserver((all) => { window.changes += all.length; })
    .observe(document, { subtree: true, attributes: true, attributeFilter: ["class"] });
"""


def flood(name: str, seq: int, count: int) -> str:
    """Return so many events of one run, the last of which says that it succeeded."""
    lines = []
    for number in range(count):
        to = "success" if number == count - 1 else ("running", "retrying")[number % 2]
        kind = {"success": "succeeded", "running": "started", "retrying": "retrying"}[to]
        row = {"seq": seq + number, "type": f"run.{kind}", "job": "gated", "run": name, "from": "queued", "to": to}
        lines.append(f"id: {seq + number}\nevent: run.{kind}\ndata: {json.dumps(row)}\n\n")
    return "".join(lines)


def test_a_flood_of_events_leaves_the_page_responsive(browser: Any, caller: Caller) -> None:
    (caller.daemon.folder / "go").unlink(missing_ok=True)
    name = caller.post("/jobs/gated/trigger")["runs"][0]
    caller.daemon.until(lambda event: event["run"] == name and event["type"] == "run.started", "its start")
    page = logged_in(browser, caller)
    page.add_init_script(FRAMES)
    # Five seconds of a thousand events each, all at once; then the stream has ended.
    body = "retry: 600000\n\n" + flood(name, 10**6, 5000)
    page.route("**/events/stream*", lambda route: route.fulfill(content_type="text/event-stream", body=body))
    asked: list[str] = []

    def refuse(route: Any) -> None:
        if route.request.resource_type == "fetch":  # the page as it really is would take the place of what was told
            asked.append(route.request.url)
            route.abort()
        else:
            route.continue_()

    page.route(f"{caller.url}/", refuse)
    page.goto(f"{caller.url}/")
    expect(state_of(page, name)).to_have_class(re.compile("s-success"), timeout=PATIENCE_MS)
    longest, changes = page.evaluate("[Math.max(...window.frames_ms), window.changes]")
    assert longest < 2000, "the page answers while the events come in"
    assert changes < 100, "only what is true at the end of each quarter of a second is shown"
    assert len(asked) <= 2
    page.context.close()
    let_go(caller, name)


def test_a_page_goes_on_when_the_process_that_served_it_has_ended(browser: Any, caller: Caller) -> None:
    (caller.daemon.folder / "go").unlink(missing_ok=True)
    page = logged_in(browser, caller)
    page.locator("[data-live]:not([hidden])").wait_for(state="attached")
    (server,) = servers(caller)
    os.kill(server, signal.SIGTERM)
    name: str = json.loads(caller.daemon.ask("trigger", "gated", "--json"))["runs"][0]
    expect(state_of(page, name)).to_have_count(1, timeout=PATIENCE_MS)
    page.context.close()
    let_go(caller, name)


def test_all_of_it_works_below_a_prefix_that_a_proxy_takes_away(browser: Any, caller: Caller) -> None:
    (caller.daemon.folder / "go").unlink(missing_ok=True)
    with proxied(caller.url, "/tools/jobs") as url:
        page = logged_in(browser, caller, at=url)
        wrong = complaints(page)
        assert page.url == f"{url}/"
        page.get_by_role("link", name="Jobs").click()
        page.get_by_role("link", name="gated", exact=True).click()
        page.wait_for_url(f"{url}/jobs/gated")
        page.get_by_role("button", name="Trigger").click()
        page.wait_for_url(f"{url}/runs/job:gated:*")
        name = page.url.rsplit("/", 1)[1]
        expect(page.locator("[data-out]")).to_have_text("begun\n")
        let_go(caller, name)
        expect(state_of(page, name)).to_have_class(re.compile("s-success"))
        expect(page.locator("[data-out]")).to_have_text("begun\nall done\n")
        page.get_by_role("button", name="Log out").click()
        page.wait_for_url(f"{url}/login")
        assert wrong == []
        page.context.close()


HIDE = """(is_hidden) => {
  Object.defineProperty(document, "hidden", { value: is_hidden, configurable: true });
  document.dispatchEvent(new Event("visibilitychange"));
}"""


def test_a_window_that_nobody_sees_gives_its_connection_back_and_catches_up_later(page: Any, caller: Caller) -> None:
    (caller.daemon.folder / "go").unlink(missing_ok=True)
    streams: list[str] = []
    page.on("request", lambda request: streams.append(request.url) if "/events/stream" in request.url else None)
    page.goto(caller.url)
    page.locator("[data-live]:not([hidden])").wait_for(state="attached")
    opened = len(streams)
    with page.expect_event("requestfailed", lambda request: "/events/stream" in request.url):
        page.evaluate(HIDE, True)
    name = caller.post("/jobs/gated/trigger")["runs"][0]
    caller.daemon.until(lambda event: event["run"] == name and event["type"] == "run.started", "its start")
    expect(state_of(page, name)).to_have_count(0)
    page.evaluate(HIDE, False)
    expect(state_of(page, name)).to_have_class(re.compile("s-running"))
    let_go(caller, name)
    expect(state_of(page, name)).to_have_count(0)
    assert len(streams) == opened + 1


def servers(caller: Caller) -> list[int]:
    """Return the process that serves pages."""
    daemon = caller.daemon.process.pid
    children = Path(f"/proc/{daemon}/task/{daemon}/children").read_text().split()
    return [int(pid) for pid in children if b"dagsched.web" in Path(f"/proc/{pid}/cmdline").read_bytes()]
