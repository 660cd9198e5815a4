"""DAGs of Dagu come over step by step, and what has no counterpart is said with its line."""

from __future__ import annotations

import json
import re
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from dagsched.importers import checked
from dagsched.importers.dagu import calls, read_dags
from tests.importers.dags import NOW, imported, jobs, jobs_of, verdict, waits


def run_of(step: str) -> Any:
    """Return what the job of a step with these keys runs; they are written as YAML in one line."""
    return jobs(f"steps: [{{name: s, {step}}}]")["a"].run


def test_one_step_is_one_job_named_after_the_dag():
    (job,) = jobs('description: Nightly\nschedule: "0 2 * * *"\nsteps: [{command: ./load.sh}]').values()
    assert (job.id, job.description, job.run, job.cwd) == ("a", "Nightly", "./load.sh", "/d")
    assert (job.schedule.cron, job.catchup, job.overlap) == (("0 2 * * *",), "none", "skip")


def test_steps_of_a_chain_wait_for_the_one_before():
    found = jobs("schedule: '@x'\nname: etl\nsteps:\n- ./a.sh\n- [./b.sh, ./c.sh]\n- name: last\n  script: ./d.sh\n")
    assert waits(found) == {
        "etl.1-a": [], "etl.2-b": ["etl.1-a"], "etl.3-c": ["etl.1-a"], "etl.last": ["etl.2-b", "etl.3-c"]
    }  # fmt: skip
    assert {job.overlap for job in found.values()} == {"queue"}


def test_steps_of_a_graph_wait_for_what_they_name():
    text = (
        "type: graph\nsteps:\n- {name: a one, id: a1, command: x}\n- {name: b, command: x}\n"
        "- {name: c, command: x, depends: [a1, b]}\n"
    )
    assert waits(jobs(text)) == {"a.a-one": [], "a.b": [], "a.c": ["a.a-one", "a.b"]}
    mapping = "steps:\n  one: {command: x}\n  two: {command: x}\n  three: {command: x, depends: one}\n"
    assert waits(jobs(mapping)) == {"a.one": [], "a.two": [], "a.three": ["a.one"]}


@pytest.mark.parametrize(
    ("steps", "kind", "second"),
    [
        ("[{name: a, command: x}, {name: b, command: x, depends: []}, {name: c, command: x, depends: a}]", "same", []),
        ("[{name: a, command: x}, {name: b, command: x}, {name: c, command: x, depends: a}]", "differs", []),
        ("[{name: a, command: x}, {name: b, command: x}]", "differs", ["a.a"]),
        ("[{name: a, run: x y}, {name: b, run: x}]", "same", []),
        ("[{name: a, command: x}]", "same", None),
    ],
    ids=["depends", "some depend", "none does", "new words", "one"],
)
def test_steps_without_a_type_wait_as_the_versions_of_dagu_have_it(steps, kind, second):
    read = imported(f"steps: {steps}")
    assert verdict(read, "steps")[0] == kind
    assert waits(jobs_of(read)).get("a.b") == second


def test_each_start_of_several_steps_is_told_to_differ():
    read = imported("schedule: '0 2 * * *'\nsteps: [a, b]")
    assert verdict(read, "schedule")[0] == "differs"
    assert [draft.keys.get("overlap") for draft in read.drafts] == ["skip", None]


@pytest.mark.parametrize(
    ("step", "run"),
    [
        ("command: ' ./x.sh --all '", "./x.sh --all"),
        ("command: 'a; b'", "set -e\na; b"),
        ('command: "a\\nb"', "set -e\na\nb"),
        ("command: [npm install, npm test]", "set -e\nnpm install\nnpm test"),
        ("command: [python, -c, print(1)]", ("python", "-c", "print(1)")),
        ("command: [git, --work, $DIR]", "git --work $DIR"),
        ("exec: {command: /bin/x, args: [1, 'a b']}", ("/bin/x", "1", "a b")),
        ('script: "one\\ntwo"', "set -e\none\ntwo"),
        ('command: bash, script: "one\\ntwo"', "one\ntwo"),
        ("command: python3, script: print(1)", "python3 /dev/stdin <<'SCRIPT'\nprint(1)\nSCRIPT"),
        ('script: "#!/usr/bin/env perl\\nprint 1"', "perl /dev/stdin <<'SCRIPT'\nprint 1\nSCRIPT"),
        ("command: x, shell: bash -x", "x"),
        ("command: x, stdout: /tmp/$A", 'exec >>"/tmp/$A"\nx'),
        ("command: x, working_dir: $HOME/b", 'cd "$HOME/b" || exit\nx'),
        (
            "command: 'echo $DAG_NAME/${DAG_RUN_ID}'",
            'export DAG_NAME="a"\nexport DAG_RUN_ID="$DAGSCHED_RUN"\necho $DAG_NAME/${DAG_RUN_ID}',
        ),
        ("command: x, continueOn: {exitCode: [3, 4]}", (
"(\nx\n)\ncode=$?\ncase $code in 3|4) exit 0 ;; esac\nexit $code"
)),
        ("type: noop", "true"),
    ],
)  # fmt: skip
def test_what_a_step_runs(step, run):
    assert run_of(step) == run


def test_shells_are_kept():
    found = jobs("shell: bash -e\nsteps: [{name: a, command: x; y}, {name: b, command: x, shell: [zsh, -f]}]")
    assert [(job.shell, job.run) for job in found.values()] == [("bash -e", "x; y"), ("zsh -f", "x")]
    assert jobs("steps: [{command: bash, script: x}]")["a"].shell == "bash"


def test_variables_are_filled_in_where_their_values_are_known():
    text = (
        "env:\n- BASE: /srv\n- OUT: ${BASE}/out\n- DAY: '`date +%F`'\n- 'N=1'\n"
        "params: [{REGION: eu}, {DIR: '$OUT/x'}]\nsteps: [{command: x, env: {BASE: /other}}]"
    )
    read = imported(text)
    job = jobs_of(read)["a"]
    assert job.env == {"BASE": "/other", "OUT": "/srv/out", "N": "1", "REGION": "eu", "DIR": "/srv/out/x"}
    assert job.run == 'export DAY="`date +%F`"\nx'
    assert [verdict(read, key)[0] for key in ("env", "params")] == ["differs", "differs"]


def test_a_bare_dollar_stays_one():
    found = jobs("name: My (prod)\nenv: [{A: 5$ a$}, {B: 'x$$NO'}]\nsteps: [x]")["My-prod"]
    assert found.env == {"A": "5$ a$"}
    assert found.run == 'export B="x\\$$NO"\nx'


def test_parameters_in_every_form():
    assert jobs("params: \"one A=2 'th ree'\"\nsteps: [echo $2 $A]")["a"].run == 'set -- "one" "th ree"\necho $2 $A'
    run = jobs("params: 'DAY=`date +%F` AT=$(date -d \"1 day\" +%H) X=1'\nsteps: [x]")["a"].run
    assert run == 'export DAY="`date +%F`"\nexport AT="$(date -d "1 day" +%H)"\nx'
    read = imported("params: [{name: A, default: 1, type: integer}, {name: B, required: true}]\nsteps: [x]")
    assert jobs_of(read)["a"].env == {"A": "1"}
    assert "B has no default" in verdict(read, "params")[1]
    assert jobs("params: {type: object, properties: {A: {default: x}}}\nsteps: [x]")["a"].env == {"A": "x"}


def test_output_becomes_an_output_for_the_job_below_and_those_that_name_it():
    found = jobs(
        "steps:\n- {name: w, command: cat V, output: VERSION}\n- {name: m, command: x}\n- {name: n, command: x}\n"
        "- {name: r, command: 'echo ${VERSION}'}\n- {name: p, command: python, script: 'os.environ[\"VERSION\"]'}\n"
    )
    assert found["a.w"].run.startswith("VERSION=$(cat V) || exit\n")
    assert waits(found)["a.r"] == ["a.n", "a.w"]
    given = {name: [(each.job, each.output) for each in job.env.values()] for name, job in found.items()}
    assert given == {name: [("a.w", "VERSION")] if name in ("a.m", "a.r", "a.p") else [] for name in found}


@pytest.mark.parametrize(
    ("policy", "retry"),
    [
        ("{limit: 3, intervalSec: 10}", (4, "constant", 10, None)),
        ("{limit: '2', interval_sec: 5, backoff: true, max_interval_sec: 60}", (3, "exponential", 5, 60)),
        ("{limit: 1, interval_sec: 7200}", (2, "constant", 7200, 7200)),
    ],
)
def test_retries(policy, retry):
    found = jobs(f"steps: [{{command: x, retryPolicy: {policy}}}]")["a"].retry
    attempts, backoff, delay, longest = retry
    assert (found.max_attempts, found.backoff, found.delay.total_seconds()) == (attempts, backoff, delay)
    assert longest is None or found.max_delay.total_seconds() == longest


def test_retries_on_exit_codes_and_by_repetition():
    assert jobs("steps: [{command: x, retry_policy: {limit: 1, interval_sec: 1, exit_code: [7, 429]}}]")[
        "a"
    ].retry.on == (7,)
    read = imported("steps: [{command: x, repeatPolicy: {repeat: until, exitCode: [0], intervalSec: 10, limit: 30}}]")
    assert (jobs_of(read)["a"].retry.max_attempts, verdict(read, "repeatPolicy")[0]) == (30, "differs")
    assert verdict(imported("steps: [{command: x, repeatPolicy: {repeat: true}}]"), "repeatPolicy")[0] == "dropped"


def test_failures_that_are_gone_over():
    found = jobs(
        "steps:\n- {name: a, command: x, continueOn: failed}\n- {name: b, command: x}\n"
        "- {name: c, command: x, continueOn: {skipped: true}}\n- {name: d, command: x}\n"
    )
    assert (found["a.b"].trigger_rule, found["a.b"].when) == ("all_done", 'state("a.a") in ["success", "failed"]')
    assert (found["a.c"].trigger_rule, found["a.d"].trigger_rule) == ("all_success", "none_failed")


def test_preconditions_are_tested_by_a_job():
    text = (
        "preconditions: test -d /x\nsteps:\n- {name: a, command: x}\n- name: b\n  command: x\n"
        "  preconditions: [{condition: $DAY, expected: 're:0[1-9]'}, {condition: '$A', expected: b, negate: true}]\n"
    )
    found = jobs(text)
    assert waits(found) == {"a.check": [], "a.a": ["a.check"], "a.b.check": ["a.a"], "a.b": ["a.b.check"]}
    assert found["a.check"].run == 'met=yes\ntest -d /x || met=no\necho "met=$met" >> "$DAGSCHED_OUTPUT"'
    assert found["a.a"].when == 'output("a.check", "met") == "yes"'
    lines = found["a.b.check"].run.split("\n")
    assert lines[1:3] == ["printf '%s\\n' \"$DAY\" | grep -qE -e '0[1-9]' || met=no", '! [ "$A" = b ] || met=no']


def test_handlers_wait_for_the_end():
    text = (
        "schedule: '0 1 * * *'\n"
        "handlerOn: {success: {command: s}, failure: f, exit: {command: e}, init: {command: i}, cancel: {command: c}}\n"
        "steps: [one, two]"
    )
    read = imported(text)
    found = jobs_of(read)
    assert waits(found) == {
        "a.init": [], "a.1-one": ["a.init"], "a.2-two": ["a.1-one"], "a.on-success": ["a.2-two"],
        "a.on-failure": ["a.2-two"], "a.on-exit": ["a.2-two", "a.on-success", "a.on-failure"],
    }  # fmt: skip
    assert [found[f"a.on-{name}"].trigger_rule for name in ("success", "failure", "exit")] == [
        "none_failed",
        "one_failed",
        "all_done",
    ]
    assert [job.id for job in found.values() if job.schedule] == ["a.init"]
    assert "cancel" in verdict(read, "handlerOn")[1]


def test_a_failure_that_is_seen_in_no_last_step_is_looked_for():
    found = jobs(
        "handlerOn: {failure: f, success: s}\nsteps:\n- one\n"
        "- {name: b, command: x, continueOn: failed}\n- {name: c, command: x}\n"
    )
    assert waits(found)["a.on-failure"] == ["a.1-one", "a.c"]
    assert (
        found["a.on-success"].when
        == 'state("a.1-one") in ["success", "skipped"] and state("a.c") in ["success", "skipped"]'
    )


def test_what_is_called_is_written_out_where_it_is_called():
    text = (
        "steps:\n- before\n- {name: sub, call: other, params: 'ID=7 X=$Y', continueOn: failed}\n"
        "- {name: after, command: x}\nenv: {Y: up}\n---\nname: other\nparams: {ID: 0}\n"
        "steps: [echo $ID, two]\n"
    )
    read = imported(text)
    found = jobs_of(read)
    assert waits(found) == {
        "a.1-before": [], "a.sub.1-echo": ["a.1-before"], "a.sub.2-two": ["a.sub.1-echo"], "a.after": ["a.sub.2-two"]
    }  # fmt: skip
    assert found["a.sub.1-echo"].env == {"ID": "7", "X": "up", "Y": "up"}
    assert found["a.after"].when == 'state("a.sub.2-two") in ["success", "failed", "upstream_failed"]'


def test_a_call_for_each_of_several_items():
    found = jobs(
        "steps: [{name: each, call: sub/other, parallel: {items: [p, q], maxConcurrent: 1}}, last]",
        other="steps: [echo $ITEM]",
    )
    assert waits(found)["a.2-last"] == ["a.each-1.1-echo", "a.each-2.1-echo"]
    assert [found[name].env for name in ("a.each-1.1-echo", "a.each-2.1-echo")] == [{"ITEM": "p"}, {"ITEM": "q"}]


@pytest.mark.parametrize(
    ("step", "why"),
    [
        ("call: nowhere", "not in PATH"),
        ("call: a", "calls it again"),
        ("type: docker, command: x, with: {image: ''}", "there already"),
        ("container: {image: x}, script: x", "a script in a container"),
        ("container: app, command: x", "there already"),
        ("executor: {type: jq2}, command: x", "type jq2"),
        ("type: http, command: GET https://$HOST/x", "nothing is filled into"),
        ("type: http, command: GET", "without an address"),
        ("description: empty", "runs nothing"),
        ("call: other, parallel: $ITEMS", "only known when it runs"),
    ],
)
def test_a_step_that_nothing_is_known_to_run_fails_so_that_nothing_starts_below(step, why):
    read = imported(f"steps: [{{name: s, {step}}}, after]", other="steps: [x]")
    found = jobs_of(read)
    assert "exit 1" in found["a.s"].run
    assert why in found["a.s"].run
    assert waits(found)["a.2-after"] == ["a.s"]
    assert "description" in step or "dropped" in {each.kind for each in read.verdicts}


@pytest.mark.parametrize(
    ("step", "run"),
    [
        ("container: {image: 'py:3', volumes: [/a:/b], env: [K=$V], pullPolicy: always}, command: x -y",
         'docker run --rm --pull=always -v /a:/b -e "K=$V" py:3 x -y'),
        ("executor: {type: docker, config: {image: a, container: {workingDir: /w}, host: {binds: [c:/d]}}}, command: x",
         "docker run --rm -w /w -v c:/d a x"),
        ("container: {image: a}, command: [x, y]", "set -e\ndocker run --rm a x\ndocker run --rm a y"),
        ("container: {image: a}, exec: {command: x, args: ['b c']}", 'docker run --rm a x "b c"'),
    ],
)  # fmt: skip
def test_containers(step, run):
    read = imported(f"steps: [{{name: s, {step}}}]")
    assert jobs_of(read)["a"].run == run
    assert "differs" in {each.kind for each in read.verdicts}


def test_a_container_of_the_whole_dag():
    read = imported("container: {image: a}\nsteps: [x, {command: y, container: {image: b}}, {type: noop}]")
    assert [job.run for job in jobs_of(read).values()] == ["docker run --rm a x", "docker run --rm b y", "true"]
    assert verdict(read, "container")[0] == "differs"


def test_a_refused_job_that_others_wait_for_keeps_its_place():
    read = imported(
        "schedule: '0 1 * * *'\nsteps:\n- {name: a, command: x, timeoutSec: 999999999, output: V, continueOn: failed}\n"
        "- {name: b, command: echo $V}\n- {name: c, command: x, timeoutSec: 999999999}\n"
    )
    found = jobs_of(read)
    assert waits(found) == {"a.a": [], "a.b": ["a.a"]}
    assert (found["a.a"].schedule.cron, "exit 1" in found["a.a"].run) == (("0 1 * * *",), True)
    assert sum("stands in its place" in each.why for each in read.verdicts) == 5


def test_requests():
    job = jobs(
        "steps: [{type: http, command: post https://x.example/y, with: {headers: {A: b}, body: '{}', timeout: 9}}]"
    )["a"]
    assert (job.handler, job.with_["method"], job.with_["url"], job.with_["timeout"]) == (
        "http",
        "POST",
        "https://x.example/y",
        "9s",
    )


def test_what_speaks_of_the_whole_dag():
    text = (
        "group: DATA\ntags: 'x, y=1'\nhistRetentionDays: 7\nmaxActiveSteps: 1\ntimeoutSec: 90\n"
        "catchupWindow: 6h\noverlapPolicy: latest\nschedule: '0 1 * * *'\n"
        "secrets: [{name: T, provider: env, key: TOKEN}, {name: U, provider: vault, key: k}]\n"
        "steps: [a, b]"
    )
    read = imported(text)
    found = jobs_of(read)
    assert {job.tags for job in found.values()} == {("DATA", "x", "y=1")}
    assert {(job.pool, job.timeout.total_seconds(), job.keep.days) for job in found.values()} == {("a", 90.0, 7)}
    assert (found["a.1-a"].catchup, found["a.1-a"].catchup_window.total_seconds()) == ("latest", 21_600)
    assert verdict(read, "secrets")[0] == "dropped"
    assert read.drafts[0].keys["secrets"] == {"T": "env:TOKEN"}


def test_old_and_new_names_are_one_and_unknown_ones_are_told():
    read = imported("mailOn: {failure: true}\nspeed: 9\nsteps: [{command: x, dir: /a, workingDir: /b, retries: 3}]")
    assert verdict(read, "mailOn")[0] == "dropped"
    assert verdict(read, "speed") == ("dropped", "neither Dagu nor dagsched has a key of that name")
    assert verdict(read, "retries")[0] == "dropped"
    assert verdict(read, "workingDir") == ("dropped", "'dir' says the same and came first")
    assert [each.line for each in read.verdicts] == [1, 2, 3, 3, 3, 3, 3]


BOMB = "a0: &a0 [x, x]\n" + "".join(f"a{n}: &a{n} [{', '.join([f'*a{n - 1}'] * 9)}]\n" for n in range(1, 9))


@pytest.mark.parametrize(
    ("text", "why"),
    [
        ("steps: [{name: a, command: x, depends: b}, {name: b, command: x, depends: a}]", "wait for each other"),
        ("steps: [{name: a, command: x, depends: zz}]", "no step of it"),
        ("steps: [{name: a, command: x}, {name: a, command: y}]", "two steps"),
        ("steps: []", "no steps"),
        ("steps: 5", "neither a list"),
        ("steps: [5]", "neither a command"),
        ("type: agent\nsteps: [x]", "neither chain nor graph"),
        ("services: {web: {image: x}}", "no DAG"),
        ("a: &a [x, x]\nb: [*a, *a", "cannot be read"),
        ("- one\n- two", "cannot be read"),
        ("steps: [x]\nsteps: [y]", "given twice"),
        ("steps: !!python/object [x]", "cannot be read"),
        ("[" * 5000, "cannot be read"),
        (BOMB, "cannot be read"),
    ],
)  # fmt: skip
def test_what_is_no_dag_is_one_verdict(text, why):
    read = imported(text)
    assert read.drafts == []
    assert any(why in each.why for each in read.verdicts)
    assert {each.kind for each in read.verdicts} == {"dropped"}


def test_calls_of_calls_do_not_multiply_without_end(monkeypatch):
    monkeypatch.setattr(calls, "JOBS_MAX", 60)
    files = {f"d{n}": f"steps: [{', '.join([f'{{call: d{n + 1}}}'] * 10)}]" for n in range(8)}
    read = imported("steps: [{call: d0}]", **files, d8="steps: [x]")
    assert any("more than 60 steps" in each.why for each in read.verdicts)


def test_documents_of_a_file_keep_their_lines():
    read = imported(
        "---\nname: one\nsteps: [x]\n---\n# two\nname: two\nschedule: '0 1 * * *'\nodd: 1\nsteps: [y]\n...\n"
    )
    assert sorted(jobs_of(read)) == ["one", "two"]
    assert [(each.line, each.kind) for each in read.verdicts if each.text.startswith(("odd", "schedule"))] == [
        (7, "dropped"),
        (8, "dropped"),
    ]


def test_a_command_with_a_colon_that_yaml_took_for_a_mapping():
    assert jobs('steps:\n- echo "done: all"\n')["a"].run == 'echo "done: all"'
    assert jobs('steps:\n- command:\n  - echo "done: all"\n  - x\n')["a"].run == 'set -e\necho "done: all"\nx'


KEYS = st.sampled_from(
    [
        "name",
        "id",
        "command",
        "script",
        "exec",
        "shell",
        "depends",
        "continueOn",
        "retryPolicy",
        "repeatPolicy",
        "env",
        "preconditions",
        "params",
        "dir",
        "timeoutSec",
        "output",
        "stdout",
        "call",
        "parallel",
        "type",
        "with",
        "executor",
        "container",
        "signalOnStop",
        "bogus",
    ]
)
PLAIN = st.one_of(st.none(), st.booleans(), st.integers(-5, 10**12), st.text("ab${}`'\"\\ :\n#!|", max_size=12))
VALUES = st.recursive(
    PLAIN, lambda each: st.one_of(st.lists(each, max_size=3), st.dictionaries(KEYS, each, max_size=3)), max_leaves=8
)
TOP = st.sampled_from(
    [
        "name",
        "schedule",
        "params",
        "env",
        "handlerOn",
        "preconditions",
        "type",
        "tags",
        "timeoutSec",
        "maxActiveSteps",
        "secrets",
        "defaults",
        "working_dir",
        "shell",
        "mailOn",
        "catchupWindow",
        "histRetentionDays",
        "description",
    ]
)


def test_a_limit_that_is_no_number_is_none():
    read = imported("maxActiveSteps: true\nhistRetentionDays: true\nsteps: [{name: a, run: x y}, {name: b, run: x}]")
    assert [job.pool for job in jobs_of(read).values()] == [None, None]
    assert verdict(read, "histRetentionDays")[0] == "dropped"


@settings(max_examples=200, deadline=None)
@given(
    st.dictionaries(TOP, VALUES, max_size=5),
    st.lists(st.one_of(VALUES, st.dictionaries(KEYS, VALUES, max_size=5)), max_size=4),
)
def test_any_dag_gets_verdicts_and_a_file_that_loads(top, steps):
    jobs(json.dumps({**top, "steps": steps}))


def test_the_example_of_the_docs_is_what_comes_out():
    page = (Path(__file__).parents[2] / "docs" / "importing.md").read_text()
    (dag,) = re.findall(r"^```text\n(.*?)^```", page, re.MULTILINE | re.DOTALL)
    (shown,) = [
        each for each in re.findall(r"^```yaml\n(.*?)^```", page, re.MULTILINE | re.DOTALL) if "etl.tidy" in each
    ]
    text, _ = checked(read_dags({"/srv/dags/etl.yaml": dag}, "Europe/Berlin"), "/d/jobs.yaml", NOW)
    assert [line for line in text.split("\n") if line] == shown.rstrip("\n").split("\n")
