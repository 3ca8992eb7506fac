"""Whether partners reach this node where its card says: they are asked to dial back, for `doctor`."""

from __future__ import annotations

from collections.abc import Iterator

from msgspec import Struct

from p2pshare.node.node import DialledBack, NodeReading, Progress
from p2pshare.operations.interface import Query
from p2pshare.peering.faults import CERTIFICATE_REFUSED
from p2pshare.queries.doctor_words import OK, Finding, fault

REACHED = "reached"
OTHER_CERTIFICATE = "other-certificate"
WORDS = {"not-reached": "of an address that not everybody can dial it tells no more"}
"""Outcomes that are no words for people."""
PAUSES = ("busy", "too-many-requests", "too-much-at-once")
START = "start the daemon: `p2pshare run`"


class Reachability(Struct, frozen=True, forbid_unknown_fields=True):
    """What partners said who were asked to dial us: `urls` are the addresses of our card, in the order of their outcomes where
    the version they know is `card_version`."""

    card_version: int
    urls: list[str]
    asked: list[DialledBack]


class AskDialBack(Query[Reachability], frozen=True, tag="ask-dial-back"):
    """Have up to three connected partners dial the addresses on our card, and wait for what they say. Without a daemon nobody is asked."""

    def run(self, node: NodeReading, now: int, progress: Progress) -> Reachability:
        card = node.card
        asked = node.live.ask_dial_back() if node.live is not None and card.urls else []
        return Reachability(card.version, list(card.urls), asked)


def examine_reachability(answer: Reachability | None) -> Iterator[Finding]:
    """Yields what the doctor says of what partners said; `answer` None where no daemon runs."""
    if answer is None:
        yield fault("nobody-dialled", why="no daemon runs", mend=START)
        return
    if not answer.urls:
        yield Finding("reachable", OK, "the card tells no address: partners do not dial this node")
        return
    if not answer.asked:
        yield fault(
            "nobody-dialled",
            why="none is connected that can be asked",
            mend="look again when one is connected",
        )
    for one in answer.asked:
        yield from _said(one, answer)


def _said(one: DialledBack, answer: Reachability) -> Iterator[Finding]:
    if one.fault:
        if one.fault in PAUSES:
            mend = "look again in a minute"
        elif one.fault == CERTIFICATE_REFUSED:
            mend = f"`partners` says what is wrong between {one.partner} and this node: mend that first"
        else:
            mend = f"ask {one.partner} for its version, and look at its log"
        yield fault("nobody-dialled", why=f"{one.partner} was asked ({one.fault})", mend=mend)
        return
    if one.card_version != answer.card_version or len(one.outcomes) != len(answer.urls):
        told = {"version": one.card_version, "newest": answer.card_version}
        yield fault(
            "dialled-before", partner=one.partner, outcomes=", ".join(one.outcomes) or "nothing", **told
        )
        return
    reached = [url for url, outcome in zip(answer.urls, one.outcomes, strict=True) if outcome == REACHED]
    if reached:
        yield Finding("reachable", OK, f"{one.partner} reached this node at {', '.join(reached)}")
    for url, outcome in zip(answer.urls, one.outcomes, strict=True):
        if outcome == OTHER_CERTIFICATE:
            yield fault("reached-other", partner=one.partner, url=url)
        elif outcome != REACHED:
            yield fault("not-reached", partner=one.partner, url=url, outcome=WORDS.get(outcome, outcome))
