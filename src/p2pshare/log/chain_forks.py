"""A chain that was followed twice: what tells a copied home from a restored backup.

Each envelope links to the author's previous one, across incarnations (docs/envelope.md). Rules:

1. Two envelopes that follow the same one, in two incarnations, are a fork of the chain, and noted. Both a store that was put
   back from a backup and a copy of it leave one.
2. Each begins a branch: the rest of its incarnation, then the incarnation that follows the last of that, and so on. Where one
   store was put back, the first branch has ended when the second begins. Two nodes are at work where an incarnation of the first
   goes on after that, for each start has its own; or where a later one of it begins, and the second goes on after that. (One that
   begins and nothing more is a newer backup, put back after an older one.)
3. Nothing is asked of a clock but the author's own, and a clock that was set leaves no fork.

So what is told wrongly is a restore onto a machine whose clock was behind; and what is not told yet is a copy until the two
have published in turn.
"""

from __future__ import annotations

import apsw

from p2pshare.database.fetching import fetch
from p2pshare.identifiers import EnvelopeId, PartnerId
from p2pshare.log.interface import EnvelopeOrigin, UsedTwice

CHAIN_FORKS_PER_AUTHOR_MAX = 16
"""The newest are kept: each restore leaves one, and a dishonest author as many as it likes."""
BRANCH_INCARNATIONS_MAX = 250
"""Followed of a branch, one a start of the author's node; a dishonest author can make status follow 32 such, in 0.1 s."""

_Branch = list[tuple[int, int]]
"""When the first and the last envelope of each of its incarnations was created, in order."""


def note_chain_fork(connection: apsw.Connection, source: EnvelopeOrigin, previous: bytes) -> None:
    """Note the envelopes of other incarnations that follow `previous` as does `source`, which has just been stored (rule 1)."""
    newest = fetch(
        connection,
        """SELECT envelope_id, incarnation FROM envelope WHERE author = ? AND previous = ? AND lsn != ? AND stage < 3
        ORDER BY lsn DESC LIMIT ?""",
        (source.author, previous, source.lsn, CHAIN_FORKS_PER_AUTHOR_MAX),
    )
    others = [other for other, incarnation in newest if incarnation != source.incarnation]
    if not others:
        return
    connection.executemany(
        "INSERT OR IGNORE INTO chain_fork (author, first, second) VALUES (?, ?, ?)",
        ((source.author, other, source.envelope_id) for other in others),
    )
    connection.execute(
        """DELETE FROM chain_fork WHERE author = ?1 AND id NOT IN (
            SELECT id FROM chain_fork WHERE author = ?1 ORDER BY id DESC LIMIT ?2
        )""",
        (source.author, CHAIN_FORKS_PER_AUTHOR_MAX),
    )


def used_twice(connection: apsw.Connection) -> list[UsedTwice]:
    """Returns the newest proof of each author that its chain was followed by two nodes at once (rule 2)."""
    found: dict[int, UsedTwice] = {}
    for author, partner_id, *begins in fetch(
        connection,
        """SELECT f.author, o.partner_id, a.created, a.incarnation, a.envelope_id, b.created, b.incarnation, b.envelope_id
        FROM chain_fork f JOIN organisation o ON o.id = f.author
        JOIN envelope a ON a.envelope_id = f.first JOIN envelope b ON b.envelope_id = f.second
        ORDER BY o.partner_id, f.id""",
    ):
        one, other = sorted((tuple(begins[:3]), tuple(begins[3:])))
        branches = [_branch(connection, author, branch[1], branch[0]) for branch in (one, other)]
        until = min(max(end for _, end in branch) for branch in branches)
        if _is_used_twice(*branches) and (author not in found or until > found[author].until):
            ids = EnvelopeId(one[2]), EnvelopeId(other[2])
            found[author] = UsedTwice(PartnerId(partner_id), *ids, other[0], until)
    return list(found.values())


def _is_used_twice(first: _Branch, second: _Branch) -> bool:
    began = second[0][0]
    for begin, end in first:
        if end > began:
            return begin <= began or max(last for _, last in second) > begin
    return False


def _branch(connection: apsw.Connection, author: int, incarnation: int, begin: int) -> _Branch:
    """Returns the branch that begins in `incarnation` at `begin`, as far as it is held here."""
    branch: _Branch = []
    seen: set[int] = set()
    while incarnation not in seen and len(seen) < BRANCH_INCARNATIONS_MAX:
        seen.add(incarnation)
        [(last, end)] = fetch(
            connection,
            """SELECT envelope_id, created FROM envelope WHERE author = ? AND incarnation = ?
            ORDER BY sequence DESC LIMIT 1""",
            (author, incarnation),
        )
        branch.append((begin, end))
        following = fetch(
            connection,
            "SELECT incarnation, created FROM envelope WHERE author = ? AND previous = ? ORDER BY lsn LIMIT 1",
            (author, last),
        )
        if not following:
            break
        incarnation, begin = following[0]
    return branch
