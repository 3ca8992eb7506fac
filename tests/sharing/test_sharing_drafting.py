"""Drafting: what was read = published + merged + refused; nothing is guessed, nothing vanishes."""

from __future__ import annotations

import io
import json
import random
import tracemalloc
import uuid
from collections import Counter
from collections.abc import Callable

import msgspec
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from whole_drafts import draft_file
from whole_nodes import NOW, World, befriend, publish, quiet

from p2pshare.envelope.payload import inflate_frame
from p2pshare.errors import AuthorError, RefusedError
from p2pshare.identifiers import PartnerId
from p2pshare.importers.registry import IMPORTERS
from p2pshare.intel.authoring import identity_id
from p2pshare.intel.marking import TLP2_IDS, Tlp
from p2pshare.intel.observable import Observable
from p2pshare.intel.refusals import Refusal
from p2pshare.limits import ENVELOPE_OBJECTS_TARGET
from p2pshare.sharing.content import Content
from p2pshare.sharing.drafting import (
    Author,
    Draft,
    FirstCreated,
    nothing_before,
    published_before,
)

AUTHOR = Author(PartnerId(bytes(32)), "alpha")


def read(
    raw: bytes,
    *,
    tlp: Tlp | None = Tlp.GREEN,
    format_name: str = "auto",
    name: str = "-",
    author: Author = AUTHOR,
    now: int = NOW,
    first_created: FirstCreated = nothing_before,
    reject: Callable[[Refusal], None] = lambda _: None,
) -> Draft:
    return draft_file(
        io.BufferedReader(io.BytesIO(raw)),
        name=name,
        format_name=format_name,
        tlp=tlp,
        author=author,
        now=now,
        first_created=first_created,
        progress=quiet,
        reject=reject,
    )


def values(draft: Draft) -> list[str]:
    found = []
    for part in draft.parts:
        for frame in Content(part.frames, part.tlp):
            found += [claim.value for fact in frame.objects for claim in fact.claims]
    return found


def check_sum(draft: Draft) -> None:
    kept = sum(part.objects - part.repeats for part in draft.parts)
    assert draft.read == kept + draft.merged + draft.refusals.total


def indicator(number: int, **other: object) -> dict[str, object]:
    return {
        "type": "indicator",
        "spec_version": "2.1",
        "id": f"indicator--00000000-0000-4000-8000-{number:012}",
        "created": "2026-01-01T00:00:00.000Z",
        "modified": "2026-01-01T00:00:00.000Z",
        "pattern": f"[ipv4-addr:value = '198.51.{number // 256}.{number % 256}']",
        "pattern_type": "stix",
        "valid_from": "2026-01-01T00:00:00Z",
        **other,
    }


def test_what_is_over_already_is_noted_and_what_was_never_begun_is_refused() -> None:
    ends = ["2026-01-01T00:00:00Z", "2025-01-01T00:00:00Z", "2026-01-02T00:00:00Z", "2099-01-01T00:00:00Z"]
    draft = read(bundle(*(indicator(number, valid_until=end) for number, end in enumerate(ends, start=1))))
    check_sum(draft)
    assert draft.refusals.counts == {"already-over": 2}
    assert draft.notes.counts == {"expired": 1}


def drawn_uuid(seed: int) -> uuid.UUID:
    """An id like those of real programs, which takes its bytes on the wire."""
    return uuid.UUID(int=random.Random(seed).getrandbits(128), version=4)


def bundle(*objects: object) -> bytes:
    return json.dumps({"type": "bundle", "id": "bundle--1", "objects": list(objects)}).encode()


def test_list_without_marking_is_refused_with_the_sentence_that_says_how() -> None:
    with pytest.raises(RefusedError) as caught:
        read(b"evil.example\n", tlp=None)
    assert "--tlp" in caught.value.hint


def test_list_merges_what_is_said_twice_and_counts_what_it_cannot_read() -> None:
    draft = read(b"evil.example\nEVIL[.]example\n# note\n\n198.51.100.7\nnot a value\n")
    assert values(draft) == ["evil.example", "198.51.100.7"]
    assert (draft.read, draft.merged, draft.refusals.total) == (4, 1, 1)
    check_sum(draft)


@settings(max_examples=60)
@given(st.binary(max_size=400))
def test_any_bytes_as_a_list_add_up(raw: bytes) -> None:
    try:
        check_sum(read(raw, format_name="list"))
    except AuthorError as error:
        assert error.reason == "encoding"


SOME_INPUTS = [
    b"evil.example\n999.1.1.1\nb.exam...\n",
    b"ioc,n\nevil.example,1\n,\nx,,,3\n",
    b'{"Event": {"info": "a", "date": "2026-01-01", "Attribute": [{"type": "md5", "value": "x", "to_ids": 1}, {}]}}',
    b'{"type": "bundle", "objects": [7, {"type": "indicator"}, {"type": "x"},]}',
    b'{"objects": [{}]}\n{oops\n',
    b"See evil[.]example, not http://b.example/...\n",
]


@settings(max_examples=200)
@given(
    st.sampled_from(SOME_INPUTS),
    st.integers(0, 200),
    st.binary(max_size=4),
    st.sampled_from(["auto", *IMPORTERS]),
)
def test_damaged_input_of_any_format_adds_up_and_each_refusal_is_passed_on(
    raw: bytes, position: int, change: bytes, format_name: str
) -> None:
    position %= len(raw)
    passed_on: list[Refusal] = []
    try:
        draft = read(
            raw[:position] + change + raw[position + 1 :], format_name=format_name, reject=passed_on.append
        )
    except (AuthorError, RefusedError) as error:
        assert error.reason
        return
    check_sum(draft)
    assert Counter(one.reason for one in passed_on) == draft.refusals.counts


@settings(max_examples=60)
@given(st.lists(st.sampled_from(["good", "same", "bad", "text", "clear", "red", "odd"]), max_size=12))
def test_any_mix_of_objects_adds_up(kinds: list[str]) -> None:
    made = {
        "good": lambda n: indicator(n),
        "same": lambda n: indicator(0),
        "bad": lambda n: indicator(n, pattern=7),
        "text": lambda n: "text",
        "clear": lambda n: indicator(n, object_marking_refs=[TLP2_IDS[Tlp.CLEAR]]),
        "red": lambda n: indicator(n, object_marking_refs=[TLP2_IDS[Tlp.RED]]),
        "odd": lambda n: indicator(
            n, object_marking_refs=["marking-definition--00000000-0000-4000-8000-000000000001"]
        ),
    }
    raw = bundle(*(made[kind](number) for number, kind in enumerate(kinds, start=1)))
    for tlp in (None, Tlp.GREEN):
        draft = read(raw, tlp=tlp)
        check_sum(draft)
        assert [part.tlp for part in draft.parts] == sorted({part.tlp for part in draft.parts})
        for part in draft.parts:
            assert tlp is None or part.tlp >= tlp


def test_unmarked_objects_need_a_marking_and_marked_ones_keep_theirs() -> None:
    raw = bundle(indicator(1), indicator(2, object_marking_refs=[TLP2_IDS[Tlp.AMBER]]))
    unmarked = read(raw, tlp=None)
    assert unmarked.refusals.counts == {"no-marking": 1}
    assert "--tlp" in unmarked.hint
    assert [part.tlp for part in read(raw, tlp=Tlp.CLEAR).parts] == [Tlp.CLEAR, Tlp.AMBER]
    assert [part.tlp for part in read(raw, tlp=Tlp.RED).parts] == [Tlp.RED]


def test_large_input_is_split_and_each_part_carries_its_marking_definitions() -> None:
    statement = {
        "type": "marking-definition",
        "spec_version": "2.1",
        "id": "marking-definition--00000000-0000-4000-8000-000000000009",
        "created": "2026-01-01T00:00:00.000Z",
        "definition_type": "statement",
        "definition": {"statement": "Copyright"},
    }
    refs = [TLP2_IDS[Tlp.GREEN], statement["id"]]
    count = ENVELOPE_OBJECTS_TARGET + 10
    objects = (indicator(n, object_marking_refs=refs, id=f"indicator--{drawn_uuid(n)}") for n in range(count))
    draft = read(bundle(statement, *objects), tlp=None)
    assert len(draft.parts) == 2
    check_sum(draft)
    facts = [
        fact for part in draft.parts for frame in Content(part.frames, part.tlp) for fact in frame.objects
    ]
    assert {fact.tlp for fact in facts if fact.claims} == {Tlp.GREEN}
    assert len({claim.value for fact in facts for claim in fact.claims}) == count


def test_objects_of_ours_take_our_identity_along_once() -> None:
    own = identity_id(AUTHOR.partner_id)
    draft = read(bundle(indicator(1, created_by_ref=own), indicator(2)))
    check_sum(draft)
    assert draft.read == 2
    (part,) = draft.parts
    facts = [fact for frame in Content(part.frames, part.tlp) for fact in frame.objects]
    assert [fact.type for fact in facts] == ["identity", "indicator", "indicator"]
    assert facts[0].object_id == own


def misp_event(**other: object) -> bytes:
    attributes = [
        {"type": "domain", "value": "evil.example", "to_ids": True, "Tag": [{"name": "tlp:red"}]},
        {"type": "ip-dst", "value": "192.0.2.1", "to_ids": False},
        {"type": "md5", "value": "x", "to_ids": True},
    ]
    event = {"info": "Case", "date": "2026-01-01", "Orgc": {"name": "CIRCL"}, "Attribute": attributes}
    return json.dumps({"Event": event | other}).encode()


def test_misp_event_adds_up_with_what_its_reader_adds() -> None:
    """Read are three attributes and the event; an identity and an address go along with them."""
    draft = read(misp_event(), name="event.json")
    check_sum(draft)
    assert (draft.format, draft.read, draft.refusals.counts) == ("misp", 4, {"bad-hash": 1})
    assert [part.tlp for part in draft.parts] == [Tlp.GREEN, Tlp.RED]
    assert sum(part.objects for part in draft.parts) == 6  # the identity stands in both
    assert values(draft) == ["evil.example"]


def test_misp_event_without_marking_is_refused_with_the_sentence_that_says_how() -> None:
    for distribution in ("0", "3"):
        draft = read(misp_event(distribution=distribution), tlp=None)
        check_sum(draft)
        assert "--tlp" in draft.hint


def test_objects_are_kept_byte_for_byte() -> None:
    raw = b'{"type":"bundle","id":"bundle--1","objects":[ {"x_own":  1.50, "type":"x-thing", "id":"x-thing--00000000-0000-4000-8000-000000000001","\\u0061":"\\u0062"} ]}'
    draft = read(raw)
    (frame,) = [frame for part in draft.parts for frame in part.frames]
    (kept,) = msgspec.json.decode(inflate_frame(frame), type=list[msgspec.Raw])
    assert bytes(kept) == raw[raw.index(b'{"x_own"') : raw.rindex(b"}", 0, -2) + 1]


def test_memory_does_not_follow_a_list_that_says_the_same() -> None:
    raw = b"evil.example\n" * 30_000
    tracemalloc.start()
    draft = read(raw)
    _, peak = tracemalloc.get_traced_memory()
    tracemalloc.stop()
    assert (draft.read, draft.merged) == (30_000, 29_999)
    assert peak < 1024 * 1024  # the lines as objects would take three times that


def test_published_again_is_a_new_version_of_the_same_object(world: World) -> None:
    alpha, bravo = world.found("alpha"), world.found("bravo")
    befriend(alpha, bravo)
    author = Author(alpha.identity.partner_id, "alpha")
    for now in (NOW, NOW + 3600):
        seen = published_before(alpha.store, author.partner_id)
        draft = read(b"evil.example\n198.51.100.7\n", author=author, now=now, first_created=seen)
        publish(alpha, draft.parts, names=[], ttl_class=4, is_dry_run=False, now=now, progress=quiet)
    claims = alpha.store.knowledge.lookup(observables(draft))
    assert [len(found) for found in claims.values()] == [1, 1]
    for (claim,) in claims.values():
        versions = [json.loads(one.raw) for one in alpha.store.knowledge.object_versions(claim.object_id)]
        assert len(versions) == 2
        assert len({one["created"] for one in versions}) == 1
        assert len({one["modified"] for one in versions}) == 2


def observables(draft: Draft) -> list[Observable]:
    return [
        Observable(claim.type, claim.value)
        for part in draft.parts
        for frame in Content(part.frames, part.tlp)
        for fact in frame.objects
        for claim in fact.claims
    ]
