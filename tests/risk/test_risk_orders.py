"""Whatever comes first: inventories, documents, newer versions and confirmations in any order come to the same findings.

Seeded histories against each other, and against a store that was told everything at once.
"""

from __future__ import annotations

import random
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path
from typing import Any

import pytest
from advisories_made import branches, csaf, leaf, written
from risk_cases import NOW

from p2pshare.errors import NotFoundError
from p2pshare.risk.risk_store import RiskStore, open_risk

VERSIONS = ("1.0", "1.1", "1.2", "2.0")
STATUSES = ("known_affected", "known_not_affected", "fixed", "under_investigation")
Step = Callable[[RiskStore, Path], None]


def document(draw: random.Random, number: int, version: int) -> dict[str, Any]:
    """A document of one vendor or of a third party, about a library, a device by its number, and a device by its name."""
    leaves, relationships, status = [], [], {name: [] for name in STATUSES}
    for place in range(draw.randint(1, 4)):
        stated = draw.choice(VERSIONS)
        identifier = f"P{place}"
        kind = draw.randrange(4)
        if kind == 0:
            leaves.append(leaf(identifier, stated, purl=f"pkg:generic/fenn/lib@{stated}"))
        elif kind == 1:
            leaves.append(
                leaf(identifier, f"<={stated}", category="product_version_range", model_numbers=["AB-1234"])
            )
        elif kind == 2:
            leaves.append(
                leaf(
                    identifier,
                    draw.choice([f"<{stated}", stated, "vers:all/*", "No version"]),
                    category="product_version_range",
                )
            )
        else:
            leaves += [
                leaf(f"L{place}", stated, purl=f"pkg:generic/fenn/lib@{stated}"),
                leaf(f"H{place}", draw.choice(("12", "13"))),
            ]
            relationships.append(
                {"category": "default_component_of", "full_product_name": {"product_id": identifier, "name": identifier},
                 "product_reference": f"L{place}", "relates_to_product_reference": f"H{place}"}
            )  # fmt: skip
        status[draw.choice(STATUSES)].append(identifier)
    is_own = draw.random() < 0.4
    return csaf(
        {name: ids for name, ids in status.items() if ids},
        {"branches": branches("Fenn", Ward_OS=leaves), "relationships": relationships},
        tracking=f"T-{number}",
        version=str(version),
        publisher="Fenn" if is_own else "CERT",
        category="vendor" if is_own else "coordinator",
        vulnerability=f"CVE-2026-100{draw.randrange(3)}",
    )


def steps(draw: random.Random) -> list[Step]:
    """What happens in a history, each part of it whenever."""
    made: list[Step] = []

    def add(content: dict[str, Any], name: str) -> None:
        made.append(
            lambda store, folder: _ignored(store.add_source("csaf", written(folder, name, content), now=NOW))
        )

    for number in range(3):
        for version in range(1, draw.randint(1, 3) + 1):
            add(document(draw, number, version), f"d{number}-{version}.json")
    for host in ("12", "13"):
        libs = [
            {
                "type": "library",
                "bom-ref": f"lib{one}",
                "name": "lib",
                "version": one,
                "purl": f"pkg:generic/fenn/lib@{one}",
            }
            for one in draw.sample(VERSIONS, 2)
        ]
        content = {
            "bomFormat": "CycloneDX", "specVersion": "1.5", "version": 1, "components": libs,
            "metadata": {"component": {"type": "device", "name": "Ward OS", "version": host, "bom-ref": "os", "supplier": {"name": "Fenn"}}},
        }  # fmt: skip
        made.append(
            lambda store, folder, content=content, host=host: _ignored(  # type: ignore[misc]
                store.import_inventory(
                    written(folder, f"{host}.cdx.json", content), asset=f"host {host}", now=NOW
                )
            )
        )
    # What an asset is may be known from another file than what is on it.
    host = {
        "type": "device",
        "name": "Ward OS",
        "version": "13",
        "bom-ref": "os",
        "supplier": {"name": "Fenn"},
    }
    apart = {
        "bomFormat": "CycloneDX",
        "specVersion": "1.5",
        "version": 1,
        "metadata": {"component": host},
        "components": [],
    }
    made.append(
        lambda store, folder: _ignored(
            store.import_inventory(written(folder, "apart.cdx.json", apart), asset="l1.1", now=NOW)
        )
    )
    rows = "".join(
        f"d{one},Fenn,Ward OS,AB-1234,{one},\nn{one},Fenn,Ward OS,,{one},\nl{one},,,,,pkg:generic/fenn/lib@{one}\n"
        for one in VERSIONS
    )
    made.append(
        lambda store, folder: _ignored(
            store.import_inventory(
                written(folder, "l.csv", f"asset,vendor,product,model,version,purl\n{rows}"), now=NOW
            )
        )
    )
    return made


def _ignored(_: object) -> None:
    return


def outcome(store: RiskStore) -> dict[tuple[str, str, str], tuple[Any, ...]]:
    """What a store comes to once every proposal is confirmed."""
    with suppress(NotFoundError):
        store.decide_aliases(product="Ward OS", status="confirmed", by="a person", now=NOW)
    return {
        (one.asset, one.component["ref"] or one.component["version"], one.vulnerability): (
            one.state, one.match, one.because, sorted((each["document"], each["state"]) for each in one.disagreement)
        )
        for one in store.rank(now=NOW, with_all=True)
    }  # fmt: skip


@pytest.mark.parametrize("seed", range(12))
def test_any_order_comes_to_the_same(seed: int, tmp_path: Path) -> None:
    draw = random.Random(seed)
    history = steps(draw)
    found = []
    for run in range(3):
        folder = tmp_path / str(run)
        folder.mkdir()
        store = open_risk(folder / "risk.sqlite")
        order = history[:] if run == 0 else random.Random(f"{seed} {run}").sample(history, len(history))
        for step in order:
            step(store, folder)
        if run == 2:  # and again, which changes nothing
            for step in random.Random(seed).sample(history, len(history)):
                step(store, folder)
        found.append(outcome(store))
        assert_hits_are_the_verdicts_sum(store)
        store.close()
    assert found[0] == found[1] == found[2]
    assert found[0]


def assert_hits_are_the_verdicts_sum(store: RiskStore) -> None:
    """Each verdict has its hit, and each hit a verdict."""
    verdicts = store.fetch(
        "SELECT DISTINCT component, vulnerability, asset_component FROM verdict ORDER BY 1, 2, 3"
    )
    assert verdicts == store.fetch(
        "SELECT component, vulnerability, asset_component FROM hit ORDER BY 1, 2, 3"
    )
    assert not store.fetch(
        "SELECT 1 FROM verdict WHERE asset_component > 0 AND asset_component NOT IN (SELECT id FROM asset_component)"
    )
