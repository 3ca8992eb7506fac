"""What a partner hands on of others, and what one who lies about it can do (docs/envelope.md, "Forwarded")."""

from __future__ import annotations

import base64
import json
from collections import Counter
from collections.abc import Sequence
from dataclasses import replace
from itertools import count
from pathlib import Path
from typing import Any

import pytest
from store_rows import rows
from whole_nodes import (
    NOW,
    READERS,
    World,
    befriend,
    draft,
    raw_draft,
    seal_unchecked,
    send,
    take_in,
    wire_of,
)

from p2pshare.envelope import sealing
from p2pshare.envelope.card import believe_chain, fingerprint
from p2pshare.envelope.card_format import Revocation
from p2pshare.envelope.encoding import pack
from p2pshare.envelope.envelope import (
    DOMAIN_SIGNATURE,
    Mode,
    decode_envelope,
    digests_of,
    encode_core,
    encode_envelope,
)
from p2pshare.envelope.forwarded import decode_forwarded, encode_forwarded
from p2pshare.envelope.keys import generate_operational_keys, reissue_card
from p2pshare.envelope.payload import ALONE, PayloadHeader
from p2pshare.envelope.sealing import content_key_of
from p2pshare.envelope.verification import verified_before
from p2pshare.errors import PeerError
from p2pshare.identifiers import CircleId, EnvelopeId, PublicationId
from p2pshare.intel.authoring import indicator_object
from p2pshare.intel.marking import TLP2_IDS, Tlp
from p2pshare.intel.observable import detect
from p2pshare.intel.withdrawing import Reason
from p2pshare.log.interface import EnvelopeOrigin
from p2pshare.node.node import Node
from p2pshare.sharing import distrusting, forwarded_reader, intake, payload_kinds
from p2pshare.sharing.drafting import DraftPart
from p2pshare.sharing.exchange import Exchange, ReceivedBody
from p2pshare.sharing.intake import Arrival, IntakeStatus
from p2pshare.sharing.partners import add_partner, apply_card_update, freeze_partner
from p2pshare.sharing.payload_kinds import ReceivedPayload
from p2pshare.sharing.reading import ContentReader, read_all
from p2pshare.sharing.withdrawing import WithdrawalRequest, withdraw

Three = tuple[Node, Node, Node]
PUBLICATION = PublicationId(bytes(16))
DAY = 86_400
ahead = count(1)


def id_of(wire: bytes) -> EnvelopeId:
    return decode_envelope(wire).envelope_id


def said(alpha: Node, bravo: Node, *values: str, tlp: Tlp = Tlp.GREEN, **more: Any) -> bytes:
    """An envelope that alpha sealed for bravo."""
    return seal_unchecked(alpha, draft(alpha, list(values), tlp), bravo, ahead=next(ahead), **more)


def key_of(reader: Node, author: Node, wire: bytes) -> bytes:
    found = content_key_of(reader.identity, verified_before(decode_envelope(wire), author.card), author.card)
    assert found is not None
    return found


def frame_of(bravo: Node, alpha: Node, wire: bytes) -> bytes:
    return encode_forwarded(wire, key_of(bravo, alpha, wire))


def outer(
    bravo: Node, charlie: Node, frames: Sequence[bytes], *, says: int | None = None, **more: Any
) -> bytes:
    """An envelope of bravo's in which these frames are handed on to charlie."""
    number = len(frames) if says is None else says
    header = PayloadHeader("forwarded", NOW, "TLP:GREEN", number, PUBLICATION, ALONE)
    part = DraftPart(Tlp.GREEN, tuple(frames), number)
    return seal_unchecked(bravo, part, charlie, header=header, ahead=next(ahead), **more)


def hand(charlie: Node, bravo: Node, frames: Sequence[bytes], now: int = NOW, **more: Any) -> dict[str, int]:
    """What charlie refuses of it, all of which stands against bravo."""
    before = refusals(charlie, bravo)
    [verdict] = take_in(charlie, [Arrival(outer(bravo, charlie, frames, **more), bravo.card.partner_id)], now)
    assert verdict.status is IntakeStatus.HELD
    after = refusals(charlie, bravo)
    assert sum(charlie.store.partners.refusals().values()) == sum(after.values()), "nobody else is blamed"
    return {
        reason: number - before.get(reason, 0)
        for reason, number in after.items()
        if number > before.get(reason, 0)
    }


def refusals(node: Node, partner: Node) -> dict[str, int]:
    found = rows(
        node.store.database.path,
        """SELECT r.reason, r.count FROM refusal r JOIN organisation o ON o.id = r.organisation
        WHERE o.partner_id = ?""",
        bytes(partner.card.partner_id),
    )
    return dict(found)


def authors(node: Node, value: str) -> list[str]:
    found = node.store.knowledge.lookup([detect(value)])
    return [claim.author.text for claims in found.values() for claim in claims if not claim.is_revoked]


def test_what_is_handed_on_is_its_authors_and_who_hands_on_pays(three: Three) -> None:
    alpha, bravo, charlie = three
    wire = said(alpha, bravo, *(f"v{n}.example" for n in range(300)))
    assert hand(charlie, bravo, [frame_of(bravo, alpha, wire)]) == {}
    assert authors(charlie, "v7.example") == [alpha.card.partner_id.text]
    log, one = charlie.store.log, id_of(wire)
    [claim] = charlie.store.knowledge.lookup([detect("v7.example")])[detect("v7.example")]
    assert claim.envelope_id == one
    # no number of alpha's, no quota, no fork, and nothing that gossip sees
    assert log.gap_totals() == []
    assert log.sequence_forks() == []
    assert {author for author, _ in log.carried()} == {bravo.card.partner_id}
    assert max(log.costs().values()) >= 300 * 100
    assert log.wire(one) is None
    assert log.is_seen([one]) == set()
    assert one not in [
        key[1]
        for circle in charlie.config.gossip.circles
        for key in log.keys(decode_envelope(wire).core.circle, 4)
    ]
    # handed on twice, or by two, it is read once
    assert hand(charlie, bravo, [frame_of(bravo, alpha, wire)] * 2) == {}
    assert len(authors(charlie, "v7.example")) == 1


def test_what_comes_by_gossip_after_it_was_handed_on_is_carried_and_not_read_twice(three: Three) -> None:
    alpha, bravo, charlie = three
    wire = said(alpha, bravo, "late.example")
    hand(charlie, bravo, [frame_of(bravo, alpha, wire)])
    exchange = Exchange(charlie)
    exchange.begin()
    outcome = exchange.commit([ReceivedBody(alpha.card.partner_id, id_of(wire), wire)], NOW)
    assert [(one.item.envelope_id, one.received_from) for one in outcome.held] == [
        (id_of(wire), alpha.card.partner_id)
    ]
    read_all(charlie, READERS, NOW)
    assert charlie.store.log.wire(id_of(wire)) == wire
    assert charlie.store.log.carried()[alpha.card.partner_id, decode_envelope(wire).core.circle] == len(wire)
    assert len(authors(charlie, "late.example")) == 1
    frames = rows(charlie.store.database.path, "SELECT count(*) FROM frame")
    assert frames == [(1,)]
    assert exchange.commit([ReceivedBody(alpha.card.partner_id, id_of(wire), wire)], NOW).held == ()


def test_one_that_was_for_us_too_is_missed_until_it_comes_itself(three: Three) -> None:
    """Its number stands in our row, and who hands it on moves none: two came before it, which nobody has brought."""
    alpha, bravo, charlie = three
    wire = said(alpha, charlie, "ours.example", recipient_sequence=3)
    frame = encode_forwarded(wire, key_of(charlie, alpha, wire))
    assert hand(charlie, bravo, [frame]) == {}
    assert charlie.store.log.gap_totals() == []
    take_in(charlie, [Arrival(wire, alpha.card.partner_id)], NOW)
    [gap] = charlie.store.log.gap_totals()
    assert (gap.author, gap.numbers) == (alpha.card.partner_id, 2)
    assert rows(charlie.store.database.path, "SELECT count(*) FROM frame") == [(1,)]


@pytest.mark.parametrize("is_read", [False, True], ids=["unread", "carried"])
def test_what_is_carried_unread_is_read_with_the_key_that_is_handed_over(three: Three, is_read: bool) -> None:
    """Gossip has brought all of a history as ciphertext before its keys come, or while they do."""
    alpha, bravo, charlie = three
    wire = said(alpha, bravo, "carried.example")
    bring = take_in if is_read else intake.take_in
    bring(charlie, [Arrival(wire, alpha.card.partner_id)], NOW)
    assert authors(charlie, "carried.example") == []
    assert hand(charlie, bravo, [frame_of(bravo, alpha, wire)]) == {}
    assert authors(charlie, "carried.example") == [alpha.card.partner_id.text]
    assert charlie.store.log.counts().unread == 0


# --- lies ------------------------------------------------------------------------------------------


def test_a_wrong_key_opens_nothing_and_costs_the_good_one_beside_it_nothing(three: Three) -> None:
    alpha, bravo, charlie = three
    wires = [said(alpha, bravo, f"key{n}.example") for n in range(3)]
    frames = [frame_of(bravo, alpha, wire) for wire in wires]
    frames[1] = encode_forwarded(wires[1], key_of(bravo, alpha, wires[0]))
    assert hand(charlie, bravo, frames) == {"commitment-mismatch": 1}
    assert [len(authors(charlie, f"key{n}.example")) for n in range(3)] == [1, 0, 1]


def test_a_forwarder_cannot_make_another_text_of_it(three: Three) -> None:
    """The two-key salamander: a body that opens under a second key has another commitment than the author signed."""
    alpha, bravo, charlie = three
    honest = decode_envelope(said(alpha, bravo, "honest.example"))
    lie = decode_envelope(said(bravo, charlie, "lie.example"))
    swapped = encode_envelope(honest.core_raw, honest.wraps, lie.body[: len(honest.body)], honest.signatures)
    frames = [encode_forwarded(swapped, key_of(charlie, bravo, said(bravo, charlie, "lie.example")))]
    refused = hand(charlie, bravo, frames)
    assert sum(refused.values()) == 1
    assert set(refused) <= {"bad-signature", "bad-lengths"}
    assert authors(charlie, "lie.example") == []


def test_another_core_under_the_authors_name_is_not_its(three: Three) -> None:
    alpha, bravo, charlie = three
    wire = said(alpha, bravo, "core.example")
    decoded = decode_envelope(wire)
    key = key_of(bravo, alpha, wire)
    raw = encode_core(replace(decoded.core, created=decoded.core.created + 60))
    frames = [encode_forwarded(encode_envelope(raw, decoded.wraps, decoded.body, decoded.signatures), key)]
    # signed by the forwarder with its own key, in the author's name and with the author's key id
    signed = bravo.identity.operational.sign.sign(
        DOMAIN_SIGNATURE, digests_of(raw, decoded.wraps, decoded.body)
    )
    frames.append(encode_forwarded(encode_envelope(raw, decoded.wraps, decoded.body, signed), key))
    named = encode_core(replace(decoded.core, key_id=bravo.identity.operational.sign.key_id))
    signed = bravo.identity.operational.sign.sign(
        DOMAIN_SIGNATURE, digests_of(named, decoded.wraps, decoded.body)
    )
    frames.append(encode_forwarded(encode_envelope(named, decoded.wraps, decoded.body, signed), key))
    assert hand(charlie, bravo, frames) == {"bad-signature": 2, "unknown-key": 1}
    assert authors(charlie, "core.example") == []


def test_what_a_revoked_key_sealed_is_not_taken_from_anybody(three: Three) -> None:
    alpha, bravo, charlie = three
    wire = said(alpha, bravo, "stolen.example")
    frame = frame_of(bravo, alpha, wire)
    key_id = alpha.identity.operational.sign.key_id
    fresh = generate_operational_keys(alpha.card.partner_id, NOW + 1)
    renewed = reissue_card(alpha.identity, NOW + 1, operational=fresh, revoked=[Revocation(key_id, NOW, 1)])
    apply_card_update(charlie, alpha.card.partner_id, renewed.card.raw, NOW + 1)
    refused = hand(charlie, bravo, [frame], NOW + 2)
    assert sum(refused.values()) == 1
    assert set(refused) <= {"revoked-key", "not-vouched"}
    assert authors(charlie, "stolen.example") == []


def test_what_has_expired_or_is_from_the_future_is_not_read(three: Three) -> None:
    alpha, bravo, charlie = three
    wires = [said(alpha, bravo, "old.example", ttl_class=1), said(alpha, bravo, "new.example")]
    frames = [frame_of(bravo, alpha, wire) for wire in wires]
    assert hand(charlie, bravo, frames, NOW + DAY) == {"expired": 1}
    early = seal_unchecked(alpha, draft(alpha, ["early.example"]), bravo, NOW + 2 * DAY, ahead=next(ahead))
    assert hand(charlie, bravo, [frame_of(bravo, alpha, early)], NOW + 1) == {"from-the-future": 1}
    assert authors(charlie, "new.example") == [alpha.card.partner_id.text]


def test_an_author_nobody_knows_here_is_refused_and_shown(world: World, three: Three) -> None:
    _, bravo, charlie = three
    dora = world.found("dora")
    befriend(dora, bravo)
    befriend(bravo, dora)
    wire = said(dora, bravo, "stranger.example")
    assert hand(charlie, bravo, [frame_of(bravo, dora, wire)]) == {"author-unknown": 1}
    assert authors(charlie, "stranger.example") == []
    befriend(charlie, dora)
    freeze_partner(charlie.store, dora.card.partner_id, evidence=(b"a", b"b"), now=NOW)
    assert hand(charlie, bravo, [frame_of(bravo, dora, wire)]) == {"author-frozen": 1}


def test_an_author_whom_a_person_does_not_believe_is_not_read_by_another_way(three: Three) -> None:
    """And comes once it is believed again, and handed on again: nothing of it was taken for read."""
    alpha, bravo, charlie = three
    frame = frame_of(bravo, alpha, said(alpha, bravo, "doubted.example"))
    for _ in distrusting.steps(charlie, distrusting.distrust(charlie, "alpha", NOW), NOW):
        pass
    assert hand(charlie, bravo, [frame]) == {"author-distrusted": 1}
    for _ in distrusting.steps(charlie, distrusting.trust(charlie, "alpha"), NOW):
        pass
    assert authors(charlie, "doubted.example") == []
    assert hand(charlie, bravo, [frame]) == {}
    assert authors(charlie, "doubted.example") == [alpha.card.partner_id.text]


def test_our_own_and_the_forwarders_own_are_nothing_to_hand_on(three: Three) -> None:
    _, bravo, charlie = three
    ours, self_said = said(charlie, bravo, "mine.example"), said(bravo, charlie, "self.example")
    frames = [frame_of(bravo, charlie, ours), encode_forwarded(self_said, key_of(charlie, bravo, self_said))]
    assert hand(charlie, bravo, frames) == {"forwarded-own": 1, "forwarded-self": 1}


def test_what_goes_from_its_author_alone_is_not_taken_from_another(three: Three) -> None:
    alpha, bravo, charlie = three
    wire = said(alpha, bravo, "direct.example", mode=Mode.DIRECT)
    assert hand(charlie, bravo, [frame_of(bravo, alpha, wire)]) == {"forwarded-direct": 1}


@pytest.mark.parametrize("kind", ["named", "forwarded", "heads", "other"])
def test_nothing_but_stix_for_all_is_handed_on(three: Three, kind: str) -> None:
    """A `forwarded` in a `forwarded` would let one payload hold any number of envelopes."""
    alpha, bravo, charlie = three
    part = draft(alpha, ["nested.example"])
    header = PayloadHeader(kind, NOW, "TLP:GREEN", 1, PUBLICATION, ALONE)
    wire = seal_unchecked(alpha, part, bravo, ahead=next(ahead), header=header)
    assert hand(charlie, bravo, [frame_of(bravo, alpha, wire)]) == {"forwarded-kind": 1}
    assert authors(charlie, "nested.example") == []


@pytest.mark.parametrize("tlp", [Tlp.AMBER, Tlp.AMBER_STRICT, Tlp.RED])
def test_above_green_nothing_of_it_is_read(three: Three, tlp: Tlp) -> None:
    alpha, bravo, charlie = three
    labelled = said(alpha, bravo, "labelled.example", tlp=tlp)
    assert hand(charlie, bravo, [frame_of(bravo, alpha, labelled)]) == {"forwarded-marking": 1}
    # its header says GREEN, and one of its objects does not; so does one without any marking that is known
    objects = [json.loads(one) for one in _indicators(alpha, "loose.example", "strict.example")]
    objects[1]["object_marking_refs"] = [TLP2_IDS[tlp]]
    hidden = seal_unchecked(alpha, raw_draft(objects), bravo, ahead=next(ahead))
    assert hand(charlie, bravo, [frame_of(bravo, alpha, hidden)]) == {"forwarded-marking": 1}
    for value in ("labelled.example", "loose.example", "strict.example"):
        assert authors(charlie, value) == []


def _indicators(node: Node, *values: str) -> list[bytes]:
    return [
        indicator_object(detect(value), author=node.card.partner_id, created=NOW, tlp=Tlp.GREEN)
        for value in values
    ]


def test_an_object_that_cannot_be_read_keeps_all_of_its_envelope_back(three: Three) -> None:
    alpha, bravo, charlie = three
    objects = [json.loads(one) for one in _indicators(alpha, "beside.example")]
    wire = seal_unchecked(alpha, raw_draft([*objects, {"type": "indicator"}]), bravo, ahead=next(ahead))
    assert hand(charlie, bravo, [frame_of(bravo, alpha, wire)]) == {"forwarded-not-whole": 1}
    assert authors(charlie, "beside.example") == []


def test_ten_thousand_envelopes_in_one_payload_cost_nothing(
    three: Three, monkeypatch: pytest.MonkeyPatch
) -> None:
    alpha, bravo, charlie = three
    checked: list[int] = []
    honest = forwarded_reader.verify_envelope
    monkeypatch.setattr(
        forwarded_reader, "verify_envelope", lambda *a, **k: checked.append(1) or honest(*a, **k)
    )
    frame = frame_of(bravo, alpha, said(alpha, bravo, "many.example"))
    assert hand(charlie, bravo, [b"x"] * 10_000) == {"content-malformed": 1}  # no payload has so many frames
    assert hand(charlie, bravo, [frame] * 257) == {"content-too-many-frames": 1}
    assert hand(charlie, bravo, [frame], says=2) == {"content-malformed": 1}
    assert checked == []
    assert hand(charlie, bravo, [frame] * 256) == {}
    assert len(checked) == 1, "what is held is not verified again"


def test_what_is_in_them_inflates_to_no_more_than_one_payload_may(
    three: Three, monkeypatch: pytest.MonkeyPatch
) -> None:
    alpha, bravo, charlie = three
    wires = [said(alpha, bravo, f"big{n}.example") for n in range(4)]
    table = {
        **payload_kinds.PAYLOAD_KINDS,
        "forwarded": replace(payload_kinds.FORWARDED, inflated_bytes_max=1_000),
    }
    monkeypatch.setattr(payload_kinds, "PAYLOAD_KINDS", table)
    assert hand(charlie, bravo, [frame_of(bravo, alpha, wire) for wire in wires]) == {"inflated-too-large": 1}
    assert [len(authors(charlie, f"big{n}.example")) for n in range(4)] == [1, 1, 0, 0]


@pytest.mark.parametrize(
    "raw",
    [
        b"\x90",
        pack([b"x"]),
        pack([b"x", b"k" * 31]),
        pack([b"x", b"k" * 32]),
        pack([b"x", b"k" * 32]) + b"\0",
    ],
)
def test_a_frame_of_another_shape_is_refused(three: Three, raw: bytes) -> None:
    _, bravo, charlie = three
    assert hand(charlie, bravo, [raw]) == {"malformed": 1}


def test_what_its_author_has_withdrawn_meanwhile_does_not_count(three: Three) -> None:
    alpha, bravo, charlie = three
    old = wire_of(alpha, send(alpha, ["gone.example"], to=[]).envelopes[0])
    request = WithdrawalRequest("gone.example", Reason.MISTAKE)
    report = withdraw(alpha, request, is_dry_run=False, now=NOW + 1, progress=lambda *_: None)
    withdrawal = wire_of(alpha, report.envelopes[0])
    take_in(charlie, [Arrival(withdrawal, alpha.card.partner_id)], NOW + 1)
    take_in(bravo, [Arrival(old, alpha.card.partner_id)], NOW)
    assert hand(charlie, bravo, [frame_of(bravo, alpha, old)], NOW + 2) == {}
    assert authors(charlie, "gone.example") == []


# --- a crash, and privacy --------------------------------------------------------------------------


def test_reading_goes_on_in_the_middle_after_a_restart(world: World, three: Three) -> None:
    alpha, bravo, charlie = three
    wires = [said(alpha, bravo, *(f"r{n}-{k}.example" for k in range(400))) for n in range(3)]
    raw = outer(bravo, charlie, [frame_of(bravo, alpha, wire) for wire in wires])
    intake.take_in(charlie, [Arrival(raw, bravo.card.partner_id)], NOW)
    steps = 0
    while True:
        reader = ContentReader(charlie, READERS, lambda: 0.0)
        if not reader.read_on(NOW, lambda: True):  # somebody always waits: a step, then the place is kept
            break
        steps += 1
        assert steps < 200
        if steps % 5 == 0:
            charlie = world.reopen("charlie")
    assert steps > 5
    for n in range(3):
        for k in (0, 200, 399):
            assert len(authors(charlie, f"r{n}-{k}.example")) == 1
    assert refusals(charlie, bravo) == {}
    assert charlie.store.log.counts().unread == 0


def test_who_reads_it_finds_nobody_elses_row(three: Three) -> None:
    """The content key tells nothing of the rows: no hint of the others can be made, and no wrap opened, with what charlie has."""
    alpha, bravo, charlie = three
    wire = wire_of(alpha, send(alpha, ["rows.example"], to=["bravo"]).envelopes[0])
    verified = verified_before(decode_envelope(wire), alpha.card)
    assert content_key_of(charlie.identity, verified, alpha.card) is None
    assert sealing.open_envelope(charlie.identity, verified, alpha.card) is None
    raw = outer(bravo, charlie, [frame_of(bravo, alpha, wire)])
    assert decode_envelope(raw).core.slots == 1


def test_the_codec_has_one_form() -> None:
    frame = encode_forwarded(b"wire", b"k" * 32)
    assert decode_forwarded(frame) == (b"wire", b"k" * 32)
    for cut in range(len(frame)):
        with pytest.raises(PeerError):
            decode_forwarded(frame[:cut])


# --- the vectors -----------------------------------------------------------------------------------


def test_the_vectors_of_what_is_handed_on_hold(world: World, repository: Path) -> None:
    vectors = json.loads((repository / "tests" / "vectors" / "forwarded.json").read_text(encoding="ascii"))
    reader, now = world.found("reader"), vectors["now"]
    known = {}
    for one in vectors["partners"]:
        raw = base64.b64decode(one["card"])
        known[one["name"]] = believe_chain(raw).partner_id
        add_partner(
            reader,
            raw,
            confirmed_fingerprint=fingerprint(known[one["name"]]),
            alias=one["name"],
            has_link=True,
            now=now,
        )
    wrong = []
    for case in [*vectors["negative"], *vectors["golden"]]:
        payload = ReceivedPayload(
            payload_kinds.FORWARDED,
            EnvelopeId(bytes(32)),
            known[vectors["forwarder"]],
            CircleId.of("main"),
            now,
            now,
            PayloadHeader("forwarded", now, "TLP:GREEN", 1, PUBLICATION, ALONE),
            (base64.b64decode(case["frame"]),),
            0,
        )
        refused: Counter[str] = Counter()
        with reader.store.transaction():
            made = forwarded_reader.ForwardedReader(reader)
            made.begin(case.get("now", now), is_hurried=True)
            for _ in made.read(EnvelopeOrigin(0, 0, 0, 0, b"", 0, now, is_own=False), payload, refused, ()):
                pass
            made.finish()
        if dict(refused) != ({case["reason"]: 1} if "reason" in case else {}):
            wrong.append((case["name"], refused))
        if "value" in case:
            observable = detect(case["value"])
            claims = reader.store.knowledge.lookup([observable])[observable]
            assert {claim.author for claim in claims} == {known[case["author"]]}
            record = reader.store.log.record(EnvelopeId.parse(case["envelope_id"]))
            assert record is not None
            assert (record.received_from, record.is_carried) == (known[vectors["forwarder"]], False)
    assert wrong == []


# --- what comes in between -------------------------------------------------------------------------


def sweep(node: Node, now: int) -> None:
    exchange = Exchange(node)
    exchange.begin()
    while exchange.sweep(now).is_more_due:
        pass


def test_what_expires_half_read_does_not_stop_expiry(three: Three) -> None:
    """Its row has to stay, for frames refer to it; each sweep died of that, and nothing expired any more."""
    alpha, bravo, _ = three
    wires = [
        said(alpha, bravo, *(f"h{n}-{k}.example" for k in range(size)), ttl_class=1)
        for n, size in enumerate((400, 1))
    ]
    reader = ContentReader(bravo, READERS, lambda: 0.0)
    intake.take_in(bravo, [Arrival(wires[0], alpha.card.partner_id)], NOW)
    for _ in range(2):
        reader.read_on(NOW, lambda: True)
    intake.take_in(bravo, [Arrival(wires[1], alpha.card.partner_id)], NOW)
    path = bravo.store.database.path
    assert rows(path, "SELECT count(*) FROM frame") == [(1,)]
    assert rows(path, "SELECT content FROM envelope") == [(0,), (0,)]
    for days in (1, 2):
        sweep(bravo, NOW + days * DAY)
    assert rows(path, "SELECT content, stage FROM envelope") == [(3, 2)], "the one that was read in part"
    assert len(authors(bravo, "h0-0.example")) == 1


def test_what_was_handed_on_and_expires_before_its_number_is_read_stays(three: Three) -> None:
    alpha, bravo, charlie = three
    wire = said(alpha, bravo, "x.example", ttl_class=1)
    assert hand(charlie, bravo, [frame_of(bravo, alpha, wire)]) == {}
    intake.take_in(charlie, [Arrival(wire, alpha.card.partner_id)], NOW)
    for days in (1, 2):
        sweep(charlie, NOW + days * DAY)
    assert authors(charlie, "x.example") == [alpha.card.partner_id.text]


def half_handed_on(three: Three, wire: bytes | None = None) -> ContentReader:
    """Charlie has read the first half of what bravo hands on."""
    alpha, bravo, charlie = three
    wire = wire or said(alpha, bravo, *(f"m{k}.example" for k in range(400)))
    raw = outer(bravo, charlie, [frame_of(bravo, alpha, wire)])
    intake.take_in(charlie, [Arrival(raw, bravo.card.partner_id)], NOW)
    reader = ContentReader(charlie, READERS, lambda: 0.0)
    for _ in range(3):
        assert reader.read_on(NOW, lambda: True)
    assert len(authors(charlie, "m0.example")) == 1 and not authors(charlie, "m399.example")
    return reader


def test_who_is_no_longer_believed_amid_a_history_is_not_read_on(three: Three) -> None:
    _, _, charlie = three
    reader = half_handed_on(three)
    for _ in distrusting.steps(charlie, distrusting.distrust(charlie, "alpha", NOW), NOW):
        pass
    while reader.read_on(NOW, lambda: True):
        pass
    sweep(charlie, NOW)
    assert [value for value in ("m0.example", "m399.example") if authors(charlie, value)] == []
    for _ in distrusting.steps(charlie, distrusting.trust(charlie, "alpha"), NOW):
        pass
    assert len(authors(charlie, "m0.example")) == 1


def test_a_key_that_is_revoked_amid_a_history_is_not_read_on(three: Three) -> None:
    alpha, _, charlie = three
    reader = half_handed_on(three)
    key_id = alpha.identity.operational.sign.key_id
    fresh = generate_operational_keys(alpha.card.partner_id, NOW + 1)
    renewed = reissue_card(
        alpha.identity, NOW + 1, operational=fresh, revoked=[Revocation(key_id, NOW - 1, 1)]
    )
    apply_card_update(charlie, alpha.card.partner_id, renewed.card.raw, NOW + 1)
    sweep(charlie, NOW + 1)
    while reader.read_on(NOW + 1, lambda: True):
        pass
    sweep(charlie, NOW + 2)
    assert [value for value in ("m0.example", "m399.example") if authors(charlie, value)] == []


@pytest.mark.parametrize("is_handed_on", [False, True])
def test_what_was_handed_on_in_part_is_read_whole_when_it_comes_again(
    world: World, three: Three, is_handed_on: bool
) -> None:
    """Its forwarder fell out of belief meanwhile: what it had handed over is no reason to leave the rest of it unread."""
    alpha, bravo, charlie = three
    published = send(alpha, [f"m{k}.example" for k in range(400)], to=[])
    wire = wire_of(alpha, published.envelopes[0])
    reader = half_handed_on(three, wire)
    for _ in distrusting.steps(charlie, distrusting.distrust(charlie, "bravo", NOW), NOW):
        pass
    while reader.read_on(NOW, lambda: True):
        pass
    assert not authors(charlie, "m399.example")
    if is_handed_on:
        dora = world.found("dora")
        for one in (alpha, charlie):
            befriend(one, dora)
            befriend(dora, one)
        frame = encode_forwarded(wire, key_of(bravo, alpha, wire))
        take_in(charlie, [Arrival(outer(dora, charlie, [frame]), dora.card.partner_id)], NOW)
    else:
        take_in(charlie, [Arrival(wire, alpha.card.partner_id)], NOW)
    assert len(authors(charlie, "m399.example")) == 1 and len(authors(charlie, "m0.example")) == 1


def test_an_author_whom_nobody_introduces_any_more_is_not_read_by_another_way(three: Three) -> None:
    """Gossip refuses what comes of it, so what is handed on is refused, too."""
    alpha, bravo, charlie = three
    frame = frame_of(bravo, alpha, said(alpha, bravo, "suspended.example"))
    with charlie.store.transaction() as writer:
        writer.execute(
            """UPDATE partner SET is_compared = 0, suspended = 'list-expired'
            WHERE organisation = (SELECT id FROM organisation WHERE partner_id = ?)""",
            (bytes(alpha.card.partner_id),),
        )
    assert hand(charlie, bravo, [frame]) == {"author-suspended": 1}
    assert authors(charlie, "suspended.example") == []
