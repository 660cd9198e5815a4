"""The configuration in force, as the state keeps it."""

from __future__ import annotations

from typing import TYPE_CHECKING

from dagsched.model import Config, ConfigVersion
from dagsched.stores.contract import Store

if TYPE_CHECKING:
    from dagsched.config import Loader


async def config_in_force(store: Store, loader: Loader | None = None) -> tuple[ConfigVersion, Config | None] | None:
    """Return the newest stored configuration and what it says; None when none was ever put in force.

    The second part is None when this version of dagsched cannot use what an earlier one could. `loader`: one that is
    kept from time to time reads only what has changed since, and knows where each part of a job is said.
    """
    newest = await store.configs(limit=1)
    if not newest:
        return None
    from dagsched.config import Loader

    return newest[0], (loader or Loader()).load(newest[0].files, newest[0].applied).config
