"""`python -m tests.simulation SEED [--days N] [--seeds COUNT] [-v]`: live one seed again, or many after it."""

from __future__ import annotations

import argparse
import logging
import sys
import time
import traceback

from tests.simulation.world import World

TAIL = 25


def main() -> int:
    """Return 1 if a seed broke a promise."""
    parser = argparse.ArgumentParser(prog="python -m tests.simulation")
    parser.add_argument("seed", type=int)
    parser.add_argument("--days", type=float, default=5)
    parser.add_argument("--seeds", type=int, default=1, help="how many seeds, from SEED on")
    parser.add_argument("-v", "--verbose", action="store_true", help="print the trace")
    asked = parser.parse_args()
    logging.disable(logging.CRITICAL)
    began, broken = time.monotonic(), 0
    for seed in range(asked.seed, asked.seed + asked.seeds):
        world = World(seed, asked.days, print if asked.verbose else None)
        try:
            world.live()
        except Exception as error:
            broken += 1
            if asked.seeds == 1:
                print(*world.trace[-TAIL:], sep="\n")
                traceback.print_exc()
            print(f"seed {seed}: {type(error).__name__} {error}", flush=True)
    length = time.monotonic() - began
    print(f"{asked.seeds * asked.days:g} days in {length:.1f} s, {broken} of {asked.seeds} seeds broke a promise")
    return 1 if broken else 0


if __name__ == "__main__":
    sys.exit(main())
