"""A second opinion on when timers elapse: systemd's own, where the machine has it."""

from __future__ import annotations

import re
import shutil
import subprocess
from collections.abc import Sequence
from datetime import UTC, datetime, timedelta
from typing import NamedTuple

PROGRAM = "systemd-analyze"
TIMES_MAX = 400
"""Of each expression: a year of one that elapses daily."""
_TIME = re.compile(r"(?:elapse|#\d+): \w+ (\d{4}-\d\d-\d\d \d\d:\d\d:\d\d) UTC")


class Opinion(NamedTuple):
    """`expressions` were asked for, `times` compared; `differ`: one sentence for each that is read in another way."""

    expressions: int
    times: int
    differ: list[str]


def second_opinion(expressions: Sequence[str], after: datetime) -> Opinion | None:
    """Return how systemd reads these expressions, which have their zone, from an aware instant on; None without it."""
    from dagsched.importers.calendarspec import elapses, read_spec

    found, program = list(dict.fromkeys(expressions)), shutil.which(PROGRAM)
    if not found or program is None:
        return None
    times, differ = 0, list[str]()
    for text in found:
        wanted = _asked(program, text, after)
        if wanted is None:
            differ.append(f"{PROGRAM} does not read '{text}'")
            continue
        end = wanted[-1] if wanted else after + timedelta(days=365)
        ours = [fire.tick for fire in elapses([read_spec(text)], "UTC", after, end)]
        times += len(wanted)
        if ours != wanted:
            first = min(set(ours) ^ set(wanted))
            has = PROGRAM if first in wanted else "the importer"
            differ.append(f"'{text}': only {has} has {first:%Y-%m-%dT%H:%M:%SZ}")
    return Opinion(len(found), times, differ)


def _asked(program: str, text: str, after: datetime) -> list[datetime] | None:
    """Return the coming times of an expression as systemd has them; None if it refuses it."""
    base = f"{after.astimezone(UTC):%Y-%m-%d %H:%M:%S} UTC"
    words = [program, "calendar", "--base-time", base, f"--iterations={TIMES_MAX}", text]
    done = subprocess.run(words, capture_output=True, text=True, env={"TZ": "UTC"}, check=False, timeout=60)
    if done.returncode:
        return None
    return [datetime.strptime(each, "%Y-%m-%d %H:%M:%S").replace(tzinfo=UTC) for each in _TIME.findall(done.stdout)]
