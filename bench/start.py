"""What a person waits for at the prompt, against an interpreter that does nothing.

Measured: `dagsched --version` and `dagsched validate jobs.example.yaml`, whole processes. Yardstick:
`python -c pass` with the same interpreter. They take turns.
"""

from __future__ import annotations

import sys
from pathlib import Path

from yard import Report, options, time_process

ROOT = Path(__file__).parent.parent
RUNS = 15
PROGRAM = str(Path(sys.executable).with_name("dagsched"))
VERSION_GOAL, VALIDATE_GOAL = 3, 8
COMMANDS = {
    "python -c pass": ["-c", "pass"],
    "dagsched --version": [PROGRAM, "--version"],
    "dagsched validate jobs.example.yaml": [PROGRAM, "validate", "jobs.example.yaml"],
}


def main() -> None:
    args = options(__doc__, runs=RUNS).parse_args()
    seconds: dict[str, list[float]] = {label: [] for label in COMMANDS}
    for words in COMMANDS.values():
        time_process([sys.executable, *words], cwd=ROOT)  # compiles what is not yet
    for _ in range(args.runs):
        for label, words in COMMANDS.items():
            seconds[label].append(time_process([sys.executable, *words], cwd=ROOT).wall_s)
    report = Report("start: from the command to the prompt")
    bare, version, validate = (
        report.add(label, "ms", [each * 1000 for each in samples]) for label, samples in seconds.items()
    )
    report.ratio("--version / bare interpreter", version, bare, goal=VERSION_GOAL)
    report.ratio("validate / bare interpreter", validate, bare, goal=VALIDATE_GOAL)
    report.print(as_json=args.json)


if __name__ == "__main__":
    main()
