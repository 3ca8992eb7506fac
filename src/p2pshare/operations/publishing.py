"""Publishing: parts that a command read and cut are addressed and screened, shown, and then sealed and stored
(docs/decisions/0003, 0052). They come one after another, so neither side holds more than one of them (0073)."""

from __future__ import annotations

import secrets
from dataclasses import dataclass, field
from hashlib import sha256
from typing import Annotated

from msgspec import Meta, Struct, msgpack

from p2pshare.envelope.payload import stated_bytes
from p2pshare.errors import AuthorError, NotFoundError, OperatorError, PeerError, RefusedError
from p2pshare.identifiers import PublicationId
from p2pshare.intel.marking import Tlp
from p2pshare.limits import MIB, TTL_CLASS_BY_NAME
from p2pshare.node.node import Node, NodeReading, Progress
from p2pshare.operations.interface import Counted, LeftOut, Query, Request, Several, counted, left_out
from p2pshare.operations.open_work import forget_open, take_open
from p2pshare.sharing import staging
from p2pshare.sharing.drafting import DraftPart
from p2pshare.sharing.introducing import MissingCards
from p2pshare.sharing.outlet import outlet_of
from p2pshare.sharing.publishing import Preparation, PreparedPart, new_publication, seal
from p2pshare.sharing.publishing import PreparedPublication as PreparedParts
from p2pshare.sharing.screening import Confirmed
from p2pshare.sharing.spool import (
    PREPARED_MAX,
    PREPARED_SECONDS_MAX,
    Spooling,
    begin_spooling,
    drop,
    not_prepared,
    spool_full,
    taken,
    terms_waiting,
)
from p2pshare.sharing.staging import StagingStep, UnderWay
from p2pshare.spaces.space_exchange import spaces_of

INFLATED_BYTES_AT_ONCE = 64 * MIB
"""The most that the frames of one message may inflate to: a part has 16 MiB, and the writer reads 28 MiB a second."""

KEPT_BYTES_MAX = 1 * MIB  # of one publication in an exercise: as much as an inject's payload has

TtlClass = Annotated[int, Meta(ge=min(TTL_CLASS_BY_NAME.values()), le=max(TTL_CLASS_BY_NAME.values()))]


class Part(Struct, frozen=True, forbid_unknown_fields=True):
    """A `sharing.drafting.DraftPart` on its way to the sealer. Raises ValueError when more is repeated than is there."""

    tlp: Tlp
    frames: tuple[bytes, ...]
    objects: Annotated[int, Meta(ge=0)]
    repeats: Annotated[int, Meta(ge=0)]

    def __post_init__(self) -> None:
        if self.repeats > self.objects:
            raise ValueError("more repeats than objects")


class PolicyRefusal(Struct, frozen=True, forbid_unknown_fields=True):
    """The refusal of policy, for the person who asked."""

    reason: str
    message: str
    hint: str


class Prepared(Struct, frozen=True, forbid_unknown_fields=True):
    """Counts of what would be published and refused, and the partners that would get it. `token` names what waits to be
    sealed; empty where there is nothing to seal. `envelopes` is empty until then. `basis` is a digest of what all of it
    rests on: two that read alike are the same only where it is."""

    published: int
    observables: int
    refused: list[Counted]
    notes: list[Counted]
    envelopes: list[str]
    recipients: list[str]
    skipped: list[LeftOut]
    markings: list[str]
    refusal: PolicyRefusal | None
    token: str
    basis: str
    missing_cards: MissingCards | None = None
    """Set where it is for everybody: who is in the circle and cannot read it, because its card is not here."""


class Discarded(Struct, frozen=True, forbid_unknown_fields=True):
    """The answer without content: nothing of it is left."""


class Prepare(Request[Prepared], frozen=True, tag="prepare"):
    """Say what would be published to the partners and groups in `to`, else to all whom policy lets, and keep it for a
    minute, unless it is a dry run. `ttl_class` None: the config's.

    A publication may come in many of these: each but the last says `goes_on`, and each but the first has the `token` that the
    first was answered with; the other fields count in the first alone. The answer is that of all parts so far."""

    parts: tuple[Part, ...]
    to: tuple[str, ...] = ()
    ttl_class: TtlClass | None = None
    dry_run: bool = False
    share_private: bool = False
    share_listed: bool = False
    token: str = ""
    goes_on: bool = False

    def run(self, node: Node, now: int, progress: Progress) -> Prepared:
        forget_open(node, now)
        if (
            sum(map(_stated, (frame for part in self.parts for frame in part.frames)))
            > INFLATED_BYTES_AT_ONCE
        ):
            raise AuthorError(
                f"parts of more than {INFLATED_BYTES_AT_ONCE // MIB} MiB are not read at once",
                hint="hand them over one by one",
                reason="oversized",
            )
        under_way = take_open(node, self.token, _PartsComing) if self.token else self._begun(node, now)
        try:
            for part in self.parts:
                under_way.preparation.take(DraftPart(part.tlp, part.frames, part.objects, part.repeats))
                progress("checked", under_way.preparation.checked, 0)
            return self._pause(node, under_way, now) if self.goes_on else self._end(node, under_way, now)
        except BaseException:
            under_way.abandon()
            raise

    def _begun(self, node: Node, now: int) -> _PartsComing:
        if len(node.preparing) >= PREPARED_MAX:
            raise spool_full(f"{PREPARED_MAX} publications are being handed over")
        outlet = outlet_of(node)
        waiting = None if self.dry_run or outlet is not None else begin_spooling(node, now)
        kept = KeptParts() if outlet is not None and not self.dry_run else None
        confirmed = Confirmed(private=self.share_private, listed=self.share_listed)
        if outlet is not None:  # what is played is on many lists, and tells of nobody
            confirmed = Confirmed(private=True, listed=True)
        preparation = Preparation(
            node,
            names=self.to,
            ttl_class=self.ttl_class or TTL_CLASS_BY_NAME[node.config.ttl],
            confirmed=confirmed,
            now=now,
            keep=_keep_nothing if waiting is None and kept is None else (waiting or kept).keep,  # type: ignore[union-attr]
        )
        token = secrets.token_hex(16) if waiting is None else waiting.token
        return _PartsComing(preparation, waiting, token, kept)

    def _pause(self, node: Node, under_way: _PartsComing, now: int) -> Prepared:
        if under_way.spooling is not None:
            under_way.spooling.pause(now)
        under_way.paused_at = now
        node.preparing[under_way.token] = under_way
        return _answer(under_way.preparation.so_far(), under_way.token)

    def _end(self, node: Node, under_way: _PartsComing, now: int) -> Prepared:
        prepared, waiting, kept = under_way.preparation.end(), under_way.spooling, under_way.kept
        if kept is not None and prepared.terms.envelopes:
            kept.names, kept.ready_at = prepared.terms.names, now
            node.preparing[under_way.token] = kept
            return _answer(prepared, under_way.token)
        if waiting is None or not prepared.terms.envelopes:
            under_way.abandon()
            return _answer(prepared, "")
        waiting.end_with(prepared.terms, now)
        waiting.close()
        return _answer(prepared, waiting.token)


@dataclass
class _PartsComing:
    """A publication whose parts are still coming, on a dry run without a file; since when the next one is awaited."""

    preparation: Preparation
    spooling: Spooling | None
    token: str
    kept: KeptParts | None = None
    paused_at: int = 0

    def abandon(self) -> None:
        self.preparation.close()
        if self.spooling is not None:
            self.spooling.abandon()


@dataclass
class KeptParts:
    """What was prepared in an exercise: it waits in memory, beside its own node alone, so that no other ground has its token."""

    parts: list[PreparedPart] = field(default_factory=list)
    size: int = 0
    names: tuple[str, ...] = ()
    ready_at: int = 0

    def keep(self, part: PreparedPart) -> None:
        """Raises AuthorError `oversized`."""
        self.size += sum(_stated(one.frame) for one in part.frames)
        if self.size > KEPT_BYTES_MAX:
            raise AuthorError(
                f"in an exercise at most {KEPT_BYTES_MAX:,} bytes are published at once",
                hint="publish less",
                reason="oversized",
            )
        self.parts.append(part)

    @property
    def paused_at(self) -> int:
        return self.ready_at

    def abandon(self) -> None:
        self.parts.clear()


def _keep_nothing(part: PreparedPart) -> None:
    """A dry run keeps nothing."""


class Sealed(Struct, frozen=True, forbid_unknown_fields=True):
    """The publication, and the ids of its envelopes, one for each part, in order. Not finished: it is on its way out in steps
    (`SealOn`), and the ids come with the last of them."""

    publication: str
    envelopes: list[str]
    is_finished: bool


class Seal(Request[Sealed], frozen=True, tag="seal"):
    """Seal and store what waits under `token`, once; of a large one this begins, and it ends by itself. In an exercise it becomes entries, whose
    ids stand in place of envelopes'."""

    token: str

    def run(self, node: Node, now: int, progress: Progress) -> Sealed:
        outlet = outlet_of(node)
        if outlet is not None:
            kept = node.preparing.pop(self.token, None)
            if not isinstance(kept, KeptParts) or abs(now - kept.ready_at) > PREPARED_SECONDS_MAX:
                raise not_prepared()
            with spaces_of(node).together():
                played = outlet.publish(kept.parts, kept.names, now)
            return Sealed("", [one.text for one in played.entries], is_finished=True)
        if terms_waiting(node.home, self.token, now).objects > staging.ONE_CALL_OBJECTS:
            begun = staging.begin_staging(node, self.token, now)
            return Sealed(begun.text, [], is_finished=False)
        publication = new_publication()
        with taken(node.home, self.token, now) as (terms, parts):
            envelopes = seal(node, terms, parts, now, progress, publication)
        return Sealed(publication.text, [one.text for one in envelopes], is_finished=True)


class Publishing(Struct, frozen=True, forbid_unknown_fields=True):
    """A step of a publication on its way out, and where it is; with the last one the ids of its envelopes, in order."""

    step: StagingStep
    envelopes: list[str]


class SealOn(Request[Publishing], frozen=True, tag="seal-on"):
    """Do the next step of a publication on its way out, the id in hexadecimal. The daemon does them, too."""

    publication: str

    def run(self, node: Node, now: int, progress: Progress) -> Publishing:
        publication = _publication_of(self.publication)
        try:
            step = staging.step(node, publication, now)
        except NotFoundError:
            envelopes = _envelopes_of(node, publication)  # somebody else has done the last one
            if not envelopes:
                raise
            count = len(envelopes)
            step = StagingStep(staging.STORED, count, count, has_left=True, is_finished=True)
        except (RefusedError, AuthorError, OperatorError):
            staging.forget_given_up(node, publication)  # whoever asks is told now
            raise
        return Publishing(step, _envelopes_of(node, publication) if step.is_finished else [])


def _publication_of(text: str) -> PublicationId:
    try:
        return PublicationId.parse(text)
    except ValueError:
        raise AuthorError(
            "that is no publication's id", hint="32 hexadecimal digits", reason="bad-id"
        ) from None


def _envelopes_of(node: Node, publication: PublicationId) -> list[str]:
    return [
        envelope.text
        for one in node.store.knowledge.publications(publication)
        if one.author == node.identity.partner_id
        for envelope in one.envelopes.values()
    ]


class PublicationsUnderWay(Query[Several[UnderWay]], frozen=True, tag="publishing-list"):
    """List what is on its way out, or was given up, oldest first."""

    def run(self, node: NodeReading, now: int, progress: Progress) -> Several[UnderWay]:
        return Several(staging.under_way(node.store))


class DiscardPublication(Request[Discarded], frozen=True, tag="publishing-discard"):
    """Forget a publication of which nothing has left, the id in hexadecimal."""

    publication: str

    def run(self, node: Node, now: int, progress: Progress) -> Discarded:
        staging.discard(node, _publication_of(self.publication))
        return Discarded()


class Discard(Request[Discarded], frozen=True, tag="discard"):
    """Forget what waits under `token`; nothing to do where nothing does."""

    token: str

    def run(self, node: Node, now: int, progress: Progress) -> Discarded:
        found = node.preparing.pop(self.token, None)
        if found is not None:
            found.abandon()
        drop(node.home, self.token)
        return Discarded()


def _stated(frame: bytes) -> int:
    """Returns the number of bytes to which a frame says it inflates; of one that says nothing, 0: the reader refuses it."""
    try:
        return stated_bytes(frame)
    except PeerError:
        return 0


def _answer(made: PreparedParts, token: str) -> Prepared:
    report, refuse = made.report, made.report.refuse
    return Prepared(
        published=report.published,
        observables=report.observables,
        refused=counted(report.refusals),
        notes=counted(report.notes),
        envelopes=[],
        recipients=sorted(report.recipients),
        skipped=left_out(report.skipped),
        markings=sorted(report.markings),
        refusal=None if refuse is None else PolicyRefusal(refuse.reason, refuse.message, refuse.hint),
        token=token,
        basis=sha256(msgpack.encode(made.terms.basis)).hexdigest(),
        missing_cards=report.missing_cards,
    )
