"""`dagsched schema`: the one grammar of job files, for editors and other programs."""

from __future__ import annotations

import argparse
import json

from dagsched.cli.parser import Parser
from dagsched.config import schema


def arguments(parser: Parser) -> None:
    """It takes none."""


def run(args: argparse.Namespace) -> int:
    print(text(), end="")
    return 0


def text() -> str:
    """Return the JSON Schema as text that ends with a line feed."""
    return json.dumps(schema(), indent=2, ensure_ascii=False) + "\n"
