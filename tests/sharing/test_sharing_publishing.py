"""What was shown is what is sealed: read once, all of it or nothing, and nothing when it would be something else by now."""

from __future__ import annotations

import io
import itertools
import json
import uuid
from collections.abc import Callable, Iterator, Sequence
from dataclasses import replace
from io import BufferedReader
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from whole_drafts import draft_file
from whole_nodes import (
    NOW,
    Published,
    World,
    befriend,
    draft,
    publish,
    quiet,
    raw_draft,
    send,
    take_in,
    wire_of,
)

from p2pshare.config import PolicyConfig, PrivacyConfig
from p2pshare.envelope import envelope as envelope_wire
from p2pshare.envelope import payload as envelope_payload
from p2pshare.envelope.card import fingerprint
from p2pshare.envelope.keys import generate_operational_keys, reissue_card
from p2pshare.envelope.recipient_number import RecipientNumber
from p2pshare.errors import AuthorError, RefusedError
from p2pshare.intel import extraction
from p2pshare.intel.authoring import identity_id, indicator_id
from p2pshare.intel.marking import TLP2_IDS, Tlp
from p2pshare.intel.observable import detect
from p2pshare.intel.withdrawing import Reason
from p2pshare.knowledge import contents
from p2pshare.node.node import Node
from p2pshare.operations.warninglists import index_of
from p2pshare.sharing import content
from p2pshare.sharing.drafting import Author, DraftPart, nothing_before
from p2pshare.sharing.intake import Arrival, IntakeStatus
from p2pshare.sharing.partners import add_partner, remove_partner
from p2pshare.sharing.publishing import PreparedPart, PreparedPublication, prepare, seal
from p2pshare.sharing.screening import NOTHING_CONFIRMED, Confirmed
from p2pshare.sharing.withdrawing import WithdrawalRequest, withdraw
from p2pshare.warninglists.warning_lists import ListAction, parse_warning_list

Kept = list[PreparedPart]
GREEN = [TLP2_IDS[Tlp.GREEN]]


@pytest.fixture
def three(world: World) -> tuple[Node, Node, Node]:
    """alpha, who trusts bravo and charlie, and they alpha."""
    alpha, bravo, charlie = (world.found(name) for name in ("alpha", "bravo", "charlie"))
    for other in (bravo, charlie):
        befriend(alpha, other)
        befriend(other, alpha)
    return alpha, bravo, charlie


def prepared(
    node: Node, *parts: DraftPart, to: Sequence[str] = (), confirmed: Confirmed = NOTHING_CONFIRMED
) -> tuple[PreparedPublication, Kept]:
    kept: Kept = []
    made = prepare(
        node, parts, names=to, ttl_class=4, confirmed=confirmed, now=NOW, progress=quiet, keep=kept.append
    )
    return made, kept


def refused(node: Node, made: PreparedPublication, kept: Kept, now: int = NOW + 30) -> str:
    """Seals what has changed: nothing is kept and no number of our chain is used. The reason's words."""
    before = node.store.log.counts(), node.store.log.author_state(now)
    with pytest.raises(RefusedError) as caught:
        seal(node, made.terms, kept, now, quiet)
    assert caught.value.reason == "prepared-changed"
    assert caught.value.hint
    assert (node.store.log.counts(), node.store.log.author_state(now)) == before
    return caught.value.message


def test_a_file_of_two_markings_is_no_fork_of_who_publishes_it(three: tuple[Node, Node, Node]) -> None:
    """Each part brings our identity under its own marking, all in one second."""
    alpha, _, _ = three
    drafts = [
        draft_file(
            BufferedReader(io.BytesIO(f"{tlp.name.lower().replace('_', '-')}.example\n".encode())),
            name="values",
            format_name="list",
            tlp=tlp,
            author=Author(alpha.identity.partner_id, alpha.card.name),
            now=NOW,
            first_created=nothing_before,
            progress=quiet,
        )
        for tlp in (Tlp.GREEN, Tlp.CLEAR)
    ]
    parts = [part for one in drafts for part in one.parts]
    made, kept = prepared(alpha, *parts)
    assert len(seal(alpha, made.terms, kept, NOW, quiet)) == 2
    identity = identity_id(alpha.identity.partner_id)
    assert alpha.store.knowledge.object_versions(identity)
    assert alpha.store.knowledge.object_forks() == []


# --- what changes between the two steps ---


def test_a_partner_who_was_removed_while_a_person_was_asked_gets_nothing(
    three: tuple[Node, Node, Node],
) -> None:
    alpha, _, _ = three
    made, kept = prepared(alpha, draft(alpha, ["evil.example"]))
    assert made.report.recipients == {"bravo", "charlie"}
    remove_partner(alpha, "bravo")
    assert "who would get it" in refused(alpha, made, kept)


def test_a_named_partner_who_was_removed_gets_nothing(three: tuple[Node, Node, Node]) -> None:
    alpha, _, _ = three
    made, kept = prepared(alpha, draft(alpha, ["evil.example"], Tlp.RED), to=["bravo"])
    remove_partner(alpha, "bravo")
    assert "who would get it" in refused(alpha, made, kept)


def test_a_partner_who_was_added_and_not_shown_gets_nothing(
    world: World, three: tuple[Node, Node, Node]
) -> None:
    alpha, _, _ = three
    made, kept = prepared(alpha, draft(alpha, ["evil.example"]))
    befriend(alpha, world.found("delta"))
    assert "who would get it" in refused(alpha, made, kept)


def test_another_partner_under_the_same_name_is_another_recipient(
    world: World, three: tuple[Node, Node, Node]
) -> None:
    alpha, _, _ = three
    made, kept = prepared(alpha, draft(alpha, ["evil.example"], Tlp.RED), to=["bravo"])
    remove_partner(alpha, "bravo")
    card = world.found("delta").identity.card
    told = fingerprint(card.partner_id)
    add_partner(alpha, card.raw, confirmed_fingerprint=told, alias="bravo", has_link=True, now=NOW)
    assert "who would get it" in refused(alpha, made, kept)


def test_a_partner_who_was_frozen_gets_nothing(three: tuple[Node, Node, Node]) -> None:
    alpha, bravo, _ = three
    made, kept = prepared(alpha, draft(alpha, ["evil.example"]))
    alpha.store.partners.freeze(bravo.identity.partner_id, evidence=(b"one", b"two"), now=NOW)
    assert "who would get it" in refused(alpha, made, kept)


def test_a_gate_that_was_closed_stops_what_was_shown_through_it(three: tuple[Node, Node, Node]) -> None:
    alpha, _, _ = three
    open_gate = replace(alpha, config=replace(alpha.config, policy=PolicyConfig(relay_strict=True)))
    made, kept = prepared(open_gate, draft(alpha, ["evil.example"], Tlp.AMBER_STRICT), to=["bravo"])
    assert "who would get it" in refused(alpha, made, kept)


def test_a_list_that_blocks_by_now_stops_it(three: tuple[Node, Node, Node]) -> None:
    alpha, _, _ = three
    made, kept = prepared(alpha, draft(alpha, ["evil.example"]))
    raw = json.dumps({"name": "new", "type": "string", "list": ["evil.example"]}).encode()
    index_of(alpha.warning_index).replace(parse_warning_list(raw), ListAction.BLOCK, NOW)
    assert "warning lists" in refused(alpha, made, kept)


@pytest.mark.parametrize(
    "privacy", [PrivacyConfig(internal_domains=("example",)), PrivacyConfig(mail_domains=("evil.example",))]
)
def test_what_became_private_stops_it(three: tuple[Node, Node, Node], privacy: PrivacyConfig) -> None:
    alpha, _, _ = three
    made, kept = prepared(alpha, draft(alpha, ["evil.example"]))
    reloaded = replace(alpha, config=replace(alpha.config, privacy=privacy))
    assert "internal" in refused(reloaded, made, kept)


def taken_back(node: Node, value: str) -> None:
    withdraw(node, WithdrawalRequest(value, Reason.MISTAKE), is_dry_run=False, now=NOW + 10, progress=quiet)


def test_what_was_withdrawn_meanwhile_is_not_published_again(three: tuple[Node, Node, Node]) -> None:
    alpha, _, _ = three
    send(alpha, ["evil.example", "other.example"], to=["bravo"])
    made, kept = prepared(alpha, draft(alpha, ["evil.example"]), draft(alpha, ["fine.example"]))
    taken_back(alpha, "evil.example")
    assert "withdrawn" in refused(alpha, made, kept)


def test_a_version_that_would_revive_what_was_withdrawn_meanwhile_is_shown_first(
    three: tuple[Node, Node, Node],
) -> None:
    alpha, _, _ = three
    send(alpha, ["evil.example"], to=["bravo"])
    made, kept = prepared(alpha, draft(alpha, ["evil.example"], now=NOW + 20))
    taken_back(alpha, "evil.example")
    assert "withdrawn" in refused(alpha, made, kept)
    again, kept = prepared(alpha, draft(alpha, ["evil.example"], now=NOW + 20))
    assert again.report.notes.counts == {"withdrawn-before": 1}
    send(alpha, ["elsewhere.example"], to=["bravo"])  # something came, but no withdrawal
    assert len(seal(alpha, again.terms, kept, NOW + 30, quiet)) == 1


def test_what_does_not_concern_it_stops_nothing(world: World, three: tuple[Node, Node, Node]) -> None:
    """Somebody else publishes, withdraws, and a partner renews its card: what was shown is still what leaves."""
    alpha, bravo, _ = three
    send(alpha, ["elsewhere.example"], to=["bravo"])
    made, kept = prepared(alpha, draft(alpha, ["evil.example"]), to=["bravo"])
    befriend(alpha, world.found("delta"))
    taken_back(alpha, "elsewhere.example")
    keys = generate_operational_keys(bravo.identity.partner_id, NOW)
    renewed = reissue_card(bravo.identity, NOW, operational=keys)
    alpha.store.partners.update_card(bravo.identity.partner_id, renewed.card.raw, renewed.card.version)
    [envelope] = seal(alpha, made.terms, kept, NOW + 30, quiet)
    arrival = Arrival(wire_of(alpha, envelope), alpha.identity.partner_id)
    [verdict] = take_in(replace(bravo, identity=renewed), [arrival], NOW + 30)
    assert verdict.status is IntakeStatus.HELD
    assert bravo.store.knowledge.lookup([detect("evil.example")])


# --- read once ---


def test_a_frame_is_inflated_and_read_once_and_our_own_envelope_never(
    three: tuple[Node, Node, Node], monkeypatch: pytest.MonkeyPatch
) -> None:
    alpha, bravo, _ = three
    calls: list[str] = []

    def counted(name: str, function: Callable[..., Any]) -> Callable[..., Any]:
        def call(*arguments: Any, **named: Any) -> Any:
            calls.append(name)
            return function(*arguments, **named)

        return call

    inflate = counted("inflate", envelope_payload.inflate_frame)
    for module in (envelope_payload, content, contents):
        monkeypatch.setattr(module, "inflate_frame", inflate)
    monkeypatch.setattr(content, "extract", counted("extract", extraction.extract))
    for name in ("decode_envelope", "decode_core"):
        monkeypatch.setattr(envelope_wire, name, counted(name, getattr(envelope_wire, name)))
    parts = [draft(alpha, [f"{number}.evil.example", "10.0.0.1"]) for number in range(3)]
    report = publish(alpha, parts, names=[], ttl_class=4, is_dry_run=False, now=NOW, progress=quiet)
    assert (report.published, report.refusals.counts) == (3, {"private-address": 3})
    assert sorted(calls) == ["extract"] * 3 + ["inflate"] * 3
    assert bravo.store.log.counts().held == 0


def test_parts_are_taken_kept_and_sealed_one_after_another(three: tuple[Node, Node, Node]) -> None:
    """Nothing needs two parts at once: a publication of any size is made in the room of one part."""
    alpha, _, _ = three
    events: list[str] = []
    kept: Kept = []

    def drafts() -> Iterator[DraftPart]:
        for number in range(3):
            events.append(f"draft {number}")
            yield draft(alpha, [f"{number}.evil.example"])

    def keep(part: PreparedPart) -> None:
        events.append(f"keep {len(kept)}")
        kept.append(part)

    made = prepare(alpha, drafts(), names=[], ttl_class=4, now=NOW, progress=quiet, keep=keep)
    assert events == [f"{what} {number}" for number in range(3) for what in ("draft", "keep")]

    def waiting() -> Iterator[PreparedPart]:
        for number, part in enumerate(kept):
            assert alpha.store.log.author_state(NOW).sequence == number
            yield part

    envelopes = seal(alpha, made.terms, waiting(), NOW, quiet)
    assert [alpha.store.log.author_state(NOW).sequence, len(envelopes)] == [3, 3]


def test_all_of_it_or_nothing_and_nothing_is_seen_before_the_last_is_sealed(
    three: tuple[Node, Node, Node],
) -> None:
    alpha, bravo, _ = three
    made, kept = prepared(alpha, *(draft(alpha, [f"{number}.evil.example"]) for number in range(3)))
    before = alpha.store.log.author_state(NOW)

    def torn() -> Iterator[PreparedPart]:
        yield from kept[:2]
        raise AuthorError("the file ends here", reason="torn")

    with pytest.raises(AuthorError):
        seal(alpha, made.terms, torn(), NOW, quiet)
    assert alpha.store.log.counts().held == 0
    assert not alpha.store.knowledge.lookup([detect("0.evil.example")])
    assert alpha.store.log.author_state(NOW) == before
    numbers = alpha.store.log.recipient_numbers([bravo.identity.partner_id], before.incarnation)
    assert numbers == {bravo.identity.partner_id: RecipientNumber(1)}
    envelopes = seal(alpha, made.terms, kept, NOW, quiet)
    arrivals = [Arrival(wire_of(alpha, one), alpha.identity.partner_id) for one in envelopes]
    assert [one.status for one in take_in(bravo, arrivals, NOW)] == [IntakeStatus.HELD] * 3
    assert bravo.store.log.sequence_gaps(alpha.identity.partner_id) == []


# --- what is stored of our own is what any partner reads ---


def stix(type_: str, number: int, **more: Any) -> dict[str, Any]:
    stamp = "2026-01-01T00:00:00Z"
    given = {"type": type_, "spec_version": "2.1", "created": stamp, "modified": stamp}
    return given | {"id": f"{type_}--00000000-0000-4000-8000-{number:012d}"} | more


def indicator(number: int, value: str, **more: Any) -> dict[str, Any]:
    pattern = {"pattern": f"[ipv4-addr:value = '{value}']", "pattern_type": "stix"}
    marked = {"object_marking_refs": GREEN, "valid_from": "2026-01-01T00:00:00Z"}
    return stix("indicator", number, **pattern, **marked) | more


def definition(number: int, name: str = "plain") -> dict[str, Any]:
    statement = {"definition_type": "statement", "definition": {"statement": "ours"}, "name": name}
    return stix("marking-definition", number, **statement) | {"modified": "2026-01-01T00:00:00Z"}


def assert_read_alike(node: Node, reader: Node, report: Published) -> None:
    """`reader`, who takes in what was published, has the claims that `node` stored of its own."""
    arrivals = [Arrival(wire_of(node, one), node.identity.partner_id) for one in report.envelopes]
    assert all(one.status is IntakeStatus.HELD for one in take_in(reader, arrivals, NOW))
    assert not reader.store.partners.refusals()
    assert view(reader) == view(node)


def view(node: Node) -> set[tuple[object, ...]]:
    sql_free = [detect(f"192.0.2.{number}") for number in range(64)]
    return {
        (
            observable,
            claim.object_id,
            claim.tlp,
            claim.pap,
            claim.labels,
            claim.is_revoked,
            claim.valid_from_us,
        )
        for observable, claims in node.store.knowledge.lookup(sql_free).items()
        for claim in claims
    }


def test_what_stands_behind_something_refused_is_still_found_in_its_frame(
    three: tuple[Node, Node, Node],
) -> None:
    alpha, bravo, _ = three
    objects = [indicator(1, "10.0.0.1"), indicator(2, "192.0.2.2"), indicator(3, "192.0.2.3")]
    report = publish_green(alpha, objects)
    assert report.refusals.counts == {"private-address": 1}
    assert_read_alike(alpha, bravo, report)
    for one in objects[1:]:
        [version] = alpha.store.knowledge.object_versions(one["id"])
        assert json.loads(version.raw or b"") == one


def test_a_definition_that_is_left_out_is_missed_by_what_names_it_here_as_anywhere(
    three: tuple[Node, Node, Node],
) -> None:
    """Its readers do not know it and take what names it for the strictest: so it must not leave as GREEN."""
    alpha, _, _ = three
    named = definition(7)
    objects = [named, indicator(1, "192.0.2.1", object_marking_refs=[*GREEN, named["id"]])]
    assert publish_green(alpha, objects).published == 2
    withdraw(
        alpha, WithdrawalRequest(named["id"], Reason.MISTAKE), is_dry_run=False, now=NOW + 10, progress=quiet
    )
    objects[1] |= {"modified": "2027-03-01T00:00:00Z"}
    again = publish_green(alpha, objects)
    assert again.refusals.counts == {"withdrawn": 1, "stricter-than-part": 1}
    assert again.envelopes == []


def test_of_two_assessments_of_one_id_the_one_that_leaves_is_the_one_that_is_stored(
    three: tuple[Node, Node, Node],
) -> None:
    alpha, _, _ = three
    about = indicator_id(alpha.identity.partner_id, detect("192.0.2.9"))
    send(alpha, ["192.0.2.9"], to=["bravo"])
    first = stix("sighting", 5, sighting_of_ref=about, count=3, object_marking_refs=GREEN)
    second = first | {"modified": "2026-02-01T00:00:00Z", "count": 9, "description": "/home/anna/x"}
    report = publish_green(alpha, [first, second])
    assert report.refusals.counts == {"user-name-in-path": 1}
    [sighting] = alpha.store.knowledge.sightings([detect("192.0.2.9")])[detect("192.0.2.9")]
    assert sighting.count == 3


def publish_green(node: Node, objects: Sequence[object]) -> Published:
    return publish(
        node,
        [raw_draft(list(objects))],
        names=[],
        ttl_class=4,
        is_dry_run=False,
        now=NOW + 20,
        progress=quiet,
    )


LEFT_OUT = st.sampled_from(
    [
        lambda number: indicator(number, f"192.0.2.{number}"),
        lambda number: indicator(number, f"192.0.2.{number}", labels=["a", f"b{number}"]),
        lambda number: indicator(number, f"192.0.2.{number}", revoked=True),
        lambda number: indicator(number, f"192.0.2.{number}", object_marking_refs=[]),
        lambda number: indicator(number, f"10.0.0.{number}"),
        lambda number: indicator(number, f"192.0.2.{number}", description="/home/anna/x"),
        lambda number: indicator(number, "not-an-address"),
        lambda number: indicator(number, f"192.0.2.{number}", confidence=500),
        lambda number: {"type": "indicator", "id": f"broken-{number}"},
        lambda number: stix("malware", number, name="x", is_family=False, object_marking_refs=GREEN),
        lambda number: stix("malware", number, name="/home/anna", is_family=False),
        lambda number: f"text {number}",
        lambda number: definition(number),
        lambda number: definition(number, r"C:\Users\anna\x") | {"definition": {}},
    ]
)


@settings(max_examples=25, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(st.lists(st.lists(LEFT_OUT, min_size=1, max_size=8), min_size=1, max_size=3), st.data())
def test_whatever_is_left_out_what_is_stored_is_what_a_partner_reads(
    tmp_path_factory: pytest.TempPathFactory, frames: list[list[Any]], data: st.DataObject
) -> None:
    world = World(tmp_path_factory.mktemp("world"))
    try:
        alpha, bravo = world.found("alpha"), world.found("bravo")
        befriend(alpha, bravo)
        befriend(bravo, alpha)
        number = itertools.count(1)
        made = [[make(next(number)) for make in frame] for frame in frames]
        raw = tuple(frame for objects in made for frame in raw_draft(objects).frames)
        count = sum(map(len, made))
        part = DraftPart(Tlp.GREEN, raw, count)
        report = publish(alpha, [part], names=[], ttl_class=4, is_dry_run=False, now=NOW, progress=quiet)
        assert report.published + report.refusals.total == count
        assert_read_alike(alpha, bravo, report)
    finally:
        world.close()


def test_an_object_leaves_though_what_it_was_put_with_may_not(three: tuple[Node, Node, Node]) -> None:
    """Two parts each hold the identity that wrote their objects; it was withdrawn, and the second part was lost with it."""
    alpha, *_ = three
    team = {"type": "identity", "spec_version": "2.1", "id": f"identity--{uuid.UUID(int=7, version=4)}", "name": "Team",
            "created": "2026-01-01T00:00:00.000Z", "modified": "2026-01-01T00:00:00.000Z"}  # fmt: skip
    publish_green(alpha, [team])
    withdraw(
        alpha, WithdrawalRequest(team["id"], Reason.MISTAKE), is_dry_run=False, now=NOW + 1, progress=quiet
    )
    part = replace(raw_draft([team, indicator(1, "left-behind.example")]), repeats=1)
    made, kept = prepared(alpha, part)
    assert (made.report.published, len(kept)) == (1, 1)
    assert made.report.refusals.counts == {"withdrawn": 1}
