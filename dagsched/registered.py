"""Jobs that were registered while the daemon ran: each is a job file of its own that is nowhere but in the state.

It is one of the texts of the configuration in force, beside those of real files, so whoever goes on with that
configuration has it, on this machine or another. It bears a name in the folder of the job files, as if it stood there,
and a job without a `cwd` runs there. The text that came in is kept as it came, indented below its id, so that comments
survive and a problem found in it can be told in lines of the text. It is loaded with the others, under the same rules:
an id that a job file declares is declared twice, and neither silently wins.
"""

from __future__ import annotations

import json
import os
import re
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any

from dagsched.config import Problem
from dagsched.errors import Refused
from dagsched.model import Config, Job

_MARK = "registered:"
# Where earlier releases kept such a job file, below the state directory.
_FORMER_FOLDER = "registered"
TEXT_BYTES_MAX = 256 * 1024
_ID = re.compile(r"[A-Za-z0-9_][A-Za-z0-9_.-]{0,199}")
_HEAD_LINES, _INDENT = 3, 4
# What YAML 1.1 takes for the end of a line besides the usual ones would let text escape from its indentation.
_OTHER_BREAKS = re.compile("[\x85\u2028\u2029\x0b\x0c\x1c-\x1e]|\r(?!\n)")
_HARMLESS_HANDLERS = frozenset({"http"})


def file_of(folder: Path, id: str) -> str:
    """Return the name of a job's file, in the folder of the job files; raises Refused for what can be no job's id."""
    if not _ID.fullmatch(id):
        raise Refused(f"{id[:100]!r} is no job id: letters, digits, '_', '.', '-', at most 200")
    return str(folder / f"{_MARK}{id}.yaml")


def is_registered(file: str) -> bool:
    """Whether a job that stands in this file was registered."""
    return os.path.basename(file).startswith(_MARK)


def among(files: Mapping[str, str]) -> dict[str, str]:
    """Return of a configuration's files those of registered jobs."""
    return {file: text for file, text in files.items() if is_registered(file)}


def found(files: Mapping[str, str], id: str) -> str | None:
    """Return the file of a registered job; whoever registered it may have had its job files in another folder."""
    name = f"{_MARK}{id}.yaml"
    return next((file for file in files if os.path.basename(file) == name), None)


def brought_over(files: Mapping[str, str], state_dir: Path, folder: Path) -> dict[str, str]:
    """Return a configuration's files with those that lay in the state directory under the names that they have now."""
    former = str(state_dir / _FORMER_FOLDER)
    return {
        str(folder / f"{_MARK}{os.path.basename(file)}") if os.path.dirname(file) == former else file: text
        for file, text in files.items()
    }


def file_text(id: str, text: str) -> str:
    """Return the job file for one job's text, YAML or JSON; raises Refused for what cannot be one."""
    if len(text.encode(errors="surrogatepass")) > TEXT_BYTES_MAX:
        raise Refused(f"a job is at most {TEXT_BYTES_MAX} bytes of text")
    if _OTHER_BREAKS.search(text):
        raise Refused("the text has line breaks that are neither \\n nor \\r\\n")
    body = "\n".join(" " * _INDENT + line if line.strip() else "" for line in text.replace("\r\n", "\n").split("\n"))
    # Quoted as JSON: an id may look like a number.
    return f"version: 1\njobs:\n  {json.dumps(id)}:\n{body.rstrip()}\n"


def told_in_text(problem: Problem, file: str) -> Problem:
    """Return a problem of such a file with its place in the text that came in."""
    if problem.file != file:
        return problem
    if problem.line <= _HEAD_LINES:
        return problem._replace(file="body", line=1, column=1, end_column=1, excerpt="")
    excerpt = _shifted(problem.excerpt, problem.line - _HEAD_LINES)
    column, end = (max(1, place - _INDENT) for place in (problem.column, problem.end_column))
    return problem._replace(
        file="body", line=problem.line - _HEAD_LINES, column=column, end_column=end, excerpt=excerpt
    )


def _shifted(excerpt: str, line: int) -> str:
    """Return an excerpt (`   14 |     text`, a caret below) for a text that is not indented."""
    source, bar, caret = excerpt.partition("\n")
    found, mark = source.partition(" | ")[2], caret.partition(" | ")[2]
    if not bar or not found.startswith(" " * _INDENT):
        return ""
    return f"{line:>5} | {found[_INDENT:]}\n      | {mark[_INDENT:]}"


def jobs_in(config: Config, file: str) -> Iterable[Job]:
    """Return the jobs of a configuration that stand in this file."""
    return [job for job in config.jobs.values() if job.position is not None and job.position.file == file]


def commanding(job: Job) -> str:
    """Return what in a job can make this machine run or give away something, in words; "" when nothing can."""
    secrets: Any = getattr(job, "secrets", None)
    if job.run is not None:
        return "it has a command (`run`)"
    if job.handler not in _HARMLESS_HANDLERS:
        return f"its handler {job.handler!r} runs code"
    return "it is given secrets" if secrets else ""
