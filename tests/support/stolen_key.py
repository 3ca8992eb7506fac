"""A partner whose sign key was stolen, and one who reads it, before and after the key is revoked."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

from store_rows import rows
from whole_nodes import NOW, draft, seal_unchecked, take_in

from p2pshare.envelope.card_format import Revocation
from p2pshare.envelope.envelope import decode_envelope
from p2pshare.envelope.keys import generate_operational_keys, reissue_card
from p2pshare.envelope.notice import circle_of_page, notice_of
from p2pshare.envelope.vouch import Scope, vouch
from p2pshare.identifiers import CircleId, EnvelopeId
from p2pshare.intel.observable import detect
from p2pshare.node.node import Node
from p2pshare.sharing.exchange import Exchange
from p2pshare.sharing.intake import Arrival, IntakeVerdict

MAIN = CircleId.of("main")
DAY = 86_400
SINCE = NOW + 1_000
THEN = NOW + 5_000  # when the revocation comes


@dataclass
class Theft:
    """Alpha before and after it revoked its key, and bravo, who reads it."""

    alpha: Node
    bravo: Node

    def hand(self, raw: bytes, now: int) -> tuple[str, str]:
        [verdict] = self.take_in([raw], now)
        return verdict.status.value, verdict.reason

    def take_in(self, raws: list[bytes], now: int) -> list[IntakeVerdict]:
        return take_in(self.bravo, [Arrival(raw, self.alpha.identity.partner_id) for raw in raws], now)

    def seal(self, *values: str, at: int, ahead: int = 1, **more: object) -> bytes:
        return seal_unchecked(
            self.alpha, draft(self.alpha, list(values), now=at), self.bravo, at, ahead=ahead, **more
        )  # type: ignore[arg-type]

    def revoke(self, listed: Mapping[Scope, list[bytes]], now: int = THEN) -> tuple[bytes, list[bytes]]:
        """The notices of the card that revokes, and of the pages."""
        key_id, own = self.alpha.identity.operational.sign.key_id, self.alpha.identity.partner_id
        made = vouch(own, key_id, {scope: [id_of(one) for one in raws] for scope, raws in listed.items()})
        fresh = generate_operational_keys(own, now)
        renewed = reissue_card(
            self.alpha.identity, now, operational=fresh, revoked=[Revocation(key_id, SINCE, 1, made.root)]
        )
        card = notice_of(MAIN, renewed.card.version_raw)
        return card, [notice_of(circle_of_page(own, scope), raw) for scope, raw in made.pages()]

    def settle(self, now: int) -> None:
        """What the daemon does when its roster changed, and each minute."""
        exchange = Exchange(self.bravo)
        exchange.begin()
        for _ in range(1_000):
            if not exchange.sweep(now).is_more_due:
                return
        raise AssertionError("it never ends")

    def known(self, value: str) -> bool:
        return bool(self.bravo.store.knowledge.lookup([detect(value)]))

    def ask(self, sql: str) -> list[tuple[object, ...]]:
        return rows(self.bravo.store.database.path, sql)


def id_of(raw: bytes) -> EnvelopeId:
    return decode_envelope(raw).envelope_id
