"""`python -m dagsched` and the `dagsched` command."""

from __future__ import annotations

import sys

from dagsched.cli import main

if __name__ == "__main__":
    sys.exit(main())
