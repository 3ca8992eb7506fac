"""Messages have one form: every other bytes are refused with a reason, whatever they are."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import msgpack
import pytest
from hypothesis import given
from hypothesis import strategies as st

from p2pshare.errors import PeerError
from p2pshare.gossip import messages
from p2pshare.gossip.messages import (
    Announce,
    AnnounceAnswer,
    AnnounceItem,
    GetBodies,
    Hello,
    Poll,
    PollAnswer,
    PutAnswer,
    PutVerdict,
    Shard,
    ShardRoot,
    Sync,
    SyncAnswer,
    SyncPart,
)
from p2pshare.identifiers import CircleId, EnvelopeId, Epoch
from p2pshare.limits import (
    ANNOUNCE_ITEMS_MAX,
    ENVELOPE_BYTES_MAX,
    GET_IDS_MAX,
    POLL_DIRECT_MAX,
    POLL_WAIT_SECONDS_MAX,
    REQUEST_BYTES_MAX,
    SHARDS_PER_LINK_MAX,
    SYNC_BYTES_MAX,
    SYNC_PARTS_MAX,
)

numbers = st.integers(0, messages.INTEGER_MAX)
ids = st.binary(min_size=32, max_size=32).map(EnvelopeId)
circles = st.binary(min_size=16, max_size=16).map(CircleId)
epochs = st.binary(min_size=16, max_size=16).map(Epoch)
shards = st.builds(Shard, circles, st.integers(1, 6))
roots = st.lists(
    st.builds(ShardRoot, shards, numbers, st.binary(min_size=16, max_size=16)),
    max_size=5,
    unique_by=lambda one: one.shard,
).map(lambda some: tuple(sorted(some, key=lambda one: one.shard)))
items = st.builds(AnnounceItem, ids, numbers, st.integers(1, 6), circles, st.integers(0, ENVELOPE_BYTES_MAX))
distinct_items = st.lists(items, max_size=5, unique_by=lambda one: one.envelope_id).map(tuple)
distinct_ids = st.lists(ids, max_size=8, unique=True).map(tuple)
parts = st.lists(
    st.builds(SyncPart, shards, st.binary(min_size=1, max_size=50)),
    min_size=1,
    max_size=5,
    unique_by=lambda one: one.shard,
).map(lambda some: tuple(sorted(some, key=lambda one: one.shard)))
reasons = st.from_regex(r"[a-z0-9-]{0,64}", fullmatch=True)

KINDS: dict[str, tuple[st.SearchStrategy[Any], Callable[[Any], bytes], Callable[[bytes], Any]]] = {
    "hello": (
        st.builds(Hello, epochs, numbers, numbers, roots),
        messages.encode_hello,
        messages.decode_hello,
    ),
    "announce": (
        st.builds(
            lambda epoch, low, more, some: Announce(epoch, low, low + more, some),
            epochs,
            st.integers(0, 1 << 40),
            st.integers(0, 1 << 40),
            distinct_items,
        ),
        messages.encode_announce,
        messages.decode_announce,
    ),
    "announce-answer": (
        st.builds(AnnounceAnswer, numbers, distinct_ids),
        messages.encode_announce_answer,
        messages.decode_announce_answer,
    ),
    "get": (st.builds(GetBodies, distinct_ids), messages.encode_get_bodies, messages.decode_get_bodies),
    "put-answer": (
        st.builds(PutAnswer, st.sampled_from(PutVerdict), reasons),
        messages.encode_put_answer,
        messages.decode_put_answer,
    ),
    "poll": (
        st.builds(Poll, epochs, numbers, st.integers(0, POLL_WAIT_SECONDS_MAX), distinct_ids),
        messages.encode_poll,
        messages.decode_poll,
    ),
    "poll-answer": (
        st.builds(
            lambda epoch, low, more, some, direct: PollAnswer(epoch, low, low + more, some, direct),
            epochs,
            st.integers(0, 1 << 40),
            st.integers(0, 1 << 40),
            distinct_items,
            distinct_ids,
        ),
        messages.encode_poll_answer,
        messages.decode_poll_answer,
    ),
    "sync": (
        st.builds(Sync, numbers, st.one_of(st.just(b""), st.binary(min_size=32, max_size=32)), parts),
        messages.encode_sync,
        messages.decode_sync,
    ),
    "sync-answer": (
        st.builds(SyncAnswer, parts),
        messages.encode_sync_answer,
        messages.decode_sync_answer,
    ),
}


@pytest.mark.parametrize("kind", KINDS)
@given(data=st.data())
def test_what_is_written_is_read_back(kind: str, data: st.DataObject) -> None:
    strategy, encode, decode = KINDS[kind]
    message = data.draw(strategy)
    raw = encode(message)
    assert decode(raw) == message
    assert encode(decode(raw)) == raw


@pytest.mark.parametrize("kind", KINDS)
@given(data=st.data())
def test_changed_bytes_are_refused_or_have_one_form(kind: str, data: st.DataObject) -> None:
    """Flips, cuts and insertions: never another exception, never a second form of the same message."""
    strategy, encode, decode = KINDS[kind]
    raw = bytearray(encode(data.draw(strategy)))
    at = data.draw(st.integers(0, len(raw) - 1))
    match data.draw(st.sampled_from(["flip", "cut", "insert"])):
        case "flip":
            raw[at] ^= data.draw(st.integers(1, 255))
        case "cut":
            del raw[at:]
        case _:
            raw[at:at] = data.draw(st.binary(min_size=1, max_size=9))
    try:
        message = decode(bytes(raw))
    except PeerError as error:
        assert error.reason in {"malformed", "not-canonical", "unknown-version"}
    else:
        assert encode(message) == bytes(raw)


@pytest.mark.parametrize("kind", KINDS)
@given(raw=st.binary(max_size=200))
def test_random_bytes_are_refused(kind: str, raw: bytes) -> None:
    _, encode, decode = KINDS[kind]
    try:
        message = decode(raw)
    except PeerError:
        return
    assert encode(message) == raw


@pytest.mark.parametrize(
    ("raw", "reason"),
    [
        (b"\xdc\x00\x02" + b"\xcd\x00\x05" + b"\x90", "not-canonical"),  # 5 in three bytes
        (msgpack.packb([1.0, []]), "malformed"),
        (msgpack.packb([True, []]), "malformed"),
        (msgpack.packb([-1, []]), "malformed"),
        (msgpack.packb([1 << 53, []]), "malformed"),
        (msgpack.packb([None, []]), "malformed"),
        (msgpack.packb({0: 1}), "malformed"),
        (msgpack.packb([msgpack.ExtType(1, b"x"), []]), "malformed"),
        (msgpack.packb([1, [b"x" * 31]]), "malformed"),
        (msgpack.packb([1, ["x" * 32]]), "malformed"),
        (msgpack.packb([1, [b"x" * 32, b"x" * 32]]), "malformed"),
        (msgpack.packb([1, []]) + b"\x00", "malformed"),
        (b"\x91" * 1_500 + b"\x90", "malformed"),
        (b"\x80" * REQUEST_BYTES_MAX, "malformed"),
        (b"\xdd\xff\xff\xff\xff", "malformed"),
        (bytes(REQUEST_BYTES_MAX + 1), "oversized"),
        (b"", "malformed"),
    ],
)
def test_an_answer_in_any_other_form_is_refused(raw: bytes, reason: str) -> None:
    with pytest.raises(PeerError) as caught:
        messages.decode_announce_answer(raw)
    assert caught.value.reason == reason


def some_parts(count: int) -> tuple[SyncPart, ...]:
    shards = [Shard(CircleId(n.to_bytes(16, "big")), 1) for n in range(count)]
    return tuple(SyncPart(shard, b"m") for shard in shards)


def some_items(count: int) -> tuple[AnnounceItem, ...]:
    return tuple(
        AnnounceItem(
            EnvelopeId(n.to_bytes(32, "big")),
            messages.INTEGER_MAX,
            6,
            CircleId(bytes(16)),
            ENVELOPE_BYTES_MAX,
        )
        for n in range(count)
    )


def some_ids(count: int) -> tuple[EnvelopeId, ...]:
    return tuple(EnvelopeId(n.to_bytes(32, "big")) for n in range(count))


def some_roots(count: int) -> tuple[ShardRoot, ...]:
    made = (
        ShardRoot(Shard(CircleId((n // 6).to_bytes(16, "big")), n % 6 + 1), messages.INTEGER_MAX, bytes(16))
        for n in range(count)
    )
    return tuple(made)


EPOCH = Epoch(bytes(16))
AT_THE_LIMIT: dict[str, tuple[int, Callable[[int], bytes], Callable[[bytes], Any]]] = {
    "announce": (
        ANNOUNCE_ITEMS_MAX,
        lambda n: messages.encode_announce(Announce(EPOCH, 0, 1, some_items(n))),
        messages.decode_announce,
    ),
    "want": (
        ANNOUNCE_ITEMS_MAX,
        lambda n: messages.encode_announce_answer(AnnounceAnswer(1, some_ids(n))),
        messages.decode_announce_answer,
    ),
    "get": (
        GET_IDS_MAX,
        lambda n: messages.encode_get_bodies(GetBodies(some_ids(n))),
        messages.decode_get_bodies,
    ),
    "direct": (
        POLL_DIRECT_MAX,
        lambda n: messages.encode_poll_answer(PollAnswer(EPOCH, 0, 0, (), some_ids(n))),
        messages.decode_poll_answer,
    ),
    "wait": (
        POLL_WAIT_SECONDS_MAX,
        lambda n: messages.encode_poll(Poll(EPOCH, 0, n)),
        messages.decode_poll,
    ),
    "parts": (
        SYNC_PARTS_MAX,
        lambda n: messages.encode_sync(Sync(0, b"", some_parts(n))),
        messages.decode_sync,
    ),
    "hello": (
        SHARDS_PER_LINK_MAX,
        lambda n: messages.encode_hello(Hello(EPOCH, 0, 0, some_roots(n))),
        messages.decode_hello,
    ),
    "size": (
        ENVELOPE_BYTES_MAX,
        lambda n: messages.encode_announce(
            Announce(EPOCH, 0, 1, (AnnounceItem(EnvelopeId(bytes(32)), 0, 1, CircleId(bytes(16)), n),))
        ),
        messages.decode_announce,
    ),
    "reason": (
        64,
        lambda n: messages.encode_put_answer(PutAnswer(PutVerdict.REFUSED, "a" * n)),
        messages.decode_put_answer,
    ),
}


@pytest.mark.parametrize("name", AT_THE_LIMIT)
def test_at_each_limit_one_below_and_one_above(name: str) -> None:
    limit, encode, decode = AT_THE_LIMIT[name]
    for count in (limit - 1, limit):
        assert len(encode(count)) <= REQUEST_BYTES_MAX
        decode(encode(count))
    with pytest.raises(PeerError):
        decode(encode(limit + 1))


def test_a_hello_of_another_version_is_told_apart() -> None:
    raw = msgpack.packb([2, "whatever", "comes", "then"])
    with pytest.raises(PeerError) as caught:
        messages.decode_hello(raw)
    assert caught.value.reason == "unknown-version"


def test_a_hello_with_the_field_that_was_reserved_is_refused() -> None:
    with pytest.raises(PeerError) as caught:
        messages.decode_hello(msgpack.packb([1, EPOCH, 0, 1_700_000_000, 1, []]))
    assert caught.value.reason == "malformed"


@pytest.mark.parametrize("count", [0, 2])
def test_a_sync_without_parts_or_with_parts_out_of_order_is_refused(count: int) -> None:
    parts = some_parts(count)[::-1]
    for raw, decode in (
        (messages.encode_sync(Sync(0, b"", parts)), messages.decode_sync),
        (messages.encode_sync_answer(SyncAnswer(parts)), messages.decode_sync_answer),
    ):
        with pytest.raises(PeerError) as caught:
            decode(raw)
        assert caught.value.reason == "malformed"


@pytest.mark.parametrize("nonce", [b"n", b"n" * 31, b"n" * 33])
def test_a_nonce_of_another_length_is_refused(nonce: bytes) -> None:
    with pytest.raises(PeerError):
        messages.decode_sync(messages.encode_sync(Sync(0, nonce, some_parts(1))))


def test_a_sync_has_a_limit_of_its_own_at_it_and_above() -> None:
    """Every other message is refused above 64 KiB."""
    shard = some_parts(1)[0].shard
    room = (
        SYNC_BYTES_MAX
        - len(messages.encode_sync_answer(SyncAnswer((SyncPart(shard, b"m" * 70_000),))))
        + 70_000
    )
    messages.decode_sync_answer(messages.encode_sync_answer(SyncAnswer((SyncPart(shard, b"m" * room),))))
    with pytest.raises(PeerError) as caught:
        messages.decode_sync_answer(
            messages.encode_sync_answer(SyncAnswer((SyncPart(shard, b"m" * (room + 1)),)))
        )
    assert caught.value.reason == "oversized"


def test_shards_out_of_order_and_announcements_that_run_backwards_are_refused() -> None:
    with pytest.raises(PeerError):
        messages.decode_hello(messages.encode_hello(Hello(EPOCH, 0, 0, some_roots(3)[::-1])))
    with pytest.raises(PeerError):
        messages.decode_announce(messages.encode_announce(Announce(EPOCH, 2, 1, ())))


@pytest.mark.parametrize("length", [0, 1, ENVELOPE_BYTES_MAX])
def test_heads_of_bodies(length: int) -> None:
    envelope_id = EnvelopeId(b"i" * 32)
    assert messages.decode_body_head(messages.body_head(envelope_id, length)) == (envelope_id, length)
    with pytest.raises(PeerError):
        messages.decode_body_head(messages.body_head(envelope_id, ENVELOPE_BYTES_MAX + 1))
