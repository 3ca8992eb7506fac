"""Archives: stores that hold thousands of envelopes when a world begins, made once for all seeds.

A page of keys is 4,096, an announcement 512 items, a reading of the outbox 1,000: below that a mistake at the seam shows nothing.
"""

from __future__ import annotations

import functools
from collections.abc import Callable
from dataclasses import dataclass
from random import Random

from p2pshare.envelope.envelope import DecodedEnvelope, SealedEnvelope
from p2pshare.envelope.keys import Identity
from p2pshare.identifiers import CircleId, PartnerId
from p2pshare.log.interface import ContentState, NewEnvelope
from p2pshare.node.store import Store
from simulator.authoring import Wish, write_envelope
from simulator.event_queue import START_SECONDS
from simulator.scenario import ArchiveRule

MAIN = CircleId.of("main")
BEGAN = int(START_SECONDS) - 5 * 86_400
SAME_SECOND = (3_900, 4_200)
"""Places whose envelopes share one `created`: a page of 4,096 keys ends between them, whatever their ids are."""
BODY_BYTES = 200


@dataclass(frozen=True, eq=False)
class Archive:
    """What node 0 had published before: relayed envelopes in order, and direct ones for node 1."""

    relayed: tuple[DecodedEnvelope, ...]
    direct: tuple[DecodedEnvelope, ...]


@functools.lru_cache(maxsize=4)
def archive_of(author: Identity, recipient: Identity, rule: ArchiveRule) -> Archive:
    """Returns the same archive for the same partners and rule, in every process."""
    random = Random("archive")
    made: list[DecodedEnvelope] = []
    previous = bytes(32)
    for place in range(rule.keys + rule.directs):
        is_direct = place >= rule.keys
        low, high = SAME_SECOND
        second = low if low <= place < high else place
        direct_to = (recipient.partner_id,) if is_direct else ()
        one = write_envelope(
            author,
            Wish(MAIN, BODY_BYTES, direct_to=direct_to),
            incarnation=BEGAN,
            sequence=place + 1,
            previous=previous,
            created=BEGAN + second,
            random=random,
            recipients=[recipient.card] if is_direct else (),
        )
        previous = one.envelope_id
        made.append(one)
    return Archive(tuple(made[: rule.keys]), tuple(made[rule.keys :]))


def fill_own(archive: Archive, rule: ArchiveRule, recipient: PartnerId) -> Callable[[Store], None]:
    """Returns what fills the store of node 0: nobody has acknowledged the newest `lacking`, nor the direct ones."""

    def fill(store: Store) -> None:
        known = len(archive.relayed) - rule.lacking
        store.log.author_state(BEGAN)
        store.log.add(
            [_row(one, None, awaits_first_hop=place >= known) for place, one in enumerate(archive.relayed)]
        )
        store.log.add([_row(one, None, audience=(recipient,)) for one in archive.direct])

    return fill


def fill_other(archive: Archive, rule: ArchiveRule, received_from: PartnerId) -> Callable[[Store], None]:
    """Returns what fills the store of every other node: all but the newest `lacking` relayed envelopes."""

    def fill(store: Store) -> None:
        known = archive.relayed[: len(archive.relayed) - rule.lacking]
        store.log.add([_row(one, received_from) for one in known])

    return fill


def _row(
    one: DecodedEnvelope,
    received_from: PartnerId | None,
    *,
    awaits_first_hop: bool = False,
    audience: tuple[PartnerId, ...] = (),
) -> NewEnvelope:
    return NewEnvelope(
        SealedEnvelope(one.envelope_id, one.core, one.wire),
        received_from=received_from,
        received_at=one.core.created,
        content=ContentState.NOT_OURS,
        awaits_first_hop=awaits_first_hop,
        audience=audience,
    )
