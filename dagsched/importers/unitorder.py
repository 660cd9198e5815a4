"""Units that bring others with them or wait for them → `depends_on` between their jobs."""

from __future__ import annotations

import re
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field

from dagsched.importers.draft import Draft
from dagsched.importers.units import Setting, values_of
from dagsched.importers.unitwork import Say

_PULLS = ("Wants", "Requires", "BindsTo", "Requisite", "Upholds")
_TIMES = ("schedule", "catchup", "jitter")


@dataclass
class Unit:
    """A service as a job: `timer`: the settings of its timer, none for one that others bring about."""

    service: str
    draft: Draft
    timer: list[Setting]
    settings: list[Setting] = field(default_factory=list)


def order(units: Sequence[Unit], pulled: Callable[[str, str], Unit | None], say: Say) -> list[Unit]:
    """Join the jobs of units that name each other; return the jobs of services that only others bring about.

    `pulled`: (service, name wished for its job) → that job, None if the service is not here.
    """
    by_name = {unit.service: unit for unit in units}
    found: list[Unit] = []
    for unit in units:
        for setting in [*unit.settings, *unit.timer]:
            if setting.section == "Unit" and (setting.key in _PULLS or setting.key in ("After", "Before")):
                is_timer = setting in unit.timer
                for name in setting.value.split():
                    found += _named(unit, setting, name, is_timer, by_name, pulled, say)
            elif setting.section == "Unit" and setting.key in ("OnFailure", "OnSuccess"):
                for name in setting.value.split():
                    found += _afterwards(unit, setting, name, pulled, say)
    return found


def _named(
    unit: Unit,
    setting: Setting,
    name: str,
    is_timer: bool,
    by_name: dict[str, Unit],
    pulled: Callable[[str, str], Unit | None],
    say: Say,
) -> list[Unit]:
    if not name.endswith(".service") or is_timer:
        why = "the daemon's own unit waits for what it needs; a job knows no units"
        say(
            setting,
            "same" if name.endswith(".timer") else "dropped",
            "timers are started when the machine is" if name.endswith(".timer") else why,
        )
        return []
    other = by_name.get(name)
    if setting.key == "Before":
        say(setting, "dropped", f"a job says what it waits for, not who waits for it: put it into the job of {name}")
    elif setting.key == "After":
        _after(unit, setting, name, other, say)
    elif other is not None and other.timer:
        say(setting, "dropped", f"{name} has times of its own; a start of this one starts it too in systemd")
    elif other is not None:
        say(setting, "dropped", f"two services bring {name} about; here it belongs to the first")
    elif (found := pulled(name, "")) is not None:
        return [_brought(unit, setting, found, by_name, say)]
    else:
        say(setting, "dropped", f"{name} is not here")
    return []


def _brought(unit: Unit, setting: Setting, other: Unit, by_name: dict[str, Unit], say: Say) -> Unit:
    """Give a service that this one brings with it the same times; with After= this one waits for it."""
    by_name[other.service] = other
    times = {key: unit.draft.keys[key] for key in _TIMES if key in unit.draft.keys}
    said = {key: value for key, value in other.draft.keys.items() if key == "description"}
    other.draft.keys = {**said, **times, **{key: value for key, value in other.draft.keys.items() if key not in said}}
    other.draft.fires, other.draft.unverifiable = unit.draft.fires, unit.draft.unverifiable
    after = [each for each in unit.settings if each.key == "After" and other.service in each.value.split()]
    if after:
        _wait(unit, other, needs_success=setting.key != "Wants")
        unit.draft.keys.pop("jitter", None)
    say(
        setting,
        "same",
        f"the job {other.draft.id} has the same times" + ("" if after else "; neither waits for the other"),
    )
    for each in after:
        say(each, "same", f"waits for {other.draft.id}")
    return other


def _after(unit: Unit, setting: Setting, name: str, other: Unit | None, say: Say) -> None:
    if other is not None and not other.timer:
        return  # told where it was brought about
    brings = {each for key in _PULLS for said in values_of(unit.settings, "Unit", key) for each in said.value.split()}
    if other is None:
        if name not in brings:
            say(setting, "dropped", f"{name} is not here")
    elif other.draft.keys.get("schedule") == unit.draft.keys.get("schedule"):
        _wait(unit, other, needs_success=False)
        say(setting, "same", f"both start at the same times; waits for {other.draft.id}, whatever becomes of it")
    else:
        why = (
            f"it would only wait while {name} happens to run; say `depends_on: [{other.draft.id}]` if it needs its work"
        )
        say(setting, "dropped", why)


def _wait(unit: Unit, other: Unit, *, needs_success: bool) -> None:
    waits = unit.draft.keys.setdefault("depends_on", [])
    if other.draft.id not in waits:
        waits.append(other.draft.id)
    if not needs_success:
        unit.draft.keys.setdefault("trigger_rule", "all_done")


def _afterwards(
    unit: Unit, setting: Setting, name: str, pulled: Callable[[str, str], Unit | None], say: Say
) -> list[Unit]:
    stem = unit.service.removesuffix(".service")
    filled = name.replace("%n", unit.service).replace("%N", stem).replace("%p", stem.partition("@")[0])
    wish = f"{unit.draft.id}-{'failed' if setting.key == 'OnFailure' else 'succeeded'}"
    found = None if "%" in re.sub(r"%i", "", filled) else pulled(filled, wish)
    if found is None:
        say(setting, "dropped", f"{name} is not here; say `notify`, or a job with `trigger_rule: one_failed`")
        return []
    rule = "one_failed" if setting.key == "OnFailure" else "all_success"
    said = {key: value for key, value in found.draft.keys.items() if key == "description"}
    found.draft.keys = {
        **said, "depends_on": [unit.draft.id], "trigger_rule": rule, "overlap": "queue",
        **{key: value for key, value in found.draft.keys.items() if key not in said},
    }  # fmt: skip
    found.draft.unverifiable = "it has no times of its own"
    say(setting, "same", f"the job {found.draft.id}")
    return [found]
