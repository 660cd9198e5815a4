"""Parameters of a run: what was given, checked against what the job declares, and how the work is told.

What made a run may tell it more than its parameters: which event, with which data. That is kept with them, under names
that start with DAGSCHED_ and so are no parameter's.
"""

from __future__ import annotations

import json
import re
from collections.abc import Iterable, Mapping
from typing import Any

from dagsched.closest import get_close_matches
from dagsched.errors import Refused
from dagsched.model import AWAITED, CALLED, EVENT, EVENT_DATA, Job, Param, Run

PARAM_BYTES_MAX = 64 * 1024
"""Of one value as text: the kernel lets an environment variable have 128 KiB."""

_OURS = "DAGSCHED_"
_UNTOLD = frozenset({AWAITED, CALLED})


def params_of(job: Job, run: Run) -> dict[str, Any]:
    """Return the run's parameters, defaults filled in."""
    given = {name: value for name, value in run.params.items() if not name.startswith(_OURS)}
    return {**{name: param.default for name, param in job.params.items() if param.default is not None}, **given}


def params_env(job: Job, run: Run) -> dict[str, str]:
    """Return the parameters as DAGSCHED_PARAM_… and what the run is told besides: text as it is, else as JSON."""
    if not job.params and not run.params:
        return {}
    told = {name: as_text(value) for name, value in told_of(run).items()}
    return {**told, **{variable_of(name): as_text(value) for name, value in params_of(job, run).items()}}


def variable_of(name: str) -> str:
    """Return the environment variable that a parameter is told in."""
    return "DAGSCHED_PARAM_" + re.sub(r"[^A-Z0-9]", "_", name.upper())


def told_of(run: Run) -> dict[str, Any]:
    """Return what made the run tells it besides its parameters, by variable."""
    return {name: value for name, value in run.params.items() if name.startswith(_OURS) and name not in _UNTOLD}


def event_of(run: Run) -> dict[str, Any] | None:
    """Return `{"name": …, "data": {…}}` of the event that made the run, None when none did."""
    return {"name": run.params[EVENT], "data": run.params.get(EVENT_DATA, {})} if EVENT in run.params else None


def as_text(value: Any) -> str:
    """Return text as it is and any other value as JSON; raises TypeError on what JSON cannot say."""
    return value if isinstance(value, str) else json.dumps(value, ensure_ascii=False)


# ---------------------------------------------------------------- what is given


def checked_params(job: Job, given: object, *, is_partial: bool = False) -> Mapping[str, Any]:
    """Return the parameters of a run; raises Refused when they are not as the job declares them.

    `is_partial`: those without a default may be missing, as they are in runs that a schedule makes.
    """
    if not isinstance(given, Mapping):
        raise Refused("'params' is an object: a value by the name of each parameter")
    for name, value in given.items():
        if name not in job.params:
            nearest = get_close_matches(str(name), list(job.params), 1)
            known = f"did you mean {nearest[0]!r}?" if nearest else f"it declares {', '.join(job.params) or 'none'}"
            raise Refused(f"{job.id} has no parameter {name!r}; {known}")
        wrong = what_is_wrong(job.params[name], value)
        if wrong:
            raise Refused(f"parameter {name!r} of {job.id}: {wrong}")
    missing = missing_params(job, given)
    if missing and not is_partial:
        raise Refused(f"{job.id} needs a value for parameter {missing[0]!r}: --param {missing[0]}=…")
    return dict(given)


def shared_params(jobs: Iterable[Job], given: Mapping[str, str]) -> dict[str, dict[str, Any]]:
    """Return the parameters of several jobs that run together, by job: each takes what it declares of the texts given.

    Raises Refused for a name that none declares, a value that does not fit, and one that is missing.
    """
    found = {job.id: (job, {name: typed(given[name], param) for name, param in job.params.items() if name in given})
             for job in jobs}  # fmt: skip
    known = {name for job, _ in found.values() for name in job.params}
    for name in given:
        if name not in known:
            nearest = get_close_matches(name, sorted(known), 1)
            hint = f"; did you mean {nearest[0]!r}?" if nearest else ""
            raise Refused(f"no job that is to run has a parameter {name!r}{hint}")
    return {id: dict(checked_params(job, params)) for id, (job, params) in found.items() if job.params}


def params_from_event(job: Job, data: Mapping[str, Any]) -> dict[str, Any]:
    """Return what of an event's data the job takes as parameters: the keys it declares, text read as their type.

    Raises Refused naming job, parameter and reason when a value does not fit, or one without a default is not there.
    """
    found = {}
    for name, param in job.params.items():
        if name in data:
            found[name] = typed(data[name], param) if isinstance(data[name], str) else data[name]
            wrong = what_is_wrong(param, found[name])
            if wrong:
                raise Refused(f"the data do not fit parameter {name!r} of {job.id}: {wrong}")
    missing = missing_params(job, found)
    if missing:
        raise Refused(f"the data have no {missing[0]!r}, which {job.id} needs as a parameter: --data {missing[0]}=…")
    return found


def missing_params(job: Job, given: Mapping[str, Any]) -> list[str]:
    """Return the names of the job's parameters that have no default and are not given."""
    return [name for name, param in job.params.items() if param.default is None and name not in given]


def what_is_wrong(param: Param, value: Any) -> str:
    """Return why a value does not fit a parameter, "" when it does."""
    from jsonschema import Draft202012Validator  # slow to load, and most runs have no parameters

    error = next(Draft202012Validator(dict(param.schema)).iter_errors(value), None)
    if error is not None:
        return str(error.message)
    text = as_text(value)
    if "\0" in text:
        return "it holds a NUL, which no environment variable can"
    if any("\ud800" <= letter <= "\udfff" for letter in text):
        return "it is no text: half of a character is missing"
    size = len(text.encode())
    return f"it is {size:,} bytes, at most {PARAM_BYTES_MAX:,} reach a run" if size > PARAM_BYTES_MAX else ""


def typed(text: str, param: Param) -> Any:
    """Return text as a value of the type that a parameter declares; what cannot be read as one stays text.

    Text stays text wherever that is allowed; anything else is read as JSON.
    """
    kinds = param.schema.get("type", "string")
    if "string" in ([kinds] if isinstance(kinds, str) else kinds):
        return text
    try:
        return json.loads(text)
    except ValueError:
        return text
