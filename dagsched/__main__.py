"""`python -m dagsched` and the `dagsched` command."""

from __future__ import annotations

import gc
import sys

from dagsched import cli

# Of most commands all objects live to the end: looking through them for what could be freed costs a twentieth of
# the time that a person waits. One that holds many sooner than it frees them still gets looked through.
OBJECTS_BEFORE_A_LOOK = 50_000


def main() -> int:
    """Do what this process's command line says and return the exit code."""
    gc.set_threshold(OBJECTS_BEFORE_A_LOOK)
    try:
        return cli.main()
    finally:
        gc.freeze()  # the interpreter, ending, would look through everything once more


if __name__ == "__main__":
    sys.exit(main())
