"""What an edit would change, worked out in a process of its own: `python -m dagsched.web.planning`.

It reads one JSON document on its standard input, `{"state_dir": …, "files": {path: text}, "days": n}`, and prints one:
the sections of `dagsched plan`, or the problems of the texts. Nothing is started and nothing is written. A text that is
made to take long or to need much takes no more than SECONDS_MAX and MEMORY_MAX, and whoever looks at other pages
meanwhile does not notice.
"""

from __future__ import annotations

import asyncio
import json
import resource
import sys
from collections.abc import Mapping
from datetime import timedelta
from pathlib import Path
from typing import Any

from dagsched.errors import Refused

SECONDS_MAX = 30.0
MEMORY_MAX = 2 << 30
ANSWER_BYTES_MAX = 4 << 20
ROWS_MAX = 300
AT_ONCE = asyncio.Semaphore(1)


async def planned(home: Path, files: Mapping[str, str], days: int) -> Mapping[str, Any]:
    """Return what would change if these texts took the place of what is in force in a state.

    Keys: `problems`, rows as of `validate` with their `excerpt`; and, unless one of them is an error, `headline`,
    `verdict`, `hint`, `changes` and `sections`, each with `title`, `remark`, `columns`, `rows` and how many `more`.
    Raises Refused when it takes too long or too much.
    """
    asked = json.dumps({"state_dir": str(home), "files": dict(files), "days": days}).encode()
    async with AT_ONCE:
        process = await asyncio.create_subprocess_exec(
            sys.executable, "-m", "dagsched.web.planning",
            stdin=asyncio.subprocess.PIPE, stdout=asyncio.subprocess.PIPE, stderr=asyncio.subprocess.DEVNULL,
        )  # fmt: skip
        try:
            async with asyncio.timeout(SECONDS_MAX):
                told, _ = await process.communicate(asked)
        except TimeoutError:
            raise Refused(f"this plan takes longer than {SECONDS_MAX:g} s; `dagsched plan` has no such limit") from None
        finally:
            if process.returncode is None:
                process.kill()
                await process.wait()
    if process.returncode != 0 or len(told) > ANSWER_BYTES_MAX:
        raise Refused("this plan needs more than a page may use; `dagsched plan` has no such limit")
    found: dict[str, Any] = json.loads(told)
    if "refused" in found:
        raise Refused(found["refused"])
    return found


# ---------------------------------------------------------------- in the process


def main() -> int:
    """Answer one question; return the exit code."""
    resource.setrlimit(resource.RLIMIT_AS, (MEMORY_MAX, MEMORY_MAX))
    seconds = int(SECONDS_MAX) + 1
    resource.setrlimit(resource.RLIMIT_CPU, (seconds, seconds))
    asked = json.load(sys.stdin)
    try:
        found = asyncio.run(_look(Path(asked["state_dir"]), asked["files"], asked["days"]))
    except Refused as error:
        found = {"refused": str(error)}
    json.dump(found, sys.stdout)
    return 0


async def _look(home: Path, files: Mapping[str, str], days: int) -> dict[str, Any]:
    from dagsched.clock import SystemClock
    from dagsched.config import load_texts
    from dagsched.config import rows as rows_of
    from dagsched.errors import ConfigInvalid
    from dagsched.preview import NOTHING, Base, preview, read_base
    from dagsched.stores import open_store
    from dagsched.views.plan_words import headline, hint, sections, verdict

    now = SystemClock().now()
    new = load_texts(files, now)
    told = zip(rows_of(new.problems), new.problems, strict=True)
    problems = [{**row, "excerpt": problem.excerpt} for row, problem in told][:ROWS_MAX]
    if new.config is None:
        return {"problems": problems}
    store = open_store(home)
    await store.open(write=False)
    try:
        version = next(iter(await store.configs(limit=1)), None)
        try:
            base = read_base(version, now) if version is not None else Base(NOTHING)
        except ConfigInvalid:
            raise Refused("the configuration in force cannot be read by this version of dagsched") from None
        found = await preview(store, base, new, now, timedelta(days=days))
    finally:
        await store.close()
    return {
        "problems": problems,
        "changes": found.changes_anything,
        "headline": headline(found),
        "verdict": verdict(found),
        "hint": hint(found),
        "sections": [
            {
                "title": section.title,
                "remark": section.remark,
                "columns": section.columns,
                "rows": section.rows[:ROWS_MAX],
                "more": max(0, len(section.rows) - ROWS_MAX),
            }
            for section in sections(found)
        ],
    }


if __name__ == "__main__":
    sys.exit(main())
