"""The change feed: whoever follows it, from any place, ends with the active set. Nothing is told twice or too early."""

from __future__ import annotations

import json
import tempfile
from pathlib import Path

import pytest
from copies import memory_folder
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from store_rows import named_rows as rows
from stored_envelopes import store_envelopes

from p2pshare.identifiers import PartnerId
from p2pshare.intel.assessing import Target, false_positive_object, sighting_object
from p2pshare.intel.marking import Tlp
from p2pshare.intel.observable import Observable
from p2pshare.knowledge.state_table import SIEM_TLP_MAX
from p2pshare.node.store import open_store
from p2pshare.partners.interface import PartnerRow
from p2pshare.sharing.partners import put_partner

DAY = 86_400
VALUES = [f"198.51.100.{n}" for n in range(3)]
SHARED = (
    "type",
    "value",
    "score",
    "confidence",
    "tlp",
    "pap",
    "valid_from",
    "valid_until",
    "authors",
    "reason",
)


class Consumer:
    """A SIEM that keeps what is active by the feed alone."""

    def __init__(self):
        self.cursor = 0
        self.active = {}

    def follow(self, path, limit=2):
        """Reads on from its cursor, a few rows at a time."""
        while page := rows(
            path, "SELECT * FROM v1_changes WHERE seq > ? ORDER BY seq LIMIT ?", self.cursor, limit
        ):
            for row in page:
                self.apply(row)

    def apply(self, row):
        assert row["seq"] > self.cursor
        self.cursor = row["seq"]
        key = row["type"], row["value"]
        if row["op"] == "remove":
            self.active.pop(key, None)
            assert row["reason"]
        else:
            self.active[key] = {name: row[name] for name in SHARED}


def active(path):
    """The same out of the other view."""
    found = rows(path, "SELECT * FROM v1_indicators WHERE active")
    return {(row["type"], row["value"]): {name: row[name] for name in SHARED} for row in found}


def follower(path):
    consumer = Consumer()
    consumer.follow(path)
    return consumer


publications = st.tuples(
    st.just("publish"),
    st.sampled_from([b"a" * 32, b"b" * 32]),
    st.sampled_from(["x", "y"]),
    st.sampled_from(VALUES),
    st.fixed_dictionaries(
        {},
        optional={
            "tlp": st.sampled_from([Tlp.CLEAR, Tlp.AMBER, Tlp.RED]),
            "confidence": st.sampled_from([0, 40, 90]),
            "valid_until": st.sampled_from(["2027-01-20T00:00:00Z", "2027-02-05T00:00:00.500Z"]),
            "valid_from": st.sampled_from(["2026-01-01T00:00:00Z", "2027-01-30T00:00:00Z"]),
            "revoked": st.booleans(),
        },
    ),
)
quarantines = st.tuples(
    st.sampled_from(["quarantine", "release"]),
    st.sampled_from(VALUES),
    st.sampled_from(["warning-list", "allow-list"]),
)
waits = st.tuples(st.just("wait"), st.sampled_from([1, DAY, 5 * DAY, 33 * DAY]), st.sampled_from([1, 2, 100]))
markings = st.tuples(st.just("siem"), st.sampled_from([0, 3, 4]))
sightings = st.tuples(
    st.just("sight"),
    st.sampled_from([b"b" * 32, b"c" * 32, b"s" * 32]),  # a stranger, too
    st.sampled_from(["x", "y"]),
    st.sampled_from(["seen", "not seen", "harmless"]),
)
histories = st.lists(publications | quarantines | sightings | waits | markings, min_size=1, max_size=12)


class History:
    """A store in which things happen, at times of their own."""

    def __init__(self, path, make):
        self.store = open_store(path, free_space_bytes_min=0)
        self.now, self._make, self._count = make.now, make, 0
        for name, partner in (("alpha", make.alpha), ("bravo", make.bravo), ("charlie", make.charlie)):
            put_partner(self.store, PartnerRow(partner, name, b"card", 1, True, (), False, make.now))

    def perform(self, step):
        getattr(self, f"_{step[0]}")(*step[1:])

    def _publish(self, author, name, value, more):
        self._count += 1
        modified = f"2026-01-01T00:{self._count:02}:00Z"
        indicator = self._make.indicator(value, name=name, modified=modified, **more)
        author = self._make.alpha if author[:1] == b"a" else self._make.bravo
        store_envelopes(
            self.store,
            [
                self._make.envelope(
                    indicator, author=author, sequence=self._count, created=self.now, received_at=self.now
                )
            ],
        )

    def _sight(self, reporter, name, what):
        self._count += 1
        reporter = PartnerId(reporter)
        target = Target(self._make.indicator(name=name)["id"], self._make.alpha)
        if what == "harmless":
            said = false_positive_object(target, reporter=reporter, now=self._count, tlp=Tlp.AMBER)
        else:
            count = int(what == "seen")
            said = sighting_object(target, reporter=reporter, count=count, now=self.now, tlp=Tlp.AMBER)
        store_envelopes(
            self.store,
            [
                self._make.envelope(
                    json.loads(said),
                    author=reporter,
                    sequence=self._count,
                    created=self.now,
                    received_at=self.now,
                )
            ],
        )

    def _quarantine(self, value, source):
        self.store.knowledge.quarantine([Observable("ipv4", value)], source, "", self.now)

    def _release(self, value, source):
        self.store.knowledge.release([Observable("ipv4", value)], source)

    def _wait(self, seconds, limit):
        self.now += seconds
        while self.store.knowledge.reevaluate(self.now, limit):
            pass

    def _siem(self, tlp_max):
        self.store.knowledge.set_siem_tlp_max(Tlp(tlp_max))


@settings(max_examples=40, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(history=histories)
def test_following_the_feed_gives_the_active_set_after_any_history(make, history):
    with tempfile.TemporaryDirectory(dir=memory_folder()) as folder:
        path = Path(folder) / "store.sqlite"
        happening = History(path, make)
        steady, all_seen = Consumer(), set()
        for step in history:
            happening.perform(step)
            steady.follow(path)
            wanted = active(path)
            tlp_max = happening.store.database.setting(SIEM_TLP_MAX)
            assert steady.active == wanted
            assert follower(path).active == wanted
            exported = happening.store.knowledge.indicators(happening.now * 1_000_000, tlp_max=Tlp(tlp_max))
            assert {row.value for row in exported} == {value for _, value in wanted}
            statuses = rows(
                path, "SELECT value, max(status = 'active') AS active FROM v1_claims GROUP BY value"
            )
            assert {row["value"] for row in statuses if row["active"]} == {value for _, value in wanted}
            all_seen |= {value for _, value in wanted}
            told = {row["value"] for row in rows(path, "SELECT value FROM v1_changes")}
            assert told <= all_seen  # what was never active is never told, not even as removed
        assert len(rows(path, "SELECT seq FROM v1_changes")) <= len(VALUES)
        happening.store.close()


@pytest.mark.parametrize(
    ("reason", "more"),
    [
        ("withdrawn", {"revoked": True}),
        ("validity", {"valid_until": "2026-02-02T00:00:00Z"}),
        ("pending", {"valid_from": "2027-01-30T00:00:00Z"}),
        ("marking", {"tlp": Tlp.RED}),
        ("superseded", {"pattern": "[ipv4-addr:value = '203.0.113.1']"}),
    ],
)
def test_a_removal_tells_its_reason_and_what_was_never_there_is_not_removed(
    store, store_path, make, reason, more
):
    store_envelopes(store, [make.envelope(make.indicator(VALUES[0]))])
    newer = make.indicator(VALUES[0], **({"modified": "2026-02-01T00:00:00Z"} | more))
    store_envelopes(store, [make.envelope(newer, sequence=2)])
    (row,) = rows(store_path, "SELECT op, reason FROM v1_changes WHERE value = ?", VALUES[0])
    assert row == {"op": "remove", "reason": reason}
    never = make.indicator(VALUES[1], name="never", **more)
    store_envelopes(store, [make.envelope(never, sequence=3)])
    assert rows(store_path, "SELECT op FROM v1_changes WHERE value = ?", VALUES[1]) == []


def test_what_is_quarantined_as_it_comes_is_in_no_feed(store, store_path, make):
    """Warning lists are asked in the transaction that stores: no consumer may hear of what it never was to see."""
    with store.transaction():
        store_envelopes(store, [make.envelope(make.indicator(VALUES[0]), make.indicator(VALUES[1]))])
        store.knowledge.quarantine([Observable("ipv4", VALUES[0])], "warning-list", "", make.now)
    assert [(row["op"], row["value"]) for row in rows(store_path, "SELECT * FROM v1_changes")] == [
        ("add", VALUES[1])
    ]
    store.knowledge.release([Observable("ipv4", VALUES[0])], "warning-list")
    assert {value for _, value in follower(store_path).active} == set(VALUES[:2])


def test_time_alone_ends_a_claim_and_the_feed_says_so_once(store, store_path, make):
    store_envelopes(store, [make.envelope(make.indicator(VALUES[0]))])
    consumer = follower(store_path)
    assert store.knowledge.reevaluate(make.now + 1, 100) == 0
    assert follower(store_path).cursor == consumer.cursor
    assert store.knowledge.reevaluate(make.now + 32 * DAY, 100) == 1
    assert store.knowledge.reevaluate(make.now + 32 * DAY, 100) == 0
    (row,) = rows(store_path, "SELECT op, reason, score, at FROM v1_changes")
    assert (row["op"], row["reason"], row["score"]) == ("remove", "decay", 0)
    consumer.follow(store_path)
    assert consumer.active == {}
    assert rows(store_path, "SELECT status, reason FROM v1_claims") == [
        {"status": "expired", "reason": "decay"}
    ]


def test_a_clock_that_was_ahead_is_forgiven(store, store_path, make):
    """A machine that woke in another decade, and was set right again, does not keep its store expired."""
    store_envelopes(store, [make.envelope(make.indicator(value)) for value in VALUES[:1]])
    store.knowledge.reevaluate(make.now + 4_000 * DAY, 100)
    assert active(store_path) == {}
    store.knowledge.reevaluate(make.now + 60, 100)
    assert {value for _, value in active(store_path)} == {VALUES[0]}


def test_a_number_of_the_feed_is_never_used_twice(store, store_path, make, open_at):
    store_envelopes(store, [make.envelope(make.indicator(VALUES[0]))])
    first = follower(store_path).cursor
    store.knowledge.quarantine([Observable("ipv4", VALUES[0])], "allow-list", "", make.now)
    removed = follower(store_path).cursor
    store.close()
    again = open_at()
    again.knowledge.release([Observable("ipv4", VALUES[0])], "allow-list")
    assert first < removed < follower(store_path).cursor


def test_a_reader_of_the_feed_uses_its_index(store, store_path):
    plan = " ".join(
        row["detail"]
        for row in rows(
            store_path, "EXPLAIN QUERY PLAN SELECT * FROM v1_changes WHERE seq > 5 ORDER BY seq LIMIT 10"
        )
    )
    assert "effective_state_seq (seq>?" in plan
    assert "TEMP B-TREE" not in plan


def test_a_value_said_again_writes_nothing_of_the_index_on_due_times(store, make):
    """A statement that sets an indexed column writes a page of the index, changed or not: a list whose values are held already
    would write one for each."""
    store_envelopes(store, [make.envelope(make.indicator(VALUES[0]))])
    with store.database.transaction() as writer:
        writer.execute("CREATE TEMP TABLE due_set (observable)")
        writer.execute(
            """CREATE TEMP TRIGGER sets_due AFTER UPDATE OF due ON main.effective_state
            BEGIN INSERT INTO due_set VALUES (new.observable); END"""
        )

    def set_so_far():
        with store.database.transaction() as writer:
            statement = "SELECT s.authors, s.due FROM due_set d JOIN effective_state s USING (observable)"
            return list(writer.execute(statement))

    store_envelopes(store, [make.envelope(make.indicator(VALUES[0], confidence=90), author=make.bravo)])
    assert set_so_far() == []
    ends = make.indicator(VALUES[0], valid_until="2027-01-15T12:00:00Z")
    store_envelopes(store, [make.envelope(ends, author=make.charlie)])
    assert set_so_far() == [(3, 1_800_014_400)]
