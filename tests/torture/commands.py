"""The commands that are given in a round, at random."""

from __future__ import annotations

import random
from collections.abc import Sequence
from datetime import UTC, datetime, timedelta

from tests.torture.world import EVENTS

VERBS = (
    "trigger", "trigger", "pause", "resume", "cancel", "cancel", "rerun", "rerun", "ack", "emit", "emit", "backfill",
)  # fmt: skip
FAVOUR = 8


def words_of_a_command(
    dice: random.Random, jobs: Sequence[str], runs: Sequence[str], favours: Sequence[str]
) -> list[str]:
    """Return the words of a command on one of these jobs or runs; none when there is nothing that it could be on."""
    verb = dice.choice((*VERBS, *FAVOUR * [each for each in favours if each in VERBS]))
    if verb == "emit":
        return _emission(dice, favours)
    on = jobs if verb in ("trigger", "pause", "resume", "backfill") else runs
    if not on:
        return []
    words = [verb, dice.choice(on)]
    if verb == "trigger":
        return words + dice.choice(([], [], ["--with-upstream"], ["--only"]))
    if verb == "rerun":
        return words + dice.choice(([], ["--downstream"]))
    if verb == "backfill":
        return [verb, "--cancel", str(dice.randint(1, 4))] if dice.random() < 0.2 else words + _stretch(dice)
    return words


def _emission(dice: random.Random, favours: Sequence[str]) -> list[str]:
    """Return an emission; of the few ids some are said again, also to the next daemon."""
    names, ids = (EVENTS[:1], 1) if "emit" in favours else (EVENTS, 3)
    more = dice.choice(([], ["--data", "n=1"], *2 * [["--id", f"id-{dice.randint(1, ids)}"]]))
    return ["emit", dice.choice(names), *more]


def _stretch(dice: random.Random) -> list[str]:
    """Return the rest of a backfill: of few ticks, for a round has to come to its end."""
    now = datetime.now(UTC)
    first, last = now - timedelta(seconds=dice.randint(4, 40)), now
    if dice.random() < 0.7:
        last = min(now, first + timedelta(seconds=8))
    words = ["--from", _instant(first), "--to", _instant(last), "--yes", "--no-wait"]
    words += ["--max-active", str(dice.randint(1, 3)), "--order", dice.choice(("oldest", "newest"))]
    words += dice.choice(([], ["--rerun-failed"], ["--rerun-all"]))
    return words + dice.choice(([], ["--downstream"]))


def _instant(moment: datetime) -> str:
    return moment.isoformat(timespec="milliseconds").replace("+00:00", "Z")
