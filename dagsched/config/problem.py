"""What a complaint about a job file carries: where, what, why and how to fix it."""

from __future__ import annotations

from typing import Literal, NamedTuple

Severity = Literal["error", "warning"]


class Problem(NamedTuple):
    """One finding.

    `line`, `column` and `end_column` count characters from 1; `end_column` is the first one after the
    marked part, which never leaves its line. `code` is stable (`docs/problems.md`). `excerpt` is two
    lines, the source line and a caret below the marked part; "" when the file has no such line.
    """

    file: str
    line: int
    column: int
    end_column: int
    code: str
    severity: Severity
    message: str
    why: str = ""
    fix: str = ""
    excerpt: str = ""

    @property
    def is_error(self) -> bool:
        return self.severity == "error"

    @property
    def order(self) -> tuple[str, int, int, str, str]:
        """Sorts problems as a reader meets them: by file, then by place."""
        return (self.file, self.line, self.column, self.code, self.message)
