"""What stands beside the program and is used by other programs: service, container, pre-commit, GitHub, SchemaStore."""

from __future__ import annotations

import argparse
import json
import os
import re
import shlex
import shutil
import subprocess
import sys
import threading
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

import pytest
import yaml

from dagsched import load
from dagsched.cli import parse
from dagsched.cli.times import parse_length
from dagsched.config.grammar import FORMAT
from dagsched.daemon.stopping import KILL_GRACE
from dagsched.worker.service import RENEW_S
from tests.packaging.places import ROOT

GOOD = "version: 1\njobs: {a: {schedule: 0 2 * * *, run: x}}\n"
WRONG = "version: 1\njobs: {a: {run: x, depends_on: [b]}}\n"


def sh(text: str, folder: Path, **env: str) -> subprocess.CompletedProcess[str]:
    path = os.pathsep.join([str(Path(sys.executable).parent), os.environ["PATH"]])
    return subprocess.run(
        ["bash", "--noprofile", "--norc", "-eo", "pipefail", "-c", text],
        cwd=folder,
        env={"PATH": path, "HOME": str(folder), **env},
        capture_output=True,
        text=True,
        timeout=120,
    )


# ---------------------------------------------------------------- systemd


@pytest.mark.skipif(shutil.which("systemd-analyze") is None, reason="systemd-analyze is not here")
@pytest.mark.parametrize("name", ["dagsched.service", "dagsched-worker.service"])
def test_systemd_finds_nothing_wrong_with_the_unit(tmp_path: Path, name: str):
    unit = tmp_path / name
    here = str(Path(sys.executable).parent / "dagsched")
    unit.write_text((ROOT / "examples" / unit.name).read_text().replace("/opt/dagsched/bin/dagsched", here))
    done = sh(f"systemd-analyze verify --man=no {shlex.quote(str(unit))}", tmp_path)
    assert (done.returncode, [line for line in done.stderr.splitlines() if name in line]) == (0, [])


# ---------------------------------------------------------------- container

CONTAINERFILE = (ROOT / "Containerfile").read_text()


def instruction(word: str) -> str:
    """Return what follows the last instruction of this name, its lines joined."""
    return re.findall(rf"^{word} ((?:.*\\\n)*.*)", CONTAINERFILE, re.MULTILINE)[-1].replace("\\\n", " ")


def parsed_command() -> argparse.Namespace:
    """Return what the container starts, as the program reads it."""
    init, _, program, *words = [*json.loads(instruction("ENTRYPOINT")), *json.loads(instruction("CMD"))]
    assert (init, program) == ("tini", "dagsched")
    return parse(words[0], words[1:])[1]


def test_the_container_starts_what_the_program_knows_as_an_ordinary_user():
    assert parsed_command().bind
    assert instruction("USER") == "dagsched"
    assert "useradd --uid 10001 --gid 10001" in CONTAINERFILE


@pytest.mark.parametrize("name", ["dagsched.service", "dagsched-worker.service"])
def test_units_start_what_the_program_knows(name: str):
    text = (ROOT / "examples" / name).read_text()
    lines = dict(re.findall(r"^(\w+)=(.*)$", text, re.MULTILINE))
    _, command, *words = lines["ExecStart"].split()
    _, args = parse(command, words)
    # systemd gives up waiting, and kills, after what the program may take: grace, TERM, ten seconds, KILL.
    assert float(lines["TimeoutStopSec"]) > parse_length(args.grace).total_seconds() + KILL_GRACE.total_seconds()
    assert (lines["Type"], lines["KillMode"], lines["Delegate"]) == ("notify", "process", "yes")
    # Both give signs of life; without this line nobody misses them.
    assert float(lines["WatchdogSec"]) >= 2 * RENEW_S


def test_the_containers_of_a_fleet_start_what_the_program_knows():
    services = yaml.safe_load((ROOT / "examples" / "fleet" / "compose.yaml").read_text())["services"]
    ours = {name: each for name, each in services.items() if name != "db"}
    for each in ours.values():
        command, *words = each["command"]
        _, args = parse(command, words)
        stops_in = parse_length(args.grace).total_seconds() + KILL_GRACE.total_seconds()
        assert parse_length(each["stop_grace_period"]).total_seconds() > stops_in
        _, program, command, *words = each["healthcheck"]["test"]
        assert program == "dagsched"
        parse(command, words)
        assert f"ARG {next(iter(each['build']['args']))}=" in CONTAINERFILE
    # Whoever shares a state directory shares a lock.
    states = [volume for each in ours.values() for volume in each["volumes"] if volume.endswith(":/var/lib/dagsched")]
    assert len(set(states)) == len(states) == len(ours)
    # A container made anew has another name than the one before, unless it is given one: docs/postgresql.md.
    assert {name: each.get("hostname") for name, each in ours.items()} == {name: name for name in ours}


def test_a_fleet_in_containers_has_job_files_that_give_all_its_parts_work():
    folder = ROOT / "examples" / "fleet"
    services = yaml.safe_load((folder / "compose.yaml").read_text())["services"]
    for name in ("scheduler-a", "scheduler-b"):
        assert "./jobs:/etc/dagsched:ro" in services[name]["volumes"]
    config = load([folder / "jobs"])
    wanted = {job.queue or "local" for job in config.jobs.values()}
    commands = [each["command"] for each in services.values() if "--queues" in each.get("command", ())]
    served = ",".join(words[words.index("--queues") + 1] for words in commands)
    assert wanted == {"local", *served.split(",")}


def test_the_container_is_given_every_file_that_it_copies():
    copied = re.findall(r"^COPY (?!--from)(.*) \S+$", CONTAINERFILE, re.MULTILINE)
    names = {name for line in copied for name in line.split()}
    let_in = {line[1:] for line in (ROOT / "Containerfile.dockerignore").read_text().splitlines() if line[0] == "!"}
    assert names == let_in
    assert [name for name in names if not (ROOT / name).exists()] == []


def test_the_containers_health_check_asks_the_daemon_itself_whether_it_is_ready(tmp_path: Path):
    words = instruction("HEALTHCHECK").partition(" CMD ")[2]
    python, flag, code = json.loads(words)
    assert (python, flag) == ("python", "-c")
    assert f":{parsed_command().bind.rpartition(':')[2]}/readyz'" in code
    with ThreadingHTTPServer(("127.0.0.1", 0), Answering) as server:
        threading.Thread(target=server.serve_forever, daemon=True).start()
        here = code.replace(":8420/", f":{server.server_port}/")
        # What is set for the jobs' sake is nobody that could tell how the daemon is.
        for status, expected in ((200, 0), (503, 1)):
            Answering.status = status
            done = sh(f"python -c {shlex.quote(here)}", tmp_path, http_proxy="http://127.0.0.1:1")
            assert done.returncode == expected, done.stderr
        server.shutdown()


class Answering(BaseHTTPRequestHandler):
    status = 200

    def do_GET(self) -> None:
        self.send_response(self.status)
        self.end_headers()

    def log_message(self, format: str, *args: Any) -> None:
        """Keep quiet."""


# ---------------------------------------------------------------- pre-commit and GitHub


def test_the_pre_commit_hook_refuses_a_commit_with_a_wrong_job_file(tmp_path: Path):
    [hook] = yaml.safe_load((ROOT / ".pre-commit-hooks.yaml").read_text())
    assert re.search(hook["files"], "etl/jobs.yaml")
    (tmp_path / "jobs.yaml").write_text(GOOD)
    assert sh(hook["entry"], tmp_path).returncode == 0
    (tmp_path / "jobs.yaml").write_text(WRONG)
    assert sh(hook["entry"], tmp_path).returncode == 3


ACTION = yaml.safe_load((ROOT / "action.yml").read_text())


def step(name: str) -> dict[str, Any]:
    return next(each for each in ACTION["runs"]["steps"] if each.get("name") == name)


def test_no_text_of_other_people_is_pasted_into_the_actions_commands():
    assert [each["name"] for each in ACTION["runs"]["steps"] if "${{" in each.get("run", "")] == []


def test_every_input_that_the_action_uses_is_declared():
    used = set(re.findall(r"inputs\.([\w-]+)", (ROOT / "action.yml").read_text()))
    assert used == set(ACTION["inputs"])


@pytest.mark.parametrize(
    ("text", "strict", "code"),
    [
        pytest.param(GOOD, "false", 0, id="a good file"),
        pytest.param(WRONG, "false", 3, id="a wrong file"),
        pytest.param(GOOD.replace("0 2 * * *", "'*/45 * * * *'"), "true", 1, id="a warning"),
    ],
)
def test_the_action_annotates_what_is_wrong(tmp_path: Path, text: str, strict: str, code: int):
    (tmp_path / "jobs.yaml").write_text(text)
    done = sh(step("Validate")["run"], tmp_path, JOBS="jobs.yaml", STRICT=strict)
    assert done.returncode == code, done.stdout + done.stderr
    assert ("::error" in done.stdout) == (code == 3)


def test_the_action_says_what_a_pull_request_would_change(tmp_path: Path):
    tree, summary = tmp_path / "tree", tmp_path / "summary.md"
    tree.mkdir()
    (tree / "readme").write_text("x")
    git = "git -c user.name=a -c user.email=a@b.c"
    commit = f"{git} add -A; {git} commit -qm x; git rev-parse HEAD"
    empty = sh(f"git init -q .; {commit}", tree).stdout.strip()
    (tree / "jobs.yaml").write_text(GOOD)
    base = sh(commit, tree).stdout.strip()
    (tree / "jobs.yaml").write_text(GOOD.replace("0 2", "0 3"))
    sh(commit, tree)

    env = {"JOBS": "jobs.yaml", "DAYS": "7", "GITHUB_STEP_SUMMARY": str(summary), "TMPDIR": str(tmp_path)}
    done = sh(step("Plan")["run"], tree, BASE=base, **env)
    assert done.returncode == 0, done.stderr
    assert "03:00" in summary.read_text()
    done = sh(step("Plan")["run"], tree, BASE=empty, **env)
    assert done.returncode == 0, done.stderr
    assert summary.read_text().endswith("`jobs.yaml` is new.\n")
    assert sh("git worktree list", tree).stdout.count("\n") == 1


# ---------------------------------------------------------------- the schema


def test_the_schemas_address_names_the_format_it_describes():
    schema = json.loads((ROOT / "schemas" / "jobs.schema.json").read_text())
    entry = json.loads((ROOT / "schemas" / "catalog.json").read_text())
    assert schema["properties"]["version"]["const"] == FORMAT
    assert f"/v{FORMAT}/" in schema["$id"]
    assert entry["url"] == entry["versions"][str(FORMAT)] == schema["$id"]


# ---------------------------------------------------------------- Grafana


def test_every_metric_of_the_dashboard_is_one_that_is_told():
    dashboard = json.loads((ROOT / "examples" / "grafana.json").read_text())
    used = {
        re.sub(r"_(bucket|sum|count)$", "", name)
        for panel in dashboard["panels"]
        for target in panel["targets"]
        for name in re.findall(r"dagsched_\w+", target["expr"])
    }
    told = set(re.findall(r"`(dagsched_\w+)`", (ROOT / "docs" / "metrics.md").read_text()))
    assert used
    assert used <= told
    page = (ROOT / "docs" / "grafana.md").read_text()
    assert [panel["title"] for panel in dashboard["panels"] if panel["title"] not in page] == []
