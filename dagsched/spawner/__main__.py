"""Start of the spawner: `python -I -S …/spawner STATE_DIR --protocol N`.

Standard input is the first connection (a socket of the daemon that started this), standard error the
spawner's own log. Exit status 75 (EX_TEMPFAIL of sysexits.h): another spawner holds the state directory.
"""

from __future__ import annotations

import fcntl
import importlib
import os
import sys

HELD = 75


def main(state_dir: str, protocol: int) -> int:
    """Hold the lock, serve until there is nothing more to do, and return the exit status."""
    if not __package__:
        # Run by path: this folder is the package `spawner`, and nothing of dagsched is imported.
        sys.path.append(os.path.dirname(os.path.dirname(os.path.abspath(__file__))))
    server = importlib.import_module((__package__ or "spawner") + ".server")
    lock = os.open(f"{state_dir}/spawner-{protocol}.lock", os.O_RDWR | os.O_CREAT, 0o600)
    try:
        fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except OSError:
        return HELD
    first = os.dup(0)
    nothing = os.open(os.devnull, os.O_RDWR)
    os.dup2(nothing, 0)
    os.dup2(nothing, 1)
    server.Server(state_dir, protocol).run(first)
    return 0


if __name__ == "__main__":
    code = main(sys.argv[1], int(sys.argv[2]))
    sys.stderr.flush()
    # Its daemon waits for this end, and taking the interpreter apart would change nothing.
    os._exit(code)
