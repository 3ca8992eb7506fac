"""A store that was put back from yesterday's backup: what its owner published since comes home, and is its own again."""

from __future__ import annotations

import shutil
from collections.abc import Sequence
from pathlib import Path

import pytest
from store_rows import rows as stored_rows
from whole_nodes import NOW, World, befriend, draft, quiet, seal_unchecked, send, take_in, wire_of

from p2pshare.envelope.envelope import Mode, decode_envelope
from p2pshare.envelope.keys import generate_operational_keys, reissue_card
from p2pshare.envelope.own_audience import addressed_to
from p2pshare.identifiers import EnvelopeId
from p2pshare.intel.marking import Tlp
from p2pshare.intel.observable import detect
from p2pshare.intel.withdrawing import Reason
from p2pshare.node.node import Node, close_node
from p2pshare.operations.cards import RevokeKey
from p2pshare.queries.status import status
from p2pshare.sharing.exchange import Exchange, ReceivedBody
from p2pshare.sharing.intake import Arrival, IntakeStatus
from p2pshare.sharing.partners import apply_card_update
from p2pshare.sharing.withdrawing import WithdrawalReport, WithdrawalRequest, withdraw

DAY = 86_400
SHARED, OTHER, SECRET = "203.0.113.9", "evil.example", "secret.example"


class Alpha:
    """An author with partners bravo and charlie, who is backed up and put back."""

    def __init__(self, world: World) -> None:
        self.world = world
        self.node, self.bravo, self.charlie = (world.found(name) for name in ("alpha", "bravo", "charlie"))
        nodes = (self.node, self.bravo, self.charlie)
        for one in nodes:
            for other in nodes:
                if one is not other:
                    befriend(one, other)

    def back_up(self) -> None:
        self.node.store.database.checkpoint()
        shutil.copyfile(self._path, self._path.with_suffix(".backup"))

    def put_back(self) -> None:
        close_node(self.node)
        for suffix in ("-wal", "-shm"):
            self._path.with_name(f"store.sqlite{suffix}").unlink(missing_ok=True)
        shutil.copyfile(self._path.with_suffix(".backup"), self._path)
        self.node = self.world.open("alpha")

    @property
    def _path(self) -> Path:
        return self.node.home / "store.sqlite"

    def comes_home(self, partner: Node, *envelopes: EnvelopeId, now: int = NOW + DAY) -> list[IntakeStatus]:
        """What `partner` holds is handed over where the exchange of both lets it."""
        exchange = Exchange(partner)
        wires = [exchange.wire(self.node.identity.partner_id, one) for one in envelopes]
        arrivals = [Arrival(one, partner.identity.partner_id) for one in wires if one is not None]
        return [verdict.status for verdict in take_in(self.node, arrivals, now)]


@pytest.fixture
def alpha(world: World) -> Alpha:
    return Alpha(world)


def hand_over(author: Node, reader: Node, envelopes: Sequence[EnvelopeId]) -> None:
    arrivals = [Arrival(wire_of(author, one), author.identity.partner_id) for one in envelopes]
    assert {verdict.status for verdict in take_in(reader, arrivals, NOW + DAY)} == {IntakeStatus.HELD}


def taken_back(node: Node, what: str, *, now: int = NOW + DAY, to: Sequence[str] = ()) -> WithdrawalReport:
    request = WithdrawalRequest(what, Reason.FALSE_POSITIVE, names=to)
    return withdraw(node, request, is_dry_run=False, now=now, progress=quiet)


def claims(node: Node, value: str) -> list[tuple[str, bool]]:
    names = node.store.partners.names()
    observable = detect(value)
    found = node.store.knowledge.lookup([observable]).get(observable, ())
    return [(names.get(claim.author, "we"), claim.is_revoked) for claim in found]


def test_what_was_published_after_the_backup_comes_home_is_read_counts_and_is_withdrawn(alpha: Alpha) -> None:
    alpha.back_up()
    [one] = send(alpha.node, [SHARED], to=["bravo", "charlie"]).envelopes
    hand_over(alpha.node, alpha.bravo, [one])
    hand_over(alpha.node, alpha.charlie, [one])
    alpha.put_back()
    assert claims(alpha.node, SHARED) == []
    feed = stored_rows(alpha.node.home / "store.sqlite", "SELECT feed_id FROM v1_feed")
    assert alpha.comes_home(alpha.bravo, one) == [IntakeStatus.HELD]
    assert claims(alpha.node, SHARED) == [("alpha", False)]
    [row] = alpha.node.store.knowledge.indicators((NOW + DAY) * 1_000_000, tlp_max=Tlp.RED)
    assert (row.is_active, row.claims) == (True, 1)
    gone = taken_back(alpha.node, SHARED)
    assert (gone.recipients, gone.skipped) == ({"bravo", "charlie"}, {})
    assert stored_rows(alpha.node.home / "store.sqlite", "SELECT feed_id FROM v1_feed") != feed
    hand_over(alpha.node, alpha.bravo, gone.envelopes)
    assert claims(alpha.bravo, SHARED) == [("alpha", True)]
    assert claims(alpha.node, SHARED) == [("alpha", True)]


def test_what_came_home_is_shown_by_day_and_title_before_the_key_is_revoked(alpha: Alpha) -> None:
    """It may be ours or a thief's: a person says which, and knows it by what is in it."""
    alpha.back_up()
    [one] = send(alpha.node, [SHARED], to=["bravo"], now=NOW + 10).envelopes
    hand_over(alpha.node, alpha.bravo, [one])
    alpha.put_back()
    assert alpha.comes_home(alpha.bravo, one) == [IntakeStatus.HELD]
    key = alpha.node.identity.operational.sign.key_id.text
    asked = RevokeKey(key, "lost", dry_run=True).run(alpha.node, NOW + DAY, quiet)
    assert (asked.vouched, asked.not_vouched) == (0, 1)
    [home] = asked.not_vouched_newest
    assert (home.envelope_id, home.created) == (one.text, "2027-01-15T08:00:10Z")
    assert SHARED in home.title


def test_a_withdrawal_that_was_forgotten_comes_home_and_counts(alpha: Alpha) -> None:
    [one] = send(alpha.node, [SHARED], to=["bravo"]).envelopes
    hand_over(alpha.node, alpha.bravo, [one])
    alpha.back_up()
    gone = taken_back(alpha.node, SHARED, now=NOW + 10).envelopes
    hand_over(alpha.node, alpha.bravo, gone)
    alpha.put_back()
    assert claims(alpha.node, SHARED) == [("alpha", False)]
    assert alpha.comes_home(alpha.bravo, *gone) == [IntakeStatus.HELD]
    assert claims(alpha.node, SHARED) == [("alpha", True)]


def test_what_an_author_seals_has_a_row_for_it_that_names_no_partner(alpha: Alpha) -> None:
    [one] = send(alpha.node, [SHARED], to=["bravo"]).envelopes
    assert decode_envelope(wire_of(alpha.node, one)).core.slots == 2
    assert alpha.node.store.log.audience(one) == {alpha.bravo.identity.partner_id: False}
    assert status(alpha.node, NOW).alarms == []


def test_the_audience_of_what_comes_home_is_told_by_its_hints(alpha: Alpha) -> None:
    """To nobody more than the object went to."""
    alpha.back_up()
    [one] = send(alpha.node, [OTHER], to=["bravo"], tlp=Tlp.AMBER).envelopes
    hand_over(alpha.node, alpha.charlie, [one])  # a relay
    alpha.put_back()
    alpha.comes_home(alpha.charlie, one)
    assert alpha.node.store.log.audience(one) == {alpha.bravo.identity.partner_id: False}
    gone = taken_back(alpha.node, OTHER)
    assert gone.recipients == {"bravo"}
    assert list(gone.skipped.values()) == [
        "audience-incomplete"
    ]  # a partner whose card the backup lacks is not found


def test_a_partner_that_changed_its_keys_is_found_by_those_it_had_and_by_those_it_has(alpha: Alpha) -> None:
    [earlier] = send(alpha.node, [SHARED], to=["bravo"]).envelopes
    bravo = alpha.bravo.identity
    newer = reissue_card(bravo, NOW + 1, operational=generate_operational_keys(bravo.partner_id, NOW))
    assert apply_card_update(alpha.node, bravo.partner_id, newer.card.raw, NOW + 2)
    [later] = send(alpha.node, [OTHER], to=["bravo"], now=NOW + 3).envelopes
    for one in (earlier, later):
        cards, decoded = [alpha.charlie.identity.card, newer.card], decode_envelope(wire_of(alpha.node, one))
        assert addressed_to(alpha.node.identity, decoded, cards) == [newer.card]


def test_a_recipient_hands_a_direct_envelope_back_to_its_author_and_to_nobody_else(alpha: Alpha) -> None:
    alpha.back_up()
    [one] = send(alpha.node, [SECRET], to=["bravo"], tlp=Tlp.RED).envelopes
    hand_over(alpha.node, alpha.bravo, [one])
    alpha.put_back()
    exchange = Exchange(alpha.bravo)
    assert exchange.wire(alpha.charlie.identity.partner_id, one) is None
    [bravos] = exchange.pair_keys(alpha.node.identity.partner_id)
    assert len(bravos.keys) == 1
    assert Exchange(alpha.node).pair_keys(alpha.bravo.identity.partner_id) == []
    assert alpha.comes_home(alpha.bravo, one) == [IntakeStatus.HELD]
    assert Exchange(alpha.node).pair_keys(alpha.bravo.identity.partner_id) == [bravos]
    assert claims(alpha.node, SECRET) == [("alpha", False)]
    gone = taken_back(alpha.node, SECRET)
    assert gone.recipients == {"bravo"}
    entry = alpha.node.store.log.entry(gone.envelopes[0])
    assert entry is not None
    assert entry.mode == Mode.DIRECT


def test_a_direct_envelope_of_several_goes_again_to_those_who_may_lack_it(alpha: Alpha) -> None:
    alpha.back_up()
    [one] = send(alpha.node, [SECRET], to=["bravo", "charlie"], tlp=Tlp.RED).envelopes
    hand_over(alpha.node, alpha.bravo, [one])
    alpha.put_back()
    exchange, bravo, charlie = (
        Exchange(alpha.node),
        alpha.bravo.identity.partner_id,
        alpha.charlie.identity.partner_id,
    )
    exchange.begin()
    wire = Exchange(alpha.bravo).wire(alpha.node.identity.partner_id, one)
    assert wire is not None
    [held] = exchange.commit([ReceivedBody(bravo, one, wire)], NOW + DAY).held
    assert (held.received_from, set(held.direct_to or ())) == (bravo, {bravo, charlie})
    assert alpha.node.store.log.audience(one) == {bravo: True, charlie: False}
    assert exchange.outbox(bravo, 9) == ()
    assert [item.envelope_id for item in exchange.outbox(charlie, 9)] == [one]


def test_a_direct_envelope_in_our_name_that_a_stranger_to_it_hands_over_makes_it_no_recipient(
    alpha: Alpha,
) -> None:
    direct = seal_unchecked(alpha.node, draft(alpha.node, [OTHER], Tlp.RED), alpha.bravo, mode=Mode.DIRECT)
    charlie = alpha.charlie.identity.partner_id
    [verdict] = take_in(alpha.node, [Arrival(direct, charlie)], NOW)
    assert verdict.envelope_id is not None
    assert list(alpha.node.store.log.audience(verdict.envelope_id)) == [alpha.bravo.identity.partner_id]
    assert Exchange(alpha.node).wire(charlie, verdict.envelope_id) is None


def test_what_has_not_come_home_yet_is_missed_in_our_own_name(alpha: Alpha) -> None:
    send(alpha.node, ["first.example"], to=["bravo"])
    alpha.back_up()
    envelopes = [*send(alpha.node, ["second.example"], to=["bravo"]).envelopes]
    envelopes += send(alpha.node, ["third.example"], to=["bravo"]).envelopes
    hand_over(alpha.node, alpha.bravo, envelopes)
    alpha.put_back()
    alpha.comes_home(alpha.bravo, envelopes[1])
    [alarm] = [one for one in status(alpha.node, NOW + 2 * DAY).alarms if one.word == "sequence-gap"]
    assert alarm.message.startswith("1 of the envelopes that this node sealed are not here: number 2 ")
    alpha.comes_home(alpha.bravo, envelopes[0])
    assert [one.word for one in status(alpha.node, NOW + 2 * DAY).alarms if one.word == "sequence-gap"] == []
