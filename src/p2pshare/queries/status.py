"""Status: one screen that says who we are, which partners we hear, what we hold and what was refused."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence

from msgspec import UNSET, Struct, UnsetType, structs

from p2pshare.gossip.states import State
from p2pshare.identifiers import CircleId, PartnerId
from p2pshare.intel.instants import format_instant
from p2pshare.node.node import Door, LinkState, NodeReading, WriterTimes
from p2pshare.node.store import StoreReading
from p2pshare.partners.interface import ClosedDoor
from p2pshare.partners.roster import RosterEntry
from p2pshare.queries.alarms import ALARMS, Alarm, AlarmFunction, alarms
from p2pshare.queries.consumer_states import ConsumerState, consumer_states
from p2pshare.sharing.forwarding import HandingOn, handing_on
from p2pshare.sharing.own_card import ends_of
from p2pshare.sharing.partners import PartnerSummary, describe, load_roster
from p2pshare.sharing.staging import UnderWay, under_way

DAY_SECONDS = 86_400
WITHDRAWN_BESIDE_MAX = 100  # told on one screen; the next ones follow when these were looked at
KEYS_WARNING_DAYS = 30  # time to agree on new cards with partners who answer once a week


NO_LINK = LinkState("")
OPEN_DOOR = ClosedDoor("", 0)
UNREACHED = (State.WAITING.value, State.GREETING.value)


class PartnerStatus(PartnerSummary, frozen=True, kw_only=True):
    """A partner with the state of its link: `stopped` while no daemon runs, `not-accepted-yet`, `removed-by-partner` or
    `other-certificate` where its server does not let us in. `carried_bytes` of its envelopes are on the disk, in
    all circles, and what was read of them counts for `cost_bytes` (`policy.content_cost`). `knocked`: when we last knocked at its
    door because it does not let us in, and `knock` what came of it; None and empty while it does."""

    state: str
    last_exchange: str | None
    circles: list[str]
    backlog: int
    last_error: str
    noted: dict[str, int]
    carried_bytes: int
    cost_bytes: int
    knocked: str | None = None
    knock: str = ""
    door: str = ""
    """Why its server does not let us in (`partners.interface`), empty where it does."""
    distrusted: str | None = None
    """Since when what it says is out of effect here by a person's word; None where it is not."""
    clock_offset: int | None = None
    """By how many seconds its clock was ahead of ours in its last hello; None while no daemon runs."""
    foreign_circles: int = 0


class EnvelopeStatus(Struct, frozen=True, forbid_unknown_fields=True):
    """All envelopes, those read here, those not read yet, those only carried, our own that no partner has taken yet, and those
    of the unread whose author has filled its room."""

    held: int
    opened: int
    unread: int
    relayed: int
    pending: int
    no_room: int


class WithdrawnBeside(Struct, frozen=True, forbid_unknown_fields=True):
    """An object that its author took back, beside which our own finding `own_id` stands; `reason` None: none was given."""

    author: str
    object_id: str
    own_id: str
    reason: str | None
    replaced_by: str | None
    received_at: str | None


class DiskStatus(Struct, frozen=True, forbid_unknown_fields=True):
    """What the store takes of the disk, its log included, and what is free beside it; and the most that one author's envelopes
    may count for in a circle, carried and read."""

    store_bytes: int
    free_bytes: int
    author_bytes_max: int


class SpaceInvitation(Struct, frozen=True, forbid_unknown_fields=True):
    """A space into which we are invited and which we have not answered. `title` and `kind` are empty while its opening is not here."""

    space: str
    invited_by: str
    kind: str
    title: str
    since: str | None


class SpacesStatus(Struct, frozen=True, forbid_unknown_fields=True):
    """The spaces of this node: how many are held, the ids of those without one lead and of those in which we may vote, how many
    entries wait for others or for cards, and the members that are cut off from us, by the id of the space."""

    held: int = 0
    invitations: list[SpaceInvitation] = []
    contested: list[str] = []
    votes: list[str] = []
    waiting: int = 0
    cut_off: dict[str, list[str]] = {}


NO_SPACES = SpacesStatus()


class PendingStatus(Struct, frozen=True, forbid_unknown_fields=True):
    """How many wait for a person's yes to be partners, and how many got it and have not sent their cards; how many stand on member lists
    of partners and were never accepted here."""

    waiting: int
    accepted: int
    introduced: int = 0


NOBODY_PENDING = PendingStatus(0, 0)


class NodeStatus(Struct, frozen=True, forbid_unknown_fields=True):
    """One screen about this node. `observables` by type, `refused` by reason."""

    partner_id: str
    name: str
    running: bool
    partners: list[PartnerStatus]
    envelopes: EnvelopeStatus
    disk: DiskStatus
    observables: dict[str, int]
    refused: dict[str, int]
    forks: int
    keys_expire: str | None
    warnings: list[str]
    alarms: list[Alarm]
    withdrawn_beside: list[WithdrawnBeside]
    """The newest WITHDRAWN_BESIDE_MAX."""
    door: Door | UnsetType = UNSET
    """Set while the daemon runs."""
    writer: WriterTimes | UnsetType = UNSET
    """Set while the daemon runs."""
    publishing: list[UnderWay] = []
    """Publications on their way out, and those that were given up and nobody was told of."""
    handing_on: list[HandingOn] = []
    """Histories of others that are being handed on."""
    spaces: SpacesStatus = NO_SPACES
    consumers: list[ConsumerState] = []
    """Who follows the change feed under a name."""
    pending_partners: PendingStatus = NOBODY_PENDING


def partner_rows(node: NodeReading, now: int) -> list[PartnerStatus]:
    """Returns the partners with the state of their links at `now` (unix seconds), in alias order."""
    links = {} if node.live is None else node.live.links
    exchanges = node.store.partners.last_exchanges()
    doors = node.store.partners.closed_doors()
    distrusted = {
        one: format_instant(_to_us(how.since))
        for one, how in node.store.partners.distrusts().items()
        if how.is_out
    }
    circles = {row.partner_id: list(row.circles) for row in node.store.partners.all()}
    carried, costs = _by_author(node.store.log.carried()), _by_author(node.store.log.costs())
    return [
        PartnerStatus(
            **structs.asdict(describe(entry)),
            state=_state_word(entry, links, door, now),
            last_exchange=format_instant(_to_us(exchanges.get(entry.partner_id))),
            circles=circles.get(entry.partner_id, []) if entry.has_link else [],
            backlog=link.backlog,
            last_error=link.last_error,
            noted=dict(sorted(link.noted.items())),
            carried_bytes=carried[entry.partner_id],
            cost_bytes=costs[entry.partner_id],
            knocked=format_instant(_to_us(door.knocked_at or None)),
            knock=door.outcome,
            door=door.reason,
            distrusted=distrusted.get(entry.partner_id),
            clock_offset=link.clock_offset,
            foreign_circles=link.foreign_circles,
        )
        for entry in load_roster(node)
        for link in (links.get(entry.partner_id, NO_LINK),)
        for door in (doors.get(entry.partner_id, OPEN_DOOR),)
    ]


def _by_author(sizes: Mapping[tuple[PartnerId, CircleId], int]) -> Counter[PartnerId]:
    """Returns the bytes of each author in all circles together."""
    total: Counter[PartnerId] = Counter()
    for (author, _), size in sizes.items():
        total[author] += size
    return total


def _state_word(entry: RosterEntry, links: Mapping[PartnerId, LinkState], door: ClosedDoor, now: int) -> str:
    """Returns the state of a link in a word. A closed door says more than that the next try of a link waits."""
    if entry.is_frozen:
        return "frozen"
    if entry.is_suspended(now):
        return "suspended"
    if not entry.is_usable(now):
        return "card-expired"
    if not entry.has_link:
        return "no-link"
    if entry.partner_id not in links:
        return "stopped"
    state = links[entry.partner_id].state
    return door.reason if door.reason and state in UNREACHED else state


def _to_us(seconds: int | None) -> int | None:
    return None if seconds is None else seconds * 1_000_000


def status(
    node: NodeReading,
    now: int,
    alarm_functions: Sequence[AlarmFunction] = ALARMS,
    *,
    spaces: SpacesStatus = NO_SPACES,
    pending_partners: PendingStatus = NOBODY_PENDING,
) -> NodeStatus:
    """Returns one screen about this node; `alarm_functions` are those of this room and of rooms above it, `spaces` and
    `pending_partners` are found out above."""
    store = node.store
    counts = store.log.counts()
    keys_expire = ends_of(node.card)
    is_running = node.live is not None
    return NodeStatus(
        partner_id=node.card.partner_id.text,
        name=node.config.name,
        running=is_running,
        partners=partner_rows(node, now),
        envelopes=EnvelopeStatus(
            counts.held, counts.opened, counts.unread, counts.relayed, counts.pending, counts.no_room
        ),
        disk=DiskStatus(*store.database.disk_bytes(), store.log.quota_bytes()),
        observables=dict(sorted(store.knowledge.observable_counts().items())),
        refused=dict(sorted(store.partners.refusals().items())),
        forks=store.log.fork_count() + store.knowledge.fork_count() + store.partners.fork_count(),
        keys_expire=format_instant(_to_us(keys_expire)),
        warnings=_warnings(keys_expire, now),
        alarms=alarms(store, node.card, is_running=is_running, now=now, functions=alarm_functions),
        withdrawn_beside=_withdrawn_beside(store),
        door=UNSET if node.live is None else node.live.door,
        writer=UNSET if node.live is None else node.live.writer,
        publishing=under_way(store),
        handing_on=handing_on(store),
        spaces=spaces,
        consumers=consumer_states(store.knowledge),
        pending_partners=pending_partners,
    )


def _withdrawn_beside(store: StoreReading) -> list[WithdrawnBeside]:
    names = store.partners.names()
    return [
        WithdrawnBeside(
            author=names.get(one.author, one.author.text),
            object_id=one.object_id,
            own_id=one.own_id,
            reason=None if one.reason is None else one.reason.value,
            replaced_by=one.replaced_by,
            received_at=format_instant(_to_us(one.received_at)),
        )
        for one in store.knowledge.findings_withdrawn(WITHDRAWN_BESIDE_MAX)
    ]


def _warnings(keys_expire: int, now: int) -> list[str]:
    """Returns warnings about what will stop working soon, in words for a person."""
    left_days = (keys_expire - now) // DAY_SECONDS
    warnings = []
    if left_days < KEYS_WARNING_DAYS:
        warnings.append(
            f"the operational keys on the card end in {max(left_days, 0)} days; then partners refuse this node"
        )
    return warnings
