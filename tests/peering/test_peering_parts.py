"""The small parts without a network: buckets, paces, the envelope splitter, refusals, the library check."""

from __future__ import annotations

from itertools import pairwise

import aiohttp
import pytest
from hypothesis import given
from hypothesis import strategies as st

from p2pshare.errors import OperatorError, PeerError, StoreError
from p2pshare.gossip.messages import body_head
from p2pshare.http_server.bodies import BufferBudget, pieces_of
from p2pshare.http_server.rates import Pace, TokenBucket
from p2pshare.http_server.refusals import INTERNAL, RequestRefused
from p2pshare.http_server.server import require_safe_http
from p2pshare.identifiers import EnvelopeId
from p2pshare.limits import ENVELOPE_BYTES_MAX, MIB, REQUEST_BYTES_MAX, RESPONSE_BYTES_MAX, SEND_PIECE_BYTES
from p2pshare.peering.bodies import EnvelopeSplitter, encode_envelopes
from p2pshare.peering.faults import answer_to, decode_reason, encode_refusal

ids = st.binary(min_size=32, max_size=32).map(EnvelopeId)


@given(
    steps=st.lists(st.tuples(st.floats(0, 10), st.floats(0, 30)), max_size=60),
    per_second=st.floats(0.1, 100),
    burst=st.floats(1, 50),
)
def test_a_bucket_never_gives_more_than_its_burst_and_what_accrued(steps, per_second, burst):
    now, given_out = 0.0, 0.0
    bucket = TokenBucket(per_second, burst, now)
    for pause, amount in steps:
        now += pause
        amount = min(amount, burst)
        wait = bucket.wait_seconds(amount, now)
        if wait == 0:
            bucket.take(amount)
            given_out += amount
        else:  # the promised pause is long enough
            assert bucket.wait_seconds(amount, now + wait * 1.000001 + 1e-9) == pytest.approx(0, abs=1e-6)
            now += wait * 1.000001 + 1e-9
        assert given_out <= burst + per_second * now + 1e-6


def test_debt_makes_the_next_one_wait():
    bucket = TokenBucket(10, 20, 0.0)
    bucket.take(70)
    assert bucket.wait_seconds(0, 0.0) == pytest.approx(5)
    assert bucket.wait_seconds(0, 5.0) == 0


def test_a_pace_moves_its_deadline_with_bytes_and_excuses():
    pace = Pace(10, 100, now=1000)
    assert pace.deadline == 1010
    pace.moved(200)
    pace.excuse(3)
    assert pace.deadline == 1015


@given(
    envelopes=st.lists(st.tuples(ids, st.binary(max_size=200)), max_size=8),
    cuts=st.lists(st.integers(0, 2000), max_size=10),
)
def test_the_splitter_finds_the_same_envelopes_however_the_bytes_arrive(envelopes, cuts):
    stream = b"".join(body_head(one, len(wire)) + wire for one, wire in envelopes)
    edges = sorted({0, len(stream), *(min(cut, len(stream)) for cut in cuts)})
    splitter, found = EnvelopeSplitter(), []
    for start, end in pairwise(edges):
        found += splitter.feed(stream[start:end])
    assert found == [(one, wire or None) for one, wire in envelopes]
    assert splitter.is_between_envelopes


@given(stream=st.binary(max_size=400))
def test_the_splitter_refuses_or_waits_for_any_bytes(stream):
    splitter = EnvelopeSplitter()
    try:
        for _, wire in splitter.feed(stream):
            assert wire is None or len(wire) <= ENVELOPE_BYTES_MAX
    except PeerError as error:
        assert error.reason == "oversized"


@pytest.mark.parametrize(
    ("sizes", "answered"),
    [
        ([RESPONSE_BYTES_MAX - 36, 1], 1),
        ([RESPONSE_BYTES_MAX - 72, 0], 2),
        ([RESPONSE_BYTES_MAX - 72, 1], 1),
        ([ENVELOPE_BYTES_MAX, 1], 1),
        ([1, ENVELOPE_BYTES_MAX], 1),
        ([1, 1, 1], 3),
    ],
)
async def test_an_answer_is_full_at_its_limit_and_one_larger_envelope_travels_alone(sizes, answered):
    async def envelopes():
        for number, size in enumerate(sizes):
            yield EnvelopeId(bytes([number]) * 32), bytes(size) or None

    splitter, found, sent = EnvelopeSplitter(), [], 0
    async for piece in encode_envelopes(envelopes()):
        assert len(piece) <= SEND_PIECE_BYTES
        sent += len(piece)
        found += splitter.feed(piece)
    assert len(found) == answered
    assert sent <= RESPONSE_BYTES_MAX or answered == 1


@given(st.integers(0, 3 * SEND_PIECE_BYTES + 1))
def test_pieces_are_the_whole(size):
    body = bytes(size)
    assert b"".join(pieces_of(body)) == body


def test_room_is_given_back_and_small_bodies_need_none():
    budget = BufferBudget(10 * MIB, per_owner=1)
    with budget.reserve(b"a", 10 * MIB):
        with pytest.raises(RequestRefused):
            budget.reserve(b"b", REQUEST_BYTES_MAX + 1)
        with budget.reserve(b"b", REQUEST_BYTES_MAX):
            pass
    with budget.reserve(b"b", 6 * MIB):
        with pytest.raises(RequestRefused):
            budget.reserve(b"b", MIB)
        with budget.reserve(b"a", 4 * MIB):
            pass


@given(st.binary(max_size=256))
def test_any_bytes_read_as_a_reason_code_or_unspecified(raw):
    reason = decode_reason(raw)
    assert reason.isascii()
    assert len(reason) <= 64


def test_a_refusal_says_its_reason_and_an_unknown_error_says_nothing():
    assert decode_reason(encode_refusal(answer_to(PeerError("x", reason="bad-signature")))) == "bad-signature"
    for error in (StoreError("/var/lib/x is damaged"), ValueError("203.0.113.7"), MemoryError()):
        assert answer_to(error) is INTERNAL


@pytest.mark.parametrize(
    ("version", "module"), [("3.14.2", "aiohttp._http_parser"), ("3.14.5", "aiohttp.http_parser")]
)
def test_an_old_aiohttp_or_its_slow_parser_is_refused_at_start(monkeypatch, version, module):
    class Parser:
        __module__ = module

    require_safe_http()
    monkeypatch.setattr(aiohttp, "__version__", version)
    monkeypatch.setattr(aiohttp.http_parser, "HttpRequestParser", Parser)
    with pytest.raises(OperatorError) as error:
        require_safe_http()
    assert error.value.reason == "unsafe-http"
    assert "3.14.3" in error.value.hint
