"""Claims that stand aside: of what one author says about one observable, only so much counts.

An author may say the same value in ten thousand indicators. If all of them counted, every later word of anybody about that value would
cost a walk over them (docs/store.md, "Claims that stand aside"). So at most COUNTED_MAX claims of one author about one observable
count, and the others stand aside: they are kept, found by their object, and neither evaluated nor shown by value.

1. Those count that are not withdrawn, by their author or with their origin, and among them the newest by their author's `modified`: so which ones count depends on
   the envelopes held, not on the order in which they came.
2. The strictest marking of all that is said and not withdrawn counts, too: standing aside loosens nothing.
3. When one that counts is withdrawn or replaced, the newest of those aside takes its place.

Nothing that stands aside ranks above what counts, so nothing aside is looked at while all places are taken (`Crowd.is_settled`). What is
decided here is decided when the observable is evaluated (`state_table`), in the same transaction.
"""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Collection, Iterable, Iterator, Mapping, Sequence
from typing import NamedTuple

import apsw

from p2pshare.database.arrays import MANY, row_ids
from p2pshare.database.fetching import fetch
from p2pshare.knowledge.effective_state import ClaimState
from p2pshare.knowledge.row_changes import CURRENT

COUNTED_MAX = 16  # claims of one author about one observable: real ones have one to three

_ANY = (
    "SELECT 1 FROM claim INDEXED BY claim_aside WHERE status = 0 AND is_aside = 1 AND is_fallen = 0 LIMIT 1"
)
_OF_AUTHOR = (
    "c.observable = k.value AND c.author = k.author AND c.status = 0 AND c.is_aside = 1 AND c.is_fallen = 0"
)
# The first and the last author of whom something stands aside, and the strictest of what the first one's do: each is one
# step down an index.
_HAVE = f"""
SELECT k.value, k.author, k.last,
    (SELECT max(c.tlp) FROM claim c INDEXED BY claim_aside_tlp WHERE {_OF_AUTHOR}),
    (SELECT max(c.pap) FROM claim c INDEXED BY claim_aside_pap WHERE {_OF_AUTHOR})
FROM (
    SELECT v.value AS value, (
        SELECT c.author FROM claim c INDEXED BY claim_aside
        WHERE c.observable = v.value AND c.status = 0 AND c.is_aside = 1 AND c.is_fallen = 0 ORDER BY c.author LIMIT 1
    ) AS author, (
        SELECT c.author FROM claim c INDEXED BY claim_aside
        WHERE c.observable = v.value AND c.status = 0 AND c.is_aside = 1 AND c.is_fallen = 0 ORDER BY c.author DESC LIMIT 1
    ) AS last
    FROM {MANY} v
) k WHERE k.author IS NOT NULL
"""  # noqa: S608 - put together from this program's own text only
_COLUMNS = "observable, id, author, max(status, is_fallen), tlp, coalesce(pap, -1), modified_us, object_key, is_aside"
_COUNTED = f"""
SELECT {_COLUMNS} FROM {MANY} k CROSS JOIN claim INDEXED BY claim_observable
ON observable = k.value AND status < 2 AND is_aside = 0
"""  # noqa: S608
_ASIDE = f"""
SELECT {_COLUMNS} FROM claim INDEXED BY {{index}}
WHERE observable = ? AND author = ? AND status = 0 AND is_aside = 1 AND is_fallen = 0 ORDER BY {{order}} DESC LIMIT ?
"""  # noqa: S608
_NEXT_AUTHOR = """
SELECT author FROM claim INDEXED BY claim_aside
WHERE observable = ? AND author > ? AND status = 0 AND is_aside = 1 AND is_fallen = 0 ORDER BY author LIMIT 1
"""
_SET = f"UPDATE claim SET is_aside = ? WHERE id IN (SELECT value FROM {MANY})"  # noqa: S608


class _Said(NamedTuple):
    """A claim, as far as it decides whether it counts: `status` is 0 where nothing takes it back."""

    observable: int
    id: int
    author: int
    status: int
    tlp: int
    pap: int
    modified_us: int
    object_key: bytes | str
    is_aside: int


class Crowd(NamedTuple):
    """What stands aside about one observable: of whom, and the strictest marking of it."""

    author: int
    last_author: int
    tlp: int
    pap: int | None

    def is_settled(self, claims: Sequence[ClaimState]) -> bool:
        """Returns whether nothing of it can take a place among the `claims` that count."""
        own = [
            claim
            for claim in claims
            if claim.author == self.author and not (claim.is_withdrawn or claim.is_fallen)
        ]
        return (
            self.author == self.last_author
            and len(own) == COUNTED_MAX
            and self.tlp <= max(claim.tlp for claim in own)
            and (self.pap is None or self.pap <= max(-1 if claim.pap is None else claim.pap for claim in own))
        )


def having(connection: apsw.Connection, observables: Collection[int]) -> Mapping[int, Crowd]:
    """Returns those of `observables` about which an author said something that stands aside and may come back."""
    if not fetch(connection, _ANY):
        return {}
    rows = fetch(connection, _HAVE, (row_ids(observables),))
    return {observable: Crowd(*crowd) for observable, *crowd in rows}


def is_crowded(authors: Iterable[int]) -> bool:
    """Returns whether one of the authors of these claims about one observable says more than counts."""
    return max(Counter(authors).values()) > COUNTED_MAX


def settle(connection: apsw.Connection, observables: Sequence[int], crowds: Mapping[int, Crowd]) -> None:
    """Decide anew which claims about each of `observables` count; `crowds` as `having` tells them."""
    said: dict[tuple[int, int], list[_Said]] = defaultdict(list)
    for row in connection.execute(_COUNTED, (row_ids(observables),)):
        said[row[0], row[2]].append(_Said._make(row))
    for observable in observables:
        if observable in crowds:
            for author in _authors_aside(connection, observable):
                said[observable, author] += _aside(connection, observable, author)
    changes: tuple[list[int], list[int]] = ([], [])
    for claims in said.values():
        kept = {claim.id for claim in counted(claims)}
        for claim in claims:
            if claim.is_aside == (claim.id in kept):
                changes[claim.id not in kept].append(claim.id)
    for is_aside, ids in enumerate(changes):
        if ids:
            connection.execute(_SET, (is_aside, row_ids(sorted(ids))))


def counted(claims: Sequence[_Said]) -> list[_Said]:
    """Returns those of one author's claims about one observable that count: rules 1 and 2."""
    if len(claims) <= COUNTED_MAX:
        return list(claims)
    newest = sorted(claims, key=_rank)
    kept = newest[:COUNTED_MAX]
    live = [claim for claim in newest if claim.status == CURRENT]
    for marking in ("tlp", "pap"):
        strictest = max((getattr(claim, marking) for claim in live), default=-1)
        if all(getattr(claim, marking) < strictest for claim in kept):
            holder = next(claim for claim in live if getattr(claim, marking) == strictest)
            kept = [*kept[: COUNTED_MAX - 1], holder] if marking == "tlp" else [*_but_one(kept), holder]
    return kept


def _but_one(kept: Sequence[_Said]) -> list[_Said]:
    """Returns all but the oldest that is not the only one with the strictest TLP."""
    strictest = max(claim.tlp for claim in kept)
    holders = [claim for claim in kept if claim.tlp == strictest]
    dropped = next(claim for claim in reversed(kept) if len(holders) > 1 or claim is not holders[0])
    return [claim for claim in kept if claim is not dropped]


def _rank(claim: _Said) -> tuple[bool, int, bool, bytes | str, int]:
    key = claim.object_key
    return claim.status != CURRENT, -claim.modified_us, isinstance(key, str), key, -claim.id


def _authors_aside(connection: apsw.Connection, observable: int) -> Iterator[int]:
    """Yields the authors of whom something stands aside; each is found by one step down the index."""
    author = -1
    while found := fetch(connection, _NEXT_AUTHOR, (observable, author)):
        ((author,),) = found
        yield author


def _aside(connection: apsw.Connection, observable: int, author: int) -> list[_Said]:
    """Returns what may take a place: the newest, and one with the strictest marking of each kind."""
    found: dict[int, _Said] = {}
    for index, order, limit in (
        ("claim_aside", "modified_us", COUNTED_MAX),
        ("claim_aside_tlp", "tlp", 1),
        ("claim_aside_pap", "pap", 1),
    ):
        for row in fetch(connection, _ASIDE.format(index=index, order=order), (observable, author, limit)):
            found[row[1]] = _Said._make(row)
    return list(found.values())
