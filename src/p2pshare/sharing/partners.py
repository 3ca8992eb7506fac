"""Partners: the cards we trust. Adding one needs its fingerprint, confirmed by another way than the card.

Every card in the store was accepted here by `envelope.card`, so reading the roster believes it again.
"""

from __future__ import annotations

import contextlib
import functools
import itertools
import re
from collections.abc import Collection
from dataclasses import replace

from msgspec import Struct, structs

from p2pshare.config import ALIAS_PATTERN
from p2pshare.envelope.card import (
    Card,
    CardFork,
    accept_first,
    accept_update,
    believe_chain,
    believe_stranger,
    decode_card,
    digest_of_version,
    fingerprint,
    news_in,
    parse_fingerprint,
    safety_number,
    split_versions,
)
from p2pshare.errors import AuthorError, NotFoundError, PeerError, RefusedError
from p2pshare.gossip.moment import Moment
from p2pshare.identifiers import CircleId, PartnerId
from p2pshare.intel.instants import SECOND_US, format_instant
from p2pshare.intel.marking import Tlp
from p2pshare.lookalikes import skeleton
from p2pshare.node.node import Node, NodeReading
from p2pshare.node.store import Store, StoreReading
from p2pshare.partners.interface import PartnerRow
from p2pshare.partners.roster import Roster, RosterEntry
from p2pshare.policy.audience import why_not_for


class HeldCard(Struct, frozen=True, forbid_unknown_fields=True):
    """The newest card file that is held of a partner."""

    card: bytes


class PartnerSummary(Struct, frozen=True, forbid_unknown_fields=True):
    """One partner, without the state of its link. `standing`: `compared` where a person compared its fingerprint; `introduced` by
    those in `introduced_by`; `suspended` where they do so no more, for the reason in `suspended`."""

    alias: str
    partner_id: str
    name: str
    url: str
    fingerprint: str
    card_version: int
    card_expires: str | None
    has_link: bool
    standing: str = "compared"
    introduced_by: list[str] = []
    suspended: str = ""


class AddedPartner(PartnerSummary, frozen=True, kw_only=True):
    """A partner that was just added, for the person who added it."""

    safety_number: str
    is_new: bool


_believed: dict[PartnerId, tuple[bytes, Card]] = {}
"""The newest chain of each partner, checked once a process. One each: a partner can make 256 of up to 4 MiB."""


def _stored_card(partner_id: PartnerId, raw: bytes) -> Card:
    """Returns a card from our own store: it was accepted before, so its expiry is not checked."""
    known = _believed.get(partner_id)
    if known is None or known[0] != raw:
        known = _believed[partner_id] = (raw, believe_chain(raw))
    return known[1]


def load_roster(node: NodeReading) -> Roster:
    """Returns the roster as the store has it now; cheap enough for every batch (cards are cached by their bytes)."""
    return Roster.of(node.card.partner_id, map(_entry_of, node.store.partners.all()), node.config.groups)


def _entry_of(row: PartnerRow) -> RosterEntry:
    return RosterEntry(
        partner_id=row.partner_id,
        alias=row.alias,
        card=_stored_card(row.partner_id, row.card),
        has_link=row.has_link and not row.suspended,  # its link rests
        circles=_circles_of(row.circles),
        is_frozen=row.is_frozen,
        is_compared=row.is_compared,
        introduced_by=row.introduced_by,
        introduced_until=row.introduced_until,
        suspended=row.suspended,
    )


@functools.lru_cache(maxsize=256)
def _circles_of(names: tuple[str, ...]) -> frozenset[CircleId]:
    """Returns the circles' ids, cached: most links carry the same few circles, and the roster is read for every batch."""
    return frozenset(map(CircleId.of, names))


def add_partner(
    node: Node, raw: bytes, *, confirmed_fingerprint: str, alias: str, has_link: bool, now: int
) -> AddedPartner:
    """Trust the card in `raw` because a person confirmed its fingerprint. `now` in unix seconds.

    Raises AuthorError (fingerprint unreadable, alias taken), PeerError (card malformed, expired or forged) and
    RefusedError (fingerprint of someone else; the card is our own). A newer card of a known partner updates it.
    """
    expected = parse_fingerprint(confirmed_fingerprint)
    card = accept_first(raw, now)
    if card.partner_id != expected:
        raise RefusedError(
            "the card does not belong to that fingerprint",
            hint="compare it with the partner over another channel than the one the card came by",
            reason="fingerprint-mismatch",
        )
    if card.partner_id == node.identity.partner_id:
        raise RefusedError(
            "that is your own card", hint="give it to your partners, and add theirs here", reason="own-card"
        )
    roster = load_roster(node)
    known = roster.get(card.partner_id)
    remembered = newest_card(node, card.partner_id)
    if remembered is not None:  # also of a partner once removed: its chain cannot start over
        try:
            card = accept_update(remembered, raw, now)
        except PeerError as error:
            if error.reason != "card-rollback":
                raise
            raise PeerError(
                f"{error.message}: version {card.version}, and {remembered.version} was known here before",
                hint="ask the partner for its newest card, which its `p2pshare card export` writes",
                reason=error.reason,
            ) from None
    chosen = _choose_alias(roster, card, alias or (known.alias if known else ""))
    row = PartnerRow(
        partner_id=card.partner_id,
        alias=chosen,
        card=card.raw,
        card_version=card.version,
        has_link=has_link,
        circles=node.config.gossip.circles,
        is_frozen=known.is_frozen if known else False,
        added_at=now,
    )
    with node.store.transaction():
        put_partner(node.store, row)
        if known is not None and not known.is_compared:  # whoever introduced it: a person has compared it now
            node.store.introductions.forget(card.partner_id)
            node.store.knowledge.recount_voices()
    return AddedPartner(
        **structs.asdict(describe(_entry_of(row))),
        safety_number=safety_number(node.identity.partner_id, card.partner_id),
        is_new=known is None,
    )


def put_partner(store: Store, row: PartnerRow) -> None:
    """Add or replace a partner, whose assessments count from now on; it waits for nothing any more."""
    with store.transaction():
        store.partners.put(row)
        store.pending.forget(row.partner_id)
        store.knowledge.recount_reports()


def drop_partner(store: Store, partner_id: PartnerId) -> None:
    """Remove the partner and its outbox; its assessments count no more, its envelopes stay."""
    with store.transaction(frees_space=True):
        store.partners.remove(partner_id)
        store.introductions.forget(partner_id)
        store.log.drop_outbox(partner_id)
        store.knowledge.drop_forwarding(partner_id)
        store.knowledge.recount_reports()


def freeze_partner(store: Store, partner_id: PartnerId, *, evidence: tuple[bytes, bytes], now: int) -> None:
    """Freeze a partner of which two cards of one version were seen: keep both as evidence, and count its assessments no
    more."""
    with store.transaction():
        store.partners.freeze(partner_id, evidence=evidence, now=now)
        store.knowledge.recount_reports()


def newest_card(node: NodeReading, partner_id: PartnerId) -> Card | None:
    """Returns the newest card ever accepted of this partner, present or past; None when there was none."""
    raw = node.store.partners.newest_card(partner_id)
    return None if raw is None else _stored_card(partner_id, raw)


def names_here(node: NodeReading, roster: Roster, *, but: PartnerId | None = None) -> set[str]:
    """Returns every name that a person here takes for somebody (else than `but`): partners of now and of before, whose values are still
    shown under it, ourselves, groups."""
    partners = {name for entry in roster for name in (entry.alias, entry.card.name)}
    former = {name for who, name in node.store.partners.names().items() if who != but}
    return partners | former | {node.config.name, node.card.name} | set(roster.groups)


def skeletons_taken(node: NodeReading, roster: Roster, *, but: PartnerId | None = None) -> set[str]:
    """Returns the skeletons that an alias which no person chose may not have: those of names here, and of who is named in a group, for
    it would be in that group."""
    grouped = {name for names in roster.groups.values() for name in names}
    return {skeleton(name) for name in names_here(node, roster, but=but) | grouped}


def alias_for(roster: Roster, card: Card, taken: Collection[str]) -> str:
    """Returns an alias that is made from the card's name, is free, and whose skeleton is none of `taken`: of a name in another script
    its Latin words alone are left, and those may be another's."""
    try:
        alias = _choose_alias(roster, card, "")
    except AuthorError:
        alias = ""
    return alias if skeleton(alias) not in {"", *taken} else f"partner-{card.partner_id.short}"


def _choose_alias(roster: Roster, card: Card, wanted: str) -> str:
    """Returns the wanted alias, or one made from the card's name. Raises AuthorError when unusable or taken."""
    alias = (
        wanted or re.sub(r"[^A-Za-z0-9._-]+", "-", card.name).strip("-._").lower() or card.partner_id.short
    )
    if not ALIAS_PATTERN.fullmatch(alias):
        raise AuthorError(
            f"'{alias}' is no usable alias", hint="letters, digits, dot, dash and underscore, at most 64"
        )
    holder = roster.by_name(alias)
    if (holder is not None and holder.partner_id != card.partner_id) or alias in roster.groups:
        raise AuthorError(
            f"the name '{alias}' is taken", hint="give another one with --alias", reason="alias-taken"
        )
    return alias


def rename_partner(node: Node, name: str, alias: str) -> RosterEntry:
    """Call a partner otherwise from now on, in all that a person and the SIEM read; nobody else hears of it.

    Raises NotFoundError, AuthorError (unusable or taken), RefusedError `alias-in-group` while a group of the configuration names it:
    who publishes to that group would leave it out.
    """
    entry = find_partner(node, name)
    chosen = _choose_alias(load_roster(node), entry.card, alias or "-")
    groups = sorted(group for group, members in node.config.groups.items() if entry.alias in members)
    if groups and chosen != entry.alias:
        raise RefusedError(
            f"'{entry.alias}' is in the group '{groups[0]}' of config.toml",
            hint=f"take it out of the group, rename it, and put '{chosen}' in (SIGHUP reloads the file)",
            reason="alias-in-group",
        )
    row = next(row for row in node.store.partners.all() if row.partner_id == entry.partner_id)
    put_partner(node.store, replace(row, alias=chosen))
    return replace(entry, alias=chosen)


def remove_partner(node: Node, name: str) -> RosterEntry:
    """Stop trusting a partner: its link, its outbox and its card go; its envelopes stay. Raises NotFoundError."""
    entry = find_partner(node, name)
    drop_partner(node.store, entry.partner_id)
    return entry


def find_partner(node: NodeReading, name: str) -> RosterEntry:
    """Returns the partner with this alias or id. Raises NotFoundError."""
    entry = load_roster(node).by_name(name)
    if entry is None:
        raise NotFoundError(f"no partner is called '{name}'", hint="see `p2pshare partner list`")
    return entry


def apply_card_update(
    node: Node, partner_id: PartnerId, raw: bytes, now: int, moment: Moment | None = None
) -> bool:
    """Apply a partner's newer card when its chain holds and its roots stayed; returns whether it changed. `moment` says what is
    in doubt of `now` (unix seconds).

    Two cards of one version freeze the partner and both are kept as evidence. Raises PeerError with the reason otherwise;
    new roots raise `card-roots-changed` and wait for a person.
    """
    row = next((row for row in node.store.partners.all() if row.partner_id == partner_id), None)
    if row is None:
        raise PeerError("a card from a stranger", reason="author-unknown")
    current = _stored_card(row.partner_id, row.card)
    try:
        card = accept_update(current, raw, *_span(now, moment))
    except CardFork as fork:
        if digest_of_last(fork.proof.other) in node.store.partners.settled_forks(partner_id):
            raise PeerError(
                "a card that a person here has decided not to follow", reason="card-rollback"
            ) from None
        freeze_partner(node.store, partner_id, evidence=(fork.proof.known, fork.proof.other), now=now)
        raise
    if card.body_digest == current.body_digest:
        return False
    _check_roots_stayed(current, card)
    node.store.partners.update_card(partner_id, card.raw, card.version)
    _believed[partner_id] = (
        card.raw,
        card,
    )  # or each version of a chain would be checked once for each after it
    return True


def unfreeze_partner(
    node: Node, name: str, raw: bytes, *, confirmed_fingerprint: str, now: int
) -> RosterEntry:
    """Believe a frozen partner again, by the card in `raw`, which a person has compared with it over another way: of two that it signed the
    one that it goes on with. What was known is given up for it where the two differ. `now` in unix seconds.

    Raises NotFoundError, AuthorError for a fingerprint that is none, PeerError for a card that does not hold or is older than what is known
    (`card-rollback`), RefusedError `not-frozen`, `fingerprint-mismatch`.
    """
    entry = find_partner(node, name)
    if not entry.is_frozen:
        raise RefusedError(
            f"{entry.alias} is not frozen",
            hint="`p2pshare partner add` takes a newer card",
            reason="not-frozen",
        )
    card = accept_first(raw, now)
    if card.partner_id != entry.partner_id or parse_fingerprint(confirmed_fingerprint) != entry.partner_id:
        raise RefusedError(
            "the card does not belong to that partner and fingerprint",
            hint="ask the partner for both, over another way than the one the card came by",
            reason="fingerprint-mismatch",
        )
    if card.version < entry.card.version:
        raise PeerError(
            f"version {card.version} is older than version {entry.card.version}, which is known here",
            hint="ask the partner for its newest card, which its `p2pshare card export` writes",
            reason="card-rollback",
        )
    followed = {digest_of_version(one) for one in split_versions(card.raw)}
    known = [one for one in node.store.partners.card_forks() if one.partner_id == entry.partner_id]
    sides = [entry.card.raw, *(side for fork in known for side in (fork.first, fork.second))]
    others = {digest_of_version(one) for side in sides for one in split_versions(side)} - followed
    with node.store.transaction():
        node.store.partners.settle_fork(entry.partner_id, card.raw, card.version, sorted(others))
        node.store.knowledge.recount_reports()
    return find_partner(node, name)


def digest_of_last(card_file: bytes) -> bytes:
    """Returns the digest of the newest version in a card file."""
    return digest_of_version(split_versions(card_file)[-1])


def _span(now: int, moment: Moment | None) -> tuple[int, int]:
    """Returns the earliest and the latest that it may be, unix seconds."""
    time = moment or Moment.certain(now)
    return int(time.earliest), int(time.latest)


def _check_roots_stayed(current: Card, card: Card) -> None:
    if (card.roots, card.threshold) != (current.roots, current.threshold):
        raise PeerError(
            "the partner's root keys changed",
            hint="confirm with `p2pshare partner add`",
            reason="card-roots-changed",
        )


def sift_card(
    node: NodeReading, raw: bytes, *, expected: PartnerId | None, now: int, moment: Moment | None = None
) -> tuple[PartnerId, bytes]:
    """Returns whose card file this is and the part of it that is new, for `apply_card_update`; empty when nothing is. Of an id that a
    person has accepted it is all of its first one. For what anybody may hand over: a forgery costs one version, and the writer nothing.

    `expected` is the partner whose it must be, None for any; `moment` as for `apply_card_update`. Raises PeerError with the reason. In any thread.
    """
    author = decode_card(split_versions(raw)[-1]).body.partner_id
    if author == node.card.partner_id:
        raise PeerError("another version of our own card", reason="own-card")
    if expected is not None and author != expected:
        raise PeerError("a card is of another partner", reason="card-other-partner")
    entry = load_roster(node).get(author)
    if entry is None:
        if all(author != one.partner_id for one in node.store.pending.accepted()):
            raise PeerError("a card from a stranger", reason="author-unknown")
        believe_stranger(raw, author, now)
        return author, raw
    if entry.is_frozen:
        raise PeerError("a card of a partner that is frozen", reason="author-frozen")
    news = news_in(entry.card, raw)
    if news:
        with contextlib.suppress(CardFork):  # it is kept as evidence by whoever applies it
            _check_roots_stayed(entry.card, accept_update(entry.card, news, *_span(now, moment)))
    return author, news


def contested_certificates(store: StoreReading) -> list[tuple[PartnerId, PartnerId]]:
    """Returns each pair of partners that have a TLS certificate in common: it is pinned for neither. A card is never refused
    for it, or whoever listed another's new certificate first would keep that one's new keys and revocations from us."""
    claims: dict[bytes, list[PartnerId]] = {}
    for row in store.partners.all():
        for certificate in _stored_card(row.partner_id, row.card).tls_certificates:
            claims.setdefault(certificate, []).append(row.partner_id)
    return [pair for claimants in claims.values() for pair in itertools.combinations(claimants, 2)]


def describe(entry: RosterEntry) -> PartnerSummary:
    return PartnerSummary(
        alias=entry.alias,
        partner_id=entry.partner_id.text,
        name=entry.card.name,
        url=entry.card.urls[0] if entry.card.urls else "",
        fingerprint=fingerprint(entry.partner_id),
        card_version=entry.card.version,
        card_expires=format_instant(entry.card.expires * SECOND_US),
        has_link=entry.has_link,
        standing="suspended" if entry.suspended else "compared" if entry.is_compared else "introduced",
        introduced_by=list(entry.introduced_by),
        suspended=entry.suspended,
    )


def sealable(node: NodeReading, tlp: Tlp, now: int) -> set[PartnerId]:
    """Returns the partners for whom content of this marking can be sealed at `now` (unix seconds)."""
    return {entry.partner_id for entry in load_roster(node) if not why_not_for(tlp, entry, now)}
