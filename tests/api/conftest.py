"""One daemon for all tests of a file that only look, or change what no other test looks at."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from tests.api.caller import Caller, called


@pytest.fixture(scope="module")
def caller(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Caller]:
    with called(tmp_path_factory.mktemp("served")) as found:
        yield found
