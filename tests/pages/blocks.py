"""The pages, and the fenced blocks on them. The words after a fence decide what becomes of a block:

```yaml            a job file: it must be valid, without warnings but those that the page shows
```yaml NAME       the same, and the file of that name in a walk through the page
```yaml fragment   a part of one, and `yaml dagu` a file of another program: it must parse
```LANGUAGE NAME   the file of that name
```sh              commands
```console         a terminal: commands after `$ `, each with what it printed below; without a command it is what
                   the commands above it printed
```text            shown, never run
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

ROOT = Path(__file__).parents[2]
FRONT = [ROOT / name for name in ("README.md", "CHANGELOG.md", "CONTRIBUTING.md", "SECURITY.md")]
# docs/reference/ is written at each build of the site.
PAGES = [*FRONT, *sorted((ROOT / "docs").glob("*.md"))]
FENCE = re.compile(r"^( *)```([^\n]*)\n(.*?)^\1```$", re.MULTILINE | re.DOTALL)
REMARK = re.compile(r" {2,}# .*$")
# A line of a crontab, as some pages show one.
CRON_LINE = re.compile(r"^(?:[\d*/,-]+ ){5} ?(?=dagsched )")


@dataclass(frozen=True, slots=True)
class Block:
    """A fenced block. `language`, `name`: the words after the fence; a name with a dot is that of a file."""

    page: Path
    line: int
    language: str
    name: str
    text: str

    @property
    def is_file(self) -> bool:
        return "." in self.name

    @property
    def place(self) -> str:
        """Page and line."""
        return f"{self.page.relative_to(ROOT)}:{self.line}"


@dataclass(frozen=True, slots=True)
class Command:
    """A command as a page shows it, without a remark behind it, and the lines that the page says it prints."""

    block: Block
    text: str
    shown: tuple[str, ...] = ()


def blocks_of(page: Path) -> Iterator[Block]:
    text = page.read_text(encoding="utf-8")
    for match in FENCE.finditer(text):
        language, _, name = match[2].strip().partition(" ")
        indent = len(match[1])
        body = "\n".join(line[indent:] for line in match[3].splitlines()) + "\n"
        yield Block(page, text.count("\n", 0, match.start()) + 1, language, name, body)


def commands_of(block: Block) -> list[Command]:
    """Return the commands of a block: all of `sh` is one, a `console` has one after each `$ `."""
    if block.language == "sh" and not block.is_file:
        return [Command(block, block.text.strip())]
    if block.language != "console":
        return []
    found: list[tuple[str, list[str]]] = []
    for line in block.text.splitlines():
        if line.startswith("$ ") or CRON_LINE.match(line):
            found.append((REMARK.sub("", CRON_LINE.sub("", line.removeprefix("$ "))), []))
        elif found and not found[-1][1] and found[-1][0].endswith("\\"):
            found[-1] = (f"{found[-1][0]}\n{line}", [])
        elif found:
            found[-1][1].append(line)
    return [Command(block, text, tuple(shown)) for text, shown in found]


def printed_by(block: Block) -> tuple[str, ...]:
    """Return the lines of a `console` without a command: what was printed by the commands above it."""
    lines = block.text.splitlines()
    return () if block.language != "console" or commands_of(block) else tuple(lines)
