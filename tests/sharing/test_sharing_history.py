"""What a partner that came later is told of what was published before: ours sealed anew, others' handed on."""

from __future__ import annotations

import json
import random
from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from typing import Any

import pytest
from store_rows import rows
from whole_nodes import (
    NOW,
    READERS,
    World,
    befriend,
    draft,
    publish,
    quiet,
    raw_draft,
    seal_unchecked,
    seen_by_daemon,
    send,
    take_in,
    wire_of,
)

from p2pshare.envelope.card_format import Revocation
from p2pshare.envelope.keys import generate_operational_keys, reissue_card
from p2pshare.errors import NotFoundError, RefusedError
from p2pshare.identifiers import EnvelopeId
from p2pshare.intel.authoring import identity_object, indicator_object
from p2pshare.intel.instants import SECOND_US
from p2pshare.intel.marking import TLP2_IDS, Tlp
from p2pshare.intel.observable import detect
from p2pshare.intel.withdrawing import Reason
from p2pshare.node.node import Node
from p2pshare.operations import history
from p2pshare.operations.explaining import Explain
from p2pshare.operations.history import BeginForwarding, CountHistory, Forwarded, ForwardOn, HistoryCount
from p2pshare.operations.publishing import Discard, Seal, SealOn
from p2pshare.operations.searching import ShowEnvelope
from p2pshare.queries.explaining import preview
from p2pshare.sharing import forwarding, intake, staging
from p2pshare.sharing.exchange import Exchange
from p2pshare.sharing.intake import Arrival
from p2pshare.sharing.partners import apply_card_update, freeze_partner, remove_partner
from p2pshare.sharing.reading import read_all
from p2pshare.sharing.screening import Confirmed
from p2pshare.sharing.withdrawing import WithdrawalRequest, withdraw

DAY = 86_400
LATER = NOW + 100


@dataclass
class Late:
    """alpha, and bravo, who knows alpha since long; charlie comes later: it knows both, and bravo alone knows it."""

    world: World
    alpha: Node
    bravo: Node
    charlie: Node

    def publish(self, *values: str, **more: Any) -> EnvelopeId:
        [one] = send(self.bravo, list(values), to=more.pop("to", []), **more).envelopes
        return one

    def theirs(self, *values: str, **more: Any) -> EnvelopeId:
        """alpha publishes, and bravo reads it."""
        [one] = send(self.alpha, list(values), to=more.pop("to", []), **more).envelopes
        self.hand(self.alpha, self.bravo, [one], more.get("now", NOW))
        return one

    def hand(self, author: Node, reader: Node, ids: Sequence[EnvelopeId | str], now: int = LATER) -> None:
        wires = [wire_of(author, EnvelopeId.parse(one) if isinstance(one, str) else one) for one in ids]
        take_in(reader, [Arrival(wire, author.card.partner_id) for wire in wires], now)

    def takes_back(self, value: str, now: int = NOW + 50) -> None:
        """alpha withdraws it, and bravo reads that."""
        request = WithdrawalRequest(value, Reason.MISTAKE)
        report = withdraw(self.alpha, request, is_dry_run=False, now=now, progress=quiet)
        self.hand(self.alpha, self.bravo, report.envelopes, now)

    def comes(self) -> None:
        befriend(self.bravo, self.charlie)

    def share(self, now: int = LATER, since: int = 0) -> tuple[HistoryCount, list[str]]:
        """All of it, as the command does; charlie reads what leaves."""
        counted = count(self.bravo, now=now, since=since)
        envelopes: list[str] = []
        if counted.token:
            sealed = Seal(counted.token).run(self.bravo, now, quiet)
            envelopes = (
                sealed.envelopes if sealed.is_finished else finish(self.bravo, sealed.publication, now)
            )
        if counted.forwarded:
            envelopes += forward(self.bravo, now, since).envelopes
        self.hand(self.bravo, self.charlie, envelopes, now)
        return counted, envelopes

    def rounds(self, now: int) -> list[str]:
        """What the daemon does once something was read; charlie reads what leaves. Returns why envelopes were left out."""
        refused: list[str] = []
        while (partner := forwarding.next_forwarding(self.bravo.store)) is not None:
            before = self.bravo.store.log.last_lsn()
            refused += forwarding.step(self.bravo, partner, now).refused.elements()
            sent = self.bravo.store.knowledge.forwarded_to(partner, before)
            self.hand(self.bravo, self.charlie, [one for one, _ in sent], now)
        return refused


def count(node: Node, *, now: int = LATER, since: int = 0, dry_run: bool = False) -> HistoryCount:
    answer = CountHistory("charlie", since, dry_run).run(node, now, quiet)
    while not answer.is_finished:
        answer = CountHistory("charlie", token=answer.token).run(node, now, quiet)
    return answer


def finish(node: Node, publication: str, now: int) -> list[str]:
    while not (done := SealOn(publication).run(node, now, quiet)).step.is_finished:
        pass
    return done.envelopes


def forward(node: Node, now: int = LATER, since: int = 0) -> Forwarded:
    done = BeginForwarding("charlie", since).run(node, now, quiet)
    while not done.is_finished:
        done = ForwardOn("charlie").run(node, now, quiet)
    return done


def left(counted: HistoryCount) -> dict[str, int]:
    return {one.reason: one.count for one in counted.refused}


def values(node: Node) -> set[str]:
    """What counts there: claims that nobody took back."""
    return {
        value
        for (value,) in rows(
            node.store.database.path,
            """SELECT DISTINCT o.value FROM claim c JOIN observable o ON o.id = c.observable
            WHERE c.status = 0 AND c.is_fallen = 0""",
        )
    }


def modified(node: Node, value: str) -> int:
    """When the version that counts was made, in unix seconds."""
    [(instant,)] = rows(
        node.store.database.path,
        """SELECT c.modified_us FROM claim c JOIN observable o ON o.id = c.observable
        WHERE o.value = ? AND c.status = 0""",
        value,
    )
    return int(instant) // SECOND_US


@pytest.fixture
def late(world: World) -> Late:
    alpha, bravo, charlie = (world.found(name) for name in ("alpha", "bravo", "charlie"))
    for one, other in ((alpha, bravo), (bravo, alpha), (charlie, alpha), (charlie, bravo)):
        befriend(one, other)
    return Late(world, alpha, bravo, charlie)


# --- ours ------------------------------------------------------------------------------------------


def test_what_was_for_all_is_told_and_no_audience_is_widened(late: Late) -> None:
    late.publish("all.example")
    late.publish("clear.example", tlp=Tlp.CLEAR)
    late.publish("named.example", to=["alpha"])
    late.publish("amber.example", tlp=Tlp.AMBER, to=["alpha"])
    late.publish("red.example", tlp=Tlp.RED, to=["alpha"])
    late.comes()
    dry = count(late.bravo, dry_run=True)
    assert (dry.own, dry.own_envelopes, dry.token) == (2, 2, "")
    assert left(dry) == {"audience-limited": 3}
    counted, envelopes = late.share()
    assert (counted.own, left(counted), len(envelopes)) == (2, {"audience-limited": 3}, 2)
    assert values(late.charlie) == {"all.example", "clear.example"}
    # once sent, it is not sent again
    assert left(count(late.bravo)) == {"audience-limited": 3, "already-sent": 2}


@pytest.mark.parametrize(("tlp", "is_told"), [(Tlp.GREEN, True), (Tlp.AMBER, True), (Tlp.AMBER_STRICT, True)])
def test_what_was_for_a_group_is_told_whoever_is_in_it_now(late: Late, tlp: Tlp, is_told: bool) -> None:
    late.bravo = replace(late.bravo, config=replace(late.bravo.config, groups={"circle": ("alpha",)}))
    late.publish("group.example", tlp=tlp, to=["circle"])
    late.comes()
    assert left(count(late.bravo)) == {"audience-limited": 1}
    late.bravo = replace(
        late.bravo, config=replace(late.bravo.config, groups={"circle": ("alpha", "charlie")})
    )
    late.share()
    assert ("group.example" in values(late.charlie)) is is_told


def test_what_may_not_be_relayed_needs_a_link_as_at_publishing(late: Late) -> None:
    late.bravo = replace(
        late.bravo, config=replace(late.bravo.config, groups={"circle": ("alpha", "charlie")})
    )
    befriend(late.bravo, late.charlie, has_link=False)
    remove_partner(late.bravo, "charlie")
    late.bravo = replace(late.bravo, config=replace(late.bravo.config, groups={"circle": ("alpha",)}))
    late.publish("strict.example", tlp=Tlp.AMBER_STRICT, to=["circle"])
    late.bravo = replace(
        late.bravo, config=replace(late.bravo.config, groups={"circle": ("alpha", "charlie")})
    )
    befriend(late.bravo, late.charlie, has_link=False)
    assert left(count(late.bravo)) == {"no-direct-link": 1}


def test_an_audience_that_nobody_noted_is_not_guessed(late: Late) -> None:
    late.publish("before-it-was-noted.example")
    with late.bravo.store.transaction() as writer:
        writer.execute("DELETE FROM publication_audience")
    late.comes()
    assert left(count(late.bravo)) == {"audience-unknown": 1}


def test_the_version_in_effect_goes_and_what_was_taken_back_does_not(late: Late) -> None:
    late.publish("again.example")
    late.publish("again.example", now=NOW + 10)
    late.publish("gone.example")
    withdraw(
        late.bravo,
        WithdrawalRequest("gone.example", Reason.MISTAKE),
        is_dry_run=False,
        now=NOW + 20,
        progress=quiet,
    )
    late.comes()
    counted, _ = late.share()
    assert (counted.own, left(counted)) == (1, {"withdrawn": 1})
    assert values(late.charlie) == {"again.example"}
    assert modified(late.charlie, "again.example") == NOW + 10


def test_who_was_sent_it_and_was_away_when_it_was_withdrawn_is_told(late: Late) -> None:
    """A partner that was removed and comes back: the withdrawal could not be sealed for it."""
    late.comes()
    sent = late.publish("old.example")
    late.hand(late.bravo, late.charlie, [sent])
    remove_partner(late.bravo, "charlie")
    withdraw(
        late.bravo,
        WithdrawalRequest("old.example", Reason.LEGAL),
        is_dry_run=False,
        now=NOW + 20,
        progress=quiet,
    )
    late.comes()
    assert values(late.charlie) == {"old.example"}
    counted, _ = late.share()
    assert (counted.own, left(counted)) == (1, {})
    assert values(late.charlie) == set()
    assert left(count(late.bravo)) == {"withdrawn": 1}


def test_a_later_withdrawal_and_version_reach_who_was_told_by_history(late: Late) -> None:
    late.publish("a.example", "b.example")
    late.comes()
    late.share()
    report = withdraw(
        late.bravo,
        WithdrawalRequest("a.example", Reason.MISTAKE),
        is_dry_run=False,
        now=NOW + 200,
        progress=quiet,
    )
    assert report.recipients == {"alpha", "charlie"}
    late.hand(late.bravo, late.charlie, report.envelopes, NOW + 200)
    assert values(late.charlie) == {"b.example"}


def test_many_small_publications_are_few_envelopes(late: Late) -> None:
    for number in range(30):
        late.publish(f"small{number}.example")
    late.comes()
    counted, envelopes = late.share()
    assert (counted.own, len(envelopes)) == (30, 1)
    assert len(values(late.charlie)) == 30


def test_a_large_history_leaves_in_steps_and_after_a_crash_it_goes_on(
    late: Late, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(staging, "ONE_CALL_OBJECTS", 10)
    monkeypatch.setattr(staging, "MOVED_AT_ONCE", 1)
    monkeypatch.setattr(history, "ENVELOPES_AT_ONCE", 2)
    for number in range(5):
        late.publish(*(f"l{number}-{k}.example" for k in range(5)))
    late.publish("amber.example", tlp=Tlp.AMBER, to=["alpha"])
    late.comes()
    counted = count(late.bravo)
    sealed = Seal(counted.token).run(late.bravo, LATER, quiet)
    assert not sealed.is_finished
    SealOn(sealed.publication).run(late.bravo, LATER, quiet)
    late.bravo = late.world.reopen("bravo")
    late.hand(late.bravo, late.charlie, finish(late.bravo, sealed.publication, LATER))
    assert len(values(late.charlie)) == 25


def test_since_takes_what_was_created_since(late: Late) -> None:
    late.publish("old.example")
    late.publish("young.example", now=NOW + 50)
    late.theirs("their-old.example")
    late.theirs("their-young.example", now=NOW + 50)
    late.comes()
    late.share(since=NOW + 50)
    assert values(late.charlie) == {"young.example", "their-young.example"}


def test_a_marking_that_only_this_envelope_defines_goes_along(late: Late) -> None:
    definition = {
        "type": "marking-definition",
        "spec_version": "2.1",
        "id": "marking-definition--5c9a2dcd-8f5c-4a4e-9a11-0c9f2b9a1234",
        "created": "2026-01-01T00:00:00Z",
        "definition_type": "statement",
        "definition": {"statement": "Copyright"},
    }
    objects: list[object] = [definition]
    for value in ("defined.example", "beside.example"):
        raw = indicator_object(detect(value), author=late.bravo.card.partner_id, created=NOW, tlp=Tlp.GREEN)
        marked = json.loads(raw)
        marked["object_marking_refs"] = [TLP2_IDS[Tlp.GREEN], definition["id"]]
        objects.append(marked)
    publish(
        late.bravo, [raw_draft(objects)], names=[], ttl_class=4, is_dry_run=False, now=NOW, progress=quiet
    )
    late.publish("other.example")
    late.comes()
    counted, _ = late.share()
    assert values(late.charlie) == {"defined.example", "beside.example", "other.example"}
    assert left(counted) == {}


def test_what_a_person_confirmed_as_private_is_not_widened_without_being_asked(late: Late) -> None:
    published = publish(
        late.bravo,
        [draft(late.bravo, ["10.1.2.3", "plain.example"])],
        names=[],
        ttl_class=4,
        is_dry_run=False,
        now=NOW,
        progress=quiet,
        confirmed=Confirmed(private=True, listed=True),
    )
    assert published.published == 2
    late.comes()
    counted, _ = late.share()
    assert (counted.own, left(counted)) == (1, {"private-address": 1})


def test_what_was_counted_and_not_confirmed_leaves_nothing_behind(late: Late) -> None:
    late.publish("asked.example")
    late.comes()
    counted = count(late.bravo)
    Discard(counted.token).run(late.bravo, LATER, quiet)
    begun = CountHistory("charlie").run(late.bravo, LATER, quiet)
    Discard(begun.token).run(late.bravo, LATER, quiet)
    assert late.bravo.preparing == {}
    assert not list((late.bravo.home / "spool").iterdir())
    with pytest.raises(NotFoundError):
        CountHistory("charlie", token=begun.token).run(late.bravo, LATER, quiet)


def test_nobody_and_a_frozen_partner_are_given_nothing(late: Late) -> None:
    with pytest.raises(NotFoundError):
        CountHistory("charlie").run(late.bravo, LATER, quiet)
    late.comes()
    with pytest.raises(RefusedError) as refused:
        CountHistory("charlie").run(late.bravo, NOW + 500 * DAY, quiet)
    assert refused.value.reason == "card-expired"


# --- others' ---------------------------------------------------------------------------------------


def test_others_are_handed_on_as_marking_audience_and_mode_allow(late: Late) -> None:
    late.theirs("green.example")
    late.theirs("clear.example", tlp=Tlp.CLEAR)
    late.theirs("amber.example", tlp=Tlp.AMBER, to=["bravo"])
    late.theirs("red.example", tlp=Tlp.RED, to=["bravo"])
    late.theirs("named.example", to=["bravo"])
    late.comes()
    counted, envelopes = late.share()
    assert (counted.forwarded, len(envelopes)) == (2, 1)
    assert left(counted) == {"marking": 1, "direct": 1, "audience-limited": 1}
    assert values(late.charlie) == {"green.example", "clear.example"}
    [claim] = late.charlie.store.knowledge.lookup([detect("green.example")])[detect("green.example")]
    assert claim.author == late.alpha.card.partner_id


def test_one_object_above_green_keeps_its_envelope_here(late: Late) -> None:
    """Its header may say what it likes: each object is asked."""
    late.theirs("fine.example")
    objects = [
        json.loads(indicator_object(detect(value), author=late.alpha.card.partner_id, created=NOW, tlp=tlp))
        for value, tlp in (("loose.example", Tlp.GREEN), ("strict.example", Tlp.AMBER))
    ]
    wire = seal_unchecked(late.alpha, raw_draft(objects), late.bravo, ahead=5)
    take_in(late.bravo, [Arrival(wire, late.alpha.card.partner_id)], NOW)
    late.comes()
    counted, _ = late.share()
    assert (counted.forwarded, left(counted)) == (1, {"marking": 1})


def test_what_has_expired_is_not_handed_on(late: Late) -> None:
    late.theirs("short.example", ttl_class=1)
    late.theirs("long.example")
    late.comes()
    counted = count(late.bravo, now=NOW + DAY)
    assert (counted.forwarded, left(counted)) == (1, {"expired": 1})


def test_what_is_said_later_of_it_follows_and_nothing_else(late: Late) -> None:
    """A newer version and a withdrawal of what was handed on; not what is said of other things."""
    late.theirs("told.example", "taken.example")
    late.theirs("unshared.example", tlp=Tlp.AMBER, to=["bravo"])
    late.comes()
    late.share()
    late.theirs("new.example", now=NOW + 200)
    late.theirs("told.example", now=NOW + 300)
    report = withdraw(
        late.alpha,
        WithdrawalRequest("taken.example", Reason.FALSE_POSITIVE),
        is_dry_run=False,
        now=NOW + 400,
        progress=quiet,
    )
    late.hand(late.alpha, late.bravo, report.envelopes, NOW + 400)
    assert late.rounds(NOW + 500) == []
    assert values(late.charlie) == {"told.example"}
    assert modified(late.charlie, "told.example") == NOW + 300
    assert forwarding.next_forwarding(late.bravo.store) is None
    # a version above GREEN stays, and that is said
    late.theirs("told.example", tlp=Tlp.AMBER, to=["bravo"], now=NOW + 600)
    assert late.rounds(NOW + 700) == ["marking"]


def test_what_was_withdrawn_from_named_readers_is_theirs_alone(late: Late) -> None:
    """A withdrawal names its object: who was not told of that is not told that it was taken back."""
    late.theirs("named.example", to=["bravo"])
    late.takes_back("named.example")
    late.theirs("both.example", to=["bravo"])
    late.theirs("both.example", now=NOW + 1)
    late.takes_back("both.example")
    late.comes()
    counted, _ = late.share()
    assert (counted.forwarded, left(counted)) == (2, {"audience-limited": 3})
    assert rows(late.charlie.store.database.path, "SELECT count(*) FROM withdrawal_said") == [(1,)]


def test_what_was_taken_back_is_not_handed_on_without_the_word_that_takes_it_back(late: Late) -> None:
    """Its withdrawal is marked as strictly as its strictest version was, and stays here."""
    late.theirs("stale.example")
    late.theirs("stale.example", tlp=Tlp.AMBER, to=["bravo"], now=NOW + 1)
    late.takes_back("stale.example")
    late.theirs("told.example")
    late.takes_back("told.example")
    late.comes()
    counted, _ = late.share()
    assert (counted.forwarded, left(counted)) == (2, {"marking": 2, "withdrawn": 1})
    assert values(late.charlie) == set()


def test_what_was_shared_in_a_circle_that_a_link_does_not_carry_stays_in_it(late: Late) -> None:
    late.theirs("main.example")
    draft_ = draft(late.alpha, ["apart.example"])
    wire = seal_unchecked(late.alpha, draft_, late.bravo, circle="apart", ahead=5)
    with late.bravo.store.transaction() as writer:
        writer.execute("UPDATE partner SET circles = circles || char(10) || 'apart'")
    take_in(late.bravo, [Arrival(wire, late.alpha.card.partner_id)], NOW)
    late.comes()
    counted, _ = late.share()
    assert (counted.forwarded, left(counted)) == (1, {"circle-not-on-link": 1})
    assert values(late.charlie) == {"main.example"}


def test_an_author_whom_nobody_introduces_any_more_is_not_handed_on(late: Late) -> None:
    late.theirs("suspended.example")
    late.comes()
    with late.bravo.store.transaction() as writer:
        writer.execute("UPDATE partner SET is_compared = 0, suspended = 'ended' WHERE alias = 'alpha'")
    counted, _ = late.share()
    assert (counted.forwarded, left(counted)) == (0, {"author-suspended": 1})


def test_an_author_who_says_who_it_is_in_each_envelope_is_not_followed_in_all_of_them(late: Late) -> None:
    """`publish` adds our identity to each part: handed on once, everything that its author said later was about it."""
    author = late.alpha.card.partner_id
    for number, value in enumerate(("told.example", "new.example")):
        if number:
            late.comes()
            late.share()
        now = NOW + 200 * number
        who = json.loads(identity_object(author, "alpha", created=NOW, tlp=Tlp.GREEN))
        said = json.loads(indicator_object(detect(value), author=author, created=now, tlp=Tlp.GREEN))
        definition = {
            "type": "marking-definition",
            "spec_version": "2.1",
            "id": "marking-definition--0f5cd5c5-9a4c-4e0c-8c8d-3a3c1e0f8a11",
            "created": "2026-01-01T00:00:00.000Z",
            "definition_type": "statement",
            "definition": {"statement": "ours"},
        }
        wire = seal_unchecked(
            late.alpha,
            raw_draft([who, definition, said]),
            late.bravo,
            now,
            ahead=5 + number,
            recipient_sequence=1 + number,
        )
        take_in(late.bravo, [Arrival(wire, author)], now)
    late.rounds(NOW + 300)
    assert values(late.bravo) == {"told.example", "new.example"}
    assert values(late.charlie) == {"told.example"}


def test_who_cannot_be_sealed_for_costs_nothing_while_that_lasts(
    late: Late, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The daemon asks each minute: everything that waits for it was opened and read anew each time."""
    late.theirs("told.example")
    late.comes()
    late.share()
    late.theirs("told.example", now=NOW + 300)
    partner = late.charlie.card.partner_id
    freeze_partner(late.bravo.store, partner, evidence=(b"a", b"b"), now=NOW)
    monkeypatch.setattr(forwarding, "judge", None)
    with pytest.raises(RefusedError) as caught:
        forwarding.step(late.bravo, partner, NOW + 400)
    assert caught.value.reason == "partner-frozen"
    assert forwarding.next_forwarding(late.bravo.store) == partner, "it waits"


def test_a_removed_partner_is_handed_nothing_more(late: Late) -> None:
    late.theirs("told.example")
    late.comes()
    late.share()
    remove_partner(late.bravo, "charlie")
    late.theirs("told.example", now=NOW + 300)
    assert late.bravo.store.knowledge.forwardings() == []
    assert forwarding.next_forwarding(late.bravo.store) is None
    for table in ("forwarding_due", "forwarded_object"):
        assert rows(late.bravo.store.database.path, f"SELECT count(*) FROM {table}") == [(0,)]


def test_what_was_handed_on_to_us_is_not_handed_on_again(late: Late) -> None:
    late.theirs("hop.example")
    late.comes()
    late.share()
    dora = late.world.found("dora")
    befriend(late.charlie, dora)
    answer = CountHistory("dora").run(late.charlie, LATER, quiet)
    while not answer.is_finished:
        answer = CountHistory("dora", token=answer.token).run(late.charlie, LATER, quiet)
    assert (answer.forwarded, answer.refused) == (0, [])


def test_handing_on_leaves_in_steps_and_goes_on_after_a_restart(
    late: Late, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(forwarding, "LOOKED_BYTES_AT_ONCE", 1)
    for number in range(4):
        late.theirs(f"step{number}.example", now=NOW + number)
    late.comes()
    BeginForwarding("charlie").run(late.bravo, LATER, quiet)
    ForwardOn("charlie").run(late.bravo, LATER, quiet)
    late.bravo = late.world.reopen("bravo")
    late.rounds(LATER)
    done = ForwardOn("charlie").run(late.bravo, LATER, quiet)
    assert (done.is_finished, done.forwarded, len(done.envelopes)) == (True, 4, 4)
    late.hand(late.bravo, late.charlie, done.envelopes)
    assert len(values(late.charlie)) == 4


def test_what_is_kept_of_one_partner_is_bounded(late: Late, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(forwarding, "OBJECTS_MAX", 3)
    late.theirs("one.example", "two.example")
    late.theirs("three.example", "four.example")
    late.comes()
    late.share()
    assert values(late.charlie) == {"one.example", "two.example"}
    [at] = late.bravo.store.knowledge.forwardings()
    assert at.objects == 2
    monkeypatch.setattr(
        forwarding, "OBJECTS_MAX", 2
    )  # full: what takes back what was handed on follows all the same
    late.takes_back("one.example", NOW + 200)
    assert late.rounds(NOW + 300) == []
    assert values(late.charlie) == {"two.example"}


def test_the_preview_says_what_could_be_read(late: Late) -> None:
    late.publish("all.example")
    late.theirs("theirs.example")
    late.comes()
    before = preview(late.bravo, "charlie", with_list=False)
    assert (before.can_read, before.handed_on) == ({"no": 1, "unknown": 1}, 0)
    late.share()
    after = preview(late.bravo, "charlie", with_list=False)
    assert (after.can_read, after.handed_on) == ({"no": 1, "unknown": 1, "yes": 2}, 1)


def test_what_waited_to_be_read_when_it_began_is_history_all_the_same(late: Late) -> None:
    [one] = send(late.alpha, ["unread.example"], to=[]).envelopes
    [young] = send(late.alpha, ["young.example"], to=[]).envelopes
    intake.take_in(late.bravo, [Arrival(wire_of(late.alpha, one), late.alpha.card.partner_id)], NOW)
    late.theirs("read.example", now=NOW + 1)
    with late.bravo.store.transaction() as writer:
        writer.execute("UPDATE envelope SET content = 0 WHERE envelope_id = ?", (bytes(one),))
        writer.execute(
            "DELETE FROM publication_part WHERE envelope = (SELECT lsn FROM envelope WHERE envelope_id = ?)",
            (bytes(one),),
        )
    late.comes()
    late.share()
    assert values(late.charlie) == {"read.example"}
    read_all(late.bravo, READERS, LATER)
    late.hand(late.alpha, late.bravo, [young])
    late.rounds(LATER)
    assert values(late.charlie) == {"read.example", "unread.example"}


def test_what_was_handed_on_goes_out_of_effect_with_its_authors_key(late: Late) -> None:
    late.theirs("stolen.example")
    late.comes()
    late.share()
    key_id = late.alpha.identity.operational.sign.key_id
    fresh = generate_operational_keys(late.alpha.card.partner_id, LATER)
    renewed = reissue_card(
        late.alpha.identity, LATER, operational=fresh, revoked=[Revocation(key_id, NOW - 1, 1)]
    )
    apply_card_update(late.charlie, late.alpha.card.partner_id, renewed.card.raw, LATER)
    exchange = Exchange(late.charlie)
    exchange.begin()
    while exchange.sweep(LATER + 1).is_more_due:
        pass
    assert values(late.charlie) == set()


def test_what_was_handed_on_is_shown_as_what_it_is(late: Late) -> None:
    one = late.theirs("shown.example")
    late.comes()
    late.share()
    shown = ShowEnvelope(one.text).run(seen_by_daemon(late.charlie), LATER, quiet)
    assert shown.author == "alpha"
    assert Explain("shown.example", "alpha").run(seen_by_daemon(late.charlie), LATER, quiet)


# --- drawn stories ---------------------------------------------------------------------------------


@dataclass
class Told:
    """What a naive model says that charlie was told of one object: the words that reached it, the last of them last."""

    versions: list[tuple[bool, Tlp]]
    """Of every version so far, by its author: whether it was for all, and how it was marked."""
    ends: list[Tlp | None] = field(default_factory=list)
    """Of each, how the word is marked that took it back first; None while none did."""
    is_withdrawn: bool = False
    reached: list[str] = field(default_factory=list)
    was_sent: bool = False


@pytest.mark.parametrize("seed", range(4))
def test_a_late_partner_knows_what_a_naive_model_says(late: Late, seed: int) -> None:
    """Two authors publish, narrow, widen and withdraw at random; charlie comes somewhere in between, and mails wait and arrive in
    any order. What was for others never reaches it, and what became of the rest always does."""
    draw = random.Random(seed)
    authors = {"alpha": late.alpha, "bravo": late.bravo}
    told: dict[tuple[str, str], Told] = {}
    waiting: list[str] = []
    comes_at = draw.randrange(5, 15)

    def carry(ids: Sequence[EnvelopeId | str]) -> None:
        waiting.extend(one if isinstance(one, str) else one.text for one in ids)

    def deliver() -> None:
        draw.shuffle(waiting)
        some = [waiting.pop() for _ in range(draw.randrange(len(waiting) + 1))]
        late.hand(late.bravo, late.charlie, some, now)

    for turn in range(25):
        now = NOW + 10 * turn
        if turn == comes_at:
            late.comes()
            counted = count(late.bravo, now=now)
            if counted.token:
                carry(Seal(counted.token).run(late.bravo, now + 5, quiet).envelopes)
            if counted.forwarded:
                carry(forward(late.bravo, now).envelopes)
            for (name, _), one in told.items():
                is_for_all, tlp = one.versions[-1]
                if name == "bravo" and not one.is_withdrawn and is_for_all:
                    one.reached.append("said")
                elif name == "alpha":
                    one.reached += [
                        "said" if end is None else "withdrawn"
                        for (is_open, _), end in zip(one.versions, one.ends, strict=True)
                        if is_open and (end is None or end <= Tlp.GREEN)
                    ]
                one.was_sent = bool(one.reached)
            continue
        name, value = draw.choice(("alpha", "bravo")), f"v{draw.randrange(4)}.example"
        node, key = authors[name], (name, f"v{draw.randrange(4)}.example")
        value = f"{name}-{key[1]}"
        one = told.setdefault(key, Told([]))
        has_come = turn > comes_at
        before = late.bravo.store.log.last_lsn()
        if one.versions and not one.is_withdrawn and draw.random() < 0.3:
            report = withdraw(
                node, WithdrawalRequest(value, Reason.MISTAKE), is_dry_run=False, now=now, progress=quiet
            )
            one.is_withdrawn = True
            strictest = max(tlp for _, tlp in one.versions)
            one.ends = [strictest if end is None else end for end in one.ends]
            if name == "alpha":
                late.hand(node, late.bravo, report.envelopes, now)
                if has_come and one.was_sent and max(tlp for _, tlp in one.versions) <= Tlp.GREEN:
                    one.reached.append("withdrawn")
            else:
                carry(
                    [
                        one_id
                        for one_id in report.envelopes
                        if late.charlie.card.partner_id in node.store.log.audience(one_id)
                    ]
                )
                if one.was_sent:
                    one.reached.append("withdrawn")
        else:
            tlp = draw.choice((Tlp.CLEAR, Tlp.GREEN, Tlp.AMBER))
            is_for_all = tlp is not Tlp.AMBER and draw.random() < 0.6
            other = "bravo" if name == "alpha" else "alpha"
            ids = send(node, [value], to=[] if is_for_all else [other], tlp=tlp, now=now).envelopes
            one.versions.append((is_for_all, tlp))
            one.ends.append(None)
            one.is_withdrawn = False
            if name == "alpha":
                late.hand(node, late.bravo, ids, now)
                if has_come and one.was_sent and is_for_all:
                    one.reached.append("said")
            elif has_come and is_for_all:
                carry(ids)
                one.reached.append("said")
                one.was_sent = True
        if has_come:
            while (partner := forwarding.next_forwarding(late.bravo.store)) is not None:
                forwarding.step(late.bravo, partner, now)
            carry(
                [
                    sent
                    for sent, _ in late.bravo.store.knowledge.forwarded_to(
                        late.charlie.card.partner_id, before
                    )
                ]
            )
            deliver()
    late.hand(late.bravo, late.charlie, waiting, now)
    expected = {f"{name}-{value}" for (name, value), one in told.items() if one.reached[-1:] == ["said"]}
    assert values(late.charlie) == expected, seed
    assert late.charlie.store.partners.refusals() == {}
    assert late.charlie.store.log.gap_totals() == []
