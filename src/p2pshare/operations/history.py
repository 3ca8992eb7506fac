"""`share history`: what was published before a partner came, ours sealed anew and others' handed on (docs/envelope.md, "Forwarded").

It is counted in steps (`CountHistory`), shown, and then leaves in two ways: our own like any publication (`operations.publishing.Seal`),
others' from a place that the store keeps (`BeginForwarding`, `ForwardOn`), with which the daemon goes on by itself.
"""

from __future__ import annotations

import secrets
from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import Annotated

from msgspec import Meta, Struct

from p2pshare.errors import RefusedError
from p2pshare.identifiers import PartnerId
from p2pshare.intel.marking import Tlp
from p2pshare.limits import FORWARDED_ENVELOPES_MAX, TTL_CLASS_BY_NAME
from p2pshare.node.node import Node, NodeReading, Progress
from p2pshare.operations.interface import Request
from p2pshare.operations.open_work import forget_open, take_open
from p2pshare.policy.audience import why_not_for
from p2pshare.sharing import forwarding
from p2pshare.sharing.drafting import DraftPart
from p2pshare.sharing.history import OwnHistory, in_order
from p2pshare.sharing.partners import find_partner, load_roster
from p2pshare.sharing.publishing import Preparation, PreparedPart
from p2pshare.sharing.spool import (
    PREPARED_MAX,
    Spooling,
    begin_spooling,
    spool_full,
)

ENVELOPES_AT_ONCE = 64  # of ours that one step reads, or 20,000 objects of them: half a second at most
OBJECTS_AT_ONCE = 20_000

SINCE_MAX = 253_402_300_799  # 9999-12-31T23:59:59Z, the last instant that RFC 3339 writes

Instant = Annotated[int, Meta(ge=0, le=SINCE_MAX)]


class LeftAside(Struct, frozen=True, forbid_unknown_fields=True):
    """The number of objects of ours, or of envelopes of others, that a partner is not told for one reason."""

    reason: str
    count: int


class HistoryCount(Struct, frozen=True, forbid_unknown_fields=True):
    """What a partner would be told, as far as was looked: `done` of `of` in the log. `own` objects of ours, in `own_envelopes` sealed
    anew, and `forwarded` envelopes of others. Not finished: it goes on under `token`. Finished: that names our own, ready to be
    sealed; empty where there is none, and of a dry run."""

    own: int
    own_envelopes: int
    forwarded: int
    refused: list[LeftAside]
    markings: list[str]
    done: int
    of: int
    is_finished: bool
    token: str


class CountHistory(Request[HistoryCount], frozen=True, tag="history-count"):
    """Look at what `name` would be told of what was created `since` (unix seconds), a step a call: each but the first has the token
    that the one before was answered with, and the other fields count in the first alone."""

    name: str
    since: Instant = 0
    dry_run: bool = False
    token: str = ""

    def run(self, node: Node, now: int, progress: Progress) -> HistoryCount:
        forget_open(node, now)
        counting = take_open(node, self.token, _Counting) if self.token else self._begun(node, now)
        try:
            counting.step(node, now)
            if not counting.is_finished:
                counting.pause(node, now)
                return counting.answer(counting.token)
            return counting.answer(counting.end(now))
        except BaseException:
            counting.abandon()
            raise

    def _begun(self, node: Node, now: int) -> _Counting:
        if len(node.preparing) >= PREPARED_MAX:
            raise spool_full(f"{PREPARED_MAX} publications are being handed over")
        partner = find_partner(node, self.name)
        if reason := why_not_for(Tlp.CLEAR, partner, now):
            raise RefusedError(
                f"nothing can be sealed for {partner.alias}: {reason}",
                hint="ask the partner for its newest card",
                reason=reason,
            )
        spooling = None if self.dry_run else begin_spooling(node, now)
        preparation = Preparation(
            node,
            names=(partner.alias,),
            ttl_class=TTL_CLASS_BY_NAME[node.config.ttl],
            now=now,
            keep=_keep_nothing if spooling is None else spooling.keep,
        )
        own = OwnHistory(node, partner, self.since, now)
        token = secrets.token_hex(16) if spooling is None else spooling.token
        return _Counting(
            token,
            partner.partner_id,
            self.since,
            preparation,
            spooling,
            own,
            own.parts(),
            node.store.log.last_lsn(),
        )


def _keep_nothing(part: PreparedPart) -> None:
    """A dry run keeps nothing."""


@dataclass
class _Counting:
    """A history that is being looked at: our own envelopes first, then others'."""

    token: str
    partner: PartnerId
    since: int
    preparation: Preparation
    spooling: Spooling | None
    own: OwnHistory
    own_parts: Iterator[DraftPart | None]
    last_lsn: int
    is_own_done: bool = False
    place: int = 0
    forwarded: int = 0
    left: Counter[str] = field(default_factory=Counter)
    paused_at: int = 0

    @property
    def is_finished(self) -> bool:
        return self.is_own_done and self.place >= self.last_lsn

    def step(self, node: Node, now: int) -> None:
        if not self.is_own_done:
            self._prepare_some()
        elif self.place < self.last_lsn:
            self._judge_some(node, now)

    def _prepare_some(self) -> None:
        looked = 0
        before = self.preparation.checked
        for part in self.own_parts:
            if part is not None:
                self.preparation.take(part)
            looked += part is None
            if looked >= ENVELOPES_AT_ONCE or self.preparation.checked - before >= OBJECTS_AT_ONCE:
                return
        self.is_own_done = True

    def _judge_some(self, node: Node, now: int) -> None:
        roster = load_roster(node)
        found = node.store.knowledge.forwardable(
            self.partner, roster.own_id, self.place, self.last_lsn, self.since, FORWARDED_ENVELOPES_MAX
        )
        some = forwarding.some_of(found)
        for one in some:
            judged = forwarding.judge(node, roster, self.partner, one, now)
            if isinstance(judged, str):
                self.left.update([judged] if judged else [])
            else:
                self.forwarded += 1
        is_last = len(some) == len(found) < FORWARDED_ENVELOPES_MAX
        self.place = self.last_lsn if is_last else some[-1].lsn

    def pause(self, node: Node, now: int) -> None:
        if self.spooling is not None:
            self.spooling.pause(now)
        self.paused_at = now
        node.preparing[self.token] = self

    def end(self, now: int) -> str:
        """Returns the token under which our own waits to be sealed."""
        self.preparation.ttl_class = self.own.ttl_class or self.preparation.ttl_class
        prepared = self.preparation.end()
        if self.spooling is None or not prepared.terms.envelopes:
            if self.spooling is not None:
                self.spooling.abandon()
            return ""
        self.spooling.end_with(prepared.terms, now)
        self.spooling.close()
        return self.spooling.token

    def answer(self, token: str) -> HistoryCount:
        prepared = self.preparation.so_far()
        refused = self.own.refused + Counter(prepared.report.refusals.counts) + self.left
        return HistoryCount(
            own=prepared.report.published,
            own_envelopes=prepared.terms.envelopes,
            forwarded=self.forwarded,
            refused=[LeftAside(reason, count) for reason, count in in_order(refused)],
            markings=sorted(prepared.report.markings),
            done=self.place if self.is_own_done else 0,
            of=self.last_lsn,
            is_finished=self.is_finished,
            token=token,
        )

    def abandon(self) -> None:
        self.preparation.close()
        if self.spooling is not None:
            self.spooling.abandon()


class Forwarded(Struct, frozen=True, forbid_unknown_fields=True):
    """How far others' envelopes are handed on: looked at up to `done` of `of` in the log; how many were since it was asked for, and
    the ids of our envelopes that hold them, in order."""

    partner_id: str
    done: int
    of: int
    forwarded: int
    envelopes: list[str]
    is_finished: bool


class BeginForwarding(Request[Forwarded], frozen=True, tag="history-forward"):
    """Begin to hand on to `name` what others created `since` (unix seconds): what is held now, and later what is said about that."""

    name: str
    since: Instant = 0

    def run(self, node: Node, now: int, progress: Progress) -> Forwarded:
        partner = find_partner(node, self.name).partner_id
        forwarding.begin(node, partner, self.since)
        return _forwarded(node, partner)


class ForwardOn(Request[Forwarded], frozen=True, tag="history-forward-on"):
    """Hand on the next of it. The daemon does that, too."""

    name: str

    def run(self, node: Node, now: int, progress: Progress) -> Forwarded:
        partner = find_partner(node, self.name).partner_id
        if forwarding.forwarding_to(node.store, partner).is_under_way:
            forwarding.step(node, partner, now)
        return _forwarded(node, partner)


def _forwarded(node: NodeReading, partner: PartnerId) -> Forwarded:
    at = forwarding.forwarding_to(node.store, partner)
    sent = node.store.knowledge.forwarded_to(partner, at.began_lsn)
    return Forwarded(
        partner_id=partner.text,
        done=at.place,
        of=at.up_to,
        forwarded=sum(count for _, count in sent),
        envelopes=[one.text for one, _ in sent],
        is_finished=not at.is_under_way,
    )
