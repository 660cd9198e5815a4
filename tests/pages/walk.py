"""A walk through a page: its files are written and its commands run from top to bottom, in one shell and one folder.

A stage says what a page takes for granted, and what is run instead of what it shows where that cannot be run here. What
a page shows as printed is compared without what differs each time: numbers, lengths of time, days, zones, blanks.
"""

from __future__ import annotations

import os
import re
import shlex
import subprocess
import sys
import time
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path

from tests.pages.blocks import ROOT, Block, blocks_of, commands_of, printed_by
from tests.postgres import server_url

HERE = "/home/you/batch"
"""The folder that pages speak of."""
_MARK = "#@ "
# One that serves HTTP somewhere else, for another daemon may have the usual port; and does not wait long at its end.
_DAGSCHED = """\
#!/bin/sh
[ "$1" = run ] || exec {real} "$@"
shift
case " $* " in *" --once "*) exec {real} run "$@" ;; esac
exec {real} run --bind 127.0.0.1:0 --grace 1s "$@"
"""


@dataclass(frozen=True, slots=True)
class Stage:
    """What a page takes for granted.

    `before` is shell text that sets the scene; `instead` has a command as shown → what is run for it; `checked`
    says whether what the page shows as printed is compared.
    """

    before: str = ""
    instead: Mapping[str, str] = field(default_factory=dict)
    unchecked: str = ""
    server: bool = False


def daemon_in_background(*words: str) -> str:
    """Return shell text that starts a daemon and goes on once it is there."""
    return (
        f"dagsched run {' '.join(words)} > daemon.log 2>&1 &\n"
        'until dagsched status | grep -q "running, process"; do sleep 0.1; done'
    )


class Walk:
    """What a walk printed, command by command. Raises AssertionError with all of it if a command failed."""

    def __init__(self, page: Path, folder: Path, stage: Stage, not_run: Iterable[str]) -> None:
        self.page, self.stage = page, stage
        self._blocks = list(blocks_of(page))
        self._not_run = set(not_run)
        self.folder = folder
        self._said = self._run()

    def differences(self) -> list[str]:
        """Return the lines that the page shows as printed and that were not, with their places."""
        found = []
        said: Iterator[str] = iter(())
        for block in self._blocks:
            for number, command in enumerate(commands_of(block)):
                if (block.place, number) in self._said:
                    said = iter(self._said[block.place, number].splitlines())
                    found += _missing(block, command.shown, said)
            found += _missing(block, printed_by(block), said)
        return found

    def _run(self) -> dict[tuple[str, int], str]:
        script = "\n".join(["exec 2>&1", self.stage.before, *self._steps()])
        try:
            done = self._sh(script)
        finally:
            self._sh("dagsched stop || true")
        parts = re.split(rf"^{_MARK}(\S+) (\d+)\n", done.stdout, flags=re.MULTILINE)[1:]
        said = {(parts[at], int(parts[at + 1])): parts[at + 2] for at in range(0, len(parts), 3)}
        assert done.returncode == 0, f"{self.page.name}: exit code {done.returncode}\n{done.stdout[-6000:]}"
        return said

    def _steps(self) -> Iterator[str]:
        for block in self._blocks:
            if block.is_file:
                text = block.text.replace(HERE, str(self.folder / "batch"))
                yield f"mkdir -p $(dirname {block.name}); cat > {block.name} <<'END OF FILE'\n{text}END OF FILE"
            for number, command in enumerate(commands_of(block)):
                if command.text not in self._not_run:
                    yield f"echo; echo '{_MARK}{block.place} {number}'"
                    yield self.stage.instead.get(command.text, command.text)

    def _sh(self, text: str) -> subprocess.CompletedProcess[str]:
        place = self.folder / "batch"
        place.mkdir(exist_ok=True)
        env = {
            "PATH": os.pathsep.join([str(self._tools()), str(Path(sys.executable).parent), os.environ["PATH"]]),
            "HOME": str(self.folder),
            "LANG": "C.UTF-8",
            "COLUMNS": "140",
            "ROOT": str(ROOT),
            **({"SERVER": server_url()} if self.stage.server else {}),
        }
        # A file, not a pipe: what stays in the background would keep a pipe open.
        output = self.folder / f"output-{time.monotonic_ns()}"
        with output.open("wb") as file:
            words = ["sh", "-eu", "-c", text]
            done = subprocess.run(words, cwd=place, env=env, stdin=subprocess.DEVNULL, stdout=file, timeout=600)
        said = output.read_text().replace(str(place), HERE)
        return subprocess.CompletedProcess(words, done.returncode, said, "")

    def _tools(self) -> Path:
        tools = self.folder / "tools"
        if not tools.exists():
            tools.mkdir()
            program = tools / "dagsched"
            program.write_text(_DAGSCHED.format(real=shlex.quote(str(Path(sys.executable).parent / "dagsched"))))
            program.chmod(0o755)
        return tools


def _missing(block: Block, shown: Iterable[str], said: Iterator[str]) -> list[str]:
    """Return the lines of `shown` that are not in `said`, in their order."""
    found = []
    seen: list[str] = []
    for line in shown:
        if not line.strip(" …") or line.startswith("#"):
            continue
        for other in said:
            seen.append(masked(other))
            if _fits(line, other):
                break
        else:
            found.append("\n    ".join([f"{block.place}: not printed: {masked(line)}", "printed instead:", *seen]))
            break
    return found


def _fits(shown: str, said: str) -> bool:
    pattern = ".*".join(re.escape(masked(part)) for part in shown.split("…"))
    return re.fullmatch(pattern.replace(r"\ .*", r"\ ?.*").replace(r".*\ ", r".*\ ?"), masked(said)) is not None


def masked(line: str) -> str:
    """Return a line without what differs each time."""
    line = re.sub(r"(?:/[\w-]+)+/(?=[\w-]+\.yaml)", "", line)
    line = re.sub(r"\d+(?:\.\d+)?(?:ms|s|m|h|d)\b(?: \d+(?:s|m|h)\b)*", "0t", line)
    line = re.sub(r"\bin 0t\b|\b0t ago\b", "0t", line)
    line = re.sub(r"\b(?:Mon|Tue|Wed|Thu|Fri|Sat|Sun)\b", "Day", line)
    line = re.sub(r"\b(?:CES?T|E[SD]T)\b", "ZONE", line)
    line = re.sub(r"[+-]\d\d:\d\d\b", "+0:0", line)
    return re.sub(r"\s+", " ", re.sub(r"\d+(?:\.\d+)*", "0", line)).strip()
