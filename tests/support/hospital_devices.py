"""The made-up hospitals of hospital_devices.tsv, second_ and third_hospital_devices.tsv, what a name matcher proposes for it, and how right that is.

Counted in (device, advisory, product as the advisory writes it, with the variant that stands in place of a version): a sibling product of
the right one is wrong. A product of the truth with a question mark is counted neither way.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, NamedTuple

from p2pshare.risk.product_names import NameMatcher, OwnModel, TheirModel
from p2pshare.risk.version_statements import decide_named, names_a_variant

DEVICES = Path(__file__).parent / "hospital_devices.tsv"
SECOND_DEVICES = DEVICES.parent / "second_hospital_devices.tsv"
THIRD_DEVICES = DEVICES.parent / "third_hospital_devices.tsv"
SHARED = Path(__file__).parents[3] / "shared"
MEDICAL = SHARED / "data" / "vuln" / "csaf-medical"
CISA = SHARED / "data" / "vuln" / "csaf-cisa"


class Truth(NamedTuple):
    """What is so of one device and one product of an advisory; `decision` '' where it can be argued about."""

    advisory: str
    product: int
    decision: str


class Device(NamedTuple):
    """A row of the list."""

    name: str
    kind: str
    vendor: str
    product: str
    model: str
    version: str
    truth: tuple[Truth, ...]


class Leaf(NamedTuple):
    """A product of an advisory with what is said of versions."""

    number: int
    vendor: str
    product: str
    variant: str
    statement: str


class Advisory(NamedTuple):
    """An advisory's title and products; `name` without ICSMA."""

    name: str
    title: str
    leaves: tuple[Leaf, ...]


@dataclass
class Figures:
    """Counts over triples, and over versions of right proposals."""

    right: int = 0
    wrong: list[tuple[str, str, str, str]] = field(default_factory=list)
    missed: list[tuple[str, str, str]] = field(default_factory=list)
    equal: int = 0
    unequal: list[tuple[str, str, str, str, str]] = field(default_factory=list)

    @property
    def precision(self) -> float:
        return self.right / max(1, self.right + len(self.wrong))

    @property
    def recall(self) -> float:
        return self.right / max(1, self.right + len(self.missed))

    @property
    def equal_share(self) -> float:
        return self.equal / max(1, self.equal + len(self.unequal))

    @property
    def wrong_not_affected(self) -> list[tuple[str, str, str, str, str]]:
        return [row for row in self.unequal if row[4] == "not_affected"]


def read_devices(path: Path = DEVICES) -> list[Device]:
    rows = [
        line.split("\t") for line in path.read_text(encoding="utf-8").splitlines() if not line.startswith("#")
    ]
    devices = []
    for name, kind, vendor, product, model, version, said in rows[1:]:
        truth = []
        for one in said.split() if said != "-" else ():
            place, _, decision = one.rstrip("?").partition("=")
            advisory, _, number = place.partition("/")
            truth.append(Truth(advisory, int(number), decision))
        devices.append(Device(name, kind, vendor, product, model, version, tuple(truth)))
    return devices


def leaves_of(
    branch: dict[str, Any], above: tuple[str, ...] = ()
) -> Iterable[tuple[tuple[str, ...], dict[str, Any]]]:
    for inner in branch.get("branches", ()):
        if "branches" in inner:
            yield from leaves_of(inner, (*above, inner["name"]))
        elif "product" in inner:
            yield above, inner


def read_documents(folder: Path) -> list[dict[str, Any]]:
    """Returns the CSAF documents of a folder in the order of their paths; feeds and other lists have no product tree."""
    read = (json.loads(path.read_text(encoding="utf-8")) for path in sorted(folder.rglob("*.json")))
    return [document for document in read if "product_tree" in document]


def read_advisory(document: dict[str, Any]) -> Advisory:
    leaves = []
    for above, leaf in leaves_of(document["product_tree"]):
        statement = leaf["name"]
        number = (
            int(leaf["product"]["product_id"].rsplit("-", 1)[-1])
            if "CSAFPID-" in leaf["product"]["product_id"]
            else len(leaves) + 1
        )
        variant = statement if names_a_variant(statement) else ""
        leaves.append(Leaf(number, above[0], " ".join(above[1:]), variant, statement))
    return Advisory(
        document["document"]["tracking"]["id"].replace("ICSMA-", ""),
        document["document"]["title"],
        tuple(leaves),
    )


def read_advisories(folder: Path = MEDICAL) -> list[Advisory]:
    return [read_advisory(document) for document in read_documents(folder)]


def their_models(advisories: Sequence[Advisory]) -> dict[tuple[str, str, str], TheirModel]:
    models: dict[tuple[str, str, str], TheirModel] = {}
    for advisory in advisories:
        for leaf in advisory.leaves:
            key = (leaf.vendor, leaf.product, leaf.variant)
            models.setdefault(key, TheirModel(len(models), *key))
    return models


def own_models(devices: Sequence[Device]) -> list[OwnModel]:
    return [
        OwnModel(
            number, device.vendor, device.product, device.model, (device.version,) if device.version else ()
        )
        for number, device in enumerate(devices)
    ]


def measure(
    devices: Sequence[Device],
    advisories: Sequence[Advisory],
    judged: Callable[[str], bool] = lambda name: True,
) -> Figures:
    """Returns how right the proposals are for the advisories that `judged` takes; words are counted over all of them."""
    models = their_models(advisories)
    matcher = NameMatcher(own_models(devices))
    matcher.learn(models.values())
    figures = Figures()
    for advisory in advisories:
        if not judged(advisory.name):
            continue
        here = {leaf: models[(leaf.vendor, leaf.product, leaf.variant)] for leaf in advisory.leaves}
        by_number = {leaf.number: leaf for leaf in advisory.leaves}
        proposed = {
            (proposal.own, proposal.theirs): proposal
            for proposal in matcher.proposals(advisory.title, list(here.values()))
        }
        for number, device in enumerate(devices):
            truth = {
                by_number[one.product]: one.decision for one in device.truth if one.advisory == advisory.name
            }
            right = {here[leaf].id for leaf, decision in truth.items() if decision}
            argued = {here[leaf].id for leaf, decision in truth.items() if not decision}
            found = {theirs for own, theirs in proposed if own == number}
            figures.right += len(found & right)
            names = {model.id: f"{model.product} {model.variant}".strip() for model in here.values()}
            figures.wrong.extend(
                (device.name, advisory.name, names[theirs], "; ".join(proposed[(number, theirs)].evidence))
                for theirs in sorted(found - right - argued)
            )
            figures.missed.extend(
                (device.name, advisory.name, names[theirs]) for theirs in sorted(right - found)
            )
            for leaf, decision in truth.items():
                if decision and here[leaf].id in found:
                    state = decide_named(leaf.product, leaf.statement, device.version).state
                    if state == decision:
                        figures.equal += 1
                    else:
                        figures.unequal.append((device.name, advisory.name, leaf.statement, decision, state))
    return figures
