# ruff: noqa: S608 - statements are put together from this program's own text only
"""The order in which things are due, and why: lexicographic, explained, without an invented score.

(1) outcome of the chosen table, the worst end of its range first, then the best end; (2) distinct partners that saw the
vulnerability or its indicators in 30 days; (3) human impact; (4) EPSS; (5) CVSS. What is only proposed by name comes last, has no
due date, and shows the worst outcome it could have.
"""

from __future__ import annotations

from array import array
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, NamedTuple

from p2pshare.errors import AuthorError, NotFoundError
from p2pshare.risk.decision_tables import CISA_BOD_26_04, INPUTS, SSVC_DEPLOYER
from p2pshare.risk.risk_file import RiskFile
from p2pshare.risk.sources.source_files import iso_day
from p2pshare.risk.words import (
    Exploitation,
    Exposure,
    FoundBy,
    HumanImpact,
    RiskState,
    TechnicalImpact,
    YesNo,
)

VIEWS = {SSVC_DEPLOYER: "finding_by_deployer", CISA_BOD_26_04: "finding_by_bod"}
DAY_SECONDS = 86_400
KEV_STALE_DAYS = 7  # CISA adds to it several times a week
EPSS_STALE_DAYS = 7  # it is computed anew each day; after a week ranks have moved
SSVC_STALE_DAYS = 180  # points are set once, and set anew when exploitation is seen

_ORDER = """finding.match = 0, finding.worst DESC, finding.best DESC, finding.organisations DESC, finding.human_impact DESC,
    coalesce(finding.epss, -1) DESC, coalesce(finding.cvss, -1) DESC, finding.vulnerability, finding.asset_component"""


class Input(NamedTuple):
    """One input of the table: `status` is checked, not-checked (nothing said it, or nobody looked) or stale."""

    input: str
    value: str
    source: str
    as_of: str
    status: str


@dataclass(frozen=True)
class RankedFinding:
    """One place and vulnerability, as `risk rank --json` shows it."""

    asset: str
    component: dict[str, str]
    vulnerability: str
    outcome: str
    outcome_range: tuple[str, str]
    unknown: tuple[str, ...]
    """Inputs that are not known and change the outcome."""
    due: str | None
    due_by: str
    match: str
    state: str
    why: tuple[Input, ...]
    partner_evidence: dict[str, Any]
    epss: float | None
    cvss: float | None
    because: str
    justification: str
    disagreement: tuple[dict[str, str], ...]
    first_seen: str
    decided: dict[str, str] | None
    remedy: str
    ids: dict[str, int] = field(default_factory=dict, repr=False)

    def as_json(self) -> dict[str, Any]:
        """Returns the members of the contract, and what explains them."""
        shown = {name: getattr(self, name) for name in self.__dataclass_fields__ if name != "ids"}
        shown["outcome_range"] = list(self.outcome_range)
        shown["why"] = [one._asdict() for one in self.why]
        shown["unknown"] = list(self.unknown)
        shown["disagreement"] = list(self.disagreement)
        return shown


def rank(
    file: RiskFile,
    *,
    table: str = SSVC_DEPLOYER,
    now: int,
    with_all: bool = False,
    asset: str = "",
    vulnerability: str = "",
    limit: int | None = None,
    with_candidates: bool = True,
) -> Iterator[RankedFinding]:
    """Returns the findings in their order. Without `with_all` those that have to be seen to, and that no decision has put off.

    They are put in order at once, which holds 24 bytes for each, and explained one after the other.
    Raises AuthorError `unknown-table`, NotFoundError for an asset or vulnerability that is not here.
    """
    if table not in VIEWS:
        raise AuthorError(
            f"'{table}' is no decision table", hint=f"one of: {', '.join(VIEWS)}", reason="unknown-table"
        )
    conditions = ["true"]
    bindings = {"now": now, "limit": -1 if limit is None else limit}
    if not with_all:
        conditions.append(f"finding.state >= {int(RiskState.POSSIBLE)}")
        if file.fetch("SELECT 1 FROM decision LIMIT 1"):
            conditions.append(f"NOT {_DECIDED}")
    if not with_candidates:
        conditions.append("finding.match > 0")
    if asset:
        conditions.append("finding.asset = :asset")
        bindings["asset"] = _id_of(file, "asset", asset)
    if vulnerability:
        conditions.append("finding.vulnerability = :vulnerability")
        bindings["vulnerability"] = _id_of(file, "vulnerability", vulnerability)
    keys = array("q")
    for key in file.walk(
        f"""SELECT finding.component, finding.vulnerability, finding.asset_component FROM {VIEWS[table]} AS finding
        WHERE {" AND ".join(conditions)} ORDER BY {_ORDER} LIMIT :limit""",
        bindings,
    ):
        keys.extend(key)
    return _explained(file, keys, table, now)


_DECIDED = """EXISTS (SELECT 1 FROM decision WHERE decision.vulnerability = finding.vulnerability
    AND decision.kind <> 'mitigate' AND (decision.until IS NULL OR decision.until > :now)
    AND (decision.asset IS NULL OR decision.asset = finding.asset)
    AND (decision.component IS NULL OR decision.component = finding.component))"""


class _Row(NamedTuple):
    worst: int
    best: int
    matters: int
    component: int
    scope: int
    vulnerability: int
    state: int
    match: int
    disagree: int
    asset_component: int
    bom_ref: str
    asset: int
    first_seen: int
    exposure: int
    human_impact: int
    exploitation: int
    kev: int
    exposed: int
    automatable: int
    technical_impact: int
    organisations: int
    epss: float | None
    cvss: float | None


def _id_of(file: RiskFile, kind: str, name: str) -> int:
    statement = "SELECT id FROM asset WHERE name = ?"
    bindings: tuple[str, ...] = (name,)
    if kind == "vulnerability":
        statement = "SELECT id FROM vulnerability WHERE name = ? UNION ALL SELECT vulnerability FROM vulnerability_name WHERE name = ?"
        bindings = (name, name)
    rows = file.fetch(statement, bindings)
    if not rows:
        raise NotFoundError(
            f"there is no {kind} '{name[:80]}'", hint="`p2pshare asset list`, `p2pshare risk rank --all`"
        )
    return int(rows[0][0])


@dataclass(frozen=True)
class _Source:
    as_of: int | None
    detail: str
    read_at: int


def _explained(file: RiskFile, keys: Sequence[int], table: str, now: int) -> Iterator[RankedFinding]:
    sources = {
        kind: _Source(*rest) for kind, *rest in file.fetch("SELECT kind, as_of, detail, read_at FROM source")
    }
    outcomes = {
        number: (name, days, bool(is_own))
        for number, name, days, is_own in file.fetch(
            "SELECT number, name, days, is_own_rule FROM outcome WHERE deciding = ?", (table,)
        )
    }
    known = _Known(file)
    statement = f"""SELECT {", ".join(_Row._fields)} FROM {VIEWS[table]}
        WHERE component = ? AND vulnerability = ? AND asset_component = ?"""
    for place in range(0, len(keys), 3):
        for row in file.fetch(statement, keys[place : place + 3]):
            yield _finding(_Row(*row), table, now, sources, outcomes, known)


class _Known:
    """What is asked once for many rows: names, components, the words of documents, decisions."""

    def __init__(self, file: RiskFile) -> None:
        self._file = file
        self._assets: dict[int, str] = {}
        self._components: dict[int, dict[str, str]] = {}
        self._vulnerabilities: dict[int, tuple[Any, ...]] = {}

    def asset(self, number: int) -> str:
        if number not in self._assets:
            self._assets[number] = self._file.fetch("SELECT name FROM asset WHERE id = ?", (number,))[0][0]
        return self._assets[number]

    def component(self, number: int) -> dict[str, str]:
        if number not in self._components:
            ((purl, cpe, vendor, product, model, version),) = self._file.fetch(
                "SELECT purl, cpe, vendor, product, model, version FROM component WHERE id = ?", (number,)
            )
            self._components[number] = {
                "purl": purl, "cpe": cpe, "name": product, "version": version, "vendor": vendor, "model": model
            }  # fmt: skip
        return self._components[number]

    def vulnerability(self, number: int) -> tuple[Any, ...]:
        """Returns (name, title, kev added, SSVC day, SSVC exploitation, last seen by a partner, EPSS percentile)."""
        if number not in self._vulnerabilities:
            self._vulnerabilities[number] = self._file.fetch(
                """SELECT name, title, kev_added, ssvc_day, ssvc_exploitation, partner_last_seen, epss_percentile
                FROM vulnerability WHERE id = ?""",
                (number,),
            )[0]
        return self._vulnerabilities[number]

    def verdicts(self, row: _Row) -> list[tuple[Any, ...]]:
        """Returns (state, match, justification, because, document, publisher, date, own vendor) of each document, worst first."""
        return self._file.fetch(
            """SELECT verdict.state, verdict.match, justification, because, document.tracking_id, document.publisher,
            document.dated, verdict.is_own_vendor FROM verdict JOIN document ON document.id = verdict.document
            WHERE verdict.component = ? AND verdict.vulnerability = ? AND verdict.asset_component IN (0, ?)
            ORDER BY verdict.state DESC, verdict.match DESC, document.dated DESC, document.tracking_id""",
            (row.component, row.vulnerability, row.asset_component),
        )

    def remedy(self, row: _Row) -> str:
        rows = self._file.fetch(
            """SELECT remedy_kind, remedy FROM verdict JOIN statement ON statement.document = verdict.document
            AND statement.vulnerability = verdict.vulnerability WHERE verdict.component = ? AND verdict.vulnerability = ?
            AND remedy <> '' ORDER BY remedy_kind <> 'vendor_fix', remedy_kind <> 'mitigation', statement.id LIMIT 1""",
            (row.component, row.vulnerability),
        )
        return f"{rows[0][0].replace('_', ' ')}: {rows[0][1]}" if rows else ""

    def decision(self, row: _Row, now: int) -> dict[str, str] | None:
        rows = self._file.fetch(
            """SELECT kind, decided_by, because, until FROM decision WHERE vulnerability = ? AND (until IS NULL OR until > ?)
            AND (asset IS NULL OR asset = ?) AND (component IS NULL OR component = ?) ORDER BY decided_at DESC LIMIT 1""",
            (row.vulnerability, now, row.asset, row.component),
        )
        if not rows:
            return None
        kind, by, because, until = rows[0]
        return {
            "kind": kind,
            "by": by,
            "because": because,
            "until": iso_day(until // DAY_SECONDS) if until else "",
        }


def _finding(
    row: _Row,
    table: str,
    now: int,
    sources: Mapping[str, _Source],
    outcomes: Mapping[int, tuple[str, int | None, bool]],
    known: _Known,
) -> RankedFinding:
    name, _, kev_added, ssvc_day, ssvc, last_seen, _ = known.vulnerability(row.vulnerability)
    worst, days, is_own_rule = outcomes[row.worst]
    is_candidate = row.match == FoundBy.CANDIDATE_NAME
    is_due = row.state >= RiskState.POSSIBLE and not is_candidate
    due = None if not is_due or days is None else iso_day(row.first_seen // DAY_SECONDS + days)
    verdicts = known.verdicts(row)
    deciding = [one for one in verdicts if one[0] == row.state] or verdicts
    inputs = _inputs(row, table, now, sources, kev_added, ssvc_day, ssvc)
    return RankedFinding(
        asset=known.asset(row.asset),
        component={"ref": row.bom_ref, **known.component(row.component)},
        vulnerability=name,
        outcome=worst,
        outcome_range=(worst, outcomes[row.best][0]),
        unknown=tuple(one for place, one in enumerate(INPUTS[table]) if row.matters >> place & 1),
        due=due,
        due_by="" if due is None else "own rule" if is_own_rule else "table",
        match=FoundBy(row.match).word,
        state=RiskState(row.state).word,
        why=inputs,
        partner_evidence={
            "organisations": row.organisations,
            "last_seen": iso_day(last_seen // DAY_SECONDS) if last_seen is not None else "",
        },
        epss=row.epss,
        cvss=row.cvss,
        because=deciding[0][3] if deciding else "",
        justification=next((one[2] for one in deciding if one[2]), ""),
        disagreement=_disagreement(verdicts) if row.disagree else (),
        first_seen=iso_day(row.first_seen // DAY_SECONDS),
        decided=known.decision(row, now),
        remedy=known.remedy(row),
        ids={"asset": row.asset, "component": row.component, "vulnerability": row.vulnerability},
    )


def _disagreement(verdicts: Sequence[tuple[Any, ...]]) -> tuple[dict[str, str], ...]:
    return tuple(
        {
            "document": document,
            "publisher": publisher,
            "date": iso_day(dated // DAY_SECONDS) if dated is not None else "",
            "state": RiskState(state).word,
            "own_vendor": "yes" if is_own else "no",
        }
        for state, _, _, _, document, publisher, dated, is_own in verdicts
    )


def _inputs(
    row: _Row,
    table: str,
    now: int,
    sources: Mapping[str, _Source],
    kev_added: int | None,
    ssvc_day: int | None,
    ssvc: int | None,
) -> tuple[Input, ...]:
    today = now // DAY_SECONDS
    kev = _kev(row, sources.get("kev"), today, kev_added)
    points = sources.get("vulnrichment")
    automatable = _point(
        "automatable", YesNo(row.automatable).word, row.automatable != YesNo.UNKNOWN, points, ssvc_day, today
    )
    epss = _epss(row, sources.get("epss"), today)
    if table == CISA_BOD_26_04:
        exposed = Input(
            "exposed", YesNo(row.exposed).word, "inventory", "", _checked(row.exposed != YesNo.UNKNOWN)
        )
        impact = _point(
            "technical impact",
            TechnicalImpact(row.technical_impact).word,
            row.technical_impact != TechnicalImpact.UNKNOWN,
            points,
            ssvc_day,
            today,
        )
        return kev, exposed, automatable, impact, epss
    exposure, human = Exposure(row.exposure), HumanImpact(row.human_impact)
    return (
        _exploitation(row, kev, ssvc, points, ssvc_day, today),
        kev,
        Input("exposure", exposure.word, "inventory", "", _checked(exposure is not Exposure.UNKNOWN)),
        automatable,
        Input("human impact", human.word, "inventory", "", _checked(human is not HumanImpact.UNKNOWN)),
        epss,
    )


def _checked(is_known: bool) -> str:
    return "checked" if is_known else "not-checked"


def _age(as_of: int | None, today: int, days_max: int) -> str:
    """Returns checked, or stale where the source's own day is too long ago, or it names none."""
    return "checked" if as_of is not None and today - as_of <= days_max else "stale"


def _kev(row: _Row, source: _Source | None, today: int, added: int | None) -> Input:
    if source is None:
        return Input("kev", "listed" if row.kev == YesNo.YES else "unknown", "KEV", "", "not-checked")
    value = f"listed since {iso_day(added)}" if row.kev == YesNo.YES else "not listed"
    return Input("kev", value, "KEV", iso_day(source.as_of), _age(source.as_of, today, KEV_STALE_DAYS))


def _epss(row: _Row, source: _Source | None, today: int) -> Input:
    if source is None:
        return Input("epss", "unknown", "EPSS", "", "not-checked")
    value = "no score" if row.epss is None else f"{row.epss:.5f}"
    detail = f"EPSS {source.detail}".strip()
    return Input("epss", value, detail, iso_day(source.as_of), _age(source.as_of, today, EPSS_STALE_DAYS))


def _point(
    name: str, value: str, is_known: bool, source: _Source | None, day: int | None, today: int
) -> Input:
    if is_known:
        return Input(name, value, "SSVC", iso_day(day), _age(day, today, SSVC_STALE_DAYS))
    return Input(name, "unknown", "SSVC", iso_day(source.as_of) if source else "", "not-checked")


def _exploitation(
    row: _Row, kev: Input, ssvc: int | None, points: _Source | None, ssvc_day: int | None, today: int
) -> Input:
    value = Exploitation(row.exploitation)
    if row.kev == YesNo.YES:
        return Input("exploitation", value.word, "KEV", kev.as_of, kev.status)
    if ssvc is not None and value == ssvc:
        return Input(
            "exploitation", value.word, "SSVC", iso_day(ssvc_day), _age(ssvc_day, today, SSVC_STALE_DAYS)
        )
    if value is Exploitation.ACTIVE:
        return Input("exploitation", f"{value.word} (partner-reported)", "partners", "", "checked")
    if value is Exploitation.NOT_ACTIVE:
        return Input("exploitation", f"{value.word} (assumed)", "KEV", kev.as_of, kev.status)
    return Input("exploitation", "unknown", "SSVC", iso_day(points.as_of) if points else "", "not-checked")
