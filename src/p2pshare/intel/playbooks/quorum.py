"""Which version of a playbook has its quorum: organisations, each once, over one exact digest. Pure, and the same in any order.

1. An approval is of one digest. Of another version, or of another content under the same version, it is none.
2. It counts while its author is a member and has not been caught at equivocating (until invited again, which the caller knows).
3. A revocation takes its author's approval of that digest out, unless the approval was made knowing of it: in causal order the later
   holds, and where neither knew of the other the revocation wins.
4. To have written a playbook is no approval of it; its owner may approve like anybody.
5. Two contents under one version are forked: told, and never the version that has the quorum, whatever approves them.
6. The version is the newest that has its quorum, and is not older than the least that the framework asks for.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Callable, Collection, Iterable
from typing import NamedTuple


class PlaybookVersion(NamedTuple):
    """A content of a playbook: its `modified`, as CACAO writes it, and the digest that approvals are of."""

    modified: str
    digest: bytes


class ApprovalSaid(NamedTuple):
    """An entry by which `author`, an organisation's id whatever key it signs with, approves a digest or revokes its approval."""

    entry: str
    author: str
    digest: bytes


class VersionTally(NamedTuple):
    """Who approves one content. `is_forked`: there is another one of the same version."""

    version: PlaybookVersion
    approvals: tuple[str, ...]
    is_forked: bool


class QuorumTally(NamedTuple):
    """What a quorum comes to.

    `version` has its quorum, None where no version has. `approvals`, `missing` and `may_still_approve` are of it; else of the one version
    that anybody approves, or of the newest where nobody approves any. Where several are approved and none has enough, the
    first is empty, the second the whole number and the third empty: whom to ask depends on for which, and `of` says it.
    """

    version: PlaybookVersion | None
    approvals: tuple[str, ...]
    missing: int
    may_still_approve: tuple[str, ...]
    of: tuple[VersionTally, ...]


def tally(
    versions: Iterable[PlaybookVersion],
    approvals: Iterable[ApprovalSaid],
    revocations: Iterable[ApprovalSaid],
    *,
    members: Collection[str],
    equivocators: Collection[str],
    needed: int,
    least_version: str,
    precedes: Callable[[str, str], bool],
) -> QuorumTally:
    """Returns who approves what. `precedes(one, other)`: the entry `other` was made knowing of `one`."""
    revoked: dict[tuple[str, bytes], list[str]] = defaultdict(list)
    for said in revocations:
        revoked[said.author, said.digest].append(said.entry)
    approved: dict[bytes, set[str]] = defaultdict(set)
    counting = set(members) - set(equivocators)
    for said in approvals:
        if said.author in counting and all(
            precedes(entry, said.entry) for entry in revoked[said.author, said.digest]
        ):
            approved[said.digest].add(said.author)
    of = _by_version(versions, approved, least_version)
    enough = [one for one in of if len(one.approvals) >= needed and not one.is_forked]
    begun = [one for one in of if one.approvals]
    if enough:
        told = enough[-1]
    elif len(begun) > 1 or not of:
        return QuorumTally(None, (), needed, (), of)
    else:
        told = begun[0] if begun else of[-1]
    return QuorumTally(
        told.version if enough else None,
        told.approvals,
        max(0, needed - len(told.approvals)),
        tuple(sorted(counting - set(told.approvals))),
        of,
    )


def _by_version(
    versions: Iterable[PlaybookVersion], approved: dict[bytes, set[str]], least_version: str
) -> tuple[VersionTally, ...]:
    """Returns the tallies, oldest version first."""
    known = sorted(set(versions), key=lambda one: (instant_order(one.modified), one.digest))
    contents: dict[tuple[str, str], int] = defaultdict(int)
    for one in known:
        contents[instant_order(one.modified)] += 1
    return tuple(
        VersionTally(one, tuple(sorted(approved[one.digest])), contents[instant_order(one.modified)] > 1)
        for one in known
        if instant_order(one.modified) >= instant_order(least_version)
    )


def instant_order(written: str) -> tuple[str, str]:
    """Returns seconds and fraction of an instant in UTC, in a form that sorts: `08:00:00Z` and `08:00:00.000Z` are one."""
    seconds, _, fraction = written.removesuffix("Z").partition(".")
    return seconds, fraction.rstrip("0")
