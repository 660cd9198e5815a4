"""One daemon for all tests of a file, and browsers of each role that came in over it."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from tests.api.caller import Caller, called
from tests.web.browser import Browser


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
