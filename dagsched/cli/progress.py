"""What a person sees while runs go by: a live table for `--once`, one line per event otherwise.

Both are observers of the daemon: `on_config` when a configuration comes into force, `on_events` after each
commit, so that nothing is shown that could still be taken back.
"""

from __future__ import annotations

import sys
from collections.abc import Callable, Sequence
from datetime import datetime, timedelta
from functools import lru_cache
from threading import Lock
from types import TracebackType
from typing import TYPE_CHECKING, Protocol, Self

from dagsched.cli.board import Board, Line
from dagsched.cli.output import STATE_STYLES, may_color, print_rows, print_table, printable
from dagsched.cli.times import length_text
from dagsched.model import Config, EventRow, RunState, format_instant
from dagsched.views.rows import event_row

if TYPE_CHECKING:
    from rich.console import Console, RenderableType
    from rich.table import Table


class View(Protocol):
    """An observer of the daemon that shows what it hears; a context, because a screen must be given back."""

    board: Board

    def on_config(self, config: Config) -> None:
        """A configuration is in force."""
        ...

    def on_events(self, events: Sequence[EventRow]) -> None:
        """These events are durable; oldest first."""
        ...

    def __enter__(self) -> Self: ...

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None: ...


class Lines:
    """One line per event, for pipes, logs and the daemon; with `as_json` one JSON object per line.

    `keeps_board`: whether anybody will ask the board; a daemon that runs for months must not remember every run.
    """

    def __init__(self, *, as_json: bool = False, keeps_board: bool = True) -> None:
        self.board = Board()
        self._as_json, self._keeps_board = as_json, keeps_board
        self._has_color = may_color()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        sys.stdout.flush()

    def on_config(self, config: Config) -> None:
        if self._keeps_board:
            self.board.on_config(config)

    def on_events(self, events: Sequence[EventRow]) -> None:
        if self._keeps_board:
            self.board.on_events(events)
        if self._as_json:
            print_rows(event_row(event) for event in events)
        else:
            print("\n".join(line_of(event, color=self._has_color) for event in events))
        # A log that lags behind by a buffer is of no use to somebody who watches it.
        sys.stdout.flush()


def line_of(event: EventRow, *, color: bool = False) -> str:
    """Return an event as a person reads it: `time  job tick  what happened  why`."""
    name = event.job if event.tick is None else f"{event.job} {format_instant(event.tick)}"
    what = _what(event.type, event.to_state, event.attempt)
    if color and event.to_state in STATE_STYLES:
        what = _painted(what, STATE_STYLES[event.to_state])
    parts = [format_instant(event.time), printable(name), what] if name else [format_instant(event.time), what]
    return "  ".join([*parts, printable(event.reason)] if event.reason else parts)


@lru_cache(maxsize=128)
def _what(type: str, to_state: str, attempt: int | None) -> str:
    """Return what happened in few words: the event's own, and the state it led to unless that is the same."""
    word = type.removeprefix("run.").replace(".", " ")
    if attempt and to_state in (RunState.RUNNING, RunState.RETRYING):
        return f"{word} attempt {attempt}"
    return word if to_state in ("", word, _STATES_OF.get(word)) else f"{word}: {to_state}"


_STATES_OF = {"succeeded": "success"}
"""States that an event's own word tells already."""


def _painted(text: str, style: str) -> str:
    from rich.style import Style

    return Style.parse(style).render(text)


class Live:
    """A table that is redrawn in place, for `--once` on a terminal. Times tick on while nothing happens."""

    REDRAWS_PER_S = 8

    def __init__(self, now: Callable[[], datetime], console: Console | None = None) -> None:
        from rich.console import Console as RichConsole
        from rich.live import Live as RichLive

        self.board = Board()
        self._now = now
        self._lock = Lock()
        self._console = console or RichConsole(highlight=False)
        self._live = RichLive(
            get_renderable=self.table,
            console=self._console,
            refresh_per_second=self.REDRAWS_PER_S,
            transient=True,
        )

    def __enter__(self) -> Self:
        self._live.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._live.stop()

    def on_config(self, config: Config) -> None:
        self.board.on_config(config)

    def on_events(self, events: Sequence[EventRow]) -> None:
        # The redrawing thread looks at the board as well.
        with self._lock:
            self.board.on_events(events)

    def table(self) -> RenderableType:
        """Return what the screen shows now."""
        from rich.table import Table

        table = Table.grid(padding=(0, 2))
        with self._lock:
            self._fill(table)
        return table

    def _fill(self, table: Table) -> None:
        from rich.text import Text

        for line in self._most_telling(self._console.height - 2):
            state = Text(str(line.state), style=STATE_STYLES[line.state])
            table.add_row(printable(line.job), state, took(line, self._now()), self._remark(line))
        table.add_row(Text(summary(self.board), style="bold"))

    def _most_telling(self, room: int) -> list[Line]:
        """Return as many runs as fit: those under way and those that went wrong before those that wait."""
        lines = list(self.board)
        if len(lines) <= room:
            return lines
        chosen = sorted(lines, key=_weight)[: max(room, 0)]
        return [line for line in lines if line in chosen]

    def _remark(self, line: Line) -> str:
        if line.state is RunState.WAITING and (upstream := self.board.waits_for(line)):
            return "for " + ", ".join(upstream)
        return printable(line.reason or (f"attempt {line.attempt}" if line.attempt > 1 else ""))


_WEIGHTS = {
    RunState.RUNNING: 0,
    RunState.RETRYING: 0,
    RunState.FAILED: 1,
    RunState.CANCELLED: 1,
    RunState.QUEUED: 2,
    RunState.WAITING: 3,
    RunState.UPSTREAM_FAILED: 4,
}


def _weight(line: Line) -> tuple[int, float]:
    return _WEIGHTS.get(line.state, 5), -line.since.timestamp()


def took(line: Line, now: datetime) -> str:
    """Return how long a run has taken from its first start, "" before that."""
    if line.started is None:
        return ""
    return length_text(max((now if line.is_live else line.since) - line.started, timedelta(0)))


def summary(board: Board) -> str:
    """Return `7 success, 1 running`."""
    return ", ".join(f"{number} {state}" for state, number in board.counts().items()) or "nothing yet"


def print_closing_table(board: Board, now: datetime) -> None:
    """Print how every run of a `--once` ended."""
    print_table(
        ("job", "state", "tries", "took", "reason"),
        [[line.job, str(line.state), str(line.attempt or ""), took(line, now), line.reason] for line in board],
        right=("tries", "took"),
    )
    print(summary(board))
