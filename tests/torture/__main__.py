"""`python -m tests.torture --seeds N --seconds S`: rounds of torture, several side by side.

With `--broken NAME` or `--broken all` the program under torture is one with a known defect, and the rounds go on until
it is found by the promise that it breaks.
"""

from __future__ import annotations

import argparse
import os
import signal
import sys
import tempfile
from collections import deque
from pathlib import Path

from tests.torture import broken
from tests.torture.round import SQLITE, STORES
from tests.torture.rounds import Order, Total, play_all, tell
from tests.torture.slants import SLANTS


def main() -> int:
    """Play the rounds, print what was found; return 1 if that is a violation, or a defect that was not found."""
    parser = argparse.ArgumentParser(prog="python -m tests.torture")
    parser.add_argument("--seeds", type=int, default=1, metavar="N", help="how many rounds")
    parser.add_argument(
        "--seconds", type=float, default=30, metavar="S", help="how long each is tortured before its quiet end"
    )
    parser.add_argument(
        "--first-seed", type=int, default=1, metavar="SEED", help="the first round's seed; the others follow it"
    )
    parser.add_argument(
        "--jobs", type=int, default=os.cpu_count() or 1, metavar="J", help="rounds side by side (default: the cores)"
    )
    parser.add_argument("--keep", type=Path, metavar="DIR", help="keep the evidence of every round in folders here")
    parser.add_argument(
        "--store", choices=STORES, default=SQLITE, help="where the state is; postgresql: shared by several schedulers"
    )
    parser.add_argument(
        "--slant", choices=SLANTS, default="", help="rounds made of one thing instead of a bit of everything"
    )
    names = ["all", *(build.name for build in broken.BUILDS)]
    parser.add_argument("--broken", choices=names, metavar="NAME", help=f"torture a broken build: {', '.join(names)}")
    parser.add_argument(
        "--tries", type=int, default=broken.TRIES, metavar="N", help="rounds for each broken build, at most"
    )
    args = parser.parse_args()
    # Ended by whichever signal, the rounds under way are ended, and what they have started.
    signal.signal(signal.SIGTERM, signal.default_int_handler)
    try:
        return _hunt(args) if args.broken else _play(args)
    except KeyboardInterrupt:
        return 130


def _play(args: argparse.Namespace) -> int:
    seeds = range(args.first_seed, args.first_seed + args.seeds)
    made = (Order(seed, args.seconds, store=args.store, slant=args.slant) for seed in seeds)
    orders, total = deque(made), Total()
    if args.keep is not None:
        args.keep.mkdir(parents=True, exist_ok=True)
    try:
        for played in play_all(orders, args.jobs, args.keep):
            total.add(played)
            tell(played, args.keep)
    finally:
        print(total, flush=True)
    return 1 if total.unclean else 0


def _hunt(args: argparse.Namespace) -> int:
    builds = broken.BUILDS if args.broken == "all" else [broken.build_named(args.broken)]
    caught = set()
    with tempfile.TemporaryDirectory(prefix="broken-") as folder:
        for hunt in broken.hunt(builds, Path(folder), first_seed=args.first_seed, tries=args.tries, jobs=args.jobs):
            print(hunt.line(), flush=True)
            if hunt.is_caught:
                caught.add(hunt.build.name)
    escaped = [build.name for build in builds if build.name not in caught]
    print(f"{len(builds)} broken builds, {len(caught)} caught by the promise they break; not: {escaped or 'none'}")
    return 1 if escaped else 0


if __name__ == "__main__":
    sys.exit(main())
