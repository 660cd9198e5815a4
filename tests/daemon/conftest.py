"""An address on the server of the tests, and folders to run on as on machines of their own."""

from __future__ import annotations

import pytest

from tests.postgres import new_address


@pytest.fixture
def address():
    return new_address()


@pytest.fixture
def machines(tmp_path, request):
    """Two folders, each with the module's `FILE` as job file; a state directory comes to each."""
    found = [tmp_path / name for name in ("a", "b")]
    for folder in found:
        folder.mkdir()
        (folder / "jobs.yaml").write_text(request.module.FILE)
    return found
