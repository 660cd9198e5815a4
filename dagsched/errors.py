"""Every exception of dagsched, as one tree.

    DagschedError
    ├── ConfigInvalid           the job files cannot be used; carries every problem          exit 3
    ├── ScheduleError           one schedule cannot be used
    │   ├── InvalidSchedule     its text is wrong: `field`, `offset` and `length` say where
    │   ├── UnknownTimezone     no IANA zone of that name
    │   └── NeverFires          correct, but no date fits (30 February)
    ├── CycleFound              the graph has a cycle; `path` walks it
    ├── UsageError              the command line cannot be understood                        exit 2
    ├── Refused                 a verb that cannot be carried out; nothing was changed       exit 1
    │   └── Unknown             no job or run of that name; carries the nearest             exit 2
    ├── StoreError              the state cannot be used                                     exit 4
    │   ├── StoreMissing        there is no state there yet
    │   ├── StoreHeld           another daemon holds it; `holder` says which
    │   ├── StoreMoved          it is kept there, but goes on elsewhere; `other` says where
    │   ├── StoreCorrupt        not a database, truncated, or flipped bytes
    │   ├── StoreNewer          written by a later dagsched
    │   ├── StoreReadOnly       may not be written
    │   ├── StoreUnavailable    full, busy, I/O error: the same batch may succeed later
    │   ├── FencedOut           another daemon took over; nothing of the batch was written
    │   └── IntegrityBroken     the batch contradicts what is stored; nothing of it was written
    ├── NoDaemon                a verb that only a running daemon can carry out              exit 4
    ├── SpawnerError            the process that starts attempts cannot be used              exit 4
    ├── SecretMissing           a reference to a secret leads to no value that can be used
    ├── NotifierError           a message could not be delivered; says whether another try may help
    └── HandlerError            a handler's `with` cannot be used, or its plug-in fails to load

A message says what, where, why and how to fix it, in that order, in the user's own words. Errors
carry the parts as attributes, so that a program need not read the sentence.
"""

from __future__ import annotations

from dagsched.counting import counted

TYPE_CHECKING = False  # to type checkers it is True by its name; `dagsched --version` imports this and no `typing`
if TYPE_CHECKING:
    from collections.abc import Sequence
    from typing import Any


class DagschedError(Exception):
    """What every error of this package descends from; `exit_code` is the command line's."""

    exit_code = 1


class ConfigInvalid(DagschedError):
    """The job files cannot be used. `problems`: every finding of every file, errors and warnings."""

    exit_code = 3

    def __init__(self, problems: Sequence[Any]) -> None:
        self.problems = tuple(problems)
        super().__init__(f"the configuration is invalid: {counted(len(self.problems), 'problem')}")


class ScheduleError(DagschedError, ValueError):
    """A schedule that cannot be used."""


class InvalidSchedule(ScheduleError):
    """Text that is no schedule.

    `why` and `fix` are sentences without the text itself; `offset` and `length` (characters) mark the
    offending part inside the expression, or are None when it is the whole.
    """

    def __init__(
        self,
        message: str,
        *,
        why: str = "",
        fix: str = "",
        offset: int | None = None,
        length: int | None = None,
    ) -> None:
        self.why, self.fix, self.offset, self.length = why, fix, offset, length
        super().__init__("; ".join(part for part in (message, why, fix) if part))
        self.message = message


class UnknownTimezone(ScheduleError):
    """No IANA time zone has this name. `nearest`: known names that look like it, best first."""

    def __init__(self, name: str, nearest: Sequence[str] = ()) -> None:
        self.name, self.nearest = name, tuple(nearest)
        hint = f"; did you mean {self.nearest[0]!r}?" if self.nearest else ""
        super().__init__(f"unknown time zone {name!r}{hint}")


class NeverFires(ScheduleError):
    """A schedule that is correct and has no tick, such as 30 February."""


class CycleFound(DagschedError):
    """The graph has a cycle. `path`: job ids in order of dependency, the first repeated at the end."""

    exit_code = 3

    def __init__(self, path: Sequence[str]) -> None:
        self.path = tuple(path)
        super().__init__("dependency cycle: " + " -> ".join(self.path))


class UsageError(DagschedError):
    """A command line that cannot be understood; nothing was done."""

    exit_code = 2


class Refused(DagschedError):
    """A verb that cannot be carried out; nothing was changed."""


class Unknown(Refused):
    """No job or run of that name. `nearest`: known names that look like it, best first."""

    exit_code = 2

    def __init__(self, kind: str, name: str, nearest: Sequence[str] = ()) -> None:
        self.kind, self.name, self.nearest = kind, name, tuple(nearest)
        hint = f"; did you mean {self.nearest[0]!r}?" if self.nearest else ""
        super().__init__(f"unknown {kind} {name!r}{hint}")


class StoreError(DagschedError):
    """The state cannot be used as it is."""

    exit_code = 4


class StoreMissing(StoreError):
    """No daemon has made its state there yet; readers and `post` never make it."""


class StoreHeld(StoreError):
    """Another daemon holds the state. `holder`: its own words (process id, host, since when).

    `by_lease`: as long as it keeps renewing that, from wherever it is; else for as long as its process lives.
    """

    def __init__(self, message: str, holder: str = "", by_lease: bool = False) -> None:
        self.holder, self.by_lease = holder, by_lease
        super().__init__(message)


class StoreMoved(StoreError):
    """The state went elsewhere and goes on there; what is left is for reading. `other`: where it is.

    `is_over`: False when the move was interrupted at its very end, so that nobody knows yet which side goes on.
    """

    def __init__(self, place: str, other: str, is_over: bool) -> None:
        self.other, self.is_over = other, is_over
        if is_over:
            words = f"this state moved to {other}; use that one, or move it back with `dagsched db move`"
        else:
            words = (
                f"a move to {other} was interrupted at its end; ask for the same `dagsched db move` again to finish it"
            )
        super().__init__(f"{place}: {words}")


class StoreCorrupt(StoreError):
    """Not a dagsched database, truncated, or damaged. The file is kept as it is."""


class StoreNewer(StoreError):
    """Written by a later version of dagsched."""


class StoreReadOnly(StoreError):
    """The state or its folder may not be written."""


class StoreUnavailable(StoreError):
    """Full disk, foreign lock, I/O error: the same batch may succeed later, nothing of it is written."""


class FencedOut(StoreError):
    """Another daemon took the state over; nothing of the batch was written."""


class IntegrityBroken(StoreError):
    """The batch contradicts what is stored (a second attempt 1, say); nothing of it was written."""


class NoDaemon(DagschedError):
    """No daemon runs on this state, or it ended before it answered, and the next one cannot be left the command."""

    exit_code = 4


class SpawnerError(DagschedError):
    """The process that starts attempts cannot be started or does not answer."""

    exit_code = 4


class SecretMissing(DagschedError):
    """A reference to a secret that leads to no value that can be used; its words name the reference, never a value."""


class NotifierError(DagschedError):
    """A message could not be delivered.

    `is_final`: another try would end the same way. `retry_after_s`: how long the receiver wants to be left alone,
    None when it does not say.
    """

    def __init__(self, message: str, is_final: bool = False, retry_after_s: float | None = None) -> None:
        super().__init__(message)
        self.is_final, self.retry_after_s = is_final, retry_after_s


class HandlerError(DagschedError):
    """A handler's `with` cannot be used, or its plug-in cannot be loaded."""
