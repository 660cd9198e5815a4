"""Who may come in: bearer tokens, one-time links and browser sessions, kept as hashes in `access.json`.

The file lies in the state directory with mode 0600 and is replaced as a whole, under a lock, so that the command line,
the daemon and the process that serves HTTP may all change it. What is handed out is 256 random bits: a plain SHA-256
of it can be kept without salt or stretching, because there is nothing to guess. A reader looks at the file's stamp
before each answer, so a token that was revoked is refused from the next request on.
"""

from __future__ import annotations

import fcntl
import hashlib
import json
import os
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import asdict, dataclass, replace
from datetime import datetime, timedelta
from enum import IntEnum
from pathlib import Path
from typing import Literal

from dagsched.errors import Refused, StoreError, Unknown
from dagsched.model import format_instant, parse_instant

NAME = "access.json"
LINK_LIFE = timedelta(minutes=10)
SESSION_LIFE = timedelta(days=7)
SESSIONS_MAX = 500
TOKENS_MAX = 1000

Kind = Literal["token", "link", "session"]


class Role(IntEnum):
    """What somebody may do: each role all that the ones before it may."""

    VIEWER = 1
    OPERATOR = 2
    ADMIN = 3

    @property
    def word(self) -> str:
        """Return the role as it is written."""
        return self.name.lower()


ROLES = {role.word: role for role in Role}


@dataclass(frozen=True, slots=True)
class Entry:
    """One way in. `hash`: SHA-256 of the secret, in hex. `of`: id of the token or link that a session came from."""

    id: str
    kind: Kind
    role: Role
    name: str
    hash: str
    created: datetime
    expires: datetime | None = None
    of: str = ""

    def is_over(self, now: datetime) -> bool:
        """Whether its time has passed."""
        return self.expires is not None and self.expires <= now


class Access:
    """The ways into one state directory."""

    def __init__(self, state_dir: Path) -> None:
        self.path = state_dir / NAME
        self._stamp: tuple[int, ...] | None = None
        self._known: tuple[Entry, ...] = ()

    # ------------------------------------------------------------ asking

    def entries(self, now: datetime) -> Sequence[Entry]:
        """Return everything that is still good; raises StoreError when the file cannot be used."""
        stamp = self._current_stamp()
        if stamp is None or stamp != self._stamp:
            self._known = tuple(_read(self.path))
            self._stamp = stamp
        return [entry for entry in self._known if not entry.is_over(now)]

    def find(self, secret: str, kind: Kind, now: datetime) -> Entry | None:
        """Return whose secret this is. Every entry is compared, each in the same time whatever it holds."""
        from hmac import compare_digest

        given, found = _hash(secret), None
        for entry in self.entries(now):
            if compare_digest(entry.hash, given) and entry.kind == kind:
                found = entry
        return found

    def is_good(self, id: str, now: datetime) -> bool:
        """Whether an entry is still there: long answers ask again and again."""
        return any(entry.id == id for entry in self.entries(now))

    # ------------------------------------------------------------ changing

    def create(
        self, kind: Kind, role: Role, now: datetime, *, name: str = "", life: timedelta | None = None, of: str = ""
    ) -> tuple[Entry, str]:
        """Add a way in; return it and its secret, which is kept nowhere. Raises Refused when there are too many."""
        with self._changing() as entries:
            return _add(entries, kind, role, now, name, life, of)

    def first_token(self, now: datetime) -> str | None:
        """Return a new admin token's secret if nobody was ever given a way in, else None."""
        if self.path.exists():
            return None
        with self._changing() as entries:
            if entries:
                return None
            return _add(entries, "token", Role.ADMIN, now, "first", None, "")[1]

    def redeem(self, link: str, now: datetime) -> tuple[Entry, str] | None:
        """Turn a one-time link into a session; return it and its secret, None when the link is not good any more."""
        found = self.find(link, "link", now)
        if found is None:
            return None
        with self._changing() as entries:
            if found not in entries:
                return None  # somebody was quicker
            entries.remove(found)
            return _add(entries, "session", found.role, now, found.name, SESSION_LIFE, found.of)

    def revoke(self, word: str, now: datetime) -> list[Entry]:
        """Remove the entry of this id, or the tokens of this name, and their sessions; raises Unknown."""
        with self._changing() as entries:
            gone = [entry for entry in entries if entry.id == word or (entry.kind == "token" and entry.name == word)]
            if not gone:
                raise Unknown("token", word, [entry.id for entry in entries if entry.kind == "token"][:3])
            ids = {entry.id for entry in gone}
            gone += [entry for entry in entries if entry.of in ids and entry not in gone]
            for entry in gone:
                entries.remove(entry)
            return gone

    @contextmanager
    def _changing(self) -> Iterator[list[Entry]]:
        """Give the entries to change; they are stored when the block ends well."""
        with _locked(self.path.with_suffix(".lock")):
            entries = list(_read(self.path))
            yield entries
            _write(self.path, entries)

    def _current_stamp(self) -> tuple[int, ...] | None:
        try:
            found = os.stat(self.path)
        except FileNotFoundError:
            return None
        except OSError as error:
            raise StoreError(f"{self.path} cannot be read: {error.strerror}") from error
        return found.st_dev, found.st_ino, found.st_size, found.st_mtime_ns


def _add(
    entries: list[Entry], kind: Kind, role: Role, now: datetime, name: str, life: timedelta | None, of: str
) -> tuple[Entry, str]:
    entries[:] = [entry for entry in entries if not entry.is_over(now)]
    same = [entry for entry in entries if entry.kind == kind]
    if kind == "token" and len(same) >= TOKENS_MAX:
        raise Refused(f"there are {TOKENS_MAX} tokens already; revoke some with `dagsched token revoke`")
    if kind != "token" and len(same) >= SESSIONS_MAX:
        entries.remove(min(same, key=lambda entry: entry.created))
    id = os.urandom(4).hex()
    secret = f"dagsched_{id}_{os.urandom(32).hex()}"
    entry = Entry(id, kind, role, name, _hash(secret), now, now + life if life else None, of)
    entries.append(entry)
    return entry, secret


def _hash(secret: str) -> str:
    return hashlib.sha256(secret.encode(errors="surrogateescape")).hexdigest()


@contextmanager
def _locked(path: Path) -> Iterator[None]:
    fd = os.open(path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
    try:
        fcntl.flock(fd, fcntl.LOCK_EX)
        yield
    finally:
        os.close(fd)


def _read(path: Path) -> Iterator[Entry]:
    try:
        data = json.loads(path.read_bytes())
        for row in data["entries"]:
            entry = Entry(**row)
            yield replace(
                entry,
                role=ROLES[str(entry.role)],
                created=parse_instant(str(entry.created)),
                expires=parse_instant(str(entry.expires)) if entry.expires else None,
            )
    except FileNotFoundError:
        return
    except OSError as error:
        raise StoreError(f"{path} cannot be read: {error.strerror}") from error
    except (ValueError, KeyError, TypeError) as error:
        raise StoreError(f"{path} is damaged, so nobody comes in: {error!r}; move it away to start anew") from error


def _write(path: Path, entries: Sequence[Entry]) -> None:
    """Replace the file; a crash leaves the old one or the new one, whole."""
    rows = [
        {
            **asdict(entry),
            "role": entry.role.word,
            "created": format_instant(entry.created),
            "expires": format_instant(entry.expires) if entry.expires else None,
        }
        for entry in entries
    ]
    draft = path.with_suffix(".new")
    fd = os.open(draft, os.O_WRONLY | os.O_CREAT | os.O_TRUNC | os.O_CLOEXEC, 0o600)
    with os.fdopen(fd, "w") as file:
        json.dump({"version": 1, "entries": rows}, file, indent=1)
        file.flush()
        os.fsync(file.fileno())
    os.replace(draft, path)
