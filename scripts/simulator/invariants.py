"""Invariants that hold after every run, each a function of a world that has come to rest. None is ever relaxed for a seed.

A function returns what speaks against it, in words; an empty list means that it holds.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from types import MappingProxyType

from p2pshare.envelope.card import Card
from p2pshare.envelope.envelope import DecodedEnvelope, Mode, decode_envelope
from p2pshare.envelope.verification import signing_key, verify_signatures
from p2pshare.errors import PeerError
from p2pshare.gossip.states import State
from p2pshare.identifiers import PartnerId
from p2pshare.limits import (
    ARRIVALS_KEPT_MAX,
    ASIDE_MAX,
    FIRST_HOPS_MAX,
    PUSHES_WAITING_PER_PEER_MAX,
    UNAVAILABLE_PER_LINK_MAX,
    WANT_ENTRIES_MAX,
)
from p2pshare.log.interface import EnvelopeEntry
from simulator.contents import VALUES, is_active_at
from simulator.world import ALL, World

SPARE_BODIES_EXCUSED = 4  # a run is short: so many more than the scenario's ratio say nothing
REQUESTS_PER_MINUTE_MAX = 0.6  # a link at rest: a hello in five minutes, by one or by both
POLLS_PER_MINUTE_MAX = 2.4  # and where somebody can only dial out, a question that waits 30 s for news

TABLES: Mapping[str, int] = MappingProxyType(
    {
        "want": WANT_ENTRIES_MAX,
        "arrivals": ARRIVALS_KEPT_MAX,
        "first_hops": FIRST_HOPS_MAX,
        "aside": ASIDE_MAX,
        "unavailable": UNAVAILABLE_PER_LINK_MAX,
        "declined": UNAVAILABLE_PER_LINK_MAX,
        "pushes": 2 * PUSHES_WAITING_PER_PEER_MAX,
        "expected": WANT_ENTRIES_MAX,
    }
)


def nothing_leaks(world: World) -> list[str]:
    """Check that no message carries an id or a body outside what the link may carry; a direct one goes to its recipients."""
    return world.oracle.complaints.get("nothing_leaks", [])


def only_held_is_announced(world: World) -> list[str]:
    """Check that nobody names an id to others before its envelope is committed here."""
    return world.oracle.complaints.get("only_held_is_announced", [])


def only_verified_is_held(world: World) -> list[str]:
    """Check that every envelope in a store was signed by its author, byte for byte as it is there, and is filed as it says."""
    found = list(world.oracle.complaints.get("only_verified_is_held", []))
    cards = {node.partner_id: node.identity.card for node in world.simulated_nodes}
    for node in world.honest:
        for entry in node.store.log.entries(0, ALL):
            wire, known = (
                node.store.log.wire(entry.envelope_id),
                world.oracle.published.get(entry.envelope_id),
            )
            signed = known.envelope if known is not None and known.envelope.wire == wire else None
            if not _is_genuine(signed, wire, entry, cards):
                found.append(f"{node.name} holds {entry.envelope_id.short}, which nobody signed like that")
    return found


def _is_genuine(
    decoded: DecodedEnvelope | None,
    wire: bytes | None,
    entry: EnvelopeEntry,
    cards: Mapping[PartnerId, Card],
) -> bool:
    """Returns whether it is filed as it says; `decoded`: what its author signed, where it has the same bytes."""
    if wire is None:
        return False
    try:
        if decoded is None:
            decoded = decode_envelope(wire)
            # by a key that was revoked since, too: what is asked here is who signed it
            verify_signatures(decoded, signing_key(decoded.core, cards[decoded.core.author], is_vouched=True))
    except (PeerError, KeyError):
        return False
    core = decoded.core
    signed = (decoded.envelope_id, core.author, core.circle, core.mode, core.created, core.expires)
    return signed == (
        entry.envelope_id,
        entry.author,
        entry.circle,
        entry.mode,
        entry.created,
        entry.expires,
    )


def only_due_is_held(world: World) -> list[str]:
    """Check that nobody holds a direct envelope of which it is neither author nor recipient, nor a circle it has no part
    in."""
    found = []
    for node in world.honest:
        circles = frozenset[bytes]().union(*world.circles_ever[node.partner_id])
        for entry in node.store.log.entries(0, ALL):
            known = world.oracle.published.get(entry.envelope_id)
            direct_to = known.direct_to if known is not None else ()
            is_ours = entry.is_own or node.partner_id in direct_to
            if not is_ours and (entry.mode == Mode.DIRECT or entry.circle not in circles):
                found.append(f"{node.name} holds {entry.envelope_id.short}, which is not for it")
    return found


def all_is_everywhere(world: World) -> list[str]:
    """Check that each honest partner of a connected circle holds each unexpired envelope of it, in bounded time after the
    faults."""
    missing = world.missing()
    if not missing and world.settled_after is None:
        return ["it took longer than the scenario allows"]
    return missing


def newest_cards_are_everywhere(world: World) -> list[str]:
    """Check that a new card, and what its owner vouches for under a key that it revokes, reaches every honest partner that a circle
    links with the owner, in bounded time after the faults."""
    return world.missing_cards()


def what_is_delivered_was_held(world: World) -> list[str]:
    """Check that nobody takes an envelope for delivered to a partner that never held it, nor for handed on unless somebody said
    so."""
    return world.oracle.complaints.get("what_is_delivered_was_held", [])


def the_index_is_whole(world: World) -> list[str]:
    """Check that each engine's index has the key of every relayed envelope that its store has seen, until an hour after it
    expired; asked several times in a run."""
    world.compare_indexes()
    return world.oracle.complaints.get("the_index_is_whole", [])


def all_spreads_in_time(world: World) -> list[str]:
    """Check that where no fault came between, everybody held what was published within the scenario's time."""
    return world.late()


def claims_hold_as_published(world: World) -> list[str]:
    """Check that a value is active where, and only where, somebody claims it who has not taken it back, as far as each partner
    holds what was said to it."""
    found = []
    for node in world.honest if world.scenario.content is not None else ():
        assert node.opened is not None
        held = node.store.log.is_seen(list(world.oracle.published))
        for value in VALUES:
            due = world.ledger.is_active(node.partner_id, value, held)
            is_active = is_active_at(node.opened, value, int(world.event_queue.now))
            if is_active != bool(due):
                found.append(f"{node.name} has {value} {'active' if is_active else 'inactive'}")
    return found


def each_is_stored_once(world: World) -> list[str]:
    """Check that an envelope that was stored, held or expired, is never stored again by the same store."""
    return world.oracle.complaints.get("each_is_stored_once", [])


def nothing_resurrects(world: World) -> list[str]:
    """Check that an expired envelope is taken from nobody and handed to nobody."""
    found = list(world.oracle.complaints.get("nothing_resurrects", []))
    for node in world.honest:
        for entry in node.store.log.entries(0, ALL):
            begins = max(entry.expires, node.started_at, node.doubted_until)
            if begins + 2 * world.scenario.sweep_seconds < world.event_queue.now:
                found.append(f"{node.name} still carries {entry.envelope_id.short}")
    return found


def acknowledged_is_durable(world: World) -> list[str]:
    """Check that a push that was acknowledged as held stays held, through every crash."""
    found = list(world.oracle.complaints.get("acknowledged_is_durable", []))
    for (holder, envelope_id), author in sorted(world.oracle.acks.items()):
        if not world.by_id[holder].store.log.is_seen([envelope_id]):
            known = world.oracle.published[envelope_id].envelope.core
            if known.expires > world.event_queue.now:
                found.append(
                    f"{world.by_id[holder].name} told {author.short} that it holds {envelope_id.short}"
                )
    return found


def deliveries_are_noted(world: World) -> list[str]:
    """Check that nobody waits for a partner's acknowledgement any more once all is everywhere."""
    found = []
    for node in world.honest:
        waiting = [
            entry.envelope_id
            for entry in node.store.log.first_hops()
            if len(world.reachable([node], entry.circle)) > 1  # else nobody may have it
        ]
        if waiting:
            found.append(f"{node.name} still waits for a first hop of {len(waiting)}")
        for peer in node.rows:
            other = world.by_id[peer]
            if other.is_honest and world.can_talk(node, other) and node.store.log.outbox(peer):
                found.append(f"{node.name} still has an outbox for {other.name}")
    return found


def nobody_honest_is_shut_out(world: World) -> list[str]:
    """Check that at peace every honest pair that has a link uses it: silence and slowness were no faults."""
    found = []
    for node in world.honest:
        for other in world.honest:
            if node is other or not world.can_talk(node, other) or node.driver is None:
                continue
            state = node.driver.engine.state(other.partner_id)
            if other.identity.card.urls and state is not State.CONNECTED:
                found.append(f"{node.name} is not connected with {other.name}: {state}")
    return found


def no_honest_author_forks(world: World) -> list[str]:
    """Check that nobody uses a number of its chain twice, whatever befell its disk."""
    return [
        f"{node.name} has proof against {fork.author.short}"
        for node in world.honest
        for fork in node.store.log.sequence_forks()
        if fork.author in world.oracle.honest
    ]


def quiet_is_quiet(world: World) -> list[str]:
    """Check that no body moves between honest partners, and few questions, when all is everywhere."""
    found = []
    if world.quiet.bodies:
        found.append(f"{world.quiet.bodies} bodies moved")
    allowed = REQUESTS_PER_MINUTE_MAX + (POLLS_PER_MINUTE_MAX if world.scenario.dial_only else 0)
    if world.quiet.requests_per_minute > allowed:
        found.append(f"{world.quiet.requests_per_minute:.1f} requests a minute and link")
    return found


def bodies_are_not_wasted(world: World) -> list[str]:
    """Check that between honest partners hardly a body comes where it is held already."""
    stored = world.oracle.stored_from_honest
    spare = world.oracle.spare_from_honest
    allowed = stored * (world.scenario.redundancy_max - 1) + SPARE_BODIES_EXCUSED
    return [f"{spare} bodies came in vain beside {stored}"] if spare > allowed else []


def tables_are_bounded(world: World) -> list[str]:
    """Check that no table of an engine outgrows its limit, now or at any look during the run."""
    return [
        f"{name} had {size} entries"
        for name, size in sorted(world.largest.items())
        if size > TABLES.get(name, size)
    ]


def turns_are_kept(world: World) -> list[str]:
    """Check that bodies of one partner are decided in order, and before one that has k of its own before it at most k + 1
    of another."""
    return world.oracle.complaints.get("turns_are_kept", [])


def room_is_kept(world: World) -> list[str]:
    """Check that no body is read for which intake has no room: the bytes that wait, of one partner and of all, are bounded."""
    found = []
    limits = world.scenario.intake
    for node in world.honest:
        line = world.oracle.lines.get(node.partner_id)
        if line is None:
            continue
        if line.most_of_one >= limits.waiting_bytes_per_partner:
            found.append(f"{node.name} reads on while {line.most_of_one} bytes of one partner wait")
        if line.most_of_all >= limits.waiting_bytes:
            found.append(f"{node.name} reads on while {line.most_of_all} bytes wait")
    return found


def all_is_accounted_for(world: World) -> list[str]:
    """Check that in = stored + held + deferred + refused (+ undecided for want of room), for the driver and for the store."""
    found = []
    for node in world.honest:
        account = world.oracle.account(node.partner_id)
        waiting = node.driver.waiting if node.driver is not None else 0
        if account.came != account.accounted + waiting:
            found.append(f"{node.name}: {account.came} bodies came, {account.accounted} are accounted for")
        rows = node.store.partners.accounts()
        for row in rows:
            decided = row.stored + row.already_held + row.deferred + sum(row.refused.values())
            if row.came_in != decided:
                found.append(f"{node.name}: {row.came_in} came from {row.partner.short}, {decided} decided")
        noted = sum(row.came_in for row in rows)
        under_way = (
            node.driver.unreported if node.driver is not None else 0
        )  # committed, and the commit takes its time
        decided = account.verdicts.total() + account.unreported + under_way
        if not node.is_set_back and noted != decided:
            found.append(f"{node.name}: {decided} were decided, the store noted {noted}")
    return found


INVARIANTS: Mapping[str, Callable[[World], list[str]]] = MappingProxyType(
    {
        one.__name__: one
        for one in (
            nothing_leaks,
            only_held_is_announced,
            only_verified_is_held,
            only_due_is_held,
            all_is_everywhere,
            newest_cards_are_everywhere,
            what_is_delivered_was_held,
            the_index_is_whole,
            all_spreads_in_time,
            claims_hold_as_published,
            each_is_stored_once,
            nothing_resurrects,
            acknowledged_is_durable,
            deliveries_are_noted,
            nobody_honest_is_shut_out,
            no_honest_author_forks,
            quiet_is_quiet,
            bodies_are_not_wasted,
            tables_are_bounded,
            turns_are_kept,
            room_is_kept,
            all_is_accounted_for,
        )
    }
)
