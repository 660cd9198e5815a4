"""DAGs in the words of Dagu 2.7 and later, and their files of variables."""

from __future__ import annotations

import pytest

from dagsched.importers.dagu import read_dags
from tests.importers.dags import imported, jobs, jobs_of, verdict


@pytest.mark.parametrize(
    ("step", "run"),
    [
        ("run: ./x.sh --all", "./x.sh --all"),
        ("run: './x.sh ${params.A} ${env.B}'", "./x.sh ${A} ${B}"),
        ("run: \"./x.sh '${params.A}' 'to ${env.B}'\"", "./x.sh \"${A}\" 'to '\"${B}\"''"),
        ("run: 'aws ${consts.path}'", "aws s3://b/new"),
        ("run: 'x ${HOME} \\\\d'", "x ${HOME} \\\\d"),
        ("run: [make, make install]", "set -e\nmake\nmake install"),
        ("action: exec, with: {command: /bin/x, args: [1]}", ("/bin/x", "1")),
        ("action: log.write, with: {message: 'It is ${params.A}'}", 'echo "It is ${A}"'),
        ("action: wait.duration, with: {duration: 1h0.5s}", "sleep 3600.5"),
        ("action: noop", "true"),
        ("action: docker.run, with: {image: alpine, command: ls}", "docker run --rm alpine ls"),
    ],
)
def test_the_words_of_today(step, run):
    consts = "consts: [{bucket: 's3://b'}, {path: '${consts.bucket}/new'}]\nparams: {A: a}\nenv: {B: b}\n"
    read = imported(f"{consts}steps: [{{id: s, {step}}}]")
    assert jobs_of(read)["a"].run == run
    assert {each.kind for each in read.verdicts if each.job == "a"} <= {"same", "differs"}
    assert verdict(read, "consts")[0] == "same"


def test_the_shell_of_a_step_stands_with_it():
    found = jobs("steps: [{id: s, run: x; y, with: {shell: bash, shell_args: [-e, -c]}}]")["a"]
    assert (found.shell, found.run) == ("bash -e", "x; y")


def test_outputs_come_to_those_that_name_the_step():
    text = """steps:
- {id: build, run: 'echo image=1 >> $DAGU_OUTPUT_FILE', outputs: [{name: image}]}
- {id: script, run: ./x.sh, outputs: [{name: size}], depends: build}
- id: deploy
  run: ./deploy.sh '${steps.build.outputs.image}'
  env: {SIZE: '${steps.script.outputs.size}'}
  depends: script
"""
    found = jobs(text)
    assert found["a.build"].run == "echo image=1 >> $DAGSCHED_OUTPUT"
    assert found["a.script"].run == 'export DAGU_OUTPUT_FILE="$DAGSCHED_OUTPUT"\n./x.sh'
    assert found["a.deploy"].run == './deploy.sh "${BUILD_IMAGE}"'
    given = {name: (each.job, each.output) for name, each in found["a.deploy"].env.items()}
    assert given == {"SIZE": ("a.script", "size"), "BUILD_IMAGE": ("a.build", "image")}


def test_an_action_that_is_none_of_ours_fails_and_is_told_by_its_name():
    read = imported("steps: [{id: s, action: mail.send, with: {to: a}}, {id: t, run: x, depends: s}]")
    assert "the action mail.send" in str(jobs_of(read)["a.s"].run)
    assert verdict(read, "action") == ("dropped", "there is no action mail.send here")


def test_run_is_a_call_where_it_names_a_dag_and_was_one():
    old = {"sub": "steps: [{name: y, command: ./y.sh}]"}
    assert "a.s.y" in jobs("steps: [{name: s, run: sub}, {name: t, command: x}]", **old)
    assert jobs("steps: [{name: s, run: sub --all}]", **old)["a"].run == "sub --all"


def test_a_call_for_items_gets_their_fields():
    text = (
        "steps: [{id: s, action: dag.run, with: {dag: sub, params: {REGION: '${ITEM.region}'}}, "
        "parallel: {items: [{region: eu}, {region: us}]}}]"
    )
    found = jobs(text, sub="steps: [{id: y, run: ./y.sh}]")
    assert [found[f"a.s-{number}.y"].env["REGION"] for number in (1, 2)] == ["eu", "us"]


def test_files_of_variables_are_read_as_each_job_starts():
    files = {"/d/a.yaml": "steps: [{name: s, command: x}]", "/d/b.yaml": "dotenv: [prod.env]\nsteps: [x]"}
    read = read_dags(files, "UTC", lambda path: path == "/d/.env")
    beside = "set -a; [ ! -r /d/.env ] || . /d/.env; set +a"
    found = jobs_of(read)
    assert found["a"].run == f"{beside}\nx"
    assert found["b"].run == f"{beside}\nset -a; [ ! -r /d/prod.env ] || . /d/prod.env; set +a\nx"
    assert [each.kind for each in read.verdicts if each.file == "/d/.env"] == ["differs"]
    assert verdict(read, "dotenv")[0] == "differs"
    none = read_dags({"/d/a.yaml": "dotenv: []\nsteps: [x]"}, "UTC", lambda _: True)
    assert (jobs_of(none)["a"].run, verdict(none, "dotenv")[0]) == ("x", "same")
    unknown = imported("dotenv: '$WHERE/.env'\nsteps: [x]")
    assert (jobs_of(unknown)["a"].run, verdict(unknown, "dotenv")[0]) == ("x", "dropped")


def test_commands_within_commands_stay_whole():
    found = jobs(
        "env: [{A: 'x \"$(echo \"$(date) )\" \"y\")\"'}]\nparams: 'b=$(a $(b c)) d'\nsteps: [{command: 'x $1'}]"
    )["a"]
    assert found.run.split("\n")[:3] == [
        'set -- "d"', 'export b="$(a $(b c))"', 'export A="x \\"$(echo "$(date) )" "y")\\""'
    ]  # fmt: skip


def test_what_a_person_has_to_approve_lets_nothing_pass():
    read = imported("steps: [{id: s, run: ./s.sh, approval: {prompt: ok}}, {id: t, run: ./t.sh, depends: s}]")
    assert "a person is asked" in str(jobs_of(read)["a.s"].run)
    assert verdict(read, "approval")[0] == "dropped"


def test_each_key_of_a_call_is_told():
    read = imported("steps: [{id: s, action: dag.run, with: {dag: sub}}]", sub="steps: [{id: y, run: ./y.sh}]")
    assert verdict(read, "action") == verdict(read, "with") == ("same", "the called steps are written out here")
