"""What is asked of each drawn history, in the suite with few seeds, in `scripts/attack-spaces` with many."""

from __future__ import annotations

import random

from drawn_spaces import Attack, Settled, drawn_history, orders, settled_and_attacked
from space_histories import partner

from p2pshare.spaces.canonical import canonical
from p2pshare.spaces.fold import SpaceFold, fold


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
