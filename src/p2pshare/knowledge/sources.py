"""Sources: how many independent statements stand behind a value, whoever repeats them. Pure; the one place of these rules.

1. What counts for an author is what it says by itself; else what it took from a public source; else what it passes on
   (`intel.derivation`). Each such claim stands for some *stems*: the id of its own object, the name of a public source, or
   the ids and the authors of the objects that it passes on, and of those that they pass on in turn.
2. Two authors with a stem in common are one source: the same object id, the same origin, the same public source, or one that
   passes on what the other, or the same third one, said. By author and not by id alone: else one who says a value under many
   ids, one to each partner, would have as many sources as partners pass it on.
3. The sources are the most authors of whom no two have a stem in common. So whoever repeats others lessens its own weight and
   nobody else's: one who says the ids of two that have nothing to do with each other leaves both standing.
4. An author that counts as another's voice (`Lineage.voices`: it was introduced, and by that one alone) has a stem in common with
   that one, and with all others of that voice.
5. Every other author counts as one of them with which it has a stem in common: the first by partner id.

Authors with the same stems are alike, and one with more stems than another stands behind it, so nearly always nothing is left to
be decided. Of more than EXACT_MAX entangled authors those with the fewest conflicts are taken first.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from types import MappingProxyType
from typing import NamedTuple

from p2pshare.knowledge.effective_state import ClaimState

EXACT_MAX = 16  # authors of whom no two say the same, each entangled with several: real values have none
COMPARED_MAX = (
    64  # sets of stems that are compared with each other: a value that hundreds repeat has one or two
)

Key = bytes | str
"""An object's id as the table `claim` has it."""


class Stem(NamedTuple):
    """What one version says that it stems from: (author, object id) of each origin, and a public source.

    An author that no claim here is of is a number below 0, each its own: nothing of its object can be held.
    """

    origins: tuple[tuple[int, Key], ...]
    public_source: str | None


class Lineage(NamedTuple):
    """What is known of the claims about one value beside themselves: by derivation what it says, and by author its partner id,
    which orders authors alike at every partner."""

    stems: Mapping[int, Stem]
    ranks: Mapping[int, bytes | int]
    voices: Mapping[int, int] = MappingProxyType({})
    """By author that is no voice of its own, whose it is."""


_Stems = frozenset[tuple[str, Key | int]]


def is_entangled(claims: Sequence[ClaimState], voices: Mapping[int, int] = MappingProxyType({})) -> bool:
    """Returns whether some of these claims may be one source though their authors are two, or counted so until now. Nearly
    always none are, and that is told in one pass. `voices` as in `Lineage`."""
    if len(claims) < 2:
        return bool(claims) and claims[0].source is not None
    if voices and any(claim.author in voices for claim in claims):
        authors = {claim.author for claim in claims}
        if len({voices.get(author, author) for author in authors}) < len(authors):
            return True
    keys = set()
    for claim in claims:
        if claim.derivation is not None or claim.source is not None:
            return True
        keys.add(claim.object_key)
    return len(keys) < len(claims)


def sources_of(claims: Sequence[ClaimState], decisive: Sequence[ClaimState], lineage: Lineage) -> list[int]:
    """Returns for each of `claims`, which are about one value, the author as whose statement it counts. The `decisive` ones, those
    that are live or else all, decide who is a source."""
    stems = _StemsOf(claims, lineage.stems)
    own = _with_voices(_stems_by_author(decisive, stems, lineage.stems), lineage.voices)
    ranks = lineage.ranks
    chosen = sorted(_independent(own, ranks), key=ranks.__getitem__)

    def source_of(claim: ClaimState) -> int:
        author = claim.author
        if author in chosen:
            return author
        for said in (stems.of(claim), own.get(author, frozenset())):
            for one in chosen:
                if said & own[one]:
                    return one
        return author

    return [source_of(claim) for claim in claims]


class _StemsOf:
    """The stems of claims about one value; origins are followed through those of the claims that pass something on."""

    def __init__(self, claims: Iterable[ClaimState], stems: Mapping[int, Stem]) -> None:
        self._stems = stems
        self._passing_on: dict[tuple[int, Key], Stem] = {}
        for claim in claims:
            stem = self._stem_of(claim)
            if stem is not None and stem.origins:
                self._passing_on[claim.author, claim.object_key] = stem

    def _stem_of(self, claim: ClaimState) -> Stem | None:
        return None if claim.derivation is None else self._stems.get(claim.derivation)

    def of(self, claim: ClaimState) -> _Stems:
        stem = self._stem_of(claim)
        found: set[tuple[str, Key | int]] = set()
        if stem is None or not stem.origins:
            found.add(("object", claim.object_key))
        if stem is not None and stem.public_source is not None:
            found.add(("public", stem.public_source))
        pending = [] if stem is None else list(stem.origins)
        seen: set[tuple[int, Key]] = set()
        while pending:
            origin = pending.pop()
            if origin not in seen:
                seen.add(origin)
                found |= {("author", origin[0]), ("object", origin[1])}
                further = self._passing_on.get(origin)
                pending += () if further is None else further.origins
        return frozenset(found)

    def weight(self, claim: ClaimState) -> int:
        """Returns 0 for what its author says by itself, 1 for what is from a public source, 2 for what it passes on."""
        stem = self._stem_of(claim)
        if stem is None:
            return 0
        return 2 if stem.origins else 1


def _stems_by_author(
    claims: Iterable[ClaimState], stems: _StemsOf, said: Mapping[int, Stem]
) -> dict[int, _Stems]:
    """Rule 1. An author whom nobody names needs no stem for itself: so those who say the same are alike."""
    by_author: dict[int, list[ClaimState]] = {}
    for claim in claims:
        by_author.setdefault(claim.author, []).append(claim)
    found: dict[int, _Stems] = {}
    for author, own in by_author.items():
        least = min(map(stems.weight, own))
        found[author] = frozenset().union(*(stems.of(one) for one in own if stems.weight(one) == least))
    named = {which for said in found.values() for kind, which in said if kind == "author"}
    return {
        author: said | {("author", author)} if author in named else said for author, said in found.items()
    }


def _with_voices(stems: dict[int, _Stems], voices: Mapping[int, int]) -> dict[int, _Stems]:
    """Rule 4."""
    if not voices:
        return stems
    spoken = Counter(voices.get(author, author) for author in stems)
    return {
        author: said | {("voice", voice)} if spoken[voice] > 1 else said
        for author, said in stems.items()
        for voice in (voices.get(author, author),)
    }


def _independent(stems: Mapping[int, _Stems], ranks: Mapping[int, bytes | int]) -> list[int]:
    """Rule 3: the most authors of whom no two have a stem in common."""
    first: dict[_Stems, int] = {}
    for author in sorted(stems, key=ranks.__getitem__):
        first.setdefault(stems[author], author)
    sets = sorted(first, key=lambda one: (len(one - {("author", first[one])}), ranks[first[one]]))
    if len(sets) > COMPARED_MAX:
        return [first[one] for one in _one_by_one(sets)]
    least = [one for place, one in enumerate(sets) if not any(other < one for other in sets[:place])]
    conflicts = [
        sum(1 << other for other, theirs in enumerate(least) if other != place and one & theirs)
        for place, one in enumerate(least)
    ]
    taken = _most(conflicts, (1 << len(least)) - 1, is_exact=len(least) <= EXACT_MAX)
    return [first[least[place]] for place in range(len(least)) if taken >> place & 1]


def _one_by_one(sets: Sequence[_Stems]) -> list[_Stems]:
    """Returns sets of which no two have anything in common, taken in their order."""
    seen: set[tuple[str, Key | int]] = set()
    taken = []
    for one in sets:
        if seen.isdisjoint(one):
            seen |= one
            taken.append(one)
    return taken


def _most(conflicts: Sequence[int], among: int, *, is_exact: bool) -> int:
    """Returns, as bits, the most of `among` of which no two are in conflict; not `is_exact`: many of them."""
    if not among:
        return 0
    degrees = {
        place: (conflicts[place] & among).bit_count() for place in range(len(conflicts)) if among >> place & 1
    }
    freest = min(degrees, key=degrees.__getitem__)
    if degrees[freest] <= 1 or not is_exact:  # with one conflict at most it belongs to some answer
        rest = among & ~conflicts[freest] & ~(1 << freest)
        return _most(conflicts, rest, is_exact=is_exact) | 1 << freest
    busiest = max(degrees, key=degrees.__getitem__)
    within = _most(conflicts, among & ~conflicts[busiest] & ~(1 << busiest), is_exact=True) | 1 << busiest
    without = _most(conflicts, among & ~(1 << busiest), is_exact=True)
    return without if without.bit_count() > within.bit_count() else within
