from __future__ import annotations

import json
import re

import pytest

from dagsched.config import CODES, Problem, load_texts, render
from tests.config.texts import NOW

ODD = Problem("a,b:c%/ü x.yaml", 3, 5, 9, "E101", "error", "100% wrong\r\nsecond", "why", "fix", "")


def problems():
    text = "jobs:\n  a: {run: x, pol: y}\n  b: {run: x, schedule: {every: 1d}}\n"
    return load_texts({"jobs.yaml": text}, NOW).problems


def test_human_text_has_no_colour_unless_asked():
    plain, colored = render(problems(), "human"), render(problems(), "human", color=True)
    assert "\x1b" not in plain
    assert re.sub(r"\x1b\[[0-9]*m", "", colored) == plain
    assert plain.endswith("1 error, 1 warning\n")


def test_nothing_wrong_is_nothing_said():
    assert render((), "human") == ""
    assert render((), "github") == ""
    assert json.loads(render((), "json")) == []


def test_json_rows_have_the_promised_keys():
    row = json.loads(render(problems(), "json"))[0]
    assert list(row) == ["file", "line", "column", "end_column", "code", "severity", "message", "why", "fix"]
    assert (row["file"], row["line"], row["column"], row["end_column"], row["code"]) == ("jobs.yaml", 2, 15, 18, "E101")


def test_github_commands_are_one_line_each_and_escaped():
    assert render([ODD], "github") == (
        "::error file=a%2Cb%3Ac%25/ü x.yaml,line=3,endLine=3,col=5,endColumn=9,title=dagsched E101"
        "::100%25 wrong%0D%0Asecond%0Awhy: why%0Afix: fix\n"
    )


def test_github_warnings_are_warnings():
    assert [line.split()[0] for line in render(problems(), "github").splitlines()] == ["::error", "::warning"]


def test_terminal_is_not_driven_by_a_file_name():
    assert "\x1b" not in render([Problem("\x1b[2J.yaml", 1, 1, 2, "E012", "error", "empty")], "human")


def test_unknown_format_is_refused():
    with pytest.raises(KeyError):
        render((), "xml")


def sarif(found):
    return json.loads(render(found, "sarif"))


def test_sarif_log_has_one_run_with_rules_and_results():
    log = sarif(problems())
    assert (log["version"], len(log["runs"])) == ("2.1.0", 1)
    run = log["runs"][0]
    assert [rule["id"] for rule in run["tool"]["driver"]["rules"]] == ["E101", "W309"]
    for result in run["results"]:
        rule = run["tool"]["driver"]["rules"][result["ruleIndex"]]
        assert rule["id"] == result["ruleId"]
        assert rule["shortDescription"]["text"] == CODES[result["ruleId"]]
        assert rule["defaultConfiguration"]["level"] == result["level"]


def test_sarif_places_are_uris_and_regions():
    found = [ODD, Problem("/srv/jobs.yaml", 1, 1, 2, "E012", "error", "empty")]
    places = [result["locations"][0]["physicalLocation"] for result in sarif(found)["runs"][0]["results"]]
    assert [place["artifactLocation"]["uri"] for place in places] == [
        "a%2Cb%3Ac%25/%C3%BC%20x.yaml",
        "file:///srv/jobs.yaml",
    ]
    assert places[0]["region"] == {"startLine": 3, "startColumn": 5, "endLine": 3, "endColumn": 9}
