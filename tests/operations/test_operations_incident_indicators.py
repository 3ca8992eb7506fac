"""Values that are told in an incident are indicators of their author: for its members alone, under its marking, until they are taken back."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest
from shared_spaces import hand_over, id_of, partners, run
from whole_nodes import NOW, World, befriend, draft, publish, quiet, take_in

from p2pshare.envelope.payload import compress_frame
from p2pshare.errors import AuthorError
from p2pshare.identifiers import EntryId
from p2pshare.intel.authoring import incident_label, indicator_id, indicator_object
from p2pshare.intel.marking import Tlp
from p2pshare.intel.observable import Observable, detect
from p2pshare.node.node import Node
from p2pshare.operations.incident_indicators import (
    VALUES_AT_ONCE_MAX,
    AddIndicators,
    IndicatorRounds,
    IndicatorsAdded,
)
from p2pshare.operations.incident_labels import LabelRounds
from p2pshare.operations.incidents import OpenIncident, SayInIncident, ShowIncident
from p2pshare.operations.publishing import Part
from p2pshare.operations.space_entries import RedactEntry
from p2pshare.operations.space_membership import InviteIntoSpace, JoinSpace
from p2pshare.sharing.intake import Arrival
from p2pshare.spaces.incident_entries import IncidentObject, encode_incident
from p2pshare.spaces.space_exchange import spaces_of
from p2pshare.spaces.space_store import SpaceReading, SpaceStore


class Case:
    """alpha leads a case with bravo; charlie and delta are partners of alpha, and not in it."""

    def __init__(self, world: World) -> None:
        self.nodes = partners(world, "alpha", "bravo", "charlie", "delta")
        self.alpha, self.bravo, self.charlie, self.delta = self.nodes
        self.id = run(self.alpha, OpenIncident("Ransomware", ("ransomware",), Tlp.GREEN, ("bravo",))).incident
        self.meet()
        run(self.bravo, JoinSpace(self.id))
        self.meet()
        self._sent = dict.fromkeys(self.nodes_by_name(), 0)

    def nodes_by_name(self) -> list[str]:
        return [node.config.name for node in self.nodes]

    def meet(self) -> None:
        for _ in range(2):
            for giver in self.nodes[:3]:
                hand_over(self.id, giver, *(one for one in self.nodes[:3] if one is not giver))

    def deliver(self, now: int = NOW) -> None:
        """Every envelope reaches every node: whom it is not for reads nothing in it."""
        for giver in self.nodes:
            for entry in giver.store.log.entries(0, 1_000):
                wire = giver.store.log.wire(entry.envelope_id)
                if wire is not None:
                    for taker in self.nodes:
                        if taker is not giver:
                            take_in(taker, [Arrival(wire, id_of(giver))], now)

    def add(
        self, node: Node, *values: str, tlp: Tlp = Tlp.GREEN, now: int = NOW, **how: object
    ) -> IndicatorsAdded:
        own = id_of(node)
        objects = [
            indicator_object(
                detect(value),
                author=own,
                created=now,
                tlp=tlp,
                labels=(incident_label(self.id),),
                object_id=indicator_id(own, detect(value), self.id),
            )
            for value in values
        ]
        frame = compress_frame(b"[" + b",".join(objects) + b"]")
        added = run(node, AddIndicators(self.id, (Part(tlp, (frame,), len(objects), 0),), **how), now)  # type: ignore[arg-type]
        self.meet()
        self.deliver()
        return added

    def claimed(self, node: Node, value: str) -> list[tuple[str, tuple[str, ...], bool]]:
        found = node.store.knowledge.lookup([detect(value)]).get(detect(value), [])
        return [(one.author.text, one.labels, one.is_revoked) for one in found]

    def follow(self, node: Node) -> None:
        rounds = IndicatorRounds(node)
        spaces_of(node).state(EntryId.parse(self.id))
        while rounds.step(NOW + 10):
            pass
        self.deliver(NOW + 10)


@pytest.fixture(scope="module")
def case(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Case]:
    world = World(tmp_path_factory.mktemp("indicators"))
    yield Case(world)
    world.close()


def test_members_that_are_partners_have_it_as_an_indicator_of_its_author_and_nobody_else(case: Case) -> None:
    added = case.add(case.bravo, "evil.test.org")
    assert [(one.type, one.value) for one in added.told] == [("domain", "evil.test.org")]
    assert added.recipients == ["alpha"] and len(added.envelopes) == 1
    expected = [(id_of(case.bravo).text, (f"incident:{case.id}",), False)]
    assert case.claimed(case.alpha, "evil.test.org") == expected
    assert case.claimed(case.charlie, "evil.test.org") == [], "a partner that is no member"
    rows = case.alpha.store.database.fetch(
        "SELECT active, authors, sources FROM v1_indicators WHERE value = 'evil.test.org'"
    )
    assert rows == [(1, 1, 1)]
    again = case.add(case.bravo, "evil.test.org", now=NOW + 1)
    assert again.told == [] and again.merged == 1


def test_who_joins_later_is_sent_what_stands_and_a_redaction_by_the_lead_withdraws_it(case: Case) -> None:
    entry = case.add(case.bravo, "later.test.org").told[0].entry
    run(case.alpha, InviteIntoSpace(case.id, ("charlie",)))
    case.meet()
    run(case.charlie, JoinSpace(case.id))
    case.meet()
    assert case.claimed(case.charlie, "later.test.org") == []
    case.follow(case.bravo)
    assert [one[2] for one in case.claimed(case.charlie, "later.test.org")] == [False]
    before = case.bravo.store.log.last_lsn()
    case.follow(case.bravo)
    assert case.bravo.store.log.last_lsn() == before, "nothing is sent twice"
    run(case.alpha, RedactEntry(case.id, entry))
    case.meet()
    case.follow(case.bravo)
    for node in (case.alpha, case.charlie):
        assert [one[2] for one in case.claimed(node, "later.test.org")] == [True], "withdrawn by its author"


def test_no_marking_is_loosened(case: Case) -> None:
    looser = case.add(case.bravo, "clear.test.org", tlp=Tlp.CLEAR)
    assert looser.told == [] and [one.reason for one in looser.refused] == ["looser-than-incident"]
    red = case.add(case.bravo, "red.test.org", tlp=Tlp.RED)
    assert red.told == [] and [one.reason for one in red.refused] == ["names-needed"]
    case.add(case.bravo, "amber.test.org", tlp=Tlp.AMBER)
    row = SpaceReading(case.alpha.store.database).find(EntryId.parse(case.id))
    assert row is not None
    newest = [
        one for one in SpaceReading(case.alpha.store.database).entries(row) if one.header.kind == "object"
    ][-1]
    assert newest.header.tlp == Tlp.AMBER


def test_what_the_screening_stops_is_neither_published_nor_told(case: Case) -> None:
    found = case.add(case.bravo, "192.168.1.7", "outside.test.org")
    assert [one.value for one in found.told] == ["outside.test.org"]
    assert [one.reason for one in found.refused] == ["private-address"]
    assert [
        one.value for one in case.add(case.bravo, "192.168.1.7", share_private=True, share_listed=True).told
    ] == ["192.168.1.7"]


def test_a_dry_run_and_too_many_values_change_nothing(case: Case) -> None:
    before = case.bravo.store.log.last_lsn()
    shown = case.add(case.bravo, "dry.test.org", dry_run=True)
    assert shown.told[0].entry == "" and shown.recipients
    with pytest.raises(AuthorError) as refused:
        case.add(case.bravo, *(f"host{number}.test.org" for number in range(VALUES_AT_ONCE_MAX + 1)))
    assert refused.value.reason == "oversized"
    assert case.bravo.store.log.last_lsn() == before


def test_an_object_that_others_were_sent_stays_when_its_entry_is_redacted(case: Case) -> None:
    own = id_of(case.bravo)
    raw = indicator_object(detect("wide.test.org"), author=own, created=NOW, tlp=Tlp.GREEN)
    part = Part(Tlp.GREEN, (compress_frame(b"[" + raw + b"]"),), 1, 0)
    from p2pshare.operations.publishing import Prepare, Seal

    run(case.bravo, Seal(run(case.bravo, Prepare((part,))).token))
    added = run(case.bravo, AddIndicators(case.id, (part,)))
    run(case.bravo, RedactEntry(case.id, added.told[0].entry))
    case.meet()
    case.follow(case.bravo)
    assert [one[2] for one in case.claimed(case.delta, "wide.test.org")] == [False], (
        "no matter of the incident"
    )


def test_an_introduced_member_counts_in_the_views_once_both_sides_trust(tmp_path: Path) -> None:
    world = World(tmp_path)
    alpha, bravo, echo = (world.found(name) for name in ("alpha", "bravo", "echo"))
    for other in (bravo, echo):
        befriend(alpha, other)
        befriend(other, alpha)
    case = Case.__new__(Case)
    case.nodes, case.alpha, case.bravo = [alpha, bravo, echo], alpha, bravo
    case.id = run(alpha, OpenIncident("Introduced", (), Tlp.GREEN, ("bravo", "echo"))).incident
    for taker, member in ((bravo, echo), (echo, bravo)):
        SpaceStore(taker.store.database).put_introduced_card(
            id_of(member), 1, member.identity.card.raw, id_of(alpha), NOW
        )
    case.meet()
    for node in (bravo, echo):
        run(node, JoinSpace(case.id))
    case.meet()
    assert case.add(echo, "introduced.test.org").recipients == ["alpha"]
    shown = run(bravo, ShowIncident(case.id)).shown
    assert "introduced.test.org" in shown, "it is in what is shown"
    assert case.claimed(bravo, "introduced.test.org") == []
    befriend(bravo, echo)
    case.follow(echo)
    assert case.claimed(bravo, "introduced.test.org") == [], "echo cannot seal for who is no partner of its"
    befriend(echo, bravo)
    case.follow(echo)
    assert [one[0] for one in case.claimed(bravo, "introduced.test.org")] == [id_of(echo).text]
    world.close()


def test_an_object_of_a_file_has_the_incidents_label_in_the_views_and_stays_as_it_was_written(
    case: Case,
) -> None:
    own = id_of(case.alpha)
    value = detect("filed.test.org")
    stated = indicator_object(
        value, author=own, created=NOW, tlp=Tlp.GREEN, object_id=indicator_id(own, value), labels=("apt",)
    )
    frame = compress_frame(b"[" + stated + b"]")
    added = run(case.alpha, AddIndicators(case.id, (Part(Tlp.GREEN, (frame,), 1, 0),)))
    case.deliver()
    assert len(added.told) == 1 and case.claimed(case.bravo, value.value)[0][1] == ("apt",), (
        "before its entry came"
    )
    case.meet()
    for node in (case.alpha, case.bravo):
        spaces_of(node).state(EntryId.parse(case.id))
        LabelRounds(node).step()
        assert case.claimed(node, value.value) == [(own.text, ("apt", f"incident:{case.id}"), False)]
        labels = "SELECT labels FROM v1_claims WHERE value = 'filed.test.org'"
        assert node.store.database.fetch(labels) == [(f'["apt","incident:{case.id}"]',)]
        [held] = node.store.knowledge.object_versions(indicator_id(own, value))
        assert held.raw == stated, "no version of it that its author did not write"


def test_nobody_labels_what_another_says(case: Case) -> None:
    value = detect("theirs.test.org")
    own = id_of(case.charlie)
    object_id = indicator_id(own, value)
    publish_value(case, value)
    stated = indicator_object(value, author=own, created=NOW, tlp=Tlp.GREEN, object_id=object_id)
    content = encode_incident(IncidentObject(value.type, value.value, "", stated))
    run(case.bravo, SayInIncident(case.id, "object", content))
    case.meet()
    spaces_of(case.alpha).state(EntryId.parse(case.id))
    LabelRounds(case.alpha).step()
    assert case.claimed(case.alpha, value.value) == [(own.text, (), False)]


def publish_value(case: Case, value: Observable) -> None:
    done = publish(
        case.charlie,
        [draft(case.charlie, [value.value], Tlp.GREEN, NOW)],
        names=["alpha"],
        ttl_class=4,
        is_dry_run=False,
        now=NOW,
        progress=quiet,
    )
    assert done.envelopes
    case.deliver()
