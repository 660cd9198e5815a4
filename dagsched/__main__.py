"""`python -m dagsched` and the `dagsched` command."""

from __future__ import annotations

import atexit
import gc
import os
import sys

from dagsched import cli

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import NoReturn

# Of most commands all objects live to the end: looking through them for what could be freed costs a twentieth of
# the time that a person waits. One that holds many sooner than it frees them still gets looked through.
OBJECTS_BEFORE_A_LOOK = 200_000


def main() -> int:
    """Do what this process's command line says and return the exit code."""
    gc.set_threshold(OBJECTS_BEFORE_A_LOOK)
    try:
        return cli.main()
    finally:
        gc.freeze()  # the interpreter, ending, would look through everything once more


def program() -> NoReturn:
    """Do the same and end the process with that code."""
    _end(main())


def _end(code: int) -> NoReturn:
    """End as an interpreter does, but for taking it apart, which takes the longer the more jobs it holds.

    Threads are waited for, what is registered is run, and what was printed is written.
    """
    try:
        if "threading" in sys.modules:
            sys.modules["threading"]._shutdown()
        atexit._run_exitfuncs()
        for stream in (sys.stdout, sys.stderr):
            if stream is not None:
                stream.flush()
    except BaseException:  # a registered function may raise anything; Python's own way tells of it
        sys.exit(code)
    os._exit(code)


if __name__ == "__main__":
    program()
