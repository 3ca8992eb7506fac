"""The home folder: the names of its files, and whether there is one.

It imports little, for every command asks here first.
"""

from __future__ import annotations

from pathlib import Path

from p2pshare.errors import ConfigError, OperatorError

CONFIG_NAME = "config.toml"
KEY_FILE_NAME = "identity.p2pkey"
CARD_FILE_NAME = "card.p2pcard"
STORE_NAME = "store.sqlite"
WARNING_INDEX_NAME = "warninglists.sqlite"
EXERCISES_NAME = "exercises"
HOME_MODE = 0o750


def require_home(home: Path) -> Path:
    """Returns `home` if p2pshare was initialised there. Raises OperatorError, ConfigError when only the config is missing."""
    try:
        return _found(home)
    except PermissionError:
        raise OperatorError(
            f"this user may not look into {home}",
            hint="run it as root or as a member of the service's group (`adduser NAME p2pshare`, then log in anew); a home of your own is"
            " named by P2PSHARE_HOME or --home",
            reason="not-permitted",
        ) from None


def _found(home: Path) -> Path:
    if not (home / CONFIG_NAME).is_file() and (home / KEY_FILE_NAME).exists():
        raise ConfigError(
            f"no configuration at {home / CONFIG_NAME}",
            hint="restore it from a backup, or write it anew: config/example.toml explains every field",
        )
    if not (home / CONFIG_NAME).is_file():
        raise OperatorError(f"no p2pshare home at {home}", hint="run `p2pshare init` first, or give --home")
    return home
