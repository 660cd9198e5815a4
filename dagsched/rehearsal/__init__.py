"""The coming days before they come: the real engine on a virtual clock, with lengths and failures as history has them.

habits.py   how long a job's attempts take how often they fail and what they put out, and where that is known from
rehearse.py the days themselves: what was before them, and who looks on
waits.py    what runs that were ready waited for, and how long
days.py     each day's finish, and the chain of runs that determined it
heat.py     how many attempts run in each hour
report.py   all of it as one document
"""

from dagsched.rehearsal.habits import Draws, Habit, habits_of, with_open_conditions
from dagsched.rehearsal.rehearse import Rehearsed, rehearse
from dagsched.rehearsal.report import report

__all__ = ["Draws", "Habit", "Rehearsed", "habits_of", "rehearse", "report", "with_open_conditions"]
