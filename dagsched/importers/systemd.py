"""systemd timers with their services → drafts, and a verdict for every setting."""

from __future__ import annotations

import re
import shlex
from collections.abc import Mapping
from functools import partial
from typing import Any

from dagsched.importers.calendarspec import cron_of, elapses, read_spec
from dagsched.importers.commands import length_text
from dagsched.importers.cronfields import Unreadable
from dagsched.importers.draft import Draft, Imported, Verdict
from dagsched.importers.units import Setting, units_of, values_of

# A timer of a unit that still runs starts nothing; what a clock change skips never comes, what it repeats comes once.
DEFAULTS: dict[str, Any] = {
    "catchup": "none",
    "overlap": "skip",
    "on_crash": "fail",
    "dst": {"gap": "skip", "overlap": "first"},
}
_TRUE = ("1", "yes", "true", "on")
_QUIET = {"Description", "Documentation", "WantedBy", "RequiredBy", "Unit", "AccuracySec", "FixedRandomDelay", "Type"}
_UNITS = {
    "us": 1e-6,
    "ms": 1e-3,
    "s": 1,
    "m": 60,
    "h": 3600,
    "d": 86_400,
    "w": 604_800,
    "month": 2_629_800,
    "y": 31_557_600,
}
_LONG = {"usec": "us", "msec": "ms", "": "s", "sec": "s", "second": "s", "seconds": "s", "min": "m", "minute": "m",
         "minutes": "m", "hr": "h", "hour": "h", "hours": "h", "day": "d", "days": "d", "week": "w", "weeks": "w",
         "M": "month", "months": "month", "year": "y", "years": "y"}  # fmt: skip


def read_units(files: Mapping[str, str], timezone: str) -> Imported:
    """Return what the timers of these unit files become; `files`: path → text, `timezone`: that of the machine."""
    out, units = Imported(timezone, dict(DEFAULTS)), units_of(files)
    used: set[str] = set()
    for name, timer in units.items():
        if name.endswith(".timer"):
            said = values_of(timer, "Timer", "Unit")
            service = said[-1].value if said else name.removesuffix(".timer") + ".service"
            used.add(service)
            _Timer(out, name, timer, service, _service_of(units, service)).read()
    for name in units.keys() - used:
        if name.endswith(".service") and name.replace("@.", "@x.") not in used:
            where = units[name][0].file if units[name] else name
            out.verdicts.append(Verdict(where, 0, name, "dropped", "no timer here starts it"))
    return out


def _service_of(units: Mapping[str, list[Setting]], name: str) -> list[Setting] | None:
    return units.get(name) or units.get(re.sub(r"@.*\.service$", "@.service", name))


class _Timer:
    def __init__(
        self, out: Imported, name: str, timer: list[Setting], service: str, settings: list[Setting] | None
    ) -> None:
        self._out, self._name, self._timer = out, name, timer
        self._service, self._settings = service, settings
        self._notes: dict[tuple[str, int], tuple[str, str]] = {}
        where = timer[0] if timer else Setting("", "", "", name, 0)
        self._draft = Draft("", where.file, where.line)

    def read(self) -> None:
        if self._name.endswith("@.timer"):
            why = "a template has times only as an instance; import it by the name of one"
            self._out.verdicts.append(Verdict(self._draft.file, 0, self._name, "dropped", why))
            return
        if self._settings is None or not self._commands():
            why = f"{self._service} is not here, or has no ExecStart that can be carried over"
            self._out.verdicts.append(Verdict(self._draft.file, 0, self._name, "dropped", why))
            return
        keys = self._draft.keys
        if said := values_of(self._settings, "Unit", "Description") or values_of(self._timer, "Unit", "Description"):
            keys["description"] = said[-1].value
        self._draft.id = self._out.names.free(self._name.removesuffix(".timer"))
        self._schedule()
        keys["run"] = self._commands()
        self._surroundings(self._settings)
        self._out.drafts.append(self._draft)
        for setting in (*self._timer, *self._settings):
            self._verdict(setting)

    def _say(self, setting: Setting, kind: str, why: str = "") -> None:
        self._notes[setting.file, setting.line] = kind, why

    def _verdict(self, setting: Setting) -> None:
        known = self._notes.get((setting.file, setting.line))
        text = f"{setting.key}={setting.value}" if setting.key else setting.value
        if known is None:
            known = ("same", "") if setting.key in _QUIET else ("dropped", "dagsched has no such setting")
        self._out.verdicts.append(Verdict(setting.file, setting.line, text, *known, self._draft.id))

    # ------------------------------------------------------------ when

    def _schedule(self) -> None:
        keys, crons, specs, zones = self._draft.keys, [], [], set()
        both: set[bool] = set()
        for setting in values_of(self._timer, "Timer", "OnCalendar"):
            try:
                spec = read_spec(setting.value)
                cron, wants_both = cron_of(spec)
            except Unreadable as error:
                self._say(setting, "dropped", str(error))
                continue
            crons.append(cron)
            specs.append(spec)
            zones.add(spec.timezone or self._out.timezone)
            both.add(wants_both)
            self._say(setting, "same")
        if len(zones) > 1:
            for setting in values_of(self._timer, "Timer", "OnCalendar"):
                self._say(setting, "dropped", "a schedule here has one time zone; make a job of each")
            crons = []
        if crons:
            said: dict[str, Any] = {"cron": crons if len(crons) > 1 else crons[0]}
            if True in both:
                said["days"] = "all"
            if zones != {self._out.timezone}:
                said["timezone"] = zones.pop()
            keys["schedule"] = said if len(said) > 1 or len(crons) > 1 else crons[0]
            self._draft.fires = partial(elapses, specs, self._out.timezone)
        self._elapsed(bool(crons))
        self._delays()

    def _elapsed(self, has_calendar: bool) -> None:
        for key in ("OnActiveSec", "OnBootSec", "OnStartupSec", "OnUnitActiveSec", "OnUnitInactiveSec"):
            for setting in values_of(self._timer, "Timer", key):
                length = seconds_of(setting.value)
                if not key.startswith("OnUnit"):
                    self._say(setting, "dropped", "the machine's or the timer's start is no time of the calendar")
                elif has_calendar or length is None or length < 1 or "schedule" in self._draft.keys:
                    self._say(setting, "dropped", "a job has one schedule, in whole seconds")
                else:
                    self._draft.keys["schedule"] = {"every": length_text(int(length))}
                    self._draft.unverifiable = "it counts from the last start, which no calendar knows"
                    self._say(setting, "differs", "every counts from 1970, not from the last start or end of the unit")
        self._draft.unverifiable = self._draft.unverifiable or "none of its times are of the calendar"

    def _delays(self) -> None:
        for setting in values_of(self._timer, "Timer", "Persistent"):
            if setting.value.lower() in _TRUE:
                self._draft.keys["catchup"] = "latest"
            self._say(setting, "same", f"catchup: {self._draft.keys.get('catchup', 'none')}")
        for setting in values_of(self._timer, "Timer", "RandomizedDelaySec"):
            length = seconds_of(setting.value)
            if length is None:
                self._say(setting, "dropped", "it is no length of time")
            elif length >= 1:
                self._draft.keys["jitter"] = length_text(int(length))
                self._say(setting, "differs", "jitter is the same share each time, as with FixedRandomDelay=")
            else:
                self._say(setting, "same")

    # ------------------------------------------------------------ what

    def _commands(self) -> str:
        """Return shell text for every ExecStart, "" when one of them cannot be said."""
        lines = []
        for setting in values_of(self._settings or [], "Service", "ExecStart"):
            match = re.fullmatch(r"([-@+!:|]*)(.*)", setting.value, re.DOTALL)
            assert match is not None, "both parts may be empty"
            prefix, text = match[1], self._specified(match[2])
            try:
                words = shlex.split(text) if text is not None and "@" not in prefix else []
            except ValueError:
                words = []
            if not words:
                return ""
            line = " ".join(_shell_word(word, ":" in prefix) for word in words)
            lines.append(f"{line} || true" if "-" in prefix else line)
            odd = "+" in prefix or "!" in prefix
            self._say(setting, "differs" if odd else "same", "it has no more rights than the job's user" if odd else "")
        return lines[0] if len(lines) == 1 else "\n".join(["set -e", *lines]) if lines else ""

    def _specified(self, text: str) -> str | None:
        """Return the text with specifiers filled in; None if one is not known here."""
        stem = self._service.removesuffix(".service")
        prefix, _, instance = stem.partition("@")
        known = {"%": "%", "n": self._service, "N": stem, "p": prefix, "i": instance, "I": instance.replace("-", "/")}
        found = re.sub(r"%(.)", lambda match: known.get(match[1], "\0"), text)
        return None if "\0" in found else found

    def _surroundings(self, settings: list[Setting]) -> None:
        keys, env = self._draft.keys, {}
        for setting in values_of(settings, "Service", "Environment"):
            try:
                words = shlex.split(self._specified(setting.value) or "")
            except ValueError:
                words = []
            pairs = dict(word.split("=", 1) for word in words if "=" in word)
            env.update(pairs)
            self._say(setting, "same" if pairs else "dropped", "" if pairs else "it is not understood")
        for key, name in (("User", "user"), ("WorkingDirectory", "cwd")):
            for setting in values_of(settings, "Service", key):
                value = self._specified(setting.value.removeprefix("-"))
                if value is None or value == "~":
                    self._say(setting, "dropped", f"{setting.value} is not known here; say `{name}` yourself")
                else:
                    keys[name] = value
                    self._say(setting, "same", f"`{name}`")
        keys.setdefault("cwd", "/")
        if env:
            keys["env"] = env
        for setting in values_of(settings, "Service", "EnvironmentFile"):
            self._say(setting, "dropped", f"the command has to read {setting.value} itself, or use `env` and `secrets`")
        for setting in values_of(settings, "Service", "TimeoutStartSec"):
            length = seconds_of(setting.value)
            if length and length >= 1:
                keys["timeout"] = length_text(int(length))
            self._say(setting, "same", "`timeout`" if "timeout" in keys else "no limit")


def seconds_of(text: str) -> float | None:
    """Return a time span of systemd (`1h 30min`, `90`) in seconds; None for infinity and what is none."""
    parts = re.findall(r"(\d+(?:\.\d+)?)\s*([A-Za-z]*)", text)
    if not parts or re.sub(r"\d+(?:\.\d+)?\s*[A-Za-z]*|\s", "", text):
        return None
    total = 0.0
    for number, unit in parts:
        size = _UNITS.get(_LONG.get(unit, unit))
        if size is None or len(number) > 12:
            return None
        total += float(number) * size
    return total


def _shell_word(word: str, is_literal: bool) -> str:
    """Return a word for sh: variables as systemd puts them in, nothing else expanded."""
    if is_literal or not re.search(r"\$", word):
        return shlex.quote(word.replace("$$", "$") if not is_literal else word)
    if re.fullmatch(r"\$[A-Za-z_]\w*", word):
        return word
    quoted = re.sub(r'(["`\\])', r"\\\1", word).replace("$$", r"\$")
    return f'"{quoted}"'
