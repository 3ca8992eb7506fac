"""Packs of exercises: what a leaf covers has one spelling, an archive is one for equal content and reads back, and hostile bytes are refused."""

from __future__ import annotations

import hashlib
import json

import pytest
import rfc8785
from hypothesis import given
from hypothesis import strategies as st

from p2pshare.errors import AuthorError, PeerError
from p2pshare.intel import exercise_pack as words
from p2pshare.intel.exercise_pack import (
    ExercisePack,
    PackExpectation,
    PackInject,
    PackObjective,
    PackPlace,
    archive_pack,
    inject_jcs,
    inject_json,
    inject_leaf,
    pack_leaves,
    read_archive,
    read_inject,
)

_texts = st.text(alphabet=st.characters(exclude_categories=("Cs",)), min_size=1, max_size=20)
_ids = st.text("abcz019-", min_size=1, max_size=12)
_places = st.lists(_ids, min_size=1, max_size=3, unique=True).map(tuple)
_fields = {
    "choice": _texts,
    "number": st.integers(-(2**53) + 1, 2**53 - 1),
    "words": st.lists(_texts, min_size=1, max_size=3).map(tuple),
    "values": st.lists(_texts, min_size=1, max_size=3).map(tuple),
    "count_min": st.integers(1, 1_000),
    "false_positive": st.booleans(),
    "to": _places,
    "tlp_max": st.sampled_from(words.TLP_WORDS),
    "incident_type": _ids,
    "task_type": _ids,
    "status": _ids,
    "determination": _ids,
    "duty": _ids,
}


@st.composite
def _expectations(draw: st.DrawFn) -> PackExpectation:
    action = draw(st.sampled_from(sorted(words.MATCH_FIELDS)))
    named = words.MATCH_FIELDS[action]
    stated = draw(st.lists(st.sampled_from(named), unique=True)) if named else []
    within = draw(st.integers(1, 100_000))
    return PackExpectation(
        draw(_ids),
        draw(st.sampled_from(words.EXPECTATION_KINDS)),
        action,
        {name: draw(_fields[name]) for name in named if name in stated},
        draw(_places),
        within,
        draw(st.none() | st.integers(within + 1, within + 100_000)),
        draw(st.integers(1, words.WEIGHT_MAX)),
    )


@st.composite
def _injects(draw: st.DrawFn, number: int = 1) -> PackInject:
    payload = draw(st.sampled_from(("", "a.json", "payload/b.txt")))
    return PackInject(
        number,
        draw(st.integers(0, 100_000)),
        draw(_places),
        draw(_texts),
        draw(st.sampled_from(words.CHANNELS)),
        draw(st.sampled_from(("", "O1"))),
        payload,
        "" if payload else draw(_texts),
        draw(st.just("") | _texts),
        tuple(draw(st.lists(_expectations(), max_size=2))),
    )


@st.composite
def _packs(draw: st.DrawFn) -> ExercisePack:
    return ExercisePack(
        draw(_ids),
        "1.0.0",
        draw(_texts),
        draw(st.sampled_from(words.EXERCISE_KINDS)),
        "en",
        draw(st.integers(1, words.SECONDS_MAX)),
        draw(st.integers(1, words.TIME_FACTOR_MAX)),
        draw(st.just("") | _texts),
        (PackObjective("O1", draw(_texts)),),
        (
            PackPlace("control", "white", draw(_texts), False),
            PackPlace("team", "blue", "Team", draw(st.booleans())),
        ),
        tuple(draw(_injects(number)) for number in range(1, draw(st.integers(1, 3)) + 1)),
    )


def _payloads(pack: ExercisePack) -> dict[str, bytes]:
    return {path: b"payload of " + path.encode() for path in words.payload_paths(pack)}


def _salts(pack: ExercisePack) -> list[bytes]:
    return [bytes([inject.number]) * words.SALT_BYTES for inject in pack.injects]


@given(_injects())
def test_an_inject_is_written_as_jcs_and_reads_back(inject: PackInject) -> None:
    written = inject_jcs(inject)
    assert written == rfc8785.dumps(inject_json(inject))
    assert read_inject(written) == inject


@given(_packs())
def test_an_archive_reads_back_and_its_leaves_are_those_of_the_pack(pack: ExercisePack) -> None:
    payloads, salts = _payloads(pack), _salts(pack)
    raw = archive_pack(pack, payloads, salts)
    read = read_archive(raw)
    assert (read.pack, dict(read.payloads), list(read.salts)) == (pack, payloads, salts)
    assert archive_pack(*read) == raw == archive_pack(pack, dict(reversed(payloads.items())), salts)
    assert pack_leaves(*read) == pack_leaves(pack, payloads, salts)


@given(_packs(), st.data())
def test_any_byte_changed_in_an_archive_is_refused_or_changes_what_is_read(
    pack: ExercisePack, data: st.DataObject
) -> None:
    raw = archive_pack(pack, _payloads(pack), _salts(pack))
    place = data.draw(st.integers(0, len(raw) - 1))
    changed = bytearray(raw)
    changed[place] ^= data.draw(st.integers(1, 255))
    try:
        read = read_archive(bytes(changed))
    except PeerError as error:
        assert error.reason in ("malformed", "not-canonical", "oversized")
        return
    assert archive_pack(*read) == bytes(changed) != raw


def test_a_leaf_is_the_formula_of_the_page_and_binds_each_part() -> None:
    inject = PackInject(1, 0, ("team",), "Control", "message", "", "", "EXERCISE. Hello.", "", ())
    jcs = inject_jcs(inject)
    salt = bytes(range(16))
    expected = hashlib.sha384(
        b"p2pshare/v1/inject\0" + salt + hashlib.sha384(jcs).digest() + hashlib.sha384(b"x").digest()
    ).digest()[:32]
    assert inject_leaf(salt, jcs, b"x") == expected
    others = {
        inject_leaf(bytes(16), jcs, b"x"),
        inject_leaf(salt, inject_jcs(inject._replace(text="EXERCISE. Hello")), b"x"),
        inject_leaf(salt, jcs, b""),
    }
    assert len(others | {expected}) == 4


def _one(**changed: object) -> bytes:
    """Returns the JCS of an inject that is good but for what is changed in it."""
    base = inject_json(
        PackInject(
            1,
            0,
            ("team",),
            "Control",
            "message",
            "",
            "",
            "hello",
            "",
            (PackExpectation("x", "detect", "sight", {"values": ("a.example",)}, ("team",), 60, 90, 1),),
        )
    )
    return rfc8785.dumps(base | changed)


def test_an_inject_of_others_is_read_strictly() -> None:
    expect = inject_json(read_inject(_one()))["expect"][0]
    hostile = [
        b"",
        b"{",
        b"[" * 100_000,
        b'{"a":' * 50_000,
        _one() + b" ",
        _one().replace(b'"at":0', b'"at":0.0'),
        _one().replace(b'"at":0', b'"at":-0'),
        _one().replace(b'"at":0', b'"at":0,"at":1'),
        _one(number=0),
        _one(number=1_001),
        _one(at=-1),
        _one(at=words.SECONDS_MAX + 1),
        _one(to=[]),
        _one(to=["Team"]),
        _one(to=["team\n"]),
        _one(more=1),
        _one(text=""),
        _one(payload="a.txt"),
        _one(text="x" * (words.TEXT_CHARACTERS_MAX + 1)),
        _one(expect=[expect] * (words.EXPECTATIONS_MAX + 1)),
        _one(expect=[expect | {"action": "hack"}]),
        _one(expect=[expect | {"late_within": 60}]),
        _one(expect=[expect | {"match": {"words": ["x"]}}]),
        _one(expect=[expect | {"match": {"values": []}}]),
        _one(expect=[expect | {"match": {"values": ["x"], "count_min": True}}]),
        _one(expect=[expect | {"match": None}]),
        _one(expect=[expect | {"weight": 0}]),
        b'"' + b"x" * words.INJECT_BYTES_MAX + b'"',
    ]
    for raw in hostile:
        with pytest.raises(PeerError) as raised:
            read_inject(raw)
        assert raised.value.reason in ("malformed", "not-canonical", "oversized"), raw[:80]


def test_an_archive_that_lies_about_lengths_or_lacks_something_is_refused() -> None:
    inject = PackInject(1, 0, ("team",), "Control", "feed", "", "a.txt", "", "", ())
    pack = ExercisePack(
        "p", "1", "P", "drill", "en", 600, 1, "", (), (PackPlace("team", "blue", "Team", False),), (inject,)
    )
    raw = archive_pack(pack, {"a.txt": b"hello"}, [bytes(16)])
    start = len(words.ARCHIVE_MAGIC)
    header = raw[start + 4 : -5]

    def with_header(changed: bytes, rest: bytes = b"hello") -> bytes:
        return words.ARCHIVE_MAGIC + len(changed).to_bytes(4, "big") + changed + rest

    assert with_header(header) == raw
    for hostile in (
        b"",
        raw[:start],
        raw[:-1],
        raw + b"x",
        words.ARCHIVE_MAGIC + b"\xff\xff\xff\xff" + header,
        with_header(header.replace(b'"size":5', b'"size":4')),
        with_header(header.replace(b'"size":5', b'"size":1048576')),
        with_header(header.replace(b'"path":"a.txt"', b'"path":"b.txt"')),
        with_header(header.replace(b'"salts":["' + b"00" * 16 + b'"]', b'"salts":[]')),
        with_header(header + b" "),
        with_header(b"[" * 100_000),
        bytes(words.PACK_BYTES_MAX + 1),
    ):
        with pytest.raises(PeerError):
            read_archive(hostile)


def test_more_than_a_pack_may_have_and_salts_that_do_not_fit_are_refused_when_it_is_written() -> None:
    injects = tuple(
        PackInject(number, 0, ("team",), "Control", "feed", "", f"{number}.txt", "", "", ())
        for number in range(1, 18)
    )
    pack = ExercisePack(
        "p", "1", "P", "drill", "en", 600, 1, "", (), (PackPlace("team", "blue", "Team", False),), injects
    )
    large = dict.fromkeys((inject.payload for inject in injects), bytes(words.PAYLOAD_BYTES_MAX))
    with pytest.raises(AuthorError, match="more than"):
        archive_pack(pack, large, _salts(pack))
    with pytest.raises(ValueError, match="one salt"):
        archive_pack(pack, dict.fromkeys(large, b""), [bytes(16)])


def test_the_hash_of_a_pack_covers_its_manifest_and_each_payload_and_no_salt() -> None:
    """A course names its exercise by it: with a hash of the manifest alone, whoever hands the pack on could change what learners read."""
    injects = tuple(
        PackInject(number, 0, ("team",), "Control", "feed", "", path, "", "", ())
        for number, path in ((1, "a.txt"), (2, "b.txt"))
    )
    pack = ExercisePack(
        "p", "1", "P", "drill", "en", 600, 1, "", (), (PackPlace("team", "blue", "Team", False),), injects
    )
    payloads = {"a.txt": b"hello", "b.txt": b"there"}
    said = words.pack_hash(pack, payloads)
    others = [
        words.pack_hash(pack, payloads | {"b.txt": b"their"}),
        words.pack_hash(pack, {"a.txt": b"hellot", "b.txt": b"here"}),
        words.pack_hash(pack, {"a.txt": b"there", "b.txt": b"hello"}),
        words.pack_hash(pack._replace(version="2"), payloads),
    ]
    assert len({said, *others}) == 5
    # by the page: the archive with an empty list of salts
    raw = archive_pack(pack, payloads, [bytes(16)] * 2)
    start = len(words.ARCHIVE_MAGIC)
    length = int.from_bytes(raw[start : start + 4], "big")
    header = rfc8785.dumps(json.loads(raw[start + 4 : start + 4 + length]) | {"salts": []})
    bare = raw[:start] + len(header).to_bytes(4, "big") + header + raw[start + 4 + length :]
    assert said == hashlib.sha384(b"p2pshare/v1/exercise-pack\0" + bare).hexdigest()[:64]
