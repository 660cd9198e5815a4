"""Which store a state directory belongs to: the SQLite file inside it, or a namespace on a PostgreSQL server.

Named by `--store` and `--namespace`, which set $DAGSCHED_STORE and $DAGSCHED_NAMESPACE for this process and those it
starts; else as the last daemon of this state directory was told, which leaves a note there. The note has no password:
that belongs into a password file (https://www.postgresql.org/docs/current/libpq-pgpass.html).
"""

from __future__ import annotations

import json
import os
import re
import socket
from pathlib import Path
from typing import NamedTuple
from urllib.parse import parse_qsl, urlencode, urlsplit, urlunsplit

from dagsched.errors import StoreError, StoreReadOnly, UsageError

STORE, NAMESPACE = "DAGSCHED_STORE", "DAGSCHED_NAMESPACE"
DEFAULT_NAMESPACE = "default"
NOTE, PLACE = "store.json", "place"
SQLITE = "sqlite:"
SCHEMES = ("postgresql", "postgres")
_NAME = re.compile(r"[a-z][a-z0-9_]{0,39}")


class Address(NamedTuple):
    """A namespace on a PostgreSQL server. `url` may hold a password and is never shown; `shown` is the same without."""

    url: str
    namespace: str = DEFAULT_NAMESPACE

    @property
    def schema(self) -> str:
        return f"dagsched_{self.namespace}"

    @property
    def shown(self) -> str:
        return f"{without_password(self.url)} (namespace {self.namespace})"


def address_of(state_dir: Path) -> Address | None:
    """Return where the state of this directory is, None for the SQLite file in it; raises UsageError, StoreError."""
    named, namespace = os.environ.get(STORE), os.environ.get(NAMESPACE)
    if named:
        return parsed(named, namespace or DEFAULT_NAMESPACE)
    noted = _noted(state_dir)
    if noted is not None and namespace:
        return parsed(noted.url, namespace)
    return noted


def parsed(url: str, namespace: str) -> Address | None:
    """Return the address that `url` names, None for `sqlite:`; raises UsageError."""
    if url == SQLITE:
        return None
    if urlsplit(url).scheme not in SCHEMES:
        raise UsageError(
            f"--store {without_password(url)!r}: write postgresql://USER@HOST/DATABASE, "
            f"or {SQLITE} for the state directory"
        )
    if not _NAME.fullmatch(namespace):
        raise UsageError(
            f"--namespace {namespace!r}: a namespace is at most 40 of a-z, 0-9 and _, and begins with a letter"
        )
    return Address(url, namespace)


def note(state_dir: Path, address: Address | None) -> None:
    """Write down for later commands where the state of this directory is, without a password."""
    path = state_dir / NOTE
    if address is None:
        path.unlink(missing_ok=True)
        return
    text = json.dumps({"url": without_password(address.url), "namespace": address.namespace}) + "\n"
    draft = path.with_name(f"{NOTE}.new-{os.getpid()}")
    draft.write_text(text, encoding="utf-8")
    draft.chmod(0o600)
    draft.replace(path)


def _noted(state_dir: Path) -> Address | None:
    path = state_dir / NOTE
    try:
        said = json.loads(path.read_text(encoding="utf-8"))
        return Address(str(said["url"]), str(said["namespace"]))
    except FileNotFoundError:
        return None
    except PermissionError as error:
        raise refused(path, error) from error
    except (OSError, ValueError, KeyError, TypeError) as error:
        raise StoreError(
            f"{path}: does not say where the state is ({error}); delete it and name it with --store"
        ) from error


def place_of(state_dir: Path) -> str:
    """Return a name for this state directory that no other one on any machine has, making it at first."""
    path = state_dir / PLACE
    try:
        with open(os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC, 0o600), "w") as file:
            file.write(os.urandom(8).hex() + "\n")
    except FileExistsError:
        pass
    # A copied directory on another machine is another place.
    return f"{socket.gethostname()}/{path.read_text(encoding='ascii').strip()}"


def machine_of(place: str) -> str:
    """Return the machine in the name of a state directory; every other name as it is."""
    return re.sub(r"/[0-9a-f]{16}$", "", place)


def refused(path: Path, error: OSError) -> StoreReadOnly:
    """Return what to say of a file, or of the folder where it is or would be, that this user may not use."""
    place = path if os.path.lexists(path) else path.parent
    return StoreReadOnly(f"{place}: {error.strerror}; make it writable for this user (uid {os.geteuid()})")


def without_password(url: str) -> str:
    """Return a URL as it may be shown."""
    parts = urlsplit(url)
    user, at, host = parts.netloc.rpartition("@")
    query = urlencode([(key, value) for key, value in parse_qsl(parts.query) if "password" not in key])
    return urlunsplit(parts._replace(netloc=user.partition(":")[0] + at + host, query=query))
