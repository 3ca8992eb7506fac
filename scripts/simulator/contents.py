"""Publications with content: indicators that are sealed, read and taken back by the product, and what must follow from them.

Random numbers come from the seed, and a stand-in takes the place of X-Wing (`identities.cheap_signatures`), for its
encapsulation draws numbers that no seed may decide. Everything else is real: the form, the wraps, the reader, the store's claims.
"""

from __future__ import annotations

from collections.abc import Collection, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from random import Random
from types import SimpleNamespace
from unittest import mock

from p2pshare.envelope import sealing
from p2pshare.envelope.envelope import DecodedEnvelope, decode_envelope
from p2pshare.envelope.payload import compress_frame
from p2pshare.errors import NotFoundError, RefusedError
from p2pshare.identifiers import EnvelopeId, PartnerId
from p2pshare.intel.authoring import indicator_object
from p2pshare.intel.marking import Tlp
from p2pshare.intel.observable import Observable, detect
from p2pshare.intel.withdrawing import Reason
from p2pshare.node.node import Node
from p2pshare.sharing import publishing
from p2pshare.sharing.drafting import DraftPart
from p2pshare.sharing.publishing import PreparedPart, prepare, seal
from p2pshare.sharing.withdrawing import WithdrawalRequest, withdraw
from simulator.authoring import numbers_drawn

VALUES = tuple(f"203.0.113.{number}" for number in range(1, 13))
"""What is claimed, by several authors (RFC 5737)."""

MICROSECONDS = 1_000_000


@dataclass(frozen=True, slots=True)
class ClaimedValue:
    """A publication of a value, or its withdrawal up to `reach` (unix seconds); `readers` can open the envelope."""

    author: PartnerId
    value: str
    envelope_id: EnvelopeId
    readers: frozenset[PartnerId]
    reach: int
    is_withdrawal: bool = False


@dataclass
class Ledger:
    """All that authors have claimed and taken back."""

    lines: list[ClaimedValue] = field(default_factory=list)

    def is_active(self, node: PartnerId, value: str, held: Collection[EnvelopeId]) -> bool | None:
        """Returns what the value has to be at a node that holds these envelopes; None where nobody claims it there."""
        found = [
            one
            for one in self.lines
            if one.value == value and one.envelope_id in held and node in one.readers
        ]
        claims = [one for one in found if not one.is_withdrawal]
        if not claims:
            return None
        gone = {
            author: max(one.reach for one in found if one.is_withdrawal and one.author == author)
            for author in {one.author for one in found if one.is_withdrawal}
        }
        return any(one.reach > gone.get(one.author, -1) for one in claims)

    def known_reach(self, author: PartnerId, value: str, held: Collection[EnvelopeId]) -> int | None:
        """Returns up to when a withdrawal by an author who holds these envelopes reaches; None where it claims nothing."""
        own = [
            one
            for one in self.lines
            if (one.author, one.value) == (author, value) and one.envelope_id in held
        ]
        claimed = [one.reach for one in own if not one.is_withdrawal]
        return max(claimed, default=None)


def publish_values(
    node: Node, values: Sequence[str], tlp: Tlp, names: Sequence[str], now: int, random: Random
) -> list[DecodedEnvelope]:
    """Publish an indicator for each value, as a person would; returns the envelopes. Raises StoreError, RefusedError."""
    own = node.identity.partner_id
    objects = [indicator_object(detect(value), author=own, created=now, tlp=tlp) for value in values]
    part = DraftPart(tlp, (compress_frame(b"[" + b",".join(objects) + b"]"),), len(objects))
    kept: list[PreparedPart] = []
    with _drawn(random):
        made = prepare(node, [part], names=names, ttl_class=4, now=now, progress=_unwatched, keep=kept.append)
        return _decoded(node, seal(node, made.terms, kept, now, _unwatched))


def take_back(node: Node, value: str, now: int, random: Random) -> list[DecodedEnvelope]:
    """Withdraw a value; returns the envelopes that say so, none where there is nothing to take back. Raises StoreError."""
    request = WithdrawalRequest(value, Reason.FALSE_POSITIVE)
    try:
        with _drawn(random):
            report = withdraw(node, request, is_dry_run=False, now=now, progress=_unwatched)
    except (NotFoundError, RefusedError):
        return []
    return _decoded(node, report.envelopes)


def is_active_at(node: Node, value: str, now: int) -> bool:
    """Returns whether the node acts upon a value, unix seconds."""
    observable: Observable = detect(value)
    rows = node.store.knowledge.effective_states([observable], now * MICROSECONDS, tlp_max=Tlp.RED)
    return observable in rows and rows[observable].is_active


def _decoded(node: Node, ids: Sequence[EnvelopeId]) -> list[DecodedEnvelope]:
    return [decode_envelope(node.store.log.wire(one) or b"") for one in ids]


@contextmanager
def _drawn(random: Random) -> Iterator[None]:
    drawn = SimpleNamespace(token_bytes=random.randbytes)
    with (
        mock.patch.object(sealing, "secrets", drawn),
        mock.patch.object(publishing, "secrets", drawn),
        numbers_drawn(random),
    ):
        yield


def _unwatched(what: str, done: int, of: int) -> None:
    """Progress that nobody watches."""
