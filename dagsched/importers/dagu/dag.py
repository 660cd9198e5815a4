"""One DAG → jobs: its steps joined, its preconditions and handlers as jobs of their own, its schedule on the first."""

from __future__ import annotations

import re
from collections.abc import Iterable, Sequence
from typing import Any

from dagsched.importers.dagu import head, steps
from dagsched.importers.dagu.calls import Library, StepsReader
from dagsched.importers.dagu.conditions import Condition, Odd, conditions_of, tested
from dagsched.importers.dagu.documents import Part, Sheet
from dagsched.importers.dagu.joints import (
    Broken,
    Node,
    exits,
    leaves,
    publishers_for,
    rule_of,
    telling,
    upstreams_of,
    writers_for,
)
from dagsched.importers.dagu.steps import Step, StepReader
from dagsched.importers.dagu.surroundings import Surroundings
from dagsched.importers.dagu.values import seconds_text
from dagsched.importers.dagu.words import canonical
from dagsched.importers.draft import Draft, Imported, Verdict

HANDLERS = ("init", "success", "failure", "exit")
WHEN_MAX = 1000


class DagReader:
    """Makes the jobs of one DAG. `is_main`: it is the first document of its file, whose schedule counts.

    `gate` tests the preconditions of the DAG, then `init` runs; all steps wait for the last of the two.
    """

    def __init__(self, out: Imported, library: Library, sheet: Sheet, name: str, folder: str, is_main: bool) -> None:
        self._out, self._is_main = out, is_main
        self._name = re.sub(r"[^\w.-]+", "-", name, flags=re.ASCII).strip("-.") or "dag"
        self._part = Part(sheet, (), sheet.data)
        self._around: Surroundings = head.read_surroundings(self._part, name, folder, library.is_there)
        self._steps = StepsReader(library)
        self._drafts: list[Draft] = []

    def read(self) -> None:
        """Add the DAG's jobs and verdicts; raises Broken, with nothing added, for what Dagu would refuse."""
        times = head.read_times(self._part, self._out.timezone, self._is_main)
        nodes = self._steps.read(self._part, self._around)
        if not nodes:
            raise Broken("it has no steps")
        self._handlers = self._read_handlers()
        gate = self._gate()
        self._is_alone = (
            len(nodes) == 1 and nodes[0].step is not None and not (self._handlers or gate or nodes[0].step.conditions)
        )
        first = self._first_jobs(gate)
        started = first[:1] or [self._join(node, {}, "") for node in leaves(nodes) if not upstreams_of(node)]
        for node in leaves(nodes):
            if node.step and not node.step.draft.id:
                self._join(node, *self._entry(first, node))
        self._join_handlers(nodes, first[0].id if gate else "")
        for draft in self._drafts:
            draft.unverifiable = "it has no times of its own" if "depends_on" in draft.keys else times.unverifiable
        for draft in started:
            self._schedule(draft, times)
        self._dress()
        self._out.drafts += self._drafts
        self._tell(nodes)

    # ------------------------------------------------------------ joints

    def _first_jobs(self, gate: Step | None) -> list[Draft]:
        """Return the test of the preconditions and the init handler as jobs, in that order."""
        found: list[Draft] = []
        if gate is not None:
            found.append(self._add(gate.draft, "check"))
        if init := self._handlers.pop("init", None):
            self._add(init.draft, "init")
            if found:
                init.draft.keys.update({"depends_on": [found[0].id], "when": _met(found[0].id)})
            found.append(init.draft)
        return found

    def _entry(self, first: Sequence[Draft], node: Node) -> tuple[dict[str, frozenset[str]], str]:
        """Return what comes before the steps that wait for no other: (job → accepted states, condition)."""
        if not first or upstreams_of(node):
            return {}, ""
        last = first[-1]
        return {last.id: frozenset(["success"])}, _met(last.id) if last.id.endswith(".check") else ""

    def _join(self, node: Node, entry: dict[str, frozenset[str]], also: str) -> Draft:
        """Name a step's job and say what it waits for; a test of its preconditions comes between."""
        step = node.step
        assert step is not None, "only steps become jobs"
        upstreams = upstreams_of(node)
        tested_text = "\n".join(each.text for each in step.conditions)
        writers = writers_for(node, f"{step.text}\n{tested_text}") | publishers_for(node, step.wants)
        for writer, _ in writers.values():
            if writer not in upstreams:
                upstreams[writer] = frozenset(
                    ["success", *(["failed"] if writer.fails else []), *(["skipped"] if writer.skips else [])]
                )
        waits = {leaf.step.draft.id: states for leaf, states in upstreams.items() if leaf.step} | entry
        keys = rule_of(waits, also)
        if len(keys.get("when", "")) > WHEN_MAX:
            raise Broken(f"a condition has no room for all the steps that {step.names[0]!r} waits for")
        given = {
            name: {"job": writer.step.draft.id, "output": output, "default": ""}
            for name, (writer, output) in writers.items()
            if writer.step
        }
        first = step.draft
        if step.conditions:
            first = self._check(step.conditions, step.draft.keys.get("cwd", ""))
            self._add(first, f"{step.title}.check")
            _put(first, keys, given, step.draft.keys.get("env", {}))
            writing = {name: each for name, each in given.items() if name in step.text or name in step.wants}
            keys = {"depends_on": [first.id, *(each["job"] for each in writing.values())], "when": _met(first.id)}
            keys["depends_on"] = list(dict.fromkeys(keys["depends_on"]))
            given = writing
        self._add(step.draft, step.title)
        _put(step.draft, keys, given, {})
        return first

    def _add(self, draft: Draft, title: str) -> Draft:
        draft.id = self._out.names.free(self._name if self._is_alone else f"{self._name}.{title}")
        self._drafts.append(draft)
        return draft

    def _check(self, conditions: list[Condition], cwd: str = "") -> Draft:
        around = self._around
        draft = Draft(
            "", around.file, self._part.sheet.line(()), {"run": "\n".join([*around.lines, tested(conditions)])}
        )
        if cwd or around.cwd:
            draft.keys["cwd"] = cwd or around.cwd
        draft.keys.update({"env": dict(around.env), **around.keys})
        return draft

    def _gate(self) -> Step | None:
        part = self._part
        try:
            conditions = conditions_of(part.get("preconditions"))
        except Odd as error:
            part.say("preconditions", "dropped", str(error))
            return None
        part.say("preconditions", "same", "a job tests them first, and `when` asks for what it found")
        return Step(self._check(conditions), None, ("check",)) if conditions else None

    # ------------------------------------------------------------ handlers

    def _read_handlers(self) -> dict[str, Step]:
        part, found = self._part, dict[str, Step]()
        value = part.get("handler_on")
        for key, item in value.items() if isinstance(value, dict) else ():
            name = canonical(key)
            if name not in HANDLERS or not isinstance(item, dict | str):
                why = "no job can wait for a cancel" if name in ("abort", "cancel") else "there is no such moment here"
                part.say("handler_on", "dropped", f"{key}: {why}")
                continue
            inner = self._steps.part_of(part.sheet, (*part.path_of("handler_on"), key), item)
            if isinstance(item, dict):
                self._steps.parts.append(inner)
            around, status = self._around.copy(), {"success": "succeeded", "failure": "failed"}.get(name)
            step = StepReader(inner, around).read(
                (name if name == "init" else f"on-{name}",), part.sheet.line(inner.path)
            )
            step.part = inner if isinstance(item, dict) else None
            if status and "DAG_RUN_STATUS" in step.text:
                step.draft.keys.setdefault("env", {})["DAG_RUN_STATUS"] = status
            elif "DAG_RUN_STATUS" in step.text:
                inner.say("command", "dropped", "$DAG_RUN_STATUS is not known here")
            if step.conditions:
                inner.say("preconditions", "dropped", "a handler has none here")
            found[name] = step
        part.say("handler_on", "same", "jobs with a trigger rule of their own")
        return found

    def _join_handlers(self, nodes: list[Node], gate: str) -> None:
        """Let the handlers wait for the steps; `gate`: the job that tests whether there was anything to do, or ""."""
        last = exits(nodes)
        is_plain = not any(node.is_forgiven for node in leaves(nodes))
        ids = [node.step.draft.id for node in telling(nodes) if node.step]
        before: list[str] = [node.step.draft.id for node in last if node.step]
        for name, rule in (("success", "none_failed"), ("failure", "one_failed")):
            if (step := self._handlers.get(name)) is None:
                continue
            # Everything has to be over, also where its failure does not count.
            waits = list(dict.fromkeys([*ids, *before])) if name == "success" else ids or before
            keys: dict[str, Any] = {"depends_on": waits, "trigger_rule": rule}
            tests = [f'state("{each}") in ["success", "skipped"]' for each in ids] if not is_plain else []
            tests += [_met(gate)] if gate else []
            if name == "success" and tests:
                when = " and ".join(tests)
                if len(when) > WHEN_MAX:
                    raise Broken("a condition has no room for all the steps that its success handler looks at")
                keys["when"] = when
                keys["trigger_rule"] = rule if is_plain else "all_done"
                keys["depends_on"] = [*waits, *([gate] if gate else [])]
            elif name == "failure" and len(ids) > 1:
                self._part.say(
                    "handler_on", "differs", f"{name}: it starts as soon as one step has failed, not when all are over"
                )
            self._add(step.draft, step.names[0])
            step.draft.keys = {**keys, **step.draft.keys}
        if step := self._handlers.get("exit"):
            others = [self._handlers[name].draft.id for name in ("success", "failure") if name in self._handlers]
            self._add(step.draft, step.names[0])
            step.draft.keys = {"depends_on": [*before, *others], "trigger_rule": "all_done", **step.draft.keys}

    # ------------------------------------------------------------ the whole

    def _schedule(self, draft: Draft, times: head.Times) -> None:
        said = {key: value for key, value in draft.keys.items() if key == "description"}
        draft.keys = {**said, **times.keys, **{key: value for key, value in draft.keys.items() if key not in said}}
        draft.fires = times.fires
        if times.fires and len(self._drafts) > 1:
            why = (
                "Dagu leaves a start out while any step of the DAG still runs; here the first job does so while it "
                "runs itself, and the jobs below queue"
            )
            self._part.say("schedule", "differs", why)

    def _dress(self) -> None:
        """Put on what speaks of the DAG as a whole: its description, its limits."""
        drafts, part = self._drafts, self._part
        said = part.get("description")
        lines = said.strip().split("\n") if isinstance(said, str) and said.strip() else []
        if lines and self._is_alone:
            drafts[0].keys = {"description": drafts[0].keys.get("description", "\n".join(lines)), **drafts[0].keys}
        elif lines:
            drafts[0].comments = [f"{self._name}: {lines[0]}", *lines[1:]]
        limit = part.get("max_active_steps")
        if isinstance(limit, int) and limit is not True and 0 < limit < len(drafts):
            pool = self._name
            self._out.top.setdefault("pools", {})[pool] = limit
            for draft in drafts:
                draft.keys["pool"] = pool
        part.say("max_active_steps", "same", "a pool with as many slots")
        if len(drafts) > 1 and seconds_text(self._around.timeout):
            part.say("timeout_sec", "differs", "it limits each step, not all of them together")
        part.say("timeout_sec", "same", "`timeout`")

    def _tell(self, nodes: Iterable[Node]) -> None:
        self._part.say("steps", "same", f"{len(self._drafts)} jobs" if len(self._drafts) > 1 else "")
        self._part.job = self._drafts[0].id if len(self._drafts) == 1 else ""
        self._part.verdicts(head.OTHERS, self._out)
        if self._around.files and "dotenv" not in self._part:
            file = Verdict(self._around.files[0], 0, "what stands beside the DAGs", "differs", head.DOTENV)
            if file not in self._out.verdicts:
                self._out.verdicts.append(file)
        remarks: list[Verdict] = []
        for step in [node.step for node in leaves(nodes)] + list(self._handlers.values()):
            if step and step.part:
                step.part.job = step.draft.id
            if step and step.remark:
                remarks.append(step.remark._replace(job=step.draft.id))
        for part in self._steps.parts:
            part.verdicts(steps.OTHERS, self._out)
        self._out.verdicts += remarks


def _met(check: str) -> str:
    return f'output("{check}", "met") == "yes"'


def _put(draft: Draft, keys: dict[str, Any], given: dict[str, Any], env: dict[str, Any]) -> None:
    """Put what a job waits for before what it runs, and the outputs it gets beside its variables."""
    said = {key: value for key, value in draft.keys.items() if key == "description"}
    draft.keys = {**said, **keys, **draft.keys}
    draft.keys["env"] = {**env, **draft.keys.get("env", {}), **given}
