"""`dagsched notify test NAME`: sends one message that says nothing, now, and says what became of it.

It is sent by this process, with this process's environment: a secret that only the daemon's environment has is not
found here.
"""

from __future__ import annotations

import argparse
import asyncio
import os
import socket
import uuid

from dagsched.cli.output import print_json
from dagsched.cli.parser import Parser, add_file, add_json, add_state_dir, did_you_mean
from dagsched.cli.places import load_config, state_dir
from dagsched.clock import SystemClock
from dagsched.cloudevents import source_of
from dagsched.errors import NotifierError, UsageError
from dagsched.model import format_instant


def arguments(parser: Parser) -> None:
    parser.add_argument("what", choices=("test",), help="what to send")
    parser.add_argument("name", metavar="NAME", help="the notifier, as the job files name it")
    add_json(parser)
    add_file(parser)
    add_state_dir(parser)


def run(args: argparse.Namespace) -> int:
    from dagsched.handlers.secrets import hidden_variables
    from dagsched.notifiers import send, test_message

    config = load_config(args.paths)
    notifiers = config.notifiers
    if args.name not in notifiers:
        raise UsageError(f"the job files declare no notifier {args.name!r}{did_you_mean(args.name, notifiers)}")
    source = source_of(socket.gethostname(), str(state_dir(args)))
    message = test_message(f"msg_{uuid.uuid4().hex[:26]}", args.name, format_instant(SystemClock().now()), source)
    error = ""
    try:
        asyncio.run(send(message, notifiers[args.name], os.environ, hidden_variables(config)))
    except NotifierError as failure:
        error = str(failure)
    if args.json:
        print_json({"notifier": args.name, "id": message.id, "delivered": not error, "error": error})
    else:
        print(f"{args.name}: {error or 'delivered'}")
    return 1 if error else 0
