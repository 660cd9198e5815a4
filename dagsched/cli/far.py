"""Where a command looks: at the state on this machine, or with `--url` at a daemon elsewhere."""

from __future__ import annotations

import argparse
import os
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import TYPE_CHECKING, cast

from dagsched.cli.places import state_dir
from dagsched.cli.reading import reading
from dagsched.errors import UsageError

if TYPE_CHECKING:
    from dagsched.api.elsewhere import Elsewhere
    from dagsched.stores.contract import Store


def url_of(args: argparse.Namespace) -> str | None:
    """Return the address of the daemon that is meant, None for the one of this machine; raises UsageError.

    `--url`, else $DAGSCHED_URL, unless a state or a job file is named: those are here.
    """
    is_here = any(getattr(args, name, None) for name in ("state_dir", "store", "namespace", "paths"))
    given: str | None = getattr(args, "url", None)
    if given is not None and is_here:
        raise UsageError("--url is a daemon elsewhere; it goes with none of --store, --namespace, --state-dir, --file")
    if given is not None:
        return given
    named = os.environ.get("DAGSCHED_URL") if hasattr(args, "url") and not is_here else None
    return named or None


@asynccontextmanager
async def far(args: argparse.Namespace, url: str) -> AsyncIterator[Elsewhere]:
    """Give the daemon at that address, with `--token` or $DAGSCHED_TOKEN."""
    from dagsched.api.elsewhere import elsewhere

    async with elsewhere(url, args.token or os.environ.get("DAGSCHED_TOKEN")) as there:
        yield there


@asynccontextmanager
async def looking(args: argparse.Namespace, *, quiet: bool = False) -> AsyncIterator[Store]:
    """Give what the command reads; of a daemon elsewhere, those calls of a store that commands make."""
    url = url_of(args)
    if url is None:
        async with reading(state_dir(args), quiet=quiet) as store:
            yield store
    else:
        async with far(args, url) as there:
            yield cast("Store", there)
