"""Who may not see secrets, looked at whenever a configuration comes into force."""

from __future__ import annotations

import logging

from dagsched.executor import Executor
from dagsched.handlers.secrets import exposed_files, hidden_variables
from dagsched.model import Config

log = logging.getLogger("dagsched.daemon")


class Guard:
    """Keeps secrets of the scheduler's environment from all attempts but those of jobs that declare them.

    Those of notifiers are nobody's but the courier's.
    """

    def __init__(self) -> None:
        self._exposed: set[str] = set()

    def use(self, executor: Executor, config: Config) -> None:
        """Hide what the configuration calls a secret, and warn of files of it that everybody may read, each once."""
        executor.hide(hidden_variables(config))
        exposed = set(exposed_files(config))
        for path in sorted(exposed - self._exposed):
            log.warning("everybody on this machine may read the secret in %s: chmod o-r %s", path, path)
        self._exposed = exposed
