"""Parameters as a job declares them: each a JSON Schema, with a default that fits it."""

from __future__ import annotations

from typing import Any

from dagsched.config.build import Entry
from dagsched.config.compiled import Draft202012Validator, ValidationError
from dagsched.config.explain import Complaint, short, shown_value
from dagsched.config.fitting import schema_validator
from dagsched.config.report import Report
from dagsched.declaration import Param


def check_params(entry: Entry, report: Report) -> None:
    """Report schemas that cannot be used, defaults that do not fit, and parameters that nobody could give."""
    job = entry.job
    for name, param in job.params.items():
        validator = validator_of(entry, name, param, report)
        if param.default is None:
            if job.depends_on if job.schedule is None else not job.schedule.event:
                _complain(
                    report,
                    entry,
                    "E210",
                    ("params", name),
                    f"the parameter '{name}' has no default",
                    f"'{job.id}' is started by its schedule or its upstreams, and nobody is there to give it",
                    "add a default",
                    is_key=True,
                )
        elif validator is not None and not validator.is_valid(param.default):
            _complain(
                report,
                entry,
                "E112",
                ("params", name, "default"),
                f"the default {shown_value(param.default)} does not fit the parameter '{name}'",
                "a default must satisfy the parameter's own schema",
                "change the default or the schema",
            )


def fits(param: Param, value: Any) -> bool:
    """Whether a value satisfies a parameter's schema; also when that schema cannot be used, which is told elsewhere."""
    try:
        return bool(schema_validator(param.schema).is_valid(value))
    except (ValidationError, ValueError):
        return True


def _complain(
    report: Report,
    entry: Entry,
    code: str,
    steps: tuple[str | int, ...],
    message: str,
    why: str,
    fix: str,
    *,
    is_key: bool = False,
) -> None:
    report.complain(entry.document, Complaint(code, entry.path(*steps), message, why, fix, is_key))


def validator_of(entry: Entry, name: str, param: Param, report: Report) -> Draft202012Validator | None:
    """Return what checks values of a parameter; reports a schema that cannot be used, and returns None."""
    try:
        return schema_validator(param.schema)
    except (ValidationError, ValueError) as error:
        reason = short(str(getattr(error, "message", error)))
        _complain(
            report,
            entry,
            "E113",
            ("params", name),
            f"the schema of the parameter '{name}' cannot be used: {reason}",
            "it must be a JSON Schema (draft 2020-12); patterns are regular expressions without look-around",
            "correct it",
            is_key=True,
        )
        return None
