"""Templates and matrices: which plain jobs they are, and what is wrong with them, at its place."""

from __future__ import annotations

from datetime import timedelta

import pytest

from dagsched.config.matrix import MEMBERS_MAX
from tests.config.texts import config_of, found, load_text

LOAD = """
templates:
  load:
    params: {table: {type: string}, hour: {type: integer, default: 2, maximum: 23}}
    schedule: "0 ${{ hour }} * * *"
    run: ./load.sh "$DAGSCHED_PARAM_TABLE"
    retry: {max_attempts: 3, delay: 5s}
    env: {A: template, B: template}
jobs:
"""


def jobs_of(text: str):
    return config_of(text).jobs


def messages(text: str) -> list[str]:
    return [f"{problem.code} {problem.line}:{problem.column} {problem.message}" for problem in load_text(text).problems]


# ---------------------------------------------------------------- templates


def test_job_takes_what_its_template_says():
    job = jobs_of(LOAD + "  orders: {extends: load, values: {table: orders, hour: 3}}\n")["orders"]
    assert job.schedule is not None
    assert job.schedule.cron == ("0 3 * * *",)
    assert (job.run, job.retry.max_attempts) == ('./load.sh "$DAGSCHED_PARAM_TABLE"', 3)
    assert {name: param.default for name, param in job.params.items()} == {"table": "orders", "hour": 3}
    assert job.position is not None
    assert job.position.line == 10


def test_default_of_a_parameter_stands_where_no_value_is_given():
    job = jobs_of(LOAD + "  orders: {extends: load, values: {table: orders}}\n")["orders"]
    assert job.schedule is not None
    assert job.schedule.cron == ("0 2 * * *",)
    assert job.params["hour"].default == 2


def test_own_keys_win_and_mappings_are_merged_over_defaults_and_templates():
    text = """
    defaults: {env: {A: default, C: default}, retry: {backoff: linear}, timeout: 1h}
    templates:
      load: {run: ./load.sh, retry: {max_attempts: 3, delay: 5s}, env: {A: template, B: template}, timeout: 2h}
    jobs:
      a: {extends: load, retry: {delay: 7s}, env: {B: own}}
    """
    job = jobs_of(text)["a"]
    assert dict(job.env) == {"A": "template", "B": "own", "C": "default"}
    assert (job.retry.max_attempts, job.retry.delay) == (3, timedelta(seconds=7))
    assert (str(job.retry.backoff), job.timeout) == ("linear", timedelta(hours=2))


def test_later_template_of_a_list_wins_and_one_reached_twice_counts_once_and_lowest():
    text = """
    templates:
      base: {run: base, owner: base, description: base, timeout: 1m}
      first: {extends: base, owner: first, description: first}
      second: {extends: base, description: second}
    jobs:
      a: {extends: [first, second]}
    """
    job = jobs_of(text)["a"]
    assert (job.owner, job.description, job.timeout) == ("first", "second", timedelta(minutes=1))


def test_short_retry_and_long_retry_are_merged():
    text = (
        "templates: {t: {run: x, retry: 5}}\njobs: {a: {extends: t, retry: {delay: 3s}}, b: {extends: t, retry: 2}}\n"
    )
    jobs = jobs_of(text)
    assert (jobs["a"].retry.max_attempts, jobs["a"].retry.delay) == (5, timedelta(seconds=3))
    assert jobs["b"].retry.max_attempts == 2


def test_run_of_a_job_takes_the_place_of_its_templates_handler_and_the_other_way_round():
    text = """
    templates:
      hook: {handler: http, with: {url: "https://example.com", method: POST}}
      command: {run: x}
    jobs:
      a: {extends: hook, run: y}
      b: {extends: command, handler: http, with: {url: "https://example.com/b"}}
      c: {extends: hook, with: {url: "https://example.com/c"}}
    """
    jobs = jobs_of(text)
    assert (jobs["a"].run, jobs["a"].handler, dict(jobs["a"].with_)) == ("y", "shell", {})
    assert (jobs["b"].run, dict(jobs["b"].with_)) == (None, {"url": "https://example.com/b"})
    assert dict(jobs["c"].with_) == {"url": "https://example.com/c", "method": "POST"}


def test_null_takes_an_inherited_key_away():
    text = """
    templates:
      t: {run: x, schedule: "@daily", env: {A: a, B: b}}
    jobs:
      a: {extends: t, schedule: null, env: {A: null}}
    """
    job = jobs_of(text)["a"]
    assert (job.schedule, dict(job.env)) == (None, {"B": "b"})


def test_null_without_anything_inherited_is_still_no_value():
    assert found("templates: {t: {run: x}}\njobs:\n  a: {extends: t, pool: null}\n") == ["E103 3:25-29"]


def test_placeholder_that_is_the_whole_value_keeps_its_type():
    text = """
    templates:
      t:
        params: {n: {type: integer}, words: {type: array}, on: {type: boolean}}
        run: [x, "n=${{ n }}", "${{ n }}"]
        retry: "${{ n }}"
        tags: "${{ words }}"
        enabled: "${{ on }}"
    jobs:
      a: {extends: t, values: {n: 4, words: [one, two], on: false}}
    """
    job = jobs_of(text)["a"]
    assert (job.run, job.retry.max_attempts) == (("x", "n=4", "4"), 4)
    assert (job.tags, job.enabled) == (("one", "two"), False)


def test_placeholders_are_replaced_deep_inside_and_the_escape_is_not():
    text = """
    templates:
      t:
        params: {region: {type: string}}
        handler: http
        with: {url: "https://${{region}}.example.com/", json: {list: [{at: "${{ region }}"}], raw: "$${{ region }}"}}
    jobs:
      a: {extends: t, values: {region: eu}}
    """
    with_ = jobs_of(text)["a"].with_
    assert with_["url"] == "https://eu.example.com/"
    assert with_["json"] == {"list": [{"at": "eu"}], "raw": "${{ region }}"}


def test_value_may_be_made_of_other_values():
    text = """
    templates:
      t:
        params: {a: {type: string}, b: {type: string, default: "${{ a }}-b"}}
        run: [x, "${{ b }}"]
    jobs:
      one: {extends: t, values: {a: "1"}}
      two: {extends: t, matrix: {n: [7]}, values: {a: "n${{ n }}"}}
    """
    jobs = jobs_of(text)
    assert (jobs["one"].run, jobs["two.7"].run) == (("x", "1-b"), ("x", "n7-b"))
    assert jobs["two.7"].params["a"].default == "n7"


def test_template_extends_with_values_of_its_own():
    text = LOAD.replace(
        "jobs:\n",
        "  night:\n    extends: load\n    values: {hour: 4}\njobs:\n",
    )
    jobs = jobs_of(
        text + "  a: {extends: night, values: {table: a}}\n  b: {extends: night, values: {table: b, hour: 5}}\n"
    )
    assert [jobs[id].schedule.cron for id in "ab"] == [("0 4 * * *",), ("0 5 * * *",)]


def test_parameter_that_nobody_needs_yet_may_stay_open_for_a_trigger():
    text = "templates: {t: {params: {table: {type: string}}, run: x}}\njobs: {a: {extends: t}}\n"
    assert jobs_of(text)["a"].params["table"].default is None


# ---------------------------------------------------------------- matrices


def test_each_combination_is_a_job_with_its_values_as_parameters():
    text = """
    jobs:
      load-eu: {run: x}
      load-us: {run: x}
      report:
        matrix: {region: [eu, us], size: [small, large], exclude: [{region: us, size: large}]}
        depends_on: ["load-${{ region }}"]
        run: [./report.py, "--region", "${{ region }}"]
      end: {depends_on: [{job: report, match: latest}, load-eu], run: x}
    """
    jobs = jobs_of(text)
    assert list(jobs)[2:] == ["report.eu.small", "report.eu.large", "report.us.small", "end"]
    member = jobs["report.eu.large"]
    assert (member.run, member.depends_on[0].job) == (("./report.py", "--region", "eu"), "load-eu")
    assert {name: param.default for name, param in member.params.items()} == {"region": "eu", "size": "large"}
    assert member.position == jobs["report.us.small"].position
    assert [edge.job for edge in jobs["end"].depends_on] == [
        "report.eu.small", "report.eu.large", "report.us.small", "load-eu",
    ]  # fmt: skip


def members(matrix: str) -> dict[str, dict[str, object]]:
    jobs = jobs_of(f"jobs:\n  m:\n    run: x\n    matrix: {matrix}\n")
    return {id: {name: param.default for name, param in job.params.items()} for id, job in jobs.items()}


@pytest.mark.parametrize(
    ("matrix", "expected"),
    [
        pytest.param("{a: [1, true, x]}", {"m.1": {"a": 1}, "m.true": {"a": True}, "m.x": {"a": "x"}}, id="kinds"),
        pytest.param(
            "{a: [1, 2], include: [{a: 2, note: slow}]}",
            {"m.1": {"a": 1}, "m.2": {"a": 2, "note": "slow"}},
            id="include adds to what it fits",
        ),
        pytest.param(
            "{a: [1], include: [{a: 3, note: new}, {a: 4}]}",
            {"m.1": {"a": 1}, "m.3": {"a": 3, "note": "new"}, "m.4": {"a": 4}},
            id="include that fits none is a job",
        ),
        pytest.param(
            "{a: [1, 2], include: [{note: all}, {a: 2, note: two}]}",
            {"m.1": {"a": 1, "note": "all"}, "m.2": {"a": 2, "note": "two"}},
            id="later include changes what include added",
        ),
        pytest.param(
            "{include: [{site: a, url: 'https://a/'}, {site: b}]}",
            {"m.a": {"site": "a", "url": "https://a/"}, "m.b": {"site": "b"}},
            id="include alone names by the first value",
        ),
        pytest.param(
            "{a: [1, 2], b: [1, 2], exclude: [{a: 1}]}",
            {"m.2.1": {"a": 2, "b": 1}, "m.2.2": {"a": 2, "b": 2}},
            id="exclude by a part",
        ),
        pytest.param(
            "{a: [1, 2], exclude: [{a: 1}], include: [{a: 1}]}",
            {"m.2": {"a": 2}, "m.1": {"a": 1}},
            id="exclude comes before include",
        ),
    ],
)
def test_include_and_exclude_read_as_in_github_workflows(matrix, expected):
    assert members(matrix) == expected


def test_matrix_of_a_template_makes_each_job_that_extends_it_many():
    text = """
    templates:
      t:
        params: {regions: {type: array, default: [eu, us]}}
        matrix: {region: "${{ regions }}"}
        run: [x, "${{ region }}"]
    jobs:
      a: {extends: t}
      b: {extends: t, values: {regions: [ap]}}
    """
    assert list(jobs_of(text)) == ["a.eu", "a.us", "b.ap"]


def test_parameter_declared_for_an_axis_says_what_its_values_may_be():
    text = """
    jobs:
      a:
        matrix: {n: [1, 200]}
        params: {n: {type: integer, maximum: 9}}
        run: x
    """
    assert messages(text) == ["E407 4:21 the value 200 does not fit the parameter 'n' (job 'a.200')"]


# ---------------------------------------------------------------- what is wrong, and where


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        pytest.param(
            "templates: {load: {run: x}}\njobs:\n  b: {extends: load}\n  a: {extends: laod}\n",
            ["E401 4:16 unknown template 'laod' (job 'a')"],
            id="unknown template",
        ),
        pytest.param(
            "templates:\n  a: {extends: b, run: x}\n  b: {extends: a}\njobs:\n  j: {extends: a}\n",
            ["E402 3:16 the templates extend each other in a circle: a -> b -> a (job 'j')"],
            id="circle",
        ),
        pytest.param(
            "jobs:\n  j:\n    matrix: {region: [eu]}\n    run: [x, '${{ regoin }}']\n",
            ["E403 4:15 unknown placeholder 'regoin' (job 'j.eu')"],
            id="unknown placeholder",
        ),
        pytest.param(
            "jobs:\n  j:\n    matrix: {region: [eu]}\n    run: [x, 'a ${{ matrix.region }}']\n",
            ["E404 4:17 '${{ matrix.region }}' is no placeholder (job 'j.eu')"],
            id="words of others",
        ),
        pytest.param(
            "jobs:\n  j:\n    matrix: {region: [eu]}\n    run: ./x ${{ region }}\n",
            ["E404 4:14 a placeholder stands in shell text (job 'j')"],
            id="shell text",
        ),
        pytest.param(
            "jobs:\n  j:\n    matrix: {region: [eu]}\n    run: [/bin/sh, -ec, 'echo ${{ region }}']\n",
            ["E404 4:31 a placeholder stands in shell text (job 'j')"],
            id="shell text in an argv",
        ),
        pytest.param(
            "jobs:\n  j:\n    matrix: {region: [eu]}\n    run: x\n    env: {'${{ region }}': a}\n",
            ["E404 5:11 a placeholder stands in a key (job 'j.eu')"],
            id="key",
        ),
        pytest.param(
            "templates: {t: {params: {l: {}}, run: [x, 'a${{ l }}']}}\njobs:\n  j: {extends: t, values: {l: [1]}}\n",
            ["E404 1:45 the value of 'l' cannot stand inside text (job 'j')"],
            id="list inside text",
        ),
        pytest.param(
            LOAD + "  j: {extends: load, values: {tabel: x, table: y}}\n",
            ["E405 10:31 there is no parameter 'tabel' to give a value to (job 'j')"],
            id="unknown value",
        ),
        pytest.param(
            LOAD + "  j: {extends: load}\n  k: {extends: load, values: {hour: 1}}\n",
            [
                "E406 4:14 the parameter 'table' has no value (job 'j')",
                "E406 11:22 the parameter 'table' has no value (job 'k')",
            ],
            id="missing value",
        ),
        pytest.param(
            LOAD + "  j: {extends: load, values: {table: 5, hour: 24}}\n",
            [
                "E407 10:38 the value 5 does not fit the parameter 'table' (job 'j')",
                "E407 10:47 the value 24 does not fit the parameter 'hour' (job 'j')",
            ],
            id="values that do not fit",
        ),
        pytest.param(
            "templates: {t: {params: {a: {}, b: {}}, run: [x, '${{ a }}']}}\njobs:\n"
            "  j: {extends: t, values: {a: '${{ b }}', b: '${{ a }}'}}\n",
            ["E403 3:47 the value of 'a' leads back to itself (job 'j')"],
            id="values in a circle",
        ),
        pytest.param(
            "jobs:\n  j: {run: x, matrix: {a: [1], exclude: [{a: 1}]}}\n",
            ["E408 2:23 the matrix leaves no job (job 'j')"],
            id="all excluded",
        ),
        pytest.param(
            "jobs:\n  j: {run: x, matrix: {a: []}}\n", ["E107 2:27 'a' is empty"], id="empty axis",
        ),
        pytest.param(
            "jobs:\n  j: {run: x, matrix: {a: ['a/b', '']}}\n",
            ["E409 2:28 'a/b' cannot be part of a job id (job 'j')"],
            id="value that is no part of an id",
        ),
        pytest.param(
            f"jobs:\n  {'j' * 100}: {{run: x, matrix: {{a: [{'x' * 28}]}}}}\n",
            [f"E409 2:127 the job id '{'j' * 40}...' has 129 characters (job '{'j' * 100}')"],
            id="long id",
        ),
        pytest.param(
            "jobs:\n  j: {run: x, matrix: {a: [b, b]}}\n",
            ["E203 2:15 the matrix of 'j' makes the job 'j.b', which there is already"],
            id="same value twice",
        ),
        pytest.param(
            "jobs:\n  j: {run: x, matrix: {a: [b]}}\n  j.b: {run: x}\n",
            ["E203 2:15 the matrix of 'j' makes the job 'j.b', which there is already"],
            id="id of another job",
        ),
        pytest.param(
            "jobs:\n  j: {run: x, matrix: {a: [1], exclude: [{b: 1}]}}\n",
            ["E411 2:46 exclude names 'b', which is no axis of the matrix (job 'j')"],
            id="exclude of no axis",
        ),
        pytest.param(
            "jobs:\n  j: {run: x, matrix: {a: [1], exclude: [{a: 2}]}}\n",
            ["W402 2:42 this entry excludes no job (job 'j')"],
            id="exclude of nothing",
        ),
        pytest.param(
            "jobs:\n  j: {run: x, values: {a: 1}}\n", ["E102 2:3 'values' needs an 'extends'"], id="values alone",
        ),
        pytest.param(
            "jobs:\n  j: {run: x, matrix: {a: 5}}\n",
            ["E103 2:27 'a' must be a list or text, not 5"],
            id="axis that is no list",
        ),
        pytest.param(
            "templates: {t: {params: {l: {}}, run: x, matrix: {a: '${{ l }}'}}}\n"
            "jobs:\n  j: {extends: t, values: {l: 5}}\n",
            ["E103 1:54 'a' must be a list of single values, not 5 (job 'j')"],
            id="axis that stands for no list",
        ),
        pytest.param(
            "templates: []\njobs: {}\n", ["E103 1:12 'templates' must be a mapping, not a list"], id="templates",
        ),
        pytest.param(
            "jobs:\n  j: {run: x, matrix: {a: [1]}, params: 5}\n",
            ["E103 2:41 'params' must be a mapping, not 5 (job 'j.1')"],
            id="params",
        ),
        pytest.param(
            "templates: {t: 5}\njobs: {j: {extends: t}}\n", ["E103 1:16 't' must be a mapping, not 5"], id="template",
        ),
        pytest.param(
            "templates: {t: {extends: 7, run: x}}\njobs: {j: {extends: t}}\n",
            ["E103 1:26 'extends' must be text or a list, not 7"],
            id="extends",
        ),
        pytest.param(
            "templates: {t: {rum: x}}\njobs: {j: {extends: t}}\n",
            ["E101 1:17 unknown key 'rum' (job 'j')"],
            id="unknown key in a template",
        ),
        pytest.param(
            "templates:\n  t: {timeout: 5, retry: {on: [no]}}\njobs:\n  j: {run: x}\n",
            [
                "W401 2:3 no job uses the template 't'",
                "E303 2:16 5 is no length of time",
                "E105 2:32 'no' is no retry condition",
            ],
            id="unused template is checked all the same",
        ),
        pytest.param(
            "templates:\n  t: {params: {h: {}}, schedule: '61 ${{ h }} * * *', timeout: 0s, run: 'x ${{ h }}'}\n"
            "jobs: {}\n",
            [
                "W401 2:3 no job uses the template 't'",
                "E304 2:64 'timeout' is zero",
                "E404 2:76 a placeholder stands in shell text",
            ],
            id="unused template with open parameters",
        ),
    ],
)  # fmt: skip
def test_problem_is_told_at_the_line_that_says_it(text, expected):
    assert messages(text) == expected


@pytest.mark.parametrize(
    ("line", "meant"),
    [
        ("inherit: t", "extends"),
        ("uses: t", "extends"),
        ("extend: t", "extends"),
        ("strategy: {matrix: {a: [1]}}", "matrix"),
        ("with_items: [1]", "matrix"),
        ("foreach: [1]", "matrix"),
        ("matrx: {a: [1]}", "matrix"),
        ("variables: {A: a}", "env"),
    ],
)
def test_words_of_other_schedulers_lead_to_ours(line, meant):
    (problem,) = load_text(f"jobs:\n  a:\n    run: x\n    {line}\n").problems
    assert (problem.code, problem.fix) == ("E101", f"did you mean '{meant}'?")


@pytest.mark.parametrize("line", ["run: [x, ${{ r }}]", "env: {A: ${{ r }}}"])
def test_placeholder_that_wants_quotes_is_told_so(line):
    (problem,) = load_text(f"jobs:\n  a:\n    matrix: {{r: [eu]}}\n    {line}\n").problems
    assert (problem.code, problem.fix) == ("E005", 'quote the text: "${{ name }}"')


def test_placeholder_in_a_plain_job_is_a_warning():
    text = "jobs:\n  a: {run: 'x ${{ name }}', env: {A: '$${{ b }}'}}\n  b: {run: [x, '${{ matrix.c }}']}\n"
    assert messages(text) == [
        "W403 2:15 nothing replaces the placeholder in the job 'a'",
        "W403 3:17 nothing replaces the placeholder in the job 'b'",
    ]


def test_problem_in_a_template_is_told_once_with_the_number_of_jobs():
    text = LOAD.replace("delay: 5s", "delay: 5") + "".join(
        f"  j{number}: {{extends: load, values: {{table: x}}}}\n" for number in range(30)
    )
    assert messages(text) == ["E303 7:37 5 is no length of time (job 'j0' and 29 more)"]


def test_problem_that_a_thousand_members_share_is_told_once():
    text = f"jobs:\n  j:\n    matrix: {{n: {list(range(MEMBERS_MAX))}}}\n    run: x\n    pool: nowhere\n"
    assert messages(text) == ["E205 5:11 unknown pool 'nowhere' (job 'j.0' and 999 more)"]


def test_problem_of_one_member_alone_names_it():
    text = "jobs:\n  j:\n    matrix: {t: [1m, 1, 2h]}\n    run: x\n    timeout: '${{ t }}'\n"
    assert messages(text) == ["E303 5:14 '1' is no length of time (job 'j.1')".replace("'1' is", "1 is")]


def test_unknown_upstreams_of_a_matrix_are_told_at_its_line_each():
    text = "jobs:\n  j:\n    matrix: {r: [eu, us]}\n    depends_on: ['load-${{ r }}']\n    run: x\n"
    assert messages(text) == [
        "E201 4:18 unknown upstream job 'load-eu' (job 'j.eu')",
        "E201 4:18 unknown upstream job 'load-us' (job 'j.us')",
    ]


def test_job_that_waits_for_its_own_matrix_waits_for_itself():
    text = "jobs:\n  j: {run: x, matrix: {a: [1]}, depends_on: [j]}\n"
    assert messages(text) == ["E202 2:46 job 'j.1' waits for itself"]


def test_matrix_is_no_job_itself_and_broken_ones_break_nothing_else():
    text = "jobs:\n  j: {run: x, matrix: {a: ['/']}}\n  k: {run: x, depends_on: [j]}\n"
    assert [line[:4] for line in messages(text)] == ["E409"]
