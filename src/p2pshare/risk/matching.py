# ruff: noqa: S608 - statements are put together from this program's own text only
"""Where both sides meet: components of ours and products of advisories that share a key, or an alias.

Only what is new is matched: the components of an import against all statements, the statements of a document against all
components, one alias against its two sides. What all documents say of a component is then added up anew (`hit`).
"""

from __future__ import annotations

import json
from array import array
from collections import defaultdict
from collections.abc import Collection, Iterable, Sequence
from functools import lru_cache
from itertools import groupby, islice
from typing import Any, NamedTuple

import apsw

from p2pshare.database.arrays import MANY, row_ids
from p2pshare.database.fetching import fetch
from p2pshare.risk.assets import Component
from p2pshare.risk.fitting import Fit, Within, fit_by_key, fit_by_name
from p2pshare.risk.match_keys import read_cpe, read_purl
from p2pshare.risk.statements import AdvisoryProduct, decoded_reference
from p2pshare.risk.vendors import same_vendor, vendor_group
from p2pshare.risk.verdicts import StatementSays, Verdict, of_all, of_document, say
from p2pshare.risk.version_statements import decide
from p2pshare.risk.words import FoundBy, RiskState

COMPONENTS_PER_STEP = 2_000  # their pairs and verdicts are held in memory: some 50,000 rows
PAIRS_MAX = 500_000  # of components and products that are compared at once, and of one document: 100 MB and some ten seconds
CHANGES_KEPT_DAYS = 400  # of hit_change: a year and a bit, for reports over twelve months

_PAIRS = {
    "component": f"""SELECT ck.component, pk.product, 0 FROM {MANY} AS wanted
        CROSS JOIN component_key AS ck ON ck.component = wanted.value CROSS JOIN product_key AS pk ON pk.key = ck.key
        UNION SELECT component.id, product.id, CASE alias.status WHEN 'confirmed' THEN 2 ELSE 1 END
        FROM {MANY} AS wanted CROSS JOIN component ON component.id = wanted.value
        CROSS JOIN alias ON alias.own_model = component.own_model AND alias.status <> 'rejected'
        CROSS JOIN advisory_product AS product ON product.their_model = alias.their_model
        ORDER BY 1, 2, 3 DESC""",
    "product": f"""SELECT ck.component, pk.product, 0 FROM {MANY} AS wanted
        CROSS JOIN product_key AS pk ON pk.product = wanted.value CROSS JOIN component_key AS ck ON ck.key = pk.key
        UNION SELECT component.id, product.id, CASE alias.status WHEN 'confirmed' THEN 2 ELSE 1 END
        FROM {MANY} AS wanted CROSS JOIN advisory_product AS product ON product.id = wanted.value
        CROSS JOIN alias ON alias.their_model = product.their_model AND alias.status <> 'rejected'
        CROSS JOIN component ON component.own_model = alias.own_model
        ORDER BY 1, 2, 3 DESC""",
}


class _Statement(NamedTuple):
    document: int
    vulnerability: int
    status: str
    affects_below: bool
    justification: str


class _Document(NamedTuple):
    publisher: str
    category: str
    namespace: str
    kind: str
    partner: str


_VerdictKey = tuple[int, int, int, int]
"""Component, place (0 for everywhere), vulnerability, document."""


class Matching:
    """One run over what is new, inside a transaction. `told`: what could not be placed, as (document, sentence)."""

    def __init__(self, writer: apsw.Connection, now: int) -> None:
        self.told: list[tuple[int, str]] = []
        self._writer = writer
        self._now = now
        self._products: dict[int, tuple[AdvisoryProduct, int | None]] = {}
        self._documents: dict[int, _Document] = {}
        self._hosts: dict[int, dict[int, bool]] = {}

    # --- what is new ---

    def match_import(self, file: int, assets: Collection[int]) -> None:
        """Compare the components of an import, and those on its assets of which something is said in one product alone: an
        asset may be known to have the product only now."""
        components = array("q")
        for (component,) in self._writer.execute(
            f"""SELECT component FROM asset_component WHERE file = ? UNION
            SELECT place.component FROM {MANY} AS wanted CROSS JOIN asset_component AS place ON place.asset = wanted.value
            CROSS JOIN component_key AS ck ON ck.component = place.component CROSS JOIN product_key AS pk ON pk.key = ck.key
            CROSS JOIN advisory_product AS product ON product.id = pk.product AND product.host IS NOT NULL ORDER BY 1""",
            (file, row_ids(assets or (0,))),
        ):
            components.append(int(component))
        self.match_components(components)

    def match_components(self, components: Sequence[int]) -> None:
        """Compare components with all statements, in place of what was found for them before."""
        for start in range(0, len(components), COMPONENTS_PER_STEP):
            self._match_step(components[start : start + COMPONENTS_PER_STEP])

    def _match_step(self, step: Sequence[int]) -> None:
        """Compare some components; half of them at a time where they have too many pairs to be held."""
        ids = row_ids(step)
        ((count,),) = fetch(self._writer, f"SELECT count(*) FROM ({_PAIRS['component']})", (ids, ids))
        if count > PAIRS_MAX and len(step) > 1:
            half = len(step) // 2
            self._match_step(step[:half])
            self._match_step(step[half:])
            return
        self._writer.execute(f"DELETE FROM verdict WHERE component IN (SELECT value FROM {MANY})", (ids,))
        said = self._said(fetch(self._writer, _PAIRS["component"], (ids, ids)), None)
        self._say_links(said, self._links_of(step))
        self._store(said)
        self.add_up(step)

    def pairs_of(self, document: int) -> int:
        """Returns with how many pairs of a component and a product a document would have to do, counted up to PAIRS_MAX + 1."""
        ((count,),) = fetch(
            self._writer,
            """SELECT count(*) FROM (SELECT 1 FROM (SELECT DISTINCT product FROM statement WHERE document = ?) AS named
            CROSS JOIN product_key AS pk ON pk.product = named.product CROSS JOIN component_key AS ck ON ck.key = pk.key LIMIT ?)""",
            (document, PAIRS_MAX + 1),
        )
        return int(count)

    def match_documents(self, documents: Collection[int], touched: Iterable[int] = ()) -> None:
        """Compare the statements of new documents with all components; `touched` are components that lost a verdict."""
        if not documents:
            self.add_up(set(touched))
            return
        chosen = set(documents)
        products = [
            one
            for (one,) in fetch(
                self._writer,
                f"SELECT DISTINCT product FROM {MANY} AS wanted JOIN statement ON statement.document = wanted.value WHERE product IS NOT NULL",
                (row_ids(chosen),),
            )
        ]
        said: dict[_VerdictKey, list[StatementSays]] = defaultdict(list)
        for start in range(0, len(products), COMPONENTS_PER_STEP):
            step = products[start : start + COMPONENTS_PER_STEP]
            pairs = fetch(self._writer, _PAIRS["product"], (row_ids(step), row_ids(step)))
            for key, several in self._said(pairs, chosen).items():
                said[key] += several
        links = fetch(
            self._writer,
            f"""SELECT statement.id, link, document, vulnerability, status, justification, product FROM {MANY} AS wanted
            JOIN statement ON statement.document = wanted.value WHERE link <> ''""",
            (row_ids(chosen),),
        )
        self._say_links(said, links)
        self._store(said)
        self.add_up({component for component, *_ in said} | set(touched))

    # --- from pairs to verdicts ---

    def _said(
        self, pairs: Sequence[tuple[int, int, int]], chosen: set[int] | None
    ) -> dict[_VerdictKey, list[StatementSays]]:
        """Returns what the statements about each pair say; only those of the documents `chosen`, if any are."""
        said: dict[_VerdictKey, list[StatementSays]] = defaultdict(list)
        if not pairs:
            return said
        components = self._components({component for component, _, _ in pairs})
        self._load_products({product for _, product, _ in pairs})
        statements = self._statements({product for _, product, _ in pairs}, chosen)
        for (component, product), several in groupby(pairs, lambda pair: pair[:2]):
            about = statements.get(product)
            if not about:
                continue
            stated, host = self._products[product]
            fit = self._fit(components[component], stated, [one[2] for one in several])
            if fit is None:
                continue
            places = [(0, False)] if host is None else self._places(component, host)
            for statement in about:
                one = say(
                    fit,
                    statement.status,
                    affects_below=statement.affects_below,
                    justification=statement.justification,
                )
                if one is None:
                    continue
                for place, is_host_known in places:
                    if host is not None and not is_host_known and statement.status == "not_affected":
                        continue  # said of the component in one product; whether it holds in ours is not known
                    said[component, place, statement.vulnerability, statement.document].append(one)
        return said

    def _fit(self, component: Component, product: AdvisoryProduct, ways: Sequence[int]) -> Fit | None:
        """Returns the surest way in which they fit: a key, then a confirmed name, then a proposed one."""
        if 0 in ways and (fit := fit_by_key(component, product)) is not None:
            return fit
        names = [way for way in ways if way]
        return fit_by_name(component, product, is_confirmed=2 in names) if names else None

    def _components(self, ids: Collection[int]) -> dict[int, Component]:
        rows = fetch(
            self._writer,
            f"""SELECT component.id, purl, cpe, vendor, product, model, version FROM {MANY} AS wanted
            CROSS JOIN component ON component.id = wanted.value""",
            (row_ids(ids),),
        )
        return {number: Component(*texts) for number, *texts in rows}

    def _load_products(self, ids: Collection[int]) -> None:
        missing = [one for one in ids if one not in self._products]
        if not missing:
            return
        if len(self._products) > 200_000:
            self._products.clear()
            missing = list(ids)
        for (
            number,
            vendor,
            product,
            variant,
            name,
            versions,
            is_range,
            ranges,
            purl,
            cpe,
            models,
            skus,
            serials,
            host,
        ) in fetch(
            self._writer,
            f"""SELECT product.id, coalesce(theirs.vendor, ''), coalesce(theirs.product, product.name), coalesce(theirs.variant, ''),
            product.name, versions, is_range, ranges, purl, cpe, models, skus, serials, host FROM {MANY} AS wanted
            CROSS JOIN advisory_product AS product ON product.id = wanted.value
            LEFT JOIN their_model AS theirs ON theirs.id = product.their_model""",
            (row_ids(missing),),
        ):
            self._products[number] = (
                AdvisoryProduct(
                    name=name,
                    vendor=vendor,
                    product=product,
                    variant=variant,
                    versions=versions,
                    is_range=bool(is_range),
                    ranges=tuple(tuple(one) for one in json.loads(ranges)) if ranges else (),
                    purl=purl,
                    cpe=cpe,
                    models=_texts(models),
                    skus=_texts(skus),
                    serials=_texts(serials),
                ),
                host,
            )

    def _statements(self, products: Collection[int], chosen: set[int] | None) -> dict[int, list[_Statement]]:
        found: dict[int, list[_Statement]] = defaultdict(list)
        for product, document, *rest in fetch(
            self._writer,
            f"""SELECT statement.product, document, vulnerability, status, affects_below, justification FROM {MANY} AS wanted
            CROSS JOIN statement ON statement.product = wanted.value WHERE link = ''""",
            (row_ids(products),),
        ):
            if chosen is None or document in chosen:
                found[product].append(_Statement(document, *rest))
        return found

    # --- hosts: "in the same product" ---

    def _places(self, component: int, host: int) -> list[tuple[int, bool]]:
        """Returns the places of a component about which a statement on `host` speaks, and whether the host is known there.

        [(0, False)] where no asset with the component has any version of the host.
        """
        known = self._hosting(host)
        rows = fetch(self._writer, "SELECT id, asset FROM asset_component WHERE component = ?", (component,))
        if not any(asset in known for _, asset in rows):
            return [(0, False)]
        return [(place, asset in known) for place, asset in rows if known.get(asset, True)]

    def _hosting(self, host: int) -> dict[int, bool]:
        """Returns assets that have the host: True where the version may be the one that is stated, False where it is another."""
        if host in self._hosts:
            return self._hosts[host]
        self._load_products([host])
        stated, above = self._products[host]
        known: dict[int, bool] = {}
        ids = [
            one
            for (one,) in fetch(
                self._writer,
                """SELECT ck.component FROM product_key AS pk CROSS JOIN component_key AS ck ON ck.key = pk.key WHERE pk.product = ?
                UNION SELECT id FROM component WHERE product = ? COLLATE NOCASE AND product <> ''""",
                (host, stated.product),
            )
        ]
        for number, own in self._components(ids).items() if ids else ():
            fits = self._is_host(own, stated)
            for (asset,) in fetch(
                self._writer, "SELECT asset FROM asset_component WHERE component = ?", (number,)
            ):
                known[asset] = known.get(asset, False) or fits
        if above is not None and known:
            higher = self._hosting(above)
            known = {asset: fits and higher.get(asset, True) for asset, fits in known.items()}
        self._hosts[host] = known
        return known

    def _is_host(self, own: Component, stated: AdvisoryProduct) -> bool:
        fit = fit_by_key(own, stated)
        if fit is not None and fit.within is not Within.NO:
            return True
        stated_cpe, own_cpe = read_cpe(stated.cpe), read_cpe(own.cpe)
        if stated_cpe is not None and own_cpe is not None and stated_cpe.key == own_cpe.key:
            # 9.4 is a 9: platforms are named by their major version
            return (own_cpe.version or own.version).startswith(f"{stated_cpe.version}.")
        if own.vendor and stated.vendor and not same_vendor(own.vendor, stated.vendor):
            return True  # another's product of the same name says nothing about this one
        if not stated.versions or not own.version:
            return True
        return decide(stated.versions, own.version).state != "not_affected"

    # --- BOM-Links ---

    def _links_of(self, components: Sequence[int]) -> list[tuple[Any, ...]]:
        """Returns the statements that name a place of these components by BOM-Link."""
        return fetch(
            self._writer,
            f"""SELECT DISTINCT statement.id, link, document, vulnerability, status, justification, statement.product
            FROM {MANY} AS wanted CROSS JOIN asset_component AS place ON place.component = wanted.value
            CROSS JOIN inventory_file AS file ON file.id = place.file AND file.serial_number <> ''
            CROSS JOIN statement ON statement.link = file.serial_number || '/' || file.version || '#' || place.bom_ref
            WHERE statement.link <> ''""",
            (row_ids(components),),
        )

    def _say_links(
        self, said: dict[_VerdictKey, list[StatementSays]], links: Iterable[tuple[Any, ...]]
    ) -> None:
        rows = list(links)
        places_of: dict[str, list[tuple[Any, ...]]] = {}
        readings: set[tuple[int, int, str]] = (
            set()
        )  # what a name that is written with percent signs is read as, too
        for row in rows:
            _, text, document, vulnerability, *_ = row
            prefix, _, reference = text.partition("#")
            other = f"{prefix}#{decoded_reference(reference)}"
            if other != text:
                readings.add((document, vulnerability, other))
            places_of[text] = self._places_of_link(text)
        for _, text, document, vulnerability, status, justification, product in rows:
            prefix, _, reference = text.partition("#")
            serial, _, version = prefix.rpartition("/")
            places = places_of[text]
            is_found = places or places_of.get(f"{prefix}#{decoded_reference(reference)}")
            if not is_found and (document, vulnerability, text) not in readings:
                self.told.append(
                    (document, self._why_not_linked(serial, int(version), reference, vulnerability))
                )
            is_one = len({component for _, component, _ in places}) == 1
            for place, component, own in places:
                fit = Fit(
                    Within.YES if is_one else Within.MAYBE,
                    None,
                    True,
                    FoundBy.EXACT_PURL,
                    "the VEX names this component of this BOM"
                    if is_one
                    else "several components are called so",
                )
                if product is not None:
                    self._load_products([product])
                    decided = decide(self._products[product][0].versions, own)
                    if decided.state == "not_affected":
                        continue
                    if decided.state == "possible":
                        fit = fit._replace(within=Within.MAYBE, because=decided.because)
                one = say(fit, status, affects_below=False, justification=justification)
                if one is not None:
                    said[component, place, vulnerability, document].append(one)

    def _places_of_link(self, text: str) -> list[tuple[Any, ...]]:
        """Returns (place, component, its version) of what a kept BOM-Link names."""
        prefix, _, reference = text.partition("#")
        serial, _, version = prefix.rpartition("/")
        return list(
            fetch(
                self._writer,
                """SELECT place.id, place.component, component.version FROM inventory_file AS file
                JOIN asset_component AS place ON place.file = file.id AND place.bom_ref = ?
                JOIN component ON component.id = place.component WHERE file.serial_number = ? AND file.version = ?""",
                (reference, serial, int(version)),
            )
        )

    def _why_not_linked(self, serial: str, version: int, reference: str, vulnerability: int) -> str:
        ((name,),) = fetch(self._writer, "SELECT name FROM vulnerability WHERE id = ?", (vulnerability,))
        held = [
            one
            for (one,) in fetch(
                self._writer, "SELECT version FROM inventory_file WHERE serial_number = ?", (serial,)
            )
        ]
        if not held:
            return f"{name} names a BOM that is not here"
        if version in held:
            return f"{name} names '{reference[:120]}', which is no component of this BOM"
        return f"{name} is about version {version} of this BOM, version {max(one or 0 for one in held)} is imported"

    # --- verdicts and hits ---

    def _store(self, said: dict[_VerdictKey, list[StatementSays]]) -> None:
        components = self._components({key[0] for key in said}) if said else {}
        rows = []
        for (component, place, vulnerability, document), several in said.items():
            is_own = self._is_own_vendor(document, components[component], is_linked=place > 0)
            one = of_document(several, is_own_vendor=is_own)
            rows.append(
                (
                    component,
                    place,
                    vulnerability,
                    document,
                    int(one.state),
                    int(one.found_by),
                    is_own,
                    one.justification,
                    one.because,
                )
            )
        self._writer.executemany("INSERT OR REPLACE INTO verdict VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?)", rows)

    def _is_own_vendor(self, document: int, component: Component, *, is_linked: bool) -> bool:
        """Returns whether who says it makes the product. A BOM-Link names a component of a BOM that its maker handed over."""
        if document not in self._documents:
            ((*texts,),) = fetch(
                self._writer,
                "SELECT publisher, publisher_category, namespace, kind, partner FROM document WHERE id = ?",
                (document,),
            )
            self._documents[document] = _Document(*texts)
        said = self._documents[document]
        if said.partner:
            return False  # anybody can write a vendor's name into a document
        if said.kind == "vex" and is_linked:
            return True
        if said.category != "vendor":
            return False
        return bool(vendors_of(component) & publisher_groups(said.publisher, said.namespace))

    def add_up(self, components: Collection[int]) -> None:
        """Make the hits of components anew from their verdicts. `first_seen` of what was a hit before stays."""
        waiting = iter(sorted(components))
        while step := list(islice(waiting, COMPONENTS_PER_STEP)):
            before = {
                (row[0], row[1], row[2]): row[3:]
                for row in fetch(
                    self._writer,
                    f"""SELECT component, vulnerability, asset_component, state, match, disagree, is_refined, first_seen
                    FROM {MANY} AS wanted CROSS JOIN hit ON hit.component = wanted.value""",
                    (row_ids(step),),
                )
            }
            after = self._standing(step)
            refined = {key[:2] for key in after if key[2]}
            self._writer.executemany(
                "DELETE FROM hit WHERE component = ? AND vulnerability = ? AND asset_component = ?",
                [key for key in before if key not in after],
            )
            changed = []
            for key, standing in after.items():
                is_refined = not key[2] and key[:2] in refined
                new = (int(standing.state), int(standing.found_by), int(standing.disagree), int(is_refined))
                old = before.get(key)
                if old is None or old[:4] != new:
                    changed.append((*key, *new, old[4] if old else self._now))
            self._writer.executemany(
                """INSERT OR REPLACE INTO hit
                (component, vulnerability, asset_component, state, match, disagree, is_refined, first_seen)
                VALUES (?, ?, ?, ?, ?, ?, ?, ?)""",
                changed,
            )
            self._note_changes(before, after)

    def _standing(self, components: Sequence[int]) -> dict[tuple[int, int, int], Any]:
        everywhere: dict[tuple[int, int], list[Verdict]] = defaultdict(list)
        places: dict[tuple[int, int, int], list[Verdict]] = defaultdict(list)
        for component, vulnerability, place, state, found_by, is_own in fetch(
            self._writer,
            f"""SELECT component, vulnerability, asset_component, state, match, is_own_vendor FROM {MANY} AS wanted
            CROSS JOIN verdict ON verdict.component = wanted.value""",
            (row_ids(components),),
        ):
            verdict = Verdict(_STATES[state], _FOUND[found_by], bool(is_own), "", "")
            if place:
                places[component, vulnerability, place].append(verdict)
            else:
                everywhere[component, vulnerability].append(verdict)
        found = {(*key, 0): of_all(several) for key, several in everywhere.items()}
        for key, several in places.items():
            found[key] = of_all([*several, *everywhere.get(key[:2], ())])
        return found

    def _note_changes(
        self, before: dict[tuple[int, int, int], Any], after: dict[tuple[int, int, int], Any]
    ) -> None:
        rows = []
        for key in before.keys() | after.keys():
            old = before[key][0] if key in before else None
            new = int(after[key].state) if key in after else None
            if old != new:
                component, vulnerability, place = key
                rows.append((self._now, component, place, vulnerability, old, new))
        self._writer.executemany(
            """INSERT INTO hit_change (changed_at, component, asset_component, vulnerability, before, after)
            VALUES (?, ?, ?, ?, ?, ?)""",
            rows,
        )


_STATES = {int(state): state for state in RiskState}
_FOUND = {int(found_by): found_by for found_by in FoundBy}


@lru_cache(maxsize=4096)
def _texts(text: str) -> tuple[str, ...]:
    return tuple(json.loads(text))


@lru_cache(maxsize=65_536)
def vendors_of(component: Component) -> frozenset[str]:
    """Returns the groups of who makes a component, by its vendor, its CPE and the namespace of its purl."""
    names = {component.vendor}
    if component.cpe and (cpe := read_cpe(component.cpe)):
        names.add(cpe.vendor.replace("_", " "))
    if component.purl and (purl := read_purl(component.purl)):
        names.update(purl.key.partition("/")[2].split("/")[:-1][:1])
    return frozenset(filter(None, map(vendor_group, names)))


_SECURITY_WORDS = frozenset(
    {"psirt", "productcert", "cert", "security", "product", "team", "response", "incident"}
)


@lru_cache(maxsize=4096)
def publisher_groups(publisher: str, namespace: str) -> frozenset[str]:
    """Returns the vendor groups that a document's publisher may belong to, by its name and its namespace's host."""
    words = [word for word in publisher.split() if word.lower().strip(",.") not in _SECURITY_WORDS]
    host = namespace.partition("://")[2].partition("/")[0].partition(":")[0].lower()
    labels = [label for label in host.split(".") if label not in ("www", "psirt", "cert", "security")]
    names = [publisher, " ".join(words), *labels[:-1][-1:]]
    return frozenset(filter(None, map(vendor_group, filter(None, names))))
