"""`dagsched logs RUN`: what an attempt wrote, byte for byte; `-f` goes on until the run has ended.

Without `--attempt` it is the newest one, and following goes on with the next attempt of a run that is tried
again. A log gets its name when the first byte is written, so one that is not there yet is an empty one.
"""

from __future__ import annotations

import argparse
import asyncio
import codecs
import sys
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, cast

from dagsched.cli.far import looking, url_of
from dagsched.cli.hearing import Wait, hearing
from dagsched.cli.output import note, print_rows
from dagsched.cli.parser import Parser, add_file, add_json, add_state_dir, add_url, count
from dagsched.cli.places import state_dir
from dagsched.cli.reading import FOLLOW_S
from dagsched.errors import Unknown
from dagsched.handlers.launch import log_of
from dagsched.model import Attempt, Run, RunState
from dagsched.stores.contract import Store
from dagsched.views.names import find_run

if TYPE_CHECKING:
    from dagsched.api.elsewhere import Elsewhere

CHUNK_BYTES = 1 << 16
WRITTEN_S = 1.0
STARTED = (RunState.RUNNING, RunState.RETRYING, RunState.SUCCESS, RunState.FAILED)


def arguments(parser: Parser) -> None:
    parser.add_argument("run_name", metavar="RUN", help="a run's name, or a job for its newest started run")
    parser.add_argument("--attempt", metavar="N", type=count, help="which attempt (default: the newest)")
    parser.add_argument("-f", "--follow", action="store_true", help="go on until the run has ended")
    add_json(parser, "one JSON object per line of output")
    add_file(parser)
    add_state_dir(parser)
    add_url(parser)


@dataclass(frozen=True, slots=True)
class Piece:
    """A part of an attempt's output."""

    attempt: int
    data: bytes


def run(args: argparse.Namespace) -> int:
    asyncio.run(_print_logs(args))
    return 0


async def _print_logs(args: argparse.Namespace) -> None:
    home = state_dir(args) if url_of(args) is None else None
    async with looking(args) as store:
        found = await find_run(store, args.run_name, prefer=STARTED)
        out = _JsonLines(found.name) if args.json else _Raw()
        nothing = True
        async with _waiting(args, store, found) as wait:
            async for piece in pieces(store, home, found, args.attempt, follow=args.follow, wait=wait):
                nothing = False
                out.write(piece)
        out.close()
        if nothing:
            note(await why_nothing(store, found, args.attempt))


async def why_nothing(store: Store, found: Run, number: int | None = None) -> str:
    """Return in words why there is nothing to print of an attempt."""
    attempt = _chosen(await store.attempts(found.job, found.tick), found, number)
    if attempt is not None and attempt.place and attempt.output_bytes:
        return f"what {found.name} has written is on {attempt.place}"
    return f"{found.name} has written nothing"


@asynccontextmanager
async def _waiting(args: argparse.Namespace, store: Store, found: Run) -> AsyncIterator[Wait]:
    """Give a wait that ends early when a daemon elsewhere says that something has become of the job."""
    if not args.follow or url_of(args) is None:
        yield asyncio.sleep
        return
    # What is written makes no event: it is fetched once a second, and at once when the run is over.
    async with hearing(partial(cast("Elsewhere", store).news, found.job), WRITTEN_S) as wait:
        yield wait


async def pieces(
    store: Store,
    home: Path | None,
    found: Run,
    number: int | None = None,
    *,
    follow: bool = False,
    wait: Wait = asyncio.sleep,
) -> AsyncIterator[Piece]:
    """Yield the output of one attempt (default: the newest); raises Unknown if there is no such attempt.

    `home`: the state directory, None for a daemon elsewhere. With `follow`: as it is written, until the attempt, or
    without a number the run, has ended.
    """
    read: dict[int, int] = {}
    while True:
        # Asked before reading: what was written before the end is then always read.
        row = await store.run(found.job, found.tick)
        attempt = _chosen(await store.attempts(found.job, found.tick), found, number)
        if attempt is not None:
            async for data in _new_data(store, home, attempt, read):
                yield Piece(attempt.number, data)
        is_over = row is None or row.state.is_terminal or (number is not None and _has_ended(attempt))
        if not follow or is_over:
            return
        await wait(FOLLOW_S)


def _has_ended(attempt: Attempt | None) -> bool:
    return attempt is not None and attempt.ended is not None


def _chosen(attempts: Sequence[Attempt], found: Run, number: int | None) -> Attempt | None:
    by_number = {attempt.number: attempt for attempt in attempts}
    if number is None:
        return by_number[max(by_number)] if by_number else None
    if number not in by_number:
        raise Unknown(f"attempt of {found.name}:", str(number), [str(known) for known in sorted(by_number)])
    return by_number[number]


async def _new_data(
    store: Store, home: Path | None, attempt: Attempt, read: dict[int, int]
) -> AsyncIterator[bytes]:
    """Yield what was written since the last look and remember how far that was."""
    if home is None:
        async for data in cast("Elsewhere", store).log(attempt, read.get(attempt.number, 0)):
            read[attempt.number] = read.get(attempt.number, 0) + len(data)
            yield data
        return
    if not (log := log_of(attempt)):
        return
    try:
        file = (home / log).open("rb")
    except FileNotFoundError:
        # A worker's output is not here but in the state.
        while data := await store.output(attempt, read.get(attempt.number, 0), CHUNK_BYTES):
            read[attempt.number] = read.get(attempt.number, 0) + len(data)
            yield data
        return
    with file:
        # A capped log is shortened at its end; what remains of it has been seen, but for the last part.
        file.seek(min(read.get(attempt.number, 0), file.seek(0, 2)))
        while data := file.read(CHUNK_BYTES):
            yield data
        read[attempt.number] = file.tell()


class _Raw:
    """Writes the bytes as they are, as `cat` would."""

    def write(self, piece: Piece) -> None:
        sys.stdout.flush()
        sys.stdout.buffer.write(piece.data)
        sys.stdout.buffer.flush()

    def close(self) -> None:
        """Nothing is kept back."""


class _JsonLines:
    """Writes one JSON object per line of output; bytes that are no UTF-8 become the replacement character."""

    def __init__(self, run_name: str) -> None:
        self._run = run_name
        self._attempt = 0
        self._rest = ""
        self._decoder = codecs.getincrementaldecoder("utf-8")("replace")

    def write(self, piece: Piece) -> None:
        if piece.attempt != self._attempt:
            self.close()
            self._attempt = piece.attempt
        *lines, self._rest = (self._rest + self._decoder.decode(piece.data)).split("\n")
        self._print(lines)

    def close(self) -> None:
        """Write a last line that had no end."""
        rest = self._rest + self._decoder.decode(b"", final=True)
        self._rest = ""
        self._decoder.reset()
        if rest:
            self._print([rest])

    def _print(self, lines: list[str]) -> None:
        print_rows({"run": self._run, "attempt": self._attempt, "line": line} for line in lines)
        sys.stdout.flush()
