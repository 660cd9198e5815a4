"""`dagsched show RUN --json` for many runs in one process: one run name a line in, one row a line out.

Run by path, with the state directory as its argument. It goes through the command line's own front door; what it
saves is the start of an interpreter per run.
"""

import contextlib
import io
import json
import sys

from dagsched.cli import main


def show(run: str, state_dir: str) -> str:
    """Return what `show` prints, as one line; raises RuntimeError when it fails."""
    out = io.StringIO()
    with contextlib.redirect_stdout(out):
        code = main(["show", run, "--json", "--state-dir", state_dir])
    if code:
        raise RuntimeError(f"show {run} gave {code}: {out.getvalue()}")
    return json.dumps(json.loads(out.getvalue()))


if __name__ == "__main__":
    for line in sys.stdin:
        print(show(line.strip(), sys.argv[1]))
