"""The rules page leads from each rule to a test that is there."""

import re
from pathlib import Path

import pytest

DOCS = Path(__file__).parents[2] / "docs"
LINK = re.compile(r'\[test\]\((\S+) "(\w+)"\)')
PAGES = ("rules.md", "promises.md", "joins.md", "faults.md")
LINKS = [(page, *link) for page in PAGES for link in LINK.findall((DOCS / page).read_text())]


@pytest.mark.parametrize(("page", "path", "name"), LINKS, ids=[f"{page}-{name}" for page, _, name in LINKS])
def test_a_rules_test_is_there(page, path, name):
    assert re.search(rf"^(async )?def {name}\(", (DOCS / path).read_text(), re.MULTILINE)


@pytest.mark.parametrize("number", range(1, 16))
def test_every_promise_has_its_line_and_its_test(number):
    (line,) = [line for line in (DOCS / "rules.md").read_text().splitlines() if line.startswith(f"| P{number} |")]
    assert LINK.search(line)


@pytest.mark.parametrize("number", range(1, 16))
def test_every_promise_is_said_in_plain_words_with_the_same_proofs(number):
    page = (DOCS / "promises.md").read_text()
    (part,) = re.findall(rf"^## P{number}\. [^\n]+\n(.*?)(?=^## )", page, re.MULTILINE | re.DOTALL)
    (line,) = [line for line in (DOCS / "rules.md").read_text().splitlines() if line.startswith(f"| P{number} |")]
    assert set(LINK.findall(line)) <= set(LINK.findall(part))
    torture = (DOCS / "torture.md").read_text()
    builds = re.findall(rf"^\| `([\w-]+)` \| P{number} \|", torture, re.MULTILINE)
    named = re.findall(r"`([\w-]+)`", part.partition("Defects that it finds:")[2])
    assert named
    assert set(named) <= set(builds)


@pytest.mark.parametrize("bullet", [line for line in (DOCS / "rules.md").read_text().splitlines() if line[:2] == "- "])
def test_every_rule_is_linked_to_a_test(bullet):
    assert LINK.search(bullet), bullet
