"""The spawner's exit records become `model.Exit`."""

from __future__ import annotations

import os
import signal
from collections.abc import Mapping
from datetime import UTC, datetime, timedelta
from typing import Any

from dagsched.handlers.outputs import UnreadableOutputs, parse
from dagsched.model import Exit, Outcome

_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)

_STOPPED = {
    "timeout": (Outcome.TIMED_OUT, "ran longer than its timeout"),
    "cancel": (Outcome.CANCELLED, "cancelled"),
    "stop": (Outcome.CANCELLED, "daemon stopped"),
    "lease": (Outcome.LOST, "stopped because its scheduler was not heard of"),
}


def exit_of(record: Mapping[str, Any], seq: int) -> Exit:
    """Return the exit that a record tells of, numbered `seq` for this executor."""
    status = record["status"]
    code = None if status is None else os.waitstatus_to_exitcode(status)
    outcome, reason, outputs = _judge(record, code)
    # In the order of its fields: by name they would take twice as long.
    return Exit(
        record["run"],
        record["attempt"],
        outcome,
        instant(record["ended"]),
        instant(record["started"]) if record["started"] else None,
        seq,
        code if code is not None and code >= 0 else None,
        -code if code is not None and code < 0 else None,
        record["cause"],
        reason,
        outputs,
        record.get("bytes", 0),
        record.get("log", ""),
        record["leftovers"],
        record.get("pid") or None,
    )


def instant(wall_s: float) -> datetime:
    """Return seconds since the epoch as an instant of the model."""
    return _EPOCH + timedelta(0, 0, 0, int(wall_s * 1000))


def _judge(record: Mapping[str, Any], code: int | None) -> tuple[Outcome, str, dict[str, str]]:
    if "error" in record:
        return Outcome.SPAWN_ERROR, record["error"], {}
    if record.get("lost"):
        return Outcome.LOST, "its end was not seen: the process it was forked from was killed", {}
    if record["cause"]:
        return *_STOPPED.get(record["cause"], (Outcome.CANCELLED, f"stopped ({record['cause']})")), {}
    assert code is not None, "an attempt that was started and not stopped has a status"
    if code:
        return Outcome.FAILED, f"exit code {code}" if code > 0 else f"killed by {_signal_name(-code)}", {}
    if record["output_error"]:
        return Outcome.FAILED, record["output_error"], {}
    try:
        return Outcome.SUCCESS, "", parse(record["output"])
    except UnreadableOutputs as error:
        return Outcome.FAILED, str(error), {}


def _signal_name(number: int) -> str:
    try:
        return signal.Signals(number).name
    except ValueError:
        return f"signal {number}"
