"""What an edit would change, before it is applied: `dagsched plan NEW`.

Two worlds begin where the store stands: in one the configuration in force stays, in the other the new one takes its
place now. Both are the real engine on a virtual clock (`virtual.py`), and all that is said is read off the two of them:

edit.py     what the files say differently: jobs added, changed, removed, moved to another file
swap.py     the instant of the change: runs that are open, ticks that are due or were missed
fires.py    the coming days: fire times added, moved, dropped
pairing.py  which of two fire times is the other one, moved
look.py     all of it from a store and the new files

What cannot differ is not looked at: a job's fire times hang on its schedule, on whether it is enabled, and for want of
a schedule on its upstreams. So a thousand jobs that an edit leaves alone cost no more than reading them.
"""

from dagsched.preview.edit import Changed, Edit, KeyChange, Moved
from dagsched.preview.fires import Fires
from dagsched.preview.look import NOTHING, Base, DstRemark, Preview, preview, read_base
from dagsched.preview.pairing import Pair
from dagsched.preview.swap import DueAt, RunEffect

__all__ = [
    "NOTHING",
    "Base",
    "Changed",
    "DstRemark",
    "DueAt",
    "Edit",
    "Fires",
    "KeyChange",
    "Moved",
    "Pair",
    "Preview",
    "RunEffect",
    "preview",
    "read_base",
]
