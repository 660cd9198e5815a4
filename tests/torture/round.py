"""One round in a process of its own: `python -m tests.torture.round SEED SECONDS FOLDER [--code DIR] …`.

Plays and audits it, and leaves `result.json` in the folder. Without that file the harness itself has failed, and its
last words are in what it printed.
"""

from __future__ import annotations

import argparse
import json
import signal
from collections import Counter
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any

from tests.torture.auditor import audit, repeated_work, summary
from tests.torture.driver import PATIENCE_S, Round
from tests.torture.evidence import read_folder
from tests.torture.slants import SLANTS

RESULT = "result.json"
SQLITE, POSTGRESQL = STORES = ("sqlite", "postgresql")


@dataclass(slots=True)
class Result:
    """What a round came to. `violations`: (promise, words); `start_s`, `reload_s`: how long each of them took."""

    seed: int
    line: str = ""
    rows: int = 0
    attempts: int = 0
    events: int = 0
    start_s: list[float] = field(default_factory=list)
    reload_s: list[float] = field(default_factory=list)
    repeated: list[str] = field(default_factory=list)
    violations: list[tuple[str, str]] = field(default_factory=list)

    @property
    def promises(self) -> Counter[str]:
        """How often each promise was broken."""
        return Counter(promise for promise, _ in self.violations)


def play(seed: int, seconds: float, folder: Path, *, store: str = SQLITE, **options: Any) -> Result:
    """Play and audit one round in an empty folder; `options` are those of Round."""
    maker = Round if store == SQLITE else _shared()
    maker(seed, seconds, folder, **options).run()
    evidence = read_folder(folder)
    driver = json.loads((folder / "driver.json").read_text())
    result = Result(
        seed,
        summary(evidence),
        len(evidence.history),
        sum(line.kind == "start" for line in evidence.journal),
        len(evidence.events),
        driver["restart_s"],
        driver["reload_s"],
        repeated_work(evidence),
        [(each.promise, str(each)) for each in audit(evidence)],
    )
    (folder / RESULT).write_text(json.dumps(asdict(result)))
    return result


def _shared() -> type[Round]:
    from tests.torture.shared import SharedRound  # only who asks for it needs a server

    return SharedRound


def read_result(folder: Path) -> Result | None:
    """Return what a round left in its folder, None when it came to no end."""
    path = folder / RESULT
    return Result(**json.loads(path.read_text())) if path.exists() else None


def main() -> None:
    """Play the round that the arguments name."""
    parser = argparse.ArgumentParser(prog="python -m tests.torture.round")
    parser.add_argument("seed", type=int)
    parser.add_argument("seconds", type=float)
    parser.add_argument("folder", type=Path)
    parser.add_argument("--code", type=Path)
    parser.add_argument("--patience", type=float, default=PATIENCE_S)
    parser.add_argument("--favour", action="append", default=[])
    parser.add_argument("--store", choices=STORES, default=SQLITE)
    parser.add_argument("--slant", choices=SLANTS)
    args = parser.parse_args()
    # An interrupted round ends what it has started, whichever way it is interrupted.
    signal.signal(signal.SIGTERM, signal.default_int_handler)
    play(
        args.seed, args.seconds, args.folder,
        store=args.store, code=args.code, patience_s=args.patience, favours=args.favour,
        slant=SLANTS[args.slant] if args.slant else None,
    )  # fmt: skip


if __name__ == "__main__":
    main()
