"""A simulated node: one partner of a world, with the parts of it that last and those that do not."""

from __future__ import annotations

from dataclasses import dataclass, field

from p2pshare.envelope.keys import Identity
from p2pshare.identifiers import EnvelopeId, PartnerId
from p2pshare.node.node import Node
from p2pshare.node.store import Store
from p2pshare.partners.interface import PartnerRow
from simulator.disks import Disk
from simulator.driver import VirtualDriver
from simulator.memory_store import MemoryDisk


@dataclass
class Quiet:
    """The traffic that went on when nothing was left to do."""

    bodies: int = 0
    requests_per_minute: float = 0.0
    """Of one link, both ways together."""
    bytes_per_minute: float = 0.0


@dataclass
class SimulatedNode:
    """One partner: the parts that last (identity, disk, configuration) and those that do not (opened, driver: None while
    down)."""

    number: int
    identity: Identity
    disk: Disk | MemoryDisk
    rows: dict[PartnerId, PartnerRow]
    founded_rows: dict[PartnerId, PartnerRow]
    """The partners that it knew at first, and will know in the end."""
    lie: str = ""
    opened: Node | None = None
    driver: VirtualDriver | None = None
    lives: int = 0
    started_at: float = 0.0
    skew_seconds: float = 0.0
    downs: int = 0
    """How many faults keep it down."""
    fulls: int = 0
    """How many faults leave it no room."""
    fillings: int = 0
    """How many faults have filled its disk, so that it is full in the middle of a transaction."""
    is_set_back: bool = False
    held_when_down: set[EnvelopeId] = field(default_factory=set)

    @property
    def name(self) -> str:
        return f"s{self.number}"

    @property
    def partner_id(self) -> PartnerId:
        return self.identity.partner_id

    @property
    def is_honest(self) -> bool:
        return not self.lie

    @property
    def store(self) -> Store:
        """Returns the store of this life; a `MemoryStore` in its place answers the same questions."""
        assert self.opened is not None
        return self.opened.store

    @property
    def doubted_until(self) -> float:
        """Returns until when nothing expires here by a clock that was set (`daemon.clock`)."""
        return 0.0 if self.driver is None else self.driver.clock._doubted_until
