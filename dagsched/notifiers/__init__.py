"""Who is told: one file per type of notifier, one line in the table.

A notifier is a module with `async def send(message, spec, environ)`: it delivers one message once, or raises
NotifierError that says whether another try may help. It knows nothing of queues and tries; `courier/` does. The
file's name is the word users write after `type:`. `spec` is what they write, with `folder`, which relative paths in it
are below, and `hidden`, the variables of `environ` that are secrets of somebody.
"""

from dagsched.notifiers.message import Item, Message, message_of, test_message
from dagsched.notifiers.table import TYPES, send

__all__ = ["TYPES", "Item", "Message", "message_of", "send", "test_message"]
