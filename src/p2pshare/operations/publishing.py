"""Publishing: parts that a command read and cut are addressed and screened, shown, and then sealed and stored
(docs/decisions/0003, 0052)."""

from __future__ import annotations

from collections.abc import Callable
from hashlib import sha256
from typing import Annotated

from msgspec import Meta, Struct, msgpack

from p2pshare.envelope.payload import stated_bytes
from p2pshare.errors import AuthorError, PeerError
from p2pshare.intel.marking import Tlp
from p2pshare.limits import MIB, TTL_CLASS_BY_NAME
from p2pshare.node.node import Node, Progress
from p2pshare.operations.interface import Counted, LeftOut, Request, counted, left_out
from p2pshare.sharing.drafting import DraftPart
from p2pshare.sharing.publishing import PreparedPart, prepare, seal
from p2pshare.sharing.publishing import PreparedPublication as PreparedParts
from p2pshare.sharing.screening import Confirmed
from p2pshare.sharing.spool import drop, spooling, taken

INFLATED_BYTES_AT_ONCE = 1024 * MIB
"""The most that the frames of one publication may inflate to: a million values take 600 MiB, and the writer reads 28 MiB
a second."""

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


class Prepare(Request[Prepared], frozen=True, tag="prepare"):
    """Say what would be published to the partners and groups in `to`, else to all whom policy lets, and keep it for a
    minute, unless it is a dry run. `ttl_class` None: the config's."""

    parts: tuple[Part, ...]
    to: tuple[str, ...] = ()
    ttl_class: TtlClass | None = None
    dry_run: bool = False
    share_private: bool = False
    share_listed: bool = False

    def run(self, node: Node, now: int, progress: Progress) -> Prepared:
        if (
            sum(map(_stated, (frame for part in self.parts for frame in part.frames)))
            > INFLATED_BYTES_AT_ONCE
        ):
            raise AuthorError(
                f"a publication of more than {INFLATED_BYTES_AT_ONCE // MIB} MiB is not read at once",
                hint="split the publication",
                reason="oversized",
            )
        if self.dry_run:
            return _answer(self._prepared(node, now, progress, lambda part: None), "")
        with spooling(node, now) as waiting:
            prepared = self._prepared(node, now, progress, waiting.keep)
            waiting.end_with(prepared.terms, now)
        if prepared.terms.envelopes:
            return _answer(prepared, waiting.token)
        drop(node.home, waiting.token)
        return _answer(prepared, "")

    def _prepared(
        self, node: Node, now: int, progress: Progress, keep: Callable[[PreparedPart], None]
    ) -> PreparedParts:
        return prepare(
            node,
            (DraftPart(part.tlp, part.frames, part.objects, part.repeats) for part in self.parts),
            names=self.to,
            ttl_class=self.ttl_class or TTL_CLASS_BY_NAME[node.config.ttl],
            confirmed=Confirmed(private=self.share_private, listed=self.share_listed),
            now=now,
            progress=progress,
            keep=keep,
        )


class Sealed(Struct, frozen=True, forbid_unknown_fields=True):
    """The ids of the envelopes, one for each part, in order."""

    envelopes: list[str]


class Seal(Request[Sealed], frozen=True, tag="seal"):
    """Seal and store what waits under `token`, once."""

    token: str

    def run(self, node: Node, now: int, progress: Progress) -> Sealed:
        with taken(node.home, self.token, now) as (terms, parts):
            return Sealed([one.text for one in seal(node, terms, parts, now, progress)])


class Discarded(Struct, frozen=True, forbid_unknown_fields=True):
    """The answer of `Discard`, without content: nothing waits under the token any more."""


class Discard(Request[Discarded], frozen=True, tag="discard"):
    """Forget what waits under `token`; nothing to do where nothing does."""

    token: str

    def run(self, node: Node, now: int, progress: Progress) -> Discarded:
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
    )
