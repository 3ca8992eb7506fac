"""The incident's id among the labels of claims: of objects that came out of a file, which say nothing of it themselves (docs/siem.md, `labels`).

Each member does so for itself, by the entry that has the object: only of claims of that entry's own author, so nobody labels another's.
"""

from __future__ import annotations

from collections import defaultdict
from dataclasses import dataclass, field

from p2pshare.identifiers import EntryId, PartnerId
from p2pshare.intel.authoring import incident_label
from p2pshare.node.node import Node
from p2pshare.operations.incidents import INCIDENT, stix_id_of
from p2pshare.spaces.fold import SpaceState
from p2pshare.spaces.incident import IncidentFold
from p2pshare.spaces.incident_telling import readable_object
from p2pshare.spaces.space_exchange import spaces_of
from p2pshare.spaces.space_store import SpaceReading

OBJECTS_AT_ONCE = 512  # looked up in one call of the writer: some 5 ms


@dataclass
class _Pass:
    """The objects of one incident, and how many were looked at. `of`: the length of its time line and our last envelope when it began."""

    of: tuple[int, int]
    objects: list[tuple[PartnerId, str]] = field(default_factory=list)
    done: int = 0


class LabelRounds:
    """What the daemon does for the labels of what is told in incidents, a small piece a call. What came begins a new pass over an incident."""

    def __init__(self, node: Node) -> None:
        self._node = node
        self._passes: dict[EntryId, _Pass] = {}

    def step(self) -> None:
        """Look at the next objects of each incident, and add what lacks."""
        node = self._node
        last_lsn, spaces = node.store.log.last_lsn(), spaces_of(node)
        for row in SpaceReading(node.store.database).all():
            state = spaces.newest(row.space) if row.kind == INCIDENT else None
            if state is None or not isinstance(state.kind, IncidentFold):
                continue
            under_way, of = self._passes.get(row.space), (len(state.timeline), last_lsn)
            if under_way is None or (under_way.done >= len(under_way.objects) and under_way.of != of):
                under_way = self._passes[row.space] = _Pass(of, _objects_in(state))
            some = under_way.objects[under_way.done : under_way.done + OBJECTS_AT_ONCE]
            under_way.done += OBJECTS_AT_ONCE
            by_author: defaultdict[PartnerId, set[str]] = defaultdict(set)
            for author, object_id in some:
                by_author[author].add(object_id)
            for author, ids in by_author.items():
                node.store.knowledge.add_label(author, ids, incident_label(row.space.text))


def _objects_in(state: SpaceState) -> list[tuple[PartnerId, str]]:
    """Returns (author, id) of the indicators that may be read here."""
    fold = state.kind
    assert isinstance(fold, IncidentFold)
    found = []
    for vertex in fold.by_kind["object"]:
        said = readable_object(vertex, fold)
        object_id = "" if said is None else stix_id_of(said.stix)
        if object_id.startswith("indicator--"):
            found.append((vertex.author, object_id))
    return found
