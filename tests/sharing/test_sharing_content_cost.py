"""What content costs who reads it: an author pays for what it makes us do, not for its bytes alone."""

from __future__ import annotations

import json
import os
import random
import uuid
from collections.abc import Sequence
from typing import Any

import apsw
import pytest
import zstandard
from hypothesis import given, settings
from hypothesis import strategies as st
from whole_nodes import NOW, READERS, World, befriend, draft, raw_draft, seal_unchecked, take_in

from p2pshare.config import load_config
from p2pshare.identifiers import PartnerId
from p2pshare.intel.derivation import ORIGINS_MAX, Derivation, ObjectOrigin, with_derivation
from p2pshare.intel.extraction import extract
from p2pshare.intel.marking import TLP2_IDS, Pap, Tlp
from p2pshare.intel.observable import Observable
from p2pshare.knowledge import asides
from p2pshare.knowledge.asides import COUNTED_MAX, _Said, counted
from p2pshare.knowledge.wide_objects import NARROW_CLAIMS_MAX
from p2pshare.limits import KIB, MIB, PATTERN_OBSERVABLES_MAX
from p2pshare.log.interface import EnvelopeOrigin
from p2pshare.node.node import Node
from p2pshare.policy.content_cost import ROW_CHARACTERS, ContentBounds, cost_bytes, rows_of
from p2pshare.queries.status import status
from p2pshare.sharing.content import Content
from p2pshare.sharing.drafting import DraftPart
from p2pshare.sharing.exchange import Exchange
from p2pshare.sharing.intake import Arrival, IntakeStatus
from p2pshare.sharing.reading import read_all
from p2pshare.sharing.stix_reader import piece_end, weights_of

WHEN = "2026-01-01T00:00:00Z"


def indicator(values: list[str], number: int = 0, *, modified: str = WHEN, **other: Any) -> dict[str, Any]:
    """An indicator of one author about these mutexes; its id follows from `number`."""
    names = ",".join(f"'{value}'" for value in values)
    return {
        "type": "indicator",
        "spec_version": "2.1",
        "id": f"indicator--{uuid.UUID(int=(4 << 76) | (8 << 62) | number)}",
        "created": WHEN,
        "modified": modified,
        "pattern": f"[mutex:name IN ({names})]",
        "pattern_type": "stix",
        "valid_from": WHEN,
        **other,
    }


def sighting(target: dict[str, Any], number: int) -> dict[str, Any]:
    return {
        "type": "sighting",
        "spec_version": "2.1",
        "id": f"sighting--{uuid.UUID(int=(4 << 76) | (8 << 62) | number)}",
        "created": WHEN,
        "modified": WHEN,
        "sighting_of_ref": target["id"],
        "count": 1,
    }


@pytest.fixture
def pair(world: World) -> tuple[Node, Node]:
    """mallory, who writes, and bravo, who reads."""
    mallory, bravo = world.found("mallory"), world.found("bravo")
    befriend(mallory, bravo)
    befriend(bravo, mallory)
    return mallory, bravo


def hand_over(author: Node, reader: Node, part: DraftPart, number: int = 1) -> int:
    """The reader takes it in and reads it; returns the bytes on the wire."""
    wire = seal_unchecked(author, part, reader, ahead=number, recipient_sequence=number)
    [verdict] = take_in(reader, [Arrival(wire, author.identity.partner_id)], NOW)
    assert verdict.status is IntakeStatus.HELD
    return len(wire)


def compressed(frames: list[list[Any]]) -> DraftPart:
    level = zstandard.ZstdCompressor(level=19, write_content_size=True)
    return DraftPart(
        Tlp.GREEN,
        tuple(level.compress(json.dumps(one).encode()) for one in frames),
        sum(len(one) for one in frames),
    )


def rows_in(node: Node, table: str) -> int:
    ((count,),) = node.store.database.fetch(f"SELECT count(*) FROM {table}")
    return int(count)


# --- one envelope ------------------------------------------------------------------------------------


def test_a_few_kilobytes_that_name_the_same_values_again_and_again_do_not_fill_a_disk(
    pair: tuple[Node, Node],
) -> None:
    """400 indicators of the same 1,000 values are 14 KB, and were 400,000 claims and 37 MB."""
    mallory, bravo = pair
    names = [f"m{number}" for number in range(1_000)]
    objects = [indicator(names, number) for number in range(400)]
    part = compressed([objects[begin : begin + 64] for begin in range(0, 400, 64)])
    size = hand_over(mallory, bravo, part)
    bravo.store.database.checkpoint()
    assert size < 16 * KIB
    assert rows_in(bravo, "claim") <= ContentBounds.of(size).rows
    assert os.path.getsize(bravo.store.database.path) < 50 * 10 * size  # an honest byte on the wire takes ten
    assert set(bravo.store.partners.refusals()) & {"frame-too-many-claims", "content-too-many-claims"}


def test_every_honest_list_is_far_within_the_bounds(pair: tuple[Node, Node]) -> None:
    mallory, _ = pair
    drawn = random.Random(7)
    for values in (
        [f"{drawn.getrandbits(64):x}.example" for _ in range(1_000)],
        [f"198.51.{number // 256}.{number % 256}" for number in range(1_000)],
        [f"{drawn.getrandbits(256):064x}" for _ in range(1_000)],
        ["one.example"],
    ):
        part = draft(mallory, values)
        bounds = ContentBounds.of(sum(map(len, part.frames)))
        content = Content(part.frames, Tlp.GREEN)
        [frame] = content
        assert not content.refused
        assert len(frame.objects) == len(values)
        if len(values) > 1:
            assert content.rows * 4 < bounds.rows
            assert content.objects * 1.5 < bounds.objects
            assert len(frame.text) * 1.3 < bounds.inflated_bytes


def test_one_pattern_with_all_that_it_may_name_is_read_however_little_it_weighs(
    pair: tuple[Node, Node],
) -> None:
    mallory, bravo = pair
    hand_over(mallory, bravo, raw_draft([indicator([f"m{n}" for n in range(PATTERN_OBSERVABLES_MAX)])]))
    assert rows_in(bravo, "claim") == PATTERN_OBSERVABLES_MAX
    assert not bravo.store.partners.refusals()


def test_long_values_weigh_as_much_as_they_take(pair: tuple[Node, Node]) -> None:
    """A value stands in its table and in the index of it: 1,000 of 8 KiB each were 35 MB for 12 KB."""
    mallory, bravo = pair
    objects = [indicator([f"{number:04}" + "x" * 8_000], number) for number in range(64)]
    size = hand_over(mallory, bravo, compressed([objects]))
    bravo.store.database.checkpoint()
    assert os.path.getsize(bravo.store.database.path) < 50 * 10 * size
    assert bravo.store.partners.refusals()


@given(st.integers(0, 64 * MIB), st.integers(0, 64 * MIB))
def test_more_bytes_on_the_wire_never_allow_less(one: int, other: int) -> None:
    less, more = (ContentBounds.of(size) for size in sorted((one, other)))
    assert less.objects <= more.objects
    assert less.rows <= more.rows
    assert less.inflated_bytes <= more.inflated_bytes


# --- quota -------------------------------------------------------------------------------------------


def test_content_counts_for_what_it_costs_and_waits_where_its_author_has_filled_its_room(
    pair: tuple[Node, Node],
) -> None:
    mallory, bravo = pair
    many = [indicator([f"m{number}x{value}" for value in range(1_000)], number) for number in range(20)]
    size = hand_over(mallory, bravo, raw_draft(many[:1]))
    cost = cost_bytes(size, inflated_bytes=0, rows=1_000)
    [carried] = bravo.store.log.carried().values()
    [costs] = bravo.store.log.costs().values()
    assert (carried, costs >= cost > 10 * size) == (size, True)

    bravo.store.log.set_quota(costs + 8 * KIB)
    blanks = raw_draft([indicator(["late"], 99, description=" " * 200 * KIB)])
    hand_over(mallory, bravo, blanks, 2)  # taken in and carried like any other: a relay could not know
    told = status(bravo, NOW)
    assert (told.envelopes.held, told.envelopes.unread, told.envelopes.no_room) == (2, 1, 1)
    assert told.refused["content-quota"] == 1
    assert [alarm.word for alarm in told.alarms if alarm.word == "quota"] == ["quota"]

    bravo.store.log.set_quota(64 * MIB)
    read_all(bravo, READERS, NOW)
    told = status(bravo, NOW)
    assert (told.envelopes.unread, told.envelopes.no_room, told.envelopes.opened) == (0, 0, 2)


def test_what_waits_for_room_is_read_once_the_author_s_older_envelopes_have_expired(
    pair: tuple[Node, Node],
) -> None:
    mallory, bravo = pair
    day = 86_400
    wire = seal_unchecked(mallory, raw_draft([indicator([f"m{n}" for n in range(900)])]), bravo, ttl_class=1)
    take_in(bravo, [Arrival(wire, mallory.identity.partner_id)], NOW)
    [costs] = bravo.store.log.costs().values()
    bravo.store.log.set_quota(costs + 8 * KIB)
    hand_over(mallory, bravo, raw_draft([indicator(["late"], 99, description=" " * 200 * KIB)]), 2)
    assert status(bravo, NOW).envelopes.no_room == 1
    assert Exchange(bravo).sweep(NOW + day + 1).reads_again
    read_all(bravo, READERS, NOW + day + 1)
    assert status(bravo, NOW + day + 1).envelopes.no_room == 0
    assert Observable("mutex", "late") in bravo.store.knowledge.lookup([Observable("mutex", "late")])


def test_what_expires_while_it_waits_for_room_is_told_and_waits_no_more(pair: tuple[Node, Node]) -> None:
    mallory, bravo = pair
    bravo.store.log.set_quota(24 * KIB)
    hand_over(mallory, bravo, raw_draft([indicator(["late"], 99, description=" " * 200 * KIB)]))
    assert status(bravo, NOW).envelopes.no_room == 1
    later = NOW + 90 * 86_400 + 1  # its key is listed for an hour more
    Exchange(bravo).sweep(later)
    assert [alarm.word for alarm in status(bravo, later).alarms if alarm.word == "expired-unread"]
    assert bravo.store.database.fetch("SELECT content FROM envelope") == [(3,)]


# --- one author about one value ------------------------------------------------------------------------


def test_of_one_author_about_one_value_the_newest_claims_count(pair: tuple[Node, Node]) -> None:
    mallory, bravo = pair
    claims = [indicator(["m"], n, modified=f"2026-01-01T00:{n:02}:00Z", confidence=n) for n in range(50)]
    random.Random(3).shuffle(claims)
    for number, one in enumerate(claims, start=1):
        hand_over(mallory, bravo, raw_draft([one]), number)
    value = Observable("mutex", "m")
    counting = bravo.store.knowledge.lookup([value])[value]
    assert sorted(claim.confidence or 0 for claim in counting) == list(range(50 - COUNTED_MAX, 50))
    [row] = bravo.store.knowledge.indicators(NOW * 1_000_000, tlp_max=Tlp.RED)
    assert row.claims == COUNTED_MAX


def test_when_those_that_count_are_withdrawn_the_others_take_their_places(pair: tuple[Node, Node]) -> None:
    mallory, bravo = pair
    claims = [indicator(["m"], n, modified=f"2026-01-01T00:{n:02}:00Z") for n in range(40)]
    hand_over(mallory, bravo, raw_draft(claims))
    gone = [one | {"revoked": True, "modified": "2026-01-02T00:00:00Z"} for one in claims[10:]]
    hand_over(mallory, bravo, raw_draft(gone), 2)
    value = Observable("mutex", "m")
    live = [claim for claim in bravo.store.knowledge.lookup([value])[value] if not claim.is_revoked]
    assert {claim.object_id for claim in live} == {one["id"] for one in claims[:10]}
    [row] = bravo.store.knowledge.indicators(NOW * 1_000_000, tlp_max=Tlp.RED)
    assert row.status == "active"
    hand_over(
        mallory,
        bravo,
        raw_draft([one | {"revoked": True, "modified": "2026-01-02T00:00:00Z"} for one in claims[:10]]),
        3,
    )
    assert not list(bravo.store.knowledge.indicators(NOW * 1_000_000, tlp_max=Tlp.RED))


said = st.builds(
    _Said,
    observable=st.just(1),
    id=st.integers(1, 10_000),
    author=st.just(1),
    status=st.integers(0, 1),
    tlp=st.sampled_from([int(level) for level in Tlp]),
    pap=st.sampled_from([-1, *(int(level) for level in Pap)]),
    modified_us=st.integers(0, 50),
    object_key=st.binary(min_size=1, max_size=2),
    is_aside=st.integers(0, 1),
)


@given(st.lists(said, min_size=1, max_size=60, unique_by=lambda one: one.id), st.randoms())
@settings(max_examples=300)
def test_which_claims_count_depends_on_no_order_and_loosens_nothing(
    claims: list[_Said], drawn: random.Random
) -> None:
    kept = counted(claims)
    assert len(kept) == min(len(claims), COUNTED_MAX)
    for live, of_all in (([one for one in some if not one.status] for some in (kept, claims)),):
        assert [max((getattr(one, m) for one in live), default=-1) for m in ("tlp", "pap")] == [
            max((getattr(one, m) for one in of_all), default=-1) for m in ("tlp", "pap")
        ]
    shuffled = list(claims)
    drawn.shuffle(shuffled)
    assert set(counted(shuffled)) == set(kept)
    assert set(counted(kept)) == set(kept)


def test_the_next_honest_word_costs_no_walk_over_all_that_was_ever_said(pair: tuple[Node, Node]) -> None:
    """After six such envelopes each later one about the same values took three seconds."""
    mallory, bravo = pair
    names = [f"m{number}" for number in range(50)]
    for number in range(1, 11):
        objects = [indicator(names, number * 100 + one) for one in range(20)]
        hand_over(mallory, bravo, raw_draft(objects), number)
    looked_at = rows_looked_at(bravo, [Observable("mutex", name) for name in names])
    assert looked_at <= len(names) * COUNTED_MAX


def test_what_stands_aside_costs_nobody_else_anything(
    pair: tuple[Node, Node], world: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Each later list of an honest author about such values was settled anew, value by value."""
    mallory, bravo = pair
    honest = world.found("honest")
    befriend(bravo, honest)
    names = [f"m{number}" for number in range(20)]
    objects = [indicator(names, number) for number in range(COUNTED_MAX + 4)]
    hand_over(mallory, bravo, raw_draft(objects))
    settled: list[int] = []
    really = asides.settle

    def noted(connection: apsw.Connection, observables: Sequence[int], crowds: Any) -> None:
        settled.extend(observables)
        really(connection, observables, crowds)

    monkeypatch.setattr(asides, "settle", noted)
    hand_over(honest, bravo, raw_draft([indicator(names, 7_000)]))
    assert settled == []
    stricter = indicator(
        names[:1], 0, modified="2026-01-02T00:00:00Z", object_marking_refs=[TLP2_IDS[Tlp.RED]]
    )
    hand_over(mallory, bravo, raw_draft([stricter]), 2)
    assert len(settled) == 19  # a place is free where its older version said more
    value = Observable("mutex", names[0])
    assert Tlp.RED in {claim.tlp for claim in bravo.store.knowledge.lookup([value])[value]}


def test_a_claim_that_stands_aside_and_is_tightened_is_not_overlooked(pair: tuple[Node, Node]) -> None:
    mallory, bravo = pair
    objects = [indicator(["m"], number) for number in range(COUNTED_MAX + 4)]
    hand_over(mallory, bravo, raw_draft(objects))
    value = Observable("mutex", "m")
    counting = {claim.object_id for claim in bravo.store.knowledge.lookup([value])[value]}
    aside = next(one for one in objects if one["id"] not in counting)
    hand_over(mallory, bravo, raw_draft([aside], Tlp.AMBER), 2)  # the same version under a stricter marking
    assert Tlp.AMBER in {claim.tlp for claim in bravo.store.knowledge.lookup([value])[value]}


def rows_looked_at(node: Node, values: list[Observable]) -> int:
    return sum(len(claims) for claims in node.store.knowledge.lookup(values).values())


# --- a few bytes about an object of many values ----------------------------------------------------------


def test_a_thousand_sightings_of_one_indicator_are_one_change_of_each_of_its_values(
    pair: tuple[Node, Node],
) -> None:
    mallory, bravo = pair
    target = indicator([f"m{number}" for number in range(100)])
    hand_over(mallory, bravo, raw_draft([target]))
    bound = ContentBounds.of(0).rows // 100
    hand_over(mallory, bravo, compressed([[sighting(target, number) for number in range(bound)]]), 2)
    [first, *_] = bravo.store.knowledge.sightings([Observable("mutex", "m7")])[Observable("mutex", "m7")]
    assert (first.reports, first.count) == (bound, bound)


def test_sightings_beyond_what_the_envelope_weighs_are_refused_and_told(pair: tuple[Node, Node]) -> None:
    """1,000 sightings of 1,000 values are 8 KB, and were six seconds of the only writer."""
    mallory, bravo = pair
    target = indicator([f"m{number}" for number in range(1_000)])
    hand_over(mallory, bravo, raw_draft([target]))
    hand_over(mallory, bravo, compressed([[sighting(target, number) for number in range(200)]]), 2)
    assert bravo.store.partners.refusals()["content-too-many-claims"] == 199
    assert rows_in(bravo, "sighting") == 1_000
    [seen] = bravo.store.knowledge.sightings([Observable("mutex", "m7")])[Observable("mutex", "m7")]
    assert seen.reports == 1


def test_narrow_contents_of_versions_that_were_wide_are_charged_with_what_they_replace(
    pair: tuple[Node, Node],
) -> None:
    """Forks of 120 wide objects in 7 KB took 0.15 s each time: every one compared and replaced a thousand claims."""
    mallory, bravo = pair
    for number in range(1, 7):
        names = [f"m{number}x{value}" for value in range(1_000)]
        hand_over(mallory, bravo, raw_draft([indicator(names, number)]), number)
    narrow = [indicator([f"n{number}"], number) for number in range(1, 7)]
    hand_over(mallory, bravo, raw_draft(narrow), 7)
    assert bravo.store.partners.refusals()["content-too-many-claims"] == 5
    newer = [indicator([f"n{number}"], number, modified="2026-01-02T00:00:00Z") for number in range(1, 7)]
    hand_over(mallory, bravo, raw_draft(newer), 8)  # a correction is no attack
    assert bravo.store.partners.refusals()["content-too-many-claims"] == 5
    current = [Observable("mutex", f"n{number}") for number in range(1, 7)]
    assert len(bravo.store.knowledge.lookup(current)) == 6


def test_sightings_that_wait_for_their_object_do_not_pile_up(pair: tuple[Node, Node]) -> None:
    """22,000 that named a value which the object has not were read again with each later version of it."""
    mallory, bravo = pair
    target = indicator(["m"])
    for number in range(1, 4):
        waiting = [sighting(target, number * 1_000 + one) for one in range(200)]
        hand_over(mallory, bravo, compressed([waiting]), number)
    ((waiting_rows,),) = bravo.store.database.fetch("SELECT count(*) FROM assessment WHERE is_waiting = 1")
    assert waiting_rows == 64
    assert rows_in(bravo, "assessment") == 600  # what was said is kept


def test_steps_are_as_short_where_a_few_objects_reach_many_rows(pair: tuple[Node, Node]) -> None:
    mallory, bravo = pair
    narrow, wide = [f"n{n}" for n in range(NARROW_CLAIMS_MAX)], [f"m{n}" for n in range(1_000)]
    hand_over(mallory, bravo, raw_draft([indicator(wide, 1), indicator(narrow, 2)]))
    [(lsn, author)] = bravo.store.database.fetch("SELECT lsn, author FROM envelope")
    source = EnvelopeOrigin(lsn, author, 1, 1, bytes(32), NOW, NOW, False)
    coming = [indicator(["x"], number, modified="2026-01-02T00:00:00Z") for number in (1, 2, 3)]
    [frame] = Content(raw_draft(coming).frames, Tlp.GREEN)
    reach = bravo.store.knowledge.reach(source, frame.objects)
    assert [one.rows for one in reach] == [1_000, 0, 0]
    weights = weights_of(frame.objects, reach)
    assert weights == [1_001, 1, 1]
    assert [piece_end(weights, begin, 512) for begin in (0, 1)] == [1, 3]


def test_the_config_s_quota_is_about_cost(pair: tuple[Node, Node]) -> None:
    _, bravo = pair
    assert bravo.store.log.quota_bytes() == load_config(bravo.home / "config.toml").limits.author_mib * MIB


def test_an_origin_that_an_object_names_weighs_what_it_takes() -> None:
    """Else an object of one claim could name eight others for nothing."""
    origins = tuple(
        ObjectOrigin(PartnerId(bytes([n]) * 32), indicator([], n)["id"]) for n in range(ORIGINS_MAX)
    )
    plain = indicator(["x"])
    derived = with_derivation(plain, Derivation(origins, "x" * ROW_CHARACTERS))
    weights = [
        rows_of(extract(json.dumps([one]).encode(), floor=Tlp.GREEN).objects) for one in (plain, derived)
    ]
    assert weights == [1, 1 + 2 * ORIGINS_MAX + 1]
