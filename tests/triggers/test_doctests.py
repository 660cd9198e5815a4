"""The examples in the docstrings say what happens."""

from __future__ import annotations

import doctest
import importlib

import pytest

MODULES = (
    "dagsched",
    "dagsched.counting",
    "dagsched.reasons",
    *(f"dagsched.triggers.{name}" for name in ("cron", "fields", "grammar", "jitter", "links", "notes")),
)


@pytest.mark.parametrize("name", MODULES)
def test_examples_in_docstrings_hold(name: str) -> None:
    result = doctest.testmod(importlib.import_module(name))
    assert result.attempted > 0
    assert result.failed == 0
