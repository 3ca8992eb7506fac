"""Dialogues of two stores, run to their end, and the sets they start from."""

from __future__ import annotations

import hashlib
from dataclasses import dataclass, field
from typing import Any

from p2pshare.gossip.negentropy.key_index import SortedKeys, key_of
from p2pshare.gossip.negentropy.negentropy import Initiator, KeySource, finish, respond
from p2pshare.limits import SYNC_FRAME_BYTES_MAX

START = 1_700_000_000


@dataclass
class Dialogue:
    """What was said, in order, and what the initiator learnt."""

    messages: list[tuple[str, bytes]] = field(default_factory=list)
    have: set[bytes] = field(default_factory=set)
    need: set[bytes] = field(default_factory=set)
    rounds: int = 0

    @property
    def bytes_sent(self) -> int:
        return sum(len(raw) for _, raw in self.messages)


def converse(
    client: KeySource,
    server: KeySource,
    *,
    server_frame: int = SYNC_FRAME_BYTES_MAX,
    created_min: int = 0,
    **options: Any,
) -> Dialogue:
    """Let `client` find its difference to `server`; no message of either may exceed its sender's frame."""
    initiator = Initiator(client, created_min=created_min, **options)
    client_frame = options.get("frame_bytes_max", SYNC_FRAME_BYTES_MAX)
    dialogue = Dialogue()
    message: bytes | None = initiator.begin()
    while message is not None:
        assert len(message) <= client_frame
        answer = finish(respond(server, message, created_min=created_min, frame_bytes_max=server_frame))
        assert len(answer) <= server_frame
        dialogue.messages += [("c", message), ("s", answer)]
        message = finish(initiator.receive(answer))
    dialogue.have, dialogue.need, dialogue.rounds = set(initiator.have), initiator.need, initiator.rounds
    return dialogue


def ids_of(keys: set[bytes]) -> set[bytes]:
    return {key[8:] for key in keys}


def numbered_key(number: int, created: int) -> bytes:
    return key_of(created, hashlib.sha256(number.to_bytes(4, "big")).digest())


def spread(count: int, *, first: int = 0, created: int = START, a_second: int = 3) -> set[bytes]:
    """`count` keys with ids made from numbers, `a_second` of them in each second."""
    return {numbered_key(first + number, created + number // a_second) for number in range(count)}


def index_of(keys: set[bytes]) -> SortedKeys:
    return SortedKeys(sorted(keys))
