"""Notifiers, rules and agents: from the file to the configuration, over several files."""

from __future__ import annotations

import pytest

from dagsched.config import load_texts
from dagsched.model import NotifyRule
from tests.config.texts import NOW, config_of, spelled

OPS = "notifiers: {ops: {type: webhook, url: http://h/, secret: {env: OPS}}}\n"
RULE = "[{on: [failure, config_rejected], to: [ops]}]"


def test_a_notifier_keeps_what_the_file_says_and_the_folder_it_stands_in():
    config = config_of(OPS + "jobs: {a: {run: x}}\n")
    ops = {"type": "webhook", "url": "http://h/", "secret": {"env": "OPS"}, "folder": "/srv/etl"}
    assert {name: dict(said) for name, said in config.notifiers.items()} == {"ops": ops}


def test_default_rules_are_those_of_every_job_that_has_none_of_its_own():
    config = config_of(
        OPS + f"defaults: {{notify: {RULE}}}\n"
        "jobs: {a: {run: x}, b: {run: x, notify: [{on: [success], to: [ops]}]}, c: {run: x, notify: []}}\n"
    )
    rule = NotifyRule(("failure", "config_rejected"), ("ops",))
    assert [config.jobs[id].notify for id in "abc"] == [(rule,), (NotifyRule(("success",), ("ops",)),), ()]
    assert config.notify == (rule,)


def test_jobs_that_say_the_same_share_their_rules():
    config = config_of(OPS + f"defaults: {{notify: {RULE}}}\njobs: {{a: {{run: x}}, b: {{run: x}}}}\n")
    assert config.jobs["a"].notify is config.jobs["b"].notify


def load(**files: str):
    return load_texts({f"/srv/{name}.yaml": text for name, text in files.items()}, NOW)


def test_a_notifier_of_one_file_is_used_in_another():
    loaded = load(a=OPS + "jobs: {}\n", b=f"jobs: {{x: {{run: x, notify: {RULE.replace(', config_rejected', '')}}}}}\n")
    assert loaded.problems == ()


def test_a_name_is_declared_once_over_all_files():
    other = OPS.replace("http://h/", "http://i/")
    loaded = load(a=OPS + "jobs: {}\n", b=other + "jobs: {}\n", c="agents: {g: {url: http://g/}}\njobs: {}\n",
                  d="agents: {g: {url: http://h/}}\njobs: {}\n")  # fmt: skip
    assert [spelled(each) for each in loaded.problems] == ["E502 1:13-16", "E504 1:10-11"]


def test_a_job_knows_where_its_worker_is():
    text = "agents: {gpu: {url: http://g/, token: {env: T}}}\n"
    text += "jobs: {a: {handler: agent, with: {agent: gpu, input: [1]}}}\n"
    job = config_of(text).jobs["a"]
    at = {"url": "http://g/", "token": {"env": "T"}, "folder": "/srv/etl"}
    assert dict(job.with_) == {"agent": "gpu", "input": [1], "at": at}
    assert dict(job.secrets) == {"DAGSCHED_AGENT_TOKEN": "env:T"}


@pytest.mark.parametrize(
    ("said", "reference"),
    [("{file: t}", "file:/srv/etl/t"), ("{file: /run/t}", "file:/run/t"), ("{credential: gpu}", "credential:gpu")],
)
def test_the_token_of_a_worker_is_a_secret_of_its_jobs(said: str, reference: str):
    text = f"agents: {{gpu: {{url: http://g/, token: {said}}}}}\n"
    text += 'jobs: {a: {handler: agent, with: {agent: gpu}, secrets: {OWN: "env:OWN"}}, b: {run: x}}\n'
    jobs = config_of(text).jobs
    assert dict(jobs["a"].secrets) == {"OWN": "env:OWN", "DAGSCHED_AGENT_TOKEN": reference}
    assert not jobs["b"].secrets


@pytest.mark.parametrize(
    "text",
    [
        "agents: {g: {url: http://g/, token: hunter2}}\njobs: {}\n",
        "notifiers: {n: {type: webhook, url: http://g/, secret: hunter2}}\njobs: {}\n",
        "notifiers: {n: {type: email, to: [a@b], from: a@b, smtp: {host: h, user: u, password: hunter2}}}\njobs: {}\n",
    ],
    ids=["agent", "webhook", "email"],
)
def test_a_secret_that_is_written_out_is_refused_and_not_repeated(text: str):
    (problem,) = load(a=text).problems
    assert problem.code == "E140"
    assert "hunter2" not in repr(problem)
    assert "credential" in problem.why


def test_a_header_of_a_notifier_is_text_or_a_reference():
    text = "notifiers: {{n: {{type: webhook, url: http://g/, headers: {{X: {}}}}}}}\njobs: {{}}\n"
    assert load(a=text.format("{credential: key}")).problems == ()
    assert [spelled(each)[:4] for each in load(a=text.format("{vault: key}")).problems] == ["E101"]


def test_a_worker_that_moves_changes_its_jobs():
    text = "agents: {gpu: {url: http://g/}}\njobs: {a: {handler: agent, with: {agent: gpu}}, b: {run: x}}\n"
    before, after = config_of(text), config_of(text.replace("http://g/", "http://h/"))
    assert (before.jobs["a"] == after.jobs["a"], before.jobs["b"] == after.jobs["b"]) == (False, True)


def test_a_bad_rule_of_a_job_is_told_alone():
    text = OPS + "defaults: {notify: [{on: [failure], to: [nobody]}]}\n"
    text += "jobs: {a: {run: x, notify: [{on: [bad], to: [ops]}]}}\n"
    loaded = load(a=text)
    assert [spelled(each) for each in loaded.problems] == ["E501 2:42-48", "E104 3:35-38"]
