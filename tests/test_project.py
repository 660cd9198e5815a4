"""The tree as a whole: what it needs, what `./dev` does when, what `.ci/run` lets pass."""

from __future__ import annotations

import os
import re
import shutil
import subprocess
import tomllib
from pathlib import Path

import pytest

ROOT = Path(__file__).parent.parent
PROJECT = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]
EXTRAS = PROJECT["optional-dependencies"]


def run(*words: object, cwd: Path = ROOT, **env: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [str(word) for word in words],
        cwd=cwd,
        env={"PATH": os.environ["PATH"], "HOME": str(cwd), **env},
        capture_output=True,
        text=True,
        timeout=120,
    )


# ---------------------------------------------------------------- requirements


def name_of(requirement: str) -> str:
    return re.split(r"[<>=;\[ ]", requirement)[0].lower().replace("_", "-")


def test_every_requirement_is_constrained():
    lines = (ROOT / "constraints.txt").read_text().splitlines()
    pinned = {name_of(line) for line in lines if "==" in line}
    wanted = {
        name_of(line)
        for line in (*PROJECT["dependencies"], *(each for name in ("test", "site") for each in EXTRAS[name]))
        if "python_version < '3.9'" not in line
    }
    assert wanted - pinned == set()
    assert len(pinned) == len([line for line in lines if line and not line.startswith("#")])


# ---------------------------------------------------------------- ./dev

FAKE_PYTHON = """\
#!/bin/sh
# Answers as a Python would that has a venv module and a network, and writes down what it is asked.
printf '%s\\n' "$*" >>"$CALLS"
case "$*" in
    *ensurepip*) exit "${NO_VENV_MODULE:-0}" ;;
    --version) echo Python 3.12.0 ;;
    '-m venv -- '*) mkdir -p "$4/bin" && cp "$0" "$4/bin/python" ;;
    '-m pip install '*)
        case ${KILL:-} in set-up) kill -9 "$PPID" ;; install) kill -9 $$ ;; esac
        exit "${PIP_FAILS:-0}" ;;
esac
"""
TOOLS = ("sh", "cat", "cksum", "tr", "dirname", "basename", "rm", "mv", "cp", "mkdir", "sed", "sleep", "chmod", "grep")


class Tree:
    """A copy of what `./dev` needs, in a folder with a space in its name, with a Python that only pretends."""

    def __init__(self, folder: Path) -> None:
        self.root = folder / "a tree"
        self.root.mkdir()
        for name in ("dev", "pyproject.toml", "constraints.txt"):
            shutil.copy(ROOT / name, self.root / name)
        (self.root / "bench").mkdir()
        self.bin = folder / "bin"
        self.bin.mkdir()
        for tool in TOOLS:
            (self.bin / tool).symlink_to(str(shutil.which(tool)))
        (self.bin / "python3.12").write_text(FAKE_PYTHON)
        (self.bin / "python3.12").chmod(0o755)
        self.calls_file = folder / "calls"

    def dev(self, *words: str, **env: str) -> subprocess.CompletedProcess[str]:
        """Run `./dev` from another folder; `calls` then holds what the Python was asked to do."""
        self.calls_file.write_text("")
        shell = shutil.which("dash") or "sh"
        env = {"PATH": str(self.bin), "CALLS": str(self.calls_file), **env}
        return run(shell, self.root / "dev", *words, cwd=self.bin, **env)

    @property
    def calls(self) -> list[str]:
        """Return what was done, without the questions what there is."""
        lines = self.calls_file.read_text().splitlines()
        asked = ("-c ", "--version", "-m pip --version")
        return [line.replace(str(self.root), "TREE") for line in lines if not line.startswith(asked)]


@pytest.fixture
def tree(tmp_path: Path) -> Tree:
    return Tree(tmp_path)


PIP = "-m pip install --quiet --disable-pip-version-check -c constraints.txt -e"
MAKE, INSTALL, PROGRAM = "-m venv -- TREE/.venv", f"{PIP} .[test]", f"{PIP} ."


def test_the_first_command_sets_up_and_later_ones_do_not(tree: Tree):
    assert tree.dev("test", "-x").returncode == 0
    assert tree.calls == [MAKE, INSTALL, "-m pytest -x"]
    assert tree.dev("test").returncode == 0
    assert tree.calls == ["-m pytest"]


def test_a_changed_requirement_is_installed(tree: Tree):
    tree.dev("setup")
    with (tree.root / "constraints.txt").open("a") as file:
        file.write("# changed\n")
    tree.dev("setup")
    assert tree.calls == [INSTALL]
    tree.dev("setup")
    assert tree.calls == []


@pytest.mark.parametrize("killed", ["set-up", "install"])
def test_a_killed_set_up_starts_over(tree: Tree, killed: str):
    assert tree.dev("setup", KILL=killed).returncode != 0
    assert (tree.root / ".venv.setup").exists()
    (tree.root / ".venv" / "half-written").touch()
    again = tree.dev("setup")
    assert "interrupted; starting over" in again.stderr
    assert (again.returncode, tree.calls) == (0, [MAKE, INSTALL])
    assert not (tree.root / ".venv" / "half-written").exists()


def test_a_failed_install_is_repeated_without_starting_over(tree: Tree):
    assert tree.dev("setup", PIP_FAILS="1").returncode == 1
    assert not (tree.root / ".venv" / ".stamp").exists()
    assert tree.dev("setup").returncode == 0
    assert tree.calls == [INSTALL]


def test_a_broken_venv_is_made_anew(tree: Tree):
    tree.dev("setup")
    (tree.root / ".venv" / "bin" / "python").unlink()
    assert "does not work any more" in tree.dev("setup").stderr
    assert tree.calls == [MAKE, INSTALL]


def test_a_moved_tree_is_installed_again(tree: Tree):
    tree.dev("setup")
    tree.root = tree.root.rename(tree.root.with_name("moved tree"))
    tree.dev("setup")
    assert tree.calls == [INSTALL]


def test_a_missing_venv_module_is_told_with_the_line_that_fixes_it(tree: Tree):
    done = tree.dev("setup", NO_VENV_MODULE="1")
    assert done.returncode == 1
    assert "sudo apt install python" in done.stderr
    assert tree.calls == []


def test_uv_takes_over_where_the_venv_module_is_missing(tree: Tree):
    uv = tree.bin / "uv"
    uv.write_text(
        """#!/bin/sh
printf 'uv %s\\n' "$*" >>"$CALLS"
case "$*" in
    *venv*) for folder; do :; done; mkdir -p "$folder/bin"; printf '%s\\n' '#!/bin/sh' \
        'printf "%s\\\\n" "$*" >>"$CALLS"' 'case "$*" in *pip*) exit 1;; esac' >"$folder/bin/python"
        chmod +x "$folder/bin/python" ;;
esac
"""
    )
    uv.chmod(0o755)
    assert tree.dev("setup", NO_VENV_MODULE="1").returncode == 0
    assert [line for line in tree.calls if line.startswith("uv")] == [
        f"uv --no-python-downloads venv --quiet --python {tree.bin}/python3.12 -- TREE/.venv",
        "uv pip install --quiet --python TREE/.venv/bin/python -c constraints.txt -e .[test]",
    ]


def test_no_python_is_told_with_what_to_do(tree: Tree):
    (tree.bin / "python3.12").unlink()
    done = tree.dev("setup")
    assert done.returncode == 1
    assert "no Python >= 3.11 found" in done.stderr
    assert not (tree.root / ".venv.setup").exists()


def test_a_named_python_is_the_one_that_is_used(tree: Tree):
    (tree.bin / "python3.12").rename(tree.bin / "mine")
    assert tree.dev("setup", PYTHON=str(tree.bin / "mine")).returncode == 0
    assert tree.calls == [MAKE, INSTALL]


def test_a_named_python_that_is_too_old_is_refused(tree: Tree):
    (tree.bin / "old").write_text("#!/bin/sh\nexit 1\n")
    (tree.bin / "old").chmod(0o755)
    done = tree.dev("setup", PYTHON=str(tree.bin / "old"))
    assert done.returncode == 1
    assert f"$PYTHON ({tree.bin}/old) is no Python >= 3.11" in done.stderr


def test_the_demo_installs_the_program_alone_until_tests_want_more(tree: Tree):
    tree.dev("demo")
    assert tree.calls[:2] == [MAKE, PROGRAM]
    assert "-m dagsched validate jobs.example.yaml" in tree.calls
    tree.dev("setup")
    assert tree.calls == [INSTALL]
    tree.dev("demo")
    assert not [call for call in tree.calls if "pip install" in call]


PEERS = "-m pip install --quiet --disable-pip-version-check -c bench/constraints.txt"


def add_measurements(tree: Tree) -> None:
    (tree.root / "bench" / "one.py").write_text("import sys\n")
    (tree.root / "bench" / "two.py").write_text("from yard.peers import peer_command\n")
    (tree.root / "bench" / "requirements.txt").write_text("# peers\ndoit==1  # one\nluigi==2\n")
    (tree.root / "bench" / "constraints.txt").touch()


def test_the_first_measurement_with_peers_makes_them_an_environment_of_their_own(tree: Tree):
    add_measurements(tree)
    tree.dev("setup")
    assert tree.dev("bench", "one", "--json").returncode == 0
    assert tree.calls == ["bench/one.py --json"]
    assert tree.dev("bench", "two", "--json").returncode == 0
    assert tree.calls == ["-m venv -- TREE/.venv-peers", f"{PEERS} -r bench/requirements.txt", "bench/two.py --json"]
    tree.dev("bench")
    assert tree.calls == ["bench/one.py", "bench/two.py"]
    tree.dev("test")
    assert tree.calls == ["-m pytest"]


def test_another_peer_changes_nothing_of_ours(tree: Tree):
    add_measurements(tree)
    tree.dev("bench")
    with (tree.root / "bench" / "requirements.txt").open("a") as file:
        file.write("huey==3\n")
    tree.dev("bench", "two")
    assert tree.calls == [f"{PEERS} -r bench/requirements.txt", "bench/two.py"]


def test_peers_that_cannot_be_had_are_named_and_the_others_installed(tree: Tree):
    add_measurements(tree)
    tree.dev("setup")
    done = tree.dev("bench", "two", PIP_FAILS="1")
    assert tree.calls[1:] == [
        f"{PEERS} -r bench/requirements.txt",
        f"{PEERS} doit==1",
        f"{PEERS} luigi==2",
        "bench/two.py",
    ]
    assert [line for line in done.stderr.splitlines() if "not installed" in line] == [
        "dev: not installed: doit==1",
        "dev: not installed: luigi==2",
    ]


def test_a_measurement_that_is_not_there_is_named(tree: Tree):
    done = tree.dev("bench", "nothing")
    assert (done.returncode, "no measurement bench/nothing.py" in done.stderr) == (1, True)


def test_check_asks_ruff_and_mypy(tree: Tree):
    tree.dev("check")
    assert tree.calls[2:] == ["-m ruff check --no-cache .", "-m mypy --strict"]


def test_the_site_and_the_audit_get_environments_of_their_own(tree: Tree):
    tree.dev("setup")
    assert tree.dev("site").returncode == 0
    assert tree.calls[:2] == ["-m venv -- TREE/.venv-site", f"{PIP} .[site]"]
    assert tree.dev("audit", "--format", "cyclonedx-json").returncode == 0
    assert tree.calls[0] == "-m venv -- TREE/.venv-audit"
    assert tree.calls[-1].startswith("-m pip_audit --strict --no-deps --disable-pip --requirement constraints.txt")
    tree.dev("site")
    assert tree.calls == ["-m sphinx -W --keep-going -q -b html -d site/.doctrees docs site"]
    tree.dev("test")
    assert tree.calls == ["-m pytest"]


def test_torture_passes_its_words_on(tree: Tree):
    tree.dev("torture", "--seeds", "3", "--broken", "all")
    assert tree.calls[2:] == ["-m tests.torture --seeds 3 --broken all"]


def test_pictures_pass_their_words_on(tree: Tree):
    tree.dev("pictures", "--to", "there")
    assert tree.calls[2:] == ["-m tests.web.screenshots --to there"]


def test_tools_that_are_missing_are_named_with_what_installs_them(tree: Tree):
    (tree.bin / "id").write_text("#!/bin/sh\necho 1000\n")
    (tree.bin / "id").chmod(0o755)
    done = tree.dev("tools")
    assert (done.returncode, "apt-get install strace faketime chromium" in done.stderr) == (1, True)
    for name in ("strace", "faketime", "chromium"):
        (tree.bin / name).symlink_to(str(shutil.which("true")))
    assert tree.dev("tools").returncode == 0


def test_help_names_every_command_and_an_unknown_one_exits_2(tree: Tree):
    text = tree.dev("help").stdout
    commands = re.findall(r"^    ([a-z]+)\)", (ROOT / "dev").read_text(), re.MULTILINE)
    assert {"demo", "test", "torture", "check", "bench", "docs", "setup"} <= set(commands)
    assert [name for name in commands if f"\n  {name} " not in text] == []
    assert tree.dev("nonsense").returncode == 2


# ---------------------------------------------------------------- .ci/run


@pytest.mark.parametrize(
    ("results", "exits", "passes"),
    [
        pytest.param('<testcase name="a" />', {}, True, id="all is well"),
        pytest.param('<testcase name="a" />', {"test": 1}, False, id="a test fails"),
        pytest.param('<testcase name="a" />', {"torture": 1}, False, id="a promise is broken"),
        pytest.param('<testcase name="a" />', {"check": 1}, False, id="a check fails"),
        pytest.param('<testcase name="a" />', {"site": 1}, False, id="a page has a dead link"),
        pytest.param("", {"test": 5}, False, id="no tests"),
        pytest.param('<testcase name="a"><skipped /></testcase>', {}, False, id="only skipped tests"),
    ],
)
def test_ci_passes_only_what_was_tested_tortured_and_checked(tmp_path: Path, results, exits, passes):
    (tmp_path / ".ci").mkdir()
    shutil.copy(ROOT / ".ci" / "run", tmp_path / ".ci" / "run")
    (tmp_path / "dev").write_text(
        f"""#!/bin/sh
case $1 in
    test) printf '%s' '{results}' >"${{2#--junitxml=}}"; exit {exits.get("test", 0)} ;;
    torture) exit {exits.get("torture", 0)} ;;
    check) exit {exits.get("check", 0)} ;;
    site) exit {exits.get("site", 0)} ;;
esac
"""
    )
    (tmp_path / "dev").chmod(0o755)
    assert (run(tmp_path / ".ci" / "run", cwd=tmp_path).returncode == 0) == passes
