# ruff: noqa: S608 - statements are put together from this program's own text only
"""Table of effective states: one row for each observable, with its place in the change feed.

Rules (`knowledge.effective_state` evaluates; this file only keeps the result):

1. Each change to a claim, a quarantine or a sighting marks the observable (table `dirty`); the end of that transaction
   evaluates all that is marked. So no reader ever sees a claim that the effective state does not know of.
2. Time is given, never asked for: the time that a transaction is given is that of all its evaluations. The
   sweep evaluates observables that time alone has changed, in batches of its own transactions.
3. The feed keeps the newest change of each observable: one row, whose `seq` is given anew with each change and
   never twice. Taking the rows above some `seq` in order, and putting or removing each, gives the active set.
4. At most so many claims of one author about one observable count (`asides`); the rest costs no evaluation.
5. An observable that never was active is in no feed: a value that was never reported needs no removal.
"""

from __future__ import annotations

from collections.abc import Collection, Iterable, Iterator, Mapping, Sequence
from operator import itemgetter

import apsw

from p2pshare.database.arrays import MANY, row_ids
from p2pshare.database.fetching import Row, fetch
from p2pshare.database.settings import Setting, get_setting, put_setting
from p2pshare.intel.instants import SECOND_US
from p2pshare.knowledge import asides
from p2pshare.knowledge.decay import CONFIDENCE_DEFAULT, steps_for
from p2pshare.knowledge.effective_state import GONE, ClaimState, EffectiveState, EffectiveStatus, evaluate
from p2pshare.knowledge.lineages import Lineages
from p2pshare.knowledge.sources import is_entangled, sources_of
from p2pshare.limits import STORE_CHUNK_OBJECTS

ADD, UPDATE, REMOVE = 1, 2, 3
SETTLED_AT_ONCE_MAX = 256  # observables of which it is decided what counts: 35 claims of each in memory
MARKED_MAX = 2_048  # observables that wait for the end of a transaction: evaluated in some 30 ms, and others wait for it
SIEM_TLP_MAX = Setting("siem_tlp_max", int)
"""The strictest marking that the SIEM's views show: the gate's answer, kept where SQL can see it."""
EVALUATED_AT = Setting("evaluated_at", int)
LAST_CHANGE = Setting("last_change", int)

_STATES = f"""
SELECT c.observable, c.author, c.status = 1, c.tlp, c.pap, c.confidence, c.modified_us + c.from_after_us,
    c.modified_us + c.until_after_us, e.created, f.received_at, c.status = 1 AND EXISTS (
        SELECT 1 FROM withdrawal w JOIN object_type y ON y.id = w.type
        WHERE w.object_key = c.object_key AND w.author = c.author AND y.name IN ('indicator', '')
        AND w.replaced_by IS NOT NULL
    ), c.object_key, c.derivation, c.is_fallen, c.id, c.source
FROM {MANY} k
CROSS JOIN claim c INDEXED BY claim_observable ON c.observable = k.value AND c.status < 2 AND c.is_aside = 0
CROSS JOIN frame f ON f.id = c.frame
CROSS JOIN envelope e ON e.lsn = f.envelope
"""
_BEFORE = f"""
SELECT t.name, o.value, s.sighted_at, (SELECT min(q.source) FROM quarantine q WHERE q.observable = s.observable),
    s.observable, s.seq, s.due, s.status, s.reason, s.score, s.confidence, s.tlp, s.pap, s.first_seen, s.last_seen,
    s.valid_from, s.valid_until, s.authors, s.claims, s.sources
FROM {MANY} k
CROSS JOIN effective_state s ON s.observable = k.value
CROSS JOIN observable o ON o.id = s.observable
CROSS JOIN observable_type t ON t.id = o.type
"""
_CHANGE = """
UPDATE effective_state SET status = ?, reason = ?, score = ?, confidence = ?, tlp = ?, pap = ?, first_seen = ?, last_seen = ?,
    valid_from = ?, valid_until = ?, authors = ?, claims = ?, sources = ?, at = ?
WHERE observable = ?
"""
# Of its own: SQLite writes a page of the index on what a statement sets, changed or not, and most changes leave it.
_SET_DUE = "UPDATE effective_state SET due = ? WHERE observable = ?"
_REPORT = "UPDATE effective_state SET seq = ?, op = ? WHERE observable = ?"
_INSERT = "INSERT INTO effective_state VALUES (?, ?, ?, ?, NULL, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, NULL)"
_COUNT_AS = "UPDATE claim SET source = ? WHERE id = ?"
_MARK = f"INSERT OR IGNORE INTO dirty SELECT value FROM {MANY}"

_reported = itemgetter(
    *map(
        EffectiveState._fields.index,
        ("score", "confidence", "tlp", "pap", "valid_from", "valid_until", "authors", "sources"),
    )
)
"""The fields of an EffectiveState that the change feed reports, besides whether it is active and why not."""


def unnoted_types(connection: apsw.Connection) -> list[str]:
    """Returns the types for which the views have no lifetime of claims, or another one."""
    rows = fetch(connection, "SELECT name, ages_seconds FROM observable_type")
    return [name for name, seconds in rows if seconds != steps_for(name).over_seconds]


def note_types(connection: apsw.Connection) -> None:
    for name in unnoted_types(connection):
        note_type(connection, name)


def note_type(connection: apsw.Connection, name: str) -> None:
    """Write down the lifetime of claims about a type, where the views can see it."""
    connection.execute(
        "UPDATE observable_type SET ages_seconds = ? WHERE name = ?",
        (steps_for(name).over_seconds, name),
    )


def mark(connection: apsw.Connection, observables: Collection[int]) -> None:
    """Mark observables for evaluation at the end of the transaction."""
    if observables:
        connection.execute(_MARK, (row_ids(observables),))


def mark_ahead(connection: apsw.Connection, now: int) -> None:
    """Mark observables that were evaluated at a time that has not come yet: a clock was set back."""
    connection.execute(
        "INSERT OR IGNORE INTO dirty SELECT observable FROM effective_state WHERE at > ?", (now,)
    )


def reevaluate_dirty(connection: apsw.Connection, now: int, reported_before: int) -> None:
    """Evaluate everything that is marked, at the end of the caller's transaction; `reported_before` is the
    `last_change` from before it began."""
    while marked := fetch(connection, "SELECT observable FROM dirty LIMIT ?", (STORE_CHUNK_OBJECTS,)):
        ids = [row_id for (row_id,) in marked]
        _evaluate(connection, ids, now, reported_before)
        connection.execute("DELETE FROM dirty WHERE observable BETWEEN ? AND ?", (ids[0], ids[-1]))
    if now != get_setting(connection, EVALUATED_AT):
        put_setting(connection, EVALUATED_AT, now)


def reevaluate_due(connection: apsw.Connection, now: int, limit: int) -> int:
    """Evaluate at most `limit` of the observables that are due at `now`, unix seconds; returns how many."""
    if now < evaluated_at(connection):
        mark_ahead(connection, now)
    due = fetch(
        connection, "SELECT observable FROM effective_state WHERE due <= ? ORDER BY due LIMIT ?", (now, limit)
    )
    if due:
        _evaluate(connection, [row_id for (row_id,) in due], now, last_change(connection))
    return len(due)


def evaluate_marked(connection: apsw.Connection, now: int, reported_before: int) -> None:
    """Evaluate what is marked once it is much, before the end of the transaction: so that who measures how long a
    transaction takes measures this, too."""
    if fetch(connection, "SELECT 1 FROM dirty LIMIT 1 OFFSET ?", (MARKED_MAX - 1,)):
        reevaluate_dirty(connection, now, reported_before)


def _evaluate(connection: apsw.Connection, ids: Sequence[int], now: int, reported_before: int) -> None:
    crowds = asides.having(connection, ids)
    unsettled = _evaluate_counted(connection, ids, now, reported_before, crowds)
    for begin in range(0, len(unsettled), SETTLED_AT_ONCE_MAX):
        some = unsettled[begin : begin + SETTLED_AT_ONCE_MAX]
        asides.settle(connection, some, crowds)
        _evaluate_counted(connection, some, now, reported_before, None)


def _evaluate_counted(
    connection: apsw.Connection,
    ids: Sequence[int],
    now: int,
    reported_before: int,
    crowds: Mapping[int, asides.Crowd] | None,
) -> list[int]:
    """Evaluate each of `ids` over the claims that count; returns those passed over, of which it is to be settled first what
    counts: an author says more than that, or something of the `crowds` may take a place. None: all is settled."""
    tlp_max = siem_tlp_max(connection)
    seq = last_change(connection)
    changes: list[Row] = []
    moved: list[Row] = []
    reported: list[Row] = []
    unsettled: list[int] = []
    counted_as: list[Row] = []
    lineages = Lineages(connection)
    for row, claims in _with_claims(connection, ids):
        name, _, sighted_at, quarantined, row_id, reported_seq, due, *before = row
        if crowds is not None and _is_unsettled(claims, crowds.get(row_id)):
            unsettled.append(row_id)
            continue
        shown = [claim for claim in claims if claim.tlp <= tlp_max]
        old = tuple(before)
        sources = Sources(lineages, shown) if is_entangled(shown, lineages.voices) else None
        new = evaluate(
            shown, steps_for(name), now, sighted_at=sighted_at, quarantined=quarantined, sources_of=sources
        )
        if sources is not None:
            counted_as += _counted_as(shown, sources.found)
        if new.status == EffectiveStatus.GONE:
            new = GONE._replace(reason="marking" if claims else "superseded")
        op = _op(old, new)
        if (
            op == REMOVE and reported_seq > reported_before
        ):  # stored and quarantined at once: nobody ever saw it
            reported.append((None, None, row_id))
        elif op:
            seq += 1
            reported.append((seq, op, row_id))
        if old != new[:-1]:
            changes.append((*new[:-1], now, row_id))
        if due != new.due:
            moved.append((new.due, row_id))
    connection.executemany(_CHANGE, changes)
    connection.executemany(_SET_DUE, moved)
    connection.executemany(_REPORT, reported)
    if counted_as:
        connection.executemany(_COUNT_AS, counted_as)
    put_setting(connection, LAST_CHANGE, seq)
    return unsettled


class Sources:
    """Tells, as `evaluate` asks it, as whose statement each of the claims about one value counts; the answer is kept."""

    def __init__(self, lineages: Lineages, claims: Sequence[ClaimState]) -> None:
        derivations = [claim.derivation for claim in claims if claim.derivation is not None]
        self._lineage = lineages.of(derivations, {claim.author for claim in claims})
        self.found: Sequence[int] = ()

    def __call__(self, claims: Sequence[ClaimState], decisive: Sequence[ClaimState]) -> Sequence[int]:
        self.found = sources_of(claims, decisive, self._lineage)
        return self.found


def _counted_as(claims: Sequence[ClaimState], sources: Sequence[int]) -> Iterable[Row]:
    """Yields (source, id) of claims that count as another author's from now on, or as their own again. What is not shown keeps
    what it has: nobody sees it."""
    for number, claim in enumerate(claims):
        source = sources[number] if sources else claim.author  # one claim alone is its author's
        if claim.source != (None if source == claim.author else source):
            yield (None if source == claim.author else source), claim.id


def _is_unsettled(claims: Sequence[ClaimState], crowd: asides.Crowd | None) -> bool:
    if len(claims) > asides.COUNTED_MAX and asides.is_crowded(claim.author for claim in claims):
        return True
    return crowd is not None and not crowd.is_settled(claims)


def _op(old: tuple[object, ...], new: EffectiveState) -> int:
    """Returns the operation that the change feed reports for a change; 0 for none."""
    was_active, is_active = old[0] == EffectiveStatus.ACTIVE, new.status == EffectiveStatus.ACTIVE
    if is_active and not was_active:
        return ADD
    if was_active and not is_active:
        return REMOVE
    return UPDATE if is_active and _reported(old) != _reported(new) else 0


def evaluated(
    connection: apsw.Connection, ids: Sequence[int], now: int, tlp_max: int
) -> Iterator[tuple[str, str, EffectiveState]]:
    """Yields (type, value, effective state) of each at any `now` over the claims no stricter than `tlp_max`,
    in order of ids; those without such a claim are left out."""
    lineages = Lineages(connection)
    for (name, value, sighted_at, quarantined, *_), claims in _with_claims(connection, ids):
        shown = [claim for claim in claims if claim.tlp <= tlp_max]
        if shown:
            sources = Sources(lineages, shown) if is_entangled(shown, lineages.voices) else None
            state = evaluate(
                shown,
                steps_for(name),
                now,
                sighted_at=sighted_at,
                quarantined=quarantined,
                sources_of=sources,
            )
            yield name, value, state


def _with_claims(
    connection: apsw.Connection, ids: Collection[int]
) -> Iterator[tuple[Row, Sequence[ClaimState]]]:
    """Yields each row of _BEFORE with the claims that count about that observable, in order of ids: one observable's
    claims are in memory at a time, however many there are."""
    in_order = sorted(ids)
    claims = _claims_of(connection, in_order)
    observable, found = next(claims, _NO_MORE)
    for row in connection.execute(_BEFORE, (row_ids(in_order),)):
        row_id = row[4]
        while observable < row_id:
            observable, found = next(claims, _NO_MORE)
        yield row, found if observable == row_id else ()


_NO_MORE: tuple[float, list[ClaimState]] = (float("inf"), [])


def _claims_of(
    connection: apsw.Connection, in_order: Collection[int]
) -> Iterator[tuple[float, list[ClaimState]]]:
    """Yields (observable, its claims that count) for those that have any."""
    current: int | None = None
    claims: list[ClaimState] = []
    for row in connection.execute(_STATES, (row_ids(in_order),)):
        if row[0] != current:
            if current is not None:
                yield current, claims
            current, claims = row[0], []
        claims.append(ClaimState._make(row[1:]))
    if current is not None:
        yield current, claims


def siem_tlp_max(connection: apsw.Connection) -> int:
    """Returns the strictest marking the SIEM may see; -1, nothing, when the setting is not there."""
    value = get_setting(connection, SIEM_TLP_MAX)
    return value if value is not None else -1


def last_change(connection: apsw.Connection) -> int:
    return get_setting(connection, LAST_CHANGE) or 0


def evaluated_at(connection: apsw.Connection) -> int:
    """Returns the latest time at which anything was evaluated, unix seconds, 0 at first."""
    return get_setting(connection, EVALUATED_AT) or 0


def add_fresh(
    connection: apsw.Connection,
    types: Sequence[str],
    first: int,
    claims: Iterable[Row],
    sources: dict[int, tuple[int, int]],
    now: int,
) -> None:
    """Add rows for observables that are new in this chunk: ids from `first` on, of these `types`.

    `claims` are the chunk's new rows of the table `claim`, `sources` (sealed at, received at) of each frame.
    The ordinary new observable, with one claim that holds now, is evaluated right here; any other is marked.
    """
    tlp_max, seq = siem_tlp_max(connection), last_change(connection)
    single: dict[int, Row] = {}
    marked: set[int] = set()
    for claim in claims:
        observable = claim[1]
        if observable < first or observable in single:
            marked.add(observable)
        else:
            single[observable] = claim
    ages_seconds = {name: steps_for(name).first_seconds for name in set(types)}
    rows: list[Row] = []
    for row_id, name in enumerate(types, start=first):
        claim = () if row_id in marked else single.get(row_id, ())
        row = _fresh_row(row_id, seq + 1, claim, ages_seconds[name], sources, now, tlp_max) if claim else None
        if row is None:
            marked.add(row_id)
            row = (row_id, None, None, *_UNEVALUATED)
        else:
            seq += 1
        rows.append(row)
    connection.executemany(_INSERT, rows)
    put_setting(connection, LAST_CHANGE, seq)
    mark(connection, sorted(marked))


_UNEVALUATED = (EffectiveStatus.GONE, 0, None, None, None, None, None, None, None, 0, 0, 0, 0, None)


def _fresh_row(
    row_id: int,
    seq: int,
    claim: Row,
    age_seconds: int,
    sources: dict[int, tuple[int, int]],
    now: int,
    tlp_max: int,
) -> Row | None:
    """Returns the row that `evaluate` would make of one claim in the first step of its life, of
    `age_seconds`; None for any other."""
    frame, _, status, tlp, confidence, _, modified_us, *instants, pap, _, derivation, _, _ = claim[4:]
    from_after_us, until_after_us = instants
    sealed_at, received_at = sources[frame]
    from_us = modified_us + from_after_us
    begins = -(-from_us // SECOND_US)
    due = (begins if begins > sealed_at else sealed_at) + age_seconds
    ends = None
    if until_after_us is not None:
        until_us = modified_us + until_after_us
        ends, over = until_us // SECOND_US, -(-until_us // SECOND_US)
        if over < due:
            due = over
    if status or tlp > tlp_max or begins > now or due <= now or derivation is not None:
        return None
    score = CONFIDENCE_DEFAULT if confidence is None else confidence
    valid_from = from_us // SECOND_US
    seen = (received_at, received_at)
    return row_id, seq, ADD, 0, score, confidence, tlp, pap, *seen, valid_from, ends, 1, 1, 1, now, due
