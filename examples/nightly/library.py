"""Find the tree to survey and the folder to write to; every other job gets both from here."""

from __future__ import annotations

import os
import platform
import sysconfig
from pathlib import Path


def find() -> dict[str, str]:
    """Return `tree`, `out` and `python`, which become this run's outputs.

    The tree is the parameter `tree`, or this Python's standard library; FileNotFoundError when it is no folder.
    """
    tree = Path(os.environ.get("DAGSCHED_PARAM_TREE") or sysconfig.get_path("stdlib")).resolve()
    if not tree.is_dir():
        raise FileNotFoundError(f"there is no folder {tree}")
    out = Path(os.environ.get("DAGSCHED_DEMO_DIR") or ".demo").resolve()
    out.mkdir(parents=True, exist_ok=True)
    print(f"surveying {tree}, writing to {out}")
    return {"tree": str(tree), "out": str(out), "python": platform.python_version()}
