"""A daemon that is a guest: it takes over no signal, tells no service manager, and leaves the collector alone."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from datetime import timedelta
from pathlib import Path

from dagsched.clock import Clock
from dagsched.config.files import BUILT_IN_HANDLERS, installed_handlers
from dagsched.daemon import Daemon, Observer
from dagsched.daemon.door import Door
from dagsched.daemon.systemd import Notifier
from dagsched.embedding.hand import Function, InProcess, Key


class GuestDaemon(Daemon):
    """A daemon inside another program. `functions`: what its own handlers do, by name."""

    # The program that starts it waits until it is up.
    stands_by = False

    def __init__(
        self,
        files: Sequence[Path],
        state_dir: Path,
        functions: Mapping[str, Function],
        *,
        observer: Observer,
        grace: timedelta,
        slots: int | None,
        clock: Clock | None,
        doors: Sequence[Callable[[Daemon], Door]],
    ) -> None:
        super().__init__(files, state_dir, observer=observer, grace=grace, slots=slots, clock=clock, doors=doors)
        self._functions = functions
        self._systemd = Notifier({})
        self.executor: InProcess = InProcess(
            self.state_dir, lambda report: self.loop.report(report), functions, self.clock, self._begun_before
        )

    def _hear_signals(self) -> None:
        """Leave signals to the program."""

    def _settle_memory(self) -> None:
        """Leave the program's garbage to the program."""

    async def _begun_before(self) -> frozenset[Key]:
        """Return the attempts under way that were functions of a process that is gone.

        Whether one of them had begun is known to nobody, so all count as begun.
        """
        of_spawner = {"shell", *BUILT_IN_HANDLERS, *installed_handlers()} - set(self._functions)
        found = set()
        for run in self.loop.plan.running():
            attempt = self.loop.plan.book.open_attempts.get(run.key)
            definition = await self.store.definition(attempt.definition) if attempt is not None else None
            if definition is not None and definition.get("handler", "shell") not in of_spawner:
                found.add((run.name, run.attempts))
        return frozenset(found)
