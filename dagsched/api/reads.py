"""What can be read: each answer is made of the same rows that the command line prints with `--json`."""

from __future__ import annotations

import asyncio
import json
from collections.abc import Mapping, Sequence
from contextlib import closing
from itertools import islice
from pathlib import Path
from typing import Any

from starlette.responses import Response

from dagsched.api import outputs
from dagsched.api.answers import Turned, answer
from dagsched.api.client import call
from dagsched.api.cursors import page_of_runs, read_cursor
from dagsched.api.desk import Desk
from dagsched.api.table import Visit
from dagsched.config import load_texts, rows
from dagsched.definition import to_json
from dagsched.engine.why import Answer
from dagsched.errors import StoreMissing, Unknown
from dagsched.explaining import why
from dagsched.graph import Graph
from dagsched.model import Config, Run, format_instant, parse_run_name
from dagsched.registered import is_registered
from dagsched.stores.contract import Store
from dagsched.stores.notices import Notices, Told
from dagsched.views.coming import coming_row
from dagsched.views.coming import event_row as event_row_of
from dagsched.views.graphs import graph_doc
from dagsched.views.names import known_job
from dagsched.views.rows import attempt_row, backfill_row, event_row, notice_row, run_row, statistics_row
from dagsched.views.status import JobLine, config_row, job_lines, job_row, read_status, status_doc, with_blocked
from dagsched.views.times import parse_moment
from dagsched.views.whole import read_whole, whole_doc

VALIDATIONS = asyncio.Semaphore(2)


# ---------------------------------------------------------------- signs of life


async def live(visit: Visit) -> Response:
    """This process answers."""
    return answer({"status": "ok"})


async def ready(visit: Visit) -> Response:
    """The daemon answers, and can write its state."""
    found = await visit.desk.status()
    if found is None:
        raise Turned(503, "unavailable", "no daemon answers", {"Retry-After": "1"})
    if found["health"] != "ok" or found["stopping"]:
        why_not = "the daemon is stopping" if found["stopping"] else "its state cannot be written"
        raise Turned(503, "unavailable", why_not)
    return answer({"status": "ok"})


# ---------------------------------------------------------------- the whole


async def status(visit: Visit) -> Response:
    """As `dagsched status --json`."""
    desk = visit.desk
    version, config = await desk.force()
    found = await desk.status()
    if not visit.query["jobs"]:
        whole = await read_status(desk.store, desk.home, desk.clock.now(), found, version, None)
        return answer({**status_doc(whole), "jobs": []})
    whole = await read_status(desk.store, desk.home, desk.clock.now(), found, version, config)
    return answer(await asyncio.to_thread(status_doc, whole))


async def graph(visit: Visit) -> Response:
    """As `dagsched graph --json`, of the configuration in force."""
    config = await visit.desk.config()
    return answer(await asyncio.to_thread(graph_doc, config, visit.query["job"]))


async def statistics(visit: Visit) -> Response:
    """As `dagsched stats --json`."""
    job = visit.query["job"]
    if job is not None:
        known_job(job, await visit.desk.known_jobs())
    found = await visit.desk.store.statistics(job, since=visit.query["since"], by=visit.query["by"] or "")
    return answer({"items": [statistics_row(row) for row in found]})


# ---------------------------------------------------------------- jobs


async def jobs(visit: Visit) -> Response:
    """Jobs by the page, in the order of the configuration, each as in a status."""
    desk, begin = visit.desk, visit.query["after"]
    names = await desk.known_jobs()
    if begin is not None:
        if begin not in names:
            raise Turned(400, "malformed", "'after' is the `next` of an earlier answer, or the id of a job")
        names = names[names.index(begin) + 1 :]
    page = names[: visit.query["limit"]]
    lines = await _lines(desk, await desk.config(), frozenset(page))
    items = [_job_item(desk, lines[name], await desk.config()) for name in page if name in lines]
    return answer({"items": items, "next": page[-1] if len(names) > len(page) else None})


async def job(visit: Visit) -> Response:
    """One job: as in a status, with its definition, its place in the files and its neighbours."""
    desk, id = visit.desk, visit.path["job"]
    config = await desk.config()
    known_job(id, await desk.known_jobs())
    lines = await _lines(desk, config, {id})
    item = _job_item(desk, lines[id], config) if id in lines else {"job": id, "removed": True}
    declared = config.jobs.get(id)
    if declared is not None:
        around = Graph(config.jobs)
        item |= {
            "upstream": list(around.upstream[id]),
            "downstream": list(around.downstream[id]),
            "definition": to_json(declared),
        }
    return answer(item)


async def next_ticks(visit: Visit) -> Response:
    """As `dagsched next JOB --json`, of the configuration in force."""
    id, config = visit.path["job"], await visit.desk.config()
    known_job(id, config.jobs)
    ahead = await visit.desk.ahead()
    begin = visit.query["from"] or visit.desk.clock.now()
    found = await asyncio.to_thread(lambda: list(islice(ahead.of(id, begin), visit.query["limit"])))
    items: list[Mapping[str, Any]] = [coming_row(coming) for coming in found]
    if words := ahead.events_of(id):
        items.append(event_row_of(id, words))
    return answer({"items": items})


async def _lines(desk: Desk, config: Config, only: frozenset[str] | set[str]) -> Mapping[str, JobLine]:
    snapshot, counts, daemon = await desk.store.snapshot({}), await desk.store.counts(), await desk.status()
    marks = {mark.job: mark for mark in snapshot.marks}
    found = await asyncio.to_thread(
        lambda: list(with_blocked(job_lines(config, marks, snapshot.runs, counts, desk.clock.now(), only), daemon))
    )
    return {line.job: line for line in found}


def _job_item(desk: Desk, line: JobLine, config: Config) -> dict[str, Any]:
    declared = config.jobs.get(line.job)
    place = declared.position if declared else None
    return {
        **job_row(line),
        "source": "api" if place and is_registered(place.file) else "file",
        "position": {"file": place.file, "line": place.line, "column": place.column} if place else None,
        "description": declared.description if declared else "",
        "tags": list(declared.tags) if declared else [],
        "timezone": declared.timezone if declared else None,
    }


# ---------------------------------------------------------------- runs


async def runs(visit: Visit) -> Response:
    """As `dagsched history --json`, by the page."""
    query = visit.query
    if query["job"] is not None:
        known_job(query["job"], await visit.desk.known_jobs())
    cursor = read_cursor(query["cursor"]) if query["cursor"] else None
    page, after = await page_of_runs(
        visit.desk.store, query["job"], query["state"], query["since"], query["until"], query["limit"], cursor
    )
    return answer({"items": [run_row(run) for run in page], "next": after})


async def run(visit: Visit) -> Response:
    """As `dagsched show RUN --json`."""
    found = await run_of(visit.desk.store, visit.path["run"])
    return answer(whole_doc(await read_whole(visit.desk.store, found)))


async def attempts(visit: Visit) -> Response:
    """Return the attempts of a run, first to last."""
    found = await run_of(visit.desk.store, visit.path["run"])
    tried = await visit.desk.store.attempts(found.job, found.tick)
    return answer({"items": [attempt_row(attempt) for attempt in tried]})


async def log(visit: Visit) -> Response:
    """What an attempt wrote, the newest without `attempt`."""
    found = await run_of(visit.desk.store, visit.path["run"])
    tried = {each.number: each for each in await visit.desk.store.attempts(found.job, found.tick)}
    number = visit.query["attempt"] or max(tried, default=0)
    if number not in tried:
        raise Unknown(f"attempt of {found.name}:", str(number), [str(known) for known in sorted(tried)])
    is_over = tried[number].ended is not None
    file = await outputs.written(visit.desk.store, visit.desk.home, tried[number])
    return outputs.respond(file, visit.request.headers.get("range"), is_over)


async def run_of(store: Store, name: str) -> Run:
    """Return the run of this full name, or the range row its tick lies in; raises Unknown with near names."""
    try:
        id, tick = parse_run_name(name)
    except ValueError:
        raise Unknown("run", name) from None
    found = await store.run(id, tick)
    if found is None:
        newest = await store.rows(id, limit=3)
        raise Unknown("run", name, [each.name for each in newest])
    return found


def _files_in(body: bytes) -> Mapping[str, str] | None:
    """Return the texts of `{"text": …}` or `{"files": {…}}`, which no job file looks like; None of anything else."""
    if body.lstrip()[:1] != b"{":
        return None
    try:
        said = json.loads(body)
    except (ValueError, RecursionError):
        return None
    files = said.get("files")
    if said.keys() == {"text"} and isinstance(said["text"], str):
        return {"jobs.yaml": said["text"]}
    is_files = said.keys() == {"files"} and isinstance(files, dict) and len(files) > 0
    return files if is_files and all(isinstance(text, str) for text in files.values()) else None


async def notifications(visit: Visit) -> Response:
    """As `dagsched notifications --json`."""
    found = await asyncio.to_thread(_told, visit.desk.home, visit.query["failed"], visit.query["limit"])
    return answer({"items": [notice_row(each) for each in found]})


def _told(home: Path, failed: bool, limit: int) -> Sequence[Told]:
    try:
        with closing(Notices(home, write=False)) as notices:
            return notices.messages(failed=failed, limit=limit)
    except StoreMissing:
        return []


async def backfills(visit: Visit) -> Response:
    """As `dagsched backfill --list --json`."""
    return answer({"items": [backfill_row(each) for each in await visit.desk.store.backfills()]})


async def workers(visit: Visit) -> Response:
    """As `dagsched workers --json`, and what waits for one."""
    found, waiting = await visit.desk.store.workers(), await visit.desk.store.waiting()
    return answer({"items": [each.as_json() for each in found], "waiting": [each.as_json() for each in waiting]})


async def reason(visit: Visit) -> Response:
    """As `dagsched why JOB [TICK] --json`."""
    desk, id = visit.desk, visit.path["job"]
    tick = parse_moment(visit.query["tick"]) if visit.query["tick"] else None
    known_job(id, await desk.known_jobs())
    # A daemon knows more of its open runs than is stored; of all else it knows nothing more.
    said = await call(desk.home, "why", {"job": id, "tick": format_instant(tick) if tick else None})
    if said is not None and said["lines"]:
        found = Answer(list(said["lines"]), dict(said["json"]))
    else:
        config, daemon = await desk.config(), await desk.status()
        found = await why(desk.store, config, id, tick, desk.clock.now(), daemon=daemon)
    return answer({**found.json, "lines": list(found.lines)})


# ---------------------------------------------------------------- events


async def events(visit: Visit) -> Response:
    """As `dagsched events --json`, by the page."""
    query = visit.query
    limit = query["limit"]
    found = await visit.desk.store.events(since=query["since"], job=query["job"], limit=limit + 1)
    page = found[:limit]
    return answer({"items": [event_row(row) for row in page], "next": page[-1].seq if len(found) > limit else None})


# ---------------------------------------------------------------- configuration


async def config(visit: Visit) -> Response:
    """Return the configuration in force, without its texts."""
    version, found = await visit.desk.force()
    if version is None:
        raise Turned(404, "not-found", "no configuration has been in force yet")
    tag = f'"{version.number}-{version.digest[:16]}"'
    if _is_same(visit.request.headers.get("if-none-match"), tag):
        return Response(b"", 304, {"ETag": tag})
    row = config_row(version)
    assert row is not None
    pools = dict(found.pools) if found else {}
    return answer({**row, "jobs": len(found.jobs) if found else 0, "pools": pools}, headers={"ETag": tag})


async def texts(visit: Visit) -> Response:
    """Return the job files of the configuration in force, as they were read."""
    version, _ = await visit.desk.force()
    if version is None:
        raise Turned(404, "not-found", "no configuration has been in force yet")
    return answer({"number": version.number, "files": dict(version.files)})


def _is_same(header: str | None, tag: str) -> bool:
    return header is not None and (header.strip() == "*" or tag in [each.strip() for each in header.split(",")])


async def problems(visit: Visit) -> Response:
    """Return what is wrong with the job files as they are now."""
    found = await visit.desk.status()
    if found is None:
        raise Turned(503, "unavailable", "no daemon answers", {"Retry-After": "1"})
    return answer({"items": found["problems"], "reverted": found["reverted"]})


async def validate(visit: Visit) -> Response:
    """Check the text of a job file, or files as `POST /plan` takes them, as `dagsched validate --format json`."""
    files = _files_in(visit.body) or {"jobs.yaml": visit.body}
    async with VALIDATIONS:
        loaded = await asyncio.to_thread(load_texts, files, visit.desk.clock.now())
    told = zip(rows(loaded.problems), loaded.problems, strict=True)
    items: Sequence[Mapping[str, Any]] = [{**row, "excerpt": problem.excerpt} for row, problem in told]
    return answer({"valid": loaded.config is not None, "items": items})
