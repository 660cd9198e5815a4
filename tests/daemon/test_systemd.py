"""Telling systemd: what cannot be told stops nothing."""

from __future__ import annotations

import resource
from pathlib import Path

import pytest

from dagsched.daemon.systemd import Notifier


@pytest.mark.parametrize("address", ["@dagsched-nobody-listens", "/no/such/folder/notify", "/" + "x" * 200])
def test_a_manager_that_is_not_there_stops_nothing(address: str) -> None:
    Notifier({"NOTIFY_SOCKET": address}).ready("all is well")


def test_a_process_without_open_files_left_goes_on(tmp_path: Path) -> None:
    usual = resource.getrlimit(resource.RLIMIT_NOFILE)
    resource.setrlimit(resource.RLIMIT_NOFILE, (0, usual[1]))
    try:
        Notifier({"NOTIFY_SOCKET": str(tmp_path / "notify")}).alive()
    finally:
        resource.setrlimit(resource.RLIMIT_NOFILE, usual)
