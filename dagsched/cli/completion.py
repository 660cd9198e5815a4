"""`dagsched completion SHELL`: the script that completes commands, options, jobs and files.

The scripts are thin: they hand the words so far to `dagsched _complete`, which knows the commands' own
parsers, and fall back to file names where it has nothing to offer.
"""

from __future__ import annotations

import argparse

from dagsched.cli.parser import Parser

_BASH = """\
# dagsched: put `eval "$(dagsched completion bash)"` into ~/.bashrc
_dagsched() {
    local IFS=$'\\n'
    COMPREPLY=($(compgen -W "$(dagsched _complete -- "${COMP_WORDS[@]:1:COMP_CWORD}" 2>/dev/null)" \\
        -- "${COMP_WORDS[COMP_CWORD]}"))
}
complete -o default -F _dagsched dagsched
"""

_ZSH = """\
#compdef dagsched
# dagsched: put `eval "$(dagsched completion zsh)"` into ~/.zshrc, after compinit
_dagsched() {
    local -a found
    found=("${(@f)$(dagsched _complete -- "${(@)words[2,CURRENT]}" 2>/dev/null)}")
    if [[ -n "$found" ]]; then
        compadd -- $found
    else
        _files
    fi
}
compdef _dagsched dagsched
"""

_FISH = """\
# dagsched: dagsched completion fish > ~/.config/fish/completions/dagsched.fish
function __dagsched_complete
    set -l words (commandline -opc) (commandline -ct)
    dagsched _complete -- $words[2..-1] 2>/dev/null
end
complete -c dagsched -a '(__dagsched_complete)'
"""

SCRIPTS = {"bash": _BASH, "zsh": _ZSH, "fish": _FISH}


def arguments(parser: Parser) -> None:
    parser.add_argument("shell", metavar="SHELL", choices=sorted(SCRIPTS), help="bash, zsh or fish")


def run(args: argparse.Namespace) -> int:
    print(SCRIPTS[args.shell], end="")
    return 0
