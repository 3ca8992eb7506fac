"""Look-ups and exports: exact, in bulk, and the same as the views say."""

from __future__ import annotations

import json
import random
import time

import pytest
from store_rows import named_rows
from stored_envelopes import store_envelopes

from p2pshare.intel.marking import Pap, Tlp
from p2pshare.intel.observable import Observable
from p2pshare.knowledge import state_queries

US = 1_000_000


@pytest.fixture
def mixed(store, make):
    """A store with claims of several authors in every state, by a fixed seed."""
    random_ = random.Random(7)
    for sequence in range(1, 9):
        indicators = [
            make.indicator(
                f"198.51.100.{random_.randrange(60)}",
                name=f"{sequence} {n}",
                tlp=random_.choice(list(Tlp)),
                confidence=random_.choice([0, 15, 50, 95]),
                valid_from=random_.choice(["2026-01-01T00:00:00Z", "2999-01-01T00:00:00Z"]),
                revoked=random_.random() < 0.2,
                labels=random_.choice([[], ["c2"], ['a "quoted" one', "ü"]]),
            )
            | random_.choice(
                [{}, {"valid_until": "2999-06-01T00:00:00Z"}, {"valid_until": "2026-01-03T00:00:00Z"}]
            )
            for n in range(20)
        ]
        author = random_.choice([make.alpha, make.bravo, make.charlie])
        store_envelopes(store, [make.envelope(*indicators, sequence=sequence, author=author)])
    return store


def _view(store, make):
    return named_rows(store.database.path, "SELECT * FROM v1_indicators")


@pytest.mark.parametrize("is_ready", [True, False], ids=["as-evaluated", "evaluated-anew"])
def test_export_and_view_say_the_same(mixed, make, monkeypatch, is_ready):
    """At the time of the latest evaluation, and at another at which the same holds."""
    monkeypatch.setattr(state_queries, "SLICE_IDS", 7)
    now_us = (make.now if is_ready else int(time.time())) * US
    viewed = _view(mixed, make)
    lines = "".join(mixed.knowledge.indicator_lines(now_us, tlp_max=Tlp.AMBER_STRICT)).splitlines()
    exported = [json.loads(line) for line in lines]
    assert exported == [row | {"active": True} for row in viewed if row["active"]]
    assert len(exported) > 10
    rows = list(mixed.knowledge.indicators(now_us, is_active_only=False, tlp_max=Tlp.AMBER_STRICT))
    assert [(row.value, int(row.is_active), row.tlp.label, row.confidence, row.claims) for row in rows] == [
        (row["value"], row["active"], row["tlp"], row["confidence"], row["claims"]) for row in viewed
    ]
    values = list(mixed.knowledge.values(now_us, tlp_max=Tlp.AMBER_STRICT, pap_max=Pap.RED))
    assert values == [(row["type"], row["value"]) for row in viewed if row["active"]]


@pytest.mark.parametrize("tlp_max", list(Tlp), ids=lambda level: level.label)
def test_no_claim_stricter_than_allowed_leaves(mixed, make, tlp_max):
    now_us = make.now * US
    everything = mixed.knowledge.lookup([Observable("ipv4", f"198.51.100.{n}") for n in range(60)])
    allowed = {
        one.value: [claim for claim in claims if claim.tlp <= tlp_max] for one, claims in everything.items()
    }
    rows = list(mixed.knowledge.indicators(now_us, is_active_only=False, tlp_max=tlp_max))
    assert {row.value: row.claims for row in rows} == {
        value: len(one) for value, one in allowed.items() if one
    }
    assert all(row.tlp == max(claim.tlp for claim in allowed[row.value]) for row in rows)


def test_an_export_evaluates_by_its_own_time_what_was_evaluated_at_another(store, make):
    """No daemon has run for weeks; or the export's clock is behind the daemon's."""
    begins = make.indicator("198.51.100.2", valid_from="2027-01-10T00:00:00Z", tlp=Tlp.CLEAR)
    store_envelopes(store, [make.envelope(make.indicator("198.51.100.1"), begins)])

    def values(days):
        now_us = (make.now + days * 86_400) * US
        rows = [row.value for row in store.knowledge.indicators(now_us, tlp_max=Tlp.AMBER_STRICT)]
        lines = "".join(store.knowledge.indicator_lines(now_us, tlp_max=Tlp.AMBER_STRICT)).splitlines()
        assert [json.loads(line)["value"] for line in lines] == rows
        assert [
            value for _, value in store.knowledge.values(now_us, tlp_max=Tlp.AMBER_STRICT, pap_max=Pap.RED)
        ] == rows
        return rows

    assert values(0) == ["198.51.100.1", "198.51.100.2"]
    assert values(-10) == ["198.51.100.1"]
    assert values(33) == []


def test_a_type_that_is_not_there_is_an_empty_export(mixed):
    assert list(mixed.knowledge.values(0, type="sha256", tlp_max=Tlp.RED, pap_max=Pap.RED)) == []
    assert list(mixed.knowledge.indicator_lines(0, type="sha256", tlp_max=Tlp.RED)) == []
    assert list(mixed.knowledge.indicators(0, type="sha256", tlp_max=Tlp.RED)) == []


def test_values_of_one_text_and_two_types_are_two_things(store, make):
    same = "d41d8cd98f00b204e9800998ecf8427e"
    store_envelopes(
        store,
        [
            make.envelope(
                make.indicator(name="md5", pattern=f"[file:hashes.MD5 = '{same}']"),
                make.indicator(name="mutex", pattern=f"[mutex:name = '{same}']"),
            )
        ],
    )
    found = store.knowledge.lookup(
        [Observable("md5", same), Observable("mutex", same), Observable("sha1", same)]
    )
    assert {one.type: len(claims) for one, claims in found.items()} == {"md5": 1, "mutex": 1}
    assert store.knowledge.observable_counts() == {"md5": 1, "mutex": 1}


def test_ten_thousand_values_are_looked_up_at_once(store, make):
    store_envelopes(
        store, [make.envelope(*(make.indicator(f"198.51.{n >> 8}.{n & 255}") for n in range(1_000)))]
    )
    asked = [Observable("ipv4", f"198.51.{n >> 8}.{n & 255}") for n in range(10_000)]
    found = store.knowledge.lookup(asked)
    assert set(found) == set(asked[:1_000])


def test_hostile_text_stays_text(store, make):
    """What SQL, C strings or JSON could trip over; those that have a canonical form are found again."""
    names = ["'; DROP TABLE claim; --", "100%_?*", 'a"b\\c', "ü" * 200]
    objects = [
        make.indicator(
            name=name, pattern="[mutex:name = '{}']".format(name.replace("\\", "\\\\").replace("'", "\\'"))
        )
        for name in names
    ]
    frame = make.frame(objects)
    values = [claim.value for fact in frame.objects for claim in fact.claims]
    assert len(values) == len(names)
    store_envelopes(store, [make.envelope(*objects)])
    asked = [Observable("mutex", value) for value in values]
    assert set(
        store.knowledge.lookup([*asked, Observable("mutex", "with\0nul"), Observable("mutex", "")])
    ) == set(asked)
