"""Which playbook of our frameworks answers an outcome of the risk tables, and how it stands: read from the store, in the process that has the inventory.

Nothing is asked of a daemon and nothing of the inventory is told: what is read is what partners said (docs/frameworks.md).
"""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Any

from p2pshare.cli import console
from p2pshare.errors import OperatorError, RefusedError
from p2pshare.identifiers import PartnerId

if TYPE_CHECKING:
    from p2pshare.intel.playbooks.framework_manifest import FrameworkEntry
    from p2pshare.spaces.framework_holding import HeldFramework

FRAMEWORK = "framework"
_BEST_FIRST = ("ready", "not-adopted", "approving", "forked", "missing")


class PlaybooksForOutcomes:
    """The entries of the frameworks that we have joined, as they stand now."""

    def __init__(self, home: Path) -> None:
        self._found: list[tuple[FrameworkEntry, dict[str, Any]]] = []
        try:
            self._found = list(_entries(home))
        except (OperatorError, RefusedError) as error:  # no store yet, or without the extra: the plan goes on
            if error.reason == "extra-missing":
                console.warn(f"playbooks are not named: {error.message}")

    def of(self, outcome: str) -> dict[str, Any] | None:
        """Returns the playbook for an outcome, of several the one that is nearest to being used; None where no framework has any."""
        told = [said for entry, said in self._found if entry.matches(risk=(outcome,))]
        return min(told, key=lambda one: _BEST_FIRST.index(one["state"]), default=None)


def _entries(home: Path) -> Iterator[tuple[FrameworkEntry, dict[str, Any]]]:
    from p2pshare.database.settings import OWN_ID
    from p2pshare.node.home import STORE_NAME
    from p2pshare.node.store import reading_store
    from p2pshare.spaces.fold import SpaceFold
    from p2pshare.spaces.framework_holding import hold_framework
    from p2pshare.spaces.space_store import SpaceReading
    from p2pshare.spaces.vertex import SpaceEntry

    if not (home / STORE_NAME).exists():
        return
    with reading_store(home / STORE_NAME) as store:
        raw, reading = store.database.setting(OWN_ID), SpaceReading(store.database)
        if raw is None:
            return
        own = PartnerId(raw)
        for row in reading.all():
            if row.kind != FRAMEWORK:
                continue
            fold = SpaceFold()
            for entry in reading.entries(row):
                fold.add(SpaceEntry.of(entry))
            held = hold_framework(store.database, row, fold.state())
            manifest = held.fold.manifest()
            if manifest is None or own not in held.joined:
                continue
            for one in manifest.manifest.entries:
                yield one, _told(held, one, is_adopted=own in held.adopters())


def _told(held: HeldFramework, entry: FrameworkEntry, *, is_adopted: bool) -> dict[str, Any]:
    counted, versions = held.tally_of(entry), held.fold.playbooks().get(entry.playbook, [])
    version = counted.version
    if version is not None:
        state = "missing" if version.digest not in held.texts else "ready" if is_adopted else "not-adopted"
    elif any(one.is_forked for one in versions):
        state = "forked"
    else:
        state = "approving" if versions else "missing"
    return {
        "framework": held.row.space.text,
        "playbook": entry.playbook,
        "name": versions[-1].said.name if versions else "",
        "version": None if version is None else version.modified,
        "hash": None if version is None else version.digest.hex(),
        "needed": entry.quorum,
        "missing": counted.missing,
        "state": state,
    }
