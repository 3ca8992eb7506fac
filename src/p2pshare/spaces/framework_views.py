"""The rows behind the SQL view of playbooks, made from the fold in small steps (docs/siem.md, "Playbooks").

As those of incidents (`incident_views`): a framework is due when something of it was stored since its rows were made, they are made once its
fold is current, and begun anew where that changes meanwhile. Signatures that are new are judged on the way.

Runs in the writer thread, behind `Spaces.go_on`.
"""

from __future__ import annotations

import json
from collections import defaultdict
from collections.abc import Iterator, Mapping
from typing import Any

from p2pshare.database.database import Database
from p2pshare.identifiers import EntryId, PartnerId
from p2pshare.intel.instants import SECOND_US, format_instant
from p2pshare.intel.playbooks.quorum import VersionTally
from p2pshare.spaces.fold import SpaceState
from p2pshare.spaces.framework_holding import HeldFramework, holding_framework
from p2pshare.spaces.space_store import SpaceRow, SpaceStore
from p2pshare.spaces.spaces import Spaces

ROWS_AT_ONCE = 32  # made and written in one step: each has up to 256 approvals
LOOK_SECONDS = 1  # between two looks for what is due


class FrameworkViews:
    """The view of one node, whose id is `own`."""

    def __init__(self, database: Database, spaces: Spaces, own: PartnerId) -> None:
        self._database = database
        self._store = SpaceStore(database)
        self._spaces = spaces
        self._own = own
        self._under_way: tuple[EntryId, Iterator[None]] | None = None
        self._looked_at = 0
        self.is_due = False
        """Whether a framework waits for its rows."""

    def go_on(self, now: int) -> bool:
        """Do a small step of what is due. Returns whether more is to be done at once. Raises StoreError with nothing of the step kept."""
        if self._under_way is None and not self._begin(now):
            return False
        assert self._under_way is not None
        space, steps = self._under_way
        try:
            if self._spaces.current(space) is not None:
                next(steps)
                return True
        except StopIteration:
            pass
        except BaseException:
            self._under_way = None
            raise
        self._under_way, self._looked_at = None, 0
        return True

    def _begin(self, now: int) -> bool:
        """Look for a framework whose rows can be made."""
        if abs(now - self._looked_at) < LOOK_SECONDS:
            return False
        self._looked_at = now
        due = self._store.frameworks_to_show()
        self.is_due = bool(due)
        for row in due:
            current = self._spaces.current(row.space)
            if current is not None:
                self._under_way = row.space, self._make(row, current[0].state())
                return True
            if self._spaces.has_unknown_rules(row.space):
                self._store.put_framework(row)
        return False

    def _make(self, row: SpaceRow, state: SpaceState) -> Iterator[None]:
        """Make the rows of a framework; yields between small steps."""
        held = yield from holding_framework(self._database, row, state)
        there = self._store.playbooks_shown(row)
        fresh: dict[str, str | None] = {}
        for key, said in playbook_rows(held, self._own):
            text = json.dumps(said, ensure_ascii=False)
            if there.pop(key, None) != text:
                fresh[key] = text
            if len(fresh) >= ROWS_AT_ONCE:
                self._store.put_playbooks(row, fresh)
                fresh = {}
                yield
        self._store.put_playbooks(row, {**fresh, **dict.fromkeys(there)})
        yield
        self._store.put_framework(row)


def playbook_rows(held: HeldFramework, own: PartnerId) -> Iterator[tuple[str, Mapping[str, Any]]]:
    """Yields what is shown of each version that counts, by the id of its entry."""
    fold = held.fold
    adopters = held.adopters()
    for playbook, versions in fold.playbooks().items():
        entry = fold.entry_of(playbook)
        needed, least = (1, "") if entry is None else (entry.quorum, entry.least)
        counted = held.tally(playbook, needed, least)
        of: defaultdict[bytes, list[VersionTally]] = defaultdict(list)
        for one in counted.of:
            of[one.version.digest].append(one)
        for version in versions:
            said = version.said
            approvals = [by for one in of[said.digest] for by in one.approvals]
            bad = sum(by.entry_id in held.bad for own_ in fold.approvals_of(said).values() for by in own_)
            is_in_force = counted.version is not None and counted.version.digest == said.digest
            yield (
                version.vertex.entry_id.text,
                {
                    "playbook": playbook,
                    "name": said.name,
                    "version": said.modified,
                    "hash": said.digest.hex(),
                    "approvals": json.dumps(approvals),
                    "quorum": None if entry is None else entry.quorum,
                    "adopted": int(entry is not None and own in adopters),
                    "forked": int(version.is_forked),
                    "in_force": int(entry is not None and is_in_force),
                    "template": said.is_template,
                    "is_held": int(said.digest in held.texts),
                    "bad_signatures": bad,
                    "owner": version.vertex.author.text,
                    "review": format_instant(said.review * SECOND_US) if said.review else None,
                },
            )
