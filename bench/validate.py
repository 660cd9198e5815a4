"""Checking 10,000 jobs, against what PyYAML's C loader alone needs to read the same text.

Measured: `dagsched.config.load` (reading, grammar, schedules, graph, remarks, positions), seconds of the call and
peak memory of the process, imports included. Yardstick: `yaml.load(text, CSafeLoader)`, which checks nothing.
Each sample is a new process; the two take turns.
"""

from __future__ import annotations

import json
import sys
import time
from pathlib import Path

from yard import Report, answer_apart, is_part, memory_mb, options, realistic_jobs, scratch

JOBS = 10_000
MEMORY_MB_GOAL = 200


def main() -> None:
    parser = options(__doc__)
    parser.add_argument("--jobs", type=int, default=JOBS, metavar="N", help=f"size of the file (default: {JOBS})")
    args = parser.parse_args()
    with scratch() as folder:
        path = folder / "jobs.yaml"
        path.write_text(realistic_jobs(args.jobs))
        size_mb = path.stat().st_size / 1e6
        pairs = [
            (answer_apart(__file__, "load", str(path)), answer_apart(__file__, "yaml", str(path)))
            for _ in range(args.runs)
        ]
    ours, theirs = [pair[0] for pair in pairs], [pair[1] for pair in pairs]
    report = Report(f"validate: {args.jobs:,} jobs, {size_mb:.1f} MB, {ours[0]['remarks']:.0f} remarks")
    load = report.add("dagsched.config.load", "s", [each["seconds"] for each in ours])
    read = report.add("yaml.load(text, CSafeLoader)", "s", [each["seconds"] for each in theirs])
    peak = report.add("dagsched.config.load, peak memory", "MB", [each["peak_mb"] for each in ours])
    report.add("yaml.load, peak memory", "MB", [each["peak_mb"] for each in theirs])
    report.ratio("load / yaml.load", load, read, goal=0.5)
    report.limit("peak memory, MB", peak.median, goal=MEMORY_MB_GOAL)
    report.print(as_json=args.json)


def load(path: Path) -> dict[str, float]:
    from datetime import UTC, datetime

    from dagsched import config

    start = time.perf_counter()
    loaded = config.load([path], datetime.now(UTC))
    seconds = time.perf_counter() - start
    assert loaded.config is not None, config.render(loaded.problems, "human")
    return {"seconds": seconds, "peak_mb": memory_mb(peak=True), "remarks": len(loaded.problems)}


def read(path: Path) -> dict[str, float]:
    import yaml

    start = time.perf_counter()
    yaml.load(path.read_bytes(), yaml.CSafeLoader)
    return {"seconds": time.perf_counter() - start, "peak_mb": memory_mb(peak=True)}


if __name__ == "__main__":
    if is_part():
        print(json.dumps({"load": load, "yaml": read}[sys.argv[2]](Path(sys.argv[3]))))
    else:
        main()
