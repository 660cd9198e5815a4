"""What a job is called after: the program in a command line that does the work."""

from __future__ import annotations

import re
from typing import NamedTuple


class _Wrapper(NamedTuple):
    """A program that runs another: options that take a value, and how many words come before the other's."""

    values: tuple[str, ...] = ()
    words: int = 0


_WRAPPERS = {
    "nice": _Wrapper(("-n", "--adjustment")),
    "ionice": _Wrapper(("-c", "-n", "--class", "--classdata")),
    "chrt": _Wrapper((), 1),
    "timeout": _Wrapper(("-k", "-s", "--kill-after", "--signal"), 1),
    "flock": _Wrapper(("-w", "-E", "--timeout", "--wait", "--conflict-exit-code"), 1),
    "sudo": _Wrapper(("-u", "-g", "-iu", "-Hu", "-nu", "-Eu", "--user", "--group")),
    "su": _Wrapper(("-s", "-g", "--shell"), 1),
    "runuser": _Wrapper(("-u", "-g", "-s")),
    "env": _Wrapper(("-u", "-C", "--unset", "--chdir")),
    "stdbuf": _Wrapper(("-i", "-o", "-e")),
    "systemd-cat": _Wrapper(("-t", "-p")),
    "bundle": _Wrapper((), 1),
    "poetry": _Wrapper((), 1),
    "pipenv": _Wrapper((), 1),
    "uv": _Wrapper(("--project", "--with"), 1),
    "time": _Wrapper(("-f", "-o")),
    **dict.fromkeys(("exec", "chronic", "cronic", "nohup", "setsid", "command", "eatmydata"), _Wrapper()),
}
_SHELLS = ("sh", "bash", "dash", "zsh", "ksh")
_PROGRAMS = re.compile(r"(?:python|perl|ruby|node|php|java|Rscript)[\d.]*|" + "|".join(_SHELLS))
# Programs that do one of many things, which the next word names.
_FRONTS = frozenset(["manage.py", "artisan", "console", "rake", "drush", "wp", "npm", "yarn", "pnpm", "invoke", "just"])
_PREPARES = frozenset(
    [
        "cd",
        "pushd",
        "export",
        "set",
        "unset",
        "source",
        ".",
        "test",
        "[",
        "[[",
        "which",
        "sleep",
        "true",
        ":",
        "conda",
        "workon",
        "ulimit",
        "umask",
        "renice",
        "for",
        "while",
        "until",
        "case",
        "done",
        "fi",
        "esac",
        "wait",
        "exit",
    ]
)
_SPARE = frozenset(["echo", "date", "printf"])
_KEYWORDS = frozenset(["if", "then", "else", "elif", "do", "!", "{", "("])
_GUARD = re.compile(
    r"^(?:if\s+)?(?:!\s+)?(?:\[\[?\s[^]]*\]\]?\s*|(?:test|which|command\s+-v)\s[^&|;]*(?:>&1\s*)?)(?:&&|\|\||;)\s*(?:then\s+|\{\s+)?"
)
_RANDOM = re.compile(r"perl\s+-e\s+'[^']*rand[^']*'\s*(?:&&|;)|sleep\s+\S*\$[^;&]*(?:&&|;)|sleep\s+`[^`]*`\s*(?:&&|;)")


def name_of(command: str) -> str:
    """Return a name for the job after the first program that does the work; `job` when none can be told."""
    text = _RANDOM.sub("", re.sub(r"<<-?\s*\S+", "", command[:4000]))
    while (rest := _GUARD.sub("", text.lstrip())) != text.lstrip():
        text = rest
    spare = ""
    for part in re.split(r"&&|\|\||[;|&\n()]", re.sub(r"\d?>&\d|&>>?|\d?>>?\s*\S+", " ", text)):
        words = [word for word in re.split(r"[\s<>{}'\"]+", part) if word]
        while words and words[0] in _KEYWORDS:
            words.pop(0)
        if words and re.match(r"\w+=", words[0]):
            if words[-1].endswith(("=", "=$", "=`")):
                return spare or "job"
            while words and re.match(r"\w+=", words[0]):
                words.pop(0)
        if not words or words[0] in _PREPARES or words[0].startswith(("$", "-", "[")):
            continue
        name, is_spare = _work(words)
        if name and not is_spare:
            return name
        spare = spare or name
    return spare or "job"


def _work(words: list[str]) -> tuple[str, bool]:
    """Return the name of a simple command, and whether any other is a better one."""
    while (words and (base := _base(words[0])) in _WRAPPERS) or (words and _is_inside_container(words)):
        words = _inside(words, _WRAPPERS.get(base, _Wrapper()))
        while words and re.match(r"\w+=", words[0]):
            words = words[1:]
    if not words or words[0] in _PREPARES:
        return "", True
    base = _base(words[0])
    if _PROGRAMS.fullmatch(base):
        return _script(base, words[1:])
    return _named(base, words[1:]), base in _SPARE


def _inside(words: list[str], wrapper: _Wrapper) -> list[str]:
    """Return what a wrapper runs."""
    if _is_inside_container(words):
        at = next(place for place, word in enumerate(words) if word in ("exec", "run")) + 1
        wrapper, words = _Wrapper(("-u", "-w", "-e", "-c", "-n"), 1), words[at - 1 :]
    place, left = 1, wrapper.words
    while place < len(words) and (words[place].startswith("-") or left):
        if words[place].startswith("-"):
            place += 2 if words[place] in wrapper.values else 1
        else:
            place, left = place + 1, left - 1
    return words[place:]


def _is_inside_container(words: list[str]) -> bool:
    return _base(words[0]) in ("docker", "docker-compose", "podman", "kubectl") and "exec" in words[1:6]


def _script(program: str, words: list[str]) -> tuple[str, bool]:
    """Return the name of what an interpreter runs."""
    place = 0
    while place < len(words) and words[place].startswith("-") and words[place] != "-":
        option = words[place]
        if program in _SHELLS and re.fullmatch(r"-\w*c", option):
            return _work(words[place + 1 :])
        if option in ("-c", "-e", "-r") and program not in _SHELLS:
            return program, False
        if option == "-m" and place + 1 < len(words):
            return _named(words[place + 1].rpartition(".")[2], []), False
        if option in ("-d", "-W", "-X", "-I"):
            place += 1
        place += 1
    rest = [word for word in words[place:] if word != "-"]
    return (_named(_base(rest[0]), rest[1:]), False) if rest else (program, True)


def _named(base: str, words: list[str]) -> str:
    if base in _FRONTS:
        words = [word for word in words if not word.startswith("-") and word != "run"]
        base = words[0] if words else base
    name = re.sub(r"\.(sh|py|pl|rb|php|js|R|jar)$", "", base)
    return re.sub(r"[^A-Za-z0-9_.-]+", "-", name).strip("-.").lower() or "job"


def _base(word: str) -> str:
    return word.rstrip("/").rpartition("/")[2]
