"""A delay that belongs to a job: the same on every machine, after every restart."""

from __future__ import annotations

from datetime import timedelta

from dagsched.digests import sha256

MILLISECOND = timedelta(milliseconds=1)


def jitter(job_id: str, length: timedelta) -> timedelta:
    """Return the job's share of `length`: a whole number of milliseconds in [0, length).

    It is SHA-256 of the id scaled to the length, so ids spread evenly and nobody has to remember anything.
    Negative lengths raise ValueError.

    >>> jitter("nightly", timedelta(minutes=10)) == jitter("nightly", timedelta(minutes=10))
    True
    >>> jitter("nightly", timedelta(0))
    datetime.timedelta(0)
    """
    if length < timedelta(0):
        raise ValueError(f"jitter length {length} is negative")
    share = int.from_bytes(sha256(job_id.encode()).digest()[:8], "big")
    return timedelta(milliseconds=share * (length // MILLISECOND) >> 64)
