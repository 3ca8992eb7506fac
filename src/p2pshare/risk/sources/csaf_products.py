"""The product tree of a CSAF document (2.0 and 2.1, section 3.2.2 and 3.2.3): each product id with the product it stands for.

1. Branches nest to any depth. The last leaf holds the version, whatever its category says: many authors write `vers:all/*`
   into a `product_version`, or a model into a `product_version_range`.
2. A relationship is its `product_reference`, as part of what it relates to; that is where the purl is. Relationships may be
   made of relationships; one that leads to itself, or to nowhere, is told and says nothing.
3. A full product name without a branch has its version at the end of its name, and its vendor at the beginning.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from itertools import islice
from typing import Any

from p2pshare.risk.sources.source_files import list_in, text_in, texts_in
from p2pshare.risk.statements import AdvisoryProduct
from p2pshare.risk.vendors import vendor_group
from p2pshare.risk.version_statements import names_a_variant, read_statement

PRODUCTS_MAX = 200_000  # in one document; the largest of Red Hat have some 60,000
RELATIONSHIPS_DEEP_MAX = 16  # a component of a component of a product: real ones have two
TEXT_CHARACTERS_MAX = 1_000
MEMBERS_MAX = 2_000_000  # ids that groups stand for, in all of a document: a group of all products may be named by every remedy
VENDORS_MAX = 100  # names of vendors that the beginning of a full product name is compared with
VERSION_CHARACTERS_MAX = (
    160  # of a name's end, or of a leaf that is called otherwise, that may be versions: CISA's longest
)
VERSION_WORDS_MAX = 24
VERSION_PLACES_MAX = 6  # at which they may begin in a name; each is read
NUMBERS_MAX = 1_000  # model numbers, SKUs and serial numbers of one product

VERSION_CATEGORIES = frozenset({"product_version", "product_version_range"})
NAME_CATEGORIES = frozenset({"product_name", "product_family"})
ON_DEVICE = frozenset({"installed_on", "installed_with"})

_ARCH = re.compile(
    r"(?<=[?&])(?:arch|checksum|download_url|repository_url|repository_id|vcs_url|tag)=[^&#]*&?"
)
_VERSION_AT_END = re.compile(
    r"\s+((?:[<>]=?|=|vers:|versions?\b|all versions|prior to|v\.?\s*(?=\d)|rev\.?\s*(?=\w+$))?\s*\d[^\s]*"
    r"(?:\s+(?:sp|hf|update|build|patch|service pack|hotfix)\.?\s*\w+)*|all versions|vers:\S+|[<>]=?\s*\S+)$",
    re.IGNORECASE,
)

_VERSION_BEFORE = re.compile(
    r"((?:all|any|versions?|firmware versions?|[<>=]).{0,80}?) of (\S.*)", re.IGNORECASE
)
_VERSION_BEGINS = re.compile(
    r"[\s,]+(?=v\.?\s?\d|\d|[<>=≤≥(]|vers:|(?:all|any|versions?|releases?|rev|firmware|software|prior|before|up|through|from|until)\b)",
    re.IGNORECASE,
)
_TWO_NUMBERS = re.compile(r"\d+\s+v?\d", re.IGNORECASE)  # Viewer 8015 3.1: the first is the model


@dataclass(frozen=True)
class ProductTree:
    """The products by id, and the groups of ids. `told`: what could not be understood."""

    products: Mapping[str, AdvisoryProduct]
    groups: Mapping[str, tuple[str, ...]]
    told: list[str]
    _named: list[int] = field(default_factory=lambda: [0])

    def members(self, holder: object) -> Iterator[str]:
        """Yields the product ids that an item names, itself or through groups; of a document at most MEMBERS_MAX."""
        yield from texts_in(holder, "product_ids")
        for group in texts_in(holder, "group_ids"):
            members = self.groups.get(group, ())
            self._named[0] += len(members)
            if self._named[0] > MEMBERS_MAX:
                return
            yield from members


def read_product_tree(tree: object, publisher: str) -> ProductTree:
    """Returns the products of a tree. Never raises: what is odd is told."""
    told: list[str] = []
    products: dict[str, AdvisoryProduct] = {}
    vendors: set[str] = {publisher}
    for identifier, product in _of_branches(tree):
        if product.vendor:
            vendors.add(product.vendor)
        _add(products, identifier, product, told)
    starts = _starts(vendors)
    for named in list_in(tree, "full_product_names"):
        _add(products, text_in(named, "product_id"), _of_name(named, starts), told)
    _add_relationships([*list_in(tree, "relationships"), *_paths(tree)], products, told)
    groups = {
        text_in(group, "group_id"): texts_in(group, "product_ids")
        for group in list_in(tree, "product_groups")
    }
    return ProductTree(products, groups, told)


def _add(
    products: dict[str, AdvisoryProduct], identifier: str, product: AdvisoryProduct, told: list[str]
) -> None:
    if not identifier:
        told.append(f"a product without an id: {product.name[:80]}")
    elif identifier in products:
        told.append(f"two products with the id {identifier[:80]}: the first holds")
    elif len(products) >= PRODUCTS_MAX:
        if not told or not told[-1].startswith("more than"):
            told.append(f"more than {PRODUCTS_MAX} products: the rest is not read")
    else:
        products[identifier] = product


def _of_branches(tree: object) -> Iterator[tuple[str, AdvisoryProduct]]:
    """Yields (id, product) of each leaf, in the order of the document. The JSON's depth bounds the walk."""
    pending: list[tuple[object, tuple[tuple[str, str], ...]]] = [
        (branch, ()) for branch in reversed(list_in(tree, "branches"))
    ]
    while pending:
        branch, above = pending.pop()
        path = (*above, (text_in(branch, "category").lower(), text_in(branch, "name")[:TEXT_CHARACTERS_MAX]))
        product = branch.get("product") if isinstance(branch, dict) else None
        if isinstance(product, dict):
            yield text_in(product, "product_id"), _of_path(path, product)
        pending += [(below, path) for below in reversed(list_in(branch, "branches"))]


def _of_path(path: Sequence[tuple[str, str]], full: Mapping[str, Any]) -> AdvisoryProduct:
    """Returns the product at the end of a path of (category, name)."""
    vendor = next((name for category, name in path if category == "vendor"), "")
    names = [name for category, name in path if category in NAME_CATEGORIES]
    last_category, last = path[-1]
    is_named_above = any(category in NAME_CATEGORIES for category, _ in path[:-1])
    has_version = len(path) > 1 and (
        (last_category != "vendor" and last_category not in NAME_CATEGORIES)
        or (is_named_above and _is_version(last))
    )
    if has_version and last_category in NAME_CATEGORIES:
        names = names[:-1]
    versions = last if has_version else ""
    between = [
        name
        for category, name in path[:-1] if category not in NAME_CATEGORIES and category != "vendor"
    ]  # fmt: skip
    # A version above another one (`product_version` with a patch level below) belongs to what is said.
    above = [name for category, name in path[:-1] if category in VERSION_CATEGORIES]
    if above and last_category in ("service_pack", "patch_level"):
        versions = f"{above[-1]} {versions}"
        between = [name for name in between if name not in above]
    elif above and last_category not in VERSION_CATEGORIES and not _is_version(last):
        # An architecture or a language below the version says which build, and nothing of versions.
        versions = above[-1]
        between = [*(name for name in between if name != versions), last]
    product = names[-1] if names else text_in(full, "name")[:TEXT_CHARACTERS_MAX]
    if not names and has_version and product.endswith(f" {last}"):
        product = product.removesuffix(f" {last}")
    variant = " ".join(between)
    if not variant and versions and names_a_variant(versions):
        variant = versions
    return _with_helper(
        AdvisoryProduct(
            name=text_in(full, "name")[:TEXT_CHARACTERS_MAX] or product,
            vendor=vendor,
            product=product,
            variant=variant[:TEXT_CHARACTERS_MAX],
            versions=versions,
            is_range=last_category == "product_version_range",
        ),
        full,
    )


def _starts(vendors: set[str]) -> tuple[str, ...]:
    """Returns with what the full name of a product of these vendors may begin, the longest first."""
    few = sorted(filter(None, vendors))[:VENDORS_MAX]
    starts = {*few, *(one.split()[0] for one in few if one.split())}
    return tuple(sorted(starts, key=lambda one: (-len(one), one)))


def _of_name(full: object, starts: Sequence[str]) -> AdvisoryProduct:
    """Returns the product that stands outside the branches: `Fenn Standalone Viewer 3.1`."""
    name = text_in(full, "name")[:TEXT_CHARACTERS_MAX]
    rest, versions = _apart(name)
    vendor = next((one for one in starts if rest.lower().startswith(f"{one.lower()} ")), "")
    if vendor:
        rest = rest[len(vendor) :].strip()
    elif rest.split() and vendor_group(rest.split()[0]) in {vendor_group(one) for one in starts}:
        vendor, _, rest = rest.partition(" ")
    return _with_helper(
        AdvisoryProduct(name=name, vendor=vendor, product=rest or name, versions=versions),
        full if isinstance(full, dict) else {},
    )


def _apart(name: str) -> tuple[str, str]:
    """Returns a product's name and what it says of versions: `Viewer, versions prior to 3.2`, `All versions of Viewer`."""
    if (found := _VERSION_BEFORE.match(name)) and _is_version(found[1]):
        return found[2], found[1]
    begins = _VERSION_BEGINS.finditer(name, max(0, len(name) - VERSION_CHARACTERS_MAX))
    for start in islice(begins, VERSION_PLACES_MAX):
        rest, versions = name[: start.start()].strip(" ,"), name[start.end() :].strip()
        if rest and _is_version(versions) and not _TWO_NUMBERS.match(versions):
            return rest, versions.removeprefix("(").removesuffix(")") if versions.count(
                "("
            ) == 1 else versions
    if found := _VERSION_AT_END.search(name):
        return name[: found.start()], found[1].strip()
    return name, ""


def _is_version(text: str) -> bool:
    """Returns whether a text is understood as versions, in every part."""
    if len(text) > VERSION_CHARACTERS_MAX or text.count(" ") > VERSION_WORDS_MAX:
        return False
    return not names_a_variant(text) and all(one.kind != "doubt" for one in read_statement(text))


def _with_helper(product: AdvisoryProduct, full: Mapping[str, Any]) -> AdvisoryProduct:
    """Returns the product with what its identification helper adds (section 3.1.3.3)."""
    helper = full.get("product_identification_helper")
    purls = [
        text_in(helper, "purl"),
        *texts_in(helper, "purls"),
    ]  # 2.0 has one, 2.1 a list for one and the same thing
    return replace(
        product,
        purl=_plain_purl(next(filter(None, purls), "")),
        cpe=text_in(helper, "cpe")[:TEXT_CHARACTERS_MAX],
        models=texts_in(helper, "model_numbers")[:NUMBERS_MAX],
        skus=texts_in(helper, "skus")[:NUMBERS_MAX],
        serials=texts_in(helper, "serial_numbers")[:NUMBERS_MAX],
    )


def _plain_purl(purl: str) -> str:
    """Returns a purl without what tells builds of one package apart: five architectures are one statement."""
    return (
        _ARCH.sub("", purl[:TEXT_CHARACTERS_MAX]).rstrip("?&") if "?" in purl else purl[:TEXT_CHARACTERS_MAX]
    )


def _paths(tree: object) -> Iterator[dict[str, Any]]:
    """Yields 2.1's product paths as relationships: each step relates what has been built so far to the next product."""
    for path in list_in(tree, "product_paths"):
        steps = list_in(path, "subpaths")
        reference = text_in(path, "beginning_product_reference")
        for number, step in enumerate(steps):
            is_last = number == len(steps) - 1
            full = (
                path.get("full_product_name")
                if is_last
                else {"product_id": f"{id(path)}/{number}", "name": ""}
            )
            yield {
                "category": text_in(step, "category"),
                "full_product_name": full,
                "product_reference": reference,
                "relates_to_product_reference": text_in(step, "next_product_reference"),
            }
            reference = text_in(full, "product_id")


def _add_relationships(
    relationships: list[Any], products: dict[str, AdvisoryProduct], told: list[str]
) -> None:
    """Add what relationships name. Each is made once both its sides are there, so that a cycle is what remains."""
    waiting: dict[str, Any] = {}
    for one in relationships:
        identifier = text_in(one, "full_product_name", "product_id")
        if not identifier or identifier in products or identifier in waiting:
            told.append(f"a relationship without an id of its own: {identifier[:80]}")
        elif len(products) + len(waiting) >= PRODUCTS_MAX:
            told.append(f"more than {PRODUCTS_MAX} products: the rest is not read")
            break
        else:
            waiting[identifier] = one
    needed_by: dict[str, list[str]] = {}
    missing: dict[str, int] = {}
    for identifier, one in waiting.items():
        sides = {text_in(one, "product_reference"), text_in(one, "relates_to_product_reference")}
        absent = [
            side for side in sides if side not in products
        ]  # `sides - products.keys()` walks over all products
        missing[identifier] = len(absent)
        for side in absent:
            needed_by.setdefault(side, []).append(identifier)
    ready = [identifier for identifier, count in missing.items() if not count]
    depth: dict[str, int] = {}
    for identifier in ready:  # grows while it is walked
        one = waiting.pop(identifier)
        reference, host = text_in(one, "product_reference"), text_in(one, "relates_to_product_reference")
        depth[identifier] = 1 + max(depth.get(reference, 0), depth.get(host, 0))
        if depth[identifier] > RELATIONSHIPS_DEEP_MAX:
            told.append(f"{identifier[:80]}: relationships nest deeper than {RELATIONSHIPS_DEEP_MAX}")
            continue
        products[identifier] = _related(one, products[reference], products[host])
        for dependent in needed_by.get(identifier, ()):
            missing[dependent] -= 1
            if not missing[dependent]:
                ready.append(dependent)
    for identifier, one in waiting.items():
        both = (text_in(one, "product_reference"), text_in(one, "relates_to_product_reference"))
        lost = [side for side in both if side not in products and side not in waiting]
        why = f"leads to {lost[0][:80]!r}, which is nowhere" if lost else "leads back to itself"
        told.append(f"relationship {identifier[:80]} {why}: it says nothing")


def _related(one: Mapping[str, Any], part: AdvisoryProduct, host: AdvisoryProduct) -> AdvisoryProduct:
    """Returns `part` on `host`. Firmware that nothing else identifies is found by the device that it runs on."""
    full = one["full_product_name"]
    own = _with_helper(AdvisoryProduct(name=text_in(full, "name")[:TEXT_CHARACTERS_MAX] or part.name), full)
    related = replace(
        part,
        name=own.name,
        purl=own.purl or part.purl,
        cpe=own.cpe or part.cpe,
        models=own.models or part.models,
        skus=own.skus or part.skus,
        serials=own.serials or part.serials or host.serials,
        host=host,
    )
    is_identified = related.purl or related.cpe or related.models or related.skus
    if text_in(one, "category") in ON_DEVICE and not is_identified:
        return replace(
            related,
            vendor=host.vendor or part.vendor,
            product=host.product,
            variant=f"{host.variant} {part.product}".strip(),
            models=host.models,
            skus=host.skus,
            host=None,
        )
    return related
