"""Revoking: what follows here from a card that revokes a key (docs/card.md, "Revocation").

What is held under the key is looked at once the revocation is known, again for each page that comes, and again when the day is
over in which pages may come. `step` does that an envelope, or a part of its content, at a time, from a place that the store
keeps: a crash loses nothing, and nobody waits for all of it. In the writer thread.
"""

from __future__ import annotations

import logging
from dataclasses import dataclass

from p2pshare.envelope.card import Card
from p2pshare.envelope.envelope import Core, Mode
from p2pshare.identifiers import CircleId, EnvelopeId, PartnerId
from p2pshare.knowledge.out_of_effect import ContentPlace
from p2pshare.log.envelope_log import KEYED_AT_ONCE, LOOKED_AT_ONCE
from p2pshare.log.interface import KeyedEnvelope
from p2pshare.node.node import Node
from p2pshare.partners.notices import ENDED, RevocationRow
from p2pshare.policy.vouching import PAGES_SECONDS, KnownRevocation, is_in_effect
from p2pshare.sharing.notices import hold_own_pages
from p2pshare.sharing.partners import load_roster

ENVELOPES_A_STEP = 64  # that change without any content of theirs: a transaction of some 20 ms

logger = logging.getLogger(__name__)


@dataclass(frozen=True)
class RevocationStep:
    """What one step changed: envelopes that went out of effect, those that came back, and whether more is to be done."""

    gone: tuple[EnvelopeId, ...] = ()
    back: tuple[EnvelopeId, ...] = ()
    is_more_due: bool = False


def step(node: Node, now: int, earliest: int | None = None) -> RevocationStep:
    """Take one step at `now` (unix seconds); pages are late that are so at `earliest`, too, where the clock is in doubt. Raises
    StoreError, with nothing of the step kept."""
    _note(node, now)
    for row in node.store.notices.revocations():
        if not row.is_late and min(now, earliest or now) >= row.noted_at + PAGES_SECONDS:
            node.store.notices.look_again(row.author, row.key_id, is_late=True)
            return RevocationStep(is_more_due=True)
        if row.place != ENDED:
            return _look_on(node, row, now)
    # what a thief said about others' objects leaves the sums after its envelopes are out
    return RevocationStep(is_more_due=node.store.knowledge.go_on(now))


def _note(node: Node, now: int) -> None:
    """Note the revocations on the newest cards that are new, or have another root."""
    if node.card.revoked:
        hold_own_pages(node)  # or ours would be out before the list of what we stand for is looked at
    known = {(row.author, row.key_id): (row.since, row.root) for row in node.store.notices.revocations()}
    for card in (node.card, *(entry.card for entry in load_roster(node))):
        for one in card.revoked:
            if known.get((card.partner_id, one.key_id)) != (one.since, one.vouch_root):
                place = (card.partner_id, one.key_id)
                node.store.notices.note_revocation(*place, one.since, one.vouch_root, now)


def _look_on(node: Node, row: RevocationRow, now: int) -> RevocationStep:
    store = node.store
    with store.transaction():
        held = store.log.under_key(row.author, row.key_id, row.place)
        distrust = store.partners.distrusts().get(row.author)
        stays_out = distrust is not None and distrust.is_out
        """Of content that comes back: a person does not believe its author (`sharing.distrusting`)."""
        listed = store.notices.is_vouched(row.author, row.key_id, [one.envelope_id for one in held])
        gone: list[EnvelopeId] = []
        back: list[EnvelopeId] = []
        frame, position = row.frame, row.position
        for one in held:
            is_out = not _is_in_effect(node, row, one, now, is_listed=one.envelope_id in listed)
            if one.is_out is is_out:
                continue
            if is_out:
                gone.append(one.envelope_id)
            begin = ContentPlace(frame, position) if one.is_out is None else ContentPlace(0, 0)
            place = (
                None
                if stays_out and not is_out
                else store.knowledge.set_out(one.lsn, one.author, begin, now, is_out=is_out)
            )
            if place is not None:
                store.log.set_out(one.lsn, None)
                store.notices.put_place(row, one.lsn - 1, *place)
                return RevocationStep(tuple(gone), tuple(back), is_more_due=True)
            store.log.set_out(one.lsn, is_out)
            if not is_out and one.is_carried:
                back.append(one.envelope_id)
            frame = position = 0
            if len(gone) + len(back) >= ENVELOPES_A_STEP:
                store.notices.put_place(row, one.lsn)
                return RevocationStep(tuple(gone), tuple(back), is_more_due=True)
        end = held[-1].lsn if len(held) == KEYED_AT_ONCE else row.place + LOOKED_AT_ONCE
        is_at_end = end >= store.log.last_lsn()
        is_trimmed = is_at_end and not store.log.trim_evidence(row.author)
        store.notices.put_place(row, ENDED if is_trimmed else min(end, store.log.last_lsn()))
        return RevocationStep(tuple(gone), tuple(back), is_more_due=True)


def _is_in_effect(node: Node, row: RevocationRow, one: KeyedEnvelope, now: int, *, is_listed: bool) -> bool:
    return is_in_effect(
        KnownRevocation(row.since, row.root, row.noted_at),
        now,
        created=one.created,
        received_at=one.received_at,
        has_expired=one.expires <= row.noted_at,
        is_listed=is_listed,
        has_all_pages=_has_all_pages(node, row, one.mode, one.circle),
    )


def _has_all_pages(node: Node, row: RevocationRow, mode: int, circle: CircleId) -> bool:
    own_id = node.identity.partner_id
    if row.author == own_id:  # a direct one of ours has a page for each recipient
        missing = node.store.notices.missing_pages()
        return (row.author, row.key_id) not in {(one.author, one.key_id) for one in missing}
    place = circle if mode == Mode.RELAY else CircleId.of_pair(own_id, row.author)
    return node.store.notices.has_all_pages(row.author, row.key_id, place)


def is_vouched(node: Node, core: Core, envelope_id: EnvelopeId, card: Card) -> bool:
    """Returns whether an envelope that comes in under a revoked key is listed by its author."""
    if card.revocation(core.key_id) is None:
        return False
    return bool(node.store.notices.is_vouched(core.author, core.key_id, [envelope_id]))


def is_read(node: Node, core: Core, envelope_id: EnvelopeId, card: Card, received_at: int, now: int) -> bool:
    """Returns whether the content of an envelope that is held, under a key that was revoked meanwhile, may be read at `now`."""
    revocation = card.revocation(core.key_id)
    if revocation is None or is_vouched(node, core, envelope_id, card):
        return True
    noted = _noted_at(node, core.author, core, now)
    row = RevocationRow(
        core.author, core.key_id, revocation.since, revocation.vouch_root, noted, False, 0, 0, 0
    )
    return is_in_effect(
        KnownRevocation(row.since, row.root, noted),
        now,
        created=core.created,
        received_at=received_at,
        has_expired=core.expires <= noted,
        is_listed=False,
        has_all_pages=_has_all_pages(node, row, int(core.mode), core.circle),
    )


def _noted_at(node: Node, author: PartnerId, core: Core, now: int) -> int:
    rows = node.store.notices.revocations()
    return next((row.noted_at for row in rows if (row.author, row.key_id) == (author, core.key_id)), now)
