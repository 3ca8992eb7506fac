"""`publish`: parts that a command read and cut are addressed, screened, sealed and stored (docs/decisions/0003)."""

from __future__ import annotations

from typing import Annotated

from msgspec import Meta, Struct

from p2pshare.intel.marking import Tlp
from p2pshare.limits import TTL_CLASS_BY_NAME
from p2pshare.node.node import Node
from p2pshare.operations.interface import Counted, LeftOut, Progress, Request, counted, left_out
from p2pshare.service.drafting import DraftPart
from p2pshare.service.guarding import Confirmed
from p2pshare.service.publishing import publish

TtlClass = Annotated[int, Meta(ge=min(TTL_CLASS_BY_NAME.values()), le=max(TTL_CLASS_BY_NAME.values()))]


class Part(Struct, frozen=True, forbid_unknown_fields=True):
    """A `service.drafting.DraftPart` on its way to the sealer. Raises ValueError when more is repeated than is there."""

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


class Published(Struct, frozen=True, forbid_unknown_fields=True):
    """Counts of what was published and refused, and those who get it. `envelopes` is empty on a dry run."""

    published: int
    observables: int
    refused: list[Counted]
    notes: list[Counted]
    envelopes: list[str]
    recipients: list[str]
    skipped: list[LeftOut]
    markings: list[str]
    refusal: PolicyRefusal | None


class Publish(Request[Published], frozen=True, tag="publish"):
    """Publish to the partners and groups in `to`, else to all whom policy lets. `ttl_class` None: the config's."""

    parts: tuple[Part, ...]
    to: tuple[str, ...] = ()
    ttl_class: TtlClass | None = None
    dry_run: bool = False
    share_private: bool = False
    share_listed: bool = False

    def run(self, node: Node, now: int, progress: Progress) -> Published:
        report = publish(
            node,
            [DraftPart(part.tlp, part.frames, part.objects, part.repeats) for part in self.parts],
            names=self.to,
            ttl_class=self.ttl_class or TTL_CLASS_BY_NAME[node.config.ttl],
            is_dry_run=self.dry_run,
            confirmed=Confirmed(private=self.share_private, listed=self.share_listed),
            now=now,
            progress=progress,
        )
        refuse = report.refuse
        return Published(
            published=report.published,
            observables=report.observables,
            refused=counted(report.refusals),
            notes=counted(report.notes),
            envelopes=[envelope_id.text for envelope_id in report.envelopes],
            recipients=sorted(report.recipients),
            skipped=left_out(report.skipped),
            markings=sorted(report.markings),
            refusal=None if refuse is None else PolicyRefusal(refuse.reason, refuse.message, refuse.hint),
        )
