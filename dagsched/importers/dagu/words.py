"""The names of keys, which were spelled in several ways over the years, and scalars as text."""

from __future__ import annotations

import re
from typing import Any

# Keys that were renamed by more than their spelling, oldest first.
_RENAMED = {
    "precondition": "preconditions", "dir": "working_dir", "run": "call", "tags": "labels", "config": "with",
    "timeout": "timeout_sec", "delay": "delay_sec", "depend": "depends", "exit_codes": "exit_code",
    "max_cleanup_time_sec": "max_clean_up_time_sec", "max_clean_up_time_sec": "max_clean_up_time_sec",
}  # fmt: skip


def canonical(key: str) -> str:
    """Return the name that Dagu uses today: `retryPolicy` and `retry_policy` are one."""
    snake = re.sub(r"(?<=[a-z0-9])([A-Z])", r"_\1", key).lower()
    return _RENAMED.get(snake, snake)


def text_of(value: Any) -> str:
    """Return a scalar as Dagu puts it into an environment."""
    if isinstance(value, bool):
        return str(value).lower()
    return "" if value is None else str(value)
