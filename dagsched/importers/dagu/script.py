"""What a step of Dagu runs → the text of a job: lines of sh around the step's own words, which stay as they are."""

from __future__ import annotations

import re
import shlex
from collections.abc import Iterator
from dataclasses import dataclass, field

_SHELLS = frozenset(["sh", "bash", "dash", "ash", "zsh", "ksh"])
_NAME = re.compile(r"\$(?:\{([A-Za-z_]\w*)[^}]*\}|([A-Za-z_]\w*))")
_BARE_DOLLAR = re.compile(r"\$(?![\w{(@*#?])")
_SPECIAL = re.compile(r"\$[\d{(@*#?]")
_DOTTED = re.compile(r"\$\{[A-Za-z_][\w-]*\.[^}]*\}")


@dataclass
class Script:
    """`lines`: what runs before the body, in order; `body`: the step's own text; `argv` instead of it: no shell.

    `shell`: the one the file asks for, "" for Dagu's default, which is sh with -e. `reader`: the program that reads the
    body as its script, when that is no shell. `output`: the variable that takes the standard output.
    """

    body: str = ""
    argv: list[str] = field(default_factory=list)
    shell: str = ""
    reader: str = ""
    output: str = ""
    lines: list[str] = field(default_factory=list)

    @property
    def is_shell(self) -> bool:
        return not self.shell or is_shell(self.shell)

    def text(self) -> str | list[str]:
        """Return what stands behind `run`."""
        if self.argv and not self.lines and not self.output:
            return self.argv
        body = shlex.join(self.argv) if self.argv else self.body.strip("\n")
        if self.reader:
            mark = free_mark("SCRIPT", body)
            body = f"{self.reader} /dev/stdin <<'{mark}'\n{body}\n{mark}"
        if not self.is_shell:
            return body
        stops = not self.shell and not self.reader and bool(re.search(r"[;\n]", body.strip()))
        if not self.output:
            return "\n".join([*(["set -e"] if stops else []), *self.lines, body])
        return "\n".join([*self.lines, *_captured(self.output, body, stops)])


def _captured(name: str, body: str, stops: bool) -> list[str]:
    if "\n" in body or stops:
        # Inside `$(…) || exit` a shell would forget about -e.
        lines = [f"{name}=$(", *(["set -e"] if stops else []), body, ")", "code=$?", "[ $code -eq 0 ] || exit $code"]
    else:
        lines = [f"{name}=$({body}) || exit"]
    mark = f"END_OF_{name}"
    return [
        *lines,
        f"printf '%s\\n' \"${name}\"",
        f'printf \'{name}<<{mark}\\n%s\\n{mark}\\n\' "${name}" >> "$DAGSCHED_OUTPUT"',
    ]


def is_shell(command: str) -> bool:
    """Whether a command is a Unix shell, with options or without."""
    words = command.split()
    return bool(words) and words[0].rpartition("/")[2] in _SHELLS


def free_mark(wish: str, body: str) -> str:
    lines, mark = set(body.split("\n")), wish
    while mark in lines:
        mark += "_"
    return mark


def names_in(text: str) -> set[str]:
    """Return the variables that a text names as `$X` or `${X…}`."""
    return {match[1] or match[2] for match in _NAME.finditer(text)}


def dotted_in(text: str) -> list[str]:
    """Return references into other steps and into JSON (`${step.stdout}`), which no shell knows."""
    return list(dict.fromkeys(_DOTTED.findall(text)))


def double_quoted(text: str) -> str:
    """Return a text in double quotes, its `$X`, backticks and `$( )` for the shell to fill in."""
    # What is in `$( )` is quoted on its own: a quote there does not end those around it.
    parts = [
        part if is_command else _BARE_DOLLAR.sub(r"\\$", re.sub(r'(["\\])', r"\\\1", part))
        for is_command, part in commands_apart(text)
    ]
    return '"' + "".join(parts) + '"'


def commands_apart(text: str) -> Iterator[tuple[bool, str]]:
    """Yield the parts of a text in order, and whether each is a `$( )` with all that is nested in it."""
    start = 0
    while (opened := text.find("$(", start)) >= 0:
        end = _closing(text, opened + 2)
        if end < 0:
            break
        yield False, text[start:opened]
        yield True, text[opened:end]
        start = end
    yield False, text[start:]


def _closing(text: str, start: int) -> int:
    """Return where the bracket that was opened before `start` ends, -1 if it does not; quoted ones do not count."""
    depth, quote, place = 1, "", start
    while place < len(text):
        sign = text[place]
        if sign == "\\" and quote != "'":
            place += 1
        elif sign in "'\"" and quote in ("", sign):
            quote = "" if quote else sign
        elif sign in "()" and not quote:
            depth += 1 if sign == "(" else -1
            if depth == 0:
                return place + 1
        place += 1
    return -1


def filled(text: str, known: dict[str, str]) -> str | None:
    """Return the text with `$X` and `${X}` replaced by what is known, None if something else has to fill it in."""
    if "`" in text or "$(" in text:
        return None
    missing = False

    def value(match: re.Match[str]) -> str:
        nonlocal missing
        name = match[1] or match[2]
        missing |= name not in known or match[0] not in (f"${name}", f"${{{name}}}")
        return known.get(name, "")

    found = _NAME.sub(value, text)
    # What came out of a value is not filled in again.
    return None if missing or _SPECIAL.search(_NAME.sub("", text)) else found
