"""Lines follow the roster: its pins, and the addresses of its cards at the door."""

from __future__ import annotations

import time
from dataclasses import replace

from p2pshare.daemon.dialling import Lines
from p2pshare.envelope.card import Card
from p2pshare.envelope.keys import create_identity
from p2pshare.errors import PeerError
from p2pshare.partners.roster import Roster, RosterEntry
from p2pshare.peering.interface import DialLimits
from p2pshare.peering.tls import TlsGate


async def test_the_door_knows_the_addresses_on_linked_partners_cards_and_forgets_them() -> None:
    now = int(time.time())
    own = create_identity("own", [], now)
    alpha = create_identity("alpha", ["https://192.0.2.1:8443", "https://alpha.example:8443"], now)
    moved = create_identity("moved", ["https://[2001:db8:1:2::9]:8443"], now)
    apart = create_identity("apart", ["https://192.0.2.3:8443"], now)
    gate = TlsGate(own.operational.tls)
    lines = Lines(gate, DialLimits())
    addresses = ("192.0.2.1", "2001:db8:1:2::/64", "192.0.2.3")

    def known() -> list[bool]:
        return [gate.known_addresses.is_known(address, 0.0) for address in addresses]

    await lines.follow(
        Roster.of(
            own.partner_id,
            [
                RosterEntry(alpha.partner_id, "alpha", alpha.card),
                RosterEntry(apart.partner_id, "apart", apart.card, has_link=False),
            ],
        )
    )
    assert known() == [True, False, False]
    await lines.follow(Roster.of(own.partner_id, [RosterEntry(moved.partner_id, "moved", moved.card)]))
    assert known() == [False, True, False]
    await lines.follow(Roster.of(own.partner_id, []))
    assert known() == [False, False, False]
    await lines.close()


async def test_a_certificate_that_two_cards_have_is_not_dialled_with_either() -> None:
    """One whose owner is unclear speaks for nobody: at mallory's address, too, carol's server would have answered."""
    now = int(time.time())
    own, carol, mallory = (
        create_identity(name, [f"https://192.0.2.{number}:8443"], now)
        for number, name in enumerate(("own", "carol", "mallory"), 1)
    )
    gate = TlsGate(own.operational.tls)
    lines = Lines(gate, DialLimits())
    others = carol.card.tls_certificates
    both = replace(mallory.card, tls_certificates=(*others, *mallory.card.tls_certificates))

    async def dialled(card: Card) -> list[tuple[bytes, ...]]:
        entries = [
            RosterEntry(carol.partner_id, "carol", carol.card),
            RosterEntry(mallory.partner_id, "mallory", card),
        ]
        await lines.follow(Roster.of(own.partner_id, entries))
        found = []
        for peer in (carol.partner_id, mallory.partner_id):
            try:
                found.append(lines.client(peer).address.certificates)
            except PeerError as error:
                assert error.reason == "no-address"
                found.append(())
        return found

    assert await dialled(mallory.card) == [others, mallory.card.tls_certificates]
    assert await dialled(both) == [(), mallory.card.tls_certificates]
    assert await dialled(replace(mallory.card, tls_certificates=others)) == [(), ()]
    assert await dialled(mallory.card) == [others, mallory.card.tls_certificates]
    await lines.close()
