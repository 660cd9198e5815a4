"""Other programs' files → drafts of jobs, with a verdict for every line; and the proof that the times stay the same.

A reader takes text and returns an `Imported`: drafts (keys of jobs, not checked yet), what `defaults` they share, and
one `Verdict` for each thing that stood in the file. `emit` writes drafts as a job file a person would write. `verify`
lays the old fire times, from an evaluator that shares no code with `triggers/`, beside those of the loaded job.
"""

from dagsched.importers.draft import Draft, Imported, Verdict
from dagsched.importers.emit import checked, emit
from dagsched.importers.verify import Difference, compare

__all__ = ["Difference", "Draft", "Imported", "Verdict", "checked", "compare", "emit"]
