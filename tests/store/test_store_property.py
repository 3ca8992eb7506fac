"""Any history of arrivals, repeats, other orders and restarts gives what a plain dictionary says."""

from __future__ import annotations

import json
import tempfile
from pathlib import Path

from copies import memory_folder
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from stored_envelopes import store_envelopes

from p2pshare.identifiers import PartnerId
from p2pshare.intel.instants import parse_instant
from p2pshare.intel.marking import Tlp
from p2pshare.intel.observable import Observable
from p2pshare.intel.withdrawing import Reason, WithdrawalFacts, withdrawal_object
from p2pshare.node.store import open_store

VALUES = [f"198.51.100.{n}" for n in range(4)]
MODIFIED = [f"2026-01-0{n}T00:00:00Z" for n in range(1, 4)]

objects = st.tuples(
    st.sampled_from(["x", "y"]),  # which object
    st.sampled_from(VALUES),
    st.sampled_from(MODIFIED),
    st.sampled_from([Tlp.CLEAR, Tlp.AMBER, Tlp.RED]),
    st.sampled_from(["readable", "opaque", "two"]),
)
withdrawals = st.tuples(
    st.just("withdraw"),
    st.sampled_from(["x", "y"]),
    st.none() | st.sampled_from(MODIFIED),
    st.integers(0, 2),  # up to this incarnation
    st.integers(0, 4),  # and sequence
)
envelopes = st.tuples(
    st.sampled_from([b"a" * 32, b"b" * 32]),
    st.integers(1, 2),  # incarnation
    st.integers(1, 4),  # sequence
    st.lists(objects | withdrawals, min_size=1, max_size=3),
)
histories = st.lists(st.lists(st.integers(0, 7), min_size=1, max_size=5), min_size=1, max_size=5)


class Model:
    """The rules of docs/store.md, "Versions", said once more over the set of envelopes, in no order of arrival."""

    def __init__(self):
        self.envelopes = {}

    def add(self, envelope_id, author, order, contents):
        self.envelopes[bytes(envelope_id)] = (author, order, contents)

    def versions(self):
        """(author, object) -> modified -> the contents that its author sealed under it, first to last."""
        found = {}
        for envelope_id, (author, order, contents) in self.envelopes.items():
            for position, content in enumerate(contents):
                if content[0] == "withdraw":
                    continue
                name, _, modified, _, _ = content
                under = found.setdefault((author, name), {}).setdefault(modified, {})
                place = (*order, envelope_id, modified, position)
                under[content] = min(under.get(content, place), place)
        return found

    def is_withdrawn(self, author, name, place, modified):
        said = [
            (up_to, reach)
            for by, _, contents in self.envelopes.values()
            for kind, target, up_to, *reach in contents
            if (kind, by, target) == ("withdraw", author, name)
        ]
        return any(
            list(place[:2]) <= reach or (up_to is not None and modified <= up_to) for up_to, reach in said
        )

    def claims(self, value):
        found = []
        for (author, name), by_modified in self.versions().items():
            current = max(by_modified.values(), key=lambda contents: min(contents.values()))
            strictest = max(content[3] for content in current)
            for content in sorted(current, key=current.__getitem__)[:2]:
                if value in values_of(content):
                    is_withdrawn = self.is_withdrawn(author, name, current[content], content[2])
                    found.append((author, MODIFIED.index(content[2]), strictest, is_withdrawn))
        return sorted(found)


def values_of(content):
    _, value, _, _, kind = content
    return {"readable": {value}, "opaque": set(), "two": {value, VALUES[0]}}[kind]


def stix(make, content, author):
    if content[0] == "withdraw":
        _, name, up_to, incarnation, sequence = content
        target = make.indicator(name=name)["id"]
        up_to_us = None if up_to is None else parse_instant(up_to)
        facts = WithdrawalFacts(target, incarnation, sequence, up_to_us, Reason.MISTAKE, None)
        return json.loads(withdrawal_object(facts, author=author, now=make.now, tlp=Tlp.GREEN))
    name, value, modified, tlp, kind = content
    pattern = {
        "readable": f"[ipv4-addr:value = '{value}']",
        "opaque": f"[ipv4-addr:value = '{value}' AND ipv4-addr:value = '{value}']",
        "two": f"[ipv4-addr:value = '{value}' OR ipv4-addr:value = '{VALUES[0]}']",
    }[kind]
    return make.indicator(
        name=name, tlp=tlp, pattern=pattern, modified=modified, confidence=MODIFIED.index(modified)
    )


@settings(max_examples=60, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(pool=st.lists(envelopes, min_size=8, max_size=8), history=histories, reopen=st.booleans())
def test_any_history_gives_what_the_model_says(make, pool, history, reopen):
    made = [
        make.envelope(
            *(stix(make, content, PartnerId(author)) for content in contents),
            author=PartnerId(author),
            incarnation=incarnation,
            sequence=sequence,
        )
        for author, incarnation, sequence, contents in pool
    ]
    model = Model()
    with tempfile.TemporaryDirectory(dir=memory_folder()) as folder:
        store = open_store(Path(folder) / "store.sqlite", free_space_bytes_min=0)
        for batch in history:
            store_envelopes(store, [made[n] for n in batch])
            for n in batch:
                author, incarnation, sequence, contents = pool[n]
                model.add(made[n].envelope_id, author, (incarnation, sequence), contents)
            if reopen:
                store.close()
                store = open_store(Path(folder) / "store.sqlite", free_space_bytes_min=0)
        found = store.knowledge.lookup([Observable("ipv4", value) for value in VALUES])
        for value in VALUES:
            rows = found.get(Observable("ipv4", value), [])
            actual = sorted((bytes(row.author), row.confidence, row.tlp, row.is_revoked) for row in rows)
            assert actual == model.claims(value)
        assert store.log.counts().held == len(model.envelopes)
        store.close()
