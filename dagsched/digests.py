"""SHA-256 without OpenSSL, which `hashlib` loads: that takes longer than all that job files have to be digested for."""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from hashlib import sha256
else:
    # As the standard library's `random` does it; an interpreter built without its own has hashlib's.
    try:
        from _sha2 import sha256  # Python 3.12 and later
    except ImportError:
        try:
            from _sha256 import sha256
        except ImportError:
            from hashlib import sha256

__all__ = ["sha256"]
