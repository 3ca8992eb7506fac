"""What the thief of a partner's sign key, or of nothing but its certificate, can do to it."""

from __future__ import annotations

from dataclasses import replace

import pytest
from whole_nodes import NOW, World, befriend, draft, seal_unchecked, send, take_in, wire_of

from p2pshare.envelope.card_format import Revocation
from p2pshare.envelope.keys import generate_operational_keys, reissue_card
from p2pshare.node.node import Node, note_config
from p2pshare.sharing.intake import Arrival, IntakeStatus, IntakeVerdict
from p2pshare.sharing.partners import apply_card_update

DAY = 86_400
HIGHEST = 2**53 - 1


@pytest.fixture
def pair(world: World) -> tuple[Node, Node]:
    alpha, bravo = world.found("alpha"), world.found("bravo")
    befriend(alpha, bravo)
    befriend(bravo, alpha)
    return alpha, bravo


def bear(node: Node, wire: bytes, received_from: Node, now: int) -> IntakeVerdict:
    [verdict] = take_in(node, [Arrival(wire, received_from.identity.partner_id)], now)
    return verdict


def stolen(alpha: Node, bravo: Node, incarnation: int, now: int) -> bytes:
    """An envelope that the thief of alpha's sign key seals."""
    return seal_unchecked(alpha, draft(alpha, ["evil.example"], now=now), bravo, now, incarnation=incarnation)


# --- incarnations ----------------------------------------------------------------------------------


def test_one_envelope_with_the_highest_number_does_not_end_an_identity(
    world: World, pair: tuple[Node, Node]
) -> None:
    """It was taken in by everybody and came home: from the next start on alpha could not seal at all, also after a
    revocation."""
    alpha, bravo = pair
    evil = stolen(alpha, bravo, HIGHEST, NOW)
    for node, by in ((bravo, alpha), (alpha, bravo)):
        verdict = bear(node, evil, by, NOW)
        assert (verdict.status, verdict.reason) == (IntakeStatus.REFUSED, "incarnation-ahead")
    alpha = world.reopen("alpha")
    good = wire_of(alpha, send(alpha, ["good.example"], to=["bravo"], now=NOW + 30).envelopes[0])
    assert bear(bravo, good, alpha, NOW + 31).status is IntakeStatus.HELD


@pytest.mark.parametrize("ahead", [DAY - 1, DAY, DAY + 1, 2 * DAY - 1, 2 * DAY])
def test_a_thief_just_below_a_limit_does_not_mute_the_owner(
    world: World, pair: tuple[Node, Node], ahead: int
) -> None:
    """With one limit for reader and author the owner would have had to go beyond it."""
    alpha, bravo = pair
    evil = stolen(alpha, bravo, NOW + ahead, NOW)
    assert bear(bravo, evil, alpha, NOW).status is bear(alpha, evil, bravo, NOW).status is IntakeStatus.HELD
    for start in range(3):
        alpha = world.reopen("alpha")
        good = send(alpha, [f"good{start}.example"], to=["bravo"], now=NOW).envelopes[0]
        assert bear(bravo, wire_of(alpha, good), alpha, NOW).status is IntakeStatus.HELD
    assert not bravo.store.log.sequence_forks()


@pytest.mark.parametrize("is_revoked", [False, True])
def test_what_a_revoked_key_signed_moves_our_numbers_no_more(
    world: World, pair: tuple[Node, Node], is_revoked: bool
) -> None:
    alpha, bravo = pair
    bear(alpha, stolen(alpha, bravo, NOW + DAY, NOW), bravo, NOW)
    key_id, now = alpha.identity.operational.sign.key_id, NOW + 20
    renewed = reissue_card(
        alpha.identity,
        now,
        operational=generate_operational_keys(alpha.identity.partner_id, now),
        revoked=[Revocation(key_id, NOW, 1, 0, 1)] if is_revoked else [],
    )
    alpha = replace(world.reopen("alpha"), identity=renewed)
    note_config(alpha)
    assert apply_card_update(bravo, renewed.partner_id, renewed.card.raw, now)
    good = send(alpha, ["good.example"], to=["bravo"], now=now).envelopes[0]
    assert alpha.store.log.author_state(now).incarnation == (now if is_revoked else NOW + DAY + 1)
    assert bear(bravo, wire_of(alpha, good), alpha, now).status is IntakeStatus.HELD
