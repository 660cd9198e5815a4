"""Crontabs: a user's, the system's (a sixth field names the account) and anacron's → drafts and a verdict per line."""

from __future__ import annotations

import re
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from functools import partial
from typing import Any
from zoneinfo import ZoneInfo

from dagsched.importers import debian
from dagsched.importers.commands import read_command, with_input
from dagsched.importers.cronfields import MACROS, Fields, Unreadable, read_fields
from dagsched.importers.draft import Draft, Imported, Verdict, worst

# cron has no memory of what it missed, starts a line again while it still runs, and never tries twice.
DEFAULTS: dict[str, Any] = {"catchup": "none", "overlap": "allow", "on_crash": "fail"}
PATH = "/usr/bin:/bin"
LINE_MAX = 10_000

SURROUNDINGS = (
    "cron gives a command HOME, LOGNAME, SHELL, PATH and what the crontab sets; a job has the daemon's variables "
    "besides, with the same PATH and `cwd`. What it prints cron mails to the account; here it is the run's log"
)
"""What is not the same for any line, and stands in none."""

_ASSIGNMENT = re.compile(r"""\s*(?:"([^"]*)"|'([^']*)'|([^\s=#"'][^\s=]*))\s*=\s*(.*?)\s*""")
_NAME = re.compile(r"[A-Za-z_][A-Za-z0-9_]*")
_OFF = re.compile(r"#\s*(@[a-z]+|[\d*][\d*,/-]*(\s+[\d*][\w*,/-]*){3}\s+(\*|[0-7]|\w{3}\b)[\w*,/-]*)\s+\S")

_HEADINGS = re.compile(r"\bm(in(ute)?)?\s+h(our)?\s+(dom|day)", re.IGNORECASE)
"""The row of column names that crontabs begin with, which describes no line."""

Homes = Callable[[str], str | None]


def read_crontab(
    text: str, *, file: str, timezone: str, is_system: bool, homes: Homes, user: str | None = None, prefix: str = ""
) -> Imported:
    """Return what a crontab's lines become.

    `timezone`: the zone of the machine whose cron read it. `is_system`: a sixth field names the account. `homes`:
    account → its home, None if unknown. `user`: whose crontab it is, None for the account that imports it. `prefix`:
    what ids begin with. Raises nothing for what stands in the text.
    """
    return _Reading(file, timezone, is_system, homes, user, prefix).read(text)


@dataclass
class _Reading:
    file: str
    timezone: str
    is_system: bool
    homes: Homes
    user: str | None
    prefix: str
    env: dict[str, str] = field(default_factory=lambda: {"PATH": PATH})
    special: dict[str, str] = field(default_factory=dict)
    has_begun: bool = False
    above: list[tuple[int, str]] = field(default_factory=list)
    loose: list[str] = field(default_factory=list)
    out: Imported = field(default_factory=Imported)

    def read(self, text: str) -> Imported:
        self.out.timezone, self.out.defaults = self.timezone, dict(DEFAULTS)
        lines = text.split("\n")
        self.locks = _locks(lines)
        for number, line in enumerate(lines, 1):
            self._line(number, line.strip())
        self._loosen()
        self.out.comments = [line for line in self.loose if line]
        self._settle_head()
        if lines[-1].strip() and not lines[-1].lstrip().startswith("#"):
            self._say(
                len(lines), lines[-1], "differs", "the last line has no line feed: cron ignores such a file or line"
            )
        return self.out

    def _settle_head(self) -> None:
        """Keep what stands above all lines at the top of the file, or with its first job when it is one of several."""
        text = "\n".join(self.out.head).strip("\n")
        self.out.head = text.split("\n") if text else []
        if self.prefix:
            target = self.out.drafts[0].comments if self.out.drafts else self.out.comments
            target[:0] = self.out.head
            self.out.head = []

    def _say(self, line: int, text: str, kind: str, why: str = "", job: str = "") -> None:
        self.out.verdicts.append(Verdict(self.file, line, text, kind, why, job))

    def _line(self, number: int, line: str) -> None:
        if not line:
            self._loosen()
        elif line.startswith("#"):
            self._comment(number, line)
        elif len(line) > LINE_MAX:
            self._say(number, line[:60] + "…", "dropped", f"the line has {len(line)} characters; {LINE_MAX} are read")
        elif match := _ASSIGNMENT.fullmatch(line):
            self._assign(number, line, match)
        else:
            self._entry(number, line)

    def _comment(self, number: int, line: str) -> None:
        if _OFF.match(line):
            self._say(number, line, "same", "a line that was switched off; kept as a comment")
            self._loosen()
            self.loose.append(line.lstrip("# "))
        elif _HEADINGS.search(line):
            self._loosen()
            self._say(number, line, "same", "names of columns, of which a job file has none")
        else:
            self.above.append((number, line.strip("# \t")))

    def _loosen(self) -> None:
        """Keep comments that describe no line as comments."""
        for number, text in self.above:
            self._say(number, f"# {text}", "same", "kept as a comment")
        if self.has_begun:
            self.loose += [text for _, text in self.above]
        elif self.above:
            self.out.head += ["", *(text for _, text in self.above)] if self.out.head else [t for _, t in self.above]
        self.above = []

    def _assign(self, number: int, line: str, match: re.Match[str]) -> None:
        self._loosen()
        self.has_begun = True
        name = next(part for part in match.groups()[:3] if part is not None)
        value = match[4]
        if len(value) > 1 and value[0] == value[-1] and value[0] in "\"'":
            value = value[1:-1]
        if name in ("MAILTO", "MAILFROM", "CONTENT_TYPE", "CONTENT_TRANSFER_ENCODING"):
            self._mail(number, line, name, value)
        elif name == "CRON_TZ":
            self._zone(number, line, value)
        elif name in ("SHELL", "RANDOM_DELAY", "START_HOURS_RANGE"):
            self.special[name] = value
            self._say(
                number, line, "same", "the `shell` of the jobs below" if name == "SHELL" else "kept with its jobs"
            )
        elif name in ("LOGNAME", "USER"):
            self._say(number, line, "same" if name == "USER" else "dropped", "the account of the job decides it")
        elif not _NAME.fullmatch(name) or name.startswith("DAGSCHED_"):
            self._say(number, line, "dropped", f"dagsched gives no variable named {name!r} to jobs")
        else:
            self.env[name] = value
            self._variable(number, line, name, value)

    def _variable(self, number: int, line: str, name: str, value: str) -> None:
        kind, why = "same", "`env` of the jobs below"
        if "$" in value:
            why += "; neither cron nor dagsched expands a $ in it"
        if name == "HOME":
            why += ", and the folder they start in"
        if name == "TZ":
            why += "; Debian's cron does not read times by it either (cronie's neither: that is CRON_TZ)"
        self._say(number, line, kind, why)

    def _mail(self, number: int, line: str, name: str, value: str) -> None:
        if name == "MAILTO" and not value:
            return self._say(number, line, "same", "no mail; output is kept as the run's log")
        why = "output is kept as the run's log and not mailed"
        if name == "MAILTO":
            why += f"; to be told of failures, add a notifier with `type: email` and `to: [{value}]`, and `notify`"
        return self._say(number, line, "dropped", why)

    def _zone(self, number: int, line: str, value: str) -> None:
        try:
            ZoneInfo(value)
        except (KeyError, ValueError, OSError):
            return self._say(number, line, "dropped", f"there is no time zone {value!r}")
        self.special["CRON_TZ"] = value
        return self._say(
            number, line, "differs", "it is the `timezone` of the jobs below, as under cronie; Debian's cron ignores it"
        )

    # ------------------------------------------------------------ lines with times

    def _entry(self, number: int, line: str) -> None:
        above, self.above, self.has_begun = self.above, [], True
        notes: list[tuple[str, str]] = []
        try:
            fields, rest, macro = self._times(line, notes)
            account, command = self._account(rest)
        except Unreadable as error:
            self._say(number, line, "dropped", f"cron would not read it: {error}")
            self.above = above
            return self._loosen()
        keys: dict[str, Any] = {}
        if said := " ".join(text for _, text in above if text):
            keys["description"] = said
        for place, text in above:
            self._say(place, f"# {text}", "same", "the description of the job below")
        draft = Draft("", self.file, number, keys, [text for text in self.loose if text])
        self.loose = []
        self._schedule(draft, fields, macro, notes)
        self._command(draft, command, account, notes)
        self.out.drafts.append(draft)
        kind = worst([kind for kind, _ in notes])
        why = "; ".join(why for _, why in notes)
        return self._say(number, line, kind, why, draft.id)

    def _times(self, line: str, notes: list[tuple[str, str]]) -> tuple[Fields | None, str, str]:
        if line.startswith("-"):
            notes.append(("same", "the leading - only kept it out of cron's log"))
            line = line[1:]
        if line.startswith("@"):
            macro, _, rest = re.sub(r"\s+", " ", line[:40]).partition(" ")
            macro, rest = macro.lower(), line[len(macro) :].strip()
            if macro == "@reboot":
                return None, rest, macro
            if macro not in MACROS:
                raise Unreadable(f"{macro} is no macro of cron")
            return read_fields(MACROS[macro].split(), rest), rest, macro
        parts = line.split(None, 5)
        if len(parts) < 6:
            raise Unreadable("five fields of time and a command belong there")
        if re.match(r"[*?][*/,\d]*\s", parts[5]):
            notes.append(
                ("same", "the command begins with a star: cron knows five fields, and no sixth for seconds or years")
            )
        return read_fields(parts[:5], f"{self.file} {line}"), parts[5], ""

    def _account(self, rest: str) -> tuple[str | None, str]:
        if not self.is_system:
            account, command = self.user, rest
        else:
            account, _, command = rest.partition(" ") if " " in rest else rest.partition("\t")
            if "\t" in account:
                account, _, command = rest.partition("\t")
            account = account.partition(":")[0]
            if not re.fullmatch(r"[A-Za-z_][\w.-]*\$?", account):
                raise Unreadable(f"{account!r} stands where a system crontab names the account")
        if not command.strip():
            raise Unreadable("there is no command")
        return account, command.strip()

    def _schedule(self, draft: Draft, fields: Fields | None, macro: str, notes: list[tuple[str, str]]) -> None:
        if fields is None:
            draft.unverifiable = "@reboot is no time of the calendar"
            return
        zone = self.special.get("CRON_TZ", self.timezone)
        draft.fires = partial(debian.fires, fields, zone)
        said = macro or " ".join(fields.texts)
        expression, extras = expression_of(fields, macro)
        if expression != said and expression != said.lower():
            notes.append(("same", f"written as '{expression}', which says the same to every cron"))
        draft.keys["schedule"] = {"cron": expression, **extras} if extras else expression
        if zone != self.timezone:
            draft.keys["timezone"] = zone
        if fields.random:
            notes.append(("differs", f"a random time at each start of cronie, one fixed time here: {fields.random}"))

    def _command(self, draft: Draft, text: str, account: str | None, notes: list[tuple[str, str]]) -> None:
        command, given = with_input(text)
        understood = read_command(command, given is not None, self.locks)
        notes += understood.notes
        name = understood.name
        wish = name if not self.prefix or name.startswith(self.prefix) else f"{self.prefix}-{name}"
        wish = self.prefix if self.prefix and name == "job" else wish
        draft.id = self.out.names.free(wish)
        if "schedule" not in draft.keys:
            why = f"the job has no schedule; let the boot run `dagsched trigger {draft.id}`"
            notes.insert(0, ("differs", f"@reboot is no time of the calendar: {why}"))
        if not self.is_system and (match := re.match(r"([a-z_][\w-]*)\s+/", command)) and self.homes(match[1]):
            notes.append(("same", f"'{match[1]}' is run as a program; if it names the account, say --system"))
        if given is not None:
            notes.append(("same", "what follows % is its input"))
            understood.run = f"{{ {understood.run}\n}} <<'INPUT'\n{given}INPUT\n"
        draft.keys["run"] = understood.run
        draft.keys.update(understood.keys)
        if self.is_system or self.user:
            draft.keys["user"] = account
        home = self.env.get("HOME") or self.homes(account or "")
        if "cwd" in draft.keys:
            pass
        elif home:
            draft.keys["cwd"] = home
        else:
            notes.append(("differs", f"it starts in the job file's folder: the home of {account} is not known here"))
        if (shell := self.special.get("SHELL", "/bin/sh")) not in ("/bin/sh", "sh"):
            draft.keys["shell"] = shell
        draft.keys["env"] = dict(self.env)


def expression_of(fields: Fields, macro: str) -> tuple[str, dict[str, Any]]:
    """Return a cron expression with the same ticks for dagsched, and the keys beside it.

    Debian's rule of the two day fields looks at their first character, dagsched's at whether they restrict anything.
    """
    if macro and macro in MACROS:
        return macro, {}
    minute, hour, day, month, weekday = (text.lower() for text in fields.texts)
    # A star decides what clock changes do to a line: that of the minutes may go where that of the hours stays.
    if hour.startswith("*") and re.fullmatch(r"\*/\d+", minute) and 60 % int(minute[2:]) and len(fields.minutes) <= 8:
        minute = ",".join(map(str, sorted(fields.minutes)))
    extras: dict[str, Any] = {}
    all_days, all_weekdays = len(fields.days) == 31, len(fields.weekdays) == 7
    day = "*" if all_days and fields.wants_both else day
    weekday = "*" if all_weekdays and fields.wants_both else weekday
    if fields.wants_both and not all_days and not all_weekdays:
        extras["days"] = "all"
    elif not fields.wants_both and (all_days or all_weekdays):
        day = weekday = "*"
    if re.search(r"[a-z]", weekday) or "7" in weekday or "/" in weekday:
        weekday = weekday if _is_plain(weekday) else ",".join(map(str, sorted(fields.weekdays)))
    return " ".join((minute, hour, day, month, weekday)), extras


def _is_plain(weekday: str) -> bool:
    return re.fullmatch(r"\*|[a-z]{3}(-[a-z]{3})?(,[a-z]{3})*|[0-7]|[0-6]-[0-6]", weekday) is not None


def _locks(lines: Sequence[str]) -> dict[str, int]:
    """Return how many lines name each lock file of flock: one that several share is no overlap of one job."""
    found: dict[str, int] = {}
    for line in lines:
        for name in set(re.findall(r"\bflock\s+(?:-\S+\s+)*(\S+)", line)) if not line.lstrip().startswith("#") else ():
            found[name] = found.get(name, 0) + 1
    return found
