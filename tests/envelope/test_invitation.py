"""The line, the messages and the words of invitations: the vectors, and what no bytes may do."""

from __future__ import annotations

import base64
import itertools
import json
import re
from collections.abc import Callable
from dataclasses import fields, replace
from pathlib import Path
from typing import Any

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from p2pshare.envelope.card import Card, believe_stranger
from p2pshare.envelope.card_format import decode_card, split_versions
from p2pshare.envelope.guest import CERTIFICATE_TIME_MAX
from p2pshare.envelope.invitation import (
    GUEST_CARD_BEGINS,
    GUEST_CARD_MESSAGE_BYTES_MAX,
    HOST_CARD_BEGINS,
    HOST_CARD_MESSAGE_BYTES_MAX,
    LINE_CHARACTERS_MAX,
    GuestIntroduced,
    HostIntroduced,
    InvitationLine,
    JoinBegun,
    JoinRefused,
    JoinState,
    Meeting,
    StateAsked,
    check_commitment,
    check_guest,
    check_host,
    check_inviter,
    decode_guest_introduced,
    decode_guest_opening,
    decode_host_introduced,
    decode_joined,
    decode_line,
    decode_state,
    encode_guest_introduced,
    encode_host_introduced,
    encode_line,
)
from p2pshare.envelope.keys import Secret
from p2pshare.envelope.six_words import WORDS, same_words, six_words
from p2pshare.envelope.sizes import SIGNATURE_BYTES
from p2pshare.errors import AuthorError, PeerError, ShareError
from p2pshare.identifiers import PartnerId
from p2pshare.limits import CARD_CHAIN_BYTES_MAX

FOLDER = Path(__file__).resolve().parent.parent / "vectors"
VECTORS: dict[str, Any] = json.loads((FOLDER / "invitation.json").read_text(encoding="ascii"))
LINES, MEETINGS, MESSAGES = VECTORS["lines"], VECTORS["meetings"], VECTORS["messages"]


def bytes_of(text: str) -> bytes:
    return base64.b64decode(text, validate=True)


def by_name(cases: list[dict[str, Any]]) -> Any:
    return pytest.mark.parametrize("case", cases, ids=[case["name"] for case in cases])


def unframed(case: dict[str, Any]) -> bytes:
    frame = bytes_of(case["frame"])
    assert int.from_bytes(frame[:4], "big") == len(frame) - 4
    return frame[4:]


# --- the line ---------------------------------------------------------------------------------------


def told(line: InvitationLine) -> dict[str, Any]:
    return {
        "host": line.host.text,
        "secret": line.secret.reveal().hex(),
        "expires": line.expires,
        "address": line.address,
    }


@pytest.mark.parametrize("case", LINES["golden"], ids=lambda case: case["address"][:20])
def test_golden_lines(case: dict[str, Any]) -> None:
    line = decode_line(case["line"])
    assert told(line) == {name: value for name, value in case.items() if name != "line"}
    assert encode_line(line) == case["line"]


@pytest.mark.parametrize("text", LINES["spellings"])
def test_case_and_white_space_do_not_matter(text: str) -> None:
    assert told(decode_line(text)) == told(decode_line(LINES["golden"][0]["line"]))


@by_name(LINES["negative"])
def test_negative_lines(case: dict[str, Any]) -> None:
    with pytest.raises(ShareError) as caught:
        decode_line(case["line"])
    assert caught.value.reason == case["reason"]


@given(
    st.binary(min_size=32, max_size=32).map(PartnerId),
    st.binary(min_size=16, max_size=16),
    st.integers(0, CERTIFICATE_TIME_MAX),
    st.from_regex(r"[a-z0-9]([a-z0-9-]{0,20}[a-z0-9])?(\.[a-z]{2,9})?:[1-9][0-9]{0,3}", fullmatch=True),
)
def test_a_line_comes_back(host: PartnerId, secret: bytes, expires: int, address: str) -> None:
    line = InvitationLine(host, Secret(secret), expires, address)
    text = encode_line(line)
    assert len(text) <= LINE_CHARACTERS_MAX
    assert told(decode_line(text)) == told(line)


@given(st.data())
def test_one_character_changed_is_seen(data: st.DataObject) -> None:
    line = LINES["golden"][0]["line"]
    at = data.draw(st.integers(0, len(line) - 1))
    letter = data.draw(st.characters(codec="ascii", exclude_categories=["Cc"]))
    changed = line[:at] + letter + line[at + 1 :]
    if changed.lower() == line or letter == " ":
        return
    with pytest.raises(AuthorError):
        decode_line(changed)


@given(st.one_of(st.text(max_size=200), st.text(max_size=200).map(lambda text: f"p2pshare-{text}")))
@example("p2pshare-")
@example("p2pshare-aaaa")
def test_any_text_is_a_line_or_a_refusal(text: str) -> None:
    try:
        decode_line(text)
    except ShareError as error:
        assert error.reason in ("bad-invitation", "malformed", "not-canonical", "unknown-version")


def test_a_secret_is_in_no_text_of_a_line_but_its_own() -> None:
    line = decode_line(LINES["golden"][0]["line"])
    assert line.secret.reveal().hex() not in repr(line)
    with pytest.raises(AuthorError) as caught:
        decode_line(LINES["golden"][0]["line"][:-1])
    assert LINES["golden"][0]["line"][20:40] not in f"{caught.value.message}{caught.value.hint}"


# --- messages ---------------------------------------------------------------------------------------

DECODERS: dict[str, Callable[[bytes], Any]] = {
    "opening": decode_guest_opening,
    "host": decode_host_introduced,
    "guest": decode_guest_introduced,
    "joined": decode_joined,
    "state": decode_state,
}


def said(kind: str, raw: bytes) -> Any:
    """What a message says, as the vectors write it."""
    match DECODERS[kind](raw):
        case JoinBegun(commitment):
            return [1, commitment.hex()]
        case StateAsked():
            return [2]
        case JoinState() as state:
            return [int(state)]
        case other:
            values = [getattr(other, field.name) for field in fields(other)]
            return [
                int(value) if isinstance(value, JoinState) else value.hex() if len(value) == 32 else value
                for value in values
            ]


@by_name(MESSAGES["golden"])
def test_golden_messages(case: dict[str, Any]) -> None:
    expected = [bytes_of(one) if isinstance(one, str) and len(one) > 64 else one for one in case["says"]]
    assert said(case["kind"], unframed(case)) == expected


@by_name(MESSAGES["negative"])
def test_negative_messages(case: dict[str, Any]) -> None:
    with pytest.raises(PeerError) as caught:
        DECODERS[case["kind"]](unframed(case))
    assert caught.value.reason == case["says"]
    assert isinstance(caught.value, JoinRefused) == (case["says"] in ("invitation-used", "unspecified"))


@given(st.binary(max_size=120))
def test_any_bytes_are_a_message_or_a_refusal(raw: bytes) -> None:
    for decode in DECODERS.values():
        try:
            decode(raw)
        except JoinRefused as refused:
            assert re.fullmatch("[a-z0-9-]{1,64}", refused.reason)
        except PeerError as error:
            assert error.reason in ("malformed", "not-canonical")


def test_messages_with_a_card_file_begin_as_the_frame_reader_expects() -> None:
    largest = bytes(CARD_CHAIN_BYTES_MAX)
    host = encode_host_introduced(HostIntroduced(bytes(32), largest))
    guest = encode_guest_introduced(GuestIntroduced(bytes(32), largest, bytes(SIGNATURE_BYTES)))
    assert host.startswith(HOST_CARD_BEGINS) and len(host) == HOST_CARD_MESSAGE_BYTES_MAX
    assert guest.startswith(GUEST_CARD_BEGINS) and len(guest) == GUEST_CARD_MESSAGE_BYTES_MAX


# --- meetings ---------------------------------------------------------------------------------------


def meeting_of(told: dict[str, str]) -> Meeting:
    return Meeting(
        PartnerId.parse(told["host"]),
        *(
            bytes_of(told[name])
            for name in ("guest_certificate", "server_certificate", "host_card", "guest_card")
        ),
        *(bytes.fromhex(told[name]) for name in ("commitment", "host_nonce", "guest_nonce")),
    )


def believed(raw: bytes) -> Card:
    newest = decode_card(split_versions(raw)[-1])
    return believe_stranger(raw, newest.body.partner_id, MEETINGS["golden"]["now"])


def check_as(by: str, told: dict[str, Any]) -> None:
    """All that one side checks, in its order."""
    meeting, now = meeting_of(told), told["now"]
    if by == "host":
        check_commitment(meeting)
        check_guest(meeting, believed(meeting.guest_card), bytes_of(told["guest_signature"]), now)
    else:
        card = believed(meeting.host_card)
        check_inviter(decode_line(told["line"]), card, meeting.server_certificate)
        check_host(meeting, card, bytes_of(told["host_signature"]), now)


def test_the_golden_meeting() -> None:
    told = MEETINGS["golden"]
    meeting = meeting_of(told)
    assert (meeting.hash().hex(), meeting.words()) == (told["hash"], told["words"])
    assert decode_line(told["line"]).key().certificate == meeting.guest_certificate
    for by in ("host", "guest"):
        check_as(by, told)


@by_name(MEETINGS["negative"])
def test_negative_meetings(case: dict[str, Any]) -> None:
    with pytest.raises(PeerError) as caught:
        check_as(case["by"], MEETINGS["golden"] | case["changes"])
    assert caught.value.reason == case["reason"]


@pytest.mark.parametrize("field", [field.name for field in fields(Meeting)])
def test_the_words_are_bound_to_everything_that_was_seen(field: str) -> None:
    meeting = meeting_of(MEETINGS["golden"])
    changed = replace(meeting, **{field: type(getattr(meeting, field))(getattr(meeting, field)[::-1])})
    assert changed.hash() != meeting.hash() and changed.words() != meeting.words()


def test_a_revoked_or_expired_sign_key_joins_nobody() -> None:
    told = MEETINGS["golden"]
    card = believed(bytes_of(told["guest_card"]))
    late = card.sign_keys[0].expires
    with pytest.raises(PeerError) as caught:
        check_guest(meeting_of(told), card, bytes_of(told["guest_signature"]), late)
    assert caught.value.reason == "bad-signature"


# --- words ------------------------------------------------------------------------------------------


def test_the_list_is_one_that_two_people_can_read_to_one_another() -> None:
    assert len(WORDS) == len(set(WORDS)) == 2_048
    assert list(WORDS) == sorted(WORDS)
    assert all(re.fullmatch("[a-z]{3,8}", word) for word in WORDS)
    assert len({word[:4] for word in WORDS}) == 2_048


def test_no_word_is_another_with_one_slip() -> None:
    """One letter changed, added, left out, or two that changed places."""
    known = set(WORDS)
    alphabet = "abcdefghijklmnopqrstuvwxyz"
    for word in WORDS:
        cuts = [(word[:at], word[at:]) for at in range(len(word) + 1)]
        slips = {left + right[1:] for left, right in cuts if right}
        slips |= {left + right[1] + right[0] + right[2:] for left, right in cuts if len(right) > 1}
        slips |= {
            left + letter + right[1:] for (left, right), letter in itertools.product(cuts, alphabet) if right
        }
        assert known & (slips - {word}) == set(), word  # what is added to one is left out of the other


def test_the_words_are_the_first_66_bits() -> None:
    assert six_words(bytes(48)) == " ".join([WORDS[0]] * 6)
    assert six_words(b"\xff" * 48) == " ".join([WORDS[-1]] * 6)
    bits = "".join(f"{number:011b}" for number in (1, 2, 1_024, 2_047, 0, 77)) + "111111"
    digest = int(bits, 2).to_bytes(9, "big")
    assert six_words(digest + b"more") == " ".join(WORDS[one] for one in (1, 2, 1_024, 2_047, 0, 77))


def test_words_are_compared_as_a_person_types_them() -> None:
    words = MEETINGS["golden"]["words"]
    assert same_words(words, words)
    assert same_words(f"  {words.upper().replace(' ', ', ')}.\n", words)
    assert same_words(words.replace(" ", "-"), words)
    assert not same_words(" ".join(words.split()[:5]), words)
    assert not same_words(" ".join(reversed(words.split())), words)
    assert not same_words("", words)
    assert not same_words(words.replace(" ", ""), words)


# --- the page ---------------------------------------------------------------------------------------

# Codes in docs/invitations.md that no bytes lead to.
OF_NO_FILE = {
    "no-address": "of our own card",
    "too-many-invitations": "of our own invitations",
    "invitation-unknown": "a TLS alert",
    "cut-off": "of a connection",
    "too-slow": "of a connection",
    "state-told": "what went well",
    "not-accepted-yet": "the state of a door",
}


def test_each_refusal_that_the_page_names_has_a_vector(repository: Path) -> None:
    page = (repository / "docs/invitations.md").read_text(encoding="utf-8")
    named = set(re.findall(r"`([a-z]+(?:-[a-z]+)+)`", page)) | {"malformed", "unspecified"}
    cases = [*LINES["negative"], LINES["expired"], *MEETINGS["negative"]]
    shown = {case["reason"] for case in cases} | {case["says"] for case in MESSAGES["negative"]}
    shown |= {came for story in VECTORS["states"] for _, came in story["steps"]}
    assert named - shown == set(OF_NO_FILE)
