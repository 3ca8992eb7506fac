"""A playbook's workflow as a drawing (SVG): every step once, every edge once with its kind.

1. Steps stand in layers, each below all that lead to it (edges that close a circle do not count), in the order of those above them.
2. An edge over several layers has a place in each of them, so that it runs between boxes and not through them.
3. Whatever an author wrote is escaped, shortened and freed of characters that no XML may hold or no eye sees. There is no script, no
   link and nothing that a viewer would fetch.
4. A step that is named and not there is drawn as missing: a drawing hides no fault.
"""

from __future__ import annotations

import unicodedata
from collections import defaultdict
from collections.abc import Iterable, Iterator
from html import escape
from itertools import pairwise
from typing import Any, NamedTuple

from p2pshare.intel.playbooks.workflow import STEP_TYPES, Workflow, WorkflowEdge

STEPS_DRAWN_MAX = 5_000  # beyond it nobody looks, and a browser labours
PLACES_MAX = 50_000  # of long edges between boxes; beyond it they run straight, through whatever stands there
_NAME_CHARACTERS = 30  # what fits a box
_WIDTH, _HEIGHT = 230, 46  # a box
_ACROSS, _DOWN = 36, 54  # between boxes
_LANE = 26  # a place of a long edge
_MARGIN = 30
_MISSING = "missing"
_UNSEEN = frozenset(
    {"Cc", "Cf", "Cs", "Co", "Cn", "Zl", "Zp"}
)  # controls, format characters, half pairs, line separators
_STYLE = (
    "text{font:13px sans-serif;fill:#1a1a1a}.kind{font-size:10px;fill:#555}.label{font-size:11px;fill:#234}"
    "rect{fill:#fff;stroke:#456;stroke-width:1.5}.start rect,.end rect{fill:#e8f0e8;rx:20}"
    ".parallel rect,.if-condition rect,.while-condition rect,.switch-condition rect{fill:#eef2fa}"
    ".missing rect{stroke:#b00;stroke-dasharray:5 3}path{fill:none;stroke:#567;stroke-width:1.3}"
    ".on_failure path,.on_false path{stroke-dasharray:5 3}"
)


class _Spot(NamedTuple):
    """A place in a layer: of a step (its id), or of a long edge that passes (its number and the layer)."""

    key: str | tuple[int, int]
    layer: int


class TooManySteps(Exception):
    """Raised where a workflow has more than STEPS_DRAWN_MAX steps."""


def draw_workflow(workflow: Workflow, title: str) -> str:
    """Returns the SVG document. Raises TooManySteps."""
    if len(workflow.steps) > STEPS_DRAWN_MAX:
        raise TooManySteps
    edges = [edge for step_id in workflow.steps for edge in workflow.edges[step_id]]
    missing = dict.fromkeys(edge.target for edge in edges if edge.target not in workflow.steps)
    layer = _layers([*workflow.steps, *missing], edges)
    chains = _chains(edges, layer)
    across = _order([*workflow.steps, *missing], edges, layer, chains)
    width = max((x for x in across.values()), default=0.0) + _WIDTH / 2 + _MARGIN
    height = (max(layer.values(), default=0) + 1) * (_HEIGHT + _DOWN) + _MARGIN
    lines = [
        f'<svg xmlns="http://www.w3.org/2000/svg" width="{width:.0f}" height="{height:.0f}" '
        f'viewBox="0 0 {width:.0f} {height:.0f}">',
        f"<title>{_shown(title, 200)}</title>",
        f"<style>{_STYLE}</style>",
        '<defs><marker id="tip" viewBox="0 0 8 8" refX="8" refY="4" markerWidth="7" markerHeight="7" '
        'orient="auto-start-reverse"><path d="M0 0L8 4L0 8" style="fill:#567"/></marker></defs>',
    ]
    lines += (_edge(number, edge, layer, chains, across) for number, edge in enumerate(edges))
    for step_id in workflow.steps:
        kind, name = workflow.kinds[step_id], workflow.steps[step_id].get("name")
        lines.append(_box(step_id, kind, name, across[_Spot(step_id, layer[step_id])], layer[step_id]))
    for step_id in missing:
        spot = _Spot(step_id, layer[step_id])
        lines.append(_box(step_id, _MISSING, "no such step", across[spot], spot.layer))
    return "\n".join([*lines, "</svg>"]) + "\n"


def _layers(step_ids: Iterable[str], edges: list[WorkflowEdge]) -> dict[str, int]:
    """Returns each step's layer: the longest way to it, over edges that close no circle."""
    following: dict[str, list[str]] = defaultdict(list)
    for edge in edges:
        following[edge.source].append(edge.target)
    order: list[str] = []
    is_open: dict[str, bool] = {}
    forward: dict[str, list[str]] = defaultdict(list)
    for root in step_ids:
        if root in is_open:
            continue
        is_open[root] = True
        path: list[tuple[str, Iterator[str]]] = [(root, iter(following[root]))]
        while path:
            step_id, targets = path[-1]
            target = next(targets, None)
            if target is None:
                is_open[step_id] = False
                order.append(step_id)
                path.pop()
            elif not is_open.get(target, False):
                forward[step_id].append(target)
                if target not in is_open:
                    is_open[target] = True
                    path.append((target, iter(following[target])))
    layer = dict.fromkeys(order, 0)
    for step_id in reversed(order):
        for target in forward[step_id]:
            layer[target] = max(layer[target], layer[step_id] + 1)
    return layer


def _chains(edges: list[WorkflowEdge], layer: dict[str, int]) -> dict[int, list[_Spot]]:
    """Returns the places between boxes of each long edge, by its number, from above downwards."""
    chains: dict[int, list[_Spot]] = {}
    left = PLACES_MAX
    for number, edge in enumerate(edges):
        first, last = sorted((layer[edge.source], layer[edge.target]))
        if last - first > 1 and last - first <= left:
            left -= last - first
            chains[number] = [_Spot((number, between), between) for between in range(first + 1, last)]
    return chains


def _order(
    step_ids: Iterable[str],
    edges: list[WorkflowEdge],
    layer: dict[str, int],
    chains: dict[int, list[_Spot]],
) -> dict[_Spot, float]:
    """Returns the middle of each place, in pixels from the left: each layer in the order of what leads to it from above."""
    rows: dict[int, list[_Spot]] = defaultdict(list)
    for step_id in step_ids:
        rows[layer[step_id]].append(_Spot(step_id, layer[step_id]))
    above: dict[_Spot, list[_Spot]] = defaultdict(list)
    for number, edge in enumerate(edges):
        ends = (_Spot(edge.source, layer[edge.source]), _Spot(edge.target, layer[edge.target]))
        upper, lower = sorted(ends, key=lambda spot: spot.layer)
        way = [upper, *chains.get(number, ()), lower]
        for one, next_ in pairwise(way):
            above[next_].append(one)
        for spot in chains.get(number, ()):
            rows[spot.layer].append(spot)
    across: dict[_Spot, float] = {}
    for number in sorted(rows):
        wanted = {
            spot: sum(across[one] for one in above[spot] if one in across) / max(1, len(above[spot]))
            for spot in rows[number]
        }
        right = float(_MARGIN)
        for spot in sorted(rows[number], key=lambda spot: wanted[spot]):
            half = _WIDTH / 2 if isinstance(spot.key, str) else _LANE / 2
            across[spot] = max(right + half, wanted[spot])
            right = across[spot] + half + (_ACROSS if isinstance(spot.key, str) else 0)
    return across


def _edge(
    number: int,
    edge: WorkflowEdge,
    layer: dict[str, int],
    chains: dict[int, list[_Spot]],
    across: dict[_Spot, float],
) -> str:
    source, target = _Spot(edge.source, layer[edge.source]), _Spot(edge.target, layer[edge.target])
    is_down = source.layer < target.layer
    between = chains.get(number, [])
    begin = (across[source], _top(source.layer) + (_HEIGHT if is_down else 0))
    end = (across[target], _top(target.layer) + (0 if is_down else _HEIGHT))
    way = [(across[spot], _top(spot.layer) + _HEIGHT / 2) for spot in (between if is_down else between[::-1])]
    if source.layer == target.layer:  # round the right side
        way = [(max(begin[0], end[0]) + _WIDTH / 2 + _ACROSS / 2, begin[1] - _DOWN / 2)]
    points = [begin, *way, end]
    drawn = f"M{begin[0]:.0f} {begin[1]:.0f}"
    for (x, y), (x_next, y_next) in pairwise(points):
        middle = (y + y_next) / 2
        drawn += f"C{x:.0f} {middle:.0f} {x_next:.0f} {middle:.0f} {x_next:.0f} {y_next:.0f}"
    label = _shown(f"{edge.kind}: {edge.case}" if edge.case else edge.kind, 40)
    label_x, label_y = (begin[0] + points[1][0]) / 2, (begin[1] + points[1][1]) / 2
    return (
        f'<g class="edge {edge.kind}" data-from="{_shown(edge.source, 300)}" data-to="{_shown(edge.target, 300)}" '
        f'data-kind="{edge.kind}"><path d="{drawn}" marker-end="url(#tip)"/>'
        f'<text class="label" x="{label_x:.0f}" y="{label_y:.0f}" text-anchor="middle">{label}</text></g>'
    )


def _box(step_id: str, kind: str, name: Any, middle: float, layer: int) -> str:
    x, y = middle - _WIDTH / 2, _top(layer)
    told = name if isinstance(name, str) and name else kind
    css = kind if kind in (*STEP_TYPES, _MISSING) else "other"
    return (
        f'<g class="step {css}" data-step="{_shown(step_id, 300)}"><title>{_shown(told, 500)}</title>'
        f'<rect x="{x:.0f}" y="{y}" width="{_WIDTH}" height="{_HEIGHT}" rx="5"/>'
        f'<text x="{middle:.0f}" y="{y + 20}" text-anchor="middle">{_shown(told, _NAME_CHARACTERS)}</text>'
        f'<text class="kind" x="{middle:.0f}" y="{y + 36}" text-anchor="middle">{_shown(kind, 40)}</text></g>'
    )


def _top(layer: int) -> int:
    return _MARGIN + layer * (_HEIGHT + _DOWN)


def _shown(text: str, characters: int) -> str:
    """Returns a text as SVG may hold it: nothing of _UNSEEN, and no longer than it may be."""
    kept = "".join(
        "\N{REPLACEMENT CHARACTER}" if unicodedata.category(character) in _UNSEEN else character
        for character in text[: characters + 1]
    )
    if len(kept) > characters:
        kept = kept[: characters - 1] + "…"
    return escape(kept)
