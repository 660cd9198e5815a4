"""`dagsched import dagu` makes a file that runs as Dagu would have run the DAG."""

from __future__ import annotations

import json

DAG = """\
name: etl
schedule: "0 2 * * *"
params: [{WHO: you}]
steps:
  - name: one
    command: "echo first; echo $WHO"
    output: X
  - name: two
    command: "false"
    continueOn: failed
  - name: three
    command: printf '%s' "$X" > three.txt
    preconditions: [{condition: $X, expected: "re:first"}]
  - name: four
    command: "touch four.txt"
    preconditions: "false"
    continueOn: {skipped: true}
  - name: five
    command: |
      false
      touch five.txt
  - name: six
    command: touch six.txt
handlerOn:
  success: {command: touch ok.txt}
  failure: {command: touch bad.txt}
  exit: {command: touch exit.txt}
"""


def test_imported_dag_goes_on_and_stops_where_dagu_did(call, here):
    (here / "etl.yaml").write_text(DAG)
    assert call("import", "dagu", "etl.yaml", "-o", "jobs.yaml").code == 0
    rows = call("run", "--once", "--json").rows
    ended = {row["job"]: row["to"] for row in rows}
    assert ended == {
        "etl.one": "success", "etl.two": "failed", "etl.three.check": "success", "etl.three": "success",
        "etl.four.check": "success", "etl.four": "skipped", "etl.five": "failed", "etl.six": "upstream_failed",
        "etl.on-success": "skipped", "etl.on-failure": "success", "etl.on-exit": "success",
    }  # fmt: skip
    assert {each.name for each in here.glob("*.txt")} == {"three.txt", "bad.txt", "exit.txt"}
    assert (here / "three.txt").read_text() == "first\nyou"


def test_folder_of_dags_is_one_file_and_times_are_compared(call, here):
    folder = here / "dags"
    folder.mkdir()
    (folder / "a.yaml").write_text("schedule: '30 2 * * *'\nsteps: [./a, ./b]\n")
    (folder / "b.yml").write_text("schedule: ['0 1 * * *', '@daily']\nsteps: [{call: sub/c}]\n")
    (folder / "c.yaml").write_text("steps: [./c]\n")
    (folder / "compose.yaml").write_text("services: {web: {image: x}}\n")
    (folder / "notes.txt").write_text("steps:")
    result = call("import", "dagu", "dags", "--verify", "--json", "--timezone", "Europe/Berlin")
    document = json.loads(result.out)
    assert result.code == 1
    assert document["jobs"] == ["a.1-a", "a.2-b", "b.1-c.1-c", "c"]
    assert [(row["job"], row["missing"], row["extra"]) for row in document["verify"]] == [
        (job, [], []) for job in document["jobs"]
    ]
    text = call("import", "dagu", "dags", "--verify").err
    assert "verify a.2-b: nothing to compare, it has no times of its own\n" in text
    assert "compose.yaml:1: services: …\n    not carried over because there are no `steps`" in text


def test_a_file_that_is_not_there_is_an_error(call, here):
    assert call("import", "dagu", "nowhere.yaml").code == 2
