"""Distrusting a partner: what it says is out of effect here, by a person's word, and comes back by another.

1. What it said goes out of effect as what a thief said does (`knowledge.out_of_effect`): claims, withdrawals, sightings, false positives,
   opinions and proposals; nothing is deleted. The change feed says `remove`, and `add` when it is believed again.
2. What comes of it meanwhile is verified, carried and handed on like anybody's, and waits unread. What it writes in spaces is read, and
   its votes there count: those who write together see one space.
3. The link stays, and it stays a recipient. Who shall have no link and read nothing more is removed (`partner remove`), before or after.
4. It is done an envelope, or a part of a large one, at a time, from a place that the store keeps: a crash loses nothing. The command
   takes the steps; the daemon's sweep goes on where one was interrupted. In the writer thread.
5. Who is trusted again while it is no partner: what was read counts again, what waits waits on, for only what a partner sealed is read. It
   is when that one is added (`Partners.put`), as the store keeps in mind (`is_out` False at its end).
"""

from __future__ import annotations

from collections.abc import Iterator

from msgspec import Struct, structs

from p2pshare.errors import AuthorError, NotFoundError
from p2pshare.identifiers import PartnerId
from p2pshare.intel.instants import SECOND_US, format_instant
from p2pshare.knowledge.out_of_effect import ContentPlace
from p2pshare.log.envelope_log import AUTHORED_AT_ONCE, LOOKED_AT_ONCE
from p2pshare.log.interface import ContentState
from p2pshare.node.node import Node, NodeReading
from p2pshare.partners.interface import Distrust
from p2pshare.partners.notices import ENDED
from p2pshare.sharing.partners import load_roster


class DistrustedPartner(Struct, frozen=True, forbid_unknown_fields=True):
    """A partner, present or past, that is not believed, or is again; `since` when the former was said."""

    alias: str
    partner_id: str
    distrusted: bool
    since: str | None


def distrust(node: Node, name: str, now: int) -> PartnerId:
    """Begin to take what this partner says out of effect, at `now` (unix seconds); returns whose it is. Raises NotFoundError, AuthorError."""
    partner_id = _named(node, name)
    how = node.store.partners.distrusts().get(partner_id)
    if how is None or not how.is_out:
        node.store.partners.put_distrust(partner_id, Distrust(now))
    return partner_id


def trust(node: Node, name: str) -> PartnerId:
    """Begin to bring back what this partner says; returns whose it is. Raises NotFoundError."""
    partner_id = _named(node, name)
    how = node.store.partners.distrusts().get(partner_id)
    if how is None or (not how.is_out and how.place == ENDED):
        raise NotFoundError(
            f"'{name}' is believed already",
            hint="`p2pshare partner list` says who is not",
            reason="not-distrusted",
        )
    if how.is_out:
        node.store.partners.put_distrust(partner_id, Distrust(how.since, is_out=False))
    return partner_id


def steps(node: Node, partner_id: PartnerId, now: int) -> Iterator[None]:
    """Take the steps that are left, one each time."""
    while _is_under_way(node, partner_id):
        step(node, now)
        yield
    while node.store.knowledge.go_on(
        now
    ):  # what it said about others' objects leaves the sums, or comes back
        yield


def described(node: NodeReading, partner_id: PartnerId) -> DistrustedPartner:
    how = node.store.partners.distrusts().get(partner_id)
    is_out = how is not None and how.is_out
    entry = load_roster(node).get(partner_id)
    alias = entry.alias if entry is not None else node.store.partners.names().get(partner_id, "")
    since = format_instant(how.since * SECOND_US) if how is not None and is_out else None
    return DistrustedPartner(alias, partner_id.text, is_out, since)


def step(node: Node, now: int) -> bool:
    """Take one step at `now` (unix seconds) for any partner; returns whether there was one. Raises StoreError, with nothing of the
    step kept."""
    under_way = ((one, how) for one, how in node.store.partners.distrusts().items() if how.place != ENDED)
    for partner_id, how in under_way:
        _step(node, partner_id, how, now)
        return True
    return False


def _step(node: Node, partner_id: PartnerId, how: Distrust, now: int) -> None:
    store = node.store
    is_partner = load_roster(node).get(partner_id) is not None
    with store.transaction():
        held = store.log.of_author(partner_id, how.place)
        frame, position = how.frame, how.position
        for one in held:
            if not how.is_out and is_partner:
                store.log.read_later([one.lsn] if one.content is ContentState.DISTRUSTED else [])
            if how.is_out or one.is_in_effect:
                begin = ContentPlace(frame, position)
                place = store.knowledge.set_out(one.lsn, one.author, begin, now, is_out=how.is_out)
                if place is not None:
                    there = structs.replace(
                        how, place=one.lsn - 1, frame=place.frame, position=place.position
                    )
                    store.partners.put_distrust(partner_id, there)
                    return
            frame = position = 0
        end = held[-1].lsn if len(held) == AUTHORED_AT_ONCE else how.place + LOOKED_AT_ONCE
        if end < store.log.last_lsn():
            store.partners.put_distrust(partner_id, structs.replace(how, place=end, frame=0, position=0))
        elif how.is_out or not is_partner:
            store.partners.put_distrust(partner_id, Distrust(how.since, is_out=how.is_out, place=ENDED))
        else:
            store.partners.put_distrust(partner_id, None)


def _is_under_way(node: NodeReading, partner_id: PartnerId) -> bool:
    how = node.store.partners.distrusts().get(partner_id)
    return how is not None and how.place != ENDED


def _named(node: NodeReading, name: str) -> PartnerId:
    """Returns the partner, present or past, with this alias or id. Raises NotFoundError, AuthorError for ourselves."""
    entry = load_roster(node).by_name(name)
    found = entry.partner_id if entry is not None else None
    if found is None:
        past = [one for one, alias in node.store.partners.names().items() if name in (alias, one.text)]
        found = past[0] if len(past) == 1 else None
    if found is None:
        raise NotFoundError(f"no partner is or was called '{name}'", hint="see `p2pshare partner list`")
    if found == node.card.partner_id:
        raise AuthorError(
            "that is this node itself",
            hint="`p2pshare withdraw` takes back what it said",
            reason="own-claims",
        )
    return found
