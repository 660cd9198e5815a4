"""Work on texts that somebody sent, done in a process of its own: `python -m dagsched.views.aside`.

It reads one JSON document on its standard input, `{"work": …, "state_dir": …, …}`, and prints the answer as another.
Nothing is started and nothing is written. A text that is made to take long or to need much takes no more than
SECONDS_MAX and MEMORY_MAX, and whoever asks for other things meanwhile does not notice.
"""

from __future__ import annotations

import asyncio
import json
import resource
import sys
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from dagsched.config import Problem
from dagsched.errors import ConfigInvalid, DagschedError, Refused, Unknown, UsageError

SECONDS_MAX = 30.0
MEMORY_MAX = 2 << 30
ANSWER_BYTES_MAX = 16 << 20
AT_ONCE = asyncio.Semaphore(1)


async def planned(home: Path, files: Mapping[str, str], days: int) -> Mapping[str, Any]:
    """Return what would change if these texts (path → text) took the place of what is in force in a state.

    Keys: `problems`, rows as of `validate` with their `excerpt`, and `words` and `document`: see `views/planning.py`.
    Raises ConfigInvalid, or Refused when it takes too long or too much.
    """
    return await _asked({"work": "plan", "state_dir": str(home), "files": dict(files), "days": days})


async def simulated(home: Path, files: Mapping[str, str], wish: Mapping[str, Any]) -> Mapping[str, Any]:
    """Return the document of `dagsched simulate` for these texts; `wish`: the fields of `simulating.Wish`.

    Raises ConfigInvalid, Unknown, UsageError, or Refused when it takes too long or too much.
    """
    return await _asked({"work": "simulate", "state_dir": str(home), "files": dict(files), "wish": dict(wish)})


async def _asked(question: Mapping[str, Any]) -> Mapping[str, Any]:
    asked, work = json.dumps(question).encode(), question["work"]
    async with AT_ONCE:
        process = await asyncio.create_subprocess_exec(
            sys.executable, "-m", "dagsched.views.aside",
            stdin=asyncio.subprocess.PIPE, stdout=asyncio.subprocess.PIPE, stderr=asyncio.subprocess.DEVNULL,
        )  # fmt: skip
        try:
            async with asyncio.timeout(SECONDS_MAX):
                told, _ = await process.communicate(asked)
        except TimeoutError:
            raise Refused(f"this takes longer than {SECONDS_MAX:g} s; `dagsched {work}` has no such limit") from None
        finally:
            if process.returncode is None:
                process.kill()
                await process.wait()
    if process.returncode != 0 or len(told) > ANSWER_BYTES_MAX:
        raise Refused(f"this needs more than a server may use; `dagsched {work}` has no such limit")
    found: dict[str, Any] = json.loads(told)
    if "error" in found:
        raise _error_of(found)
    answer: dict[str, Any] = found["answer"]
    return answer


def _error_of(found: Mapping[str, Any]) -> DagschedError:
    if found["error"] == "ConfigInvalid":
        return ConfigInvalid([Problem(**row) for row in found["problems"]])
    if found["error"] == "Unknown":
        return Unknown(*found["parts"])
    return UsageError(found["words"]) if found["error"] == "UsageError" else Refused(found["words"])


# ---------------------------------------------------------------- in the process


def main() -> int:
    """Answer one question; return the exit code."""
    resource.setrlimit(resource.RLIMIT_AS, (MEMORY_MAX, MEMORY_MAX))
    seconds = int(SECONDS_MAX) + 1
    resource.setrlimit(resource.RLIMIT_CPU, (seconds, seconds))
    json.dump(_answered(json.load(sys.stdin)), sys.stdout)
    return 0


def _answered(asked: Mapping[str, Any]) -> dict[str, Any]:
    try:
        return {"answer": asyncio.run(_work(asked))}
    except ConfigInvalid as error:
        return {"error": "ConfigInvalid", "problems": [each._asdict() for each in error.problems]}
    except Unknown as error:
        return {"error": "Unknown", "parts": [error.kind, error.name, list(error.nearest)]}
    except DagschedError as error:
        return {"error": type(error).__name__, "words": str(error)}


async def _work(asked: Mapping[str, Any]) -> Mapping[str, Any]:
    home, files = Path(asked["state_dir"]), asked["files"]
    if asked["work"] == "plan":
        from dagsched.views.planning import plan_of

        return await plan_of(home, files, asked["days"])
    from dagsched.views.simulating import Wish, simulation_of

    return await simulation_of(home, files, Wish(**asked["wish"]))


if __name__ == "__main__":
    sys.exit(main())
