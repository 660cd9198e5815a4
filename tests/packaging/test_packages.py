"""What is handed out works where nothing else is: wheel and sdist, installed into an empty environment."""

from __future__ import annotations

import json
import re
import tarfile
import tomllib
import zipfile
from pathlib import Path

import pytest

import dagsched
from tests.packaging.places import ROOT, built, installed, needed, run

PROJECT = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]


@pytest.fixture(scope="module")
def wheel(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return built("wheel", tmp_path_factory.mktemp("wheel"))


@pytest.fixture(scope="module")
def sdist(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return built("sdist", tmp_path_factory.mktemp("sdist"))


@pytest.fixture(scope="module")
def place(wheel: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Return the `bin` of an environment with the wheel and its declared requirements, nothing else."""
    return installed(wheel, tmp_path_factory.mktemp("an empty place"))


def test_a_wheel_carries_everything_that_is_not_python(wheel: Path):
    names = set(zipfile.ZipFile(wheel).namelist())
    ours = {
        str(file.relative_to(ROOT))
        for file in (ROOT / "dagsched").rglob("*")
        if file.is_file() and "__pycache__" not in file.parts
    }
    assert ours <= names
    assert {"dagsched/py.typed", "dagsched/schemas/jobs.schema.json"} <= names
    assert any(name.endswith(".sql") for name in names)
    assert any(name.endswith("licenses/LICENSE") for name in names)
    assert not any(name.startswith(("tests/", "docs/")) for name in names)


def test_the_version_is_written_once(wheel: Path):
    assert PROJECT["version"] == dagsched.__version__
    assert wheel.name.startswith(f"dagsched-{dagsched.__version__}-")


def test_a_wheel_built_from_the_sdist_is_the_same(wheel: Path, sdist: Path, tmp_path: Path):
    with tarfile.open(sdist) as archive:
        archive.extraction_filter = getattr(tarfile, "data_filter", None)  # Python 3.11.4 and later have one
        archive.extractall(tmp_path)
    [tree] = tmp_path.iterdir()
    again = built("wheel", tmp_path / "again", tree)
    assert _contents(again) == _contents(wheel)


def test_an_sdist_can_be_tested_and_its_pages_read(sdist: Path):
    with tarfile.open(sdist) as archive:
        names = {name.partition("/")[2] for name in archive.getnames()}
    assert {"tests/test_docs.py", "docs/index.md", "examples/dagsched.service", "constraints.txt", "dev"} <= names
    assert not any(name.startswith((".venv", ".dagsched", ".git/")) for name in names)


def _contents(wheel: Path) -> dict[str, bytes]:
    archive = zipfile.ZipFile(wheel)
    return {name: archive.read(name) for name in archive.namelist() if not name.endswith("/RECORD")}


def test_an_installed_wheel_is_complete_where_nothing_else_is(place: Path, tmp_path: Path):
    command = place / "dagsched"
    where = run(place / "python", "-c", "import dagsched; print(dagsched.__file__)", cwd=tmp_path)
    assert where.stdout.startswith(str(place.parent))
    assert run(command, "--version", cwd=tmp_path).stdout == f"dagsched {dagsched.__version__}\n"
    schema = run(command, "schema", cwd=tmp_path)
    assert json.loads(schema.stdout) == json.loads((ROOT / "schemas" / "jobs.schema.json").read_text())


def test_an_installed_wheel_runs_a_first_file(place: Path, tmp_path: Path):
    for words in (["init"], ["validate"], ["next"], ["graph"], ["run", "--once"], ["why", "report"], ["doctor"]):
        done = run(place / "dagsched", *words, cwd=tmp_path)
        assert done.returncode == 0, (words, done.stdout, done.stderr)
    rows = [json.loads(line) for line in run(place / "dagsched", "history", "--json", cwd=tmp_path).stdout.splitlines()]
    assert {row["state"] for row in rows} == {"success"}


def test_every_module_of_an_installed_wheel_loads_or_names_the_extra_it_wants(place: Path, tmp_path: Path):
    code = """
import importlib, pkgutil, dagsched
from dagsched.errors import DagschedError
left_out = {"dagsched.pytest_plugin"}  # pytest loads it, and it alone
for each in pkgutil.walk_packages(dagsched.__path__, "dagsched."):
    if each.name not in left_out and not each.name.endswith("__main__"):
        try:
            importlib.import_module(each.name)
        except DagschedError as error:
            assert "pip install 'dagsched[" in str(error), (each.name, error)
        except ImportError as error:
            # Whoever loads these says what to install, or does without.
            assert error.name in {"fast_sugiyama", "psycopg"}, (each.name, error)
"""
    done = run(place / "python", "-W", "error", "-c", code, cwd=tmp_path)
    assert done.returncode == 0, done.stderr


PINNED = re.compile(r"^([\w.-]+)==(\S+)", re.MULTILINE)


def test_the_locked_versions_are_those_of_the_constraints_and_each_has_hashes():
    text = (ROOT / "requirements.lock").read_text()
    locked = {_name(name): version for name, version in PINNED.findall(text)}
    pinned = {_name(name): version for name, version in PINNED.findall((ROOT / "constraints.txt").read_text())}
    # Some are wanted on other systems or Pythons alone, where nothing here was tested with.
    assert {name: version for name, version in locked.items() if pinned.get(name, version) != version} == {}
    for part in re.split(r"^(?=[\w.-]+==)", text, flags=re.MULTILINE)[1:]:
        assert "--hash=sha256:" in part, part.splitlines()[0]


def test_all_that_an_installation_needs_is_locked():
    locked = {_name(name) for name, _ in PINNED.findall((ROOT / "requirements.lock").read_text())}
    assert [each.name for each in needed("dagsched") if _name(each.name) not in locked] == []
    declared = [line for extra in ("metrics", "otel", "postgres") for line in PROJECT["optional-dependencies"][extra]]
    assert [line for line in declared if _name(re.split(r"[\[>=]", line)[0]) not in locked] == []


def _name(name: str) -> str:
    return re.sub(r"[-_.]+", "-", name).lower()
