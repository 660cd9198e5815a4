"""When: schedules become ticks.

A trigger yields instants of UTC, strictly increasing; nothing here reads a clock. `docs/schedules.md` tells
the rules, `cron` and `zones` the theory of wall clocks that jump.
"""

from dagsched.triggers.at import At
from dagsched.triggers.base import Trigger
from dagsched.triggers.cron import Cron
from dagsched.triggers.every import Every
from dagsched.triggers.jitter import jitter
from dagsched.triggers.lint import Remark, lint
from dagsched.triggers.notes import dst_note, local
from dagsched.triggers.schedule import trigger_of

__all__ = ["At", "Cron", "Every", "Remark", "Trigger", "dst_note", "jitter", "lint", "local", "trigger_of"]
