"""Vectors of docs/invitations.md: lines, meetings with their words, messages, and what becomes of an invitation."""

from __future__ import annotations

import base64
import hashlib
from dataclasses import replace
from typing import Any

from envelope_forge import NOW, named_identity

from p2pshare.envelope.encoding import pack
from p2pshare.envelope.invitation import (
    CHECK_CHARACTERS,
    DOMAIN_LINE,
    LINE_BEGINS,
    GuestIntroduced,
    HostIntroduced,
    InvitationLine,
    JoinBegun,
    Joined,
    JoinState,
    Meeting,
    StateAsked,
    commitment_to,
    encode_guest_introduced,
    encode_guest_opening,
    encode_host_introduced,
    encode_join_refusal,
    encode_joined,
    encode_line,
    encode_state,
    sign_as_guest,
    sign_as_host,
)
from p2pshare.envelope.keys import Identity, Secret
from p2pshare.identifiers import PartnerId

Json = dict[str, Any]
SECRET = bytes(range(16))
EXPIRES = NOW + 86_400
NONCES = {
    name: hashlib.sha256(f"p2pshare test vector nonce {name}".encode()).digest() for name in ("host", "guest")
}


def invitation_vectors() -> Json:
    alpha, bravo, mallory = (named_identity(name) for name in ("alpha", "bravo", "mallory"))
    return {
        "about": "docs/invitations.md. Test keys: never use them.",
        "lines": _lines(alpha.partner_id),
        "meetings": _meetings(alpha, bravo, mallory),
        "messages": _messages(alpha, bravo),
        "states": STATES,
    }


def text_of(raw: bytes) -> str:
    return base64.b64encode(raw).decode("ascii")


# --- lines ------------------------------------------------------------------------------------------


def line_of(content: bytes) -> str:
    """A line of any content, with check characters that hold."""
    check = _base32(hashlib.sha384(DOMAIN_LINE + content).digest())[:CHECK_CHARACTERS]
    return f"{LINE_BEGINS}{_base32(content)}{check}"


def _base32(raw: bytes) -> str:
    return base64.b32encode(raw).decode().rstrip("=").lower()


def _lines(host: PartnerId) -> Json:
    def good(address: str, expires: int = EXPIRES) -> Json:
        line = encode_line(InvitationLine(host, Secret(SECRET), expires, address))
        return {
            "line": line,
            "host": host.text,
            "secret": SECRET.hex(),
            "expires": expires,
            "address": address,
        }

    golden = [
        good("alpha.example:7443"),
        good("192.0.2.7:1"),
        good("[2001:db8::7]:65535"),
        good(f"{'a' * 61}.{'b' * 61}.{'c' * 61}.{'d' * 50}.e.example:7443"),
    ]
    line = golden[0]["line"]
    wrapped = f"  {line[:40]}\r\n\t{line[40:].upper()} \n"

    def content(
        version: int = 1,
        id_: bytes = bytes(host),
        secret: bytes = SECRET,
        expires: int = EXPIRES,
        address: Any = "a:1",
    ) -> bytes:
        return pack([version, id_, secret, expires, address])

    slip = line[:60] + ("a" if line[60] != "a" else "b") + line[61:]
    negative = [
        ("nothing", "bad-invitation", ""),
        ("something else", "bad-invitation", "https://alpha.example:7443"),
        ("another beginning", "bad-invitation", line.replace("p2pshare-", "p2pshore-")),
        ("a character changed", "bad-invitation", slip),
        ("a character missing", "bad-invitation", line[:50] + line[51:]),
        ("cut", "bad-invitation", line[:80]),
        ("a check character changed", "bad-invitation", line[:-1] + ("a" if line[-1] != "a" else "b")),
        ("a digit that base32 has not", "bad-invitation", line[:30] + "1" + line[31:]),
        ("too long", "bad-invitation", line + " " * 1_024),
        ("padding", "bad-invitation", line[:-4] + "=" + line[-4:]),
        ("a map", "malformed", line_of(b"\x81\x00\x01")),
        (
            "a later format",
            "unknown-version",
            line_of(pack([2, bytes(32), "what stands here is read by a later version"])),
        ),
        ("four fields", "malformed", line_of(pack([1, bytes(host), SECRET, EXPIRES]))),
        ("six fields", "malformed", line_of(pack([1, bytes(host), SECRET, EXPIRES, "a:1", 0]))),
        ("a short id", "malformed", line_of(content(id_=bytes(31)))),
        ("a long secret", "malformed", line_of(content(secret=bytes(17)))),
        ("an end in the year 10000", "malformed", line_of(content(expires=253_402_300_800))),
        ("something behind", "malformed", line_of(content() + b"x")),
        ("a number in a longer form", "not-canonical", line_of(b"\x95\xcc\x01" + content()[2:])),
        ("no address", "malformed", line_of(content(address=""))),
        ("an address without a port", "malformed", line_of(content(address="alpha.example"))),
        ("port 0", "malformed", line_of(content(address="alpha.example:0"))),
        ("port 65536", "malformed", line_of(content(address="alpha.example:65536"))),
        ("an address with a path", "malformed", line_of(content(address="alpha.example/x:1"))),
        ("an address with a user", "malformed", line_of(content(address="a@b:1"))),
        ("an address with a line break", "malformed", line_of(content(address="a\n:1"))),
        ("an address that is bytes", "malformed", line_of(content(address=b"a:1"))),
        ("an address of 301 bytes", "malformed", line_of(content(address="a" * 299 + ":1"))),
    ]
    return {
        "golden": golden,
        "spellings": [line.upper(), wrapped],
        "expired": {"line": line, "now": EXPIRES, "reason": "invitation-expired"},
        "negative": [{"name": name, "reason": reason, "line": text} for name, reason, text in negative],
    }


# --- meetings ---------------------------------------------------------------------------------------


def meeting_of(host: Identity, guest: Identity, key: InvitationLine | None = None) -> Meeting:
    line = key or InvitationLine(host.partner_id, Secret(SECRET), EXPIRES, "alpha.example:7443")
    return Meeting(
        host=host.partner_id,
        guest_certificate=line.key().certificate,
        server_certificate=host.operational.tls.certificate,
        host_card=host.card.raw,
        guest_card=guest.card.raw,
        commitment=commitment_to(NONCES["guest"], guest.card.raw),
        host_nonce=NONCES["host"],
        guest_nonce=NONCES["guest"],
    )


def told(meeting: Meeting) -> Json:
    return {
        "host": meeting.host.text,
        "guest_certificate": text_of(meeting.guest_certificate),
        "server_certificate": text_of(meeting.server_certificate),
        "host_card": text_of(meeting.host_card),
        "guest_card": text_of(meeting.guest_card),
        "commitment": meeting.commitment.hex(),
        "host_nonce": meeting.host_nonce.hex(),
        "guest_nonce": meeting.guest_nonce.hex(),
    }


def _meetings(alpha: Identity, bravo: Identity, mallory: Identity) -> Json:
    good = meeting_of(alpha, bravo)
    signed = {
        "guest_signature": text_of(sign_as_guest(bravo.operational.sign, good)),
        "host_signature": text_of(sign_as_host(alpha.operational.sign, good)),
    }
    line = encode_line(InvitationLine(alpha.partner_id, Secret(SECRET), EXPIRES, "alpha.example:7443"))
    own = meeting_of(alpha, alpha)
    changed = replace(good, host_nonce=bytes(32))
    other_channel = replace(good, server_certificate=mallory.operational.tls.certificate)

    def refused(name: str, reason: str, by: str, **changes: str) -> Json:
        return {"name": name, "reason": reason, "by": by, "changes": changes}

    return {
        "golden": told(good)
        | signed
        | {"line": line, "now": NOW, "hash": good.hash().hex(), "words": good.words()},
        "negative": [
            refused(
                "another nonce than it committed itself to",
                "join-commitment",
                "host",
                guest_nonce=bytes(32).hex(),
            ),
            refused(
                "another card than it committed itself to",
                "join-commitment",
                "host",
                guest_card=text_of(mallory.card.raw),
            ),
            refused(
                "the host's own card",
                "own-card",
                "host",
                guest_card=text_of(alpha.card.raw),
                commitment=own.commitment.hex(),
                guest_signature=text_of(sign_as_guest(alpha.operational.sign, own)),
            ),
            refused(
                "a signature over another nonce",
                "bad-signature",
                "host",
                guest_signature=text_of(sign_as_guest(bravo.operational.sign, changed)),
            ),
            refused(
                "a signature by somebody else",
                "bad-signature",
                "host",
                guest_signature=text_of(sign_as_guest(mallory.operational.sign, good)),
            ),
            refused(
                "a signature that was made on another channel",
                "bad-signature",
                "host",
                guest_signature=text_of(sign_as_guest(bravo.operational.sign, other_channel)),
            ),
            refused(
                "the guest's signature in the host's place",
                "bad-signature",
                "guest",
                host_signature=text_of(sign_as_guest(alpha.operational.sign, good)),
            ),
            refused(
                "the card of somebody else", "not-the-inviter", "guest", host_card=text_of(mallory.card.raw)
            ),
            refused(
                "a certificate that is not on the card",
                "not-the-inviter",
                "guest",
                server_certificate=text_of(mallory.operational.tls.certificate),
            ),
        ],
    }


# --- messages ---------------------------------------------------------------------------------------


def _messages(alpha: Identity, bravo: Identity) -> Json:
    nonce, signature = NONCES["host"], bytes(range(256)) * 18 + bytes(83)

    def case(name: str, kind: str, message: bytes, says: Any) -> Json:
        return {
            "name": name,
            "kind": kind,
            "frame": text_of(len(message).to_bytes(4, "big") + message),
            "says": says,
        }

    card = bravo.card.raw
    return {
        "golden": [
            case("begun", "opening", encode_guest_opening(JoinBegun(nonce)), [1, nonce.hex()]),
            case("state asked for", "opening", encode_guest_opening(StateAsked()), [2]),
            case(
                "host",
                "host",
                encode_host_introduced(HostIntroduced(nonce, alpha.card.raw)),
                [nonce.hex(), text_of(alpha.card.raw)],
            ),
            case(
                "guest",
                "guest",
                encode_guest_introduced(GuestIntroduced(nonce, card, signature)),
                [nonce.hex(), text_of(card), text_of(signature)],
            ),
            case(
                "joined",
                "joined",
                encode_joined(Joined(signature, JoinState.CONFIRMED)),
                [text_of(signature), 1],
            ),
            case("refused by the person", "state", encode_state(JoinState.REFUSED), [2]),
        ],
        "negative": [
            case("nothing", "opening", b"", "malformed"),
            case("another number", "opening", pack([3]), "malformed"),
            case("a short commitment", "opening", pack([1, bytes(31)]), "malformed"),
            case("a state asked for with something", "opening", pack([2, b"x"]), "malformed"),
            case(
                "message 3 first",
                "opening",
                encode_guest_introduced(GuestIntroduced(nonce, b"x", signature)),
                "malformed",
            ),
            case("something behind", "opening", encode_guest_opening(StateAsked()) + b"x", "malformed"),
            case("a longer form", "opening", b"\x92\x01\xc5\x00\x20" + nonce, "not-canonical"),
            case("no card file", "host", pack([1, nonce, b""]), "malformed"),
            case(
                "message 4 in the place of 2",
                "host",
                encode_joined(Joined(signature, JoinState.WAITING)),
                "malformed",
            ),
            case("used up", "host", encode_join_refusal("invitation-used"), "invitation-used"),
            case("a reason that is none", "host", pack([0, "Call this number: 5"]), "unspecified"),
            case("a reason of 65 bytes", "host", pack([0, "x" * 65]), "malformed"),
            case("a refusal with more", "host", pack([0, "x", 1]), "malformed"),
            case("no signature", "guest", pack([1, nonce, b"x", b""]), "malformed"),
            case("message 1 again", "guest", pack([1, nonce]), "malformed"),
            case(
                "used up when it is too late",
                "joined",
                encode_join_refusal("invitation-used"),
                "invitation-used",
            ),
            case("a short signature", "joined", pack([1, signature[1:], 0]), "malformed"),
            case("another state", "joined", pack([1, signature, 3]), "malformed"),
            case("another state alone", "state", pack([1, 3]), "malformed"),
            case("no state", "state", pack([1]), "malformed"),
        ],
    }


# --- states -----------------------------------------------------------------------------------------

# A step: who says what, and what comes of it: the state after it, or the reason of a refusal.
STATES: list[Json] = [
    {
        "name": "one guest, and a yes",
        "steps": [["begin", "open"], ["join bravo", "waiting"], ["ask", 0], ["yes", "confirmed"], ["ask", 1]],
        "later": None,
    },
    {
        "name": "a no",
        "steps": [
            ["begin", "open"],
            ["join bravo", "waiting"],
            ["no", "refused"],
            ["ask", 2],
            ["begin", "invitation-used"],
        ],
        "later": None,
    },
    {
        "name": "a stranger joins first, and the partner is told",
        "steps": [
            ["begin", "open"],
            ["join mallory", "waiting"],
            ["begin", "waiting"],
            ["join bravo", "invitation-used"],
            ["begin", "waiting"],
            ["join charlie", "invitation-used"],
        ],
        "later": ["bravo", 2],
    },
    {
        "name": "the same guest comes again, its connection had broken",
        "steps": [
            ["begin", "open"],
            ["join bravo", "waiting"],
            ["begin", "waiting"],
            ["join bravo", "waiting"],
            ["yes", "confirmed"],
            ["begin", "confirmed"],
            ["join bravo", "confirmed"],
        ],
        "later": None,
    },
    {
        "name": "a stranger comes after the yes",
        "steps": [
            ["begin", "open"],
            ["join bravo", "waiting"],
            ["yes", "confirmed"],
            ["begin", "confirmed"],
            ["join mallory", "invitation-used"],
        ],
        "later": ["mallory", 1],
    },
    {
        "name": "the seventeenth beginning",
        "steps": [["begin", "open"]] * 16 + [["begin", "invitation-used"]],
        "later": None,
    },
    {"name": "a yes before anybody came", "steps": [["yes", "not-waiting"]], "later": None},
    {"name": "after its end", "steps": [["end", "open"], ["begin", "invitation-expired"]], "later": None},
]
