"""The site as `./dev site` has built it: read from the disk, with all of the network away."""

from __future__ import annotations

import os
import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from dagsched.cli import COMMANDS
from tests.pages.blocks import ROOT
from tests.web.chromium import PATIENCE_MS, launched

SITE = ROOT / "site"
expect = pytest.importorskip("playwright.sync_api").expect
# What a page loads by itself; where a person may click to is another thing.
LOADED = re.compile(r"<(?:script|img|link|iframe)\b[^>]*?\b(?:src|href)=\"(?:https?:)?//[^\"]*\"[^>]*>")


@pytest.fixture(scope="module")
def pages() -> list[Path]:
    found = sorted(SITE.rglob("*.html"))
    if not found:
        words = "there is no site: ./dev site"
        (pytest.fail if os.environ.get("CI") else pytest.skip)(words)
    return found


@pytest.fixture(scope="module")
def browser(pages: list[Path]) -> Iterator[Any]:
    with launched() as found:
        yield found


@pytest.fixture
def page(browser: Any) -> Iterator[Any]:
    """Yield a window that cannot reach anything but files, and see that it never tried."""
    context = browser.new_context()
    wanted: list[str] = []

    def answer(route: Any) -> None:
        if route.request.url.startswith("file:"):
            route.continue_()
        else:
            wanted.append(route.request.url)
            route.abort()

    context.route("**/*", answer)
    page = context.new_page()
    page.set_default_timeout(PATIENCE_MS)
    yield page
    context.close()
    assert wanted == []


def test_no_page_loads_anything_from_elsewhere(pages: list[Path]):
    loading = {page.name: LOADED.findall(page.read_text()) for page in pages}
    # A canonical link is an address, and is not loaded.
    assert {name: [tag for tag in tags if "canonical" not in tag] for name, tags in loading.items() if tags} == {}


def test_each_page_of_the_repository_is_on_the_site(pages: list[Path]):
    there = {page.stem for page in pages}
    assert [page.stem for page in sorted((ROOT / "docs").glob("*.md")) if page.stem not in there] == []


def test_the_reference_has_each_command(pages: list[Path]):
    text = (SITE / "reference" / "commands.html").read_text()
    assert [name for name, line in COMMANDS.items() if line and f"dagsched {name}" not in text] == []


def test_a_word_is_found_without_network_and_leads_to_its_page(page: Any):
    page.goto((SITE / "index.html").as_uri())
    page.locator("input[name=q]").first.fill("superseded")
    page.locator("input[name=q]").first.press("Enter")
    results = page.locator("#search-results li a")
    expect(results.filter(has_text="Joins").first).to_be_visible(timeout=PATIENCE_MS)
    results.filter(has_text="Joins").first.click()
    expect(page.locator("h1")).to_contain_text("Joins")


@pytest.mark.parametrize("scheme", ["light", "dark"])
def test_the_time_lines_are_shown(browser: Any, scheme: str):
    context = browser.new_context(color_scheme=scheme)
    page = context.new_page()
    page.goto((SITE / "how-to-joins.html").as_uri())
    images = page.locator("img[src$='.svg']")
    expect(images).to_have_count(5)
    assert images.evaluate_all("all => all.every(each => each.complete && each.naturalWidth > 500)")
    context.close()
