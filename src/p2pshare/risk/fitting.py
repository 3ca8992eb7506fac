"""Whether a component of ours is among what a product of an advisory names: pure, one pair at a time.

The answer is about the product alone; what follows from it depends on what is said of the product (`verdicts`).
"""

from __future__ import annotations

from enum import Enum
from functools import cmp_to_key, partial
from typing import NamedTuple

from p2pshare.risk.assets import Component
from p2pshare.risk.device_versions import compare
from p2pshare.risk.ecosystems import compare_packages, compare_spelling, release_tag
from p2pshare.risk.match_keys import (
    Cpe,
    Purl,
    compare_cpe,
    folded_model,
    has_wildcard,
    read_cpe,
    read_purl,
    wildcard,
)
from p2pshare.risk.statements import AdvisoryProduct
from p2pshare.risk.vendors import same_vendor
from p2pshare.risk.version_statements import decide, decide_named, is_below
from p2pshare.risk.words import FoundBy


class Within(Enum):
    """Whether our version is among those that are stated."""

    YES = "yes"
    MAYBE = "maybe"
    NO = "no"


class Fit(NamedTuple):
    """`order`: our version against the one that is stated (-1 below, 0 equal, 1 above), None where one is not stated or they do
    not compare. `is_exact`: one version is stated, not a range or all."""

    within: Within
    order: int | None
    is_exact: bool
    found_by: FoundBy
    because: str


_DECIDED = {"affected": Within.YES, "possible": Within.MAYBE, "not_affected": Within.NO}
NO_VERSION = "the inventory names no version"


def fit_by_key(component: Component, product: AdvisoryProduct) -> Fit | None:
    """Returns how the two fit by purl, by CPE or by model number, the surest first; None where they are different things."""
    if component.purl and product.purl:
        own, stated = read_purl(component.purl), read_purl(product.purl)
        if own is not None and stated is not None:
            return _fit_purl(component, own, product, stated) if own.key == stated.key else None
    if component.cpe and product.cpe:
        own_cpe, stated_cpe = read_cpe(component.cpe), read_cpe(product.cpe)
        if own_cpe is not None and stated_cpe is not None and own_cpe.key == stated_cpe.key:
            return _fit_cpe(component, own_cpe, product, stated_cpe)
    if component.model and (product.models or product.skus):
        return _fit_model(component, product)
    return None


def fit_by_name(component: Component, product: AdvisoryProduct, *, is_confirmed: bool) -> Fit:
    """Returns how the two fit where a person, or the name matcher, says that they are one model."""
    found_by = FoundBy.CONFIRMED_NAME if is_confirmed else FoundBy.CANDIDATE_NAME
    decided = decide_named(product.product, product.versions, component.version)
    within = _DECIDED[decided.state]
    return _limited(product, _with_order(within, product, component.version, found_by, decided.because))


def _fit_purl(component: Component, own: Purl, product: AdvisoryProduct, stated: Purl) -> Fit | None:
    version = own.version or component.version
    if _is_other_release(own, version, product, stated):
        return None
    found_by = FoundBy.VERSION_RANGE
    if product.ranges:
        return _ranged(own.type, version, product)
    if stated.version and not product.is_range:
        if not version:
            return Fit(Within.MAYBE, None, True, FoundBy.EXACT_PURL, NO_VERSION)
        order = compare_packages(own.type, version, stated.version)
        within = Within.YES if order == 0 else Within.MAYBE if order is None else Within.NO
        why = (
            f"{version} and {stated.version} do not compare"
            if order is None
            else f"version {stated.version} is named"
        )
        return Fit(within, order, True, FoundBy.EXACT_PURL, why)
    if not product.versions:
        return Fit(Within.YES, None, False, FoundBy.EXACT_PURL, "all versions of the package are meant")
    decided = decide(product.versions, version)
    return _with_order(_DECIDED[decided.state], product, version, found_by, decided.because)


def _is_other_release(own: Purl, version: str, product: AdvisoryProduct, stated: Purl) -> bool:
    """Returns whether the package is of another release of its distribution than what is stated: el8 and el9."""
    tag, other = release_tag(version), release_tag(stated.version or "")
    if tag and other and tag != other:
        return True
    named = next((one[1] for one in product.ranges if one[0] == "release"), "")
    release = "".join(one for one in named if one.isdigit() or one == ".")
    distro = "".join(one for one in own.distro if one.isdigit() or one == ".")
    return bool(release and distro) and not (f"{distro}.").startswith(f"{release}.") and distro != release


def _ranged(purl_type: str, version: str, product: AdvisoryProduct) -> Fit:
    if not version:
        return Fit(Within.MAYBE, None, False, FoundBy.VERSION_RANGE, NO_VERSION)
    within, because = _in_ranges(purl_type, version, product.ranges)
    return Fit(within, None, False, FoundBy.VERSION_RANGE, because)


def _in_ranges(purl_type: str, version: str, ranges: tuple[tuple[str, ...], ...]) -> tuple[Within, str]:
    """Returns whether a version is in any of OSV's ranges or lists, and why (OSV schema, section "Evaluation")."""
    unclear = ""
    for kind, *rest in ranges:
        if kind == "release":
            continue
        if kind == "versions":
            if version in rest or any(compare_spelling(version, one) for one in rest):
                return Within.YES, f"version {version} is listed"
            continue
        found, because = _in_events(purl_type, version, rest[1:])
        if found is Within.YES:
            return found, because
        if found is Within.MAYBE:
            unclear = because
    return (Within.MAYBE, unclear) if unclear else (Within.NO, "outside of the ranges")


def _in_events(purl_type: str, version: str, events: list[str]) -> tuple[Within, str]:
    """Returns whether a version lies after an `introduced` and before the `fixed`, or up to the `last_affected`, that follows:
    in the order of versions, whatever that of the file. What lies behind every `limit` is not meant."""
    pairs = list(zip(events[::2], events[1::2], strict=True))
    pairs.sort(key=cmp_to_key(partial(_order_of_events, purl_type)))
    limits = [bound for kind, bound in pairs if kind == "limit" and bound != "*"]
    if limits and all((compare_packages(purl_type, version, one) or 0) > -1 for one in limits):
        if any(compare_packages(purl_type, version, one) is None for one in limits):
            return Within.MAYBE, f"{version} and {limits[0]} do not compare"
        return Within.NO, ""
    is_inside, because = False, ""
    for kind, bound in pairs:
        if kind == "limit":
            continue
        order = 1 if kind == "introduced" and bound == "0" else compare_packages(purl_type, version, bound)
        if order is None:
            return Within.MAYBE, f"{version} and {bound} do not compare"
        if kind == "introduced" and order >= 0:
            is_inside, because = True, f"introduced in {bound}"
        elif kind == "fixed" and order >= 0:
            is_inside = False
        elif kind == "fixed" and is_inside and order < 0:
            return Within.YES, f"{because}, fixed in {bound}"
        elif kind == "last_affected" and order > 0:
            is_inside = False
        elif kind == "last_affected" and is_inside:
            return Within.YES, f"{because}, last in {bound}"
    return (Within.YES, f"{because}, no fix is named") if is_inside else (Within.NO, "")


def _order_of_events(purl_type: str, one: tuple[str, str], other: tuple[str, str]) -> int:
    """Returns which event comes first; what is introduced at a version comes after what ended there."""
    first = one == ("introduced", "0"), other == ("introduced", "0")
    if any(first):
        return first[1] - first[0]
    order = compare_packages(purl_type, one[1], other[1]) or 0
    return order or (one[0] == "introduced") - (other[0] == "introduced")


def _fit_cpe(component: Component, own: Cpe, product: AdvisoryProduct, stated: Cpe) -> Fit | None:
    is_exact = bool(stated.version) and not product.is_range and not has_wildcard(stated.version)
    fit = compare_cpe(stated, own, with_version=False)
    if not fit.fits:
        return None
    version = own.version if own.version not in ("", "-") else component.version
    unknown = ", ".join(fit.unknown)
    limited = f"the inventory's CPE names no {unknown}" if unknown else ""
    if is_exact or (stated.version and has_wildcard(stated.version)):
        if not version:
            return Fit(Within.MAYBE, None, True, FoundBy.CPE, NO_VERSION)
        if has_wildcard(version) and version != stated.version:
            return _fit_open_cpe(version, stated)
        order = 0 if version == stated.version else compare(version, stated.version) if is_exact else None
        hits = order == 0 or compare_cpe(stated, own._replace(version=version)).fits
        within = (Within.MAYBE if limited else Within.YES) if hits else Within.NO
        return Fit(within, order, is_exact, FoundBy.CPE, limited or f"version {stated.version} is named")
    if not product.versions:
        return Fit(
            Within.MAYBE if limited else Within.YES,
            None,
            False,
            FoundBy.CPE,
            limited or "all versions are meant",
        )
    decided = decide(product.versions, version)
    within = _DECIDED[decided.state]
    if within is Within.YES and limited:
        within = Within.MAYBE
    found = _with_order(within, product, version, FoundBy.VERSION_RANGE, limited or decided.because)
    return _limited(product, found)


def _fit_open_cpe(version: str, stated: Cpe) -> Fit | None:
    """Returns the fit of a version of ours with a wildcard: 8.* may be the 8.1 that is stated."""
    is_open = has_wildcard(stated.version) or wildcard(version).fullmatch(stated.version) is not None
    return Fit(Within.MAYBE, None, True, FoundBy.CPE, f"the inventory says {version}") if is_open else None


def _fit_model(component: Component, product: AdvisoryProduct) -> Fit | None:
    own = folded_model(component.model)
    numbers = (*product.models, *product.skus)
    names = any(
        wildcard(number.lower()).fullmatch(component.model.lower()) is not None
        if has_wildcard(number)
        else folded_model(number) == own
        for number in numbers
    )
    if not names or (
        component.vendor and product.vendor and not same_vendor(component.vendor, product.vendor)
    ):
        return None
    decided = decide(product.versions, component.version)
    within, because = _DECIDED[decided.state], decided.because
    if within is Within.YES and not (component.vendor and product.vendor):
        within, because = Within.MAYBE, "the number fits, and one side names no vendor"
    return _limited(product, _with_order(within, product, component.version, FoundBy.MODEL_NUMBER, because))


def _with_order(
    within: Within, product: AdvisoryProduct, version: str, found_by: FoundBy, because: str
) -> Fit:
    """Returns a fit with the order of our version against the only one that is stated, if it is one."""
    order = (
        compare(version, product.versions) if version and product.versions and not product.is_range else None
    )
    if within is Within.YES and order != 0:
        order = None
    if within is Within.NO and order is None and is_below(product.versions, version):
        order = -1
    return Fit(within, order, order == 0, found_by, because)


def _limited(product: AdvisoryProduct, fit: Fit) -> Fit:
    """Returns the fit as uncertain where only some serial numbers are meant."""
    if product.serials and fit.within is Within.YES:
        shown = ", ".join(product.serials[:3])
        return fit._replace(within=Within.MAYBE, because=f"only serial numbers {shown}")
    return fit
