"""An environment with nothing in it but what a package asks for."""

from __future__ import annotations

import os
import re
import subprocess
import sys
import sysconfig
import venv
from importlib.metadata import Distribution, distribution
from importlib.util import find_spec
from pathlib import Path

ROOT = Path(__file__).parent.parent.parent
# `extra == "test"` and the like: of what is not asked for.
_EXTRA = re.compile(r"extra\s*==")


def run(*words: object, cwd: Path = ROOT, timeout: float = 240, **env: str) -> subprocess.CompletedProcess[str]:
    """Run a command with an environment that holds nothing of this process's but PATH."""
    return subprocess.run(
        [str(word) for word in words],
        cwd=cwd,
        env={"PATH": os.environ["PATH"], "HOME": str(cwd), "LANG": "C.UTF-8", **env},
        capture_output=True,
        text=True,
        timeout=timeout,
    )


def built(kind: str, folder: Path, tree: Path = ROOT) -> Path:
    """Build a `wheel` or an `sdist` of a tree into `folder` and return the file."""
    done = run(sys.executable, "-m", "hatchling", "build", "-t", kind, "-d", folder, cwd=tree)
    assert done.returncode == 0, done.stderr
    [file] = folder.glob("*.whl" if kind == "wheel" else "*.tar.gz")
    return file


def installed(wheel: Path, folder: Path) -> Path:
    """Install a wheel into a new environment in `folder` and return the environment's `bin`.

    What the wheel says it needs, and what that needs, is linked from this Python's packages, so no network is
    asked; nothing else of this Python's is there, so a requirement that is not declared is missing.
    """
    venv.create(folder, with_pip=False, symlinks=True)
    python = folder / "bin" / "python"
    # A .venv that uv made has no pip; then there is uv.
    pip = [sys.executable, "-m", "pip", "--python", python, "install"]
    installer = pip if find_spec("pip") else ["uv", "pip", "install", "--python", python]
    done = run(*installer, "--no-deps", "--no-index", wheel, cwd=folder)
    assert done.returncode == 0, done.stderr
    site = Path(sysconfig.get_path("purelib", "venv", {"base": str(folder), "platbase": str(folder)}))
    for each in needed("dagsched"):
        _link(each, site)
    return python.parent


def needed(name: str) -> list[Distribution]:
    """Return what a distribution needs, with what that needs; extras left out."""
    found: dict[str, Distribution] = {}
    names = [name]
    while names:
        for line in distribution(names.pop()).requires or ():
            wanted = re.split(r"[<>=!~;\[ (]", line)[0]
            if _EXTRA.search(line) or wanted in found or _is_for_older_python(line):
                continue
            found[wanted] = distribution(wanted)
            names.append(wanted)
    return list(found.values())


def _is_for_older_python(line: str) -> bool:
    from packaging.markers import Marker

    _, _, marker = line.partition(";")
    return bool(marker) and not Marker(marker.strip()).evaluate({"extra": ""})


def _link(package: Distribution, site: Path) -> None:
    for file in package.files or ():
        first = file.parts[0]
        target = site / first
        if first not in ("..", "__pycache__") and not os.path.lexists(target):
            target.symlink_to(Path(str(package.locate_file(first))))
