"""Reloading the configuration of a daemon that runs: what can be taken at once is, the rest is named."""

from __future__ import annotations

import logging
from typing import TYPE_CHECKING

from msgspec import Struct

from p2pshare.config import fields_changed, load_config
from p2pshare.node.home import CONFIG_NAME
from p2pshare.node.node import note_config
from p2pshare.node.proxy_login import proxy_of
from p2pshare.operations.interface import Request

if TYPE_CHECKING:
    from p2pshare.node.node import Node, Progress

log = logging.getLogger(__name__)

NEEDS_RESTART = ("url", "listen", "gossip", "store", "limits", "control")


class ConfigReloaded(Struct, frozen=True, forbid_unknown_fields=True):
    """The config was taken. `needs_restart`: what was changed in it and holds from the daemon's next start on; `changed`: the fields that
    were changed, by their dotted names."""

    needs_restart: list[str]
    changed: list[str]


class ReloadConfig(Request[ConfigReloaded], frozen=True, tag="config-reload"):
    """Take the config file anew. Raises ConfigError where it is wrong, or names a login that the next start could not use: the old one
    then stays."""

    def run(self, node: Node, now: int, progress: Progress) -> ConfigReloaded:
        config = load_config(node.home / CONFIG_NAME)
        proxy_of(config)
        needs_restart = [
            name for name in NEEDS_RESTART if getattr(config, name) != getattr(node.config, name)
        ]
        for name in needs_restart:
            log.warning("'%s' was changed in the config: it needs a restart", name)
        changed = fields_changed(node.config, config)
        node.config = config
        note_config(node)
        return ConfigReloaded(needs_restart, changed)
