"""What stands at the top of a DAG: its times, and what it gives to each of its steps."""

from __future__ import annotations

import re
from dataclasses import dataclass, field
from datetime import UTC, datetime
from functools import partial
from typing import Any

from dagsched.importers.cronfields import Unreadable
from dagsched.importers.dagu import robfig
from dagsched.importers.dagu.containers import docker_run
from dagsched.importers.dagu.documents import Part
from dagsched.importers.dagu.script import filled, names_in
from dagsched.importers.dagu.surroundings import IsThere, Surroundings, shell_of, take_env, take_files
from dagsched.importers.dagu.values import VARIABLE, pairs_of, params_of, seconds_text
from dagsched.importers.dagu.words import canonical, text_of
from dagsched.importers.draft import Fire, Fires

DOTENV = (
    "sh reads it as each job starts, to which $, backticks and ; in its values mean more than to Dagu; its variables "
    "win over `env`"
)
_MAIL = "who is told is said once for all jobs: `notify` and a notifier of type email"
OTHERS = {
    "skip_if_successful": "a tick runs whether or not somebody ran the job before it",
    "log_dir": "logs are kept in the state directory",
    "log_output": "a run has one log, with both streams in it",
    "artifacts": "there is no store of artifacts",
    "step_types": "there are no types of steps of one's own; say what they run",
    "smtp": _MAIL,
    "mail_on": _MAIL,
    "error_mail": _MAIL,
    "info_mail": _MAIL,
    "wait_mail": _MAIL,
    "delay_sec": "a start has no delay; let the schedule be later",
    "restart_wait_sec": "nothing is restarted",
    "max_clean_up_time_sec": "the time between TERM and KILL is --grace of the daemon",
    "max_output_size": "outputs of a run are at most 64 KiB",
    "retry_policy": "a step is tried again, not the whole DAG: say `retry`",
    "queue": "there are no queues of runs: give the jobs a `pool`",
    "registry_auths": "there are no steps that run in containers",
    "otel": "the daemon is told about tracing, not a job",
    "run_config": "`trigger` asks no such thing",
    "webhook": "nothing starts by a webhook of its own: say `schedule: {event: NAME}`, which is emitted over HTTP",
    "worker_selector": "labels pick no machine here by themselves; start workers, and say `queue` and `labels`",
    "functions": "there are no functions; say what the steps run",
    "actions": "there are no actions of one's own; say what they run",
    "tools": "nothing installs programs; have them on the machine",
    "resources": "a job has no limits of its own; give the daemon's unit some",
    "shell_args": "arguments stand with the shell: say `shell: bash -x`",
    "tasks": "there are no steps that a model chooses",
    "build": "no job is left out because its files have not changed",
    **dict.fromkeys(("s3", "llm", "redis", "harness", "harnesses", "kubernetes"), "there are no steps of that type"),
}  # fmt: skip


@dataclass
class Times:
    """`keys`: schedule and what goes with it, for the jobs a start begins with; `fires`: Dagu's own times."""

    keys: dict[str, Any] = field(default_factory=dict)
    fires: Fires | None = None
    unverifiable: str = "it has no schedule"


def read_times(part: Part, timezone: str, is_main: bool) -> Times:
    """Return when a DAG starts; `timezone`: of Dagu's server."""
    times = Times()
    value = part.get("schedule")
    if value in (None, "", []):
        part.say("schedule", "same", "none")
        return times
    if not is_main:
        part.say("schedule", "dropped", "Dagu keeps to the schedule of a file's first document only")
        return times
    starts = value
    if isinstance(value, dict) and not {"kind", "expression", "at"} & value.keys():
        starts = value.get("start")
        for key in value.keys() - {"start"}:
            known = canonical(key) in ("stop", "restart")
            why = (
                f"`{key}`: nothing stops or restarts a job by the clock; say `timeout`"
                if known
                else f"Dagu knows no `{key}` in it"
            )
            part.say("schedule", "dropped", why)
    _take(part, times, starts if isinstance(starts, list) else [starts] if starts else [], timezone)
    return times


def _take(part: Part, times: Times, entries: list[Any], timezone: str) -> None:
    crons: list[robfig.Expression] = []
    instants: list[datetime] = []
    for entry in entries:
        try:
            found = _entry(entry)
        except Unreadable as error:
            part.say("schedule", "dropped", str(error))
            continue
        crons.append(found) if isinstance(found, robfig.Expression) else instants.append(found)
    zones = list(dict.fromkeys(each.timezone or timezone for each in crons))
    kept = [each for each in crons if (each.timezone or timezone) == zones[0]]
    left = [each for each in crons if (each.timezone or timezone) != zones[0]]
    if left:
        part.say(
            "schedule",
            "dropped",
            f"a job has one time zone, here {zones[0]}; make a copy of it for {', '.join(zones[1:])}",
        )
    if kept:
        texts = list(dict.fromkeys(robfig.cron_of(each) for each in kept))
        said: dict[str, Any] = {"cron": texts if len(texts) > 1 else texts[0]}
        if any(_is_either(text) for text in texts):
            said["days"] = "any"
        if zones[0] != timezone:
            said["timezone"] = zones[0]
        times.keys["schedule"] = said if len(said) > 1 or len(texts) > 1 else texts[0]
    if len(instants) > 1 or (kept and instants):
        part.say("schedule", "dropped", "a job has one schedule: `at` one instant, or cron expressions")
    elif instants:
        times.keys["schedule"] = {"at": f"{instants[0]:%Y-%m-%dT%H:%M:%SZ}"}
    part.say("schedule", "same")
    if crons or instants:
        spare = instants if kept or len(instants) > 1 else []
        times.fires = partial(_fires, kept, left, [each for each in instants if each not in spare], spare, timezone)
        times.keys["overlap"] = "skip"
        _catch_up(part, times)


def _fires(
    kept: Any, left: Any, at: list[datetime], spare: list[datetime], timezone: str, after: datetime, until: datetime
) -> Any:
    """Merge what was carried over with what was not, whose instants have that as their reason."""
    why = "a part of the schedule that could not be carried over"
    found = {tick: Fire(tick, 1, why) for tick in spare if after < tick <= until}
    found |= {fire.tick: fire for fire in robfig.fires(left, timezone, after, until, why)}
    found |= {fire.tick: fire for fire in robfig.fires(kept, timezone, after, until)}
    found |= {tick: Fire(tick) for tick in at if after < tick <= until}
    yield from (found[tick] for tick in sorted(found))


def _entry(entry: Any) -> robfig.Expression | datetime:
    if isinstance(entry, dict):
        at, entry = entry.get("at"), entry.get("expression")
        if at is not None:
            text = text_of(at)
            if not re.fullmatch(r"\d{4}-\d\d-\d\dT\d\d:\d\d:00(Z|[+-]\d\d:\d\d)", text):
                raise Unreadable(f"{text[:40]!r} is no instant with its offset, to the minute")
            try:
                return datetime.fromisoformat(text).astimezone(UTC)
            except (ValueError, OverflowError):
                raise Unreadable(f"{text!r} is no instant") from None
    if not isinstance(entry, str):
        raise Unreadable(f"{entry!r} is no cron expression")
    return robfig.read_expression(entry)


def _is_either(cron: str) -> bool:
    fields = cron.split()
    return "*" not in (fields[2], fields[4]) and "*" in fields[2] + fields[4]


def _catch_up(part: Part, times: Times) -> None:
    window = text_of(part.get("catchup_window")).replace(" ", "")
    policy = text_of(part.get("overlap_policy")) or "skip"
    if window and re.fullmatch(r"(\d+(\.\d+)?(d|h|m|s))+", window):
        times.keys["catchup"] = "latest" if policy == "latest" else "all"
        times.keys["catchup_window"] = window
        part.say("catchup_window", "same", "`catchup`, `catchup_window`")
        why = "ticks made up for wait for each other here, none is left out" if policy == "skip" else ""
        part.say("overlap_policy", "differs" if why else "same", why)
    elif window:
        part.say("catchup_window", "dropped", f"{window!r} is no length")
    part.say("overlap_policy", "same", "it only speaks of ticks made up for")


def read_surroundings(part: Part, name: str, folder: str, is_there: IsThere) -> Surroundings:
    """Return what a DAG gives to its steps; `folder`: where its file is, in which Dagu starts them."""
    around = Surroundings(name, part.sheet.file, folder)
    _variables(part, around)
    defaults = part.get("defaults")
    if isinstance(defaults, dict):
        around.defaults = {canonical(key): value for key, value in defaults.items()}
        part.say("defaults", "same", "written out in each job")
    if part.get("shell") is not None:
        around.shell, kind, why = shell_of(part.get("shell"))
        part.say("shell", kind, why)
    if isinstance(cwd := part.get("working_dir"), str) and cwd.strip():
        if (known := filled(cwd, around.env)) is None:
            around.lines.append(f'cd "{cwd}" || exit')
        around.cwd = known or folder
        part.say("working_dir", "same", "`cwd`")
    unknown = take_files(around, part.get("dotenv"), folder, is_there)
    part.say("dotenv", "dropped" if unknown else "differs" if around.files else "same", _unread(unknown) or DOTENV)
    if "timeout_sec" in part:
        around.timeout = part.get("timeout_sec")
    if "ssh" in part:
        around.unwritten = "the DAG's steps run by ssh; say `ssh HOST …`"
        part.say("ssh", "dropped", "nothing here runs steps by ssh")
    if "container" in part:
        around.container = part.get("container")
        kind = "dropped" if docker_run(around.container) is None else "differs"
        part.say(
            "container",
            kind,
            "each command gets a container of its own by `docker run`; files in one are gone after it",
        )
    _keys(part, around)
    return around


def _unread(paths: list[str]) -> str:
    return f"the path of {', '.join(paths)} is only known when it runs: read it in the command" if paths else ""


def _variables(part: Part, around: Surroundings) -> None:
    params = [*params_of(part.get("params"))]
    env = {name for name, _ in pairs_of(part.get("env"))}
    # Either may name the other; what is named comes first.
    if any(names_in(default or "") & env for _, default in params):
        _env(part, around)
        _params(part, around, params)
    else:
        _params(part, around, params)
        _env(part, around)
    _secrets(part, around)


def _env(part: Part, around: Surroundings) -> None:
    for name, why in take_env(around, part.get("env")):
        part.say("env", "dropped" if name is None else "differs", why)
    part.say("env", "same", "`env` of each job")


def _params(part: Part, around: Surroundings, params: list[tuple[str, str | None]]) -> None:
    for param, default in params:
        if not param:
            around.places.append(default or "")
        elif default is None:
            part.say("params", "dropped", f"{param} has no default: say its value in `env`")
        elif any(each is None for each, _ in take_env(around, {param: default})):
            part.say("params", "dropped", f"{param} is no variable that a job can have")
    if any(default is not None for _, default in params):
        part.say(
            "params",
            "differs",
            "they are `env` of each job with their defaults; `trigger --param` does not change them",
        )
    part.say("params", "same")


def _secrets(part: Part, around: Surroundings) -> None:
    secrets = {}
    for each in part.get("secrets") if isinstance(part.get("secrets"), list) else []:
        given = each if isinstance(each, dict) else {}
        provider, name, key = (text_of(given.get(word)) for word in ("provider", "name", "key"))
        fits = VARIABLE.fullmatch(name) and (
            (provider == "env" and VARIABLE.fullmatch(key)) or (provider == "file" and key.startswith("/"))
        )
        if fits:
            secrets[name] = f"{provider}:{key}"
        else:
            part.say(
                "secrets", "dropped", f"{name or 'one'} is neither from a variable nor from a file with its whole path"
            )
    if secrets:
        around.keys["secrets"] = secrets
    part.say("secrets", "same")


def _keys(part: Part, around: Surroundings) -> None:
    part.say("consts", "same", "written out where they are named")
    labels = [*_labels(part.get("labels"))]
    if group := text_of(part.get("group")):
        labels.insert(0, group)
    if labels:
        around.keys["tags"] = list(dict.fromkeys(labels))
    part.say("labels", "same", "`tags`")
    part.say("group", "same", "a tag")
    for name, key in (("hist_retention_days", "days"), ("hist_retention_runs", "runs")):
        count = part.get(name)
        if isinstance(count, int) and count is not True and 0 < count < 36_500:
            around.keys.setdefault("keep", {})[key] = count
            part.say(name, "same", "`keep`")
        else:
            part.say(name, "dropped", f"{count!r} keeps nothing, and that cannot be said")
    part.say("max_active_runs", "same", "a schedule starts no DAG that still runs")
    part.say("name", "same")
    part.say("description", "same")
    part.say("type", "same")
    if part.get("worker_selector") == "local":
        part.say("worker_selector", "same")
    if seconds_text(part.get("timeout_sec")) is None:
        part.say("timeout_sec", "same", "none")


def _labels(value: Any) -> list[str]:
    if isinstance(value, str):
        return [each for each in re.split(r"[,\s]+", value) if each]
    if isinstance(value, dict):
        return [f"{key}={text_of(each)}" for key, each in value.items()]
    return [text for each in value for text in _labels(each)] if isinstance(value, list) else []
