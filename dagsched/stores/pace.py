"""Whether a commit is made where the loop runs, or handed to the thread of the connection.

The way to another thread and back takes as long as a small commit itself, and a chain of jobs pays it at every step. So
a small one is made at once, and holds up the loop for half a millisecond, as long as the disk is quick. What may take
longer goes to the thread: many rows, whatever follows a slow commit, and each commit that folds the log into the file.
"""

from __future__ import annotations

ROWS_FEW = 48
SLOW_S = 0.003
# After a slow one that many have to be quick in a row: of a hundred, not one holds up the loop.
QUICK_BEFORE = 150
# What a commit writes, as measured: a page each for the tables and indexes it touches, and one for every few rows.
PAGES_OF_COMMIT, PAGES_OF_ROW = 9, 0.7
# Below the 1000 at which SQLite folds the log by itself, whoever commits.
LOG_PAGES_MAX = 800


class Pace:
    """How quick the last commits were, and how many pages the log has grown by since it was folded."""

    def __init__(self) -> None:
        self._pages = 0.0
        self._left = 0

    def is_quick(self, rows: int) -> bool:
        """Whether a commit of that many rows can be made here."""
        return rows <= ROWS_FEW and not self._left and not self.must_fold(rows)

    def must_fold(self, rows: int) -> bool:
        """Whether a commit of that many rows folds the log into the file."""
        return self._pages + _pages_of(rows) > LOG_PAGES_MAX

    def took(self, rows: int, seconds: float) -> None:
        """Take note of a commit, wherever it was made; those of many rows say nothing of the disk."""
        self._pages = 0.0 if self.must_fold(rows) else self._pages + _pages_of(rows)
        if rows <= ROWS_FEW:
            self._left = max(0, self._left - 1) if seconds < SLOW_S else QUICK_BEFORE


def _pages_of(rows: int) -> float:
    return PAGES_OF_COMMIT + PAGES_OF_ROW * rows
