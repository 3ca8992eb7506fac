"""Withdrawals: only the author's own claims go, whichever arrives first, and nothing old brings them back."""

from __future__ import annotations

import itertools
import json

import pytest
from store_rows import rows
from stored_envelopes import store_envelopes

from p2pshare.intel.instants import parse_instant
from p2pshare.intel.marking import Tlp
from p2pshare.intel.observable import Observable
from p2pshare.intel.withdrawing import Reason, WithdrawalFacts, withdrawal_object
from p2pshare.knowledge.state_table import LAST_CHANGE

ONE = Observable("ipv4", "198.51.100.1")
FIRST, LATER, LAST = "2026-01-01T00:00:00.000Z", "2026-02-01T00:00:00.000Z", "2026-03-01T00:00:00.000Z"


class Author:
    """Publishes one object, and takes it back."""

    def __init__(self, store, make, author):
        self.store, self.make, self.author = store, make, author
        self.object_id = make.indicator(ONE.value, name="x")["id"]

    def version(self, sequence, modified=FIRST, incarnation=1, **more):
        stix = self.make.indicator(ONE.value, name="x", modified=modified, **more)
        return self.sealed(stix, sequence, incarnation)

    def withdrawal(self, sequence, up_to=FIRST, *, reach=None, incarnation=1, target="", **more):
        facts = WithdrawalFacts(
            target or self.object_id,
            *(reach or (incarnation, sequence - 1)),
            None if up_to is None else parse_instant(up_to),
            more.get("reason", Reason.MISTAKE),
            more.get("replaced_by"),
        )
        said = withdrawal_object(facts, author=self.author, now=self.make.now + sequence, tlp=Tlp.GREEN)
        return self.sealed(json.loads(said), sequence, incarnation)

    def sealed(self, stix, sequence, incarnation=1):
        return self.make.envelope(stix, author=self.author, sequence=sequence, incarnation=incarnation)

    def is_revoked(self):
        return [
            one.is_revoked
            for one in self.store.knowledge.lookup([ONE]).get(ONE, ())
            if one.author == self.author
        ]


@pytest.fixture
def alpha(store, make):
    return Author(store, make, make.alpha)


@pytest.mark.parametrize("order", list(itertools.permutations(range(3))), ids=str)
@pytest.mark.parametrize("batched", [False, True], ids=["apart", "one-batch"])
def test_it_takes_its_authors_claim_and_no_others_whatever_arrives_first(store, make, alpha, order, batched):
    bravo = Author(store, make, make.bravo)
    envelopes = [alpha.version(1), bravo.version(1), alpha.withdrawal(2)]
    arrivals = [envelopes[n] for n in order]
    for batch in [arrivals] if batched else [[one] for one in arrivals]:
        store_envelopes(store, batch)
    assert (alpha.is_revoked(), bravo.is_revoked()) == ([True], [False])
    rows = store.knowledge.effective_states([ONE], make.now * 1_000_000, tlp_max=Tlp.AMBER)
    assert (rows[ONE].is_active, rows[ONE].claims) == (True, 2)


def test_a_partner_cannot_withdraw_anothers_object(store, make, alpha):
    bravo = Author(store, make, make.bravo)
    store_envelopes(store, [alpha.version(1), bravo.withdrawal(1, LAST, reach=(9, 9))])
    assert alpha.is_revoked() == [False]
    assert set(store.knowledge.withdrawals(alpha.object_id)) == {make.bravo}


@pytest.mark.parametrize(
    "late",
    [
        {"sequence": 1},  # the same envelope was taken in before; here: its version in one sealed before
        {"sequence": 9},  # published again, sealed after
        {"sequence": 9, "incarnation": 2},
        {"sequence": 2, "modified": LAST},  # unknown to the withdrawal's `up_to`, but sealed before it
        {"sequence": 2, "modified": LAST, "incarnation": 0},
    ],
    ids=str,
)
def test_nothing_old_resurrects_it(store, alpha, late):
    store_envelopes(store, [alpha.version(1), alpha.withdrawal(3)])
    store_envelopes(store, [alpha.version(**late, confidence=77)])
    assert set(alpha.is_revoked()) == {True}


@pytest.mark.parametrize("order", list(itertools.permutations(range(3))), ids=str)
def test_a_newer_version_revives_in_any_order(store, alpha, order):
    envelopes = [alpha.version(1), alpha.withdrawal(2), alpha.version(3, LATER)]
    for n in order:
        store_envelopes(store, [envelopes[n]])
    assert alpha.is_revoked() == [False]
    assert store.knowledge.withdrawals(alpha.object_id)


def test_an_old_withdrawal_published_again_does_not_kill_what_came_after(store, make, alpha):
    store_envelopes(store, [alpha.version(1), alpha.withdrawal(2), alpha.version(3, LATER)])
    store_envelopes(store, [alpha.withdrawal(4, reach=(1, 1))])
    assert alpha.is_revoked() == [False]


@pytest.mark.parametrize("order", list(itertools.permutations(range(3))), ids=str)
def test_several_reach_as_far_as_the_furthest_and_the_latest_gives_the_reason(store, make, alpha, order):
    envelopes = [
        alpha.withdrawal(2, LAST, reach=(1, 1), reason=Reason.MISTAKE),
        alpha.withdrawal(5, None, reach=(2, 1), reason=Reason.LEGAL),
        alpha.withdrawal(4, FIRST, reach=(1, 3), reason=Reason.SUPERSEDED, replaced_by=alpha.object_id),
    ]
    for n in order:
        store_envelopes(store, [envelopes[n]])
    row = store.knowledge.withdrawals(alpha.object_id)[make.alpha]
    assert (row.incarnation, row.sequence, row.up_to_us) == (2, 1, parse_instant(LAST))
    assert (row.reason, row.replaced_by) == (Reason.LEGAL, None)
    store_envelopes(store, envelopes)
    assert store.knowledge.withdrawals(alpha.object_id)[make.alpha] == row


def test_objects_without_claims_are_withdrawn_too_and_types_are_told_apart(store, make, alpha):
    opaque = {"pattern": "[ipv4-addr:value = '198.51.100.1' AND network-traffic:dst_port = 443]"}
    twin = alpha.object_id.replace("indicator--", "malware--")
    malware = {
        "type": "malware",
        "spec_version": "2.1",
        "id": twin,
        "created": FIRST,
        "modified": FIRST,
        "name": "x",
        "is_family": False,
    }
    store_envelopes(
        store, [alpha.version(1, **opaque), alpha.sealed(malware, 2), alpha.withdrawal(3, target=twin)]
    )
    revoked = {
        one: [v.is_revoked for v in store.knowledge.object_versions(one)] for one in (alpha.object_id, twin)
    }
    assert revoked == {alpha.object_id: [False], twin: [True]}
    store_envelopes(store, [alpha.version(4, LATER), alpha.withdrawal(5, LATER, target=twin)])
    assert alpha.is_revoked() == [False]
    store_envelopes(store, [alpha.withdrawal(6, LATER)])
    assert alpha.is_revoked() == [True]


def test_an_id_that_is_kept_as_text_is_withdrawn_like_any_other(store, make, alpha):
    odd = alpha.object_id.upper().replace("INDICATOR", "indicator")
    stix = make.indicator(ONE.value, id=odd)
    store_envelopes(store, [alpha.withdrawal(2, target=odd)])
    store_envelopes(store, [alpha.sealed(stix, 1)])
    assert alpha.is_revoked() == [True]


def test_a_thing_without_modified_is_withdrawn_by_its_place(store, make, alpha):
    address = {
        "type": "ipv4-addr",
        "spec_version": "2.1",
        "id": "ipv4-addr--ff26c055-6336-5bc5-b98d-13d6226742dd",
        "value": "198.51.100.3",
    }
    store_envelopes(store, [alpha.withdrawal(2, None, target=address["id"]), alpha.sealed(address, 1)])
    assert [one.is_revoked for one in store.knowledge.object_versions(address["id"])] == [True]


def test_it_stays_after_its_envelope_has_expired_and_after_a_restart(store, open_at, make, alpha):
    store_envelopes(store, [alpha.withdrawal(2)])
    store.log.expire(make.now + 4_000 * 86_400)
    store.close()
    alpha.store = open_at()
    store_envelopes(alpha.store, [alpha.version(1)])
    assert alpha.is_revoked() == [True]


def test_the_feed_tells_of_what_was_active_and_never_of_what_came_withdrawn(store, make, alpha):
    store_envelopes(store, [alpha.withdrawal(2), alpha.version(1)])
    assert store.database.setting(LAST_CHANGE) is not None
    rows = store.knowledge.effective_states([ONE], make.now * 1_000_000, tlp_max=Tlp.AMBER)
    assert (rows[ONE].status, rows[ONE].reason) == ("delisted", "withdrawn")
    assert list(store.knowledge.values((make.now + 1) * 1_000_000, tlp_max=Tlp.RED, pap_max=3)) == []


@pytest.mark.parametrize("is_said_later", [False, True], ids=["at-once", "afterwards"])
def test_what_is_withdrawn_for_another_object_is_replaced_in_every_view(
    store, store_path, alpha, is_said_later
):
    """Also when what replaces it is told after the withdrawal, when no claim changes any more."""

    def shown(view):
        return rows(store_path, f"SELECT status, reason FROM {view}")

    store_envelopes(store, [alpha.version(1)])
    if is_said_later:
        store_envelopes(store, [alpha.withdrawal(2)])
        assert shown("v1_indicators") == shown("v1_claims") == [("delisted", "withdrawn")]
    other = "indicator--00000000-0000-4000-8000-000000000001"
    store_envelopes(store, [alpha.withdrawal(3, reason=Reason.SUPERSEDED, replaced_by=other)])
    assert shown("v1_indicators") == shown("v1_claims") == [("replaced", "replaced")]
    ((op,),) = rows(store_path, "SELECT op FROM v1_changes")
    assert op == "remove"


def test_two_withdrawals_with_their_object_in_one_batch_are_no_conflict(store, alpha):
    """A trigger's OR IGNORE is overruled by the ON CONFLICT of the statement that fires it: it stopped an intake."""
    store_envelopes(store, [alpha.version(1), alpha.withdrawal(2), alpha.withdrawal(3)])
    assert alpha.is_revoked() == [True]
