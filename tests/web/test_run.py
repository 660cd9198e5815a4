"""Run: attempts, reasons, output by its end and by its words, parts that other runs lead to, and the verbs."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from dagsched.model import Attempt, Link, Run, RunState, utc
from dagsched.web import around, tails
from tests.api.caller import Caller, called
from tests.web.browser import Browser, said, tags_of, text_of
from tests.web.stored import page, pages, ran

JOBS = """\
version: 1
jobs:
  good: {run: 'echo "<b>bold</b>"; printf "\\033[31mred\\033[0m \\a\\000 end\\n"; echo "k=v" >> "$DAGSCHED_OUTPUT"'}
  bad: {run: 'echo oops; exit 3', retry: {max_attempts: 2, delay: 10ms}}
  after: {depends_on: [bad], run: 'true'}
  long: {run: 'seq 1 40000; echo "the Needle <thread>"; seq 1 40000'}
  quiet: {run: 'true'}
  endless: {run: 'echo begun; sleep 600'}
  blocked: {depends_on: [endless], run: 'true'}
"""


@pytest.fixture(scope="module")
def caller(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Caller]:
    with called(tmp_path_factory.mktemp("served"), jobs=JOBS) as found:
        yield found


def shown(browser: Browser, name: str, query: str = "") -> str:
    return browser.page(f"runs/{name}{query}")


def test_output_is_text_whatever_was_written(admin: Browser, caller: Caller) -> None:
    page = shown(admin, caller.run_once("good"))
    assert "<pre " in page
    assert "&lt;b&gt;bold&lt;/b&gt;\nred  end\n</pre>" in page
    assert "<b>bold" not in page
    assert "Outputs k v" in text_of(page)


def test_a_failed_run_shows_its_attempts_cause_and_what_can_be_done(admin: Browser, caller: Caller) -> None:
    name = caller.run_once("bad", "run.failed")
    page = shown(admin, name)
    words = text_of(page)
    assert "failed exit code 3" in words
    assert "Attempts 2 of 2" in words
    assert "Output of attempt 2" in words
    assert {"cancel", "rerun", "ack"} & verbs_of(page) == {"rerun", "ack"}
    assert "Output of attempt 1" in text_of(shown(admin, name, "?attempt=1"))
    assert admin.get(f"runs/{name}?attempt=3").status_code == 404
    assert admin.get(f"runs/{name}?attempt=x").status_code == 400


def test_why_it_went_so_is_told_on_request(admin: Browser, caller: Caller) -> None:
    name = caller.run_once("bad", "run.failed")
    link = f"../runs/{name}?why=true"
    assert link in [each.get("href") for each in tags_of(shown(admin, name), "a")]
    assert "Why" in text_of(shown(admin, name, "?why=true"))
    assert '<ul class="why">' in shown(admin, name, "?why=true")


def test_what_comes_after_leads_back_to_what_it_waited_for(admin: Browser, caller: Caller) -> None:
    name = caller.run_once("bad", "run.failed")
    page = shown(admin, name.replace("job:bad:", "job:after:"))
    assert "upstream failed" in text_of(page)
    assert f'<a href="../runs/{name}">bad</a>' in page
    assert "None was started." in text_of(page)


def verbs_of(page: str) -> set[str]:
    return {(form.get("action") or "").rsplit("/", 1)[-1] for form in tags_of(page, "form")}


def test_a_failed_run_is_retried_and_acknowledged_with_its_buttons(admin: Browser, caller: Caller) -> None:
    name = caller.run_once("bad", "run.failed")
    page = admin.after(admin.send("do/ack", {"run": name, "back": f"runs/{name}"}))
    assert said(page) == f"{name}: acknowledged"
    assert "ack" not in verbs_of(page)
    again = admin.after(admin.send("do/rerun", {"run": name, "back": f"runs/{name}"}))
    assert said(again) == f"{name}: runs again"
    caller.daemon.until(
        lambda event: event["run"] == name and event["type"] == "run.started" and event["attempt"] == 3, "attempt 3"
    )


def test_a_run_under_way_says_what_it_waits_for_and_can_be_cancelled(admin: Browser, caller: Caller) -> None:
    name: str = caller.post("/jobs/endless/trigger")["runs"][0]
    caller.daemon.until(lambda event: event["run"] == name and event["type"] == "run.started", "its start")
    page = shown(admin, name)
    assert verbs_of(page) & {"cancel", "rerun", "ack"} == {"cancel"}
    assert "data-ended" not in page
    waiting = shown(admin, name.replace("job:endless:", "job:blocked:"))
    assert "What it waits for" in text_of(waiting)
    assert "endless" in text_of(waiting)
    assert said(admin.after(admin.send("do/cancel", {"run": name}))) == f"{name}: asked to stop"
    caller.daemon.until(lambda event: event["run"] == name and event["type"] == "run.cancelled", "its end")
    assert "data-ended" in shown(admin, name)


def test_of_a_long_output_the_end_is_shown_and_all_of_it_is_searched(admin: Browser, caller: Caller) -> None:
    name = caller.run_once("long")
    page = shown(admin, name)
    (log,) = [each for each in tags_of(page, "section") if "data-log" in each]
    whole = caller.root.get(f"/api/v1/runs/{name}/log").content
    assert int(log["data-size"] or 0) == len(whole)
    first = int(log["data-first"] or 0)
    assert 0 < len(whole) - first <= tails.TAIL_BYTES
    assert whole[first - 1 : first] == b"\n"
    assert len(page) < 2 * tails.TAIL_BYTES
    found = shown(admin, name, "?find=NEEDLE")
    assert '<span class="nr">40001</span> the Needle &lt;thread&gt;\n' in found
    assert "1 line has “NEEDLE” in it." in text_of(found)
    many = shown(admin, name, "?find=1")
    assert "200 lines have “1” in them; there may be more." in text_of(many)
    assert "0 lines have “&lt;script&gt;”" in shown(admin, name, "?find=%3Cscript%3E")


def test_a_run_that_wrote_nothing_says_so(admin: Browser, caller: Caller) -> None:
    assert "It wrote nothing." in text_of(shown(admin, caller.run_once("quiet")))


def test_a_run_that_is_not_there_is_answered_with_near_ones(admin: Browser, caller: Caller) -> None:
    name = caller.run_once("quiet")
    answer = admin.get("runs/job:quiet:2020-01-01T00:00:00Z")
    assert answer.status_code == 404
    assert f'href="../runs/{name}"' in answer.text
    for odd in ("runs/nonsense", "runs/job:quiet:soon", "runs/%3Cscript%3E", "runs/job%3a%00"):
        found = admin.get(odd)
        assert found.status_code == 404
        assert "<script>" not in found.text


def test_a_viewer_reads_the_output_and_has_no_buttons(viewer: Browser, caller: Caller) -> None:
    page = shown(viewer, caller.run_once("bad", "run.failed"))
    assert "oops" in page
    assert verbs_of(page).isdisjoint({"cancel", "rerun", "ack"})


# ---------------------------------------------------------------- tails


def attempt_with(folder: Path, data: bytes) -> Attempt:
    """Return an attempt that wrote this."""
    (folder / "logs").mkdir(exist_ok=True)
    (folder / "logs" / "x.log").write_bytes(data)
    return Attempt("x", utc(2026, 1, 1), 1, utc(2026, 1, 1), log="logs/x.log")


@pytest.mark.parametrize(
    ("data", "bytes_max", "text", "first"),
    [
        (b"", 10, "", 0),
        (b"one\ntwo\n", 100, "one\ntwo\n", 0),
        (b"one\ntwo\n", 6, "two\n", 4),
        (b"one\ntwo\n", 4, "", 8),
        (b"x" * 20, 5, "xxxxx", 15),
        ("é".encode() * 3, 3, "\ufffdé", 3),
        (b"a\x1b[1;31mb\x1b]0;title\x07c\x1bMd\x08\r\n", 100, "abcd\r\n", 0),
    ],
)
def test_a_tail_begins_with_a_line_where_it_can(tmp_path: Path, data, bytes_max, text, first) -> None:
    found = tails.tail_of(tmp_path, attempt_with(tmp_path, data), bytes_max)
    assert (found.text, found.first, found.size) == (text, first, len(data))


def test_a_search_ends_in_a_line_without_end(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(tails, "SEARCHED_BYTES_MAX", 100_000)
    found = tails.find(tmp_path, attempt_with(tmp_path, b"needle " * 40_000), "needle")
    assert found.is_cut
    assert {number for number, _ in found.lines} == {1}
    assert max(len(line) for _, line in found.lines) <= tails.LINE_BYTES_MAX


# ---------------------------------------------------------------- what is around a run

TICK = utc(2026, 11, 26, 8)
WIDE = "version: 1\njobs:\n" + "".join(f"  up{number:03}: {{schedule: '0 * * * *', run: x}}\n" for number in range(90))
WIDE += f"  sum: {{run: x, depends_on: [{', '.join(f'up{number:03}' for number in range(90))}]}}\n"
WIDE += "".join(f"  down{number:03}: {{run: x, depends_on: [sum]}}\n" for number in range(45))
WIDE += "  daily: {schedule: '0 9 * * *', run: x, depends_on: [sum]}\n"


def wide_rows() -> list[Run]:
    ups = [ran(f"up{number:03}", TICK, "failed" if number == 77 else "success") for number in range(90)]
    links = tuple(Link(f"up{number:03}", TICK) for number in range(90))
    summed = Run("sum", TICK, RunState.UPSTREAM_FAILED, created=TICK, ended=TICK, links=links)
    downs = [Run(f"down{number:03}", TICK, RunState.UPSTREAM_FAILED, ended=TICK) for number in range(44)]
    return [*ups, summed, *downs, Run("down044", TICK, RunState.CANCELLED, ended=TICK)]


def test_of_many_neighbours_the_bad_ones_come_first_and_the_rest_is_counted_and_led_to(tmp_path: Path) -> None:
    base = "runs/job:sum:2026-11-26T08:00:00Z"
    first, second, third = pages(
        tmp_path, [base, f"{base}?above=41&below=41&find=x", f"{base}?above=81&attempt=1"], WIDE, runs=wide_rows()
    )
    words = text_of(first.text)
    assert "Waited for 1 to 40 of 90 Of all: 1 failed, 89 success. up077 failed" in words
    assert "Waits for it 1 to 40 of 46" in words
    assert "Of all: 44 upstream failed, 1 cancelled." in words
    hrefs = [each.get("href") for each in tags_of(first.text, "a")]
    assert f"../{base}?above=41#above" in hrefs
    assert f"../{base}?below=41#below" in hrefs
    assert "../graph?job=sum&hops=1&view=list" in hrefs
    words = text_of(second.text)
    assert "Waited for 41 to 80 of 90" in words
    assert "Waits for it 41 to 46 of 46" in words
    assert "down044 cancelled daily by its own schedule" in words
    hrefs = [each.get("href") for each in tags_of(second.text, "a")]
    assert f"../{base}?find=x&below=41#above" in hrefs
    assert f"../{base}?find=x&above=41#below" in hrefs
    assert f"../{base}?find=x&above=81&below=41#above" in hrefs
    assert third.status_code == 404  # of an attempt that there is not


def test_a_run_with_few_neighbours_lists_them_without_pages(tmp_path: Path) -> None:
    jobs = "version: 1\njobs: {a: {schedule: '0 * * * *', run: x}, b: {run: x, depends_on: [a]}}\n"
    (page,) = pages(tmp_path, ["runs/job:a:2026-11-26T08:00:00Z"], jobs, runs=[ran("a", TICK)])
    assert "Waits for it 1 b no run of this tick" in text_of(page.text)
    assert "pager" not in page.text
    assert "Waited for" not in page.text


def test_more_links_than_are_looked_at_are_shown_as_they_stand(tmp_path: Path, monkeypatch) -> None:
    monkeypatch.setattr(around, "LOOKED_AT", 50)
    (page,) = pages(tmp_path, ["runs/job:sum:2026-11-26T08:00:00Z?above=41"], WIDE, runs=wide_rows())
    words = text_of(page.text)
    assert "Waited for 41 to 80 of 90 up040 success" in words
    assert "Of all: 1 failed" not in words


def test_the_neighbours_of_a_job_are_counted_and_led_to(tmp_path: Path) -> None:
    (page,) = pages(tmp_path, ["jobs/sum"], WIDE)
    words = text_of(page.text)
    assert "Waits for 90 up000" in words
    assert "And 50 more, all in the graph" in words
    assert "Wait for it 46 down000" in words
    assert "../graph?job=sum&hops=1&view=list" in [each.get("href") for each in tags_of(page.text, "a")]


def test_a_run_that_was_late_says_so_wherever_its_state_is(tmp_path: Path) -> None:
    jobs = "version: 1\njobs: {a: {schedule: '0 * * * *', run: x, deadline: 1m}}\n"
    going = Run("a", TICK, RunState.RUNNING, created=TICK, started=TICK, attempts=1, late=True)
    failed = ran("a", utc(2026, 11, 26, 7), "failed", late=True, reason="exit code 3")
    paths = ["", "jobs/a", "runs/job:a:2026-11-26T08:00:00Z", "letters"]
    found = [text_of(page.text) for page in pages(tmp_path, paths, jobs, runs=[going, failed])]
    assert "a 08:00 running late 30 min" in found[0]
    assert "running late" in found[1]
    assert "failed late" in found[1]
    assert "running late" in found[2]
    assert "failed late exit code 3" in found[3]


def test_a_tick_that_was_left_out_has_no_attempts_to_count_and_leads_to_what_stands_in(tmp_path: Path) -> None:
    jobs = "version: 1\njobs: {a: {schedule: '0 * * * *', run: x}}\n"
    reason = "overlap: job:a:2026-11-26T07:00:00Z was active"
    row = Run("a", TICK, RunState.SKIPPED, reason=reason, stand_in=utc(2026, 11, 26, 7), attempt_limit=0)
    (page,) = pages(tmp_path, ["runs/job:a:2026-11-26T08:00:00Z"], jobs, runs=[row])
    words = text_of(page.text)
    assert "skipped overlap: a 07:00 was active" in words
    assert "Attempts None was started." in words
    assert [each.get("href") for each in tags_of(page.text, "a")].count("../runs/job:a:2026-11-26T07:00:00Z") == 2


SCHEDULED = "version: 1\njobs:\n  a: {schedule: '0 * * * *', run: 'true'}\n  b: {depends_on: [a], run: 'true'}\n"


@pytest.mark.parametrize("job", ["a", "b", "gone"])
@pytest.mark.parametrize("state", ["success", "queued"])
def test_why_is_told_of_a_state_that_has_runs_and_nothing_else(tmp_path: Path, job: str, state: str) -> None:
    run = ran(job, utc(2026, 11, 26, 8), state)
    told = page(tmp_path, f"runs/{run.name}?why=true", SCHEDULED, runs=[run])
    assert "made by its schedule" in text_of(told.partition('class="why"')[2])
