"""Member lists as a daemon fetches them: what a partner can make it hold."""

from __future__ import annotations

from typing import Any

from p2pshare.daemon.member_lists import MemberListRounds
from p2pshare.identifiers import CircleId, PartnerId
from p2pshare.limits import INTRODUCTION_BYTES_MAX, MIB

PEER = PartnerId(bytes(32))
CHAIN_BYTES = 4 * MIB


class Generous:
    """A partner that gives out a chain of the largest size for each of a thousand members."""

    def __init__(self) -> None:
        self.given = 0

    def client_of(self, peer: PartnerId) -> Generous:
        return self

    async def members(self, circle: CircleId) -> bytes:
        return b"list"

    async def chain(self, member: PartnerId) -> bytes:
        self.given += 1
        return bytes(CHAIN_BYTES)


class Listed:
    """What the exchange says of its list, and the file that is made of what came."""

    def cards_missing(self, list_raw: bytes) -> list[PartnerId]:
        return [PartnerId(number.to_bytes(32, "big")) for number in range(1_024)]

    def introduction_file(self, list_raw: bytes, cards: list[bytes]) -> bytes:
        return len(cards).to_bytes(4, "big")


async def read(function: Any, *arguments: Any) -> Any:
    return function(*arguments)


async def test_no_more_cards_are_fetched_than_a_file_has_room_for() -> None:
    partner: Any = Generous()
    exchange: Any = Listed()
    rounds = MemberListRounds(exchange, partner, read, read)
    file = await rounds.fetch_file(PEER, CircleId.of("main"), lambda *_: None)
    fitting = INTRODUCTION_BYTES_MAX // CHAIN_BYTES
    assert int.from_bytes(file, "big") == fitting
    assert partner.given == fitting + 1, "4 GiB else"
