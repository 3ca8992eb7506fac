"""Grammar: the recipes that the search draws, as Hypothesis strategies, and those that it begins with.

Half of what is drawn is made from nothing, half is a recipe that cost much so far with a few of its numbers and words drawn
anew: what is expensive lies in narrow places.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import replace
from typing import Any

from hypothesis import strategies as st

from costs.recipes import (
    FILLERS,
    KINDS,
    LABELS,
    SHAPES,
    VALUE_TYPES,
    Objects,
    Recipe,
    Sealed,
    scaled,
)
from p2pshare.limits import FRAME_OBJECTS_MAX

MAGNITUDES = (0, 1, 2, 8, 16, 17, 64, 250, 256, 257, 500, 1_000, 1_024, 1_025, 2_000, 4_000, 10_000, 40_000)
BYTES = (0, 8, 16, 40, 64, 128, 250, 256, 1_024, 4_000, 8_192, 16_000, 65_536, 300_000, 1_000_000, 4_000_000)


def _numbers(below: int) -> st.SearchStrategy[int]:
    return st.sampled_from([one for one in MAGNITUDES if one <= below]) | st.integers(0, below)


def _sizes(below: int) -> st.SearchStrategy[int]:
    return st.sampled_from([one for one in BYTES if one <= below]) | st.integers(0, below)


_STEP = st.sampled_from((0, 1, 1, 2, 16))
_BASE = st.sampled_from((0, 0, 0, 1, 100, 1_000, 100_000))
FIELDS: dict[str, st.SearchStrategy[Any]] = {
    "kind": st.sampled_from(KINDS) | st.just("indicator"),
    "count": _numbers(40_000).map(lambda one: max(one, 1)),
    "id_base": _BASE,
    "id_step": _STEP,
    "is_text_id": st.booleans(),
    "version_base": st.sampled_from((0, 0, 1, 1_000)),
    "version_step": st.sampled_from((0, 0, 1)),
    "is_distinct": st.booleans(),
    "values": _numbers(1_001).map(lambda one: max(one, 1)),
    "value_base": _BASE,
    "value_step": _STEP,
    "value_bytes": _sizes(8_192),
    "value_type": st.sampled_from(VALUE_TYPES),
    "is_random": st.booleans(),
    "shape": st.sampled_from(SHAPES),
    "valid_step": st.sampled_from((0, 0, 61, 3_600)),
    "is_ending": st.booleans(),
    "is_revoked": st.booleans(),
    "labels": st.sampled_from((0, 0, 0, 1, 16, 64, 65)),
    "label_characters": st.sampled_from((8, 100, 250)),
    "label_kind": st.sampled_from(LABELS),
    "marking_refs": st.sampled_from((0, 1, 1, 2, 100, 10_000)),
    "target_base": _BASE,
    "target_step": _STEP,
    "targets": _numbers(16_384).map(lambda one: max(one, 1)),
    "names_value": st.sampled_from(("", "", "first", "none")),
    "is_replacing": st.booleans(),
    "origins": st.sampled_from((0, 1, 1, 2, 8)),
    "origin_base": _BASE,
    "origin_step": _STEP,
    "public_source": st.sampled_from(("", "same", "counted")),
    "filler": st.sampled_from(("", "", *FILLERS)),
    "filler_bytes": _sizes(4_000_000),
}
_ENVELOPE_FIELDS: dict[str, st.SearchStrategy[Any]] = {
    "frame_objects": st.sampled_from((1, 2, 16, 250, FRAME_OBJECTS_MAX, FRAME_OBJECTS_MAX)),
    "level": st.sampled_from((1, 3, 6, 6, 9)),
    "is_earlier": st.booleans(),
    "times": st.sampled_from((1, 1, 1, 8, 50)),
    "shifts": st.sampled_from(("ids", "both", "versions", "values", "")),
    "padding_bytes": st.sampled_from((0, 0, 1_000, 10_000, 100_000)),
}


@st.composite
def _lumps(draw: Callable[..., Any]) -> Objects:
    """A lump with some of its fields drawn: with all of them drawn most cancel each other."""
    names = draw(st.lists(st.sampled_from(sorted(FIELDS)), max_size=8, unique=True))
    return Objects(
        **{"kind": draw(FIELDS["kind"]), "count": draw(FIELDS["count"])}
        | {name: draw(FIELDS[name]) for name in names}
    )


_SEALED = st.builds(Sealed, st.lists(_lumps(), min_size=1, max_size=3).map(tuple), **_ENVELOPE_FIELDS)


@st.composite
def recipes(draw: Callable[..., Any], begun: Sequence[Recipe]) -> Recipe:
    """Recipes from nothing, and changed ones of those that are `begun`."""
    if not begun or draw(st.integers(0, 3)) == 0:
        return draw(st.lists(_SEALED, min_size=1, max_size=3).map(tuple))
    recipe = list(begun[draw(st.integers(0, len(begun) - 1))])
    for _ in range(draw(st.integers(1, 4))):
        place = draw(st.integers(0, len(recipe) - 1))
        match draw(
            st.sampled_from(
                ("lump", "lump", "lump", "lump", "scale", "scale", "envelope", "more", "again", "other")
            )
        ):
            case "lump":
                lumps = list(recipe[place].lumps)
                which = draw(st.integers(0, len(lumps) - 1))
                name = draw(st.sampled_from(sorted(FIELDS)))
                lumps[which] = replace(lumps[which], **{name: draw(FIELDS[name])})
                recipe[place] = replace(recipe[place], lumps=tuple(lumps))
            case "scale":
                factor = draw(st.sampled_from((0.1, 0.25, 0.5, 0.8, 1.25, 2.0, 4.0, 10.0)))
                (recipe[place],) = scaled((recipe[place],), factor)
            case "envelope":
                name = draw(st.sampled_from(sorted(_ENVELOPE_FIELDS)))
                recipe[place] = replace(recipe[place], **{name: draw(_ENVELOPE_FIELDS[name])})
            case "more":
                recipe[place] = replace(recipe[place], lumps=(*recipe[place].lumps, draw(_lumps()))[:3])
            case "again":
                recipe = [*recipe, replace(recipe[-1], is_earlier=draw(st.booleans()))][:3]
            case "other":
                recipe = [*recipe, draw(_SEALED)][:3]
    return tuple(recipe)
