"""`run:` becomes an argv: directly where a shell would do nothing but split words, else through the shell.

Starting a program costs half a millisecond, starting a shell that starts it about twice that, and the shell
stays as one more process between a signal and its target. So text is executed directly when it is certain
that `sh` would run exactly this program with exactly these arguments. Certain means an allow-list: one
command whose words hold letters, digits and `_@%+:,./=-`, or are quoted without anything that is special
inside the quotes (POSIX.1-2017, Shell Command Language 2.2 and 2.3), and whose first word is neither an
assignment nor a reserved word nor a builtin of sh, dash or bash. Everything else goes to the shell.
"""

from __future__ import annotations

import re
import shlex
from functools import lru_cache

from dagsched.errors import HandlerError

# One word. Its alternatives begin differently, so a long text that fails does so after one pass and its undoing.
# (Possessive quantifiers would say that, but match too much in Python before 3.11.4.)
_WORD = r"""(?:[A-Za-z0-9_@%+:,./=-]|'[^'\n\0]*'|"[^"$`\\!\n\0]*")+"""
_COMMAND = re.compile(rf"[ \t]*{_WORD}(?:[ \t]+{_WORD})*[ \t\n]*")
_NAME = re.compile(r"[A-Za-z0-9_./][A-Za-z0-9_@+:,./-]*")

# Reserved words, special and regular builtins: POSIX 2.4, 2.14 and 1.6, dash(1), bash(1).
_OF_THE_SHELL = frozenset(
    re.findall(
        r"\S+",
        """
        ! [ [[ ]] { } . : alias bg bind break builtin caller case cd command compgen complete compopt continue
        coproc declare dirs disown do done echo elif else enable esac eval exec exit export false fc fg fi for
        function getopts hash help history if in jobs kill let local logout mapfile newgrp popd print printf
        pushd pwd read readarray readonly return select set shift shopt source suspend test then time times
        trap true type typeset ulimit umask unalias unset until wait whence while
        """,
    )
)


def argv(text: str, shell: str | None = None) -> tuple[str, ...]:
    """Return the argv that runs shell text; with `shell` (`bash -eo pipefail`, say) always through that."""
    if shell is not None:
        return (*_shell_words(shell), "-c", text)
    return words(text) or ("sh", "-c", text)


@lru_cache(maxsize=256)
def words(text: str) -> tuple[str, ...] | None:
    """Return the words of a command that needs no shell, None when it may need one.

    >>> words("cp 'a b' --to=/tmp"), words("cp *.txt /tmp")
    (('cp', 'a b', '--to=/tmp'), None)
    """
    if not _COMMAND.fullmatch(text):
        return None
    found = tuple(shlex.split(text) if "'" in text or '"' in text else text.split())
    first = found[0]
    if not _NAME.fullmatch(first) or first in _OF_THE_SHELL:
        return None
    return found


def _shell_words(shell: str) -> tuple[str, ...]:
    try:
        found = tuple(shlex.split(shell))
    except ValueError as error:
        raise HandlerError(f"shell {shell!r} cannot be split into words: {error}") from error
    if not found:
        raise HandlerError("shell is empty; write `sh`, `bash` or leave it out")
    return found
