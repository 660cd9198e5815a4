"""What the pages say is true: job files are valid, links lead somewhere, every command has its place.

`tests/pages` runs the commands, and says what the words after a fence mean.
"""

from __future__ import annotations

import re
from importlib.util import module_from_spec, spec_from_file_location
from pathlib import Path
from types import ModuleType

import pytest
import yaml

from dagsched.api.openapi import written
from dagsched.cli import COMMANDS, load
from dagsched.cli.parser import Parser
from dagsched.config import load_texts, render, schema
from dagsched.config.files import lending
from dagsched.model import utc
from tests.pages.blocks import FENCE, PAGES, ROOT, Block, blocks_of


def module_of(file: Path) -> ModuleType:
    spec = spec_from_file_location(file.stem, file)
    assert spec is not None
    assert spec.loader is not None
    module = module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


reference = module_of(ROOT / "docs" / "reference.py")
site = module_of(ROOT / "docs" / "conf.py")
NOW = utc(2026, 11, 23)
LINK = re.compile(r"\[[^\]\n]*\]\(([^)\s]+)\)")


def with_ids(blocks: list[Block]) -> list[object]:
    return [pytest.param(block, id=block.place) for block in blocks]


YAML = [block for page in PAGES for block in blocks_of(page) if block.language == "yaml"]
JOB_FILES = [block for block in YAML if block.is_file or not block.name]


@pytest.mark.parametrize("block", with_ids(JOB_FILES))
def test_every_job_file_on_a_page_is_valid(block: Block):
    # Handlers of a program are known to that program alone.
    with lending(["greet"] if block.page.name == "embedding.md" else []):
        loaded = load_texts({block.place: block.text}, NOW)
    assert loaded.config is not None, render(loaded.problems, "human")
    # A page may show what the file is warned of.
    shown = block.page.read_text(encoding="utf-8")
    assert not [each for each in loaded.problems if f"warning {each.code}" not in shown], render(
        loaded.problems, "human"
    )


@pytest.mark.parametrize("block", with_ids(YAML))
def test_every_yaml_on_a_page_parses(block: Block):
    assert yaml.safe_load(block.text) is not None


def test_there_are_job_files_on_the_front_page():
    assert [block for block in JOB_FILES if block.page.name == "README.md"]


def prose_of(page: Path) -> str:
    return FENCE.sub("", page.read_text(encoding="utf-8"))


def anchors_of(page: Path) -> set[str]:
    """Return the anchors that headings get: lower case, punctuation dropped, spaces as hyphens."""
    headings = re.findall(r"^#+ +(.+?) *$", prose_of(page), re.MULTILINE)
    return {re.sub(r"[^\w\- ]", "", heading.lower()).replace(" ", "-") for heading in headings}


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.name)
def test_every_link_between_pages_leads_somewhere(page: Path):
    dead = []
    for target in LINK.findall(prose_of(page)):
        if re.match(r"[a-z]+:", target):
            continue
        path, _, anchor = target.partition("#")
        file = (page.parent / path).resolve() if path else page
        if not file.exists() or (anchor and anchor not in anchors_of(file)):
            dead.append(target)
    assert dead == []


def test_every_page_is_two_clicks_from_the_front_page():
    index = ROOT / "docs" / "index.md"
    first = linked_from(ROOT / "README.md")
    assert index in first
    assert [page.name for page in PAGES[1:] if page not in first | linked_from(index)] == []


def linked_from(page: Path) -> set[Path]:
    return {(page.parent / target.partition("#")[0]).resolve() for target in LINK.findall(prose_of(page))}


@pytest.mark.parametrize("name", sorted(reference.PAGES))
def test_the_reference_is_written_from_the_program(name: str):
    text = reference.PAGES[name]()
    wanted = {
        "commands": [f"## dagsched {name}\n" for name, line in COMMANDS.items() if line],
        "http": [path.replace("{", "\\{") for path in written()["paths"]],
        "job-file": [f"| `{key}` |" for key in (*schema()["properties"], *schema()["$defs"]["job"]["properties"])],
    }
    assert [each for each in wanted[name] if each not in text] == []


def test_every_page_is_once_in_the_navigation_of_the_site():
    pages = {page.stem for page in (ROOT / "docs").glob("*.md")}
    said = site.navigation((ROOT / "docs" / "index.md").read_text(), {*pages, "of-tomorrow"})
    listed = re.findall(r"^([\w-]+)$", said, re.MULTILINE)
    assert sorted(listed) == sorted({*pages, "of-tomorrow"} - {"index"})


CLI_PAGE = (ROOT / "docs" / "cli.md").read_text(encoding="utf-8")


@pytest.mark.parametrize("name", [name for name, line in COMMANDS.items() if line])
def test_the_page_of_the_command_line_has_every_command_and_option(name: str):
    _, found, section = CLI_PAGE.partition(f"\n### `dagsched {name}`\n")
    assert found
    section = re.split(r"\n##", section)[0]
    common = CLI_PAGE.partition("\n## Before")[0]
    parser = Parser(name, "")
    load(name).arguments(parser)
    shared = {"--json", "--file", "--state-dir", "--store", "--namespace", "--url", "--token"}
    missing = [
        option
        for option in parser.options()
        if option != "--help" and option not in (common if option in shared else section)
    ]
    assert missing == []


def test_the_page_of_the_command_line_has_no_command_that_is_gone():
    assert set(re.findall(r"^### `dagsched (\w+)`$", CLI_PAGE, re.MULTILINE)) == {
        name for name, line in COMMANDS.items() if line
    }


def test_every_dev_command_that_is_named_exists():
    script = (ROOT / "dev").read_text()
    named = {word for page in PAGES for word in re.findall(r"\./dev ([a-z]+)", page.read_text(encoding="utf-8"))}
    assert {"demo", "test"} <= named
    assert [word for word in named if f"\n    {word})" not in script] == []
