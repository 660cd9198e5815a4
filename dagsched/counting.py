"""Numbers with their nouns, as everything that speaks to people says them."""

from __future__ import annotations


def counted(number: int, one: str, many: str = "") -> str:
    """Return a number with its noun; `many`: the plural, if an `s` does not make it.

    >>> counted(1, "job"), counted(0, "job"), counted(2000, "retry", "retries")
    ('1 job', '0 jobs', '2,000 retries')
    """
    return f"{number:,} {one if number == 1 else many or one + 's'}"
