"""Secrets become `***` in what an attempt leaves: its log, its outputs, the reason why it could not start.

A value is looked for as it is, line by line, and in the forms in which programs like to print it: inside JSON, in a
URL, in base64. Lines of fewer than MASKED_MIN characters are left alone: they would be found everywhere.

The attempt writes to a file that never gets a name, so nothing it has printed is anywhere on disk under a name before
it was looked through; if this process is killed that file is gone. What is looked through goes on to the attempt's log,
while it runs, which is what `logs -f` shows. Of output far beyond the log's cap the middle is skipped unread.
"""

from __future__ import annotations

import fcntl
import os

from . import logs, processes

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Iterable
    from typing import Any

MASKED_MIN = 4
STARS = b"***"
CHUNK_BYTES = 1 << 20


class Mask:
    """What to look for, longest first."""

    def __init__(self, values: Iterable[str]) -> None:
        found = {form.encode("utf-8", "surrogateescape") for value in values for form in _forms(value)}
        self._patterns = sorted(found, key=lambda each: (-len(each), each))
        self.longest = max(map(len, self._patterns), default=0)

    def data(self, data: bytes) -> bytes:
        """Return the bytes with every secret masked."""
        for pattern in self._patterns:
            data = data.replace(pattern, STARS)
        return data

    def text(self, text: str) -> str:
        """Return the text with every secret masked."""
        return self.data(text.encode("utf-8", "surrogateescape")).decode("utf-8", "surrogateescape")

    def settled(self, data: bytes) -> int:
        """Return how much of `data`, which goes on later, can be masked now: up to what may be half a secret."""
        held = min((self._tail_of(data, pattern) for pattern in self._patterns), default=len(data))
        while True:
            # A secret that lies across that place is there whole, and goes first.
            ends = [end for pattern in self._patterns if (end := _end_across(data, pattern, held)) > held]
            if not ends:
                return held
            held = max(ends)

    def _tail_of(self, data: bytes, pattern: bytes) -> int:
        """Return where the longest end of `data` begins that is the beginning of `pattern`, its length if none is."""
        at = max(0, len(data) - len(pattern) + 1)
        while (at := data.find(pattern[:1], at)) >= 0:
            if pattern.startswith(data[at:]):
                return at
            at += 1
        return len(data)


def _end_across(data: bytes, pattern: bytes, place: int) -> int:
    """Return the end of an occurrence of `pattern` that begins before `place` and ends behind it, 0 without one."""
    found = data.find(pattern, max(0, place - len(pattern) + 1), place + len(pattern) - 1)
    return found + len(pattern) if 0 <= found < place else 0


def _forms(value: str) -> Iterable[str]:
    import base64
    import json
    from urllib.parse import quote, quote_plus

    for part in {value, *value.splitlines()}:
        if len(part) < MASKED_MIN:
            continue
        yield part
        yield json.dumps(part)[1:-1]
        yield json.dumps(part, ensure_ascii=False)[1:-1]
        raw = part.encode("utf-8", "surrogateescape")
        yield quote(raw, safe="")
        yield quote_plus(raw)
        # Whole groups only: what follows them hangs on what was encoded together with the value.
        grouped = base64.b64encode(raw[: len(raw) // 3 * 3]).decode()
        if len(grouped) >= 2 * MASKED_MIN:
            yield grouped


def mask_of(order: dict[str, Any]) -> Mask | None:
    """Return the mask of an order's secrets, None when it has none."""
    names = order.get("secrets")
    return Mask([order["env"][name] for name in names]) if names else None


class MaskedLog(logs.Log):
    """An attempt's output that reaches its log masked. `fd`, what the attempt writes to, is a file without a name."""

    __slots__ = ("_copied", "_inner", "_mask", "_rest")

    def __init__(self, state_fd: int, path: str, limit: int, spare: list[int], mask: Mask) -> None:
        """Open both files; raises OSError."""
        self._inner = logs.Log(state_fd, path, limit, spare)
        try:
            self.fd = _nameless(state_fd)
        except OSError:
            self._inner.finish()
            raise
        self.path, self.limit, self._mask = path, limit, mask
        self._copied, self._rest = 0, b""

    @property
    def size(self) -> int:  # type: ignore[override]
        """Return how much stands in the log."""
        return self._inner.size

    def watch(self) -> int:
        """Pass on what was written since the last look; return how much that was."""
        grown = self._pass_on()
        self._inner.watch()
        return grown

    def finish(self) -> tuple[str, int]:
        """Pass the rest on and close both files; return the log's path ("" when nothing was written) and size."""
        try:
            self._pass_on()
            # Cut off in the middle of what may be a secret: a few letters say nothing, more do.
            self._write(self._rest if len(self._rest) < MASKED_MIN else STARS)
            self._rest = b""
        finally:
            os.close(self.fd)
        return self._inner.finish()

    def _pass_on(self) -> int:
        size = os.fstat(self.fd).st_size
        grown = size - self._copied
        if grown > 4 * self.limit:
            self._copy(self._copied + self.limit)
            self._skip(size - 2 * self.limit)
        self._copy(size)
        if grown and self._copied > CHUNK_BYTES:
            logs.punch(self.fd, 0, self._copied)
        return grown

    def _copy(self, until: int) -> None:
        while self._copied < until:
            data = os.pread(self.fd, min(CHUNK_BYTES, until - self._copied), self._copied)
            if not data:
                return  # the attempt has cut its own output
            self._copied += len(data)
            data = self._rest + data
            whole = self._mask.settled(data)
            self._rest = data[whole:]
            self._write(self._mask.data(data[:whole]))
            self._inner.watch()

    def _skip(self, to: int) -> None:
        """Leave out what the log would not keep, up to the next line: no secret reaches across one."""
        self._inner.leave_out(len(self._rest))  # it may be half a secret, the other half of which is skipped
        self._rest = b""
        ahead = os.pread(self.fd, max(CHUNK_BYTES, 2 * self._mask.longest), to)
        line = ahead.find(b"\n")
        to += line + 1 if line >= 0 else self._mask.longest
        self._inner.leave_out(to - self._copied)
        self._copied = to

    def _write(self, data: bytes) -> None:
        view = memoryview(data)
        while view:
            view = view[os.write(self._inner.fd, view) :]


def _nameless(state_fd: int) -> int:
    """Return a file that is in no folder."""
    try:
        return logs.open_unnamed(state_fd)
    except (OSError, AttributeError):
        import tempfile

        fd, name = tempfile.mkstemp(dir=f"/proc/self/fd/{state_fd}" if processes.HAS_PROC else None)
        os.unlink(name)
        fcntl.fcntl(fd, fcntl.F_SETFL, fcntl.fcntl(fd, fcntl.F_GETFL) | os.O_APPEND)
        return fd
