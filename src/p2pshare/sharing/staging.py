"""Staging: how a publication leaves that is too large for one transaction. In steps, each some tenths of a second of the writer.

Rules:

1. What was confirmed is held on the disk (`spool`), and a row says so: from then on it ends whole or not at all, whatever
   stops the process. Whoever comes next goes on: the command that began it, the daemon, or `publish --resume`; all follow one
   cursor, which is the store's.
2. *Sealing*: its envelopes are sealed one by one and seen by nobody. Audience, lists and withdrawals are compared with what was
   shown at each step, and once more when the last is sealed; where they differ nothing leaves, and the reason is kept until
   somebody has read it.
3. *Release*: one transaction, after which all of it leaves (`log.staging` has the rules of its numbers). The envelopes
   move into the log, a batch a step.
4. *Storing*: what was read of them when they were prepared goes into knowledge, a slice a step. Where the file is gone by then
   (it was held for this only) the content is unread, and is read like a partner's.
5. A full disk stops it where it is; it goes on when there is room.
"""

from __future__ import annotations

from collections.abc import Collection
from contextlib import suppress

from msgspec import Struct

from p2pshare.envelope.envelope import Mode
from p2pshare.envelope.payload import PartPlace
from p2pshare.errors import AuthorError, NotFoundError, OperatorError, RefusedError, ShareError
from p2pshare.identifiers import PublicationId
from p2pshare.knowledge.interface import PublicationPart
from p2pshare.limits import MIB
from p2pshare.log.interface import ContentState, NewStaged, StagedContent, StagedPublication, StagingState
from p2pshare.node.node import Node
from p2pshare.node.store import StoreReading
from p2pshare.sharing import spool
from p2pshare.sharing.publishing import (
    PreparedPart,
    SealedContent,
    addressed_cards,
    audiences_shown,
    groups_named,
    kind_of,
    new_publication,
    require_parts,
    seal_part,
    still_alive,
)
from p2pshare.sharing.quarantining import put_marks
from p2pshare.sharing.storing import ContentWriter

ONE_CALL_OBJECTS = 20_000  # sealed and stored in one transaction: half a second; what is larger is staged
SEALED_ROWS_AT_ONCE = 512  # wraps made in one step, 0.3 ms each
SEALED_BYTES_AT_ONCE = 4 * MIB  # of parts in one step
MOVED_AT_ONCE = 16  # envelopes of half a megabyte: 0.2 s; of 8 MiB: 1 s
STORED_ROWS_AT_ONCE = (
    20_000  # claims, or objects without one: half a second; pages are written once for so many
)
SPOOL_DAMAGED = "spool-damaged"
SEALED, RELEASED, STORED = "sealed", "released", "stored"
"""What a step has done to envelopes; in this order."""


class StagingStep(Struct, frozen=True, forbid_unknown_fields=True):
    """How far a publication has come: `done` of `of` envelopes are `what` (sealed, released, stored). `has_left`: all of it
    leaves, whatever happens. Finished: it is stored here as well."""

    what: str
    done: int
    of: int
    has_left: bool
    is_finished: bool


class UnderWay(Struct, frozen=True, forbid_unknown_fields=True):
    """A publication on its way out, for a person. `reason`: why nothing of it leaves, if so."""

    publication: str
    what: str
    done: int
    of: int
    reason: str


def begin_staging(node: Node, token: str, now: int) -> PublicationId:
    """Hold what waits under `token` and begin to stage it; returns the publication. Raises RefusedError `prepared-changed`,
    NotFoundError `not-prepared`, AuthorError `oversized`, OperatorError."""
    terms = spool.terms_waiting(node.home, token, now)
    require_parts(terms.envelopes)
    audiences_shown(node, terms, now)
    publication = new_publication()
    spool.hold(node.home, token)
    try:
        node.store.log.begin_staging(publication, token, terms.envelopes, now)
    except ShareError:
        spool.release_held(node.home, token)
        raise
    return publication


def tidy(node: Node) -> None:
    """Forget files that a crash left before their publication was begun: at each start. Raises OperatorError."""
    spool.release_others(node.home, {one.token for one in node.store.log.staged_publications()})


def under_way(store: StoreReading) -> list[UnderWay]:
    """Returns what is on its way out, or was given up and nobody was told, oldest first."""
    return [
        UnderWay(one.publication.text, *_progress(one), one.reason) for one in store.log.staged_publications()
    ]


def next_publication(store: StoreReading, without: Collection[PublicationId] = ()) -> PublicationId | None:
    """Returns the publication that goes on next, None where nothing is to be done."""
    for one in store.log.staged_publications():
        if one.state is not StagingState.GIVEN_UP and one.publication not in without:
            return one.publication
    return None


def step(node: Node, publication: PublicationId, now: int) -> StagingStep:
    """Do one step for a publication, at `now` (unix seconds). Raises NotFoundError for one that is not on its way; RefusedError,
    AuthorError and OperatorError `spool-damaged` where nothing of it leaves, now and later; DiskFull and other StoreErrors with
    nothing changed."""
    log = node.store.log
    one = log.staged_publication(publication)
    if one is None:
        raise NotFoundError(
            f"no publication {publication.text} is on its way out",
            hint=f"`p2pshare show {publication.text}` shows it if it has left",
        )
    match one.state:
        case StagingState.SEALING:
            _seal_or_give_up(node, one, now)
        case StagingState.RELEASED if one.moved < one.parts:
            log.move_staged(one, node.identity.partner_id, now, MOVED_AT_ONCE)
        case StagingState.RELEASED:
            if not _store_on(node, one, now) and log.drop_staged(publication):
                with suppress(OperatorError):  # it is gone from the store: the next start removes the file
                    spool.release_held(node.home, one.token)
                return StagingStep(STORED, one.parts, one.parts, has_left=True, is_finished=True)
        case StagingState.GIVEN_UP:
            raise RefusedError(one.reason, hint="publish again", reason="given-up")
    one = log.staged_publication(publication) or one
    has_left = one.state is StagingState.RELEASED
    return StagingStep(*_progress(one), has_left=has_left, is_finished=False)


def move_released(node: Node, now: int) -> None:
    """Take all that was released into the log: whoever says what we have sealed must know of it. Nearly always there is nothing to
    do, for it happens within seconds of the release. Raises StoreError."""
    for one in node.store.log.staged_publications():
        left = one.parts - one.moved if one.state is StagingState.RELEASED else 0
        while left > 0:
            node.store.log.move_staged(one, node.identity.partner_id, now, MOVED_AT_ONCE)
            left -= MOVED_AT_ONCE
            one = node.store.log.staged_publication(one.publication) or one


def forget_given_up(node: Node, publication: PublicationId) -> None:
    """Forget a publication that was given up, for somebody is told why."""
    one = node.store.log.staged_publication(publication)
    if one is not None and one.state is StagingState.GIVEN_UP:
        _drop(node, one)


def _drop(node: Node, one: StagedPublication) -> None:
    while not node.store.log.drop_staged(one.publication):
        pass
    spool.release_held(node.home, one.token)


def discard(node: Node, publication: PublicationId) -> None:
    """Forget a publication of which nothing has left. Raises NotFoundError, RefusedError `has-left`."""
    one = node.store.log.staged_publication(publication)
    if one is None:
        raise NotFoundError(
            f"no publication {publication.text} is on its way out",
            hint=f"`p2pshare show {publication.text}` shows it if it has left",
        )
    if one.state is StagingState.RELEASED:
        raise RefusedError(
            "it has left: partners have it, or will",
            hint="`p2pshare withdraw` takes objects back",
            reason="has-left",
        )
    node.store.log.give_up_staged(
        publication, "it was discarded"
    )  # what is dropped in part is never gone on with
    _drop(node, one)


def _progress(one: StagedPublication) -> tuple[str, int, int]:
    if one.state is not StagingState.RELEASED:
        return SEALED, one.sealed, one.parts
    if one.moved < one.parts:
        return RELEASED, one.moved, one.parts
    return STORED, one.stored, one.parts


def _seal_or_give_up(node: Node, one: StagedPublication, now: int) -> None:
    """Rule 2. What will never be otherwise ends it; anything else is tried again."""
    try:
        _seal_on(node, one, now)
    except (RefusedError, AuthorError, OperatorError) as error:
        if isinstance(error, OperatorError) and error.reason != SPOOL_DAMAGED:
            raise
        node.store.log.give_up_staged(one.publication, error.message)
        with suppress(OperatorError):
            spool.release_held(node.home, one.token)
        raise


def _seal_on(node: Node, one: StagedPublication, now: int) -> None:
    log = node.store.log
    terms, end = spool.held_terms(node.home, one.token)
    audiences = audiences_shown(node, terms, now)
    chain, key_id = log.author_state(now), node.identity.operational.sign.key_id
    if one.base != chain or one.key_id != key_id:
        log.begin_sealing(one.publication, chain, key_id)
        return
    before, place = log.staged_chain(one), log.staged_end(one)
    if one.sealed == one.parts:
        if place != end:
            raise OperatorError(
                "what was prepared cannot be read back", hint="publish again", reason=SPOOL_DAMAGED
            )
        with node.store.transaction():
            log.put_audience(one.publication, groups_named(node, terms))
            log.release_staged(one, before)
        return
    is_untouched = log.last_lsn() == terms.last_lsn  # a withdrawal comes in an envelope
    numbers = log.staged_numbers(one.publication)
    number, rows, sealed_bytes = one.sealed, 0, 0
    own = node.identity.partner_id
    with node.store.transaction():
        while number < one.parts and rows < SEALED_ROWS_AT_ONCE and sealed_bytes < SEALED_BYTES_AT_ONCE:
            number += 1
            part = spool.held_part(node.home, one.token, place)
            if not is_untouched:
                still_alive(node, spool.held_content(node.home, one.token, place))
            audience = audiences[part.tlp]
            cards = addressed_cards(node, audience)
            each = log.recipient_numbers([card.partner_id for card in cards], before.incarnation, numbers)
            kind = kind_of(part.tlp, is_named=bool(terms.names))
            content = SealedContent(part.tlp, part.objects, part.frames, terms.ttl_class, kind.name)
            place_in = PartPlace(number, one.parts)
            sealed = seal_part(node, content, audience, one.publication, place_in, before, each, now)
            used = {partner: one_number.sequence for partner, one_number in each.items()}
            staged = NewStaged(
                sealed,
                place,
                part.next_place,
                audience.mode is not Mode.DIRECT,
                tuple(entry.partner_id for entry in audience.recipients),
                used,
            )
            log.stage(one, number, staged, own)
            before = before.followed_by(sealed.envelope_id)
            numbers |= used
            place, rows, sealed_bytes = part.next_place, rows + len(cards), sealed_bytes + len(sealed.wire)


def _store_on(node: Node, one: StagedPublication, now: int) -> bool:
    """Rule 4. Returns False where nothing is left to store."""
    log, rows = node.store.log, 0
    with node.store.transaction():
        while rows < STORED_ROWS_AT_ONCE:
            content = log.next_to_store(one)
            if content is None:
                return rows > 0
            try:
                part = spool.held_content(node.home, one.token, content.place)
            except OperatorError:
                log.end_staged(one, content, ContentState.UNREAD)
                rows += 1
            else:
                rows += _store_part(node, one, content, part, STORED_ROWS_AT_ONCE - rows, now)
    return True


def _store_part(
    node: Node, one: StagedPublication, content: StagedContent, part: PreparedPart, rows_max: int, now: int
) -> int:
    """Store frames of a part from where it was left, until `rows_max` rows are stored; returns how many rows were."""
    log, knowledge = node.store.log, node.store.knowledge
    writer = ContentWriter(knowledge, None)
    writer.begin(now)
    rows, frames = 0, content.frames
    while frames < len(part.frames) and rows < rows_max:
        frame = part.frames[frames]
        writer.add(content.origin, frame)
        rows += sum(len(fact.claims) or 1 for fact in frame.objects)
        frames += 1
    writer.finish()
    if frames < len(part.frames):
        log.put_staged_frames(one, content, frames)
        return rows
    put_marks(knowledge, part.marks, now)
    knowledge.put_part(content.origin, PublicationPart(one.publication, PartPlace(content.number, one.parts)))
    log.end_staged(one, content, ContentState.READ)
    return max(rows, 1)
