"""What the program itself has to say, on standard error: lines for people, or JSON for what collects logs."""

from __future__ import annotations

import json
import logging
import sys
from datetime import UTC, datetime

TEXT, JSON = "text", "json"
FORMATS = (TEXT, JSON)
VARIABLE = "DAGSCHED_LOG_FORMAT"

_in_use = TEXT


class JsonLines(logging.Formatter):
    """One JSON object a line: `time` (UTC), `level`, `logger`, `message`, and `exception` where there is one."""

    def format(self, record: logging.LogRecord) -> str:
        """Return the line."""
        said = {
            "time": datetime.fromtimestamp(record.created, UTC).isoformat(timespec="milliseconds")[:-6] + "Z",
            "level": record.levelname.lower(),
            "logger": record.name,
            "message": record.getMessage(),
        }
        if record.exc_info:
            said["exception"] = self.formatException(record.exc_info)
        return json.dumps(said, ensure_ascii=False)


def set_up(form: str) -> None:
    """Send warnings and worse to standard error in this format, `text` or `json`."""
    global _in_use
    _in_use = form
    handler = logging.StreamHandler(sys.stderr)
    text = logging.Formatter("dagsched: %(levelname)s: %(message)s")
    handler.setFormatter(JsonLines() if form == JSON else text)
    logging.basicConfig(level=logging.WARNING, handlers=[handler])


def in_use() -> str:
    """Return the format that was set up, for processes started from this one."""
    return _in_use
