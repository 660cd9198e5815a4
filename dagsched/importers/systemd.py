"""systemd timers with their services → drafts, and a verdict for every setting."""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from typing import Any

from dagsched.importers.draft import Draft, Imported, Verdict, worst
from dagsched.importers.unitkeys import reason_of
from dagsched.importers.unitorder import Unit, order
from dagsched.importers.units import Setting, units_of, values_of
from dagsched.importers.unittimes import length_of, put_times
from dagsched.importers.unitwork import Specifiers, environment_of, retry_of, work_of

# A timer of a unit that still runs starts nothing; what a clock change skips never comes, what it repeats comes once.
DEFAULTS: dict[str, Any] = {
    "catchup": "none",
    "overlap": "skip",
    "on_crash": "fail",
    "dst": {"gap": "skip", "overlap": "first"},
}


def read_units(files: Mapping[str, str], timezone: str, user: str = "", home: str = "") -> Imported:
    """Return what the timers of these unit files become.

    `files`: path → text; `timezone`: that of the machine; `user`: whose units they are, "" for the system's; `home`:
    the folder of that account, "" if it is not known.
    """
    return _Reading(Imported(timezone, dict(DEFAULTS)), units_of(files), user, home).read()


@dataclass
class _Reading:
    out: Imported
    units: dict[str, list[Setting]]
    user: str
    home: str
    notes: dict[tuple[str, int], list[tuple[str, str]]] = field(default_factory=dict)

    def read(self) -> Imported:
        jobs = [unit for name in self.units if name.endswith(".timer") and (unit := self._timer(name))]
        jobs += order(jobs, self._pulled, self.say)
        self.out.drafts += [unit.draft for unit in jobs]
        for unit in jobs:
            self.out.verdicts += self._verdicts([*unit.timer, *unit.settings], unit.draft.id)
        named = {unit.service for unit in jobs}
        for name in sorted(self.units):
            if name.endswith(".service") and name not in named and not self._is_used_template(name, named):
                where = self.units[name][0].file if self.units[name] else name
                self.out.verdicts.append(Verdict(where, 0, name, "dropped", "no timer here starts it"))
        return self.out

    def say(self, setting: Setting, kind: str, why: str = "") -> None:
        self.notes.setdefault((setting.file, setting.line), []).append((kind, why))

    def _is_used_template(self, name: str, named: Iterable[str]) -> bool:
        stem, at, _ = name.partition("@.")
        return bool(at) and any(each.startswith(f"{stem}@") for each in named)

    def _timer(self, name: str) -> Unit | None:
        timer = self.units[name]
        said = values_of(timer, "Timer", "Unit")
        service = said[-1].value if said else name.removesuffix(".timer") + ".service"
        where = timer[0].file if timer else name
        if name.endswith("@.timer"):
            why = "a template has times only as an instance; import it by the name of one"
            self.out.verdicts.append(Verdict(where, 0, name, "dropped", why))
            return None
        unit = self._service(service, name.removesuffix(".timer"), timer)
        if unit is None:
            why = f"{service} is not here, or has no ExecStart that can be carried over"
            if not service.endswith(".service"):
                why = f"it starts {service}, and only services become jobs; import the services that come with it"
            self.out.verdicts.append(Verdict(where, 0, name, "dropped", why))
            return None
        keys, unit.draft.keys = unit.draft.keys, {}
        if "description" in keys:
            unit.draft.keys["description"] = keys.pop("description")
        put_times(unit.draft, timer, self.out.timezone, self.say)
        unit.draft.keys.update(keys)
        return unit

    def _pulled(self, service: str, wish: str) -> Unit | None:
        """Return a job for a service that another one brings with it."""
        return self._service(service, wish or service.removesuffix(".service"), [])

    def _service(self, service: str, wish: str, timer: list[Setting]) -> Unit | None:
        settings = self.units.get(service) or self.units.get(re.sub(r"@.*\.service$", "@.service", service))
        if settings is None:
            return None
        users = values_of(settings, "Service", "User")
        user = users[-1].value if users else self.user
        names = Specifiers(service, user, self.home, bool(self.user))
        run = work_of(timer, settings, names, self.say)
        if not run:
            return None
        where = (timer or settings)[0]
        draft = Draft(self.out.names.free(wish), where.file, where.line)
        if said := values_of(settings, "Unit", "Description") or values_of(timer, "Unit", "Description"):
            draft.keys["description"] = said[-1].value
        draft.keys["run"] = run
        self._surroundings(draft.keys, settings, names)
        return Unit(service, draft, timer, settings)

    def _surroundings(self, keys: dict[str, Any], settings: list[Setting], names: Specifiers) -> None:
        if self.user:
            keys["user"] = self.user
        for setting in values_of(settings, "Service", "User"):
            value = names.fill(setting.value)
            self.say(setting, "same" if value else "dropped", "`user`" if value else "it is not known here")
            if value:
                keys["user"] = value
        keys["cwd"] = self.home if self.user and self.home else "/"
        for setting in values_of(settings, "Service", "WorkingDirectory"):
            value = names.fill(setting.value.removeprefix("-"))
            value = self.home if value == "~" else value
            if value:
                keys["cwd"] = value
                self.say(setting, "same", "`cwd`")
            else:
                self.say(setting, "dropped", f"{setting.value} is not known here; say `cwd` yourself")
        if env := environment_of(settings, names, self.say):
            keys["env"] = env
        self._limits(keys, settings)
        if retry := retry_of(settings, length_of, self.say):
            keys["retry"] = dict(retry)

    def _limits(self, keys: dict[str, Any], settings: list[Setting]) -> None:
        kinds = values_of(settings, "Service", "Type")
        is_oneshot = bool(kinds) and kinds[-1].value == "oneshot"
        for setting in kinds:
            if setting.value in ("forking", "notify", "notify-reload", "dbus"):
                why = "the run lasts until its first process has ended; what that leaves behind is stopped then"
                self.say(setting, "differs", why)
        for key, counts in (
            ("TimeoutSec", is_oneshot),
            ("TimeoutStartSec", is_oneshot),
            ("RuntimeMaxSec", not is_oneshot),
        ):
            for setting in values_of(settings, "Service", key):
                length = length_of(setting.value)
                if counts and length:
                    keys["timeout"] = length
                self.say(setting, "same", "`timeout`" if counts and length else "no limit of the run")

    def _verdicts(self, settings: Iterable[Setting], job: str) -> Iterable[Verdict]:
        for setting in settings:
            notes = self.notes.get((setting.file, setting.line)) or [reason_of(setting.key, setting.value)]
            kind = worst([each for each, _ in notes])
            why = _joined([why for each, why in notes if why and (kind == "same" or each != "same")])
            text = f"{setting.key}={setting.value}" if setting.key else setting.value
            yield Verdict(setting.file, setting.line, text, kind, why, job)


def _joined(reasons: list[str]) -> str:
    """Return reasons in one line; units that are not here are named together."""
    missing = " is not here"
    absent = list(dict.fromkeys(why.removesuffix(missing) for why in reasons if why.endswith(missing)))
    kept = [why for why in dict.fromkeys(reasons) if not why.endswith(missing)]
    if absent:
        kept.append(f"{', '.join(absent)} {'are' if len(absent) > 1 else 'is'} not here")
    return "; ".join(kept)
