"""Any history of arrivals, repeats, other orders and restarts gives what a plain dictionary says."""

from __future__ import annotations

import tempfile
from pathlib import Path

from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from p2pshare.intel.marking import Tlp
from p2pshare.intel.observable import Observable
from p2pshare.store.sqlite import open_store

VALUES = [f"198.51.100.{n}" for n in range(4)]
MODIFIED = [f"2026-01-0{n}T00:00:00Z" for n in range(1, 4)]

objects = st.tuples(
    st.sampled_from(["x", "y"]),  # which object
    st.sampled_from(VALUES),
    st.sampled_from(MODIFIED),
    st.sampled_from([Tlp.CLEAR, Tlp.AMBER, Tlp.RED]),
    st.sampled_from(["readable", "opaque", "two"]),
)
envelopes = st.tuples(
    st.sampled_from([b"a" * 32, b"b" * 32]),
    st.integers(1, 2),  # incarnation
    st.integers(1, 4),  # sequence
    st.lists(objects, min_size=1, max_size=3),
)
histories = st.lists(st.lists(st.integers(0, 7), min_size=1, max_size=5), min_size=1, max_size=5)


class Model:
    """The rules of docs/store.md, "Versions", said once more with dictionaries and no cleverness."""

    def __init__(self):
        self.envelopes = set()
        self.versions = {}  # (author, object) -> list of dictionaries, in order of arrival

    def add(self, envelope_id, author, order, contents):
        if envelope_id in self.envelopes:
            return
        self.envelopes.add(envelope_id)
        place = len(self.envelopes)
        for position, content in enumerate(contents):
            self._add_version(author, order, (place, position), content)

    def _add_version(self, author, order, place, content):
        name, _, modified, tlp, _ = content
        known = self.versions.setdefault((author, name), [])
        twins = [one for one in known if one["content"][2] == modified]
        same = [one for one in twins if one["content"] == content]
        for one in twins:
            one["tlp"] = max(one["tlp"], tlp)
        if same or len(twins) >= 2:
            return
        new = {"content": content, "order": (*order, modified, place), "tlp": tlp}
        if twins:
            new["tlp"] = max(tlp, *(one["tlp"] for one in twins))
            new["current"] = any(one["current"] for one in twins)
        else:
            new["current"] = all(one["order"] < new["order"] for one in known if one["current"])
            if new["current"]:
                for one in known:
                    one["current"] = False
        known.append(new)

    def claims(self, value):
        found = []
        for (author, _), versions in self.versions.items():
            for one in versions:
                if one["current"] and value in values_of(one["content"]):
                    found.append((author, MODIFIED.index(one["content"][2]), one["tlp"]))
        return sorted(found)


def values_of(content):
    _, value, _, _, kind = content
    return {"readable": {value}, "opaque": set(), "two": {value, VALUES[0]}}[kind]


def stix(make, content):
    name, value, modified, tlp, kind = content
    pattern = {
        "readable": f"[ipv4-addr:value = '{value}']",
        "opaque": f"[ipv4-addr:value = '{value}' AND ipv4-addr:value = '{value}']",
        "two": f"[ipv4-addr:value = '{value}' OR ipv4-addr:value = '{VALUES[0]}']",
    }[kind]
    return make.indicator(
        name=name, tlp=tlp, pattern=pattern, modified=modified, confidence=MODIFIED.index(modified)
    )


@settings(max_examples=60, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(pool=st.lists(envelopes, min_size=8, max_size=8), history=histories, reopen=st.booleans())
def test_any_history_gives_what_the_model_says(make, pool, history, reopen):
    made = [
        make.envelope(
            *(stix(make, content) for content in contents),
            author=make.alpha if author[:1] == b"a" else make.bravo,
            incarnation=incarnation,
            sequence=sequence,
        )
        for author, incarnation, sequence, contents in pool
    ]
    model = Model()
    with tempfile.TemporaryDirectory() as folder:
        store = open_store(Path(folder) / "store.sqlite", free_space_bytes_min=0)
        for batch in history:
            store.add_envelopes([made[n] for n in batch])
            for n in batch:
                author, incarnation, sequence, contents = pool[n]
                model.add(made[n].envelope_id, author, (incarnation, sequence), contents)
            if reopen:
                store.close()
                store = open_store(Path(folder) / "store.sqlite", free_space_bytes_min=0)
        found = store.lookup([Observable("ipv4", value) for value in VALUES])
        for value in VALUES:
            rows = found.get(Observable("ipv4", value), [])
            actual = sorted((bytes(row.author), row.confidence, row.tlp) for row in rows)
            assert actual == model.claims(value)
        assert store.counts().held == len(model.envelopes)
        store.close()
