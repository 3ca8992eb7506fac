"""What deciding entries say reads back as it was written, in one form only, and quickly where it may be long."""

from __future__ import annotations

import msgpack
import pytest
from hypothesis import example, given
from hypothesis import strategies as st
from space_histories import named, partner

from p2pshare.errors import PeerError
from p2pshare.identifiers import EntryId, KeyId, PartnerId
from p2pshare.limits import REKEY_KEYS_MAX, SPACE_MEMBERS_MAX
from p2pshare.spaces.acts import (
    Ack,
    Act,
    Handover,
    Inviting,
    Opening,
    Plain,
    Redaction,
    Rekey,
    Removal,
    Takeover,
    decode_act,
    read_act,
)

CROWD = [f"member {number}" for number in range(SPACE_MEMBERS_MAX)]
ONE_OF_EACH: dict[str, Act] = {
    "open": Opening(1, "note", "title", named("LA", {"A": "white"})),
    "invite": Inviting(named(CROWD)),
    "remove": Removal(tuple(sorted(partner(name) for name in CROWD))),
    "handover": Handover(partner("A")),
    "takeover": Takeover(1, 2**53 - 1),
    "ack": Ack(EntryId(bytes(32))),
    "rekey": Rekey({KeyId(bytes([number]) * 16): EntryId(bytes(32)) for number in range(REKEY_KEYS_MAX)}),
    "redact": Redaction(EntryId(bytes(range(32)))),
    "join": Plain(),
    "merge": Plain(),
}


@pytest.mark.parametrize("kind", ONE_OF_EACH)
def test_an_act_reads_back_as_it_was_written_and_in_no_other_form(kind: str) -> None:
    act = ONE_OF_EACH[kind]
    content = act.encode()
    assert decode_act(kind, content) == act
    for other in (content + b"\0", content[:-1], b"\xde" + content, b""):
        with pytest.raises(PeerError):
            decode_act(kind, other)


def ids(*names: str) -> list[bytes]:
    return sorted(bytes(partner(name)) for name in names)


@pytest.mark.parametrize(
    ("kind", "content"),
    [
        ("invite", {0: []}),
        ("invite", {0: [[one, ""] for one in ids(*CROWD, "one more")]}),
        ("invite", {0: [[one, ""] for one in reversed(ids("A", "B"))]}),
        ("invite", {0: [[partner("A"), ""], [partner("A"), ""]]}),
        ("invite", {0: [[partner("A"), "r" * 33]]}),
        ("invite", {0: [[partner("A")]]}),
        ("invite", {0: [[bytes(31), ""]]}),
        ("invite", {1: [[partner("A"), ""]]}),
        ("remove", {0: []}),
        ("remove", {0: [partner("A"), partner("A")]}),
        ("remove", {0: ids(*CROWD, "one more")}),
        ("takeover", {0: 0, 1: 1}),
        ("takeover", {0: 1}),
        ("rekey", {0: []}),
        ("rekey", {0: [[bytes([number]) * 16, bytes(32)] for number in range(REKEY_KEYS_MAX + 1)]}),
        ("rekey", {0: [[bytes(16), bytes(32)], [bytes(16), bytes(32)]]}),
        ("open", {0: 1, 1: "note", 2: "", 3: [[partner("L"), ""]]}),
        ("open", {0: 1, 1: "note", 2: "t" * 257, 3: [[partner("L"), ""]]}),
        ("open", {0: 1, 1: "", 2: "t", 3: [[partner("L"), ""]]}),
    ],
)
def test_what_is_not_as_the_table_says_is_no_act(kind: str, content: object) -> None:
    with pytest.raises(PeerError) as caught:
        decode_act(kind, msgpack.packb(content))
    assert caught.value.reason == "malformed"


def outcome(read: object, kind: str, content: bytes) -> object:
    try:
        return read(kind, content)  # type: ignore[operator]
    except PeerError as error:
        return error.reason


@given(
    kind=st.sampled_from(["invite", "remove"]),
    count=st.integers(0, 40),
    at=st.integers(0, 200),
    to=st.binary(max_size=3),
)
@example(kind="invite", count=16, at=2, to=b"\xdc\x00\x0f")
@example(kind="invite", count=1, at=2, to=b"\xdd\x00\x00")
def test_reading_quickly_is_reading(kind: str, count: int, at: int, to: bytes) -> None:
    """A list as it is written, and with a few bytes changed anywhere: both ways say the same."""
    members = sorted(PartnerId(bytes([number]) * 32) for number in range(count))
    act = Removal(tuple(members)) if kind == "remove" else Inviting(tuple((one, "") for one in members))
    content = act.encode()
    for one in (content, content[:at] + to + content[at + len(to) :], content[:at], content + to):
        assert outcome(decode_act, kind, one) == outcome(read_act, kind, one)
