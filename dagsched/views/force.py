"""The configuration in force, as the state keeps it."""

from __future__ import annotations

from dagsched.model import Config, ConfigVersion
from dagsched.stores.contract import Store


async def config_in_force(store: Store) -> tuple[ConfigVersion, Config | None] | None:
    """Return the newest stored configuration and what it says; None when none was ever put in force.

    The second part is None when this version of dagsched cannot use what an earlier one could.
    """
    newest = await store.configs(limit=1)
    if not newest:
        return None
    from dagsched.config import load_texts

    return newest[0], load_texts(newest[0].files, newest[0].applied).config
