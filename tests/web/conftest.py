"""One daemon for all tests of a file, and browsers of each role that came in over it."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import pytest

from tests.api.caller import Caller, called
from tests.web.browser import Browser
from tests.web.chromium import complaints, launched, logged_in


@pytest.fixture(scope="module")
def caller(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Caller]:
    with called(tmp_path_factory.mktemp("served")) as found:
        yield found


@pytest.fixture(scope="module")
def admin(caller: Caller) -> Iterator[Browser]:
    with Browser(caller) as found:
        yield found


@pytest.fixture(scope="module")
def viewer(caller: Caller) -> Iterator[Browser]:
    with Browser(caller, "viewer") as found:
        yield found


@pytest.fixture(scope="module")
def browser() -> Iterator[Any]:
    """The browser of the system."""
    with launched() as found:
        yield found


@pytest.fixture
def page(browser: Any, caller: Caller) -> Iterator[Any]:
    """A page of that browser, logged in as admin, of which nothing may go wrong."""
    found = logged_in(browser, caller)
    wrong = complaints(found)
    yield found
    found.context.close()
    assert wrong == []
