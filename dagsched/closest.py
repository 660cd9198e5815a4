"""Known words that look like one that is not known; what compares them loads when somebody has erred."""

from __future__ import annotations

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Iterable


def get_close_matches(word: str, known: Iterable[str], n: int = 3, cutoff: float = 0.6) -> list[str]:
    """Return up to `n` of the known words, the nearest first; `cutoff`: how alike they must be, from 0 to 1.

    >>> get_close_matches("extrct", ["load", "extract"])
    ['extract']
    """
    import difflib

    return difflib.get_close_matches(word, list(known), n, cutoff)
