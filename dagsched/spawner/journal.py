"""The durable file of starts and exits: what must be known after the spawner itself was killed.

Checksummed lines (`crc32 JSON`), appended without fsync: they need to survive processes, not power. Kinds:

    H  boot, rebooted, cgroup, next    the first line: which boot the rest belongs to, next exit number
    S  run, attempt, at, output        written before the process is made: from here on it counts as started
    P  run, attempt, pid, ticks        its process, and between which clock ticks since boot it was made
    X  seq, run, attempt, …            it has ended, with everything it left behind

A record is dropped only after the daemon has it durably (`ack`, `settled`); the file is then rewritten beside
itself and renamed. A last line without its end is one that a crash cut off, and is left out without a word.
A line whose checksum is wrong is left out and reported.
"""

from __future__ import annotations

import json
import os
import zlib
from json.encoder import encode_basestring_ascii as _quoted

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping
    from typing import Any

    Key = tuple[str, int]

_encoder = json.JSONEncoder(separators=(",", ":"), check_circular=False)
_NOTHING = {"output": "", "output_error": "", "log": "", "bytes": 0}


def body_of(record: dict[str, Any]) -> bytes:
    """Return the record as JSON, which is how the daemon is told of it, too."""
    return _encoder.encode(record).encode("ascii")


# Every attempt has the following three, and a JSON encoder made for each takes four times as long as putting them
# together. The shortest digits that stand for a float take long as well; nobody asks for less than a millisecond.


def name_of(key: Key) -> str:
    """Return the part of a record that says whose it is."""
    return f'"run":{_quoted(key[0])},"attempt":{key[1]:d}'


def start_body(name: str, wall_s: float) -> bytes:
    """Return the record of a start."""
    return f'{{"t":"S",{name},"at":{_seconds(wall_s)}}}'.encode("ascii")


def process_body(name: str, pid: int, ticks: tuple[int, int]) -> bytes:
    """Return the record of a process."""
    return f'{{"t":"P",{name},"pid":{pid},"ticks":[{ticks[0]},{ticks[1]}]}}'.encode("ascii")


def exit_body(
    name: str,
    *,
    seq: int,
    pid: int,
    status: int | None,
    cause: str,
    started: float,
    ended: float,
    leftovers: int,
    parts: Mapping[str, Any],
) -> bytes:
    """Return the record of an exit; `parts` is what only some have."""
    code = "null" if status is None else status
    text = (
        f'{{"t":"X","seq":{seq},{name},"pid":{pid},"status":{code},"cause":{_quoted(cause)},'
        f'"started":{_seconds(started)},"ended":{_seconds(ended)},"leftovers":{leftovers}'
    )
    if not parts:
        return f"{text}}}".encode("ascii")
    said = _NOTHING_SAID if parts == _NOTHING else _encoder.encode(parts)
    return f"{text},{said[1:]}".encode("ascii")


_NOTHING_SAID = _encoder.encode(_NOTHING)


def _seconds(wall_s: float) -> str:
    thousandths = int(wall_s * 1000)
    return f"{thousandths // 1000}.{thousandths % 1000:03d}"


def line_of(body: bytes) -> bytes:
    """Return a record's JSON as a line, with its checksum."""
    return b"%08x %s\n" % (zlib.crc32(body), body)


def decode(line: bytes) -> dict[str, Any]:
    """Return the record of a line without its end; raises ValueError when it is damaged."""
    checksum, _, body = line.partition(b" ")
    if int(checksum, 16) != zlib.crc32(body):
        raise ValueError("the checksum is wrong")
    record = json.loads(body)
    if not isinstance(record, dict):
        raise ValueError("a record is a JSON object")
    return record


class Past:
    """What a journal tells: starts without an exit, exits, and the circumstances."""

    def __init__(self) -> None:
        self.boot = ""
        self.rebooted = False
        self.cgroup = ""
        self.next_seq = 1
        self.open: dict[Key, dict[str, Any]] = {}
        self.processes: dict[Key, dict[str, Any]] = {}
        self.exits: dict[int, dict[str, Any]] = {}
        self.problems: list[str] = []

    def apply(self, record: dict[str, Any]) -> None:
        """Take one record in; raises KeyError or ValueError when it lacks what its kind must have."""
        kind = record["t"]
        if kind == "H":
            self.boot, self.rebooted = str(record["boot"]), bool(record["rebooted"])
            self.cgroup, self.next_seq = str(record["cgroup"]), max(self.next_seq, int(record["next"]))
            return
        key = (str(record["run"]), int(record["attempt"]))
        if kind == "S":
            self.open[key] = record
        elif kind == "P":
            self.processes[key] = record
        elif kind == "X":
            self.exits[int(record["seq"])] = record
            self.next_seq = max(self.next_seq, int(record["seq"]) + 1)
            self.open.pop(key, None)
            self.processes.pop(key, None)


def read(path: str) -> Past:
    """Return what the journal at `path` tells; one that does not exist tells nothing."""
    past = Past()
    try:
        with open(path, "rb") as file:
            lines = file.read().split(b"\n")
    except FileNotFoundError:
        return past
    for number, line in enumerate(lines[:-1], start=1):
        try:
            past.apply(decode(line))
        except (ValueError, KeyError, TypeError) as error:
            past.problems.append(f"{path}:{number}: a damaged record was left out: {error!r}")
    return past


class Journal:
    """The file while a spawner writes it; `bytes_written` is its length."""

    def __init__(self, path: str) -> None:
        self.path = path
        self._fd = -1
        self.bytes_written = 0

    @property
    def is_open(self) -> bool:
        return self._fd >= 0

    def rewrite(self, bodies: Iterable[bytes]) -> None:
        """Replace everything by these records; raises OSError, and the old file then stays as it was."""
        fresh = self.path + ".new"
        fd = os.open(fresh, os.O_WRONLY | os.O_CREAT | os.O_TRUNC | os.O_APPEND, 0o600)
        try:
            size = _write_all(fd, b"".join(map(line_of, bodies)))
            os.replace(fresh, self.path)
        except OSError:
            os.close(fd)
            raise
        self.close()
        self._fd, self.bytes_written = fd, size

    def append(self, bodies: Iterable[bytes]) -> None:
        """Add records, given as `body_of` has them, all or none; raises OSError (a full disk, say)."""
        data = b"".join(map(line_of, bodies))
        try:
            self.bytes_written += _write_all(self._fd, data)
        except OSError:
            # Half a line in the middle of the file would damage the next one as well.
            os.ftruncate(self._fd, self.bytes_written)
            raise

    def close(self) -> None:
        """Release the file."""
        if self._fd >= 0:
            os.close(self._fd)
            self._fd = -1


def _write_all(fd: int, data: bytes) -> int:
    view = memoryview(data)
    while view:
        view = view[os.write(fd, view) :]
    return len(data)
