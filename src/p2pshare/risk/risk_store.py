# ruff: noqa: S608 - statements are put together from this program's own text only
"""What commands and the worker ask of `risk.sqlite`: taking in, matching, aliases, ranking; each change is one transaction.

The clock is handed in: `now` is seconds since 1970.
"""

from __future__ import annotations

import json
from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, NamedTuple

import apsw

from p2pshare.database.arrays import MANY, row_ids
from p2pshare.database.fetching import fetch
from p2pshare.errors import AuthorError, DiskFull, NotFoundError
from p2pshare.risk.assets import AssetSaid, Imported
from p2pshare.risk.decision_tables import (
    CISA_BOD_26_04,
    DEPLOYER_DAYS,
    SSVC_DEPLOYER,
    expanded_rows,
    outcome_rows,
)
from p2pshare.risk.documents import put_vulnerability
from p2pshare.risk.extra import base_score, require_extra
from p2pshare.risk.inventory.asset_lists import ColumnMap, ValueMap
from p2pshare.risk.inventory_importing import import_file, put_asset
from p2pshare.risk.matching import CHANGES_KEPT_DAYS, PAIRS_MAX, Matching
from p2pshare.risk.product_names import NameMatcher, OwnModel, TheirModel, alias_id
from p2pshare.risk.ranking import EPSS_STALE_DAYS, KEV_STALE_DAYS, SSVC_STALE_DAYS, RankedFinding, rank
from p2pshare.risk.risk_file import RiskFile, open_risk_file
from p2pshare.risk.source_adding import KINDS, Added, add_document, add_source_file, keep_document
from p2pshare.risk.sources.source_files import iso_day
from p2pshare.risk.statements import DocumentRead, SourceRead, VulnerabilitySaid
from p2pshare.risk.vendors import same_vendor
from p2pshare.risk.version_statements import decide_named
from p2pshare.risk.words import Exposure, HumanImpact, Mission, Safety

DAY_SECONDS = 86_400
EVIDENCE_DAYS = 30  # partners that saw something longer ago do not count (risk.md)
ABSENCE = {"unknown": 3, "not-active": 4}  # numbers of Exploitation
STALE_DAYS = {"kev": KEV_STALE_DAYS, "epss": EPSS_STALE_DAYS, "vulnrichment": SSVC_STALE_DAYS}
ALIAS_DOCUMENTS_SHOWN_MAX = 50  # of one alias in an answer


@dataclass(frozen=True)
class RiskRules:
    """What the configuration says (`[risk]`). `due_days`: outcome of the deployer's table -> days, None for no due date."""

    kev_absence_means: str = "unknown"
    partners_mean_active: int = 0
    due_days: Mapping[str, int | None] = field(default_factory=lambda: dict(DEPLOYER_DAYS))


class AssetRow(NamedTuple):
    """An asset as it is kept; instants in seconds."""

    id: int
    name: str
    model: str
    hardware_revision: str
    serial: str
    kind: str
    site: str
    owner: str
    exposure: Exposure
    human_impact: HumanImpact
    safety: Safety | None
    mission: Mission | None
    data_classes: tuple[str, ...]
    controls: tuple[str, ...]
    added_at: int
    retired_at: int | None
    components: int

    def as_json(self) -> dict[str, Any]:
        shown = self._asdict()
        shown |= {
            name: shown[name].word if shown[name] is not None else "unknown"
            for name in ("exposure", "human_impact", "safety", "mission")
        }
        return shown | {"data_classes": list(self.data_classes), "controls": list(self.controls)}


class PlaceRow(NamedTuple):
    """A component on an asset, and the file that says so."""

    ref: str
    purl: str
    cpe: str
    vendor: str
    name: str
    model: str
    version: str
    file: str


class SourceRow(NamedTuple):
    """A source with its age; `status`: checked, not-checked (never read) or stale."""

    kind: str
    path: str
    as_of: str
    detail: str
    read: int
    kept: int
    refused: int
    read_at: int | None
    status: str


class PartnerVulnerability(NamedTuple):
    """A partner said or saw something of a vulnerability: a row from the store's views. `kind`: vulnerability or sighting."""

    name: str
    organisation: str
    last_seen: int
    kind: str = "vulnerability"
    title: str = ""
    cvss_vector: str = ""


@dataclass(frozen=True)
class AliasRow:
    """A pair of models, as `risk alias list --json` shows it."""

    alias: str
    own: dict[str, str]
    assets: tuple[str, ...]
    theirs: dict[str, str]
    documents: tuple[str, ...]
    score: float
    evidence: tuple[str, ...]
    versions: tuple[dict[str, str], ...]
    status: str

    def as_json(self) -> dict[str, Any]:
        shown = {name: getattr(self, name) for name in self.__dataclass_fields__}
        return {name: list(value) if isinstance(value, tuple) else value for name, value in shown.items()}


class RiskStore:
    """The file with what is done to it."""

    def __init__(self, file: RiskFile, rules: RiskRules) -> None:
        self.file = file
        self.rules = rules
        self._matcher: NameMatcher | None = None
        self._apply_rules()

    def _apply_rules(self) -> None:
        absence = ABSENCE.get(self.rules.kev_absence_means)
        if absence is None:
            raise AuthorError(
                f"risk.kev_absence_means is '{self.rules.kev_absence_means}'",
                hint=f"one of: {', '.join(ABSENCE)}",
                reason="unknown-word",
            )
        with self.file.transaction() as writer:
            for name in (SSVC_DEPLOYER, CISA_BOD_26_04):
                writer.executemany(
                    "INSERT OR REPLACE INTO decision_row VALUES (?, ?, ?, ?, ?)", expanded_rows(name)
                )
                writer.executemany(
                    "INSERT OR REPLACE INTO outcome VALUES (?, ?, ?, ?, ?)",
                    _plain(outcome_rows(name, self.rules.due_days)),
                )
            writer.execute(
                "UPDATE rule SET kev_absence = ?, partners_mean_active = ?",
                (absence, self.rules.partners_mean_active),
            )

    def transaction(self) -> Any:
        """Returns a context with the connection, inside a transaction. Raises StoreError, DiskFull."""
        return self.file.transaction()

    def fetch(
        self, statement: str, bindings: Sequence[Any] | Mapping[str, Any] = ()
    ) -> list[tuple[Any, ...]]:
        """Returns all rows of a query. Raises StoreError."""
        return self.file.fetch(statement, bindings)

    def close(self) -> None:
        self.file.close()

    # --- inventory ---

    def import_inventory(
        self,
        path: Path,
        *,
        format: str = "auto",
        column_map: ColumnMap | None = None,
        values: ValueMap | None = None,
        encoding: str = "auto",
        asset: str = "",
        now: int,
    ) -> Imported:
        """Take in an inventory file and match what it names. Raises AuthorError where it is refused whole: nothing is kept."""
        require_extra()
        with self.file.transaction() as writer:
            answer, number, assets = import_file(
                self.file,
                path,
                format=format,
                column_map=column_map or {},
                values=values or {},
                encoding=encoding,
                asset=asset,
                now=now,
            )
            self._propose(writer, None, now)
            Matching(writer, now).match_import(number, assets)
        return answer

    def assets(self, *, with_retired: bool = False) -> list[AssetRow]:
        """Returns the assets in the order of their names."""
        where = "" if with_retired else "WHERE retired_at IS NULL"
        return [
            _asset_row(row) for row in self.fetch(f"{_ASSETS} {where} GROUP BY asset.id ORDER BY asset.name")
        ]

    def asset(self, name: str) -> AssetRow:
        """Returns one asset. Raises NotFoundError."""
        rows = self.fetch(f"{_ASSETS} WHERE asset.name = ? GROUP BY asset.id", (name,))
        if not rows:
            raise NotFoundError(f"there is no asset '{name[:80]}'", hint="see `p2pshare asset list`")
        return _asset_row(rows[0])

    def set_asset(self, said: AssetSaid, now: int) -> AssetRow:
        """Change what is said of an asset. Raises NotFoundError."""
        self.asset(said.name)
        with self.file.transaction() as writer:
            put_asset(writer, said, now)
        return self.asset(said.name)

    def retire_asset(self, name: str, now: int) -> AssetRow:
        """Take an asset out of use: it has no findings until it is imported again. Raises NotFoundError."""
        number = self.asset(name).id
        with self.file.transaction() as writer:
            writer.execute("UPDATE asset SET retired_at = ? WHERE id = ?", (now, number))
        return self.asset(name)

    def components_of(self, name: str) -> list[PlaceRow]:
        """Returns what is on an asset. Raises NotFoundError."""
        rows = self.fetch(
            """SELECT bom_ref, purl, cpe, vendor, product, model, component.version, file.name FROM asset_component AS place
            JOIN component ON component.id = place.component JOIN inventory_file AS file ON file.id = place.file
            WHERE place.asset = ? ORDER BY product, component.version, place.id""",
            (self.asset(name).id,),
        )
        return [PlaceRow(*row) for row in rows]

    # --- sources ---

    def add_source(self, kind: str, path: Path, *, now: int) -> SourceRead:
        """Read a source whole; its documents are matched. Raises AuthorError where nothing of it can be read."""
        require_extra()

        def matched(documents: list[int], touched: set[int], added: Added) -> None:
            with self.file.transaction() as writer:
                self._match(writer, documents, touched, added, now)

        return add_source_file(self.file, kind, path, matched, now=now).answer()

    def take_document(self, raw: bytes, kind: str, *, partner: str = "", now: int) -> SourceRead:
        """Take in one document that a partner sent. Raises AuthorError, as its reader does."""
        require_extra()
        added = Added(kind, read=1)
        with self.file.transaction() as writer:
            document = add_document(writer, raw, kind, added, partner=partner, now=now)
            self._match(writer, [document] if document is not None else [], added.touched, added, now)
        return added.answer()

    def take_partner_statements(
        self, read: DocumentRead, sha256: str, *, partner: str, now: int
    ) -> SourceRead:
        """Take in what a partner's object says of products, in the form that readers of documents make."""
        added = Added(read.document.kind, read=1)
        with self.file.transaction() as writer:
            document = keep_document(
                writer, read, sha256, read.document.tracking_id, added, partner=partner, now=now
            )
            self._match(writer, [document] if document is not None else [], added.touched, added, now)
        return added.answer()

    def forget_documents(self, tracking_ids: Iterable[str], *, partner: str, now: int) -> int:
        """Drop documents that a partner sent and has withdrawn. Returns how many were here."""
        with self.file.transaction() as writer:
            numbers = [
                one
                for identifier in tracking_ids
                for (one,) in fetch(
                    writer,
                    "SELECT id FROM document WHERE tracking_id = ? AND partner = ?",
                    (identifier, partner),
                )
            ]
            touched: set[int] = set()
            for number in numbers:
                touched.update(
                    one
                    for (one,) in fetch(writer, "SELECT component FROM verdict WHERE document = ?", (number,))
                )
                writer.execute("DELETE FROM document WHERE id = ?", (number,))
            Matching(writer, now).add_up(touched)
        return len(numbers)

    def take_partner_vulnerabilities(self, rows: Iterable[PartnerVulnerability], *, now: int) -> int:
        """Keep who said or saw what, and count partners anew. Returns how many rows were new or later than what was known."""
        taken = 0
        with self.file.transaction() as writer:
            for row in rows:
                score = base_score(row.cvss_vector) if row.cvss_vector else None
                number = put_vulnerability(
                    writer,
                    VulnerabilitySaid(
                        row.name, title=row.title, cvss=score, cvss_vector=row.cvss_vector if score else ""
                    ),
                )
                writer.execute(
                    """INSERT INTO partner_evidence (vulnerability, organisation, kind, last_seen) VALUES (?, ?, ?, ?)
                    ON CONFLICT DO UPDATE SET last_seen = excluded.last_seen WHERE last_seen < excluded.last_seen""",
                    (number, row.organisation, row.kind, min(row.last_seen, now)),  # a clock that is ahead
                )
                taken += writer.changes()
            self._count_partners(writer, now)
        return taken

    def refresh(self, *, now: int) -> None:
        """Do what time alone asks for: count partners of the last 30 days anew, and drop changes of more than a year ago."""
        with self.file.transaction() as writer:
            self._count_partners(writer, now)
            writer.execute(
                "DELETE FROM hit_change WHERE changed_at < ?", (now - CHANGES_KEPT_DAYS * DAY_SECONDS,)
            )

    def _count_partners(self, writer: apsw.Connection, now: int) -> None:
        """Only rows of vulnerabilities that changed are written."""
        writer.execute(
            """WITH counted AS (
                SELECT vulnerability AS id,
                count(DISTINCT organisation) FILTER (WHERE kind = 'sighting' AND last_seen > :since) AS organisations,
                max(last_seen) FILTER (WHERE kind = 'sighting') AS last_seen FROM partner_evidence GROUP BY vulnerability
            )
            UPDATE vulnerability SET organisations = counted.organisations, partner_last_seen = counted.last_seen
            FROM counted WHERE counted.id = vulnerability.id
            AND (vulnerability.organisations <> counted.organisations OR vulnerability.partner_last_seen IS NOT counted.last_seen)""",
            {"since": now - EVIDENCE_DAYS * DAY_SECONDS},
        )

    def sources(self, *, now: int) -> list[SourceRow]:
        """Returns every kind of source, read or not, with its age."""
        held = {
            row[0]: row
            for row in self.fetch(
                "SELECT kind, path, as_of, detail, read, kept, refused, read_at FROM source"
            )
        }
        found = []
        for kind in KINDS:
            if kind not in held:
                found.append(SourceRow(kind, "", "", "", 0, 0, 0, None, "not-checked"))
                continue
            _, path, as_of, detail, read, kept, refused, read_at = held[kind]
            days_max = STALE_DAYS.get(kind)
            is_stale = days_max is not None and (as_of is None or now // DAY_SECONDS - as_of > days_max)
            status = "stale" if is_stale else "checked"
            found.append(SourceRow(kind, path, iso_day(as_of), detail, read, kept, refused, read_at, status))
        return found

    # --- matching and aliases ---

    def _match(
        self, writer: apsw.Connection, documents: list[int], touched: set[int], added: Added, now: int
    ) -> None:
        matching = Matching(writer, now)
        for document in [one for one in documents if matching.pairs_of(one) > PAIRS_MAX]:
            documents.remove(document)
            ((name,),) = fetch(writer, "DELETE FROM document WHERE id = ? RETURNING tracking_id", (document,))
            added.kept -= 1
            added.refuse(name, f"more than {PAIRS_MAX} pairs of its products and our components")
        if documents:
            self._propose(writer, documents, now)
        matching.match_documents(documents, touched)
        for _, sentence in matching.told:
            added.tell(added.kind, sentence)

    def _propose(self, writer: apsw.Connection, documents: list[int] | None, now: int) -> None:
        """Have the name matcher compare our models with the products of `documents`; with those of all documents where our
        models are others than at the last time (None: only then)."""
        models = fetch(writer, "SELECT id, vendor, product, model, is_compared FROM own_model ORDER BY id")
        if not models:
            return
        is_changed = any(not one[4] for one in models)
        ((products,),) = fetch(writer, "SELECT count(*) FROM their_model")
        if is_changed or self._matcher is None or products > 2 * self._matcher.products:
            versions = _own_versions(writer)
            self._matcher = NameMatcher(
                [
                    OwnModel(number, vendor, product, model, versions.get(number, ()))
                    for number, vendor, product, model, _ in models
                ]
            )
            # Not with each document: answers would hang on the order in which documents came.
            self._matcher.learn(
                TheirModel(*row)
                for row in fetch(writer, "SELECT id, vendor, product, variant FROM their_model ORDER BY id")
            )
        if is_changed:
            documents = [
                one for (one,) in fetch(writer, "SELECT id FROM document WHERE kind IN ('csaf', 'vex')")
            ]
        for document in documents or ():
            self._propose_of(writer, self._matcher, document, now)
        if is_changed:
            writer.execute("UPDATE own_model SET is_compared = 1")

    def _propose_of(self, writer: apsw.Connection, matcher: NameMatcher, document: int, now: int) -> None:
        ((title,),) = fetch(writer, "SELECT title FROM document WHERE id = ?", (document,))
        theirs: dict[int, TheirModel] = {}
        versions: dict[int, list[str]] = {}
        for number, vendor, product, variant, models, skus, stated in fetch(
            writer,
            """SELECT DISTINCT theirs.id, theirs.vendor, theirs.product, theirs.variant, product.models, product.skus,
            product.versions FROM statement JOIN advisory_product AS product ON product.id = statement.product
            JOIN their_model AS theirs ON theirs.id = product.their_model WHERE statement.document = ?""",
            (document,),
        ):
            numbers = (*json.loads(models), *json.loads(skus))
            theirs[number] = TheirModel(number, vendor, product, variant, tuple(numbers))
            versions.setdefault(number, []).append(stated)
        if not theirs:
            return
        for proposal in matcher.proposals(title, list(theirs.values()), versions):
            ((vendor, product, model),) = fetch(
                writer, "SELECT vendor, product, model FROM own_model WHERE id = ?", (proposal.own,)
            )
            identifier = alias_id(OwnModel(proposal.own, vendor, product, model), theirs[proposal.theirs])
            writer.execute(
                """INSERT INTO alias (id, own_model, their_model, score, evidence, proposed_at) VALUES (?, ?, ?, ?, ?, ?)
                ON CONFLICT DO UPDATE SET score = max(score, excluded.score)""",
                (
                    identifier,
                    proposal.own,
                    proposal.theirs,
                    proposal.score,
                    json.dumps(proposal.evidence, ensure_ascii=False),
                    now,
                ),
            )

    def aliases(self, *, status: str | None = None) -> list[AliasRow]:
        """Returns the pairs, the best proposals first."""
        rows = self.fetch(
            f"{_ALIASES} {'WHERE alias.status = :status' if status else ''} {_ALIAS_ORDER}",
            {"status": status} if status else {},
        )
        return [self._alias_row(row) for row in rows]

    def _alias_row(self, row: tuple[Any, ...]) -> AliasRow:
        (
            identifier,
            own,
            vendor,
            product,
            model,
            theirs,
            their_vendor,
            their_product,
            variant,
            score,
            evidence,
            status,
        ) = row
        devices = self.fetch(
            """SELECT DISTINCT asset.name, component.version FROM component JOIN asset_component AS place ON place.component = component.id
            JOIN asset ON asset.id = place.asset WHERE component.own_model = ? AND asset.retired_at IS NULL ORDER BY asset.name""",
            (own,),
        )
        stated = self.fetch(
            """SELECT DISTINCT document.tracking_id, product.versions FROM advisory_product AS product
            JOIN statement ON statement.product = product.id JOIN document ON document.id = statement.document
            WHERE product.their_model = ? ORDER BY document.tracking_id LIMIT ?""",
            (theirs, ALIAS_DOCUMENTS_SHOWN_MAX),
        )
        versions = sorted({version for _, version in devices})
        return AliasRow(
            identifier,
            {"vendor": vendor, "product": product, "model": model},
            tuple(dict.fromkeys(name for name, _ in devices)),
            {"vendor": their_vendor, "product": their_product, "variant": variant},
            tuple(dict.fromkeys(document for document, _ in stated)),
            score,
            tuple(json.loads(evidence)),
            tuple(
                {
                    "document": document,
                    "statement": statement,
                    "version": version,
                    "decision": decide_named(their_product, statement, version).state,
                }
                for document, statement in stated
                for version in versions
            ),
            status,
        )

    def decide_aliases(
        self, ids: Sequence[str] = (), *, vendor: str = "", product: str = "", status: str, by: str, now: int
    ) -> list[AliasRow]:
        """Confirm or reject pairs by their ids, or all of one model of ours; what hangs on them is matched anew.

        Raises AuthorError `unknown-word`, NotFoundError where there is no such pair.
        """
        if status not in ("confirmed", "rejected"):
            raise AuthorError(f"'{status}' is neither confirmed nor rejected", reason="unknown-word")
        chosen: list[tuple[Any, ...]] = []
        if vendor or product:
            chosen = [
                row
                for row in self.fetch(f"{_ALIASES} WHERE alias.status <> 'rejected'")
                if (not product or row[3].casefold() == product.casefold())
                and (not vendor or row[2].casefold() == vendor.casefold() or same_vendor(row[2], vendor))
            ]
            if not chosen:
                raise NotFoundError(
                    f"no proposal for {vendor} {product}".strip(), hint="see `p2pshare risk alias list`"
                )
        for one in ids:
            found = self.fetch(f"{_ALIASES} WHERE alias.id = ?", (one.lower(),))
            if not found:
                raise NotFoundError(f"there is no alias '{one[:40]}'", hint="see `p2pshare risk alias list`")
            chosen += found
        with self.file.transaction() as writer:
            writer.executemany(
                "UPDATE alias SET status = ?, decided_by = ?, decided_at = ? WHERE id = ?",
                [(status, by, now, row[0]) for row in chosen],
            )
            own = {row[1] for row in chosen}
            components = (
                [
                    one
                    for (one,) in fetch(
                        writer,
                        f"SELECT component.id FROM {MANY} AS wanted JOIN component ON component.own_model = wanted.value",
                        (row_ids(own),),
                    )
                ]
                if own
                else []
            )
            Matching(writer, now).match_components(components)
        return [
            self._alias_row(row)
            for one in chosen
            for row in self.fetch(f"{_ALIASES} WHERE alias.id = ?", (one[0],))
        ]

    # --- ranking ---

    def rank(self, *, table: str = SSVC_DEPLOYER, now: int, **options: Any) -> list[RankedFinding]:
        """Returns the findings in their order, as `ranking.rank` does."""
        return list(self.ranked(table=table, now=now, **options))

    def ranked(self, *, table: str = SSVC_DEPLOYER, now: int, **options: Any) -> Iterator[RankedFinding]:
        """Yields what `rank` returns, where it may be millions. The caller changes nothing meanwhile."""
        if self.fetch("SELECT 1 FROM partner_evidence LIMIT 1"):
            with (
                suppress(DiskFull),
                self.file.transaction() as writer,
            ):  # time has passed since it was counted
                self._count_partners(writer, now)
        return rank(self.file, table=table, now=now, **options)


def open_risk(path: Path, *, rules: RiskRules | None = None, free_space_bytes_min: int = 0) -> RiskStore:
    """Returns the store at `path`, opened or made with mode 0600. Raises StoreError, and AuthorError for rules that are none."""
    file = open_risk_file(path, free_space_bytes_min=free_space_bytes_min)
    try:
        return RiskStore(file, rules or RiskRules())
    except BaseException:
        file.close()
        raise


def _plain(rows: Iterable[tuple[Any, ...]]) -> Iterable[tuple[Any, ...]]:
    return ((*row[:-1], int(row[-1])) for row in rows)


def _own_versions(writer: apsw.Connection) -> dict[int, tuple[str, ...]]:
    found: dict[int, list[str]] = {}
    for model, version in fetch(
        writer,
        "SELECT DISTINCT own_model, version FROM component WHERE own_model IS NOT NULL AND version <> ''",
    ):
        found.setdefault(model, []).append(version)
    return {model: tuple(versions) for model, versions in found.items()}


_ASSETS = """SELECT asset.id, asset.name, asset.model, hardware_revision, serial, kind, site, owner, exposure, human_impact, safety,
    mission, data_classes, controls, asset.added_at, retired_at, count(place.id) FROM asset
    LEFT JOIN asset_component AS place ON place.asset = asset.id"""
_ALIASES = """SELECT alias.id, own.id, own.vendor, own.product, own.model, theirs.id, theirs.vendor, theirs.product, theirs.variant,
    alias.score, alias.evidence, alias.status FROM alias JOIN own_model AS own ON own.id = alias.own_model
    JOIN their_model AS theirs ON theirs.id = alias.their_model"""
_ALIAS_ORDER = "ORDER BY alias.score DESC, own.vendor, own.product, own.model, alias.id"


def _asset_row(row: tuple[Any, ...]) -> AssetRow:
    held = dict(zip(AssetRow._fields, row, strict=True))
    return AssetRow(
        **held
        | {
            "exposure": Exposure(held["exposure"]),
            "human_impact": HumanImpact(held["human_impact"]),
            "safety": None if held["safety"] is None else Safety(held["safety"]),
            "mission": None if held["mission"] is None else Mission(held["mission"]),
            "data_classes": tuple(json.loads(held["data_classes"])),
            "controls": tuple(json.loads(held["controls"])),
        }
    )
