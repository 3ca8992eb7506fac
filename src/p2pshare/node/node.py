"""The parts of one partner's node, put together. The rooms above are handed a Node; it has no behaviour."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Protocol

from msgspec import Struct

from p2pshare.audit_log import AuditReading
from p2pshare.config import RULE_STATUSES, Config, load_config
from p2pshare.database.settings import Setting
from p2pshare.envelope.card import Card
from p2pshare.envelope.keys import Identity
from p2pshare.identifiers import CircleId, PartnerId
from p2pshare.limits import MIB
from p2pshare.node.ground import REAL_GROUND, NodeGround
from p2pshare.node.home import CARD_FILE_NAME, CONFIG_NAME, KEY_FILE_NAME, STORE_NAME, WARNING_INDEX_NAME
from p2pshare.node.keyfile import KeyMaterial, identity_of, read_all_keys
from p2pshare.node.store import Store, StoreReading, open_store
from p2pshare.policy.gate import Exit, GateSettings, strictest
from p2pshare.warninglists.warning_index import WarningIndex, WarningReading, open_warning_index

KeyReader = Callable[[Path], KeyMaterial]
"""Opens the key file at a path: with the root keys, without them, or in a process of its own."""
WATCH_DAYS = Setting("incident_watch_days", int)
"""The watch days of the configuration's section `[incidents]`, for who reads the store beside the daemon."""

SIEM_STATUS_MIN = Setting("lab_siem_status_min", int)
"""The place among the statuses of `siem_status_min` in the section `[lab]`, for the view of rules: without it none of a lab is shown."""

Progress = Callable[[str, int, int], None]
"""Called with (what, done, of) while something takes long; `of` is 0 where the end is not known."""


@dataclass(frozen=True)
class LinkState:
    """The running daemon's view of one link: a state word, how many envelopes wait for it, why our last request there
    failed (empty when it did not), counts of what was noted about the partner since the daemon's start, by reason; by how many seconds
    its clock is ahead of ours (None: not heard yet), and how many circles it carries on this link that we do not."""

    state: str
    backlog: int = 0
    last_error: str = ""
    noted: Mapping[str, int] = field(default_factory=dict)
    clock_offset: int | None = None
    foreign_circles: int = 0


class Door(Struct, frozen=True, forbid_unknown_fields=True):
    """Counts of the listener for partners since the daemon's start; refused handshakes by reason, guests by what came of them."""

    requests_seen: int
    handshakes_refused: dict[str, int]
    guests: dict[str, int] = {}


class WriterTimes(Struct, frozen=True, forbid_unknown_fields=True):
    """How long calls held the store's writer since the daemon's start: the longest and what it was, how many were above the
    limit, and the longest round trip of a ping, which waits for the calls before it."""

    longest_seconds: float = 0.0
    longest_call: str = ""
    over_limit: int = 0
    longest_ping_seconds: float = 0.0


class DialledBack(Struct, frozen=True, forbid_unknown_fields=True):
    """What one partner said when it was asked to dial us: of each address on the version of our card that it knows, `reached` or a
    reason code. `fault` is why it did not say anything, else empty."""

    partner: str
    card_version: int = 0
    outcomes: tuple[str, ...] = ()
    fault: str = ""


@dataclass(frozen=True)
class Live:
    """The part of a node that only its running daemon knows. `ask_dial_back` asks partners to dial us, and waits for what they say: for
    up to a minute, in a thread that is not the event loop's; it may raise StoreError."""

    links: Mapping[PartnerId, LinkState]
    door: Door
    writer: WriterTimes = WriterTimes()  # noqa: RUF009 - it is frozen
    fetch_introductions: Callable[[PartnerId, CircleId, Progress], bytes] | None = None
    """Fetches the newest member list of a linked partner in a circle, with the cards of those on it that are no partners here; for
    any thread but the event loop's. Raises ShareError."""
    ask_dial_back: Callable[[], list[DialledBack]] = list


class NodeReading(Protocol):
    """A node for queries: all that is held and configured, and our public card. No key, and nothing that writes."""

    @property
    def audit(self) -> AuditReading: ...
    @property
    def config(self) -> Config: ...
    @property
    def card(self) -> Card: ...
    @property
    def store(self) -> StoreReading: ...
    @property
    def warning_index(self) -> WarningReading | None: ...
    @property
    def live(self) -> Live | None: ...


@dataclass(eq=False)
class Node:
    """The parts that the rooms above need: home folder, configuration, our identity with its keys, and the store.

    Everybody in a process has the same one. In a daemon's life the configuration is read again, and a new card gives another
    identity: whoever works with it asks for it each time. Only the writer thread replaces the identity, so that nothing is
    sealed half with one and half with the other.
    """

    home: Path
    config: Config
    identity: Identity
    store: Store
    warning_index: WarningIndex | None = None
    """None in the simulator, whose envelopes hold nothing that a list could know."""
    live: Live | None = None
    """None where no daemon runs."""
    preparing: dict[str, Any] = field(default_factory=dict)
    """Publications whose parts are still coming, by token: what `operations.publishing` keeps between two messages."""
    spaces: Any = None
    """Our spaces with their folds, and how their entries travel: `spaces.space_exchange` keeps them from the first use on."""
    space_exchange: Any = None
    ground: NodeGround = REAL_GROUND
    """The realm in which this node works; it is the one object that carries it."""
    carrier: Node | None = None
    """Of an exercise's node: the real one, which seals and carries for it."""
    outlet: Any = None
    """Where what is published, seen or withdrawn here goes (`sharing.outlet.outlet_of`)."""
    exercises: Any = None
    """Of the real node: the exercises that are held here (`spaces.exercise_grounds.exercises_of`)."""

    @property
    def card(self) -> Card:
        return self.identity.card

    @property
    def audit(self) -> AuditReading:
        return AuditReading(self.home)


def open_node(home: Path, read_keys: KeyReader = read_all_keys) -> Node:
    """Open the node in `home` for writing; the caller holds the home lock.

    A key file with a passphrase takes it from where `keyfile.find_passphrase` looks. Raises ConfigError, KeyFileError,
    StoreError, each with its hint.
    """
    config = load_config(home / CONFIG_NAME)
    identity = identity_of(read_keys(home / KEY_FILE_NAME), home / KEY_FILE_NAME, home / CARD_FILE_NAME)
    store = open_store(
        home / STORE_NAME,
        free_space_bytes_min=config.free_space_bytes_min,
        cache_bytes=config.store.cache_mib * MIB,
    )
    try:
        warning_index = open_warning_index(
            home / WARNING_INDEX_NAME, free_space_bytes_min=config.free_space_bytes_min
        )
    except BaseException:
        store.close()
        raise
    node = Node(home, config, identity, store, warning_index)
    note_config(node)
    return node


def key_path(node: Node) -> Path:
    return node.home / KEY_FILE_NAME


def card_path(node: Node) -> Path:
    return node.home / CARD_FILE_NAME


def note_config(node: Node) -> None:
    """Tell the store what it must know of configuration and card: our name, the strictest TLP that a SIEM may get, how many
    organisations make a false positive, how many bytes of one author are carried, how far a rule must have come for a SIEM, and which of our
    keys are revoked."""
    own = node.identity.partner_id
    # nothing is written where nothing changed: a full disk must not keep anybody from looking
    if node.store.partners.names().get(own) != node.config.name:
        node.store.partners.put_own(own, node.config.name)
    node.store.knowledge.set_siem_tlp_max(strictest(Exit.SIEM, gate_settings(node.config)))
    node.store.knowledge.set_false_positive_reports(node.config.lifecycle.false_positive_reports)
    node.store.log.set_quota(node.config.limits.author_mib * MIB)
    if node.store.database.setting(WATCH_DAYS) != node.config.incidents.watch_days:
        node.store.database.put_setting(WATCH_DAYS, node.config.incidents.watch_days)
    status_min = RULE_STATUSES.index(node.config.lab.siem_status_min)
    if node.store.database.setting(SIEM_STATUS_MIN) != status_min:
        node.store.database.put_setting(SIEM_STATUS_MIN, status_min)
    node.store.log.distrust_keys([one.key_id for one in node.card.revoked])


def gate_settings(config: Config) -> GateSettings:
    """Returns the operator's opt-ins, as the gate (`policy.gate`) takes them."""
    return GateSettings(siem_red=config.policy.siem_red, relay_strict=config.policy.relay_strict)


def close_node(node: Node) -> None:
    """Checkpoint and close the store, the files of exercises and the index of warning lists."""
    if node.exercises is not None:
        node.exercises.close()
    if node.warning_index is not None:
        node.warning_index.close()
    node.store.close()
