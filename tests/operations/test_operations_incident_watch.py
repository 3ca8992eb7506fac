"""After the close a value that is seen again tells the members of itself, once a value and day; what they may not have tells nothing."""

from __future__ import annotations

import json
from collections.abc import Iterator

import pytest
from shared_spaces import hand_over, held, id_of, partners, run
from store_rows import rows
from whole_nodes import NOW, World, draft, publish, quiet, seen_by_daemon, take_in

from p2pshare.envelope.payload import compress_frame
from p2pshare.identifiers import EntryId, EnvelopeId
from p2pshare.intel.authoring import identity_id, vulnerability_object
from p2pshare.intel.instants import SECOND_US, format_instant
from p2pshare.intel.marking import TLP2_IDS, Tlp
from p2pshare.intel.observable import detect
from p2pshare.node.node import Node
from p2pshare.operations.assessing import Sight
from p2pshare.operations.incident_indicators import AddIndicators
from p2pshare.operations.incident_watch import (
    DAY_SECONDS,
    NEXT_SECONDS,
    ListWatch,
    TellRecurrence,
    WatchRounds,
)
from p2pshare.operations.incidents import OpenIncident, SayInIncident
from p2pshare.operations.publishing import Part
from p2pshare.operations.space_entries import RedactEntry
from p2pshare.operations.space_membership import JoinSpace
from p2pshare.operations.status import ShowStatus
from p2pshare.sharing.intake import Arrival
from p2pshare.spaces.incident_entries import (
    IncidentBody,
    IncidentClosing,
    IncidentObject,
    IncidentRecurrence,
    encode_incident,
)
from p2pshare.spaces.space_exchange import spaces_of

LATER = NOW + 3_600
DAY = LATER - LATER % DAY_SECONDS
VALUE = "evil.test.org"


class Case:
    """alpha leads a closed case with bravo and charlie; delta is a partner of all, and no member."""

    def __init__(self, nodes: list[Node], *values: str, tlp: Tlp = Tlp.GREEN) -> None:
        self.alpha, self.bravo, self.charlie, self.delta = nodes
        self.members = nodes[:3]
        self.id = run(self.alpha, OpenIncident("Closed", (), tlp, ("bravo", "charlie"))).incident
        self.meet()
        for node in self.members[1:]:
            run(node, JoinSpace(self.id))
        self.meet()
        for value in values or (VALUE,):
            found = detect(value)
            self.say(self.alpha, "object", IncidentObject(found.type, found.value, "", b""))
        self.say(self.alpha, "close", IncidentClosing(""))
        self.rounds = {node.config.name: WatchRounds(node) for node in self.members}

    def say(self, node: Node, kind: str, body: IncidentBody, *, now: int = NOW, **how: object) -> str:
        entry = run(node, SayInIncident(self.id, kind, encode_incident(body), **how), now).entry  # type: ignore[arg-type]
        self.meet()
        return entry

    def meet(self, now: int = NOW) -> None:
        for _ in range(2):
            for giver in self.members:
                hand_over(self.id, giver, *(one for one in self.members if one is not giver), now=now)

    def claim(self, giver: Node, *takers: Node, tlp: Tlp, value: str = VALUE, now: int = LATER) -> None:
        names = [taker.config.name for taker in takers]
        done = publish(
            giver,
            [draft(giver, [value], tlp, now)],
            names=names,
            ttl_class=4,
            is_dry_run=False,
            now=now,
            progress=quiet,
        )
        for envelope_id in done.envelopes:
            wire = giver.store.log.wire(envelope_id)
            assert wire is not None
            for taker in takers:
                take_in(taker, [Arrival(wire, id_of(giver))], now)

    def look(self, node: Node, now: int) -> None:
        spaces_of(node).state(EntryId.parse(self.id))
        self.rounds[node.config.name].step(now)
        self.meet(now)

    def recurrences(self, node: Node) -> list[tuple[str, str, str, int]]:
        state = spaces_of(node).state(EntryId.parse(self.id))
        fold = state.kind
        said = [(one, fold.content(one, IncidentRecurrence)) for one in fold.by_kind["recurrence"]]  # type: ignore[union-attr]
        return [(one.author.text, body.type, body.value, body.day) for one, body in said if body is not None]

    def alarms(self, node: Node, now: int = LATER) -> list[str]:
        found = run(seen_by_daemon(node), ShowStatus(), now).alarms
        return [one.word for one in found if one.space == self.id]

    def entries(self, node: Node) -> int:
        return len(held(node, self.id))


@pytest.fixture
def nodes(tmp_path_factory: pytest.TempPathFactory) -> Iterator[list[Node]]:
    world = World(tmp_path_factory.mktemp("watch"))
    yield partners(world, "alpha", "bravo", "charlie", "delta")
    world.close()


def test_an_own_sighting_tells_once_a_day_and_all_members_are_alarmed(nodes: list[Node]) -> None:
    case = Case(nodes)
    case.claim(
        case.delta, case.bravo, tlp=Tlp.GREEN, now=NOW - 60
    )  # known before: a sighting needs an object
    for node in case.members:
        case.look(node, LATER)
    assert case.recurrences(case.alpha) == [], "nothing was seen since the close"
    run(case.bravo, Sight(VALUE), LATER)
    for _ in range(2):
        case.look(case.bravo, LATER)
        case.look(case.alpha, LATER)
    expected = [(id_of(case.bravo).text, "domain", VALUE, DAY)]
    assert [case.recurrences(node) for node in case.members] == [expected] * 3
    assert all("incident-recurrence" in case.alarms(node) for node in case.members)
    listed = run(case.bravo, ListWatch(case.id), LATER).each
    assert [(one.value, one.seen, one.is_told) for one in listed] == [(VALUE, "sighting", True)]
    entry = next(one for one in held(case.bravo, case.id) if one.header.kind == "recurrence").entry_id.text
    run(case.alpha, RedactEntry(case.id, entry), LATER)
    case.meet()
    case.rounds["bravo"] = WatchRounds(case.bravo)  # a new life
    case.look(case.bravo, LATER + 60)
    assert case.recurrences(case.alpha) == [], "what the lead redacted is not said again"


@pytest.mark.parametrize("tlp", [Tlp.GREEN, Tlp.AMBER, Tlp.RED])
def test_a_claim_that_not_every_member_may_have_tells_nothing_to_anybody(nodes: list[Node], tlp: Tlp) -> None:
    case = Case(nodes)
    case.claim(case.delta, case.bravo, tlp=tlp)
    before = (case.entries(case.bravo), case.bravo.store.log.last_lsn())
    for now in (LATER, LATER + 4 * NEXT_SECONDS):
        case.look(case.bravo, now)
        case.look(case.alpha, now)
    assert (case.entries(case.bravo), case.bravo.store.log.last_lsn()) == before, (
        "not an entry, not an envelope: nothing leaves"
    )
    assert case.alarms(case.bravo) == ["incident-seen-again"]
    assert case.alarms(case.alpha) == [], "here alone"
    if tlp is Tlp.RED:  # what we say of it to its author alone does not tell either
        run(case.bravo, Sight(VALUE), LATER)
        case.look(case.bravo, LATER + 5 * NEXT_SECONDS)
        assert case.entries(case.bravo) == before[0]
    run(case.bravo, TellRecurrence(case.id, VALUE), LATER)
    case.meet()
    assert case.recurrences(case.alpha) == [(id_of(case.bravo).text, "domain", VALUE, DAY)], "a person may"
    assert case.alarms(case.bravo) == ["incident-recurrence"]


def test_a_claim_for_everybody_is_told_by_the_lead_and_later_by_the_next_in_order(nodes: list[Node]) -> None:
    case = Case(nodes)
    case.claim(case.delta, *case.members, tlp=Tlp.CLEAR)
    others = sorted((case.bravo, case.charlie), key=id_of)
    for node in others:
        case.look(node, LATER)
    assert case.recurrences(case.alpha) == [], "the lead tells"
    case.look(others[1], LATER + NEXT_SECONDS)
    assert case.recurrences(case.alpha) == []
    case.look(others[0], LATER + NEXT_SECONDS)
    case.look(others[1], LATER + 2 * NEXT_SECONDS)
    case.look(case.alpha, LATER + 2 * NEXT_SECONDS)
    assert [one[0] for one in case.recurrences(case.alpha)] == [id_of(others[0]).text]


def test_a_sealed_value_and_one_of_an_incident_with_named_readers_alert_here_alone(nodes: list[Node]) -> None:
    case = Case(nodes)
    case.say(case.alpha, "reopen", IncidentClosing(""))
    sealed = detect("sealed.test.org")
    case.say(case.alpha, "object", IncidentObject(sealed.type, sealed.value, "", b""), audience=("bravo",))
    case.say(case.alpha, "close", IncidentClosing(""))
    case.claim(case.delta, *case.members, tlp=Tlp.CLEAR, value=sealed.value)
    before = [case.entries(node) for node in case.members]
    for node in case.members:
        case.look(node, LATER + 4 * NEXT_SECONDS)
    assert [case.entries(node) for node in case.members] == before
    assert "incident-seen-again" in case.alarms(case.alpha)


def test_nothing_is_watched_while_it_is_open_nor_when_the_watch_is_over(nodes: list[Node]) -> None:
    case = Case(nodes)
    over = NOW + case.alpha.config.incidents.watch_days * DAY_SECONDS
    assert run(case.alpha, ListWatch(), over - 1).each != [] and run(case.alpha, ListWatch(), over).each == []
    case.say(case.alpha, "reopen", IncidentClosing(""))
    case.claim(case.delta, *case.members, tlp=Tlp.CLEAR)
    case.look(case.alpha, LATER)
    assert case.recurrences(case.alpha) == [] and run(case.alpha, ListWatch(case.id), LATER).each == []


def test_the_view_shows_what_is_watched_until_it_is_opened_again(nodes: list[Node]) -> None:
    case = Case(nodes, VALUE, "198.51.100.7")

    def watched(node: Node) -> list[tuple[object, ...]]:
        return rows(
            node.store.database.path, "SELECT incident, type, value, until FROM v1_watch ORDER BY type"
        )

    until = format_instant((NOW + 180 * DAY_SECONDS) * SECOND_US)
    expected = [(case.id, "domain", VALUE, until), (case.id, "ipv4", "198.51.100.7", until)]
    for node in case.members:
        case.look(node, LATER)
        assert watched(node) == expected
    case.say(case.alpha, "reopen", IncidentClosing(""))
    case.look(case.alpha, LATER)
    assert watched(case.alpha) == []


RULE = "indicator--5d0b1f42-3c55-4a3f-9c2c-0d1f2a3b4c5d"
FILED = "vulnerability--7e0b1f42-3c55-4a3f-9c2c-0d1f2a3b4c5d"


def rule_of(author: Node) -> bytes:
    return json.dumps(
        {
            "type": "indicator",
            "spec_version": "2.1",
            "id": RULE,
            "created": "2026-01-01T00:00:00Z",
            "modified": "2026-01-01T00:00:00Z",
            "created_by_ref": identity_id(id_of(author)),
            "pattern": "title: x\nlogsource: {product: a}\ndetection:\n  s: {a: b}\n  condition: s\n",
            "pattern_type": "sigma",
            "valid_from": "2026-01-01T00:00:00Z",
            "object_marking_refs": [TLP2_IDS[Tlp.GREEN]],
        }
    ).encode()


@pytest.mark.parametrize("what", [RULE, "CVE-2026-4711", FILED])
def test_a_rule_that_fires_and_a_vulnerability_that_is_seen_tell_like_a_value(
    nodes: list[Node], what: str
) -> None:
    case = Case(nodes)
    case.say(case.alpha, "reopen", IncidentClosing(""))
    own = id_of(case.alpha)
    typed = vulnerability_object("CVE-2026-4711", author=own, now=NOW, tlp=Tlp.GREEN)
    filed = typed.replace(json.loads(typed)["id"].encode(), FILED.encode()).replace(b"4711", b"4712")
    frame = compress_frame(b"[" + b",".join([rule_of(case.alpha), typed, filed]) + b"]")
    added = run(case.alpha, AddIndicators(case.id, (Part(Tlp.GREEN, (frame,), 3, 0),)))
    assert sorted(one.type for one in added.told) == ["cve", "cve", "sigma"]
    for envelope_id in added.envelopes:
        wire = case.alpha.store.log.wire(EnvelopeId.parse(envelope_id))
        assert wire is not None
        for taker in case.members[1:]:
            take_in(taker, [Arrival(wire, own)], NOW)
    case.meet()
    run(case.bravo, Sight(what), NOW - 60)  # before the close: nothing is said again
    case.say(case.alpha, "close", IncidentClosing(""))
    case.look(case.bravo, LATER)
    assert case.recurrences(case.alpha) == []
    run(case.bravo, Sight(what, count=0), LATER)  # looked for, and not seen
    case.look(case.bravo, LATER + 60)
    assert case.recurrences(case.alpha) == []
    run(case.bravo, Sight(what), LATER + 61)
    case.look(case.bravo, LATER + 120)
    [(by, kind, value, _)] = case.recurrences(case.alpha)
    expected = {
        RULE: ("sigma", RULE),
        "CVE-2026-4711": ("cve", "CVE-2026-4711"),
        FILED: ("cve", "CVE-2026-4712"),
    }
    assert (by, (kind, value)) == (id_of(case.bravo).text, expected[what])
    assert "incident-recurrence" in case.alarms(case.charlie)
