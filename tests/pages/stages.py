"""What pages take for granted, and the commands on them that are not run, each with the reason.

Pages that are not named begin in an empty folder, and all of their commands are run as they are.
"""

from __future__ import annotations

from tests.pages.walk import Stage, daemon_in_background

_TREE = "works on the whole tree; .ci/run, tests/test_project.py and tests/bench run these"
_SYSTEM = "changes the machine, as root; tests/packaging checks the unit, tests/daemon what systemd is told"
_INSTALLS = "installs from the network; tests/packaging installs the wheel into an empty environment"
_ENGINE = "needs a container engine; tests/packaging checks what the image is made of, and runs it where there is one"

NOT_RUN = {
    "./dev demo": _TREE,
    "./dev test": _TREE,
    "./dev torture --seeds 10 --seconds 30": _TREE,
    "./dev bench": _TREE,
    "./dev test tests/engine": _TREE,
    "./dev torture --broken all": _TREE,
    "./dev torture --slant brief --seeds 3 --seconds 10": _TREE,
    "./dev torture --seeds 200 --seconds 30": _TREE,
    "./dev torture --seeds 1 --first-seed 42 --keep out": _TREE,
    "./dev torture --store postgresql --seeds 3 --seconds 30": _TREE,
    ".venv/bin/python -m tests.torture.auditor out/torture-42-…": _TREE,
    "./dev check": _TREE,
    "./dev docs": _TREE,
    "./dev site": _TREE,
    "./dev bench pipeline": _TREE,
    "./dev bench store --json": _TREE,
    "./dev bench schedules --runs 15": _TREE,
    "python3 -m venv ~/dagsched": _INSTALLS,
    "~/dagsched/bin/pip install -c constraints.txt .": _INSTALLS,
    "python3 -m venv /opt/dagsched": _INSTALLS,
    "/opt/dagsched/bin/pip install -c constraints.txt .": _INSTALLS,
    "/opt/dagsched/bin/pip install --require-hashes -r requirements.lock": _INSTALLS,
    "/opt/dagsched/bin/pip install --no-deps .": _INSTALLS,
    "/opt/dagsched/bin/pip install -c constraints.txt '.[postgres]'": _INSTALLS,
    "python3 -m pip wheel -c constraints.txt -w wheels .": _INSTALLS,
    "/opt/dagsched/bin/pip install --no-index --find-links wheels dagsched": _INSTALLS,
    "/opt/dagsched/bin/dagsched --version": _INSTALLS,
    "pip install 'dagsched[postgres]'": _INSTALLS,
    "pip install dagsched pytest": _INSTALLS,
    "sudo useradd --system --home-dir /var/lib/dagsched --shell /usr/sbin/nologin dagsched": _SYSTEM,
    "sudo mkdir /etc/dagsched && sudo cp jobs.yaml /etc/dagsched/": _SYSTEM,
    "sudo cp examples/dagsched.service /etc/systemd/system/": _SYSTEM,
    "sudo systemctl daemon-reload && sudo systemctl enable --now dagsched": _SYSTEM,
    "systemctl status dagsched": _SYSTEM,
    "sudo /opt/dagsched/bin/pip install -c constraints.txt .": _SYSTEM,
    "docker build -f Containerfile -t dagsched .": _ENGINE,
    'docker run -d --name dagsched --restart unless-stopped --stop-timeout 40 \\\n    -v "$PWD/jobs:/etc/dagsched:ro" '
    "-v dagsched-state:/var/lib/dagsched \\\n    -p 127.0.0.1:8420:8420 dagsched": _ENGINE,
    "docker logs dagsched": _ENGINE,
    "docker exec dagsched dagsched status": _ENGINE,
    "DAGSCHED_TEST_ENGINE=docker ./dev test tests/packaging/test_container.py": _ENGINE,
    "cd examples/fleet": _ENGINE,
    '(umask 077; echo "DAGSCHED_DB_PASSWORD=$(openssl rand -hex 16)" > .env)': _ENGINE,
    "docker compose up --build --detach": _ENGINE,
    "docker compose logs scheduler-a scheduler-b": _ENGINE,
    "docker compose exec scheduler-a dagsched status": _ENGINE,
    "docker compose exec scheduler-a dagsched workers": _ENGINE,
    "docker compose kill scheduler-a": _ENGINE,
    "dagsched why weekly-report": "of a Monday at nine in New York; tests/test_newcomer.py lives through it",
    "DAGSCHED_FAULTS=all .venv/bin/python -m pytest tests/faults": _TREE,
    ".venv/bin/python -m tests.faults.soak --minutes 60": _TREE,
    "OTEL_EXPORTER_OTLP_ENDPOINT=http://collector:4318 dagsched run": "needs a collector; tests/tracing has one",
}
"""A command as it is shown → why it is not run."""

_TRIAL = "dagsched init >/dev/null; dagsched run --once >/dev/null\n"
_BACKGROUND = daemon_in_background()
_AS_SERVICE = {
    "sudo -u dagsched DAGSCHED_STATE_DIR=/var/lib/dagsched dagsched status": "dagsched status",
    "sudo -u dagsched DAGSCHED_STATE_DIR=/var/lib/dagsched dagsched stop --handover": "dagsched stop --handover",
    "sudo systemctl start dagsched": _BACKGROUND,
}


def _jobs(text: str) -> str:
    return f"cat > jobs.yaml <<'END OF FILE'\nversion: 1\n{text}\nEND OF FILE\n"


_ELSEWHEN = "what is printed hangs on the day, or on years of history"
_METRICS = "dagsched metrics --file /srv/etl/jobs.yaml --textfile /var/lib/node_exporter/dagsched.prom"

_READ = "python3 -c 'import sqlite3, sys; a = sqlite3.connect(sys.argv[1]); {}'"
_OVER_TCP = 'curl -s -H "Authorization: Bearer $DAGSCHED_TOKEN" http://127.0.0.1:8420/api/v1/status'
_FAILED = "SELECT * FROM runs_readable WHERE state = 'failed' ORDER BY tick DESC LIMIT 10"

STAGES = {
    "api.md": Stage(
        _TRIAL + _BACKGROUND,
        {
            _OVER_TCP: _OVER_TCP.replace("curl", "curl -f").replace(
                "http://127.0.0.1:8420", "$(sed -n 's/^dagsched: HTTP on //p' daemon.log)"
            )
        },
    ),
    "backfill.md": Stage(
        _jobs("timezone: Europe/Berlin\njobs: {nightly: {schedule: '0 2 * * *', run: sleep 60}}") + _BACKGROUND,
        {
            # Nobody is there to be asked.
            "dagsched backfill nightly --from 2026-10-01 --to 2026-10-31": "dagsched backfill nightly "
            "--from 2026-10-01 --to 2026-10-31 --yes --no-wait"
        },
        unchecked=_ELSEWHEN,
    ),
    "cloudevents.md": Stage(
        _TRIAL,
        {
            "dagsched events -f --since 0 --format cloudevents | your-shipper": "dagsched events --since 0 "
            "--format cloudevents | grep run.succeeded"
        },
        unchecked="broken into lines, to be read",
    ),
    "commands.md": Stage("export DAGSCHED_OUTPUT=output; echo all went well > summary.txt"),
    "continuous-integration.md": Stage(
        'cp "$ROOT"/examples/testing/*.* .; mkdir main; cp jobs.yaml main\n'
        "sed -i 's/0 2 /0 4 /' jobs.yaml; git init -q -b main .; git add jobs.yaml\n"
        "git -c user.name=you -c user.email=you@example.com commit -q -m jobs\n"
        "cp main/jobs.yaml .",
        {
            # The example has a job at two in the morning, so it gets a warning.
            "dagsched validate jobs.yaml --strict": ("dagsched validate jobs.yaml --strict || [ $? = 1 ]")
        },
    ),
    "events.md": Stage(
        _jobs(
            "jobs:\n  load: {schedule: {event: orders-arrived}, run: 'true'}\n"
            "  audit: {schedule: {event: orders-arrived}, run: 'true'}\n  report: {depends_on: [load], run: 'true'}"
        )
        + _BACKGROUND
    ),
    "grafana.md": Stage(_TRIAL, {_METRICS: "dagsched metrics --textfile dagsched.prom"}),
    "housekeeping.md": Stage(
        _jobs("keep: {runs: 5}\njobs: {often: {schedule: '*/5 * * * *', run: 'true'}}")
        + "dagsched run --once >/dev/null",
        unchecked=_ELSEWHEN,
    ),
    "importing.md": Stage(
        instead={"crontab -l > mine": "printf 'PATH=/usr/bin:/bin\\n30 2 * * * /opt/backup\\n' > mine"}
    ),
    "metrics.md": Stage(_TRIAL, {_METRICS: "dagsched metrics --textfile dagsched.prom"}),
    "operations.md": Stage(_TRIAL + _BACKGROUND, _AS_SERVICE),
    "plan.md": Stage(
        _jobs(
            "timezone: America/New_York\njobs:\n  nightly: {schedule: '15 1 * * *', run: sleep 60}\n"
            "  publish: {depends_on: [nightly], run: 'true'}\n  old: {depends_on: [nightly], run: 'true'}"
        )
        + _BACKGROUND
        + "\ndagsched trigger nightly\nsed 's/15 1/15 2/; s/  old: .*/  weekly: {schedule: 0 9 * * mon, run: date}/' "
        "jobs.yaml > new.yaml",
        unchecked=_ELSEWHEN,
    ),
    "postgresql.md": Stage(
        _TRIAL,
        {
            "dagsched run --store postgresql://dagsched@db.example.com/dagsched": daemon_in_background(
                "--store", "$SERVER", "--namespace", "walk$$"
            ),
            # One that is in its SQLite file still.
            "dagsched stop --wait": "dagsched stop --wait; mv .dagsched of-the-server; dagsched run --once >/dev/null",
            "dagsched db move sqlite: postgresql://dagsched@db.example.com/dagsched": (
                'dagsched db move sqlite: "$SERVER" --namespace moved$$'
            ),
            "dagsched run": _BACKGROUND,
        },
        unchecked="of two machines",
        server=True,
    ),
    "security.md": Stage(
        _TRIAL + _BACKGROUND + "\ncurl -sf -X POST --unix-socket .dagsched/api.sock http://local/api/v1/reload\n",
        {"dagsched run --allow-host sched.example.com": "grep HTTP daemon.log"},
    ),
    "state.md": Stage(
        _TRIAL,
        {
            # Not every machine has SQLite's shell.
            "sqlite3 .dagsched/dagsched.db \".backup '/backup/dagsched.db'\"": (
                _READ.format('a.backup(sqlite3.connect("backup.db"))') + " .dagsched/dagsched.db"
            ),
            f'sqlite3 -readonly .dagsched/dagsched.db "{_FAILED}"': (
                _READ.format("print(a.execute(sys.argv[2]).fetchall())") + f' .dagsched/dagsched.db "{_FAILED}"'
            ),
        },
    ),
    "simulate.md": Stage(
        _jobs("jobs:\n  extract: {schedule: '0 2 * * *', run: x}\n  load: {depends_on: [extract], run: y}")
    ),
    "testing.md": Stage('cp -r "$ROOT/examples" .'),
    "tutorial.md": Stage(
        instead={
            "dagsched run": f"{_BACKGROUND}\ntouch go",
            # A person sees the daemon's line before the next edit.
            "sed -i 's/\"30 1 /\"15 23 /' jobs.yaml": "sed -i 's/\"30 1 /\"15 23 /' jobs.yaml\n"
            "until grep -q 'configuration 2' daemon.log; do sleep 0.1; done",
            # The page sleeps for as long as a person needs to find the process; here it waits for the next daemon.
            "sed -i 's/set -e$/set -e; sleep 20/' jobs.yaml": "rm go\n"
            "sed -i 's/set -e$/set -e; until [ -e go ]; do sleep 0.1; done/' jobs.yaml",
            "kill -9 20433": "until dagsched status | grep -q 'archive *running'; do sleep 0.1; done\nkill -9 $!",
        },
    ),
    "workers.md": Stage(
        _TRIAL,
        {
            "dagsched run --store postgresql://dagsched@db.example.com/dagsched": (
                "export DAGSCHED_NAMESPACE=work$$\n" + daemon_in_background("--store", "$SERVER")
            ),
            "dagsched worker --store postgresql://dagsched@db.example.com/dagsched --queues etl --slots 4": (
                'dagsched worker --store "$SERVER" --queues etl --slots 4 --state-dir etl > etl.log 2>&1 & one=$!'
            ),
            "dagsched worker --store postgresql://dagsched@db.example.com/dagsched --queues ml,etl "
            "--labels gpu,zone=eu --slots 2": (
                'dagsched worker --store "$SERVER" --queues ml,etl --labels gpu,zone=eu --slots 2 --state-dir ml '
                "> ml.log 2>&1 & other=$!\n"
                "until [ \"$(dagsched workers | grep -c ' ready ')\" = 2 ]; do sleep 0.1; done"
            ),
            "dagsched workers": "dagsched workers; kill $one $other; wait $one $other || true",
        },
        unchecked="of several machines",
        server=True,
    ),
    "why.md": Stage(
        _jobs("pools: {p: 1}\njobs:\n  minutely: {run: sleep 60, pool: p}\n")
        + _BACKGROUND
        + "\ndagsched trigger minutely\n"
        "until dagsched status | grep -q 'minutely *running'; do sleep 0.1; done\n"
        "at=$(date -u -d '+2 seconds' +%Y-%m-%dT%H:%M:%SZ)\n"
        'echo "  second: {schedule: {at: $at}, pool: p, run: date}" >> jobs.yaml\n'
        "until dagsched status | grep -q 'second *queued'; do sleep 0.1; done"
    ),
}
"""The name of a page → what it takes for granted."""
