"""Attempts of jobs with a handler, each in its real child process."""

from __future__ import annotations

import asyncio
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from dagsched.handlers import launch
from dagsched.model import Exit, Job, Run, RunState, utc
from tests.executor.harness import Hand

TICK = utc(2026, 11, 23, 14)


def attempt(
    tmp_path: Path,
    handler: str,
    with_: Mapping[str, Any],
    *,
    cwd: Path | None = None,
    env: Mapping[str, str] | None = None,
) -> tuple[Exit, str]:
    """Run one attempt; return its exit and its log."""
    job = Job("j", handler=handler, with_=with_, cwd=str(cwd) if cwd else None)
    run = Run("j", TICK, RunState.QUEUED)

    async def main() -> tuple[Exit, str]:
        async with Hand(tmp_path / "state") as hand:
            exit = await hand.run(launch(job, run, 1, env=env or {}))
            return exit, hand.log(exit).decode() if exit.log else ""

    return asyncio.run(main())
