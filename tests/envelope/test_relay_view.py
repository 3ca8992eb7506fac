"""P13: a relay learns the listed header fields and three lengths, and nothing else."""

from __future__ import annotations

from dataclasses import fields

from envelope_forge import request

from p2pshare.envelope.envelope import Core, decode_envelope
from p2pshare.envelope.keys import Identity
from p2pshare.envelope.sealing import seal

# What docs/envelope.md tells an operator that relays can read. A new field in the clear must be added there first.
IN_THE_CLEAR = {
    "suite",
    "author",
    "key_id",
    "incarnation",
    "sequence",
    "previous",
    "circle",
    "mode",
    "created",
    "ttl_class",
    "nonce",
    "commitment",
    "slots",
    "body_bytes",
}


def test_p13_the_header_has_the_listed_fields_and_no_other() -> None:
    assert {field.name for field in fields(Core)} == IN_THE_CLEAR


def test_p13_the_specification_lists_them_all(repository) -> None:
    text = (repository / "docs" / "envelope.md").read_text(encoding="utf-8")
    section = text[text.index("## What a relay learns") :]
    section = section[: section.index("\n## ", 1)]
    assert [name for name in sorted(IN_THE_CLEAR) if f"`{name}`" not in section] == []


def test_p13_no_content_key_recipient_or_key_stands_in_the_wire(alpha: Identity, bravo: Identity) -> None:
    payload = b"indicator of something secret " * 20
    wire = seal(alpha, request([bravo.card], payload)).wire
    card = bravo.card
    for telling in (payload[:30], card.partner_id, card.kem.raw[:64], card.hint.raw, card.name.encode()):
        assert telling not in wire


def test_p13_audiences_of_one_size_class_look_alike(
    alpha: Identity, bravo: Identity, charlie: Identity
) -> None:
    """Three or four recipients, whoever they are: same sizes, and no row that can be told from a dummy."""
    audiences = ([bravo.card, charlie.card, alpha.card], [alpha.card, bravo.card, charlie.card])
    decoded = [decode_envelope(seal(alpha, request(audience)).wire) for audience in audiences]
    assert {entry.core.slots for entry in decoded} == {4}
    assert len({entry.size for entry in decoded}) == 1


def test_p13_rows_say_nothing_about_the_order_of_recipients(
    alpha: Identity, bravo: Identity, charlie: Identity
) -> None:
    """Sorted by marks that are as good as random: bravo's row comes first about as often as not."""
    firsts = 0
    for number in range(1, 65):
        decoded = decode_envelope(seal(alpha, request([bravo.card, charlie.card], sequence=number)).wire)
        mark = bravo.operational.hint.hint(
            alpha.card.hint, alpha.partner_id, bravo.partner_id, decoded.core.nonce
        )
        firsts += decoded.wraps[:8] == mark
    assert 8 <= firsts <= 56, "outside: one chance in 10^9"


def test_p13_sizes_leak_only_the_padme_class(alpha: Identity, bravo: Identity) -> None:
    sizes = {len(seal(alpha, request([bravo.card], bytes(length))).wire) for length in range(1990, 2040, 7)}
    assert len(sizes) <= 2
    assert (
        len({len(seal(alpha, request([bravo.card], bytes(length))).wire) for length in (0, 1, 100, 252)}) == 1
    )
