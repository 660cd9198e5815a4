"""What a command line of a crontab says besides the work: a lock, a delay, a limit, a folder → keys of the job.

Only what is certain is taken apart. A command with more shell in it than a plain program stays as it is.
"""

from __future__ import annotations

import re
import shlex
from dataclasses import dataclass, field
from typing import Any

from dagsched.importers.names import name_of

_RANDOM_SLEEP = re.compile(
    r"""(?:sleep\s+(?:\$\(\(\s*\$?RANDOM\s*%\s*(?P<n>\d{1,6})\s*\)\)|\$\[\s*\$?RANDOM\s*%\s*(?P<b>\d{1,6})\s*\]|(?P<all>\$\{?RANDOM\}?)|"""
    r"""`(?:/usr/bin/)?shuf\s+-i\s+0-(?P<s>\d{1,6})\s+-n\s*1`|\$\((?:/usr/bin/)?shuf\s+-i\s+0-(?P<t>\d{1,6})\s+-n\s*1\))"""
    r"""|perl\s+-e\s+'sleep\s+int\(rand\((?P<p>\d{1,6})\)\)')\s*(?:;|&&)\s*"""
)
_TIMEOUT = re.compile(r"(?:/usr/bin/)?timeout\s+(\d{1,7})([smhd]?)\s+(?=[\w./~])")
_CD = re.compile(r"cd\s+(/[\w./@%+=:-]*)\s*&&\s*")
_FLOCK = re.compile(
    r"(?:/usr/bin/)?flock\s+((?:(?:-n|--nonblock|--nb|-x|-xn|-nx|-e|--exclusive)\s+)+)([\w./-]+)\s+(-c\s+)?"
)
_DETACHES = re.compile(
    r"(?:^|[\s/;(])(?:nohup|setsid|disown|daemonize|start-stop-daemon)\s|screen\s+(?:-\w+\s+)*-\w*d|tmux\s+new\S*\s(?:.*\s)?-\w*d"
)
_SHELL = re.compile(r"[;&|`\n()]|<<")


@dataclass
class Command:
    """`run`: what is left of the text; `keys` of the job that were found in it; `notes`: (verdict, reason)."""

    run: str
    name: str = "job"
    keys: dict[str, Any] = field(default_factory=dict)
    notes: list[tuple[str, str]] = field(default_factory=list)


def with_input(text: str) -> tuple[str, str | None]:
    r"""Return the command and its standard input: the first bare % begins it, the others end its lines; `\%` is a %.

    >>> with_input(r"date +\\%F%one%two")
    ('date +%F', 'one\ntwo\n')
    """
    parts = [part.replace(r"\%", "%") for part in re.split(r"(?<!\\)%", text)]
    return parts[0].strip(), "\n".join(parts[1:]) + "\n" if len(parts) > 1 else None


def read_command(text: str, has_input: bool, locks: dict[str, int]) -> Command:
    """Return what a command means; `locks`: how many lines of the crontab use each lock file."""
    found = Command(text)
    if not has_input:
        _take_sleep(found)
        _take_cd(found)
        _take_lock(found, locks)
        _take_timeout(found)
        _suggest(found)
    if _leaves_something(found.run):
        why = "what it leaves running when it ends is stopped: keep it in the foreground, or let systemd start it"
        found.notes.append(("differs", why))
    found.name = name_of(found.run)
    return found


def _take_sleep(found: Command) -> None:
    match = _RANDOM_SLEEP.match(found.run)
    if match is None:
        return
    numbers = [match[group] for group in ("n", "b", "s", "t", "p") if match[group]]
    length = int(numbers[0]) if numbers else 32_768
    found.run = found.run[match.end() :]
    if length:
        found.keys["jitter"] = length_text(length)
        found.notes.append(
            ("differs", f"the random sleep became jitter: {length_text(length)}, the same share every time")
        )


def _take_cd(found: Command) -> None:
    match = _CD.match(found.run)
    # `cd x && a || b` runs b when there is no x: only a chain of && means the same with cwd.
    if match and found.run[match.end() :].strip() and not re.search(r"\|\||;|&(?!&)(?<!&&)", _unredirected(found.run)):
        found.keys["cwd"] = match[1]
        found.run = found.run[match.end() :]
        found.notes.append(("same", f"cd became cwd: {match[1]}"))


def _take_lock(found: Command, locks: dict[str, int]) -> None:
    match = _FLOCK.match(found.run)
    if match is None or not re.search(r"n|--nb", match[1]):
        return
    rest = found.run[match.end() :]
    if locks.get(match[2], 1) > 1:
        found.notes.append(("same", f"flock stays: several lines share {match[2]} (a pool with one slot would say it)"))
        return
    command = _quoted_command(rest) if match[3] else rest if not _SHELL.search(_unredirected(rest)) else None
    if command is None:
        return
    found.run = command
    found.keys["overlap"] = "skip"
    found.notes.append(("differs", "flock -n became overlap: skip, so what is left out is on record as skipped"))


def _quoted_command(rest: str) -> str | None:
    try:
        words = shlex.split(rest)
    except ValueError:
        return None
    quoted = rest.strip()
    if len(words) != 1 or quoted[0] not in "'\"":
        return None
    return None if quoted[0] == '"' and re.search(r"[$`\\]", quoted) else words[0]


def _take_timeout(found: Command) -> None:
    match = _TIMEOUT.match(found.run)
    if match and int(match[1]) and not _SHELL.search(_unredirected(found.run)):
        length = f"{int(match[1])}{match[2] or 's'}"
        found.keys["timeout"] = length
        found.run = found.run[match.end() :]
        found.notes.append(
            ("differs", f"timeout became timeout: {length}; it ends as timed_out, not with exit code 124")
        )


def _leaves_something(text: str) -> bool:
    """Whether a command puts work into the background that outlives it, as far as that can be seen."""
    plain = re.sub(r"'[^']*'|\"[^\"]*\"", "", _unredirected(text)).replace("&&", "")
    return ("&" in plain and not re.search(r"\bwait\b", plain)) or _DETACHES.search(plain) is not None


def _suggest(found: Command) -> None:
    parts = re.split(r"\s*&&\s*", _unredirected(found.run))
    guards = re.match(r"(sleep|test|\[|command|cd|which|export|\.|source)\s", parts[0])
    if len(parts) > 1 and not guards and not re.search(r"\|\||;|['\"`(]", found.run):
        found.notes.append(
            ("same", f"a && b stays one job; {len(parts)} jobs with depends_on would be retried one by one")
        )


def _unredirected(text: str) -> str:
    return re.sub(r"\d?>&\d|&>>?|<&\d", "", text)


def length_text(seconds: int) -> str:
    """Return a length as a job file writes it: `90s`, `1h`, `9h6m8s`."""
    text = ""
    for unit, size in (("d", 86_400), ("h", 3600), ("m", 60), ("s", 1)):
        if seconds >= size:
            text += f"{seconds // size}{unit}"
            seconds %= size
    return text or "0s"
