"""A publication is one thing over its envelopes: they say so inside, to those who may read them."""

from __future__ import annotations

from dataclasses import replace

import pytest
from whole_nodes import NOW, World, befriend, draft, publish, quiet, send, wire_of

from p2pshare.envelope.envelope import decode_envelope
from p2pshare.envelope.payload import PartPlace, PayloadHeader, decode_payload
from p2pshare.envelope.sealing import open_envelope
from p2pshare.envelope.verification import verify_envelope
from p2pshare.errors import AuthorError
from p2pshare.identifiers import EnvelopeId
from p2pshare.intel.marking import Tlp
from p2pshare.intel.withdrawing import Reason
from p2pshare.node.node import Node
from p2pshare.sharing import publishing
from p2pshare.sharing.withdrawing import WithdrawalRequest, withdraw


@pytest.fixture
def pair(world: World) -> tuple[Node, Node]:
    alpha, bravo = world.found("alpha"), world.found("bravo")
    befriend(alpha, bravo)
    befriend(bravo, alpha)
    return alpha, bravo


def header_of(author: Node, reader: Node, envelope_id: EnvelopeId, now: int = NOW) -> PayloadHeader:
    """As `reader` opens it."""
    card = author.identity.card
    verified = verify_envelope(decode_envelope(wire_of(author, envelope_id)), card, now)
    opened = open_envelope(reader.identity, verified, card)
    assert opened is not None
    return decode_payload(opened.payload)[0]


def publish_parts(node: Node, count: int) -> list[EnvelopeId]:
    markings = (Tlp.CLEAR, Tlp.GREEN, Tlp.AMBER)
    parts = [draft(node, [f"198.51.100.{number}"], markings[number % 3]) for number in range(count)]
    report = publish(node, parts, names=["bravo"], ttl_class=4, is_dry_run=False, now=NOW, progress=quiet)
    return report.envelopes


def test_the_envelopes_of_one_publication_say_so_and_which_they_are(pair: tuple[Node, Node]) -> None:
    headers = [header_of(*pair, one) for one in publish_parts(pair[0], 3)]
    assert [one.part for one in headers] == [PartPlace(1, 3), PartPlace(2, 3), PartPlace(3, 3)]
    assert len({one.publication for one in headers}) == 1


def test_what_fits_one_envelope_is_a_publication_of_its_own(pair: tuple[Node, Node]) -> None:
    headers = [header_of(*pair, send(pair[0], ["evil.example"], to=["bravo"]).envelopes[0]) for _ in range(2)]
    assert [one.part for one in headers] == [PartPlace(1, 1)] * 2
    assert headers[0].publication != headers[1].publication, "nobody links what was published twice"


def test_a_withdrawal_is_a_publication_too(pair: tuple[Node, Node]) -> None:
    alpha, bravo = pair
    (sent,) = send(alpha, ["evil.example"], to=["bravo"]).envelopes
    asked = WithdrawalRequest("evil.example", Reason.MISTAKE)
    (told,) = withdraw(alpha, asked, is_dry_run=False, now=NOW + 10, progress=quiet).envelopes
    header = header_of(alpha, bravo, told, NOW + 10)
    assert header.part == PartPlace(1, 1)
    assert header.publication != header_of(alpha, bravo, sent).publication


def test_more_parts_than_a_publication_may_have_seal_nothing(
    pair: tuple[Node, Node], monkeypatch: pytest.MonkeyPatch
) -> None:
    """No partner would read an envelope that says [1, 65536]."""
    monkeypatch.setattr(publishing, "PUBLICATION_PARTS_MAX", 2)
    assert len(publish_parts(pair[0], 2)) == 2
    with pytest.raises(AuthorError) as caught:
        publish_parts(pair[0], 3)
    assert caught.value.reason == "oversized"
    assert pair[0].store.log.counts().held == 2


def test_a_header_says_how_many_objects_there_are_and_not_what_a_part_claims(
    pair: tuple[Node, Node],
) -> None:
    """Parts come over the control socket; beyond the limit of its kind no partner reads the envelope at all."""
    part = replace(draft(pair[0], ["evil.example", "other.example"]), objects=10**9)
    report = publish(pair[0], [part], names=["bravo"], ttl_class=4, is_dry_run=False, now=NOW, progress=quiet)
    assert header_of(*pair, report.envelopes[0]).objects == 2
