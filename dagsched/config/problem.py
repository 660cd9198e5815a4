"""What a complaint about a job file carries: where, what, why and how to fix it."""

from __future__ import annotations

from typing import Literal, NamedTuple

Severity = Literal["error", "warning"]


class Problem(NamedTuple):
    """One finding.

    `line`, `column` and `end_column` count characters from 1; `end_column` is the first one after the
    marked part, which never leaves its line. `code` is stable (`docs/problems.md`). `excerpt` is two
    lines, the source line and a caret below the marked part; "" when the file has no such line.

    What is said of jobs that a template or matrix made counts once for all of them: `job` is the first, `jobs` their
    number, `via` the file that declares it, which need not be the one where the mistake stands.
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
    job: str = ""
    jobs: int = 0
    via: str = ""

    @property
    def is_error(self) -> bool:
        return self.severity == "error"

    @property
    def order(self) -> tuple[str, int, int, str, str]:
        """Sorts problems as a reader meets them: by file, then by place."""
        return (self.file, self.line, self.column, self.code, self.message)

    def told(self) -> Problem:
        """Return it with the jobs it is about in its message, unless that names them already."""
        if not self.job or (self.jobs == 1 and f"'{self.job}'" in self.message):
            return self
        more = f" and {self.jobs - 1:,} more" if self.jobs > 1 else ""
        return self._replace(message=f"{self.message} (job '{self.job}'{more})")
