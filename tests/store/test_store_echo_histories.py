"""Any history of publishing, passing on, repeating, saying independently, taking back and affirming: a value is active exactly
where an un-withdrawn independent statement is held, and three stores that hold the same say the same, whatever came first."""

from __future__ import annotations

import itertools
import random
import tempfile
from contextlib import ExitStack, closing
from pathlib import Path

from copies import memory_folder
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from passing_on import Partner
from store_rows import named_rows
from stored_envelopes import store_envelopes

from p2pshare.identifiers import PartnerId
from p2pshare.intel.derivation import ObjectOrigin, read_derivation, with_derivation
from p2pshare.intel.instants import parse_instant
from p2pshare.node.store import open_store

AUTHORS = [PartnerId(letter * 32) for letter in (b"a", b"b", b"c")]
VALUES = [f"198.51.100.{number}" for number in range(1, 5)]

steps = st.tuples(
    st.sampled_from(
        ["publish", "restate", "restate", "restate", "repeat", "own", "withdraw", "withdraw", "revoke", "old"]
    ),
    st.integers(0, 2),  # who
    st.integers(0, 9),  # which of the objects so far, or which value
    st.sampled_from([False, False, True]),  # whether a chain is named
)
histories = st.lists(steps, min_size=14, max_size=28)


class History:
    """Envelopes of partners that act on what any of them has said, and what each envelope says."""

    def __init__(self, make):
        clock = [0]
        self.partners = [Partner(make, author, clock) for author in AUTHORS]
        self.make = make
        self.said = []
        """(author, object) of every object so far."""
        self.envelopes = []
        """(envelope, author, place in its chain, when sealed in microseconds, object)."""

    def take(self, step):
        kind, who, which, is_chained = step
        partner = self.partners[who]
        own = [key for key in self.said if key[0] == who]
        if kind == "publish":
            stix = partner.indicator(VALUES[which % 4], f"{who} {which // 2}")
        elif kind == "own":
            stix = partner.indicator(VALUES[which % 4], f"own {who} {len(self.envelopes)}")
        elif kind in ("withdraw", "revoke", "old"):
            if not own:
                return
            _, object_id = own[which % min(2, len(own))]  # mostly what was said first: others stem from it
            latest = partner.latest[object_id]
            if kind == "withdraw":
                stix = partner.taking_back(object_id)
            elif kind == "revoke":
                stix = latest | {"modified": partner.instant(), "revoked": True}
            else:  # a version that is dated back
                stix = latest | {"modified": f"2026-05-05T00:00:{len(self.envelopes):02}Z"}
        else:
            others = [key for key in self.said if key[0] != who]
            if not others:
                return
            by, object_id = others[-1 - which % min(3, len(others))]  # mostly of what was said last: chains
            theirs = self.partners[by].latest[object_id]
            origin = ObjectOrigin(AUTHORS[by], object_id)
            said = read_derivation(theirs)
            if kind == "repeat":
                stix = with_derivation(theirs, None)
            else:
                stix = partner.restated(origin, theirs, said if is_chained else None)
                stix.pop("revoked", None)
        if kind != "withdraw":
            partner.latest[stix["id"]] = stix
            if (who, stix["id"]) not in self.said:
                self.said.append((who, stix["id"]))
        envelope = partner.seal(stix)
        sealed_us = envelope.envelope.core.created * 1_000_000
        self.envelopes.append((envelope, who, partner.sequence, sealed_us, stix))


class Model:
    """The rules, said once more over a set of envelopes in no order."""

    def __init__(self, envelopes):
        self.withdrawals, versions = {}, {}
        for _, who, sequence, sealed_us, stix in envelopes:
            if stix["type"] == "p2pshare-withdrawal":
                key = (who, stix["object_ref"])
                reach = (stix["up_to_sequence"], parse_instant(stix["up_to"]))
                self.withdrawals.setdefault(key, []).append(
                    (reach, min(parse_instant(stix["modified"]), sealed_us))
                )
            else:
                by_modified = versions.setdefault((who, stix["id"]), {}).setdefault(
                    parse_instant(stix["modified"]), []
                )
                by_modified.append((sequence, sealed_us, stix))
        self.current = {}
        for key, by_modified in versions.items():
            # one content a `modified` here; it stands where it was first sealed
            first = {modified: min(said, key=lambda one: one[0]) for modified, said in by_modified.items()}
            modified = max(first, key=lambda one: first[one][0])
            self.current[key] = (modified, *first[modified])

    def is_withdrawn(self, key):
        modified, sequence, _, stix = self.current[key]
        return bool(stix.get("revoked")) or any(
            sequence <= up_to_sequence or modified <= up_to
            for (up_to_sequence, up_to), _ in self.withdrawals.get(key, ())
        )

    def fell_at(self, key):
        """When the object was withdrawn; None while it stands."""
        if key in self.current and not self.is_withdrawn(key):
            return None
        instants = [said for _, said in self.withdrawals.get(key, ())]
        if key in self.current:
            modified, _, sealed_us, _ = self.current[key]
            instants.append(min(modified, sealed_us))
        return max(instants, default=None)

    def names(self, key):
        said = read_derivation(self.current[key][3]) if key in self.current else None
        return [] if said is None else [(AUTHORS.index(one.author), one.object_id) for one in said.origins]

    def is_fallen(self, key):
        seen, pending = set(), self.names(key)
        while pending:
            one = pending.pop()
            if one not in seen:
                seen.add(one)
                pending += self.names(one)
        return any((at := self.fell_at(one)) is not None and self.current[key][0] <= at for one in seen)

    def about(self, value):
        return [key for key, (*_, stix) in self.current.items() if f"'{value}'" in stix["pattern"]]

    def live(self, value):
        return [key for key in self.about(value) if not self.is_withdrawn(key) and not self.is_fallen(key)]

    def sources(self, value):
        decisive = self.live(value) or self.about(value)
        by_author = {}
        for key in decisive:
            stems, pending = set(), [key]
            is_own = not self.names(key)
            seen = set()
            while pending:
                one = pending.pop()
                if one not in seen:
                    seen.add(one)
                    further = self.names(one) if one in self.about(value) else []
                    if one != key or is_own:
                        stems |= set(one)  # the author, and the id
                    pending += further
            by_author.setdefault(key[0], {}).setdefault(is_own, set()).update(stems)
        stems = [of[max(of)] | {author} for author, of in by_author.items()]
        return max(
            size
            for size in range(len(stems) + 1)
            for some in itertools.combinations(stems, size)
            if all(one.isdisjoint(other) for one, other in itertools.combinations(some, 2))
        )


def shown(store):
    path = store.database.path
    indicators = named_rows(
        path,
        "SELECT value, active, authors, claims, sources, score, status FROM v1_indicators ORDER BY value",
    )
    claims = named_rows(
        path,
        "SELECT value, author, object_id, status, reason, source, derived_from, possible_echo FROM v1_claims ORDER BY 1, 2, 3, 4, 5, 6, 7, 8",
    )
    return indicators, claims


@settings(max_examples=40, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(
    history=histories,
    seed=st.integers(0, 2**32),
    missing=st.integers(0, 40),
    batch=st.integers(1, 3),
)
def test_a_value_is_active_exactly_where_an_unwithdrawn_statement_is_held(
    make, history, seed, missing, batch
):
    world = History(make)
    for step in [("publish", 0, 0, False), *history]:
        world.take(step)
    held = [one for number, one in enumerate(world.envelopes) if number != missing]
    model, order = Model(held), random.Random(seed)
    with tempfile.TemporaryDirectory(dir=memory_folder()) as folder, ExitStack() as opened:
        found = []
        for number in range(3):
            store = opened.enter_context(
                closing(open_store(Path(folder) / f"{number}.sqlite", free_space_bytes_min=0))
            )
            arrivals = (
                [one[0] for one in held] if number == 0 else order.sample([one[0] for one in held], len(held))
            )
            for start in range(0, len(arrivals), batch):
                store_envelopes(store, arrivals[start : start + batch])
            found.append(shown(store))
        assert found[0] == found[1] == found[2]
        indicators, claims = found[0]
        assert {row["value"]: bool(row["active"]) for row in indicators} == {
            value: bool(model.live(value)) for value in VALUES if model.about(value)
        }
        assert {row["value"]: row["sources"] for row in indicators} == {
            value: model.sources(value) for value in VALUES if model.about(value)
        }
        for row in claims:
            key = (AUTHORS.index(PartnerId.parse(row["author"])), row["object_id"])
            expected = (
                "withdrawn"
                if model.is_withdrawn(key)
                else "origin-withdrawn"
                if model.is_fallen(key)
                else None
            )
            assert row["reason"] == expected
        for row in indicators:
            own = [one for one in claims if one["value"] == row["value"]]
            decisive = [one for one in own if one["status"] == "active"] or own
            assert row["sources"] == len({one["source"] for one in decisive})
