"""How work is done: one file per handler, one line in the table.

`shell` (the key `run`) needs no code here beyond its argv. Every other handler, built in or plug-in, runs in
a child process of its own (`child.py`), so that timeout, kill, adoption and logs are the same for all.
A plug-in is an entry point of the group `dagsched.handlers`: see docs/handlers.md.
"""

from dagsched.handlers.launch import GRACE_S, Launch, launch, log_path, traceparent
from dagsched.handlers.params import as_text, params_of
from dagsched.handlers.table import GROUP, Handler, find, names, schema_of

__all__ = [
    "GRACE_S",
    "GROUP",
    "Handler",
    "Launch",
    "as_text",
    "find",
    "launch",
    "log_path",
    "names",
    "params_of",
    "schema_of",
    "traceparent",
]
