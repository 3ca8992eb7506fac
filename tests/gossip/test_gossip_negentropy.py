"""Two sets always find their difference, within every frame, whatever happens meanwhile; liars are refused."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from negentropy_dialogues import START, converse, ids_of, index_of, numbered_key, spread
from plain_negentropy import PlainResponder

from p2pshare.errors import PeerError
from p2pshare.gossip.negentropy.audit import AuditView
from p2pshare.gossip.negentropy.key_index import SortedKeys, key_of
from p2pshare.gossip.negentropy.negentropy import (
    STEP_WORK,
    Initiator,
    KeySource,
    _Steps,
    finish,
    prefers_list,
    respond,
)
from p2pshare.gossip.negentropy.negentropy_wire import (
    END,
    Bound,
    MessageWriter,
    RangeMode,
    read_ranges,
    split_ids,
)
from p2pshare.limits import SYNC_FRAME_BYTES_MAX, SYNC_FRAME_BYTES_MIN, SYNC_ROUNDS_MAX

VECTORS = Path(__file__).parent.parent / "vectors" / "negentropy"
FRAMES = [SYNC_FRAME_BYTES_MIN, SYNC_FRAME_BYTES_MIN + 1, 5_000, 16_384, SYNC_FRAME_BYTES_MAX]


def clustered_id(number: int) -> bytes:
    """Ids that share up to 28 bytes with their neighbours."""
    return b"\x07" * (number % 29) + number.to_bytes(32 - number % 29, "big")


def random_id(number: int) -> bytes:
    return hashlib.sha256(number.to_bytes(4, "big")).digest()


@dataclass(frozen=True)
class Pair:
    """Two sets that share a part: in many or few seconds, with random or clustered ids, maybe empty."""

    seconds: int
    is_clustered: bool
    shared: int
    only_client: int
    only_server: int

    def sides(self) -> tuple[set[bytes], set[bytes]]:
        make_id = clustered_id if self.is_clustered else random_id
        total = self.shared + self.only_client + self.only_server
        # Numbers modulo a prime, so that what only one side has is scattered over the seconds.
        numbers = [number * 7_919 % 65_521 for number in range(1, total + 1)]
        keys = [key_of(START + number % self.seconds, make_id(number)) for number in numbers]
        shared, rest = set(keys[: self.shared]), keys[self.shared :]
        return shared | set(rest[: self.only_client]), shared | set(rest[self.only_client :])


size = st.one_of(st.sampled_from([0, 1, 31, 32, 33, 1_500]), st.integers(0, 600))
pairs = st.builds(Pair, st.sampled_from([1, 2, 50, 5_000]), st.booleans(), size, size, size)


@settings(max_examples=60)
@given(pairs, st.sampled_from(FRAMES), st.sampled_from(FRAMES), st.booleans())
def test_any_two_sets_find_exactly_their_difference(
    pair: Pair, client_frame: int, server_frame: int, lists_own_ids: bool
) -> None:
    client, server = pair.sides()
    dialogue = converse(
        index_of(client),
        index_of(server),
        frame_bytes_max=client_frame,
        server_frame=server_frame,
        lists_own_ids=lists_own_ids,
    )
    assert dialogue.have == ids_of(client - server)
    assert dialogue.need == ids_of(server - client)


@settings(max_examples=25)
@given(pairs, st.sampled_from(FRAMES), st.booleans())
def test_the_responder_says_what_a_second_implementation_says(
    pair: Pair, server_frame: int, lists_own_ids: bool
) -> None:
    client, server = pair.sides()
    plain = PlainResponder([(int.from_bytes(key[:8], "big"), key[8:]) for key in server], server_frame)
    dialogue = converse(
        index_of(client), index_of(server), server_frame=server_frame, lists_own_ids=lists_own_ids
    )
    for (_, message), (_, answer) in zip(dialogue.messages[::2], dialogue.messages[1::2], strict=True):
        assert plain.respond(message) == answer


@settings(max_examples=15)
@given(pairs, st.sampled_from(FRAMES))
def test_the_audit_finds_the_same_difference(pair: Pair, frame: int) -> None:
    ours, theirs = pair.sides()
    client, server = AuditView(index_of(ours), b"k" * 32), AuditView(index_of(theirs), b"k" * 32)
    list(client.warm())  # the server stays cold: warmth must only change speed
    dialogue = converse(client, server, frame_bytes_max=frame, server_frame=frame)
    assert dialogue.have == ids_of(ours - theirs)
    assert dialogue.need == ids_of(theirs - ours)


def test_planted_ids_hide_a_difference_from_sums_but_not_from_the_audit() -> None:
    shared = spread(100, created=START)
    # Two pairs of ids with one sum: a + b = (a + 1) + (b - 1), too close together for a split to part them.
    ours = {key_of(START, bytes(31) + b"\x10"), key_of(START, bytes(31) + b"\x20")}
    theirs = {key_of(START, bytes(31) + b"\x11"), key_of(START, bytes(31) + b"\x1f")}
    client, server = index_of(shared | ours), index_of(shared | theirs)
    assert client.root() == server.root()
    hidden = converse(client, server, lists_own_ids=True)
    assert (hidden.have, hidden.need) == (set(), set())
    audited = converse(AuditView(client, b"s" * 32), AuditView(server, b"s" * 32))
    assert (audited.have, audited.need) == (ids_of(ours), ids_of(theirs))
    assert AuditView(client, b"s" * 32).root() != AuditView(server, b"s" * 32).root()


def test_an_audit_sees_keys_that_came_after_it_began() -> None:
    index = index_of(spread(500))
    view = AuditView(index, b"k" * 32)
    list(view.warm())
    index.add(numbered_key(9_999, START + 1))
    fresh = AuditView(index, b"k" * 32)
    assert view.root() == fresh.root()
    assert len(view) == 501
    with pytest.raises(ValueError, match="32 bytes"):
        AuditView(index, b"short")


def test_only_keys_above_the_cut_are_compared() -> None:
    shared = spread(300, created=START + 100)
    client = index_of(shared | {numbered_key(5_000, START)})
    server = index_of(shared | {numbered_key(5_001, START + 99), numbered_key(5_002, START + 500)})
    dialogue = converse(client, server, created_min=START + 100)
    assert (dialogue.have, dialogue.need) == (set(), {numbered_key(5_002, 0)[8:]})


def test_the_newest_thousand_take_two_rounds_and_35_bytes_each() -> None:
    shared = spread(20_000)
    server = shared | spread(1_000, first=50_000, created=START + 10_000)
    dialogue = converse(index_of(shared), index_of(server))
    assert dialogue.rounds == 2
    assert dialogue.bytes_sent <= 35 * 1_000 + 1_000


@pytest.mark.parametrize("every", [1, 2, 10, 30, 100])
def test_scattered_differences_never_cost_more_than_a_list_of_ids(every: int) -> None:
    server = sorted(spread(30_000))
    client = {key for number, key in enumerate(server) if number % every}
    dialogue = converse(index_of(client), SortedKeys(server), differences_max=40_000)
    assert len(dialogue.need) == len(server) - len(client)
    assert dialogue.bytes_sent <= 1.1 * 32 * len(server)


def test_asking_instead_of_listing_saves_a_fifth() -> None:
    server = sorted(spread(4_000))
    client = SortedKeys(key for number, key in enumerate(server) if number % 100)
    asking = converse(client, SortedKeys(server))
    listing = converse(client, SortedKeys(server), lists_own_ids=True)
    assert asking.need == listing.need
    assert asking.bytes_sent < 0.8 * listing.bytes_sent


@pytest.mark.parametrize(
    ("settled", "differing", "listed"), [(0, 0, False), (0, 1, True), (26, 1, False), (25, 1, True)]
)
def test_a_list_is_preferred_from_one_key_in_26(settled: int, differing: int, listed: bool) -> None:
    assert prefers_list(settled, differing) is listed


def test_a_full_answer_hides_nothing_from_who_holds_only_the_rest() -> None:
    """The reference leaves keys out of the last fingerprint; here that would equal the initiator's."""
    oldest = spread(120, a_second=200)
    middle = spread(40, first=1_000, created=START + 10, a_second=100)
    newest = spread(60, first=2_000, created=START + 20)
    writer = MessageWriter()
    empty = index_of(set()).fingerprint(0, 0)
    writer.add(Bound(key_of(START + 5, bytes(32)), 0), RangeMode.IDS)
    writer.add(Bound(key_of(START + 15, bytes(32)), 0), RangeMode.FINGERPRINT, empty)
    rest = index_of(newest)
    writer.add(END, RangeMode.FINGERPRINT, rest.root())
    answer = finish(
        respond(index_of(oldest | middle | newest), bytes(writer.raw), frame_bytes_max=SYNC_FRAME_BYTES_MIN)
    )
    last = list(read_ranges(answer))[-1]
    assert (last.upper, last.mode) == (END, RangeMode.FINGERPRINT)
    assert last.payload != rest.root()


@pytest.mark.parametrize(
    ("count", "listed", "has_rest"), [(121, 121, False), (122, 122, False), (123, 122, True)]
)
def test_a_list_that_just_fits_is_the_whole_answer(count: int, listed: int, has_rest: bool) -> None:
    answer = finish(
        respond(index_of(spread(count)), b"\x61\x00\x00\x02\x00", frame_bytes_max=SYNC_FRAME_BYTES_MIN)
    )
    first, *rest = read_ranges(answer)
    assert len(first.payload) == 32 * listed
    assert [part.mode for part in rest] == [RangeMode.FINGERPRINT] * has_rest


# --- the index changes while a session is suspended -------------------------------------------------


def test_keys_that_come_and_go_between_steps_do_not_disturb_the_others() -> None:
    shared, missing = spread(20_000), spread(1_500, first=30_000, a_second=1)
    client, server = index_of(shared), index_of(shared | missing)
    arriving = iter(sorted(spread(4_000, first=50_000, created=START - 50)))
    steps = 0

    def disturbed(side: SortedKeys, running: _Steps[bytes | None]) -> bytes | None:
        nonlocal steps
        while True:
            try:
                next(running)
            except StopIteration as end:
                return end.value  # type: ignore[no-any-return]
            steps += 1
            side.add(next(arriving))
            side.expire(START - 40)

    initiator = Initiator(client)
    message: bytes | None = initiator.begin()
    while message is not None:
        answer = disturbed(server, respond(server, message))  # type: ignore[arg-type]
        message = disturbed(client, initiator.receive(answer or b""))
    assert steps > 10
    assert ids_of(missing) <= initiator.need
    assert not set(initiator.have) & ids_of(shared)


# --- vectors ------------------------------------------------------------------------------------------


def replay(scene: dict[str, object], **options: object) -> None:
    def side(name: str) -> SortedKeys:
        return SortedKeys(sorted(key_of(created, bytes.fromhex(text)) for created, text in scene[name]))  # type: ignore[attr-defined]

    dialogue = converse(
        side("client"),
        side("server"),
        frame_bytes_max=scene["client_frame"] or SYNC_FRAME_BYTES_MAX,
        server_frame=scene["server_frame"] or SYNC_FRAME_BYTES_MAX,  # type: ignore[arg-type]
        **options,
    )
    assert [[who, raw.hex()] for who, raw in dialogue.messages] == scene["messages"]
    assert sorted(each.hex() for each in dialogue.have) == scene["have"]
    assert sorted(each.hex() for each in dialogue.need) == scene["need"]


def test_the_reference_says_the_same_bytes(shared_data: Path) -> None:
    path = shared_data / "formats" / "negentropy" / "transcripts.jsonl"
    if not path.is_file():
        pytest.skip("skipped: ../shared/data/formats/negentropy not present")
    scenes = [json.loads(line) for line in path.read_text().splitlines()]
    assert len(scenes) >= 6
    for scene in scenes:
        replay(scene, lists_own_ids=True)


def test_the_values_in_the_documentation_hold(repository: Path) -> None:
    text = (repository / "docs" / "reconciliation.md").read_text()
    one_id, key = SortedKeys([key_of(START, bytes(32))]), bytes(range(32))
    tag = hashlib.blake2b(bytes(32), digest_size=32, key=key, person=b"p2pshare-audit")
    for value in (SortedKeys().root(), tag.digest(), AuditView(one_id, key).root()):
        assert f"`{value.hex()}`" in text


def test_there_are_vectors_for_both_kinds_of_initiator() -> None:
    scenes = [json.loads(path.read_text()) for path in VECTORS.glob("*.json")]
    assert {scene["lists_own_ids"] for scene in scenes} == {True, False}


@pytest.mark.parametrize("path", sorted(VECTORS.glob("*.json")), ids=lambda path: path.stem)
def test_our_vectors_are_said_again(path: Path) -> None:
    scene = json.loads(path.read_text())
    replay(scene, lists_own_ids=scene["lists_own_ids"])


# --- liars --------------------------------------------------------------------------------------------


def initiator_of(count: int = 500, **options: object) -> Initiator:
    initiator = Initiator(index_of(spread(count)), **options)  # type: ignore[arg-type]
    initiator.begin()
    return initiator


SHARED = index_of(spread(500))
HONEST = finish(respond(SHARED, Initiator(index_of(spread(480))).begin()))


@given(st.binary(max_size=600), st.booleans())
def test_random_bytes_are_answered_within_the_frame_or_refused(raw: bytes, has_version: bool) -> None:
    raw = b"\x61" * has_version + raw
    for run in (lambda: respond(SHARED, raw), lambda: initiator_of().receive(raw)):
        try:
            answer = finish(run())  # type: ignore[arg-type]
        except PeerError as refusal:
            assert refusal.reason.startswith("sync-")
        else:
            assert answer is None or len(answer) <= SYNC_FRAME_BYTES_MAX


@given(
    st.lists(st.tuples(st.integers(0, len(HONEST) - 1), st.integers(0, 255)), min_size=1, max_size=4),
    st.data(),
)
def test_mutated_messages_leave_the_session_bounded(
    changes: list[tuple[int, int]], data: st.DataObject
) -> None:
    raw = bytearray(HONEST)
    for at, value in changes:
        raw[at] = value
    raw = raw[: data.draw(st.integers(1, len(raw)))]
    initiator = initiator_of()
    try:
        finish(initiator.receive(bytes(raw)))
    except PeerError as refusal:
        assert refusal.reason.startswith("sync-")
        assert (initiator.have, initiator.need) == ({}, set())
    assert len(initiator.need) <= len(raw) // 32


def test_nothing_is_learnt_from_a_message_that_is_refused_at_its_end() -> None:
    writer = MessageWriter()
    writer.add(Bound(key_of(START + 5, bytes(32)), 0), RangeMode.IDS, bytes(32))
    initiator = initiator_of()
    with pytest.raises(PeerError) as refusal:
        finish(initiator.receive(bytes(writer.raw) + b"\x05"))
    assert refusal.value.reason == "sync-malformed"
    assert (initiator.have, initiator.need) == ({}, set())


@pytest.mark.parametrize(("more", "is_refused"), [(-1, False), (0, False), (1, True)])
def test_a_message_over_the_frame_is_refused_unread(more: int, is_refused: bool) -> None:
    raw = b"\x61" + b"\xff" * (SYNC_FRAME_BYTES_MAX + more - 1)  # malformed, if anyone read it
    for run in (lambda: respond(SHARED, raw), lambda: initiator_of().receive(raw)):
        with pytest.raises(PeerError) as refusal:
            finish(run())  # type: ignore[arg-type]
        assert refusal.value.reason == ("sync-oversized" if is_refused else "sync-malformed")


def test_a_frame_below_the_smallest_is_our_mistake() -> None:
    with pytest.raises(ValueError, match="too small"):
        finish(respond(SHARED, HONEST, frame_bytes_max=SYNC_FRAME_BYTES_MIN - 1))


def endless_split(answer_to: bytes) -> bytes:
    """Claims a difference everywhere, for ever."""
    return b"\x61\x00\x00\x01" + hashlib.sha256(answer_to).digest()[:16]


def endless_ids(answer_to: bytes) -> bytes:
    """Lists new ids in each answer and claims more to come."""
    ids = b"".join(hashlib.sha256(answer_to + bytes([number])).digest() for number in range(100))
    return b"\x61\x02\x00\x02\x64" + ids + b"\x00\x00\x01" + hashlib.sha256(answer_to).digest()[:16]


@pytest.mark.parametrize("liar", [endless_split, endless_ids])
def test_a_session_without_end_is_cut(liar: Callable[[bytes], bytes]) -> None:
    initiator = initiator_of()
    with pytest.raises(PeerError) as refusal:
        for number in range(SYNC_ROUNDS_MAX + 1):
            assert initiator.rounds == number
            finish(initiator.receive(liar(number.to_bytes(2, "big"))))
    assert refusal.value.reason == "sync-rounds"
    assert len(initiator.need) <= 100 * SYNC_ROUNDS_MAX


@pytest.mark.parametrize(("lies", "is_cut"), [(49, False), (50, False), (51, True)])
def test_differences_beyond_the_limit_end_the_session_with_what_fits(lies: int, is_cut: bool) -> None:
    initiator = initiator_of(differences_max=50)
    ids = b"".join(hashlib.sha256(bytes([number])).digest() for number in range(lies))
    shared = SHARED.ids(0, 500)
    message = finish(
        initiator.receive(
            b"\x61\x00\x00\x02" + bytes([0x80 | (500 + lies) >> 7, (500 + lies) & 0x7F]) + shared + ids
        )
    )
    assert (message, initiator.is_cut, len(initiator.need)) == (None, is_cut, min(50, lies))
    assert initiator.have == {}


def test_ids_listed_again_do_not_count_twice() -> None:
    """A last range covers what was told before: the peer then honestly says it again."""
    initiator = initiator_of(0, differences_max=50)
    for _ in range(2):
        finish(initiator.receive(b"\x61\x00\x00\x02\x32" + SHARED.ids(0, 50)))
        assert (initiator.is_cut, initiator.need) == (False, set(split_ids(SHARED.ids(0, 50))))


def test_a_peer_that_claims_an_almost_empty_store_makes_us_remember_only_the_limit() -> None:
    index = index_of(spread(5_000))
    initiator = Initiator(index, differences_max=50)
    assert finish(initiator.receive(b"\x61\x00\x00\x02\x0a" + index.ids(4_990, 5_000))) is None
    assert (initiator.is_cut, len(initiator.have), initiator.need) == (True, 50, set())


def test_five_bytes_that_ask_for_everything_get_one_frame() -> None:
    index = index_of(spread(20_000))
    steps = list(respond(index, b"\x61\x00\x00\x02\x00"))
    answer = finish(respond(index, b"\x61\x00\x00\x02\x00"))
    assert SYNC_FRAME_BYTES_MAX - 232 < len(answer) <= SYNC_FRAME_BYTES_MAX
    assert len(steps) <= 1


def test_other_versions_are_answered_by_ours_and_refused_by_the_initiator() -> None:
    assert finish(respond(SHARED, b"\x62anything")) == b"\x61"
    with pytest.raises(PeerError) as refusal:
        finish(initiator_of().receive(b"\x60"))
    assert refusal.value.reason == "sync-version"


class CountingKeys:
    """An index that notes the most fingerprints asked of it between two yields."""

    def __init__(self, index: SortedKeys) -> None:
        self._index = index
        self.rank, self.key_at, self.ids = index.rank, index.key_at, index.ids
        self.asked = 0

    def __len__(self) -> int:
        return len(self._index)

    def fingerprint(self, lower: int, upper: int) -> bytes:
        self.asked += 1
        return self._index.fingerprint(lower, upper)


def most_asked_a_step(keys: CountingKeys, raw: bytes) -> int:
    source: KeySource = keys
    most = 0
    for _ in respond(source, raw):
        most, keys.asked = max(most, keys.asked), 0
    return max(most, keys.asked)


def test_a_hostile_message_of_wrong_fingerprints_never_holds_the_loop() -> None:
    writer = MessageWriter()
    for number in range(8_000):
        writer.add(Bound(key_of(START + number + 1, bytes(32)), 0), RangeMode.FINGERPRINT, bytes(16))
    keys = CountingKeys(index_of(spread(50_000, a_second=40)))
    assert most_asked_a_step(keys, bytes(writer.raw)) <= STEP_WORK + 17


def test_a_hostile_message_of_skips_never_holds_the_loop() -> None:
    raw = b"\x61" + b"\x02\x00\x00" * 80_000
    assert sum(1 for _ in respond(SHARED, raw)) >= 80_000 // STEP_WORK - 1
