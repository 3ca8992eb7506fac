"""Answer of the topology doctor: partners by name instead of number, in the JSON that `doctor topology` promises."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from typing import Any

from p2pshare.identifiers import PartnerId
from p2pshare.limits import TOPOLOGY_EXACT_PARTNERS_MAX
from p2pshare.topology.circles import CircleReport, PartnerList, examine


def examine_lists(lists: Sequence[PartnerList], replaced: Sequence[PartnerList]) -> dict[str, Any]:
    """Returns the JSON of `p2pshare doctor topology`. `lists`: one of each partner; `replaced`: older ones left aside."""
    reports = examine(lists)
    labels = _labels(lists)
    return {
        "well": all(report.is_well for report in reports),
        "complete": not any(report.missing for report in reports),
        "lists": len(lists),
        "replaced": [labels[one.owner] for one in replaced],
        "circles": [_describe(report, labels) for report in reports],
        "partner_ids": {label: partner_id.text for partner_id, label in sorted(labels.items())},
    }


def _labels(lists: Sequence[PartnerList]) -> dict[PartnerId, str]:
    """Returns a name for each partner in the lists, its own where its list is there; with a piece of the id
    where two partners have one name."""
    names: dict[PartnerId, str] = {}
    for one in lists:
        names.update((entry.partner_id, entry.name) for entry in one.partners)
    names.update((one.owner, one.name) for one in lists)
    times = Counter(map(str.casefold, names.values()))
    return {
        partner_id: name if times[name.casefold()] == 1 else f"{name} ({partner_id.short})"
        for partner_id, name in names.items()
    }


def _describe(report: CircleReport, labels: Mapping[PartnerId, str]) -> dict[str, Any]:
    names = [labels[partner_id] for partner_id in report.partners]

    def named(places: Iterable[int]) -> list[str]:
        return [names[place] for place in places]

    return {
        "name": report.name,
        "well": report.is_well,
        "partners": names,
        "links": report.links,
        "components": [named(piece) for piece in report.pieces],
        "cut_partners": named(report.cut_partners),
        "cut_links": [named(link) for link in report.cut_links],
        "diameter": max(report.diameters) if len(report.pieces) == 1 else None,
        "diameter_is_exact": len(report.partners) <= TOPOLOGY_EXACT_PARTNERS_MAX,
        "dial_out_only": named(report.dial_out_only),
        "few_peers": named(report.lonely),
        "one_sided": [
            {"partner": labels[one.owner], "other": labels[one.other], "reason": one.lacks}
            for one in report.one_sided
        ],
        "missing": [labels[partner_id] for partner_id in report.missing],
        "mends": [
            {"between": named(mend.between), "for": mend.aim.value, "enough": mend.is_enough}
            for mend in report.mends
        ],
    }
