"""What entries of exercises say: one form each, hostile bytes refused; and folds and scores whose work follows the entries."""

from __future__ import annotations

import hashlib
from typing import Any

import pytest
from exercise_histories import OBJECTIVES, PLACES, ExerciseTeller, expecting, inject_of, pack_of, salt_of
from hypothesis import given
from hypothesis import strategies as st
from space_histories import partner

from p2pshare.errors import PeerError
from p2pshare.identifiers import EntryId
from p2pshare.intel.exercise_pack import inject_leaf, leaf_by_digest, read_inject
from p2pshare.spaces.acts import PLAIN
from p2pshare.spaces.canonical import canonical
from p2pshare.spaces.exercise import EXPECTED_MAX, ExerciseFold
from p2pshare.spaces.exercise_entries import (
    DETAIL_BYTES_MAX,
    LINE_BYTES_MAX,
    READERS,
    STATED_VALUES_MAX,
    AttestedAct,
    ExerciseInject,
    ExerciseObject,
    ExerciseObservation,
    ExercisePause,
    ExerciseSighting,
    ExerciseStamp,
    ExerciseStart,
    ExerciseWithdrawal,
    InjectAck,
    InjectAnswer,
    StatedPack,
    cut,
    encode_exercise,
    released_inject,
    stated_pack,
)
from p2pshare.spaces.exercise_scoring import ACTS_PER_KEY_MAX
from p2pshare.spaces.fold import SpaceFold, parents_first

SOME, OTHER = EntryId(bytes(range(32))), EntryId(bytes(range(1, 33)))
HASH = hashlib.sha256(b"").digest()
A, B = sorted([partner("A"), partner("B")])
ACT = AttestedAct(SOME, A, "ask", "how many?", (A, B), 1)
BODIES: dict[str, Any] = {
    "pack": StatedPack(
        HASH, 9, "drill", "1", "Drill", "drill", "en", 3_600, 60, OBJECTIVES, PLACES, (bytes(32), HASH)
    ),
    "start": ExerciseStart(60),
    "pause": ExercisePause(1),
    "inject": ExerciseInject(1, bytes(16), b"{}", hashlib.sha384(b"").digest(), b"", 0),
    "stamp": ExerciseStamp((SOME, OTHER), (ACT, ACT._replace(entry=OTHER, action="note", to=()))),
    "inject-ack": InjectAck(1_000),
    "answer": InjectAnswer(3, "yes", "because"),
    "object": ExerciseObject((("domain-name", "a.example"), ("ipv4-addr", "192.0.2.1")), (A,), 2, HASH, 9),
    "sighting": ExerciseSighting("domain-name", "a.example", 3, 0, (A, B)),
    "withdrawal": ExerciseWithdrawal((("domain-name", "a.example"),), "wrong"),
    "observation": ExerciseObservation(1, "seen", "O1", (A,), "S", "slow", "train", (B,), 9),
}
BARE = ("resume", "end")


def test_each_kind_but_a_note_has_its_body() -> None:
    assert BODIES.keys() | {"note", *BARE} == READERS.keys()
    for kind, body in BODIES.items():
        assert READERS[kind](encode_exercise(body)) == body
    assert all(READERS[kind](PLAIN.encode()) == PLAIN for kind in BARE)


@given(st.sampled_from(sorted(BODIES)), st.data())
def test_changed_bytes_are_refused_or_are_the_one_form_of_what_they_say(
    kind: str, data: st.DataObject
) -> None:
    content = bytearray(encode_exercise(BODIES[kind]))
    for _ in range(data.draw(st.integers(1, 3))):
        content[data.draw(st.integers(0, len(content) - 1))] = data.draw(st.integers(0, 255))
    cut_off = bytes(
        content[: data.draw(st.integers(0, len(content)))] if data.draw(st.booleans()) else content
    )
    try:
        said: Any = READERS[kind](cut_off)
    except PeerError as error:
        assert error.reason in ("malformed", "not-canonical")
    else:
        assert encode_exercise(said) == cut_off


MANY = tuple(("domain-name", f"{number:03}.example") for number in range(STATED_VALUES_MAX + 1))


@pytest.mark.parametrize(
    ("kind", "changed"),
    [
        ("pack", {"leaves": ()}),
        ("pack", {"leaves": (bytes(31),)}),
        ("pack", {"places": ()}),
        ("pack", {"places": (PLACES[0], PLACES[0])}),
        ("pack", {"objectives": OBJECTIVES + OBJECTIVES}),
        ("pack", {"kind": "game"}),
        ("pack", {"id": "Drill"}),
        ("pack", {"duration_seconds": 0}),
        ("start", {"time_factor": 0}),
        ("start", {"time_factor": 3_601}),
        ("pause", {"is_real_event": 2}),
        ("inject", {"number": 0}),
        ("inject", {"number": 1_001}),
        ("inject", {"salt": bytes(15)}),
        ("inject", {"payload_sha256": bytes(31)}),
        ("inject", {"payload_size": 1}),
        ("stamp", {"entries": (), "attested": ()}),
        ("stamp", {"entries": (OTHER, SOME)}),
        ("stamp", {"entries": (SOME, SOME)}),
        ("stamp", {"attested": (ACT, ACT)}),
        ("stamp", {"attested": (ACT._replace(action="sight"),)}),
        ("stamp", {"attested": (ACT._replace(created=0),)}),
        ("stamp", {"attested": (ACT._replace(detail="x" * (DETAIL_BYTES_MAX + 1)),)}),
        ("answer", {"choice": " ", "text": "\t"}),
        ("object", {"values": ()}),
        ("object", {"values": MANY}),
        ("object", {"values": (MANY[1], MANY[0])}),
        ("object", {"tlp": 5}),
        ("object", {"to": (B, A)}),
        ("sighting", {"times": 0}),
        ("sighting", {"value": ""}),
        ("observation", {"rating": "X"}),
        ("observation", {"about": (A, B)}),
        ("observation", {"rating": "", "text": " ", "item": ""}),
        ("observation", {"expectation": "Seen"}),
    ],
)
def test_what_says_something_else_is_no_content(kind: str, changed: dict[str, Any]) -> None:
    with pytest.raises(PeerError) as caught:
        READERS[kind](encode_exercise(BODIES[kind]._replace(**changed)))
    assert caught.value.reason == "malformed"


def test_a_pack_with_long_texts_is_stated_and_its_texts_are_cut() -> None:
    whole = pack_of([inject_of(1)])
    long = "\N{GREEK SMALL LETTER OMEGA}" * 4_096
    whole = whole._replace(
        name=long[:256],
        version=long[:256],
        objectives=(whole.objectives[0]._replace(text=long),),
        places=(whole.places[0]._replace(title=long[:256]),),
    )
    stated: Any = READERS["pack"](encode_exercise(stated_pack(whole, b"the archive", [bytes(32)] * 1_000)))
    assert stated.name.endswith("\N{HORIZONTAL ELLIPSIS}") and len(stated.name.encode()) <= LINE_BYTES_MAX
    assert stated.archive == hashlib.sha256(b"the archive").digest() and len(stated.leaves) == 1_000


@given(st.text("a\u00e4\u03a9\u20ac\U0001f512\ud800", max_size=40), st.integers(4, 60))
def test_a_cut_text_is_its_beginning_and_fits(text: str, most: int) -> None:
    found = cut(text, most)
    whole = text.encode("utf-8", "replace").decode()
    assert len(found.encode()) <= most
    assert found == whole or whole.startswith(found.removesuffix("\N{HORIZONTAL ELLIPSIS}"))


def test_a_release_opens_the_leaf_of_its_inject_and_of_no_other() -> None:
    inject = inject_of(1, payload="payload/a.json")
    said = released_inject(inject, salt_of(1), b"bytes")
    assert read_inject(said.jcs) == inject and said.payload_size == 5
    leaf = inject_leaf(salt_of(1), said.jcs, b"bytes")
    assert leaf_by_digest(said.salt, said.jcs, said.payload_sha384) == leaf
    assert leaf_by_digest(salt_of(2), said.jcs, said.payload_sha384) != leaf
    assert inject_leaf(salt_of(1), said.jcs, b"other") != leaf


# --- what one partner's bytes may cost ----------------------------------------------------------------


def flooded(
    size: int, injects: int = 4, *, values: int = 1
) -> tuple[ExerciseTeller, SpaceFold, ExerciseFold]:
    """An exercise in which A sights one value `size` times, one entry behind the other, or publishes `values` each time."""
    seen = expecting("seen", "sight", {"values": ("0.example",)}, by=("clinic",), late=100_000)
    told = ExerciseTeller(
        injects=[inject_of(number, seen) for number in range(1, injects + 1)], duration=100_000
    )
    told.begin()
    for number in range(1, injects + 1):
        tip = told.release(number, at=number)
    last, acts = told.last_number("A", [tip]), []
    for step in range(size):
        how: dict[str, Any] = {"after": [tip], "number": last + 1 + step, "at": 5 + step % 300}
        named = [f"{number}.example" for number in range(values)]
        tip = told.publish("A", *named, **how) if values > 1 else told.sight("A", "0.example", **how)
        acts.append(tip)
    number = told.last_number("L", [tip])
    for start in range(0, size, 1_000):
        number += 1
        tip = told.stamp("L", *acts[start : start + 1_000], at=400, after=[tip], number=number)
    space = SpaceFold()
    for entry in parents_first(told.entries.values()):
        space.add(entry)
    kind = space.state().kind
    assert isinstance(kind, ExerciseFold)
    return told, space, kind


def test_three_thousand_acts_of_one_player_are_scored_by_their_first() -> None:
    _, space, kind = flooded(3_000)
    assert len(space) > 3_000 and len(kind.acts()) == 3_000
    (player,) = (one for one in kind.score().players if one.results)
    assert [one.result for one in player.results] == ["success"] * 4
    assert [one.after_seconds for one in player.results] == [240, 180, 120, 60]


def test_only_the_first_acts_of_a_value_are_looked_at() -> None:
    seen = expecting("seen", "sight", {"values": ("a.example",)}, by=("clinic",), late=100_000)
    told = ExerciseTeller(injects=[inject_of(1), inject_of(2, seen)])
    told.begin()
    told.release(1, at=1)
    acts = [told.sight("A", "a.example", at=2) for _ in range(ACTS_PER_KEY_MAX)]
    told.release(2, at=3)
    acts.append(told.sight("A", "a.example", at=4))
    told.stamp("L", *acts, at=5)
    kind: Any = SpaceFold()
    for entry in parents_first(told.entries.values()):
        kind.add(entry)
    (player,) = (one for one in kind.state().kind.score().players if one.results)
    assert player.results[0].result == "pending", "it was written, and is one too many"


def test_what_is_expected_beyond_the_most_is_shown_and_not_scored() -> None:
    words = tuple(f"word-{number}" for number in range(63))
    told = ExerciseTeller(
        "LA",
        injects=[
            inject_of(number, *(expecting(f"e{number}-{one}", "note", {"words": words}) for one in range(32)))
            for number in range(1, 5)
        ],
    )
    told.begin()
    for number in range(1, 5):
        told.release(number, at=number)
    kind: Any = SpaceFold()
    for entry in parents_first(told.entries.values()):
        kind.add(entry)
    fold = kind.state().kind
    assert EXPECTED_MAX == 2 * 32 * 64
    assert [held.fits for held in fold.injects()] == [True] * 4
    (player,) = fold.score().players
    assert len(player.results) == 64


@pytest.mark.parametrize("values", [1, STATED_VALUES_MAX])
def test_output_and_work_grow_with_the_entries_and_not_with_their_square(values: int) -> None:
    small, large = (len(canonical(flooded(size, values=values)[1].state())) for size in (200, 800))
    assert large < 5 * small


def test_one_more_act_makes_nothing_anew_until_somebody_asks() -> None:
    told, space, kind = flooded(300)
    score, course = kind.score(), kind.course
    entry = told.entries[told.sight("B", "0.example")]
    space.add(entry)
    assert space.is_current and kind._score[2] is score and kind.course is course
    assert len(kind.acts()) == 301 and kind.score() is not score
