"""The pages: a new one is a file here and a line in this table, whose order is that of the navigation."""

from __future__ import annotations

from dagsched.web.pages import config, events, graph, grid, job, jobs, letters, now, plan, run, timeline, upcoming
from dagsched.web.table import Page

PAGES: tuple[Page, ...] = (
    now.PAGE,
    jobs.PAGE,
    job.PAGE,
    run.PAGE,
    grid.PAGE,
    timeline.PAGE,
    graph.PAGE,
    upcoming.PAGE,
    plan.PAGE,
    config.PAGE,
    events.PAGE,
    letters.PAGE,
)
