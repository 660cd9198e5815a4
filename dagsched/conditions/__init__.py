"""Conditions: the small language of `when`, read as a Python expression and judged by this file alone.

    state("extract") == "success" and output("extract", "rows", "0") > 0 and local.weekday not in ["sat", "sun"]

There are literals, lists, `and or not`, comparisons, parentheses, four functions and the tick's wall clock, and nothing
else: no names, no attributes, no arithmetic. Python parses the text, after a look at its length and nesting; its tree
is checked node by node against the white-list below before any of it is kept. Nothing is ever executed.

A text beside a number is read as a number. What cannot be decided (an output that is not there, a text that is no
number) makes the whole condition false and says so: judging a condition never fails.
"""

from dagsched.conditions.judging import judge
from dagsched.conditions.reading import parse
from dagsched.conditions.words import BadCondition, Condition, Facts, Use, Verdict

__all__ = ["BadCondition", "Condition", "Facts", "Use", "Verdict", "judge", "parse"]
