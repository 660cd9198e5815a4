"""The pytest plug-in, as pytest finds it: the example of `docs/testing.md` is run, and a failure shows its history."""

from __future__ import annotations

import shutil
import subprocess
import sys
from importlib.metadata import entry_points
from pathlib import Path

EXAMPLE = Path(__file__).parent.parent.parent / "examples" / "testing"


def run_pytest(folder: Path) -> subprocess.CompletedProcess[str]:
    command = [sys.executable, "-m", "pytest", "-q", "-p", "no:cacheprovider", "--rootdir", str(folder), str(folder)]
    return subprocess.run(command, cwd=folder, capture_output=True, text=True, timeout=300, check=False)


def test_pytest_finds_it_by_itself() -> None:
    [found] = [each for each in entry_points(group="pytest11") if each.name == "dagsched"]
    assert found.value == "dagsched.pytest_plugin"


def test_the_example_runs_in_a_folder_of_its_own(tmp_path: Path) -> None:
    shutil.copytree(EXAMPLE, tmp_path / "team", ignore=shutil.ignore_patterns("__pycache__"))
    done = run_pytest(tmp_path / "team")
    assert done.returncode == 0, done.stdout + done.stderr
    assert "7 passed" in done.stdout


def test_a_failure_shows_what_became_of_every_tick(tmp_path: Path) -> None:
    shutil.copy(EXAMPLE / "jobs.yaml", tmp_path)
    (tmp_path / "test_it.py").write_text(
        "def test_it(dagsched_world):\n"
        "    world = dagsched_world('jobs.yaml', start='2026-11-23')\n"
        "    world.run_until('2026-11-23T03:00')\n"
        "    assert world.state('a') == 'failed'\n"
    )
    done = run_pytest(tmp_path)
    assert done.returncode == 1
    assert "dagsched history" in done.stdout
    assert "Mon 2026-11-23 02:00  a: success, 02:00:00 to 02:01:00" in done.stdout


def test_problems_of_a_job_file_are_in_the_report(tmp_path: Path) -> None:
    (tmp_path / "jobs.yaml").write_text("version: 1\njobs: {a: {run: x, depends_on: [b]}}\n")
    (tmp_path / "test_it.py").write_text(
        "def test_it(dagsched_world):\n    dagsched_world('jobs.yaml', start='2026-11-23')\n"
    )
    done = run_pytest(tmp_path)
    assert done.returncode == 1
    assert "unknown upstream job 'b'" in done.stdout


def test_importing_dagsched_imports_no_pytest_and_testing_does_not_either() -> None:
    for module in ("dagsched", "dagsched.testing"):
        code = f"import sys, {module}; assert 'pytest' not in sys.modules"
        subprocess.run([sys.executable, "-c", code], check=True, timeout=60)
