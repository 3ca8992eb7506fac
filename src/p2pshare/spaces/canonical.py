"""The canonical output of a fold: the same bytes at every member that holds the same entries (docs/spaces.md, "Canonical output").

One JSON object as RFC 8785 writes it. It has no text that not all members may read, and nothing that depends on who asks, or when.
"""

from __future__ import annotations

import json

from p2pshare.intel.marking import Tlp
from p2pshare.spaces.acts import RULES, Opening
from p2pshare.spaces.entry_graph import EntryGraph
from p2pshare.spaces.fold import SpaceState
from p2pshare.spaces.interface import Json
from p2pshare.spaces.vertex import Vertex, by_order

_TLP_LABELS = {int(level): level.label for level in Tlp}


def canonical(state: SpaceState) -> bytes:
    """Returns the canonical output of a state."""
    opening = state.opening.header
    members: list[Json] = [
        {"id": member.text, "status": status} for member, status in sorted(state.members.items())
    ]
    heads: list[Json] = [*sorted(vertex.entry_id.text for vertex in state.heads)]
    output: Json = {
        "contested": state.lead is None,
        "heads": heads,
        "kind": state.act.kind,
        "lead": None if state.lead is None else state.lead.text,
        "members": members,
        "realm": opening.realm.text,
        "rules": RULES,
        "space": state.opening.entry_id.text,
        "state": None if state.kind is None else state.kind.canonical(),
        "term": list(state.term),
        "timeline": [_listed(vertex) for vertex in state.timeline],
        "title": state.act.title,
        "tlp": _TLP_LABELS[opening.tlp],
    }
    return canonical_json(output)


def unfolded(graph: EntryGraph, act: Opening) -> bytes:
    """Returns what can be said of a space of other rules than ours: its opening, and all that is held of it, decided or not."""
    opening = graph.opening.header
    output: Json = {
        "contested": False,
        "heads": [],
        "kind": act.kind,
        "lead": None,
        "members": [],
        "realm": opening.realm.text,
        "rules": act.rules,
        "space": graph.opening.entry_id.text,
        "state": None,
        "term": None,
        "timeline": [_listed(vertex) for vertex in sorted(graph.vertices, key=by_order)],
        "title": act.title,
        "tlp": _TLP_LABELS[opening.tlp],
    }
    return canonical_json(output)


def canonical_json(value: Json) -> bytes:
    """Returns JSON in the form of RFC 8785, for values without fractions and with keys of plain ASCII."""
    return json.dumps(value, ensure_ascii=False, sort_keys=True, separators=(",", ":")).encode("utf-8")


def _listed(vertex: Vertex) -> Json:
    header = vertex.header
    return {
        "author": vertex.author.text,
        "created": header.created,
        "depth": vertex.depth,
        "id": vertex.entry_id.text,
        "kind": vertex.kind,
        "number": vertex.number,
        "tlp": _TLP_LABELS[header.tlp],
    }
