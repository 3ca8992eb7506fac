"""What is asked of each drawn history, in the suite with few seeds, in `scripts/attack-spaces` with many."""

from __future__ import annotations

import random
from collections.abc import Iterable

import naive_fold
import wild_space_histories
from drawn_spaces import Attack, Settled, drawn_history, orders, settled_and_attacked
from naive_fold import PlainEntry, plain_entry
from space_histories import partner

from p2pshare.envelope.entry import decode_header, encode_header
from p2pshare.errors import PeerError
from p2pshare.identifiers import EntryId
from p2pshare.spaces.canonical import canonical
from p2pshare.spaces.fold import SpaceFold, fold
from p2pshare.spaces.vertex import SpaceEntry


def differs_by_order(seed: int, times: int) -> str:
    """Returns "" where a history gives the same bytes and effects in so many drawn orders, looked at now and then on the way;
    else what differs."""
    entries = drawn_history(seed).entries
    whole = SpaceFold()
    for entry in orders(entries, random.Random(seed)):
        whole.add(entry)
    wanted = canonical(whole.state())
    if canonical(fold(entries.values())) != wanted:
        return f"history {seed}: another fold by depth"
    for number in range(times):
        draw = random.Random(seed * 1_000 + number)
        looking = draw.choice([0.1, 0.5, 1.0])
        one_by_one = SpaceFold()
        for entry in orders(entries, draw):
            one_by_one.add(entry)
            if draw.random() < looking:
                one_by_one.state()
        if canonical(one_by_one.state()) != wanted:
            return f"history {seed}, order {number}: other bytes"
        other = [one for one in entries if one_by_one.effect_of(one) != whole.effect_of(one)]
        if other:
            return f"history {seed}, order {number}: another effect of {other[0]}"
    return ""


def moved_by_attack(seed: int) -> str:
    """Returns "" where what a minority added to a settled space changes neither its lead nor the membership of others."""
    fault = moved(*settled_and_attacked(seed))
    return f"attack {seed}: {fault}" if fault else ""


def moved(settled: Settled, attack: Attack) -> str:
    """Returns what an attack moved, or ""."""
    before, after = fold(settled.entries.values()), fold(attack.entries.values())
    few = {partner(name) for name in settled.minority}
    if (before.lead, before.term) != (after.lead, after.term):
        return f"the lead moved from term {before.term} to {after.term}"
    for member in (before.members.keys() | after.members.keys()) - few:
        if before.members.get(member) != after.members.get(member):
            return f"{member} was {before.members.get(member)}, is {after.members.get(member)}"
    return ""


def differs_from_naive(seed: int) -> str:
    """Returns "" where both folds say the same of a history drawn here and of a wild one; else of which they do not."""
    entries = drawn_history(seed).entries
    plain = [plain_of(entry) for entry in entries.values()]
    fault = difference(orders(entries, random.Random(seed)), plain)
    if fault:
        return f"drawn history {seed}: {fault}"
    written = wild_space_histories.history(seed)
    plain = wild_space_histories.parents_first(written.entries, random.Random(seed))
    wild = [SpaceEntry(EntryId(one.id), decode_header(written.wire[one.id][0]), one.content) for one in plain]
    fault = difference(wild, plain)
    return f"wild history {seed}: {fault}" if fault else ""


def plain_of(entry: SpaceEntry) -> PlainEntry:
    """The entry as the naive fold reads it."""
    body = b"" if entry.content is None else bytes(16) + entry.content
    return plain_entry(encode_header(entry.header), body)


def difference(entries: Iterable[SpaceEntry], plain: list[PlainEntry]) -> str:
    """Returns "" where the fold and the naive one give the same bytes, and each entry the same effect."""
    space = SpaceFold()
    try:
        for entry in entries:
            space.add(entry)
        output = canonical(space.state())
    except PeerError as error:
        return "" if naive_fold.canonical(plain) is None else f"no fold: {error.reason}"
    if output != naive_fold.canonical(plain):
        return "other bytes"
    effects = naive_fold.effects(plain) or {}
    other = [one.kind for one in plain if space.effect_of(EntryId(one.id)) != effects.get(one.id)]
    return f"another effect of: {', '.join(other)}" if other else ""
