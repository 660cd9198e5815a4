"""One step of a DAG → one job: what it runs, with what around it, and how often."""

from __future__ import annotations

import re
from dataclasses import dataclass, field
from typing import Any

from dagsched.importers.dagu.conditions import Condition, Odd, conditions_of
from dagsched.importers.dagu.containers import docker_run
from dagsched.importers.dagu.documents import Part
from dagsched.importers.dagu.modern import Wish, is_pasted_into_a_document, published, wishes
from dagsched.importers.dagu.script import (
    Script,
    dotted_in,
    double_quoted,
    filled,
    is_shell,
    names_in,
)
from dagsched.importers.dagu.surroundings import Surroundings, shell_of, take_env
from dagsched.importers.dagu.values import VARIABLE, continues, pairs_of, repeated, retry_of, seconds_text
from dagsched.importers.dagu.words import text_of
from dagsched.importers.draft import Draft, Verdict

CALLS = ("dag", "subworkflow", "parallel")
PLAIN_TYPES = ("command", "shell", "noop", "log", "http")
_CONTAINER = "each command gets a container of its own by `docker run`, which fills in variables before it starts"
OTHERS = {
    "shell_packages": "packages of nix-shell have no place here",
    "log_output": "a run has one log, with both streams in it",
    "repeat_policy": "a job runs once per tick; loop in the command, or give the job a schedule",
    "mail_on_error": "mail is not sent by a step's own key; say `notify` and a notifier of type email",
    "worker_selector": "labels pick no machine here by themselves; start workers, and say `queue` and `labels`",
    "artifacts": "there is no store of artifacts",
    "llm": "there are no steps that talk to models",
    "agent": "there are no steps that talk to models",
    "messages": "there are no steps that talk to models",
    "tools": "there are no steps that talk to models",
    "approval": "nothing waits for a person here; `trigger` a job by hand instead",
    "value": "there are no routers; say `when` in the jobs below",
    "routes": "there are no routers; say `when` in the jobs below",
    "params": "only a call takes parameters",
    "foreach": "no job is made for each of several items; say `matrix`, or loop in the command",
    "output_schema": "outputs are text, and nothing checks them against a schema",
    "inputs": "no job is left out because its files have not changed",
    "dependencies": "a job runs where its files are; nothing copies them",
    "shell_args": "arguments stand with the shell: say `shell: bash -x`",
    "parallel": "only a call can be made several times",
}  # fmt: skip


@dataclass
class Step:
    """A step as a draft, and what joins it with others. `names`: by which it is called; `depends`: None if not said.

    `text`: everything in it that may name a variable; `published`: names of outputs that it writes to a file;
    `wants`: variable → the output of another step that comes in it; `fails`, `skips`: whether others go on after its
    failure, its skip; `title`: what its job is called; `remark`: the verdict of a step that is only a command.
    """

    draft: Draft
    part: Part | None
    names: tuple[str, ...]
    depends: list[str] | None = None
    text: str = ""
    output: str = ""
    published: list[str] = field(default_factory=list)
    wants: dict[str, Wish] = field(default_factory=dict)
    fails: bool = False
    skips: bool = False
    conditions: list[Condition] = field(default_factory=list)
    title: str = ""
    remark: Verdict | None = None


class StepReader:
    """Reads one step; its verdicts stay with the part until its job has a name."""

    def __init__(self, part: Part, around: Surroundings) -> None:
        self._part, self._around = part, around.copy()
        self._keys: dict[str, Any] = {}
        self._script = Script(shell=around.shell)

    def read(self, names: tuple[str, ...], line: int) -> Step:
        part = self._part
        step = Step(Draft("", self._around.file, line, self._keys), part, names)
        for name in ("name", "id"):
            part.say(name, "same")
        self._describe()
        self._surround(step)
        self._when(step)
        why = self._body() or self._around.unwritten
        self._streams(step)
        self._publishes(step)
        self._compose(step, why)
        self._often(step)
        self._keys["env"] = dict(self._around.env)
        self._keys.update({key: value for key, value in self._around.keys.items() if key not in self._keys})
        return step

    def _given(self, name: str) -> Any:
        value = self._part.get(name)
        return self._around.defaults.get(name) if value is None else value

    def _describe(self) -> None:
        said = self._part.get("description")
        if isinstance(said, str) and said.strip():
            self._keys["description"] = said.strip()
        self._part.say("description", "same")

    # ------------------------------------------------------------ around it

    def _surround(self, step: Step) -> None:
        part, around = self._part, self._around
        wanted = {wish.variable: wish for wish in wishes(part.sheet.said(part.path))}
        for given in (around.defaults.get("env"), _without_outputs(part.get("env"), wanted, step)):
            for name, why in take_env(around, given):
                part.say("env", "dropped", why) if name is None else part.say("env", "differs", why)
        part.say("env", "same", "")
        cwd = part.get("working_dir")
        if isinstance(cwd, str) and cwd.strip():
            known = filled(cwd, around.env)
            if known is not None:
                around.cwd = known
            else:
                around.lines.append(f"cd {double_quoted(cwd)} || exit")
        part.say("working_dir", "same", "`cwd`")
        if around.cwd:
            self._keys["cwd"] = around.cwd
        shell = self._given("shell")
        if shell is not None:
            self._script.shell, kind, why = shell_of(shell)
            part.say("shell", kind, why)

    def _when(self, step: Step) -> None:
        part = self._part
        depends = part.get("depends")
        if depends is not None:
            step.depends = [text_of(each) for each in (depends if isinstance(depends, list) else [depends])]
            step.depends = [each for each in step.depends if each]
            part.say("depends", "same", "`depends_on`")
        try:
            step.conditions = [
                *conditions_of(self._around.defaults.get("preconditions")), *conditions_of(part.get("preconditions"))
            ]  # fmt: skip
            part.say("preconditions", "same", "a job tests them, and `when` asks for what it found")
        except Odd as error:
            part.say("preconditions", "dropped", str(error))
        step.fails, step.skips, codes, odd = continues(self._given("continue_on"))
        if odd:
            part.say("continue_on", "dropped", f"{odd} in it has no counterpart")
        if codes:
            self._good_codes = codes
            part.say("continue_on", "differs", "these exit codes are a success here")
        part.say("continue_on", "same", "the rules of the jobs below")

    _good_codes: list[int] = []  # noqa: RUF012

    # ------------------------------------------------------------ what it runs

    def _body(self) -> str:
        """Find what the step runs; return why that is not known, or ""."""
        part = self._part
        kind, config = self._type()
        if kind in CALLS or "call" in part:
            return "what it calls is not here"
        if "approval" in part:
            return "a person is asked before it counts, and nothing here waits for one"
        if "foreach" in part:
            return "it runs steps of its own for each of several items"
        if kind == "noop":
            self._script.body = "true"
            return ""
        if kind == "http":
            return self._http(config)
        if kind == "log":
            message = text_of(config.get("message", part.get("command")))
            self._script.body = f"echo {double_quoted(message)}"
            part.say("command", "same")
            return ""
        if kind in ("docker", "container") or (not kind and ("container" in part or self._around.container)):
            return self._contained(part.get("container") or config or self._around.container)
        if kind not in ("", "command", "shell"):
            word = f"the action {kind}" if _is_action(kind) else f"a step of type {kind}"
            why = f"it is {word}, which there is not here"
            for name in ("command", "script", "exec"):
                part.say(name, "dropped", why)
            return why
        return self._command()

    def _contained(self, config: Any) -> str:
        """Put `docker run` before the step's commands."""
        part, script, found = self._part, self._script, docker_run(config)
        command = part.get("command")
        is_script = bool(text_of(part.get("script"))) or (isinstance(command, str) and "\n" in command.strip())
        why = "it runs a script in a container" if is_script else self._command()
        if found is None:
            why = "it runs in a container that is there already"
        for name in ("container", "executor", "type", "with"):
            part.say(name, "dropped", why) if why else part.say(name, "differs", _CONTAINER)
        if why or found is None:
            part.say("command", "dropped", why)
            part.say("script", "dropped", why)
            return why
        prefix, left = found
        if left:
            part.say(
                "container" if "container" in part else "executor", "dropped", f"{', '.join(left)}: not in `docker run`"
            )
        lines = script.body.split("\n") if not script.argv else [" ".join(_word(each) for each in script.argv)]
        script.argv, script.body, script.shell = [], "\n".join(f"{prefix} {line}" for line in lines), ""
        return ""

    def _type(self) -> tuple[str, dict[str, Any]]:
        part = self._part
        kind, config = part.get("type"), part.get("with")
        executor = part.get("executor")
        if isinstance(executor, dict):
            kind, config = executor.get("type", kind), executor.get("config", config)
        elif isinstance(executor, str):
            kind = executor
        kind = text_of(kind)
        for name in ("type", "executor", "with"):
            fits = not kind or kind in (*PLAIN_TYPES, *CALLS, "docker", "container")
            word = f"there is no action {kind} here" if _is_action(kind) else f"there are no steps of type {kind} here"
            part.say(name, "same" if fits else "dropped", "" if fits else word)
        return kind, config if isinstance(config, dict) else {}

    def _command(self) -> str:
        part, script = self._part, self._script
        command, text, argv = part.get("command"), part.get("script"), part.part("exec")
        if argv is not None:
            arguments = argv.get("args") if isinstance(argv.get("args"), list) else []
            script.argv = [text_of(argv.get("command")), *map(text_of, arguments)]
            part.say("exec", "same", "a list is an argv, without a shell")
            if any(names_in(word) for word in script.argv):
                part.say("exec", "differs", "nothing is filled into a list: its $ stay as they are")
            return ""
        if isinstance(command, list):
            return self._list(command)
        if isinstance(text, str) and text.strip():
            self._interpreted(text_of(command).strip(), text)
            return ""
        if text_of(command).strip():
            self._interpreted("", text_of(command).strip())
            return ""
        return "it runs nothing"

    def _list(self, words: list[Any]) -> str:
        """A list is a row of commands; it was one command's arguments in Dagu before 1.24."""
        part, script = self._part, self._script
        items = [_item(word) for word in words]
        if not all(items):
            part.say("command", "dropped", "not every item of the list is a command")
            return "its list of commands is not understood"
        if len(items) > 1 and " " not in items[0] and any(item.startswith("-") for item in items[1:]):
            script.argv = items
            if any(names_in(word) for word in items):
                script.argv, script.body = [], " ".join(_word(item) for item in items)
            part.say(
                "command",
                "differs",
                "read as one command and its arguments, as Dagu once did; it is a row of commands there now",
            )
            return ""
        script.body = "\n".join(items)
        part.say("command", "same", "one after the other, until one fails" if len(items) > 1 else "")
        return ""

    def _interpreted(self, command: str, text: str) -> None:
        part, script = self._part, self._script
        script.body = text
        first, _, rest = text.partition("\n")
        if not command and first.startswith("#!"):
            command = re.sub(r"^(/usr)?(/bin)?/?env\s+(-S\s+)?", "", first[2:].strip())
            script.body = rest
        if is_shell(command):
            script.shell = command
        elif command:
            # The program is given the text as its script; the shell around it is ours.
            script.shell = script.shell if script.is_shell else ""
            script.reader = command
            if names_in(text) and re.search(r"\$\{", text):
                part.say(
                    "script",
                    "differs",
                    "Dagu fills ${…} into the text of a script; here it has to read its environment",
                )
        for name in ("command", "script"):
            part.say(name, "same")

    def _http(self, config: dict[str, Any]) -> str:
        part = self._part
        words = text_of(part.get("command")).split()
        method, url = (words[0].upper(), words[1]) if len(words) == 2 else ("GET", words[0] if words else "")
        if not re.match(r"https?://", url):
            part.say("command", "dropped", "METHOD and URL belong there")
            return "it is a request without an address"
        asked: dict[str, Any] = {"method": method, "url": url}
        for ours, theirs in (("headers", "headers"), ("params", "query"), ("body", "body")):
            if config.get(theirs):
                asked[ours] = config[theirs]
        if length := seconds_text(config.get("timeout")):
            asked["timeout"] = length
        if "$" in str(asked) or "`" in str(asked):
            why = "nothing is filled into a request here; use {secret: NAME}, or curl in `run`"
            part.say("command", "dropped", why)
            return why
        left = sorted(config.keys() - {"headers", "query", "body", "timeout"})
        part.say(
            "with" if "with" in part else "executor",
            "differs" if left else "same",
            f"{', '.join(left)}: the answer is the run's log" if left else "",
        )
        part.say("command", "same")
        self._keys["handler"], self._keys["with"] = "http", asked
        return ""

    def _streams(self, step: Step) -> None:
        part = self._part
        for name, sign in (("stdout", ">>"), ("stderr", "2>>")):
            path = part.get(name)
            if isinstance(path, str) and path.strip():
                self._around.lines.append(f"exec {sign}{double_quoted(path)}")
                part.say(name, "differs", "it goes to that file only, not to the run's log too")
        output = part.get("output")
        named = output.get("name") if isinstance(output, dict) else output
        name = text_of(named).lstrip("$").strip("{}")
        if (
            "output" in part
            and VARIABLE.fullmatch(name)
            and not (isinstance(output, dict) and output.keys() - {"name", "key"})
        ):
            self._script.output = step.output = name
            part.say("output", "same", "an output, and `env` of the jobs right below and of those that name it")
        else:
            part.say("output", "dropped", "only a variable for the standard output has a counterpart")

    def _publishes(self, step: Step) -> None:
        part = self._part
        step.published = published(part.get("outputs"))
        part.say("outputs", "same", "outputs of the job, written to the file in the same way")
        if step.published and "DAGSCHED_OUTPUT" not in self._script.body:
            self._around.lines.append('export DAGU_OUTPUT_FILE="$DAGSCHED_OUTPUT"')
        if is_pasted_into_a_document(text_of(part.sheet.said(part.path_of("command")))):
            why = "what stands in a here-document with a quoted mark is filled in by nobody here"
            part.say("command", "differs", why)

    def _compose(self, step: Step, why: str) -> None:
        """Put the text of `run` together, or a line that fails when nothing is known to run."""
        part, script, around = self._part, self._script, self._around
        if why:
            step.output = ""
            self._keys.pop("handler", None)
            self._keys["run"] = unwritten(step.names[0], why)
            return
        written = "\n".join([script.body, *script.argv, *(text for each in step.conditions for text in (each.text,))])
        step.text = "\n".join([written, *around.lines])
        named = names_in(step.text)
        for wish in wishes(part.sheet.said(part.path)):
            if wish.variable in named:
                step.wants[wish.variable] = wish
        for reference in dotted_in(written)[:3]:
            part.say(
                "script" if "script" in part else "command",
                "dropped",
                f"{reference} looks into another step; no shell knows it",
            )
        if "handler" in self._keys:
            return
        script.lines = [*_specials(written, around.name, step.names[0]), *around.lines]
        if around.places and re.search(r"\$(\{?\d|@|\*)", written):
            script.lines.insert(0, "set -- " + " ".join(map(double_quoted, around.places)))
        if not script.is_shell and (script.lines or script.output):
            part.say(
                "shell", "dropped", f"{script.shell} is no Unix shell; what Dagu sets up before the command is left out"
            )
            script.lines, script.output, step.output = [], "", ""
        text = script.text()
        if self._good_codes:
            body = text if isinstance(text, str) else " ".join(text)
            cases = "|".join(map(str, self._good_codes))
            text = f"(\n{body}\n)\ncode=$?\ncase $code in {cases}) exit 0 ;; esac\nexit $code"
        self._keys["run"] = text
        if script.shell and script.shell not in ("sh", "/bin/sh"):
            self._keys["shell"] = script.shell

    def _often(self, step: Step) -> None:
        part = self._part
        limit = seconds_text(self._given("timeout_sec")) or seconds_text(self._around.timeout)
        if limit:
            self._keys["timeout"] = limit
        part.say("timeout_sec", "same", "`timeout`")
        policy = self._given("retry_policy")
        if policy is not None:
            retry, why = retry_of(policy)
            part.say("retry_policy", "dropped" if why else "same", why)
            if retry:
                self._keys["retry"] = retry
        policy = self._given("repeat_policy")
        if policy is not None and (retry := repeated(policy)):
            self._keys.setdefault("retry", retry)
            part.say("repeat_policy", "differs", "each repetition is an attempt, and the last one has to succeed")
        if part.get("worker_selector") == "local" or part.get("log_output") == "merged":
            part.say("worker_selector", "same") if part.get("worker_selector") == "local" else part.say(
                "log_output", "same"
            )
        if text_of(part.get("signal_on_stop")) in ("SIGTERM", "TERM"):
            part.say("signal_on_stop", "same")
        else:
            part.say("signal_on_stop", "dropped", "a job is stopped with TERM, then KILL")
        if part.get("mail_on_error") is False:
            part.say("mail_on_error", "same")


def _is_action(kind: str) -> bool:
    return "." in kind or "@" in kind


def _without_outputs(env: Any, known: dict[str, Wish], step: Step) -> list[Any]:
    """Return `env` without the variables that are nothing but the output of another step; those become wishes."""
    kept: list[Any] = []
    for name, text in pairs_of(env):
        match = re.fullmatch(r"\$\{(\w+)\}", text or "")
        if match and match[1] in known and VARIABLE.fullmatch(name):
            step.wants[name] = known[match[1]]
        else:
            kept.append({name: text} if text is not None else name)
    return kept


def unwritten(name: str, why: str) -> str:
    """Return a command that fails, so that nothing below starts on what was never done."""
    return f"echo {_quoted(f'{name} could not be imported: {why}')} >&2; exit 1"


def _quoted(text: str) -> str:
    return "'" + text.replace("'", "’") + "'"


def _item(word: Any) -> str:
    """Return one item of a list; one with a colon is a mapping to YAML, and a command to Dagu."""
    if isinstance(word, dict) and len(word) == 1:
        (key, value), *_ = word.items()
        return "" if isinstance(value, dict | list) else f"{key}: {text_of(value)}".strip()
    return "" if isinstance(word, dict | list) else text_of(word).strip()


def _word(text: str) -> str:
    return text if re.fullmatch(r"[\w@%+=:,./${}-]+", text) else double_quoted(text)


def _specials(text: str, dag: str, step: str) -> list[str]:
    """Return lines that set those of Dagu's variables that the text names and that have a counterpart."""
    known = {
        "DAG_NAME": double_quoted(dag),
        "DAG_RUN_ID": '"$DAGSCHED_RUN"',
        "DAG_RUN_STEP_NAME": double_quoted(step),
    }
    found = names_in(text)
    return [f"export {name}={value}" for name, value in known.items() if name in found]
