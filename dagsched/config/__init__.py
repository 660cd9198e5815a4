"""From text to frozen jobs, with a position for every complaint.

files.py      opens files; everything after it is pure
reader.py     bytes → plain data and the place of each part, over libyaml's events, behind caps
grammar.py    is it a job file? `jobs.schema.json` says, `explain.py` tells why not
build.py      data → `Job`s; `schedules.py` and `lengths.py` for what they say about time
patterns.py   templates and matrices → plain jobs; `layers.py`, `matrix.py`, `names.py`, `placeholders.py` and
              `shelf.py` for its steps, `woven.py` so that each part keeps its place
part.py       what one file says by itself
checks.py     what only all jobs together can tell; `looks.py` what is right and will still surprise
load.py       all of it in order, and again only where something changed
effective.py  what a job comes to, and who says what of it; flow.py in YAML for people
render.py     problems as text, JSON, GitHub annotations, SARIF
"""

from dagsched.config.codes import CODES
from dagsched.config.files import schema
from dagsched.config.lengths import BadLength, parse_length
from dagsched.config.load import Loaded, Loader, load, load_texts
from dagsched.config.problem import Problem
from dagsched.config.render import render, rows

__all__ = [
    "CODES",
    "BadLength",
    "Loaded",
    "Loader",
    "Problem",
    "load",
    "load_texts",
    "parse_length",
    "render",
    "rows",
    "schema",
]
