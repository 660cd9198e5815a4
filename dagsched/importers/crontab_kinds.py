"""Which of the kinds of crontab a file is, and anacron's own table."""

from __future__ import annotations

import re
from collections.abc import Callable, Sequence

from dagsched.importers.crontab import DEFAULTS, PATH, Homes, read_crontab
from dagsched.importers.draft import Draft, Imported, Verdict
from dagsched.importers.names import name_of

_TIMES = r"(?:@\w+|-?[\d*][\w*,/~-]*(?:\s+[\w*,/~-]+){4})"
_ENTRY = re.compile(rf"^\s*{_TIMES}\s+(\S+)(?:\s+(\S.*))?$", re.MULTILINE)
_ANACRON = re.compile(r"(\d+|@\w+)\s+(\d+)\s+(\S+)\s+(\S.*)")
_ASSIGNED = re.compile(r"([A-Z_]+)\s*=\s*(.*)")


def ignored_name(name: str) -> str:
    """Return why Debian's cron would not read a file of that name in a folder, or ""."""
    if re.fullmatch(r"[A-Za-z0-9_-]+", name):
        return ""
    return "cron does not read files of such a name (letters, digits, _ and - only) in a folder"


def kind_of(parts: Sequence[str], text: str, is_account: Callable[[str], bool]) -> str:
    """Return `user`, `system` or `anacron`; `parts`: of the absolute path. The path decides, else the lines do."""
    if parts[-1] == "anacrontab":
        return "anacron"
    if "cron.d" in parts[:-1] or tuple(parts[-2:]) == ("etc", "crontab"):
        return "system"
    if "crontabs" in parts[:-1] or "cron" in parts[-2:-1]:
        return "user"
    found = [(match[1], match[2]) for match in _ENTRY.finditer(text)]
    return "system" if found and all(rest and is_account(word) for word, rest in found) else "user"


def read_any(
    kind: str, text: str, *, file: str, timezone: str, homes: Homes, user: str | None, prefix: str = ""
) -> Imported:
    """Return what a crontab of that kind becomes; see `read_crontab`."""
    if kind == "anacron":
        return _read_anacrontab(text, file, timezone)
    is_system = kind == "system"
    return read_crontab(text, file=file, timezone=timezone, is_system=is_system, homes=homes, user=user, prefix=prefix)


def _read_anacrontab(text: str, file: str, timezone: str) -> Imported:
    out = Imported(timezone, {**DEFAULTS, "catchup": "latest"})
    special: dict[str, str] = {}
    env = {"PATH": PATH}
    for number, line in enumerate(map(str.strip, text.split("\n")), 1):
        if not line:
            continue
        if line.startswith("#"):
            out.comments.append(line.strip("# "))
            out.verdicts.append(Verdict(file, number, line, "same", "kept as a comment"))
        elif match := _ANACRON.fullmatch(line):
            _anacron_job(out, match, file, number, special, env)
        elif assigned := _ASSIGNED.fullmatch(line):
            out.verdicts.append(_anacron_value(file, number, line, assigned[1], assigned[2], special, env))
        else:
            out.verdicts.append(Verdict(file, number, line, "dropped", "anacron would not read it"))
    return out


def _anacron_value(
    file: str, number: int, line: str, name: str, value: str, special: dict[str, str], env: dict[str, str]
) -> Verdict:
    if name in ("RANDOM_DELAY", "START_HOURS_RANGE", "SHELL"):
        special[name] = value
        return Verdict(file, number, line, "same", "kept with its jobs")
    if name == "MAILTO" and value:
        return Verdict(file, number, line, "dropped", "output is kept as the run's log and not mailed")
    if name not in ("MAILTO", "LOGNAME", "USER"):
        env[name] = value
    return Verdict(file, number, line, "same")


def _anacron_job(
    out: Imported, match: re.Match[str], file: str, number: int, special: dict[str, str], env: dict[str, str]
) -> None:
    hours = re.match(r"(\d{1,2})-", special.get("START_HOURS_RANGE", ""))
    minutes = (int(hours[1]) % 24 if hours else 0) * 60 + min(int(match[2]), 1_000_000)
    clock = f"{minutes % 60} {minutes // 60 % 24}"
    named = {
        "1": "* * *",
        "@daily": "* * *",
        "7": "* * 1",
        "@weekly": "* * 1",
        "@monthly": "1 * *",
        "@yearly": "1 1 *",
        "@annually": "1 1 *",
    }
    days = named.get(match[1])
    if days is None and not (match[1].isdigit() and 0 < int(match[1]) < 3650):
        out.verdicts.append(Verdict(file, number, match[0], "dropped", f"{match[1]!r} is no period of days"))
        return
    draft = Draft(out.names.free(match[3] or name_of(match[4])), file, number)
    draft.unverifiable = "anacron has no fixed times: it runs what is overdue when the machine is up"
    draft.keys["schedule"] = f"{clock} {days}" if days else {"every": f"{match[1]}d"}
    if (delay := special.get("RANDOM_DELAY", "0")).isdigit() and 0 < int(delay) < 100_000:
        draft.keys["jitter"] = f"{int(delay)}m"
    draft.keys["run"] = match[4]
    if (shell := special.get("SHELL", "/bin/sh")) != "/bin/sh":
        draft.keys["shell"] = shell
    draft.keys["env"] = dict(env)
    out.drafts.append(draft)
    why = "it has a fixed time here, and is made up for (catchup: latest) after the machine was off"
    out.verdicts.append(Verdict(file, number, match[0], "differs", why, draft.id))
