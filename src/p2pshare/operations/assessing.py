"""`sight`, `opinion` and `propose`: our assessments of others' objects, and the proposals of others about ours."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from functools import partial
from typing import Annotated, Literal

from msgspec import Meta, Struct

from p2pshare.errors import AuthorError
from p2pshare.intel.assessing import (
    Proposal,
    false_positive_object,
    opinion_object,
    proposal_object,
    sighting_object,
)
from p2pshare.intel.instants import parse_instant
from p2pshare.limits import ASSESSMENT_TEXT_CHARACTERS_MAX, SIGHTING_COUNT_MAX
from p2pshare.node.node import Node, NodeReading, Progress
from p2pshare.operations.interface import Query, Request, Several
from p2pshare.sharing.assessing import ReceivedProposal, proposals, say
from p2pshare.sharing.outlet import outlet_of

Words = Annotated[str, Meta(max_length=ASSESSMENT_TEXT_CHARACTERS_MAX)]


class AuthorNotTold(Struct, frozen=True, forbid_unknown_fields=True):
    """An author that does not hear of it, and why."""

    author: str
    reason: str


class Assessed(Struct, frozen=True, forbid_unknown_fields=True):
    """The number of assessments, their envelopes (in an exercise their entries), and the partners that hear of them or do not."""

    objects: int
    envelopes: list[str]
    recipients: list[str]
    refused: list[AuthorNotTold]


def _say(node: Node, what: str, to: Sequence[str], now: int, write: Callable[..., bytes]) -> Assessed:
    """Assess each object behind `what` for the partners in `to`; `write` gets the reporter, the instant and the marking
    as keywords."""
    reporter = node.identity.partner_id
    said = say(
        node,
        what,
        lambda target, tlp: write(target, reporter=reporter, now=now, tlp=tlp),
        names=to,
        ttl=node.config.ttl,
        now=now,
    )
    return Assessed(
        objects=said.objects,
        envelopes=[one.text for one in said.envelopes],
        recipients=sorted(said.recipients),
        refused=[AuthorNotTold(author, reason) for author, reason in sorted(said.refused.items())],
    )


class Sight(Request[Assessed], frozen=True, tag="sight"):
    """Say that a value, or the object of that id, was seen `count` times (0: looked for in vain), or is harmless."""

    what: str
    count: Annotated[int, Meta(ge=0, le=SIGHTING_COUNT_MAX)] = 1
    false_positive: bool = False
    to: tuple[str, ...] = ()

    def run(self, node: Node, now: int, progress: Progress) -> Assessed:
        outlet = outlet_of(node)
        if outlet is not None:
            said = outlet.sight(
                self.what,
                count=self.count,
                is_false_positive=self.false_positive,
                names=self.to,
                now=now,
            )
            return Assessed(len(said.entries), [one.text for one in said.entries], said.recipients, [])
        write = false_positive_object if self.false_positive else partial(sighting_object, count=self.count)
        return _say(node, self.what, self.to, now, write)


class Opine(Request[Assessed], frozen=True, tag="opinion"):
    """Agree or disagree with the object, and say why."""

    what: str
    opinion: Literal["agree", "disagree"]
    note: Words = ""
    to: tuple[str, ...] = ()

    def run(self, node: Node, now: int, progress: Progress) -> Assessed:
        write = partial(opinion_object, opinion=self.opinion, text=self.note)
        return _say(node, self.what, self.to, now, write)


class Propose(Request[Assessed], frozen=True, tag="propose"):
    """Suggest to its author how the object should change. `valid_until` is an instant of RFC 3339."""

    what: str
    confidence: Annotated[int, Meta(ge=0, le=100)] | None = None
    valid_until: str | None = None
    labels: tuple[str, ...] = ()
    note: Words = ""

    def run(self, node: Node, now: int, progress: Progress) -> Assessed:
        if self.valid_until is not None:
            _require_instant(self.valid_until)
        proposal = Proposal(
            confidence=self.confidence, valid_until=self.valid_until, labels=self.labels, note=self.note
        )
        if not proposal.to_json():
            raise AuthorError(
                "nothing is proposed", hint="give what should change, or a note", reason="bad-argument"
            )
        return _say(
            node, self.what, (), now, lambda target, **more: proposal_object(target, proposal, **more)
        )


def _require_instant(text: str) -> None:
    try:
        parse_instant(text)
    except ValueError:
        raise AuthorError(
            "not an instant", hint="as in 2027-01-31T00:00:00Z", reason="bad-timestamp"
        ) from None


class ListProposals(Query[Several[ReceivedProposal]], frozen=True, tag="proposal-list"):
    """List the proposals of others about our objects, newest first."""

    def run(self, node: NodeReading, now: int, progress: Progress) -> Several[ReceivedProposal]:
        return Several(proposals(node))
