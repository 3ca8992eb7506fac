"""The committed vectors: the format cannot drift without these files changing.

Another implementation runs the same files; docs/envelope.md and docs/card.md say how to read them.
"""

from __future__ import annotations

import base64
import json
import re
from pathlib import Path
from typing import Any

import pytest
from plain_payload import plain_payload

from p2pshare.envelope import sealing
from p2pshare.envelope.card import (
    Card,
    accept_first,
    accept_update,
    believe_chain,
    fingerprint,
    safety_number,
)
from p2pshare.envelope.card_format import partner_id_of
from p2pshare.envelope.certificate import TlsKey
from p2pshare.envelope.entry import decode_entry, key_of, verify_entry
from p2pshare.envelope.envelope import decode_envelope
from p2pshare.envelope.evidence import decode_proof, encode_proof, verify_proof
from p2pshare.envelope.guest import invitation_key, knock_key
from p2pshare.envelope.inspection import inspect
from p2pshare.envelope.keys import HintKey, Identity, KemKey, OperationalKeys, Secret, SigningKey
from p2pshare.envelope.knock import (
    CardAsked,
    CardHanded,
    KnockGreeting,
    PlaceAsked,
    check_place,
    decode_card_given,
    decode_greeting,
    decode_knock,
    encode_knock,
)
from p2pshare.envelope.member_list import ListedMember, card_of, read_file, read_list, verify_list
from p2pshare.envelope.notice import read_notice
from p2pshare.envelope.payload import PartPlace, PayloadHeader, decode_payload, inflate_frame, padded_size
from p2pshare.envelope.recipient_number import RecipientNumber
from p2pshare.envelope.sealing import OpenedPayload, open_envelope
from p2pshare.envelope.verification import check_time, verify_envelope
from p2pshare.envelope.vouch import VouchPage, check_page, decode_page
from p2pshare.errors import PeerError
from p2pshare.identifiers import PartnerId, PublicationId, Realm

FOLDER = Path(__file__).resolve().parent.parent / "vectors"


def load(name: str) -> dict[str, Any]:
    return json.loads((FOLDER / name).read_text(encoding="ascii"))


def bytes_of(text: str) -> bytes:
    return base64.b64decode(text, validate=True)


def edited(raw: bytes, case: dict[str, Any]) -> bytes:
    """A good file with the few bytes changed that `case` names."""
    if "replace" in case:
        offset, piece = case["replace"][0], bytes_of(case["replace"][1])
        raw = raw[:offset] + piece + raw[offset + len(piece) :]
    return raw[: case.get("cut", len(raw))] + bytes_of(case.get("append", "")) + bytes(case.get("zeros", 0))


ENVELOPES, CARDS, PROOFS, PAYLOADS, DERIVATIONS, VOUCHES, GUESTS, ENTRIES, MEMBERS = (
    load(f"{name}.json")
    for name in ("envelope", "card", "proof", "payload", "derivation", "vouch", "guest", "entry", "members")
)


def by_name(cases: list[dict[str, Any]]) -> Any:
    return pytest.mark.parametrize("case", cases, ids=[case["name"] for case in cases])


# --- envelopes -------------------------------------------------------------------------------------


@pytest.fixture(scope="module")
def partners() -> dict[str, Identity]:
    identities = {}
    for entry in ENVELOPES["partners"]:
        keys = OperationalKeys(
            SigningKey.from_secret(Secret(bytes_of(entry["sign"]))),
            KemKey.from_secret(Secret(bytes_of(entry["kem"]))),
            HintKey.from_secret(Secret(bytes_of(entry["hint"]))),
            TlsKey.generate(PartnerId.parse(entry["partner_id"]), ENVELOPES["now"], 1),
        )
        card = accept_first(bytes_of(entry["card"]), ENVELOPES["now"])
        assert card.partner_id.text == entry["partner_id"]
        identities[entry["name"]] = Identity(card.partner_id, (), keys, card)
    return identities


@by_name(ENVELOPES["golden"])
def test_golden_envelopes(case: dict[str, Any], partners: dict[str, Identity]) -> None:
    decoded = decode_envelope(bytes_of(case["wire"]))
    assert decoded.envelope_id.text == case["envelope_id"]
    for field, expected in case["core"].items():
        found = getattr(decoded.core, field)
        assert (found.hex() if isinstance(found, bytes) else found) == expected, field
    author = next(entry for entry in partners.values() if entry.partner_id == decoded.core.author)
    verified = verify_envelope(decoded, author.card, ENVELOPES["now"])
    for name, reader in partners.items():
        opened = open_envelope(reader, verified, author.card)
        number = case["opens_with_number"].get(name)
        expected = number and OpenedPayload(bytes_of(case["payload"]), RecipientNumber(*number))
        assert opened == expected


def envelope_wire(case: dict[str, Any]) -> bytes:
    if "wire" in case:
        return bytes_of(case["wire"])
    golden = next(entry for entry in ENVELOPES["golden"] if entry["name"] == case["of"])
    return edited(bytes_of(golden["wire"]), case)


@by_name(ENVELOPES["negative"])
def test_negative_envelopes(case: dict[str, Any], partners: dict[str, Identity]) -> None:
    step = "decode"
    author = partners[case["author"]]
    try:
        decoded = decode_envelope(envelope_wire(case))
        step = "time"
        check_time(decoded.core, case["now"])
        step = "verify"
        verified = verify_envelope(decoded, author.card, case["now"])
        step = "open"
        opened = open_envelope(partners["charlie"], verified, author.card)
        assert opened is None
        reason = "not-addressed"
    except PeerError as error:
        reason = error.reason
    assert (step, reason) == (case["step"], case["reason"])


# --- cards -----------------------------------------------------------------------------------------


def card_file(case: dict[str, Any]) -> bytes:
    if "card" in case:
        return bytes_of(case["card"])
    return edited(bytes_of(CARDS["files"][case.get("file") or case["of"]]), case)


def take_in(case: dict[str, Any]) -> Card:
    if "current" not in case:
        return accept_first(card_file(case), case["now"])
    current = believe_chain(bytes_of(CARDS["files"][case["current"]]))
    return accept_update(current, card_file(case), case["now"])


@by_name(CARDS["golden"])
def test_golden_cards(case: dict[str, Any]) -> None:
    card = take_in(case)
    assert card.partner_id.text == case["partner_id"]
    assert fingerprint(card.partner_id) == case["fingerprint"]
    assert (card.version, card.name, card.expires) == (case["version"], case["display_name"], case["expires"])
    assert (list(card.urls), card.threshold) == (case["urls"], case["threshold"])
    assert card.body_digest.hex() == case["body_digest"]
    assert [key.key_id.text for key in card.roots] == case["roots"]
    assert [entry.key.key_id.text for entry in card.sign_keys] == case["sign_keys"]
    revoked = [
        [entry.key_id.text, entry.since, entry.reason, entry.vouch_root.hex()] for entry in card.revoked
    ]
    assert revoked == case["revoked"]


@by_name(CARDS["negative"])
def test_negative_cards(case: dict[str, Any]) -> None:
    with pytest.raises(PeerError) as caught:
        take_in(case)
    assert caught.value.reason == case["reason"]


def test_golden_safety_number() -> None:
    a, b = map(PartnerId.parse, CARDS["safety_number"]["of"])
    assert safety_number(a, b) == safety_number(b, a) == CARDS["safety_number"]["number"]


# --- proofs ----------------------------------------------------------------------------------------


@by_name(PROOFS["golden"])
def test_golden_proofs(case: dict[str, Any]) -> None:
    raw = bytes_of(case["proof"])
    assert encode_proof(decode_proof(raw)) == raw
    assert fingerprint(verify_proof(decode_proof(raw)).partner_id) == case["fingerprint"]
    assert inspect(raw, 0).facts["claims"] == case["claims"]


@by_name(PROOFS["negative"])
def test_negative_proofs(case: dict[str, Any]) -> None:
    with pytest.raises(PeerError) as caught:
        verify_proof(decode_proof(bytes_of(case["proof"])))
    assert caught.value.reason == case["reason"]


# --- member lists ----------------------------------------------------------------------------------


def of_members(kind: str, case: dict[str, Any], golden: bytes) -> bytes:
    return bytes_of(case[kind]) if kind in case else edited(golden, case)


def card_of_members(name: str) -> Card:
    return believe_chain(bytes_of(MEMBERS["cards"][name]))


@by_name(MEMBERS["golden"])
def test_golden_member_lists(case: dict[str, Any]) -> None:
    read = read_list(bytes_of(case["list"]))
    verify_list(read, card_of_members("alpha"), MEMBERS["now"])
    assert (read.introducer.text, read.key_id.text, read.circle.text) == (
        case["introducer"],
        case["key_id"],
        case["circle"],
    )
    assert (read.number, read.created, read.expires) == (case["number"], case["created"], case["expires"])
    assert len(read.members) == case["count"]
    first = [[one.partner_id.text, one.version, one.digest.hex()] for one in read.members[:2]]
    assert first == case["members"]


@by_name(MEMBERS["negative"])
def test_negative_member_lists(case: dict[str, Any]) -> None:
    golden = bytes_of(MEMBERS["golden"][0]["list"])
    with pytest.raises(PeerError) as caught:
        verify_list(read_list(of_members("list", case, golden)), card_of_members(case["card"]), case["now"])
    assert caught.value.reason == case["reason"]


def test_the_file_of_introductions() -> None:
    file = read_file(bytes_of(MEMBERS["file"]["file"]))
    assert (file.list_raw, len(file.cards)) == (bytes_of(MEMBERS["file"]["list"]), MEMBERS["file"]["cards"])
    assert read_file(file.list_raw) == (type(file))(file.list_raw, ()), "a list alone is a file without cards"


@by_name(MEMBERS["bad_files"])
def test_bad_files_of_introductions(case: dict[str, Any]) -> None:
    with pytest.raises(PeerError) as caught:
        read_file(of_members("file", case, bytes_of(MEMBERS["file"]["file"])))
    assert caught.value.reason == case["reason"]


@by_name(MEMBERS["members"])
def test_cards_of_listed_members(case: dict[str, Any]) -> None:
    partner, version, digest = case["member"]
    member = ListedMember(PartnerId.parse(partner), version, bytes.fromhex(digest))
    if not case["reason"]:
        assert card_of(member, bytes_of(case["card_file"]), case["now"]).partner_id == member.partner_id
        return
    with pytest.raises(PeerError) as caught:
        card_of(member, bytes_of(case["card_file"]), case["now"])
    assert caught.value.reason == case["reason"]


# --- vouch pages -----------------------------------------------------------------------------------


def vouch_page(case: dict[str, Any]) -> VouchPage:
    if "page" in case:
        return decode_page(bytes_of(case["page"]))
    golden = next(entry for entry in VOUCHES["golden"] if entry["name"] == case["of"])
    return decode_page(edited(bytes_of(golden["page"]), case))


def card_of_vouch(name: str) -> Card:
    return believe_chain(bytes_of(VOUCHES["cards"][name]))


@by_name(VOUCHES["golden"])
def test_golden_vouch_pages(case: dict[str, Any]) -> None:
    page = vouch_page(case)
    check_page(page, card_of_vouch("card"))
    assert (page.author.text, page.key_id.text, page.scope.text) == (
        case["author"],
        case["key_id"],
        case["scope"],
    )
    assert (page.number, len(page.ids)) == (case["number"], case["ids"])
    assert (page.ids[0].text, page.ids[-1].text) == (case["first"], case["last"])
    assert page.root.hex() == VOUCHES["root"]


@by_name(VOUCHES["negative"])
def test_negative_vouch_pages(case: dict[str, Any]) -> None:
    with pytest.raises(PeerError) as caught:
        check_page(vouch_page(case), card_of_vouch(case["card"]))
    assert caught.value.reason == case["reason"]


@pytest.mark.parametrize("case", VOUCHES["notices"])
def test_golden_notices(case: dict[str, Any]) -> None:
    notice = read_notice(bytes_of(case["notice"]))
    assert (notice.notice_id.text, notice.author.text) == (case["notice_id"], case["author"])
    assert (notice.circle.text, notice.created(card_of_vouch("card"))) == (case["circle"], case["created"])


@by_name(VOUCHES["envelopes"])
def test_envelopes_under_a_revoked_key(case: dict[str, Any]) -> None:
    """Taken in where a page lists it, and else refused, whatever its time."""
    listed = {one for golden in VOUCHES["golden"] for one in decode_page(bytes_of(golden["page"])).ids}
    decoded, card = decode_envelope(bytes_of(case["wire"])), card_of_vouch(case["card"])
    is_vouched = decoded.envelope_id in listed and case["card"] == "card"
    if "reason" not in case:
        verify_envelope(decoded, card, VOUCHES["now"], is_vouched=is_vouched)
        return
    with pytest.raises(PeerError) as caught:
        verify_envelope(decoded, card, VOUCHES["now"], is_vouched=is_vouched)
    assert caught.value.reason == case["reason"]


@by_name(VOUCHES["bad_notices"])
def test_negative_notices(case: dict[str, Any]) -> None:
    good = bytes_of(VOUCHES["notices"][0]["notice"])
    raw = bytes_of(case["notice"]) if "notice" in case else edited(good, case)
    with pytest.raises(PeerError) as caught:
        read_notice(raw)
    assert caught.value.reason == case["reason"]


# Codes in docs/card.md that no bytes of a partner lead to.
OF_NO_FILE = {
    "bad-name": "of our own names",
    "passphrase-weak": "of our own key file",
    "passphrase-file-permissions": "of our own key file",
    "passphrase-file-owner": "of our own key file",
    "vouch-pages-missing": "an alarm",
    "not-accepted-yet": "of a link",
    "removed-by-partner": "of a link",
    "other-certificate": "of a link",
    "author-unknown": "of the host's partners",
    "author-frozen": "of the host's partners",
    "own-card": "of whom the host is",
}


def test_each_refusal_that_the_page_names_has_a_vector(repository: Path) -> None:
    """A second implementation is held to every one of them."""
    page = (repository / "docs/card.md").read_text(encoding="utf-8")
    named = set(re.findall(r"`([a-z]+(?:-[a-z]+)+)`", page)) | {"malformed", "oversized"}
    files = (CARDS, VOUCHES, GUESTS, PROOFS, ENVELOPES)
    lists = ("negative", "bad_notices", "envelopes")
    shown = {case.get("reason") for file in files for name in lists for case in file.get(name, ())}
    assert named - shown == set(OF_NO_FILE)


# --- guest keys ------------------------------------------------------------------------------------


@pytest.mark.parametrize("case", GUESTS["invitations"])
def test_golden_invitation_keys(case: dict[str, Any]) -> None:
    secret, host = Secret(bytes.fromhex(case["secret"])), PartnerId.parse(case["host"])
    assert invitation_key(secret, host, case["expires"]).certificate == bytes_of(case["certificate"])


@pytest.mark.parametrize("case", GUESTS["knocks"])
def test_golden_knock_keys(case: dict[str, Any]) -> None:
    assert knock_key(bytes_of(case["card"])).certificate == bytes_of(case["certificate"])


@by_name(GUESTS["messages"]["host"])
def test_messages_of_a_host(case: dict[str, Any]) -> None:
    message = unframed(case)
    if case["says"][0] == 1:
        assert decode_greeting(message) == KnockGreeting(bytes.fromhex(case["says"][1]), case["says"][2])
    else:
        assert decode_card_given(message) == bytes_of(case["says"][1])


@by_name(GUESTS["messages"]["guest"])
def test_messages_of_a_guest(case: dict[str, Any]) -> None:
    message, says = unframed(case), case["says"]
    if isinstance(says, str):
        with pytest.raises(PeerError) as caught:
            decode_knock(message)
        assert caught.value.reason == says
        return
    expected = {
        2: lambda: CardHanded(bytes_of(says[1])),
        3: CardAsked,
        4: lambda: PlaceAsked(
            PartnerId.parse(says[1]), says[2], says[3], bytes_of(says[4]), bytes.fromhex(says[5])
        ),
    }[says[0]]()
    assert decode_knock(message) == expected
    assert encode_knock(expected) == message


@by_name(GUESTS["places"])
def test_who_asks_for_a_place(case: dict[str, Any]) -> None:
    place = decode_knock(bytes_of(case["message"]))
    assert isinstance(place, PlaceAsked)
    host, nonce = PartnerId.parse(case["host"]), bytes.fromhex(case["nonce"])
    if not case["reason"]:
        check_place(place, host=host, nonce=nonce)
        return
    with pytest.raises(PeerError) as caught:
        check_place(place, host=host, nonce=nonce)
    assert caught.value.reason == case["reason"]


def unframed(case: dict[str, Any]) -> bytes:
    frame = bytes_of(case["frame"])
    assert int.from_bytes(frame[:4], "big") == len(frame) - 4
    return frame[4:]


@by_name(GUESTS["negative"])
def test_negative_guest_keys(case: dict[str, Any]) -> None:
    with pytest.raises(PeerError) as caught:
        if "card" in case:
            knock_key(bytes_of(case["card"]))
        else:
            secret, host = Secret(bytes.fromhex(case["secret"])), PartnerId.parse(case["host"])
            invitation_key(secret, host, case["expires"])
    assert caught.value.reason == case["reason"]


# --- entries of spaces -----------------------------------------------------------------------------


@pytest.fixture(scope="module")
def cards_of_members() -> list[Card]:
    return [believe_chain(bytes_of(entry["card"])) for entry in ENTRIES["partners"]]


@by_name(ENTRIES["golden"])
def test_golden_entries(case: dict[str, Any], cards_of_members: list[Card]) -> None:
    decoded = decode_entry(bytes_of(case["wire"]), Realm.parse(case["realm"]))
    key = key_of(decoded.header, cards_of_members)
    assert key is not None
    verified = verify_entry(decoded, key)
    assert verified.wire == bytes_of(case["wire"])
    assert verified.entry_id.text == case["entry_id"]
    header, stated = verified.header, case["header"]
    for name in ("number", "depth", "created", "kind", "tlp", "body_bytes"):
        assert getattr(header, name) == stated[name]
    for name in ("realm", "space", "author", "key_id"):
        assert getattr(header, name).text == stated[name]
    assert header.body_digest.hex() == stated["body_digest"]
    assert [one.text for one in header.parents] == stated["parents"]
    assert [one.text for one in header.audience] == stated["audience"]
    if case["content"] is None:
        assert not verified.body_fits()
    else:
        assert verified.content() == bytes_of(case["content"])


def entry_wire(case: dict[str, Any]) -> bytes:
    if "wire" in case:
        return bytes_of(case["wire"])
    golden = next(entry for entry in ENTRIES["golden"] if entry["name"] == case["of"])
    return edited(bytes_of(golden["wire"]), case)


@by_name(ENTRIES["negative"])
def test_negative_entries(case: dict[str, Any], cards_of_members: list[Card]) -> None:
    step = "decode"
    try:
        decoded = decode_entry(entry_wire(case), Realm.parse(case["realm"]))
        step = "key"
        key = key_of(decoded.header, cards_of_members)
        if key is None:
            reason = "card"
        else:
            step = "verify"
            verified = verify_entry(decoded, key)
            step = "body"
            verified.content()
            reason = "none"
    except PeerError as error:
        reason = error.reason
    assert (step, reason) == (case["step"], case["reason"])


# --- payload and derivations -----------------------------------------------------------------------


def test_golden_padding() -> None:
    assert [[size, padded_size(size)] for size, _ in PAYLOADS["padded_size"]] == PAYLOADS["padded_size"]


@by_name(PAYLOADS["golden"])
def test_golden_payloads(case: dict[str, Any]) -> None:
    header, frames = decode_payload(bytes_of(case["payload"]))
    publication, part = PublicationId.parse(case["publication"]), PartPlace(*case["part"])
    assert header == PayloadHeader(
        case["type"], case["created"], case["marking"], case["objects"], publication, part
    )
    plain = plain_payload(bytes_of(case["payload"]))
    assert plain is not None
    assert plain[:4] == (case["type"], case["created"], case["marking"], case["objects"])
    assert (plain.publication.hex(), list(plain.part)) == (case["publication"], case["part"])
    assert plain.frames == frames
    assert [inflate_frame(frame).decode() for frame in frames] == case["frames"]


@by_name(PAYLOADS["negative"])
def test_negative_payloads_and_frames(case: dict[str, Any]) -> None:
    with pytest.raises(PeerError) as caught:
        if "payload" in case:
            decode_payload(bytes_of(case["payload"]))
        else:
            inflate_frame(bytes_of(case["frame"]))
    assert caught.value.reason == case["reason"]
    assert plain_payload(bytes_of(case.get("payload", ""))) is None


def test_golden_derivations() -> None:
    stated = DERIVATIONS
    root = SigningKey.from_secret(Secret(bytes_of(stated["sign_secret"])))
    assert root.verify_key.raw == bytes_of(stated["verify_key"])
    assert root.key_id.text == stated["key_id"]
    partner_id = partner_id_of([root.verify_key], 1)
    assert (partner_id.text, fingerprint(partner_id)) == (stated["partner_id_1_of_1"], stated["fingerprint"])
    kem = KemKey.from_secret(Secret(bytes_of(stated["kem_secret"])))
    assert kem.public.raw == bytes_of(stated["kem_public"])
    assert kem.unwrap(bytes_of(stated["wrap"]), b"info") == bytes(range(40))
    author, recipient = PartnerId.parse(stated["author"]), PartnerId.parse(stated["recipient"])
    ours = HintKey.from_secret(Secret(bytes_of(stated["hint_secret_author"])))
    theirs = HintKey.from_secret(Secret(bytes_of(stated["hint_secret_recipient"])))
    nonce = bytes_of(stated["nonce"])
    assert ours.hint(theirs.public, author, recipient, nonce).hex() == stated["hint"]
    assert theirs.hint(ours.public, author, recipient, nonce).hex() == stated["hint"]
    assert sealing._commitment(bytes_of(stated["content_key"])).hex() == stated["commitment"]
    assert sealing._body_key(bytes_of(stated["content_key"])).hex() == stated["body_key"]
