"""Loading texts in tests: short spellings and a fixed now."""

from __future__ import annotations

from datetime import UTC, datetime
from textwrap import dedent

from dagsched.config import Loaded, Problem, load_texts
from dagsched.model import Config, Job

NOW = datetime(2026, 11, 21, 12, tzinfo=UTC)
FILE = "/srv/etl/jobs.yaml"


def load_text(text: str | bytes) -> Loaded:
    return load_texts({FILE: dedent(text) if isinstance(text, str) else text}, NOW)


def config_of(text: str) -> Config:
    """Return the configuration; every error is shown when there is none."""
    loaded = load_text(text)
    assert loaded.config is not None, [problem.message for problem in loaded.problems]
    return loaded.config


def job_of(lines: str, name: str = "a", top: str = "") -> Job:
    """Return the job whose keys are `lines`, in flow style or one a line."""
    return config_of(file_of(lines, name, top)).jobs[name]


def file_of(lines: str, name: str = "a", top: str = "") -> str:
    body = "".join(f"    {line}\n" for line in dedent(lines).strip().splitlines())
    return f"{top}jobs:\n  {name}:\n{body}"


def found(text: str | bytes) -> list[str]:
    """Return `CODE line:column-end_column` of each problem, in order."""
    return [spelled(problem) for problem in load_text(text).problems]


def spelled(problem: Problem) -> str:
    return f"{problem.code} {problem.line}:{problem.column}-{problem.end_column}"
