"""Messages between daemon and spawner: one JSON object per line, in both directions.

This framing never changes, so that a daemon can go on listening to a spawner of another version. Text may
carry surrogate escapes (odd bytes in paths); JSON's `\\udcXX` brings them over unharmed.

daemon → spawner, told apart by `do`:
    hello     version, cwd, env, log_bytes_max, until  must come first
    start     starts: [{run, attempt, argv, env, cwd, user, stdin, timeout_s, grace_s, log, output, fork}]
              expires: the second of CLOCK_BOOTTIME after which they are refused, or null
    renew     until: the second of CLOCK_BOOTTIME at which all is ended, unless it is put off again
    stop      run, attempt, cause, grace_s
    ack       seqs: exits that are durable elsewhere
    settled   everything the inventory said is durable elsewhere
    quit      mourned                                  end as soon as nothing runs; who sent it waits for this process

spawner → daemon, told apart by `is`:
    welcome   version, pid, drain, rebooted            then the inventory in parts:
    living    rows: [[run, attempt, pid]]
    recorded  rows: [[run, attempt]]
    exits     rows: [exit records]                     also whenever attempts end
    remark    text                                     something a person should know
    ready                                              the inventory is complete
    started   rows: [[run, attempt, pid, wall seconds]]
    bye       cgroup                                   it ends now, and nothing of any attempt lives; its cgroup, if who
                                                       waits for its end is to remove that
"""

from __future__ import annotations

import json

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any

ROWS_PER_MESSAGE = 500

_encoder = json.JSONEncoder(separators=(",", ":"), check_circular=False)


def encode(message: dict[str, Any]) -> bytes:
    """Return the message as one line."""
    return _encoder.encode(message).encode("ascii") + b"\n"


def encode_rows(kind: str, rows: list[bytes]) -> bytes:
    """Return a message of rows that are JSON already as one line."""
    return b'{"is":"%s","rows":[%s]}\n' % (kind.encode("ascii"), b",".join(rows))


class Feed:
    """Cuts a stream of bytes into messages."""

    def __init__(self) -> None:
        self._rest = bytearray()

    def take(self, data: bytes) -> list[dict[str, Any]]:
        """Return the messages that `data` completes; raises ValueError on a line that is none."""
        self._rest += data
        if b"\n" not in data:
            return []
        *lines, rest = bytes(self._rest).split(b"\n")
        self._rest = bytearray(rest)
        return [_message(line) for line in lines if line]


def _message(line: bytes) -> dict[str, Any]:
    message = json.loads(line)
    if not isinstance(message, dict):
        raise ValueError("a message is a JSON object")
    return message
