"""Exit records as the daemon reads them."""

from datetime import UTC, datetime, timedelta

import pytest

from dagsched.executor.exits import exit_of, instant
from dagsched.model import Exit, Outcome

RUN = "job:j:2026-11-23T14:00:00Z"
ENDED = datetime(2026, 11, 23, 14, 0, 2, 500_000, tzinfo=UTC)
RECORD = {
    "t": "X", "seq": 9, "run": RUN, "attempt": 3, "pid": 7, "status": 0, "cause": "", "started": 0.0,
    "ended": ENDED.timestamp(), "leftovers": 2, "output": "a=b", "output_error": "", "log": "logs/j/3.log", "bytes": 5,
}  # fmt: skip


@pytest.mark.parametrize(
    ("parts", "made"),
    [
        pytest.param({}, {"outcome": Outcome.SUCCESS, "exit_code": 0, "outputs": {"a": "b"}}, id="success"),
        pytest.param(
            {"output": "", "started": ENDED.timestamp() - 1},
            {"outcome": Outcome.SUCCESS, "exit_code": 0, "outputs": {}, "started": ENDED - timedelta(seconds=1)},
            id="no outputs",
        ),
        pytest.param(
            {"status": 2 << 8}, {"outcome": Outcome.FAILED, "exit_code": 2, "reason": "exit code 2"}, id="exit code"
        ),
        pytest.param(
            {"status": 9}, {"outcome": Outcome.FAILED, "signal": 9, "reason": "killed by SIGKILL"}, id="signal"
        ),
        pytest.param(
            {"status": 15, "cause": "cancel"},
            {"outcome": Outcome.CANCELLED, "signal": 15, "cause": "cancel", "reason": "cancelled"},
            id="cancelled",
        ),
    ],
)
def test_exit_says_what_its_record_says(parts, made):
    always = {"run": RUN, "attempt": 3, "ended": ENDED, "seq": 4, "output_bytes": 5, "log": "logs/j/3.log"}
    expected = Exit(**{**always, "leftovers": 2, "pid": 7, "outputs": {}, **made})
    assert exit_of({**RECORD, **parts}, 4) == expected


def test_exit_of_what_never_had_a_process_lacks_what_only_a_process_has():
    record = {key: value for key, value in RECORD.items() if key not in ("output", "output_error", "log", "bytes")}
    found = exit_of({**record, "pid": 0, "status": None, "leftovers": 0, "error": "no such command"}, 1)
    assert found == Exit(RUN, 3, Outcome.SPAWN_ERROR, ENDED, seq=1, reason="no such command", outputs={})


def test_instant_of_whole_milliseconds_is_that_instant_and_what_is_below_is_cut_off():
    start = datetime(2026, 11, 26, 1, 2, 3, tzinfo=UTC)
    first = int(start.timestamp())
    for number in range(1000):
        meant = start + timedelta(milliseconds=number)
        assert instant(float(f"{first}.{number:03d}")) == meant
        assert instant(float(f"{first}.{number:03d}9")) == meant
