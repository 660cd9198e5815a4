"""What of this process's environment others get: the attempts of jobs, and commands that tell somebody."""

from __future__ import annotations

import re
from collections.abc import Collection, Mapping

# What the service manager told the daemon is not meant for its children (sd_notify(3), sd_listen_fds(3)), and an
# outer attempt's mark would make this daemon's attempts look like that one's. Nor is the store: its URL may hold a
# password, and a job that runs a dagsched of its own does not mean this one's state.
_NOT_PASSED_ON = re.compile(
    r"NOTIFY_SOCKET|WATCHDOG_(PID|USEC)|LISTEN_(PID|FDS|FDNAMES)|DAGSCHED_(MARK|OUTPUT|STORE|NAMESPACE)"
)


def passed_on(environ: Mapping[str, str], hidden: Collection[str] = ()) -> dict[str, str]:
    """Return what is passed on of an environment; `hidden`: variables that are secrets of somebody."""
    return {name: value for name, value in environ.items() if not _NOT_PASSED_ON.fullmatch(name) and name not in hidden}
