"""Every code a problem may have, with the rule it stands for.

`E` codes make a configuration unusable, `W` codes do not. 0xx is about the file and its YAML, 1xx about
keys and values, 2xx about jobs that name each other, 3xx about time, 5xx about
who is told and who works elsewhere. A code never changes its meaning; one
that is no longer used is not given out again. `docs/problems.md` tells why and how to fix each.
"""

from __future__ import annotations

from typing import Literal

CODES: dict[str, str] = {
    "E001": "a file or folder cannot be read",
    "E002": "a file is too large",
    "E003": "a file is not UTF-8 text",
    "E004": "a character is not allowed",
    "E005": "the text is not YAML",
    "E006": "the nesting is too deep",
    "E007": "a file has too many values",
    "E008": "aliases grow too much",
    "E009": "a key is given twice",
    "E010": "a YAML tag is used",
    "E011": "a file holds several documents",
    "E012": "a file is empty",
    "E013": "a file is not a mapping",
    "E014": "a key is not plain text",
    "E015": "a merge key is used",
    "E016": "an alias has no anchor",
    "E101": "unknown key",
    "E102": "a key is missing",
    "E103": "a value has the wrong type",
    "E104": "a value is not one of those allowed",
    "E105": "text does not have the right form",
    "E106": "a number is out of range",
    "E107": "a value is too short or too long",
    "E108": "a job says not exactly one of run and handler",
    "E109": "a schedule says not exactly one of cron, every and at",
    "E110": "unknown handler",
    "E111": "a name is reserved",
    "E112": "a default does not fit its parameter",
    "E113": "a parameter's schema cannot be used",
    "E114": "a value is not allowed here",
    "E131": "a condition cannot be read",
    "E132": "an unknown name in a condition",
    "E133": "parts of a condition do not fit each other",
    "E134": "a condition asks about a job that is no upstream",
    "E135": "a condition asks for a parameter that is not declared",
    "E201": "unknown upstream",
    "E202": "a job waits for itself",
    "E203": "a job id is declared twice",
    "E204": "the dependencies form a cycle",
    "E205": "unknown pool",
    "E206": "a job wants more slots than its pool has",
    "E207": "match: all on a job without a schedule of its own",
    "E208": "an output is wanted from a job that is no upstream",
    "E209": "a pool is declared twice with different capacities",
    "E210": "a required parameter on a job that nobody starts by hand",
    "E211": "an upstream is named twice",
    "E301": "a cron expression cannot be used",
    "E302": "unknown time zone",
    "E303": "a length cannot be read",
    "E304": "a length is out of range",
    "E305": "a date or time cannot be read",
    "E306": "a schedule ends before it starts",
    "E321": "a rate limit cannot be used",
    "E322": "a window cannot be used",
    "E501": "unknown notifier",
    "E502": "a notifier is declared twice",
    "E503": "unknown agent",
    "E504": "an agent is declared twice",
    "W201": "match: same on schedules that never meet",
    "W202": "an upstream is disabled",
    "W203": "catchup_window has no effect",
    "W301": "a clock change moves ticks",
    "W302": "a clock change drops ticks",
    "W303": "a clock change doubles ticks",
    "W304": "a schedule never fires",
    "W305": "a step does not divide its field",
    "W306": "a day that not every month has",
    "W307": "an old name of a time zone",
    "W308": "a starred step beside a weekday",
    "W309": "every of a day and more",
    "W321": "no tick ever meets the window",
    "W501": "a notification rule can never match",
}


def severity_of(code: str) -> Literal["error", "warning"]:
    """Return what a code's letter stands for."""
    return "error" if code.startswith("E") else "warning"
