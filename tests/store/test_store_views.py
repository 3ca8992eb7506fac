"""The SIEM contract: docs/siem.md, read with another program's SQLite while the store is open for writing."""

from __future__ import annotations

import re
import subprocess
import sys
from contextlib import closing
from datetime import UTC, datetime

import apsw
import pytest
from store_rows import named_rows
from stored_envelopes import store_envelopes

from p2pshare.intel.marking import Tlp
from p2pshare.intel.observable import Observable
from p2pshare.partners.interface import PartnerRow

VALUE = "198.51.100.7"
OF_SPACES = ("v1_incidents", "v1_incident_timeline", "v1_tasks", "v1_duties", "v1_watch", "v1_rules")
FUTURE, PAST = "2999-01-01T00:00:00Z", "2026-01-02T00:00:00Z"

READER = """
import sqlite3, sys
connection = sqlite3.connect(f"file:{sys.argv[1]}?mode=ro", uri=True)
for line in sys.stdin:
    print(connection.execute(line).fetchall(), flush=True)
"""


@pytest.fixture
def read(store_path):
    """Rows as dictionaries, read-only."""

    def read_rows(sql, *bindings):
        return named_rows(store_path, sql, *bindings)

    return read_rows


def test_another_process_reads_what_was_just_committed(store, store_path, make):
    with subprocess.Popen(
        [sys.executable, "-c", READER, str(store_path)],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
    ) as reader:

        def ask(sql):
            reader.stdin.write(sql + "\n")
            reader.stdin.flush()
            return reader.stdout.readline().strip()

        question = "SELECT value, active, claims FROM v1_indicators"
        assert ask(question) == "[]"
        store_envelopes(store, [make.envelope(make.indicator(VALUE))])
        assert ask(question) == f"[('{VALUE}', 1, 1)]"
        with store.transaction():
            store_envelopes(store, [make.envelope(make.indicator("198.51.100.8"), sequence=2)])
            assert ask(question) == f"[('{VALUE}', 1, 1)]"
        assert ask("SELECT count(*) FROM v1_claims") == "[(2,)]"
        reader.stdin.close()


def test_columns_are_those_that_are_promised(read, store, make, repository):
    text = (repository / "docs" / "siem.md").read_text("utf-8")
    for view in ("v1_indicators", "v1_claims", "v1_feed", "v1_changes", "v1_sightings", *OF_SPACES):
        section = text.split(f"## {view}", 1)[1].split("\n## ", 1)[0]
        promised = re.findall(r"^\| `(\w+)`", section, re.MULTILINE)
        assert [row["name"] for row in read(f"PRAGMA table_info({view})")] == promised


def test_a_claim_tells_who_what_and_until_when(store, read, make):
    store.partners.put(PartnerRow(make.alpha, "alpha", b"card", 1, True, (), False, make.now))
    indicator = make.indicator(VALUE, confidence=80, labels=["c2", "bot,net"], valid_until=FUTURE)
    envelope = make.envelope(indicator)
    store_envelopes(store, [envelope])
    assert read("SELECT * FROM v1_claims") == [
        {
            "type": "ipv4",
            "value": VALUE,
            "author": make.alpha.text,
            "author_name": "alpha",
            "object_id": indicator["id"],
            "tlp": "TLP:GREEN",
            "confidence": 80,
            "labels": '["c2","bot,net"]',
            "valid_from": "2026-01-01T00:00:00Z",
            "valid_until": FUTURE,
            "revoked": 0,
            "envelope_id": envelope.envelope_id.text,
            "received_at": datetime.fromtimestamp(make.now, UTC).strftime("%Y-%m-%dT%H:%M:%SZ"),
            "status": "active",
            "reason": None,
            "pap": None,
            "source": make.alpha.text,
            "derived_from": None,
            "public_source": None,
            "possible_echo": 0,
            "publication": None,
        }
    ]


def test_the_effective_row_follows_its_rules(store, read, make):
    claims = [
        {"confidence": 90, "valid_until": PAST},  # the surest, but over
        {"confidence": 40, "valid_until": FUTURE, "valid_from": "2026-01-05T00:00:00Z"},
        {"confidence": 60, "valid_until": "2998-01-01T00:00:00Z", "tlp": Tlp.AMBER},
        {"confidence": 99, "revoked": True},
    ]
    for n, claim in enumerate(claims, start=1):
        author = make.bravo if n == 3 else make.alpha
        indicator = make.indicator(VALUE, name=f"claim {n}", **claim)
        store_envelopes(
            store, [make.envelope(indicator, sequence=n, author=author, received_at=make.now + n)]
        )
    (row,) = read("SELECT * FROM v1_indicators WHERE value = ? AND type = 'ipv4'", VALUE)
    assert (row["active"], row["confidence"], row["tlp"]) == (1, 60, "TLP:AMBER")
    assert (row["valid_from"], row["valid_until"]) == ("2026-01-01T00:00:00Z", FUTURE)
    assert (row["authors"], row["claims"]) == (2, 4)
    assert row["first_seen"] < row["last_seen"]


def test_a_claim_without_end_makes_the_row_endless(store, read, make):
    for n, more in enumerate([{"valid_until": FUTURE}, {}], start=1):
        store_envelopes(store, [make.envelope(make.indicator(VALUE, name=str(n), **more), sequence=n)])
    assert read("SELECT active, valid_until FROM v1_indicators") == [{"active": 1, "valid_until": None}]


@pytest.mark.parametrize(
    ("more", "status", "reason"),
    [
        ({"revoked": True}, "delisted", "withdrawn"),
        ({"valid_until": PAST}, "expired", "validity"),
        ({"valid_from": FUTURE}, "pending", None),
    ],
    ids=["withdrawn", "expired", "not-begun"],
)
def test_what_does_not_count_now_is_there_but_not_active(store, read, make, more, status, reason):
    store_envelopes(store, [make.envelope(make.indicator(VALUE, **more))])
    row = {"value": VALUE, "active": 0, "status": status, "reason": reason}
    assert read("SELECT value, active, status, reason FROM v1_indicators") == [row]
    assert read("SELECT status, reason FROM v1_claims") == [{"status": status, "reason": reason}]


def test_the_claim_that_lasts_longest_gives_the_status(store, read, make):
    claims = [({"revoked": True}, "delisted"), ({"valid_until": PAST}, "expired")]
    claims += [({"valid_from": FUTURE}, "pending"), ({}, "active")]
    for n, (more, status) in enumerate(claims, start=1):
        store_envelopes(store, [make.envelope(make.indicator(VALUE, name=str(n), **more), sequence=n)])
        assert read("SELECT status FROM v1_indicators") == [{"status": status}]


def test_red_is_in_no_view_and_moves_no_column_until_it_is_asked_for(store, read, make):
    green = make.indicator(VALUE, name="green", confidence=10, valid_until=FUTURE)
    red = make.indicator(VALUE, name="red", confidence=99, tlp=Tlp.RED)
    alone = make.indicator("198.51.100.99", tlp=Tlp.RED)
    store_envelopes(store, [make.envelope(green)])
    before = (read("SELECT * FROM v1_indicators"), read("SELECT * FROM v1_claims"))
    store_envelopes(store, [make.envelope(red, alone, author=make.bravo, received_at=make.now + 9)])
    assert (read("SELECT * FROM v1_indicators"), read("SELECT * FROM v1_claims")) == before
    assert [claim.tlp for claim in store.knowledge.lookup([Observable("ipv4", VALUE)]).popitem()[1]] == [
        Tlp.GREEN,
        Tlp.RED,
    ]
    store.knowledge.set_siem_tlp_max(Tlp(4))
    assert len(read("SELECT * FROM v1_indicators")) == 2
    (row,) = read("SELECT * FROM v1_indicators WHERE value = ?", VALUE)
    assert (row["tlp"], row["confidence"], row["claims"]) == ("TLP:RED", 99, 2)


def test_without_the_setting_nothing_is_shown(store, read, make, open_at):
    store_envelopes(store, [make.envelope(make.indicator(VALUE))])
    with closing(apsw.Connection(str(store.database.path))) as other:
        other.execute("DELETE FROM setting WHERE name = 'siem_tlp_max'")
    assert read("SELECT * FROM v1_claims") == read("SELECT * FROM v1_indicators") == []


def test_a_superseded_version_is_in_no_view(store, read, make):
    store_envelopes(store, [make.envelope(make.indicator(VALUE, name="x", confidence=1))])
    newer = make.indicator("198.51.100.8", name="x", confidence=2, modified="2026-02-01T00:00:00Z")
    store_envelopes(store, [make.envelope(newer, sequence=2)])
    assert read("SELECT value, confidence FROM v1_claims") == [{"value": "198.51.100.8", "confidence": 2}]
    assert read("SELECT value FROM v1_indicators") == [{"value": "198.51.100.8"}]


def test_a_filter_on_the_value_uses_the_index(store, read):
    for view in ("v1_indicators", "v1_claims", "v1_sightings"):
        plan = " ".join(
            row["detail"] for row in read(f"EXPLAIN QUERY PLAN SELECT * FROM {view} WHERE value = 'x'")
        )
        assert "observable_value (value=?" in plan
        assert "SCAN c" not in plan
        assert "SCAN k" not in plan
        assert "SCAN g" not in plan


def test_a_reader_of_the_views_cannot_write(store, store_path):
    with pytest.raises(apsw.ReadOnlyError):
        named_rows(store_path, "DELETE FROM claim")
