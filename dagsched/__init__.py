"""dagsched: you always know what will fire, what fired, and why not.

>>> import dagsched
>>> dagsched.Cron("0 2 * * *", "Europe/Berlin")
Cron('0 2 * * *', 'Europe/Berlin')
"""

from __future__ import annotations

TYPE_CHECKING = False  # to type checkers it is True by its name; importing `typing` takes as long as the rest
if TYPE_CHECKING:
    from dagsched.declaration import Config
    from dagsched.embedding.scheduler import Scheduler
    from dagsched.errors import ConfigInvalid
    from dagsched.loading import load
    from dagsched.triggers.cron import Cron

__all__ = ["Config", "ConfigInvalid", "Cron", "Scheduler", "__version__", "load"]
__version__ = "0.1.0"


_HOMES = {
    "Config": "dagsched.declaration",
    "ConfigInvalid": "dagsched.errors",
    "Cron": "dagsched.triggers.cron",
    "Scheduler": "dagsched.embedding.scheduler",
    "load": "dagsched.loading",
}


def __getattr__(name: str) -> object:
    """Load what is asked for when it is first asked for, so that `import dagsched` alone stays quick."""
    if name not in _HOMES:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    from importlib import import_module

    found: object = getattr(import_module(_HOMES[name]), name)
    globals()[name] = found
    return found
