"""What a job gets of its upstreams' outputs."""

from __future__ import annotations

from collections.abc import Mapping

from dagsched.errors import HandlerError
from dagsched.model import Job, OutputRef


def filled(job: Job, outputs: Mapping[str, Mapping[str, str]]) -> dict[str, str]:
    """Return the job's `env` with outputs of upstreams filled in; raises HandlerError when one is not there."""
    found = {}
    for name, value in job.env.items():
        if isinstance(value, OutputRef):
            text = outputs.get(value.job, {}).get(value.output, value.default)
            if text is None:
                raise HandlerError(f"{value.job} gave no output {value.output!r} for {name}, and it has no default")
            found[name] = text
        else:
            found[name] = value
    return found
