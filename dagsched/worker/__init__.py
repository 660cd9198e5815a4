"""A worker: attempts that the scheduler hands out, done on this machine, for as long as it is heard of.

service.py     its life: lease, start, drain
desk.py        the attempts it has, from taken to reported
shipping.py    what they write, on its way to the state
"""

from dagsched.worker.service import Worker

__all__ = ["Worker"]
