"""Rate limits as job files write them: `10/1m` is at most ten starts in any minute."""

from __future__ import annotations

import re
from datetime import timedelta
from functools import lru_cache

from dagsched.config.lengths import BadLength, parse_length
from dagsched.declaration import RateLimit

STARTS_MAX = 100_000
PER_MAX = timedelta(days=31)
_RATE = re.compile(r"([0-9]{1,9})/(.+)")


class BadRate(ValueError):
    """Text that is no rate limit, or one that nothing could ever be started under."""


@lru_cache(maxsize=1024)
def parse_rate(text: str) -> RateLimit:
    """Return the limit of `10/1m`, `1/90s`, `1000/1d`.

    Raises BadRate when it is none, allows no start, or is more than STARTS_MAX or longer than PER_MAX.
    """
    parts = _RATE.fullmatch(text)
    if parts is None:
        raise BadRate(f"'{text}' is no rate limit")
    try:
        per = parse_length(parts[2])
    except BadLength as error:
        raise BadRate(f"'{text}' is no rate limit: {error}") from None
    starts = int(parts[1])
    if starts == 0:
        raise BadRate(f"'{text}' allows no start at all")
    if per == timedelta(0):
        raise BadRate(f"'{text}' limits nothing: its length is zero")
    if starts > STARTS_MAX:
        raise BadRate(f"'{text}' allows more than {STARTS_MAX:,} starts")
    if per > PER_MAX:
        raise BadRate(f"'{text}' looks further back than {PER_MAX.days}d")
    return RateLimit(starts, per)
