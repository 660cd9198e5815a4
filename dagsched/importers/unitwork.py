"""What a service runs → the text of `run`: conditions, files of variables, commands in their order."""

from __future__ import annotations

import re
import shlex
from collections.abc import Callable, Mapping

from dagsched.importers.units import Setting, values_of

Say = Callable[[Setting, str, str], None]

_TESTS = {
    "ConditionPathExists": "-e",
    "ConditionPathIsDirectory": "-d",
    "ConditionPathIsSymbolicLink": "-L",
    "ConditionPathIsReadWrite": "-w",
    "ConditionFileNotEmpty": "-s",
    "ConditionFileIsExecutable": "-x",
}
_EXITS = {
    "USAGE": 64, "DATAERR": 65, "NOINPUT": 66, "NOUSER": 67, "NOHOST": 68, "UNAVAILABLE": 69, "SOFTWARE": 70,
    "OSERR": 71, "OSFILE": 72, "CANTCREAT": 73, "IOERR": 74, "TEMPFAIL": 75, "PROTOCOL": 76, "NOPERM": 77, "CONFIG": 78,
}  # fmt: skip


class Specifiers:
    """What `%n` and its like stand for in a unit; `home`: of the account, "" if it is not known."""

    def __init__(self, service: str, user: str, home: str, is_user: bool) -> None:
        stem = service.removesuffix(".service")
        prefix, _, instance = stem.partition("@")
        self._known = {
            "%": "%", "n": service, "N": stem, "p": prefix, "i": instance, "u": user or "root",
            "I": instance.replace("-", "/"), "j": prefix.rpartition("-")[2],
        }  # fmt: skip
        if home:
            self._known["h"] = home
        if not is_user:
            self._known |= {"t": "/run", "S": "/var/lib", "C": "/var/cache", "L": "/var/log", "E": "/etc"}

    def fill(self, text: str) -> str | None:
        """Return the text with specifiers filled in; None if one is not known."""
        found = re.sub(r"%(.)", lambda match: self._known.get(match[1], "\0"), text)
        return None if "\0" in found else found


def work_of(timer: list[Setting], service: list[Setting], names: Specifiers, say: Say) -> str:
    """Return shell text for what a service does, "" when one of its commands cannot be said."""
    before = [*_conditions(timer, names, say), *_conditions(service, names, say), *_files(service, names, say)]
    set_up, manners = _manners(service, say)
    before += set_up
    commands: list[str] = []
    forgiven = _forgiven(service, say)
    for key in ("ExecCondition", "ExecStartPre", "ExecStart", "ExecStartPost"):
        for setting in values_of(service, "Service", key):
            line = _command(setting, names, say, forgiven if key == "ExecStart" else "")
            if line is None and key == "ExecStart":
                return ""
            if line is None:
                say(setting, "dropped", "it is not understood")
            elif key == "ExecCondition":
                commands.append(f"{line} || exit 0")
                say(setting, "differs", "where it says no the run ends as a success, not as skipped")
            else:
                commands.append(line)
    if not values_of(service, "Service", "ExecStart"):
        return ""
    if not before and len(commands) == 1 and " || " not in commands[0]:
        return " ".join([*(words for words, _ in manners), commands[0]])
    lines = [*before, *(line for _, line in manners), *commands]
    return lines[0] if len(lines) == 1 else "\n".join(["set -e", *lines])


def _command(setting: Setting, names: Specifiers, say: Say, forgiven: str) -> str | None:
    match = re.fullmatch(r"([-@+!:|]*)(.*)", setting.value, re.DOTALL)
    assert match is not None, "both parts may be empty"
    prefix, text = match[1], names.fill(match[2])
    try:
        words = shlex.split(text) if text is not None and "@" not in prefix else []
    except ValueError:
        words = []
    if not words:
        return None
    line = " ".join(_shell_word(word, ":" in prefix) for word in words)
    odd = "+" in prefix or "!" in prefix
    say(setting, "differs" if odd else "same", "it has no more rights than the job's user" if odd else "")
    if "-" in prefix:
        return f"{line} || true"
    return f"{line} || {{ code=$?; case $code in {forgiven}) ;; *) exit $code ;; esac; }}" if forgiven else line


def _shell_word(word: str, is_literal: bool) -> str:
    """Return a word for sh: variables as systemd puts them in, nothing else expanded."""
    if is_literal or not re.search(r"\$", word):
        return shlex.quote(word.replace("$$", "$") if not is_literal else word)
    if re.fullmatch(r"\$[A-Za-z_]\w*", word):
        return word
    quoted = re.sub(r'(["`\\])', r"\\\1", word).replace("$$", r"\$")
    return f'"{quoted}"'


def _conditions(settings: list[Setting], names: Specifiers, say: Say) -> list[str]:
    """Return tests that end the run where systemd would start nothing; those that are no file tests are left."""
    lines = []
    for setting in settings:
        sign = _TESTS.get(setting.key)
        value = names.fill(setting.value.removeprefix("!")) or ""
        if sign is None or not value.startswith("/") or setting.section != "Unit":
            continue
        negated = "! " if setting.value.startswith("!") else ""
        lines.append(f"[ {negated}{sign} {shlex.quote(value)} ] || exit 0")
        say(setting, "differs", "it is tested when the job runs, which then ends as a success, not as skipped")
    return lines


def _files(service: list[Setting], names: Specifiers, say: Say) -> list[str]:
    lines = []
    for setting in values_of(service, "Service", "EnvironmentFile"):
        path = names.fill(setting.value.removeprefix("-")) or ""
        if not path.startswith("/") or re.search(r"[*?\[]", path):
            say(setting, "dropped", "its path is not known here; the command has to read it itself")
            continue
        quoted = shlex.quote(path)
        read = f"[ ! -r {quoted} ] || . {quoted}" if setting.value.startswith("-") else f". {quoted}"
        lines.append(f"set -a; {read}; set +a")
        say(setting, "differs", "sh reads it, to which $, backticks and ; in its values mean more than to systemd")
    return lines


def _manners(service: list[Setting], say: Say) -> tuple[list[str], list[tuple[str, str]]]:
    """Return lines before all else, and what makes the run nice: as words before a command, and as a line."""
    lines = []
    for key, command in (("UMask", "umask {}"), ("LimitNOFILE", "ulimit -n {}")):
        for setting in values_of(service, "Service", key)[-1:]:
            if re.fullmatch(r"[0-7]{1,4}" if key == "UMask" else r"\d{1,9}", setting.value):
                lines.append(command.format(setting.value))
                say(setting, "same", "")
    found = []
    for setting in values_of(service, "Service", "Nice")[-1:]:
        if re.fullmatch(r"-?\d{1,2}", setting.value):
            found.append((f"nice -n {setting.value}", f"renice -n {setting.value} -p $$ >/dev/null || true"))
            say(setting, "same", "")
    for setting in values_of(service, "Service", "CPUSchedulingPolicy")[-1:]:
        if option := {"idle": "-i", "batch": "-b"}.get(setting.value):
            found.append((f"chrt {option} 0", f"chrt {option} -p 0 $$ || true"))
            say(setting, "same", "")
    return lines, [*found, *_disk(service, say)]


def _disk(service: list[Setting], say: Say) -> list[tuple[str, str]]:
    """Return how a run uses the disk, in the same two ways."""
    classes = {"none": "0", "realtime": "1", "best-effort": "2", "idle": "3"}
    options = ""
    for setting in values_of(service, "Service", "IOSchedulingClass")[-1:]:
        number = classes.get(setting.value, setting.value)
        if number in classes.values():
            options = f"-c {number}"
            say(setting, "same", "")
    for setting in values_of(service, "Service", "IOSchedulingPriority")[-1:]:
        if re.fullmatch("[0-7]", setting.value) and options != "-c 3":
            options = f"{options or '-c 2'} -n {setting.value}"
            say(setting, "same", "")
    # The first class is root's alone; it is asked for, and who may not have it goes on without.
    return (
        [(f"ionice {'-t ' if '-c 1' in options else ''}{options}", f"ionice {options} -p $$ || true")]
        if options
        else []
    )


def _forgiven(service: list[Setting], say: Say) -> str:
    """Return exit codes that are a success as a pattern of `case`, "" for none but 0."""
    codes: list[str] = []
    for setting in values_of(service, "Service", "SuccessExitStatus"):
        words = setting.value.split()
        known = [str(_EXITS.get(word, word)) for word in words]
        numbers = [word for word in known if word.isdigit() and int(word) < 256]
        codes += numbers
        fits = len(numbers) == len(words)
        say(setting, "same" if fits else "dropped", "" if fits else "a signal is never a success here")
    return "|".join(dict.fromkeys(codes))


def environment_of(service: list[Setting], names: Specifiers, say: Say) -> dict[str, str]:
    """Return the variables of `Environment=`."""
    env: dict[str, str] = {}
    for setting in values_of(service, "Service", "Environment"):
        try:
            words = shlex.split(names.fill(setting.value) or "")
        except ValueError:
            words = []
        pairs = dict(word.split("=", 1) for word in words if "=" in word)
        env.update(pairs)
        say(setting, "same" if pairs else "dropped", "" if pairs else "it is not understood")
    return env


def retry_of(service: list[Setting], length: Callable[[str], str | None], say: Say) -> Mapping[str, object]:
    """Return `retry` for `Restart=`; `length`: a time span of systemd → a length, None if it is none."""
    found: dict[str, object] = {}
    for setting in values_of(service, "Service", "Restart"):
        if setting.value == "no":
            say(setting, "same", "")
        elif setting.value in ("on-failure", "on-abnormal"):
            bursts = values_of(service, "Unit", "StartLimitBurst") or values_of(service, "Service", "StartLimitBurst")
            number = bursts[-1].value if bursts and bursts[-1].value.isdigit() else "5"
            attempts = min(max(int(number), 1), 10_000)
            found = {"max_attempts": attempts}
            for wait in values_of(service, "Service", "RestartSec"):
                if delay := length(wait.value):
                    found["delay"] = delay
                say(wait, "same", "`delay`")
            why = f"`retry`: {attempts} attempts in all; systemd goes on unless they come quickly after each other"
            say(setting, "differs", why)
        else:
            say(setting, "dropped", "a job that has ended starts again at its next tick only")
    return found
