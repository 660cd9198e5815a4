"""What pytest finds when dagsched is installed: the fixture `dagsched_world`, and its histories when a test fails."""

from __future__ import annotations

import os
from collections.abc import Generator
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest

if TYPE_CHECKING:
    from dagsched.testing.world import Factory, World

_WORLDS = pytest.StashKey[list["World"]]()


@pytest.fixture
def dagsched_world(request: pytest.FixtureRequest) -> Factory:
    """Make a world of jobs on a virtual clock: `dagsched_world("jobs.yaml", start="2026-11-23")`.

    Takes what `dagsched.testing.World` takes. A path that is not absolute is looked for beside the test, then in the
    current folder. When the test fails, its report shows what became of every tick.
    """
    from dagsched.testing import World

    made = request.node.stash.setdefault(_WORLDS, [])

    def make(jobs: Any, **options: Any) -> World:
        world = World(_beside(jobs, request.path.parent), **options)
        made.append(world)
        return world

    return make


def _beside(jobs: Any, folder: Path) -> Any:
    """Return a path as it is beside the test, if it is there."""
    if isinstance(jobs, list | tuple):
        return [_beside(each, folder) for each in jobs]
    if isinstance(jobs, str | os.PathLike) and "\n" not in str(jobs) and (folder / jobs).exists():
        return folder / jobs
    return jobs


@pytest.hookimpl(wrapper=True)
def pytest_runtest_makereport(item: pytest.Item) -> Generator[None, pytest.TestReport, pytest.TestReport]:
    """Add the history of each world of a failed test to its report."""
    report = yield
    if report.when == "call" and report.failed:
        for world in item.stash.get(_WORLDS, []):
            report.sections.append(("dagsched history", world.report()))
    return report
