"""`python -m tests.torture --seeds N --seconds S [--seed X] [--keep DIR]`: rounds of torture, one after another."""

from __future__ import annotations

import argparse
import json
import shutil
import signal
import sys
import tempfile
from pathlib import Path

from tests.torture.auditor import Violation, audit, repeated_work, summary
from tests.torture.driver import Round
from tests.torture.evidence import read_folder


def main() -> int:
    """Play the rounds, print what was found, and return 1 if that is a violation."""
    parser = argparse.ArgumentParser(prog="python -m tests.torture")
    parser.add_argument("--seeds", type=int, default=1, help="how many rounds")
    parser.add_argument("--seconds", type=float, default=60, help="how long each is tortured before its quiet end")
    parser.add_argument("--seed", type=int, default=1, help="the first round's seed; the others follow it")
    parser.add_argument("--keep", type=Path, help="keep the evidence of every round in folders here")
    args = parser.parse_args()
    # An interrupted round ends what it has started, whichever way it is interrupted.
    signal.signal(signal.SIGTERM, signal.default_int_handler)
    broken = 0
    for seed in range(args.seed, args.seed + args.seeds):
        broken += bool(play(seed, args.seconds, args.keep))
    print(f"{args.seeds} rounds, {broken} with violations")
    return 1 if broken else 0


def play(seed: int, seconds: float, keep: Path | None = None, *, kills_spawner: bool | None = None) -> list[Violation]:
    """Play and audit one round; its folder is kept when asked for, and whenever a promise was broken."""
    folder = Path(tempfile.mkdtemp(prefix=f"torture-{seed}-", dir=keep))
    Round(seed, seconds, folder, kills_spawner=kills_spawner).run()
    evidence = read_folder(folder)
    violations = audit(evidence)
    driver = json.loads((folder / "driver.json").read_text())
    starts, reloads = driver["restart_s"], driver["reload_s"]
    times = f"{len(starts)} starts (longest {max(starts, default=0):.2f} s)"
    times += f", {len(reloads)} edits timed (longest {max(reloads, default=0):.2f} s)"
    print(f"{summary(evidence)}, {times}", flush=True)
    for each in repeated_work(evidence):
        print(f"  repeated after success: {each}")
    for violation in violations:
        print(f"  {violation}")
    if violations:
        print(f"  evidence: {folder}", flush=True)
    elif keep is None:
        shutil.rmtree(folder)
    return violations


if __name__ == "__main__":
    sys.exit(main())
