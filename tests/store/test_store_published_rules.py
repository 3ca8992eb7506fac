"""Rules that partners publish, in the SIEM view `v1_rules`: read after they were stored, in bounds, and gone when they do not count."""

from __future__ import annotations

import hashlib
import json
from typing import Any

import pytest
from store_rows import named_rows
from stored_envelopes import store_envelopes

from p2pshare.intel.marking import Tlp
from p2pshare.knowledge import published_rules
from p2pshare.limits import RULE_BYTES_MAX
from p2pshare.partners.interface import PartnerRow

SIGMA = "title: Loader\ndetection:\n  a:\n    b: c\n  condition: a\n"


def rule(make: Any, name: str = "Loader", text: str = SIGMA, **more: Any) -> dict[str, Any]:
    said = {
        "pattern_type": "sigma",
        "pattern": text,
        "x_rule_author": "Ada",
        "x_rule_license": "DRL-1.1",
        "labels": ["attack.execution", "attack.t1059.001", "sigma-level:high"],
    }
    return dict(make.indicator(name, name=name) | {"name": name} | said | more)


def read_rules(store: Any, now: int) -> int:
    steps = 0
    while store.knowledge.go_on(now):
        steps += 1
    return steps


@pytest.fixture
def rows(store_path: Any) -> Any:
    return lambda: named_rows(store_path, "SELECT * FROM v1_rules ORDER BY title")


def test_a_published_rule_names_its_author_and_licence(store: Any, rows: Any, make: Any) -> None:
    store.partners.put(PartnerRow(make.alpha, "alpha", b"card", 1, True, (), False, make.now))
    envelope = make.envelope(rule(make), make.indicator("198.51.100.9"))
    store_envelopes(store, [envelope])
    assert rows() == [], "read in a step of its own"
    assert read_rules(store, make.now) >= 1
    assert rows() == [
        {
            "rule": rule(make)["id"],
            "type": "sigma",
            "title": "Loader",
            "author": make.alpha.text,
            "author_name": "Ada",
            "licence": "DRL-1.1",
            "hash": hashlib.sha256(SIGMA.encode()).hexdigest(),
            "tlp": "TLP:GREEN",
            "status": None,
            "text": SIGMA,
            "envelope_id": envelope.envelope_id.text,
            "lab": None,
            "level": "high",
            "attack": '["t1059.001"]',
            "reviews": None,
            "runs": None,
            "is_current": 1,
            "entry": None,
            "partner_name": "alpha",
            "same_text": 0,
        }
    ]
    assert read_rules(store, make.now) == 0


def test_a_rule_of_nobody_is_its_partner_s_and_one_without_licence_says_so(
    store: Any, rows: Any, make: Any
) -> None:
    store.partners.put(PartnerRow(make.alpha, "alpha", b"card", 1, True, (), False, make.now))
    store_envelopes(store, [make.envelope(rule(make, x_rule_author=7, x_rule_license=""))])
    read_rules(store, make.now)
    (row,) = rows()
    assert (row["author_name"], row["licence"]) == ("alpha", None)


def test_another_version_replaces_it_and_a_withdrawn_one_is_gone(store: Any, rows: Any, make: Any) -> None:
    first = rule(make)
    store_envelopes(store, [make.envelope(first)])
    newer = first | {"pattern": SIGMA + "# 2\n", "modified": "2026-02-01T00:00:00.000Z"}
    store_envelopes(store, [make.envelope(newer, sequence=2)])
    read_rules(store, make.now)
    assert [one["text"] for one in rows()] == [SIGMA + "# 2\n"]
    gone = newer | {"revoked": True, "modified": "2026-03-01T00:00:00.000Z"}
    store_envelopes(store, [make.envelope(gone, sequence=3)])
    read_rules(store, make.now)
    assert rows() == []


def test_red_is_in_no_view_and_the_ceiling_is_asked_when_it_is_read(store: Any, rows: Any, make: Any) -> None:
    red = rule(make, "Secret", object_marking_refs=make.indicator("1", tlp=Tlp.RED)["object_marking_refs"])
    store_envelopes(store, [make.envelope(red, rule(make))])
    read_rules(store, make.now)
    assert [one["title"] for one in rows()] == ["Loader"]


def test_thousands_of_rules_are_read_in_steps_and_take_no_more_room_than_their_envelope_allows(
    store: Any, rows: Any, make: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(published_rules, "STEP_RULES", 20)
    long = "a" * 6_000
    many = [rule(make, f"{number:03}", f"{long}{number}") for number in range(100)]
    store_envelopes(store, [make.envelope(*many)])
    assert read_rules(store, make.now) >= 5
    kept = [one["text"] for one in rows() if one["text"] is not None]
    assert len(rows()) == 100
    frame_bytes = store.database.fetch("SELECT max(length(bytes)) FROM frame")[0][0]
    room = max(published_rules.TEXT_BYTES_MIN, published_rules.TEXT_TIMES * frame_bytes)
    assert 1 <= len(kept) < 100 and sum(map(len, kept)) <= room
    assert all(len(one["hash"]) == 64 for one in rows())


@pytest.mark.parametrize(
    "more",
    [
        {"name": 7, "labels": "attack.t1", "x_rule_author": ["a"]},
        {"name": "\ud800", "x_rule_author": "\udfff"},
        {"labels": [7, None, "attack.t1059", "attack.tx", "sigma-level:"]},
        {"pattern": "x" * (RULE_BYTES_MAX + 1)},
    ],
)
def test_hostile_properties_cost_what_they_say_and_no_more(
    store: Any, rows: Any, make: Any, more: dict[str, Any]
) -> None:
    raw = json.dumps([rule(make) | more, rule(make, "Other")])
    store_envelopes(store, [make.envelope_of(raw.encode())])
    read_rules(store, make.now)
    assert "Other" in [one["title"] for one in rows()]


def test_on_a_full_disk_rules_wait_and_keep_nothing_from_making_room(
    open_at: Any, rows: Any, make: Any
) -> None:
    store = open_at()
    store_envelopes(store, [make.envelope(rule(make))])
    store.close()
    full = open_at(free_space_bytes_min=1 << 62)
    assert not full.knowledge.go_on(make.now)
    full.close()
    assert read_rules(open_at(), make.now) == 1 and len(rows()) == 1
