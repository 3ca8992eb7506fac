"""A node as a process sees it that only reads, beside the one that writes: what `lookup`, `search` and `export` look at.

Most such commands need the store alone and are over in a moment, so what reads configuration and card, cryptography among
it, is imported by those that ask for them.
"""

from __future__ import annotations

from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING

from p2pshare.node.home import CARD_FILE_NAME, CONFIG_NAME

if TYPE_CHECKING:
    from p2pshare.audit_log import AuditReading
    from p2pshare.config import Config
    from p2pshare.envelope.card import Card
    from p2pshare.node.node import Live
    from p2pshare.node.store import StoreReading
    from p2pshare.warninglists.warning_index import WarningReading


class NodeBeside:
    """A node read beside the process that writes it: a store that was opened read-only, no key, no warning lists.

    Config and card are read when they are asked for, since most queries need neither. Raises ConfigError, PeerError.
    """

    warning_index: WarningReading | None = None
    live: Live | None = None

    def __init__(self, home: Path, store: StoreReading) -> None:
        self._home = home
        self.store = store

    @property
    def audit(self) -> AuditReading:
        from p2pshare.audit_log import AuditReading

        return AuditReading(self._home)

    @cached_property
    def config(self) -> Config:
        from p2pshare.config import load_config

        return load_config(self._home / CONFIG_NAME)

    @cached_property
    def card(self) -> Card:
        from p2pshare.envelope.card import believe_chain

        return believe_chain((self._home / CARD_FILE_NAME).read_bytes())
