"""What is passed on falls with its origin, and only by its own author's word; who repeats others is no second source."""

from __future__ import annotations

import itertools
import json

import pytest
from passing_on import Partner
from store_rows import named_rows, rows
from stored_envelopes import store_envelopes

from p2pshare.cli.lookup import _words_of
from p2pshare.intel.assessing import Target, false_positive_object
from p2pshare.intel.derivation import Derivation, ObjectOrigin, restating, with_derivation
from p2pshare.intel.marking import Pap, Tlp
from p2pshare.intel.observable import Observable
from p2pshare.knowledge import derivations, walks
from p2pshare.knowledge.out_of_effect import ContentPlace
from p2pshare.partners.interface import PartnerRow
from p2pshare.partners.roster import Roster
from p2pshare.queries.lookup import look_up
from p2pshare.queries.searching import show_object
from p2pshare.sharing.partners import put_partner
from p2pshare.sharing.recalling import recall_status

VALUE = "198.51.100.1"
ONE = Observable("ipv4", VALUE)


class World:
    """One store and the partners whose envelopes reach it."""

    def __init__(self, store, make):
        clock = [0]
        self.store, self.make = store, make
        self.alpha, self.bravo, self.charlie = (
            Partner(make, author, clock) for author in (make.alpha, make.bravo, make.charlie)
        )

    def take(self, *envelopes):
        for one in envelopes:
            store_envelopes(self.store, [one])
        self.walk()

    def walk(self):
        now = self.make.now
        while self.store.knowledge.go_on(now):
            now += 1

    def indicator(self):
        (row,) = named_rows(self.store.database.path, "SELECT * FROM v1_indicators WHERE value = ?", VALUE)
        exported = self.store.knowledge.effective_states([ONE], self.make.now * 1_000_000, tlp_max=Tlp.GREEN)[
            ONE
        ]
        assert (row["active"], row["reason"], row["sources"], row["authors"]) == (
            exported.is_active, exported.reason, exported.sources, exported.authors,
        )  # fmt: skip
        return row

    def counts(self):
        """(active, sources) of the value."""
        row = self.indicator()
        return bool(row["active"]), row["sources"]

    def claims(self):
        found = named_rows(
            self.store.database.path,
            "SELECT * FROM v1_claims WHERE value = ? ORDER BY author, object_id",
            VALUE,
        )
        for row in found:
            (claim,) = [
                one
                for one in self.store.knowledge.lookup([ONE])[ONE]
                if (one.author.text, one.object_id) == (row["author"], row["object_id"])
            ]
            assert (claim.is_fallen, claim.is_revoked) == (
                row["reason"] == "origin-withdrawn",
                bool(row["revoked"]),
            )
        return found

    def reasons(self):
        return [row["reason"] for row in self.claims()]


@pytest.fixture
def world(store, make):
    return World(store, make)


def original(world):
    """Alpha's object, and its envelope."""
    envelope = world.alpha.publish(VALUE, "x")
    (stix,) = world.alpha.latest.values()
    return stix, world.alpha.origin(stix), envelope


# --- whose word takes what away ---


@pytest.mark.parametrize("order", list(itertools.permutations(range(3))), ids=str)
@pytest.mark.parametrize("batched", [False, True], ids=["apart", "one-batch"])
def test_what_is_passed_on_falls_with_its_origin_whatever_arrives_first(world, order, batched):
    stix, origin, published = original(world)
    envelopes = [published, world.bravo.restate(origin, stix), world.alpha.withdraw(stix["id"])]
    arrivals = [envelopes[n] for n in order]
    if batched:
        store_envelopes(world.store, arrivals)
    else:
        world.take(*arrivals)
    assert world.counts() == (False, 1)
    assert world.reasons() == ["withdrawn", "origin-withdrawn"]
    assert world.indicator()["reason"] == "withdrawn"


def test_a_hostile_first_publisher_of_anothers_id_silences_nobody(world):
    """Eve takes Alpha's id, dates it back, is passed on by nobody, and withdraws."""
    stix, origin, published = original(world)
    eve = world.charlie
    early = stix | {"created": "2020-01-01T00:00:00Z", "modified": "2020-01-01T00:00:00Z"}
    mine = world.bravo.restate(origin, stix)
    world.take(eve.seal(early, created=world.make.now - 86_400), published, mine)
    assert world.counts() == (True, 1)
    world.take(eve.withdraw(stix["id"]))
    assert world.counts() == (True, 1)
    assert {(row["author"], row["reason"]) for row in world.claims()} == {
        (world.make.alpha.text, None), (world.make.bravo.text, None), (eve.author.text, "withdrawn"),
    }  # fmt: skip


def test_an_echo_that_says_nothing_is_shown_counts_no_source_and_falls_with_nobody(world):
    stix, _, published = original(world)
    world.take(published, world.bravo.repeat(stix))
    assert world.counts() == (True, 1)
    assert [(row["possible_echo"], row["source"]) for row in world.claims()] == [
        (1, world.make.alpha.text)
    ] * 2
    world.take(world.alpha.withdraw(stix["id"]))
    assert world.counts() == (True, 1)
    assert world.reasons() == ["withdrawn", None]
    echoes = world.store.knowledge.echoes(world.make.alpha, stix["id"])
    assert [(one.author, one.is_restated, one.is_fallen) for one in echoes] == [
        (world.make.bravo, False, False)
    ]


def test_what_is_said_independently_stays_with_its_author(world):
    stix, _, published = original(world)
    world.take(published, world.bravo.publish(VALUE, "own"))
    assert world.counts() == (True, 2)
    assert [row["source"] for row in world.claims()] == [world.make.alpha.text, world.make.bravo.text]
    world.take(world.alpha.withdraw(stix["id"]))
    assert world.counts() == (True, 1)


def test_a_restated_claim_is_told_with_whose_it_is(world):
    stix, origin, published = original(world)
    world.take(published, world.bravo.restate(origin, stix))
    assert world.counts() == (True, 1)
    own, restated = world.claims()
    assert (own["derived_from"], own["possible_echo"]) == (None, 0)
    assert json.loads(restated["derived_from"]) == [{"author": world.make.alpha.text, "object": stix["id"]}]
    assert (restated["source"], restated["possible_echo"]) == (world.make.alpha.text, 0)
    (claim,) = [one for one in world.store.knowledge.lookup([ONE])[ONE] if one.author == world.make.bravo]
    assert claim.derivation == Derivation((origin,))
    echoes = world.store.knowledge.echoes(world.make.alpha, stix["id"])
    assert [(one.object_id, one.is_restated, one.is_fallen) for one in echoes] == [
        (restated["object_id"], True, False)
    ]


# --- affirmed, and back again ---


@pytest.mark.parametrize("order", list(itertools.permutations(range(4))), ids=str)
def test_saying_it_again_after_the_withdrawal_affirms_it(world, order):
    stix, origin, published = original(world)
    first = world.bravo.restate(origin, stix)
    withdrawn = world.alpha.withdraw(stix["id"])
    envelopes = [published, first, withdrawn, world.bravo.restate(origin, stix)]
    world.take(*(envelopes[n] for n in order))
    assert world.counts() == (True, 1)
    assert world.reasons() == ["withdrawn", None]


@pytest.mark.parametrize("order", [(0, 1, 2), (2, 1, 0), (1, 2, 0)], ids=str)
@pytest.mark.parametrize("is_indicator", [True, False])
def test_nobody_affirms_in_advance(world, order, is_indicator):
    """Bravo dates what he passes on into a far future, to keep it whatever its author takes back."""
    stix, origin, published = original(world)
    made = world.bravo.restated(origin, stix) | {"modified": "2090-01-01T00:00:00Z"}
    if not is_indicator:
        made |= {"type": "malware", "id": f"malware--{made['id'][11:]}", "is_family": True, "name": "x"}
    passed_on = world.bravo.seal(made, created=world.make.now - 100_000)
    envelopes = [published, passed_on, world.alpha.withdraw(stix["id"])]
    world.take(*(envelopes[number] for number in order))
    if is_indicator:
        assert world.counts() == (False, 1)
        assert world.reasons() == ["withdrawn", "origin-withdrawn"]

    def current():
        [version] = [one for one in world.store.knowledge.object_versions(made["id"]) if one.is_current]
        return version

    assert current().is_fallen
    # sealed when it was withdrawn: he means it
    world.take(world.bravo.seal(made | {"modified": "2090-01-01T00:00:01Z"}))
    assert not current().is_fallen


@pytest.mark.parametrize("order", list(itertools.permutations(range(4))), ids=str)
def test_a_later_withdrawal_takes_what_was_affirmed_again(world, order):
    stix, origin, published = original(world)
    first = world.alpha.withdraw(stix["id"])
    affirmed = world.bravo.restate(origin, stix)
    envelopes = [published, first, affirmed, world.alpha.withdraw(stix["id"])]
    world.take(*(envelopes[n] for n in order))
    assert world.counts() == (False, 1)


def test_the_same_version_in_a_later_envelope_affirms_nothing(world):
    stix, origin, published = original(world)
    restated = world.bravo.restated(origin, stix)
    world.take(
        published, world.bravo.seal(restated), world.alpha.withdraw(stix["id"]), world.bravo.seal(restated)
    )
    assert world.counts() == (False, 1)


def test_a_withdrawal_dated_into_the_future_can_still_be_answered(world):
    """It says 2099, and was sealed today: that is when it was said."""
    stix, origin, published = original(world)
    restated = world.bravo.restate(origin, stix)
    world.take(published, restated, world.alpha.withdraw(stix["id"], modified="2099-01-01T00:00:00Z"))
    assert world.counts() == (False, 1)
    world.take(world.bravo.restate(origin, stix))
    assert world.counts() == (True, 1)


@pytest.mark.parametrize("order", list(itertools.permutations(range(4))), ids=str)
def test_a_new_version_of_the_origin_restores_what_stems_from_it(world, order):
    stix, origin, published = original(world)
    envelopes = [published, world.bravo.restate(origin, stix), world.alpha.withdraw(stix["id"])]
    envelopes.append(world.alpha.publish(VALUE, "x"))
    world.take(*(envelopes[n] for n in order))
    assert world.counts() == (True, 1)
    assert world.reasons() == [None, None]


@pytest.mark.parametrize("order", list(itertools.permutations(range(3))), ids=str)
def test_revoked_in_the_object_itself_is_a_withdrawal(world, order):
    stix, origin, published = original(world)
    envelopes = [published, world.bravo.restate(origin, stix), world.alpha.publish(VALUE, "x", revoked=True)]
    world.take(*(envelopes[n] for n in order))
    assert world.counts() == (False, 1)
    assert world.reasons() == ["withdrawn", "origin-withdrawn"]


def test_a_version_that_names_nothing_is_its_authors_own(world):
    stix, origin, published = original(world)
    restated = world.bravo.restated(origin, stix)
    world.take(published, world.bravo.seal(restated))
    own = with_derivation(restated, None) | {"modified": world.bravo.instant()}
    world.take(world.bravo.seal(own))
    assert world.counts() == (True, 2)
    world.take(world.alpha.withdraw(stix["id"]))
    assert world.counts() == (True, 1)


def test_a_version_out_of_effect_gives_way_to_one_that_fell(world):
    stix, origin, published = original(world)
    first = world.bravo.restate(origin, stix)
    affirmed = world.bravo.restate(origin, stix)
    world.take(published, first, world.alpha.withdraw(stix["id"]), affirmed)
    later = world.bravo.restate(origin, stix)
    (stored,) = store_envelopes(world.store, [later])
    assert world.counts() == (True, 1)
    place = ContentPlace(0, 0)
    while place is not None:
        place = world.store.knowledge.set_out(
            stored.source.lsn, stored.source.author, place, world.make.now, is_out=True
        )
    assert world.counts()[0] is False


def test_what_stems_from_content_that_its_author_disowns_falls_and_comes_back_with_it(world):
    """A thief of a sign key published it, others passed it on, and the owner does not vouch for it."""
    stix, origin, published = original(world)
    (stored,) = store_envelopes(world.store, [published])
    world.take(world.bravo.restate(origin, stix))
    world.take(world.bravo.restate(origin, stix))
    for is_out in (True, False):
        place = ContentPlace(0, 0)
        while place is not None:
            place = world.store.knowledge.set_out(
                stored.source.lsn, stored.source.author, place, world.make.now, is_out=is_out
            )
        assert world.counts() == (not is_out, 1)
    world.take(world.bravo.publish(VALUE, "own"))
    assert world.counts() == (True, 2)


def test_an_origin_without_claims_counts_as_well(world):
    """A pattern that claims nothing here, passed on in one that claims."""
    opaque = "[ipv4-addr:value = '198.51.100.1' AND network-traffic:dst_port = 443]"
    published = world.alpha.publish(VALUE, "x", pattern=opaque)
    (stix,) = world.alpha.latest.values()
    plain = stix | {"pattern": f"[ipv4-addr:value = '{VALUE}']"}
    world.take(published, world.bravo.restate(world.alpha.origin(stix), plain))
    assert world.counts() == (True, 1)
    world.take(world.alpha.withdraw(stix["id"]))
    assert world.counts() == (False, 1)


def test_an_origin_that_is_not_held_and_never_was_takes_nothing(world):
    stix, _, published = original(world)
    unknown = ObjectOrigin(world.make.charlie, stix["id"])
    world.take(world.bravo.restate(unknown, stix))
    assert world.counts() == (True, 1)
    world.take(world.charlie.withdraw(stix["id"]))
    assert world.counts() == (False, 1)
    world.take(published)
    assert world.counts() == (True, 1)


# --- chains and circles ---


@pytest.mark.parametrize("order", list(itertools.permutations(range(4))), ids=str)
@pytest.mark.parametrize("is_told", [True, False], ids=["chain-named", "last-one-named"])
def test_a_chain_falls_with_its_beginning(world, order, is_told):
    stix, origin, published = original(world)
    restated = world.bravo.restated(origin, stix)
    second = ObjectOrigin(world.make.bravo, restated["id"])
    envelopes = [
        published,
        world.bravo.seal(restated),
        world.charlie.restate(second, restated, Derivation((origin,)) if is_told else None),
        world.alpha.withdraw(stix["id"]),
    ]
    world.take(*(envelopes[n] for n in order))
    assert world.counts() == (False, 1)
    assert world.reasons() == ["withdrawn", "origin-withdrawn", "origin-withdrawn"]


def test_one_who_affirms_speaks_for_itself_alone(world):
    stix, origin, published = original(world)
    restated = world.bravo.restated(origin, stix)
    chain = world.charlie.restate(
        ObjectOrigin(world.make.bravo, restated["id"]), restated, Derivation((origin,))
    )
    world.take(published, world.bravo.seal(restated), chain, world.alpha.withdraw(stix["id"]))
    world.take(world.bravo.restate(origin, stix))
    assert world.reasons() == ["withdrawn", None, "origin-withdrawn"]
    assert world.counts() == (True, 1)


def test_circles_and_objects_that_stem_from_themselves_end(world):
    alpha, bravo = world.alpha, world.bravo
    one, two = alpha.indicator(VALUE, "one"), bravo.indicator(VALUE, "two")
    first = with_derivation(one, Derivation((bravo.origin(two),)))
    second = with_derivation(two, Derivation((alpha.origin(one), bravo.origin(two))))
    world.take(alpha.seal(first), bravo.seal(second))
    assert world.counts()[0]
    world.take(alpha.withdraw(one["id"]))
    assert world.counts()[0] is False
    alpha.latest[one["id"]] = first
    world.take(alpha.seal(first | {"modified": alpha.instant()}))
    assert world.counts()[0]


def test_a_chain_longer_than_is_followed_does_no_harm(world):
    """Nine restatements one behind the other, each naming only the one before: the last stands, the others fall."""
    _, origin, published = original(world)
    (stix,) = world.alpha.latest.values()
    world.take(published)
    links = []
    for number in range(derivations.CHAIN_MAX + 2):
        author = world.bravo if number % 2 else world.charlie
        stix = author.restated(origin, stix)
        origin = author.origin(stix)
        links.append(stix["id"])
        world.take(author.seal(stix))
    world.take(world.alpha.withdraw(next(iter(world.alpha.latest))))
    fallen = {row["object_id"] for row in world.claims() if row["reason"] == "origin-withdrawn"}
    assert fallen == set(links[: derivations.CHAIN_MAX])


# --- bounds ---


@pytest.fixture
def small_steps(monkeypatch):
    monkeypatch.setattr(derivations, "STEP_ROWS", 10)
    monkeypatch.setattr(derivations, "AT_ONCE_MAX", 4)


def crowd(world, many):
    """Bravo's objects about `many` values, all of which stem from one of Alpha's."""
    stix, origin, published = original(world)
    values = [f"203.0.113.{number}" for number in range(many)]
    objects = [
        with_derivation(world.make.indicator(value, modified=world.bravo.instant()), restating(origin, None))
        for value in values
    ]
    world.take(published, world.bravo.seal(*objects))
    return stix, values


def active(world):
    return {
        value for (value,) in rows(world.store.database.path, "SELECT value FROM v1_indicators WHERE active")
    }


def test_an_object_from_which_many_stem_is_followed_a_step_at_a_time(world, small_steps):
    stix, values = crowd(world, 37)
    assert active(world) == {VALUE, *values}
    store_envelopes(world.store, [world.alpha.withdraw(stix["id"])])
    assert active(world) == set(values)
    steps = []
    while world.store.knowledge.go_on(world.make.now):
        steps.append(len(active(world)))
    assert len(steps) > 37 * 2 // 10 and all(
        before - after <= 10 for before, after in itertools.pairwise([37, *steps])
    )
    assert active(world) == set()
    world.take(world.alpha.publish(VALUE, "x"))
    assert active(world) == {VALUE, *values}


def test_a_crash_in_the_middle_loses_nothing(world, small_steps, open_at):
    stix, _ = crowd(world, 23)
    store_envelopes(world.store, [world.alpha.withdraw(stix["id"])])
    world.store.knowledge.go_on(world.make.now)
    world.store.close()
    world.store = open_at()
    world.walk()
    assert active(world) == set()


def test_however_often_an_origin_changes_so_many_rows_are_looked_at_in_a_minute(
    world, small_steps, monkeypatch
):
    monkeypatch.setattr(walks, "ORIGINS_ROWS", 60)
    stix, values = crowd(world, 40)
    now, steps = world.make.now + 1_000, 0
    for _ in range(20):
        store_envelopes(world.store, [world.alpha.withdraw(stix["id"]), world.alpha.publish(VALUE, "x")])
        while world.store.knowledge.go_on(now):
            steps += 1
    assert steps <= 60 // 10 + 1
    for _ in range(5):
        now += walks.ORIGINS_SECONDS
        while world.store.knowledge.go_on(now):
            pass
    assert active(world) == {VALUE, *values}


def tree(world, fan, depth):
    """Bravo's objects, `fan` of which stem from each that is one nearer to Alpha's one."""
    stix, origin, published = original(world)
    objects, layer = [], [origin]
    for _ in range(depth):
        below = []
        for one in layer:
            for _ in range(fan):
                value = f"10.0.{len(objects) >> 8}.{len(objects) & 255}"
                made = with_derivation(
                    world.make.indicator(value, modified=world.bravo.instant()), restating(one, None)
                )
                objects.append(made)
                below.append(world.bravo.origin(made))
        layer = below
    world.take(published, world.bravo.seal(*objects))
    return stix, len(objects)


def test_a_tree_of_what_stems_from_each_other_is_followed_a_step_at_a_time(world, small_steps):
    """Each object has few that stem from it, and all of them together are many."""
    stix, many = tree(world, 2, 5)
    store_envelopes(world.store, [world.alpha.withdraw(stix["id"])])
    assert len(active(world)) >= many - derivations.AT_ONCE_MAX
    while (before := len(active(world))) and world.store.knowledge.go_on(world.make.now):
        assert before - len(active(world)) <= 10
    assert active(world) == set()
    world.take(world.alpha.publish(VALUE, "x"))
    assert len(active(world)) == many + 1


def test_a_step_is_short_also_where_each_object_names_many_origins(world, small_steps, monkeypatch):
    stix, origin, published = original(world)
    looked_up = []
    look_up = derivations._Following._look_up
    monkeypatch.setattr(
        derivations._Following, "_look_up", lambda self, *key: (looked_up.append(key), look_up(self, *key))[1]
    )
    others = [world.bravo.origin(world.make.indicator(f"10.1.0.{number}")) for number in range(140)]
    objects = [
        with_derivation(
            world.make.indicator(f"10.0.0.{number}", modified=world.bravo.instant()),
            Derivation((origin, *others[number * 7 : number * 7 + 7])),
        )
        for number in range(20)
    ]
    world.take(published, world.bravo.seal(*objects))
    store_envelopes(world.store, [world.alpha.withdraw(stix["id"])])
    looked_up.clear()
    while world.store.knowledge.go_on(world.make.now):
        assert len(looked_up) <= derivations.STEP_ROWS * 2
        looked_up.clear()
    assert active(world) == set()


def test_the_feed_tells_what_fell_and_what_came_back(world):
    stix, origin, published = original(world)
    other = world.bravo.restated(origin, world.make.indicator("203.0.113.9"))
    world.take(published, world.bravo.seal(other))
    changes = "SELECT op, reason, sources FROM v1_changes WHERE value = '203.0.113.9'"
    assert rows(world.store.database.path, changes) == [("add", None, 1)]
    world.take(world.alpha.withdraw(stix["id"]))
    assert rows(world.store.database.path, changes) == [("remove", "origin-withdrawn", 1)]
    world.take(world.alpha.publish(VALUE, "x"))
    assert rows(world.store.database.path, changes) == [("add", None, 1)]


def test_a_second_source_is_a_change_that_the_feed_tells(world):
    _, _, published = original(world)
    world.take(published, world.bravo.publish(VALUE, "own"))
    changes = "SELECT op, authors, sources FROM v1_changes WHERE value = ?"
    assert rows(world.store.database.path, changes, VALUE) == [("update", 2, 2)]


# --- beside other rules ---


def test_a_claim_that_fell_makes_room_for_one_that_stands_aside(world):
    """Bravo passes one of Alpha's on in as many objects as count of one author, and has an older finding of its own."""
    stix, origin, published = original(world)
    own = world.bravo.publish(VALUE, "own")
    many = [
        with_derivation(
            world.make.indicator(VALUE, name=f"of {n}", modified=world.bravo.instant()),
            restating(origin, None),
        )
        for n in range(20)
    ]
    world.take(published, own, world.bravo.seal(*many))
    world.take(world.alpha.withdraw(stix["id"]))
    assert world.counts() == (True, 1)
    world.take(world.alpha.publish(VALUE, "x"))
    assert world.counts()[0]


def test_a_stricter_echo_is_not_told_beyond_what_the_siem_may_see(world):
    stix, _, published = original(world)
    red = stix | {"object_marking_refs": [world.make.indicator(tlp=Tlp.RED)["object_marking_refs"][0]]}
    world.take(published, world.bravo.repeat(red))
    (row,) = named_rows(world.store.database.path, "SELECT * FROM v1_claims WHERE value = ?", VALUE)
    assert (row["possible_echo"], row["source"]) == (0, world.make.alpha.text)


def test_one_public_source_is_one_source(world):
    said = Derivation((), "https://example.org/list")
    envelopes = [
        one.seal(with_derivation(one.indicator(VALUE, name), said))
        for one, name in ((world.alpha, "a"), (world.bravo, "b"))
    ]
    world.take(*envelopes)
    assert world.counts() == (True, 1)
    assert {row["public_source"] for row in world.claims()} == {"https://example.org/list"}
    world.take(world.alpha.withdraw(next(iter(world.alpha.latest))))
    assert world.counts() == (True, 1)


@pytest.mark.parametrize("restated", [False, True], ids=["same-object", "restated"])
def test_a_false_positive_that_was_read_and_said_again_is_one_voice(world, restated):
    for name, partner in (("bravo", world.make.bravo), ("charlie", world.make.charlie)):
        put_partner(world.store, PartnerRow(partner, name, b"card", 1, True, (), False, world.make.now))
    stix, _, published = original(world)
    target = Target(stix["id"], world.make.alpha, ONE)
    said = json.loads(
        false_positive_object(target, reporter=world.make.bravo, now=world.make.now, tlp=Tlp.GREEN)
    )
    again = world.charlie.restated(ObjectOrigin(world.make.bravo, said["id"]), said) if restated else said
    world.take(published, world.bravo.seal(said), world.charlie.seal(again))
    assert world.counts() == (True, 1)
    own = false_positive_object(target, reporter=world.make.charlie, now=world.make.now, tlp=Tlp.GREEN)
    world.take(world.charlie.seal(json.loads(own)))
    assert world.indicator()["reason"] == "false-positive"


def test_exports_leave_out_what_fell(world):
    stix, origin, published = original(world)
    other = world.bravo.restated(origin, world.make.indicator("203.0.113.9"))
    world.take(published, world.bravo.seal(other), world.alpha.withdraw(stix["id"]))
    now_us = world.make.now * 1_000_000
    assert not list(world.store.knowledge.values(now_us, tlp_max=Tlp.GREEN, pap_max=Pap.RED))
    assert not "".join(world.store.knowledge.indicator_lines(now_us, tlp_max=Tlp.GREEN))


# --- what people are told ---


@pytest.fixture
def told(world):
    """Alpha's object, which Bravo passes on and Charlie repeats."""
    names = (("alpha", world.make.alpha), ("bravo", world.make.bravo), ("charlie", world.make.charlie))
    for name, partner in names:
        put_partner(world.store, PartnerRow(partner, name, b"card", 1, True, (), False, world.make.now))
    stix, origin, published = original(world)
    world.take(published, world.bravo.restate(origin, stix), world.charlie.repeat(stix))
    return stix


def test_lookup_tells_whose_a_claim_is_and_who_has_the_same_id(world, told):
    [answer] = look_up(world.store, [VALUE], world.make.now)
    assert (answer.sources, answer.authors) == (1, ["alpha", "bravo", "charlie"])
    assert (answer.matches[0].sources, answer.matches[0].authors) == (1, 3)
    said = {one.author: one for one in answer.claims}
    assert {one.source for one in answer.claims} == {"alpha"}
    assert [(one.author, one.object_id) for one in said["bravo"].derived_from] == [("alpha", told["id"])]
    assert {name: one.possible_echo for name, one in said.items()} == {
        "alpha": ["charlie"], "bravo": [], "charlie": ["alpha"],
    }  # fmt: skip
    words = [" ".join(_words_of(one)) for one in answer.claims]
    assert f"derived from {told['id']} by alpha" in words[1]
    assert "possible-echo: the same id by alpha" in words[2]
    world.take(world.alpha.withdraw(told["id"]))
    [answer] = look_up(world.store, [VALUE], world.make.now)
    assert (answer.active, answer.sources) == (True, 1)
    assert [one.reason for one in answer.claims] == ["withdrawn", "origin-withdrawn", None]
    assert {one.author: one.source for one in answer.claims}["charlie"] == "charlie"


def test_show_tells_it_of_each_version(world, told):
    world.take(world.alpha.withdraw(told["id"]))
    versions = show_object(world.store, told["id"]).versions
    assert [(one.author, one.possible_echo, one.is_fallen) for one in versions] == [
        ("alpha", ["charlie"], False), ("charlie", ["alpha"], False),
    ]  # fmt: skip
    [restated] = show_object(world.store, next(iter(world.bravo.latest))).versions
    assert [one.author for one in restated.derived_from] == ["alpha"]
    assert (restated.is_fallen, restated.is_revoked, restated.possible_echo) == (True, False, [])


def test_recall_tells_what_fell_what_stands_and_what_may_be_an_echo(world, told):
    own = Roster.of(world.make.alpha, ())

    def states():
        found = recall_status(world.store, own, told["id"]).echoes
        return {one.author: one.state for one in found}

    world.take(world.alpha.withdraw(told["id"]))
    assert states() == {"bravo": "origin-withdrawn", "charlie": "possible-echo"}
    world.take(world.bravo.restate(world.alpha.origin(told), told), world.charlie.withdraw(told["id"]))
    assert states() == {"bravo": "stands", "charlie": "withdrawn"}


def test_a_version_of_the_same_instant_as_the_withdrawal_affirms_nothing(world):
    stix, origin, published = original(world)
    restated = world.bravo.restated(origin, stix)
    withdrawn = world.alpha.taking_back(stix["id"], modified=restated["modified"])
    world.take(published, world.bravo.seal(restated), world.alpha.seal(withdrawn))
    assert world.counts() == (False, 1)
