"""Collects problems: places given as paths into a document become lines and columns here."""

from __future__ import annotations

from collections.abc import Collection

from dagsched.config.explain import Complaint
from dagsched.config.hints import nearest
from dagsched.config.problem import Problem
from dagsched.config.reader import Document, Path

GUESSED_NAMES_MAX = 200_000


class Guessed:
    """How many names have been looked at to find the nearest one."""

    names = 0


class Report:
    """The problems found so far. The same complaint about the same place counts once."""

    def __init__(self) -> None:
        self._problems: dict[tuple[str, int, int, str, str], Problem] = {}
        self._guessed = Guessed()

    def beside(self) -> Report:
        """Return an empty report that guesses on the same account."""
        other = Report()
        other._guessed = self._guessed
        return other

    def take(self, problem: Problem) -> None:
        self._problems.setdefault(problem.order, problem)

    def guess(self, name: str, known: Collection[str]) -> str | None:
        """Return the nearest known name; None also once many of a large set have been asked for.

        One rename can make ten thousand edges wrong, and each guess looks at every name there is.
        """
        self._guessed.names += len(known)
        return nearest(name, known) if self._guessed.names <= GUESSED_NAMES_MAX else None

    def complain(self, document: Document, complaint: Complaint) -> None:
        """Add a complaint at its place."""
        span = document.span(complaint.path, key=complaint.is_key)
        self._at(document, span, complaint)

    def complain_inside(self, document: Document, complaint: Complaint, offset: int | None, length: int | None) -> None:
        """Add a complaint about a part of the text at its path; about all of it when `offset` is None."""
        if offset is None:
            self.complain(document, complaint)
            return
        value = str(document.value_at(complaint.path))
        index = document.index(complaint.path)
        self._at(document, document.source.inside(index, value, offset, length or 1), complaint)

    def _at(self, document: Document, span: tuple[int, int], said: Complaint) -> None:
        problem = document.source.problem(said.code, span, said.message, said.why, said.fix)
        # The line may hold the secret that was to be referred to.
        self.take(problem._replace(excerpt="") if said.code == "E140" else problem)

    def sorted(self) -> tuple[Problem, ...]:
        """Return all problems by file and place."""
        return tuple(sorted(self._problems.values(), key=lambda problem: problem.order))


def where(document: Document, path: Path) -> str:
    """Return the place of a key as messages name it, `jobs.yaml:3:3`."""
    line, column = document.source.place(document.index(path, key=True))
    return f"{document.source.name}:{line}:{column}"
