"""Commands sorted into what one commit writes and what is done after it."""

from __future__ import annotations

from collections.abc import Iterable
from datetime import datetime

from dagsched.engine.commands import (
    Command,
    RecordEvent,
    SaveAttempt,
    SaveBackfill,
    SaveConfig,
    SaveDefinition,
    SaveEmission,
    SaveMark,
    SaveRun,
    SplitRow,
    StartAttempt,
    StopAttempt,
)
from dagsched.model import Attempt, Backfill, JobMark, Run
from dagsched.stores.contract import Batch


class Outbox:
    """What several events want together: of each row only the last value is written, acts keep their order."""

    def __init__(self) -> None:
        self.batch = Batch()
        self.acts: list[StartAttempt | StopAttempt] = []
        self._runs: dict[tuple[str, datetime], Run] = {}
        self._attempts: dict[tuple[str, datetime, int], Attempt] = {}
        self._marks: dict[str, JobMark] = {}
        self._backfills: dict[int, Backfill] = {}
        self._new: set[tuple[str, datetime, int]] = set()
        self._new_runs: set[tuple[str, datetime]] = set()

    def take(self, commands: Iterable[Command]) -> None:
        """Add what one event wants."""
        for command in commands:
            # Most are events and rows of runs.
            if isinstance(command, RecordEvent):
                self.batch.events.append(command.row)
            elif isinstance(command, SaveRun):
                run = command.run
                key = (run.job, run.tick)
                self._runs[key] = run
                if command.new:
                    self._new_runs.add(key)
            elif isinstance(command, SaveAttempt):
                self._take_attempt(command)
            elif isinstance(command, (StartAttempt, StopAttempt)):
                self.acts.append(command)
            else:
                self._take_rare(command)

    def _take_attempt(self, command: SaveAttempt) -> None:
        attempt = command.attempt
        key = (attempt.job, attempt.tick, attempt.number)
        self._attempts[key] = attempt
        if command.new:
            self._new.add(key)

    def _take_rare(self, command: Command) -> None:
        if isinstance(command, SaveMark):
            self._marks[command.mark.job] = command.mark
        elif isinstance(command, SaveBackfill):
            self._backfills[command.backfill.id] = command.backfill
        elif isinstance(command, SplitRow):
            key = (command.job, command.tick)
            self._runs.pop(key, None)
            # A row that this very commit makes, or has split before, is not there to be split.
            if key not in self._new_runs:
                self.batch.split.append(key)
        elif isinstance(command, SaveDefinition):
            self.batch.definitions[command.digest] = command.definition
        elif isinstance(command, SaveEmission):
            self.batch.emissions.append(command.emission)
        elif isinstance(command, SaveConfig):
            self.batch.config = command.version

    def sealed(self) -> Batch:
        """Return the batch with all rows in it; nothing may be taken after that."""
        self.batch.runs = list(self._runs.values())
        self.batch.marks = list(self._marks.values())
        self.batch.backfills = list(self._backfills.values())
        self.batch.new_attempts = [attempt for key, attempt in self._attempts.items() if key in self._new]
        self.batch.attempts = [attempt for key, attempt in self._attempts.items() if key not in self._new]
        return self.batch
