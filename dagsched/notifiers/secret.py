"""Secrets by reference: looked up when they are needed, kept nowhere, masked in what is told of errors."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from dagsched.errors import NotifierError, SecretMissing
from dagsched.references import VALUE_CHARACTERS_MIN, is_reference, reference_of, references_in, value_of

MASK = "[secret]"


def text_of(said: Any, spec: Mapping[str, Any], environ: Mapping[str, str]) -> str:
    """Return what a value of the job file stands for: itself, or what a reference leads to.

    Raises NotifierError (which another try may mend) when there is nothing there.
    """
    if not is_reference(said):
        return str(said)
    try:
        return value_of(reference_of(said, str(spec.get("folder", "."))), environ)
    except SecretMissing as error:
        raise NotifierError(f"the secret {error}") from None


def masked(text: str, spec: Mapping[str, Any], environ: Mapping[str, str]) -> str:
    """Return the text without any secret that `spec` refers to."""
    for reference in references_in(spec, str(spec.get("folder", "."))):
        try:
            value = value_of(reference, environ)
        except SecretMissing:
            continue
        for part in {value, *value.split()}:
            # A shorter text would mask half of what an error says.
            if len(part) >= VALUE_CHARACTERS_MIN:
                text = text.replace(part, MASK)
    return text
