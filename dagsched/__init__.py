"""dagsched: you always know what will fire, what fired, and why not.

>>> import dagsched
>>> dagsched.Cron("0 2 * * *", "Europe/Berlin")
Cron('0 2 * * *', 'Europe/Berlin')
"""

from __future__ import annotations

TYPE_CHECKING = False  # to type checkers it is True by its name; importing `typing` takes as long as the rest
if TYPE_CHECKING:
    from dagsched.triggers.cron import Cron

__all__ = ["Cron", "__version__"]
__version__ = "0.1.0"


def __getattr__(name: str) -> object:
    """Load `Cron` when it is first asked for, so that `import dagsched` alone stays quick."""
    if name == "Cron":
        from dagsched.triggers.cron import Cron

        return Cron
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
