"""Changing commands: at once by a running daemon, else remembered in the state for the next start."""

from __future__ import annotations

import argparse
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from dagsched.cli.far import far, looking, url_of
from dagsched.cli.output import print_json
from dagsched.cli.places import load_config_if_any, state_dir
from dagsched.cli.reading import config_in_force, reading
from dagsched.clock import SystemClock
from dagsched.errors import NoDaemon
from dagsched.model import Config, RunState
from dagsched.views.names import find_run, known_job

REMEMBERED = "remembered for the next start"


async def ask(home: Path, verb: str, body: Mapping[str, Any]) -> dict[str, Any] | None:
    """Return the running daemon's answer, None when none runs on this state; raises Refused, Unknown."""
    from dagsched.api.client import call

    if not home.is_dir():
        return None
    return await call(home, verb, dict(body))


async def act(args: argparse.Namespace, verb: str, body: Mapping[str, Any]) -> dict[str, Any] | None:
    """Have the daemon do it and return its answer, or remember it for the next start and return None."""
    if (url := url_of(args)) is not None:
        async with far(args, url) as there:
            return await there.ask(verb, body)
    home = state_dir(args)
    answer = await ask(home, verb, body)
    if answer is None:
        args.left_for, args.left = await _remember(home, verb, body), not_yet(verb, body)
    return answer


def not_yet(verb: str, body: Mapping[str, Any]) -> dict[str, Any]:
    """Return what the answer to a verb will look like, as far as it is known before it is carried out.

    Nothing has been made, so no run is listed; what only the daemon can know is None.
    """
    known = {name: body[name] for name in ("job", "run", "event", "id") if name in body}
    if verb == "trigger":
        return {"runs": [], "blocked": []}
    if verb == "emit":
        return {"event": body["event"], "repeated": None, "jobs": [], "runs": [], "blocked": []}
    return {"id": None, **known, "total": None} if verb == "backfill" else known


async def demand(args: argparse.Namespace, verb: str, body: Mapping[str, Any]) -> dict[str, Any]:
    """Return the daemon's answer; raises NoDaemon when none runs: these verbs mean nothing without one."""
    if (url := url_of(args)) is not None:
        async with far(args, url) as there:
            return await there.ask(verb, body)
    home = state_dir(args)
    answer = await ask(home, verb, body)
    if answer is None:
        raise NoDaemon(f"no daemon runs on {home}; start one with `dagsched run`")
    return answer


async def _remember(home: Path, verb: str, body: Mapping[str, Any]) -> str:
    """Leave it in the store and return who is active on another machine and will find it there, or ""."""
    from dagsched.stores import open_store

    home.mkdir(mode=0o700, parents=True, exist_ok=True)
    store = open_store(home)
    await store.open(write=True)
    try:
        await store.post(verb, body, SystemClock().now())
        return next((each.holder for each in await store.schedulers() if each.is_active), "")
    finally:
        await store.close()


async def run_meant(args: argparse.Namespace, *, prefer: Sequence[RunState] = ()) -> str:
    """Return the full name of the run in `args.run_name`; raises Unknown."""
    async with looking(args) as store:
        return (await find_run(store, args.run_name, prefer=prefer)).name


async def job_meant(args: argparse.Namespace) -> tuple[str, Config | None]:
    """Return the job in `args.job` and the configuration it is known from; raises Unknown.

    Known are the jobs of the configuration in force and, because a file may be newer, those of the files.
    """
    if (url := url_of(args)) is not None:
        async with far(args, url) as there:
            return args.job, await there.config_of(args.job)
    async with reading(state_dir(args), quiet=True) as store:
        found = await config_in_force(store)
        remembered = list(await store.marks())
    configs = [config for config in (found[1] if found else None, load_config_if_any(args.paths)) if config]
    known_job(args.job, [*remembered, *(id for config in configs for id in config.jobs)])
    return args.job, next((config for config in configs if args.job in config.jobs), None)


def left(args: argparse.Namespace) -> dict[str, Any]:
    """Return for `--json` what became of a command that nobody has carried out yet."""
    return {"left_for": args.left_for or None, **args.left}


def report(args: argparse.Namespace, answer: Mapping[str, Any] | None, done: str, subject: str) -> int:
    """Say that it was done (`paused nightly`), or that it is remembered, or print the answer for `--json`."""
    if args.json:
        print_json({"remembered": answer is None, **(answer if answer is not None else left(args))})
    elif answer is None and (other := getattr(args, "left_for", "")):
        print(f"{subject}: left for the active scheduler, {other}")
    elif answer is None:
        print(f"{subject}: no daemon is running, {REMEMBERED}")
    else:
        print(f"{done} {subject}".rstrip())
    return 0
