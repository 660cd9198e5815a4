"""`why`: hands the question on and prints the answer."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any

import pytest

from dagsched.model import utc
from dagsched.stores.contract import Batch
from tests.cli import ledger
from tests.cli.conftest import NOW, store


@dataclass
class Answer:
    lines: list[str] = field(default_factory=lambda: ["load waits for extract", "  which runs"])
    json: dict[str, Any] = field(default_factory=lambda: {"verdict": "waiting"})


@pytest.fixture
def asked(monkeypatch) -> list[tuple[Any, ...]]:
    """Put a scripted answer in place of the real one and keep the questions."""
    questions: list[tuple[Any, ...]] = []

    async def why(_store: object, config: Any, job: str, tick: Any, now: Any, *, daemon: Any) -> Answer:
        questions.append((sorted(config.jobs) if config else None, job, tick, now))
        return Answer()

    monkeypatch.setattr("dagsched.explaining.why", why)
    return questions


JOBS = ["extract", "load", "tidy"]


@pytest.mark.parametrize(
    ("words", "tick"),
    [
        pytest.param(["load"], None, id="newest"),
        pytest.param(["load", "2026-11-23T09:00-05:00"], utc(2026, 11, 23, 14), id="instant"),
        pytest.param(["job:load:2026-11-23T14:00:00Z"], utc(2026, 11, 23, 14), id="run"),
    ],
)
def test_the_question_is_put_and_the_answer_printed(call, home, jobs_file, asked, words, tick):
    result = call("why", *words)
    assert (result.code, result.lines) == (0, ["load waits for extract", "  which runs"])
    assert asked == [(JOBS, "load", tick, NOW)]
    assert call("why", *words, "--json").json == {"verdict": "waiting"}


def test_the_configuration_in_force_is_the_one_that_explains(call, here, asked, at_now, no_daemon):
    store(here / ".dagsched", ledger.DAY, Batch(config=ledger.config_of()))
    (here / "jobs.yaml").write_text("version: 1\njobs: {}\n")
    assert call("why", "load").code == 0
    assert asked[0][0] == JOBS


@pytest.mark.parametrize(
    ("words", "said"),
    [
        pytest.param(["laod"], "did you mean 'load'?", id="job"),
        pytest.param(["load", "soon"], "'soon' is no instant", id="instant"),
        pytest.param(["job:load"], "unknown run 'job:load'", id="run"),
        pytest.param(["job:load:2026-11-23T14:00:00Z", "2026-11-23"], "not both", id="both"),
    ],
)
def test_what_cannot_be_asked_is_said(call, home, jobs_file, asked, words, said):
    result = call("why", *words)
    assert (result.code, asked) == (2, [])
    assert said in result.err
