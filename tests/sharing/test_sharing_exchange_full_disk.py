"""Acknowledgements free space, so a full disk does not lose them (found by the simulator: full-disks, seed 106)."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest
from whole_nodes import NOW, World, befriend, send

from p2pshare.errors import DiskFull
from p2pshare.identifiers import EnvelopeId, PartnerId
from p2pshare.sharing.exchange import Exchange


@pytest.fixture
def world(tmp_path: Path) -> Iterator[World]:
    made = World(tmp_path)
    yield made
    made.close()


def test_what_a_partner_acknowledges_is_noted_below_the_floor_of_free_space(
    world: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    alpha, bravo = world.found("alpha"), world.found("bravo")
    befriend(alpha, bravo)
    (envelope_id,) = send(alpha, ["203.0.113.7"], to=["bravo"]).envelopes
    waiting = (len(alpha.store.log.first_hops()), len(alpha.store.log.outbox(bravo.identity.partner_id)))
    assert sum(waiting) == 1
    monkeypatch.setattr(alpha.store.database, "free_space_bytes_min", 1 << 60)
    with pytest.raises(DiskFull):
        send(alpha, ["203.0.113.8"], to=["bravo"])
    Exchange(alpha).acknowledge(bravo.identity.partner_id, [envelope_id])
    assert alpha.store.log.first_hops() == []
    assert alpha.store.log.outbox(bravo.identity.partner_id) == []


def test_an_acknowledgement_that_could_not_be_written_is_written_by_a_later_sweep(
    world: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A disk that is really full takes no transaction at all, and nobody says twice that it holds an envelope."""
    alpha, bravo = world.found("alpha"), world.found("bravo")
    befriend(alpha, bravo)
    peer = bravo.identity.partner_id
    ids = [send(alpha, [f"203.0.113.{n}"], to=["bravo"]).envelopes[0] for n in range(3)]
    exchange, log = Exchange(alpha), alpha.store.log
    exchange.begin()
    real = log.acknowledge

    def full(envelope_id: EnvelopeId, partner: PartnerId) -> None:
        raise DiskFull("no room")

    monkeypatch.setattr(log, "acknowledge", full)
    for one in ids:
        with pytest.raises(DiskFull):
            exchange.acknowledge(peer, [one, EnvelopeId(bytes(32))])
    exchange.sweep(NOW)
    assert len(log.first_hops()) == 3
    monkeypatch.setattr(log, "acknowledge", real)
    exchange.sweep(NOW)
    assert log.first_hops() == []
