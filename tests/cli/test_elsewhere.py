"""With `--url` a command prints what it prints beside the daemon, and ends with the same code."""

from __future__ import annotations

import json
import subprocess
import sys
from collections.abc import Iterator
from contextlib import closing
from datetime import timedelta
from pathlib import Path

import pytest

from dagsched.cli import COMMANDS
from dagsched.model import utc
from dagsched.stores.notices import Notices
from tests.api.caller import Caller, called
from tests.daemon.served import environment

NOW = utc(2026, 11, 23, 14)


@pytest.fixture(scope="module")
def caller(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Caller]:
    with called(tmp_path_factory.mktemp("served")) as found:
        found.run_once("extract")
        found.run_once("broken", "run.failed")
        found.post("/jobs/nightly/pause")
        yield found


def run(*words: str, cwd: Path | None = None, **env: str) -> tuple[int, str, str]:
    done = subprocess.run(
        [sys.executable, "-m", "dagsched", *words],
        cwd=cwd,
        capture_output=True,
        text=True,
        env={**environment(), **env},
        timeout=60,
        check=False,
    )
    return done.returncode, done.stdout, done.stderr


def here_and_there(caller: Caller, tmp_path: Path, *words: str) -> tuple[tuple[int, str], tuple[int, str]]:
    here = run(*words, cwd=caller.daemon.folder)
    there = run(*words, "--url", caller.url, "--token", caller.token, cwd=tmp_path)
    return here[:2], there[:2]


def test_reading_commands_print_the_same_from_elsewhere(caller: Caller, tmp_path: Path) -> None:
    newest = caller.get("/runs?job=broken&limit=1")["items"][0]["run"]
    for words in (
        ("status", "--json"),
        ("history", "--json"),
        ("history", "broken", "--state", "failed", "--limit", "1"),
        ("history", "--limit", "0"),
        ("show", newest, "--json"),
        ("show", "extract"),
        ("show", "load", "--json"),
        ("logs", "extract"),
        ("logs", newest, "--attempt", "1", "--json"),
        ("events", "--json"),
        ("events", "--since", "3", "--job", "broken"),
        ("stats", "--json"),
        ("stats", "broken"),
        ("stats", "--by", "day"),
        ("stats", "--by", "day", "--json"),
        ("why", newest),
        ("why", "load", "--json"),
        ("next", "--json"),
        ("next", "nightly", "-n", "3", "--from", "2026-03-28", "--json"),
        ("graph",),
        ("graph", "load", "--json"),
        ("history", "lod"),
        ("show", "nobody"),
        ("why", "nightly", "never"),
    ):
        here, there = here_and_there(caller, tmp_path, *words)
        assert there == here, words


def test_changing_commands_steer_a_daemon_elsewhere(caller: Caller, tmp_path: Path) -> None:
    env = {"DAGSCHED_URL": caller.url, "DAGSCHED_TOKEN": caller.token}
    code, out, _ = run("trigger", "extract", "--param", "day=tue", cwd=tmp_path, **env)
    assert (code, out.startswith("job:extract:")) == (0, True)
    name = out.splitlines()[0]
    assert caller.get(f"/runs/{name}")["params"] == {"day": "tue"}
    assert run("trigger", "extract", "--param", "dya=tue", cwd=tmp_path, **env)[0] == 2
    assert run("resume", "nightly", cwd=tmp_path, **env)[1] == "resumed nightly\n"
    code, out, _ = run("pause", "nightly", "--json", cwd=tmp_path, **env)
    assert json.loads(out) == {"remembered": False, "job": "nightly"}
    assert run("emit", "arrived", "--data", "file=x", cwd=tmp_path, **env)[1].startswith("job:listener:")
    assert run("ack", "broken", cwd=tmp_path, **env)[0] == 0
    assert run("rerun", "broken", cwd=tmp_path, **env)[0] == 0
    assert run("cancel", name, cwd=tmp_path, **env)[0] == 1
    assert run("reload", cwd=tmp_path, **env)[1].endswith("as before\n")
    assert run("prune", cwd=tmp_path, **env)[1].startswith("deleted 0 runs")
    assert run("pause", "nigthly", cwd=tmp_path, **env)[0] == 2


def test_the_socket_of_the_state_directory_is_an_address_too(caller: Caller, tmp_path: Path) -> None:
    url = f"unix:{caller.daemon.folder}/.dagsched/api.sock"
    assert run("history", "--url", url, cwd=tmp_path)[0] == 0


@pytest.mark.parametrize(
    ("words", "code", "why"),
    [
        (("--token", "wrong"), 2, "--token"),
        ((), 2, "--token"),
        (("--url", "http://127.0.0.1:1"), 4, "no daemon answers at http://127.0.0.1:1"),
        (("--url", "ftp://x"), 2, "write http://"),
        (("--url", "127.0.0.1:8420"), 2, "write http://"),
        (("--state-dir", "x", "--url", "http://127.0.0.1:1"), 2, "goes with none of"),
    ],
)
def test_what_keeps_a_command_from_a_daemon_elsewhere_is_told(
    caller: Caller, tmp_path: Path, words: tuple[str, ...], code: int, why: str
) -> None:
    given = words if "--url" in words else ("--url", caller.url, *words)
    found, _, told = run("status", *given, cwd=tmp_path)
    assert (found, why in told) == (code, True), told


def test_a_viewer_is_told_what_it_takes(caller: Caller, tmp_path: Path) -> None:
    token = caller.make_token("viewer")
    code, _, told = run("pause", "nightly", "--url", caller.url, "--token", token, cwd=tmp_path)
    assert (code, "takes the role operator" in told) == (1, True)


def test_what_is_named_here_is_here_whatever_the_environment_says(caller: Caller) -> None:
    words = ("history", "--json", "--state-dir", str(caller.daemon.folder / ".dagsched"))
    assert run(*words, DAGSCHED_URL="http://127.0.0.1:1")[0] == 0


DEAD = "http://127.0.0.1:1"


@pytest.mark.parametrize(
    "words",
    [
        ("plan", "new.yaml", "--json"),
        ("simulate", "--from", "2026-11-24", "--days", "1", "--seed", "2", "--json"),
        ("config", "nightly", "--json"),
        ("graph", "--json"),
        ("next", "nightly", "-n", "2", "--from", "2026-11-24", "--json"),
        ("backfill", "nightly", "--from", "2026-11-02", "--to", "2026-11-03", "--dry-run", "--json"),
        ("why", "nightly", "2026-03-01T02:00Z", "--json"),
        ("metrics",),
    ],
    ids=lambda words: words[0],
)
def test_the_environment_says_where_a_command_looks_that_reads_files_here(
    caller: Caller, tmp_path: Path, words: tuple[str, ...]
) -> None:
    """Also beside a job file that says something else, which is what such a command would read here."""
    (tmp_path / "jobs.yaml").write_text("jobs: {other: {run: 'true'}}\n")
    there = (caller.daemon.folder / "jobs.yaml").read_text()
    (tmp_path / "new.yaml").write_text(there.replace("0 3 * * *", "0 4 * * *"))
    given = run(*words, "--url", caller.url, "--token", caller.token, cwd=tmp_path)
    found = run(*words, cwd=tmp_path, DAGSCHED_URL=caller.url, DAGSCHED_TOKEN=caller.token)
    assert given[0] == found[0] == 0, found
    assert len(found[1]) > 2
    if words[0] not in ("metrics", "plan"):  # of which the first has figures of this instant, the other begins with it
        assert found[1] == given[1]
    code, _, told = run(*words, cwd=tmp_path, DAGSCHED_URL=caller.url)
    assert (code, "$DAGSCHED_TOKEN" in told) == (2, True)
    code, _, told = run(*words, cwd=tmp_path, DAGSCHED_URL=DEAD, DAGSCHED_TOKEN=caller.token)
    assert (code, DEAD in told) == (4, True)


@pytest.mark.parametrize(
    "words",
    [
        ("plan", "jobs.yaml", "--against", "jobs.yaml", "--json"),
        ("plan", "jobs.yaml", "--state-dir", "state", "--json"),
        ("simulate", "jobs.yaml", "--days", "1", "--json"),
        ("config", "--file", "jobs.yaml", "--json"),
        ("graph", "--file", "jobs.yaml", "--json"),
        ("next", "--file", "jobs.yaml", "--json"),
        ("emit", "arrived", "--file", "jobs.yaml", "--json"),
        ("status", "--store", "sqlite:", "--state-dir", "state", "--json"),
    ],
    ids=lambda words: " ".join(words[:2]),
)
def test_files_and_states_that_are_named_are_here_whatever_the_environment_says(
    tmp_path: Path, words: tuple[str, ...]
) -> None:
    (tmp_path / "jobs.yaml").write_text("jobs: {here: {schedule: '0 3 * * *', run: 'true'}}\n")
    code, out, told = run(*words, cwd=tmp_path, DAGSCHED_URL=DEAD, DAGSCHED_TOKEN="nobody's")
    assert (code, told) == (0, "")
    assert out


def test_a_store_that_is_named_is_no_daemon_elsewhere(tmp_path: Path) -> None:
    named = ("status", "--store", "postgresql://nobody@127.0.0.1:1/none")
    code, _, told = run(*named, cwd=tmp_path, DAGSCHED_URL=DEAD)
    assert (code, "no state: " in told) == (2, True), told
    code, _, told = run(*named, "--url", DEAD, cwd=tmp_path)
    assert (code, "goes with none of --store" in told) == (2, True), told


def test_a_plan_and_a_forecast_are_made_elsewhere(caller: Caller, tmp_path: Path) -> None:
    edited = (caller.daemon.folder / "jobs.yaml").read_text().replace("0 3 * * *", "0 4 * * *")
    (tmp_path / "new.yaml").write_text(edited)
    there = ("--url", caller.url, "--token", caller.token)
    code, out, _ = run("plan", "new.yaml", "--exit-code", *there, cwd=tmp_path)
    assert (code, "1 job changed" in out) == (1, True)
    code, out, _ = run("plan", "new.yaml", "--json", *there, cwd=tmp_path)
    assert [each["job"] for each in json.loads(out)["jobs"]["changed"]] == ["nightly"]
    (tmp_path / "bad.yaml").write_text("jobs: {x: {runn: 'true'}}\n")
    assert run("plan", "bad.yaml", *there, cwd=tmp_path)[0] == run("plan", "bad.yaml", cwd=tmp_path)[0]
    assert run("plan", "none.yaml", *there, cwd=tmp_path)[0] == run("plan", "none.yaml", cwd=tmp_path)[0]
    words: tuple[str, ...] = ("simulate", "--from", "2026-11-24", "--days", "1", "--seed", "2", "--duration", "5m")
    same = here_and_there(caller, tmp_path, *words)
    assert same[0] == same[1]
    assert run("simulate", "new.yaml", *there, cwd=tmp_path)[0] == 2


def test_the_jobs_in_effect_are_read_elsewhere(caller: Caller, tmp_path: Path) -> None:
    code, out, _ = run("config", "nightly", "--json", "--url", caller.url, "--token", caller.token, cwd=tmp_path)
    assert (code, json.loads(out)["said"]["schedule"]) == (0, "0 3 * * *")
    viewer = caller.make_token("viewer")
    assert run("config", "--url", caller.url, "--token", viewer, cwd=tmp_path)[0] != 0


def test_what_people_were_told_is_read_elsewhere(caller: Caller, tmp_path: Path) -> None:
    here, there = here_and_there(caller, tmp_path, "notifications", "--json")
    assert there == here == (0, "")
    with closing(Notices(caller.daemon.folder / ".dagsched", write=True)) as notices:
        for number, kind in enumerate(("failure", "recovered")):
            notices.queue(f"m{number}", "ops", kind, f"{kind} of extract", {}, NOW + number * timedelta(seconds=1))
        notices.failed(notices.waiting()[0], NOW, "status 404")
    for words in ((), ("--json",), ("--failed", "--json"), ("--limit", "1"), ("--limit", "0", "--json")):
        here, there = here_and_there(caller, tmp_path, "notifications", *words)
        assert there == here, words
        assert "ops" in there[1], words
    (told,) = caller.get("/notifications?failed=true")["items"]
    assert (told["id"], told["error"], told["next_try"]) == ("m0", "status 404", None)


def test_figures_come_from_elsewhere(caller: Caller, tmp_path: Path) -> None:
    code, out, _ = run("metrics", "--url", caller.url, "--token", caller.token, cwd=tmp_path)
    assert (code, "dagsched_build_info" in out) == (0, True)
    assert run("metrics", "--url", caller.url, "--token", "wrong", cwd=tmp_path)[0] == 2


def test_a_backfill_is_shown_begun_followed_and_listed_elsewhere(caller: Caller, tmp_path: Path) -> None:
    week = ("backfill", "nightly", "--from", "2026-11-02", "--to", "2026-11-04")
    here, there = here_and_there(caller, tmp_path, *week, "--dry-run", "--json")
    assert there == here
    assert json.loads(there[1])["runs"] == 3
    env = {"DAGSCHED_URL": caller.url, "DAGSCHED_TOKEN": caller.token}
    assert run(*week, cwd=tmp_path, **env)[0] == 2, "it asks first, and nobody is there to answer"
    code, out, _ = run(*week, "--yes", "--follow", "--max-active", "3", cwd=tmp_path, **env)
    assert (code, out) == (0, "backfill 1 of nightly is done: 3 of 3 ticks, 3 success, 0 failed, 0 skipped\n")
    here, there = here_and_there(caller, tmp_path, "backfill", "--list", "--json")
    assert there == here
    assert json.loads(run(*week, "--yes", "--json", cwd=tmp_path, **env)[1])["id"] is None
    assert run("backfill", "nightly", "--from", "2026-11-02", "--to", "2126-11-02", cwd=tmp_path, **env)[0] == 1
    assert run("backfill", "nigthly", "--from", "2026-11-02", cwd=tmp_path, **env)[0] == 2
    assert run("backfill", "--cancel", "1", cwd=tmp_path, **env)[0] == 1


def test_followers_elsewhere_are_told_as_it_happens(caller: Caller, tmp_path: Path) -> None:
    there = ("--url", caller.url, "--token", caller.token)
    since = str(caller.get("/events?limit=1000")["items"][-1]["seq"])
    words = [sys.executable, "-m", "dagsched", "events", "-f", "--json", "--job", "long", "--since", since, *there]
    with subprocess.Popen(words, cwd=tmp_path, stdout=subprocess.PIPE, text=True, env=environment()) as follower:
        assert follower.stdout is not None
        name = caller.post("/jobs/long/trigger")["runs"][0]
        while json.loads(follower.stdout.readline())["type"] != "run.started":
            pass
        logs = [sys.executable, "-m", "dagsched", "logs", "-f", name, *there]
        with subprocess.Popen(logs, cwd=tmp_path, stdout=subprocess.PIPE, text=True, env=environment()) as reader:
            assert reader.stdout is not None
            assert reader.stdout.readline() == "begun\n"
            caller.post(f"/runs/{name}/cancel")
            assert reader.wait(60) == 0
        while json.loads(follower.stdout.readline())["type"] != "run.cancelled":
            pass
        follower.terminate()


HERE_ONLY = {
    "init": "it writes files here",
    "validate": "it needs no daemon: the same files give the same problems everywhere",
    "schema": "it is that of the version at hand",
    "run": "it is the daemon",
    "worker": "it works here",
    "notify": "it tries the channels with the environment of this machine",
    "token": "who may write the state makes tokens; nobody else should",
    "open": "it logs in whoever may read the state",
    "db": "it reaches the database by itself, with or without a daemon",
    "import": "it reads files here",
    "doctor": "it looks at this machine",
    "completion": "it is for the shell here",
    "man": "it is that of the version at hand",
}


@pytest.mark.parametrize("command", [name for name, line in COMMANDS.items() if line])
def test_every_command_looks_elsewhere_or_says_why_not(command: str) -> None:
    has_url = "--url" in run(command, "--help")[1]
    assert has_url != (command in HERE_ONLY)
