"""Collects problems: places given as paths into a document become lines and columns here."""

from __future__ import annotations

from collections.abc import Collection

from dagsched.config.explain import Complaint
from dagsched.config.hints import nearest
from dagsched.config.problem import Problem
from dagsched.config.reader import Document, Path

GUESSED_NAMES_MAX = 200_000
KINDS_MAX = 5


class Guessed:
    """How many names have been looked at to find the nearest one."""

    names = 0


class Report:
    """The problems found so far. The same complaint about the same place counts once, of however many jobs.

    Of jobs that a template or matrix made, at most KINDS_MAX complaints with one code stand at one place; what would be
    further ones adds to the count of the last.
    """

    def __init__(self) -> None:
        self._problems: dict[tuple[str, int, int, str, str], Problem] = {}
        self._kinds: dict[tuple[str, int, int, str], list[tuple[str, int, int, str, str]]] = {}
        self._guessed = Guessed()

    def beside(self) -> Report:
        """Return an empty report that guesses on the same account."""
        other = Report()
        other._guessed = self._guessed
        return other

    def take(self, problem: Problem) -> None:
        if not problem.job:
            self._problems.setdefault(problem.order, problem)
            return
        key = self._kind_of(problem)
        known = self._problems.get(key)
        if known is None:
            self._problems[key] = problem
        elif known.job and problem.job != known.job:
            self._problems[key] = known._replace(jobs=known.jobs + problem.jobs)

    def _kind_of(self, problem: Problem) -> tuple[str, int, int, str, str]:
        """Return the key of the complaint that this one is, whatever the job."""
        place = problem.order[:4]
        kinds = self._kinds.setdefault(place, [])
        key = (*place, problem.message.replace(f"'{problem.job}'", "''"))
        if key not in kinds:
            if len(kinds) == KINDS_MAX:
                return kinds[-1]
            kinds.append(key)
        return key

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
        if document.members:
            job = str(said.path[1]) if said.path[:1] == ("jobs",) and len(said.path) > 1 else ""
            is_made = job in document.members
            problem = problem._replace(job=job * is_made, jobs=int(is_made), via=document.source.name)
        # The line may hold the secret that was to be referred to.
        self.take(problem._replace(excerpt="") if said.code == "E140" else problem)

    def sorted(self) -> tuple[Problem, ...]:
        """Return all problems by file and place."""
        return tuple(sorted(self._problems.values(), key=lambda problem: problem.order))


def where(document: Document, path: Path) -> str:
    """Return the place of a key as messages name it, `jobs.yaml:3:3`."""
    return document.source.at(document.index(path, key=True))
