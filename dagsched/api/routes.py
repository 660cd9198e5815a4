"""Every route there is. Requests are read, callers are judged and OpenAPI is written from this table."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from dagsched.api import ahead, changes, doors, figures, reads, streams
from dagsched.api.access import Role
from dagsched.api.changes import route_of
from dagsched.api.openapi import document
from dagsched.api.table import Query, Route
from dagsched.api.verbs import API, VERBS

MB = 1 << 20
VIEWER, OPERATOR, ADMIN = Role.VIEWER, Role.OPERATOR, Role.ADMIN

OBJECT: Mapping[str, Any] = {"type": "object"}
PAGE: Mapping[str, Any] = {
    "type": "object",
    "required": ["items"],
    "properties": {"items": {"type": "array", "items": {"type": "object"}}},
}


def _limit(default: int, most: int = 1000) -> Query:
    return Query("limit", "count", "At most that many.", default, least=1, most=most)


def _json(words: str, schema: Mapping[str, Any] = OBJECT) -> dict[int, tuple[str, Any]]:
    return {200: (words, schema)}


JOB = Query("job", "text", "Only this job.")
BY = Query("by", "choice", "How they went over time.", choices=("day", "week", "month"))

READS = (
    Route("GET", "/livez", None, reads.live, "Whether this server lives.", answers=_json("It does.")),
    Route("GET", "/readyz", None, reads.ready, "Whether the daemon does its work.", answers=_json("It does.")),
    Route(
        "GET",
        "/metrics",
        VIEWER,
        figures.metrics,
        "Figures for Prometheus, as `dagsched metrics`.",
        answers={200: ("All figures.", "text/plain"), 503: ("The library for it is not installed.", "problem")},
    ),
    Route(
        "GET",
        f"{API}/status",
        VIEWER,
        reads.status,
        "The daemon, the configuration and every job, as `dagsched status --json`.",
        [Query("jobs", "flag", "Whether the jobs are wanted too.", True)],
        answers=_json("All of it."),
    ),
    Route(
        "GET",
        f"{API}/jobs",
        VIEWER,
        reads.jobs,
        "Jobs by the page, each with its state, its last and next run, and counts.",
        [Query("after", "text", "The `next` of an earlier page."), _limit(100)],
        answers=_json("A page; `next` is null on the last.", PAGE),
    ),
    Route(
        "GET",
        f"{API}/jobs/{{job}}",
        VIEWER,
        reads.job,
        "One job: state, definition, place in the files, neighbours.",
        answers=_json("The job."),
    ),
    Route(
        "GET",
        f"{API}/jobs/{{job}}/next",
        VIEWER,
        reads.next_ticks,
        "Its coming ticks, as `dagsched next JOB --json`.",
        [Query("from", "instant", "Ticks after this instant; now without it."), _limit(5)],
        answers=_json("The ticks, soonest first.", PAGE),
    ),
    Route(
        "GET",
        f"{API}/jobs/{{job}}/why",
        VIEWER,
        reads.reason,
        "Why it ran, did not run, or does not run yet, as `dagsched why JOB TICK --json`.",
        [Query("tick", "text", "An instant; the newest tick without it.")],
        answers=_json("The answer; `lines` has it in words."),
    ),
    Route(
        "GET",
        f"{API}/jobs/{{job}}/yaml",
        VIEWER,
        changes.job_text,
        "The job file of a registered job.",
        answers={200: ("The file.", "application/yaml")},
    ),
    Route(
        "GET",
        f"{API}/graph",
        VIEWER,
        reads.graph,
        "Who waits for whom, as `dagsched graph --json`.",
        [Query("job", "text", "Only this job, what it waits for and what waits for it.")],
        answers=_json("The jobs, upstreams first."),
    ),
    Route(
        "GET",
        f"{API}/stats",
        VIEWER,
        reads.statistics,
        "Counts, success rates, durations, lateness, as `dagsched stats --json`.",
        [JOB, Query("since", "instant", "Only ticks from this instant on, or of the last 7d."), BY],
        answers=_json("A row for each job.", PAGE),
    ),
    Route(
        "GET",
        f"{API}/workers",
        VIEWER,
        reads.workers,
        "The workers, as `dagsched workers --json`, and what waits for one.",
        answers=_json("A row for each worker; `waiting`: attempts that nobody has taken, by queue and labels.", PAGE),
    ),
    Route(
        "GET",
        f"{API}/runs",
        VIEWER,
        reads.runs,
        "Runs, newest first, as `dagsched history --json`.",
        [
            JOB,
            Query("state", "state", "Only runs in this state.", many=True),
            Query("since", "instant", "Only ticks after this instant, or of the last 7d."),
            Query("until", "instant", "Only ticks up to this instant."),
            Query("cursor", "text", "The `next` of an earlier page."),
            _limit(100),
        ],
        answers=_json("A page; `next` is null on the last.", PAGE),
    ),
    Route(
        "GET",
        f"{API}/runs/{{run}}",
        VIEWER,
        reads.run,
        "One run with all its parts, as `dagsched show RUN --json`.",
        answers=_json("The run."),
    ),
    Route(
        "GET",
        f"{API}/runs/{{run}}/attempts",
        VIEWER,
        reads.attempts,
        "Its attempts, first to last.",
        answers=_json("The attempts.", PAGE),
    ),
    Route(
        "GET",
        f"{API}/runs/{{run}}/log",
        VIEWER,
        reads.log,
        "What an attempt wrote, whole or by a byte range (`Range: bytes=N-`).",
        [Query("attempt", "count", "Which attempt; the newest without it.", least=1)],
        answers={
            200: ("All of it so far.", "text/plain"),
            206: ("The part that was asked for.", "text/plain"),
            416: ("No byte of the range is there yet.", "problem"),
        },
    ),
    Route(
        "GET",
        f"{API}/events",
        VIEWER,
        reads.events,
        "The event log, oldest first, as `dagsched events --json`.",
        [Query("since", "count", "Only events with a greater number.", 0), JOB, _limit(100)],
        answers=_json("A page; `next`, null on the last, is the `since` of the page after it.", PAGE),
    ),
    Route(
        "GET",
        f"{API}/events/stream",
        VIEWER,
        streams.server_sent,
        "Events as they happen, as server-sent events; `Last-Event-ID` begins after that one.",
        streams.FOLLOWING,
        answers={200: ("A stream without end.", "text/event-stream")},
    ),
    Route(
        "GET",
        f"{API}/config",
        VIEWER,
        reads.config,
        "The configuration in force, with an ETag.",
        answers=_json("The configuration, without its texts.") | {304: ("It is the one of `If-None-Match`.", None)},
    ),
    Route(
        "GET",
        f"{API}/config/files",
        OPERATOR,
        reads.texts,
        "The job files of the configuration in force, as they were read.",
        answers=_json("Path → text."),
    ),
    Route(
        "GET",
        f"{API}/config/problems",
        VIEWER,
        reads.problems,
        "What is wrong with the job files as they are now.",
        answers=_json("The problems, each with its place.", PAGE),
    ),
    Route(
        "POST",
        f"{API}/validate",
        VIEWER,
        reads.validate,
        "Check the text of a job file, as `dagsched validate --format json`.",
        text=True,
        answers=_json("Whether it is valid, and every problem.", PAGE),
        body_bytes_max=4 * MB,
    ),
    Route(
        "POST",
        f"{API}/plan",
        OPERATOR,
        ahead.plan,
        "What an edit would change, as `dagsched plan --json`; nothing is applied.",
        body=ahead.PLAN,
        answers=_json("`document`, the same in `words`, and `problems`, the warnings."),
        body_bytes_max=ahead.BODY_BYTES_MAX,
    ),
    Route(
        "POST",
        f"{API}/simulate",
        OPERATOR,
        ahead.simulate,
        "The coming days on a virtual clock, as `dagsched simulate --json`.",
        body=ahead.SIMULATE,
        answers=_json("The forecast."),
        body_bytes_max=ahead.BODY_BYTES_MAX,
    ),
    Route(
        "GET",
        f"{API}/backfills",
        VIEWER,
        reads.backfills,
        "Backfills, newest first, as `dagsched backfill --list --json`.",
        answers=_json("All of them.", PAGE),
    ),
    Route(
        "GET",
        f"{API}/notifications",
        VIEWER,
        reads.notifications,
        "What people and programs were told, newest first, as `dagsched notifications --json`.",
        (Query("failed", "flag", "Only messages that nobody got.", False), _limit(20)),
        answers=_json("The newest of them.", PAGE),
    ),
)

CHANGES = (
    *(route_of(verb) for verb in VERBS),
    Route(
        "PUT",
        f"{API}/jobs/{{job}}",
        ADMIN,
        changes.put_job,
        "Register a job from its YAML or JSON, or replace a registered one.",
        text=True,
        answers={200: ("It was replaced.", OBJECT), 201: ("It was registered.", OBJECT)},
        more="job",
    ),
    Route(
        "DELETE",
        f"{API}/jobs/{{job}}",
        ADMIN,
        changes.delete_job,
        "Remove a registered job.",
        answers=_json("It was removed."),
    ),
)

OTHERS = (
    Route(
        "GET",
        f"{API}/openapi.json",
        None,
        document,
        "This document.",
        answers=_json("OpenAPI 3.1."),
    ),
    Route("GET", f"{API}/me", VIEWER, doors.who, "Who asks, and their role.", answers=_json("The caller.")),
    Route(
        "GET",
        "/login",
        None,
        doors.log_in,
        "Begin a session with a link of `dagsched open`.",
        [Query("code", "text", "The link's code.")],
        answers={
            200: ("Without a code: a page that says how to get a link.", "text/html"),
            303: ("To the front page, with a session.", None),
        },
    ),
    Route("POST", "/logout", VIEWER, doors.log_out, "End the session that asks.", answers=_json("It has ended.")),
)

ROUTES = (*READS, *CHANGES, *OTHERS)
