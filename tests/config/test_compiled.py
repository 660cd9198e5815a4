"""The compiled validator is imported without mail, and nobody meets what stood in for it."""

from __future__ import annotations

import subprocess
import sys

import pytest

CASES = {
    "the validator brings no mail along": (
        "import sys, dagsched.config.compiled; print('email.utils' in sys.modules, 'socket' in sys.modules)",
        "False False",
    ),
    "mail imported afterwards is the real one": (
        "import dagsched.config.compiled, email.utils; print(email.utils.formatdate(0, usegmt=True))",
        "Thu, 01 Jan 1970 00:00:00 GMT",
    ),
    "mail imported before stays": (
        "import email.utils, sys; before = email.utils; import dagsched.config.compiled\n"
        "print(sys.modules['email.utils'] is before)",
        "True",
    ),
    "what keeps the stand-in gets the real one's answers": (
        "from dagsched.config import compiled; kept = compiled._StandIn('email.utils')\n"
        "print(kept.parsedate_to_datetime('Thu, 01 Jan 1970 00:00:00 GMT').year, kept.quote('a\"b'))",
        '1970 a\\"b',
    ),
}


@pytest.mark.parametrize(("program", "said"), CASES.values(), ids=CASES)
def test_email_is_left_out_of_the_import_alone(program, said):
    answer = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=True)
    assert answer.stdout.strip() == said
