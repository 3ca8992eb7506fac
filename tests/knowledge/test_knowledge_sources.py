"""Sources: whoever repeats others adds none, and takes nobody's away."""

from __future__ import annotations

import itertools

from hypothesis import given, settings
from hypothesis import strategies as st

from p2pshare.knowledge.effective_state import ClaimState
from p2pshare.knowledge.sources import COMPARED_MAX, EXACT_MAX, Lineage, Stem, is_entangled, sources_of

A, B, C, E = 1, 2, 3, 9


class Said:
    """Claims about one value, as they are said."""

    def __init__(self):
        self.claims, self.stems = [], {}

    def add(self, author, object_key, *, origins=(), public=None):
        derivation = None
        if origins or public:
            derivation = len(self.stems)
            self.stems[derivation] = Stem(tuple(origins), public)
        claim = ClaimState(author, False, 1, None, None, 0, None, 0, 0, False, object_key, derivation)
        self.claims.append(claim)
        return self

    def lineage(self):
        return Lineage(self.stems, {claim.author: claim.author for claim in self.claims})

    def sources(self):
        return sources_of(self.claims, self.claims, self.lineage())

    def count(self):
        return len(set(self.sources()))


def test_two_findings_are_two_and_the_same_id_is_one():
    assert Said().add(A, "x").add(B, "y").count() == 2
    assert Said().add(A, "x").add(B, "x").sources() == [A, A]
    assert Said().add(A, "x").add(A, "y").count() == 1


def test_an_echo_of_two_objects_about_one_value_is_no_second_source():
    assert Said().add(A, "x").add(A, "y").add(B, "x").add(B, "y").count() == 1
    assert Said().add(A, "x").add(A, "y").add(B, "x").count() == 1


def test_whoever_says_the_ids_of_two_takes_neither_away():
    """Also as the first by partner id, and with claims of its own beside."""
    for eve in (0, E):
        said = Said().add(A, "x").add(C, "y").add(eve, "x").add(eve, "y")
        assert said.sources()[:2] == [A, C]
        assert said.add(eve, "z").count() == 2


def test_what_is_passed_on_counts_as_its_origin_and_says_nothing_against_it():
    assert Said().add(A, "x").add(B, "r", origins=[(A, "x")]).sources() == [A, A]
    assert Said().add(B, "r", origins=[(A, "x")]).add(C, "s", origins=[(A, "x")]).count() == 1
    assert Said().add(A, "x").add(C, "y").add(B, "r", origins=[(A, "x"), (C, "y")]).sources()[:2] == [A, C]


def test_who_passes_on_and_says_it_by_itself_too_is_a_source():
    assert Said().add(A, "x").add(B, "r", origins=[(A, "x")]).add(B, "own").count() == 2


def test_a_chain_counts_as_its_beginning():
    said = Said().add(A, "x").add(B, "r", origins=[(A, "x")]).add(C, "s", origins=[(B, "r")])
    assert said.sources() == [A, A, A]


def test_only_the_author_that_is_named_can_pass_something_on():
    """Eve says under Bravo's id that it stems from Alpha: what stems from Bravo's object does not become Alpha's by that."""
    said = Said().add(A, "x").add(B, "y").add(C, "s", origins=[(B, "y")]).add(E, "y", origins=[(A, "x")])
    assert said.sources() == [A, B, B, A]


def test_a_circle_ends_where_it_began():
    said = (
        Said().add(B, "r", origins=[(C, "s")]).add(C, "s", origins=[(B, "r")]).add(E, "t", origins=[(E, "t")])
    )
    assert said.count() == 2


def test_what_is_from_one_public_source_is_one_source_and_an_own_finding_is_beside_it():
    assert Said().add(A, "x", public="kev").add(B, "y", public="kev").count() == 1
    assert Said().add(A, "x", public="kev").add(B, "y", public="csaf:1").count() == 2
    assert Said().add(A, "x", public="kev").add(A, "own").add(B, "y", public="kev").count() == 2


def test_a_value_that_a_thousand_repeat_is_one_source():
    said = Said()
    for author in range(1_000):
        said.add(author, "x")
        if author % 7 == 0:
            said.add(author, f"of {author % 70}")
    assert said.add(2_000, "own").count() == len(set(said.sources()))
    assert set(said.sources()) >= {2_000, 1}


def test_claims_that_have_nothing_in_common_are_not_entangled():
    assert not is_entangled(Said().add(A, "x").claims)
    assert not is_entangled(Said().add(A, "x").add(B, "y").claims)
    assert is_entangled(Said().add(A, "x").add(B, "x").claims)
    assert is_entangled(Said().add(A, "x").add(B, "y", public="kev").claims)


claims = st.lists(
    st.tuples(
        st.integers(1, 5),
        st.sampled_from("uvwxyz"),
        st.lists(st.tuples(st.integers(1, 5), st.sampled_from("uvwxyz")), max_size=2),
        st.none() | st.sampled_from(["kev", "csaf"]),
    ),
    min_size=1,
    max_size=9,
)


def said_of(given_claims):
    said = Said()
    for author, key, origins, public in given_claims:
        said.add(author, key, origins=origins, public=public)
    return said


def stems_of(given_claims):
    """Author -> its stems, by the rules as they are written."""
    by_author = {}
    for author, key, origins, public in given_claims:
        weight = 2 if origins else 1 if public else 0
        stems = {("public", public)} if public else set()
        stems |= set() if origins else {("object", key)}
        pending, seen = list(origins), set()
        while pending:
            origin = pending.pop()
            if origin not in seen:
                seen.add(origin)
                stems |= {("author", origin[0]), ("object", origin[1])}
                last = [it for by, it_key, it, _ in given_claims if (by, it_key) == origin and it]
                pending += last[-1] if last else ()
        by_author.setdefault(author, {}).setdefault(weight, set()).update(stems)
    return {
        author: by_weight[min(by_weight)] | {("author", author)} for author, by_weight in by_author.items()
    }


def most(stems):
    return max(
        size
        for size in range(len(stems) + 1)
        for some in itertools.combinations(stems.values(), size)
        if all(one.isdisjoint(other) for one, other in itertools.combinations(some, 2))
    )


def one_an_object(given_claims):
    return list({(author, key): (author, key, *rest) for author, key, *rest in given_claims}.values())


@given(claims)
def test_the_count_is_the_most_authors_of_whom_no_two_have_anything_in_common(found):
    found = one_an_object(found)
    assert said_of(found).count() == most(stems_of(found))


@given(claims, claims, st.randoms())
def test_no_other_author_ever_takes_a_source_away_and_no_order_matters(found, of_eve, random):
    found = one_an_object(found)
    before = said_of(found)
    eve = [(E, key, origins, public) for _, key, origins, public in of_eve]
    more = [*found, *one_an_object(eve)]
    assert before.count() <= said_of(more).count() <= before.count() + 1
    shuffled = random.sample(more, len(more))
    by_claim = dict(zip(map(repr, more), said_of(more).sources(), strict=True))
    assert by_claim == dict(zip(map(repr, shuffled), said_of(shuffled).sources(), strict=True))


@settings(max_examples=20)
@given(st.integers(EXACT_MAX, COMPARED_MAX + 20), st.randoms())
def test_however_many_are_entangled_those_who_say_one_thing_each_are_all_counted(many, random):
    """A ring of authors of whom each repeats two of them: the rule's bound is no way to lessen honest ones."""
    said = Said()
    for author in range(many):
        said.add(author, f"own {author}")
        said.add(1_000 + author, f"own {author}").add(1_000 + author, f"own {(author + 1) % many}")
    random.shuffle(said.claims)
    assert set(said.sources()) == set(range(many))


def test_one_author_under_several_ids_that_others_pass_on_is_one_source():
    """Eve sends each partner an id of its own for the same value; partners pass on what they were sent."""
    said = Said().add(B, "r", origins=[(E, "x")]).add(C, "s", origins=[(E, "y")])
    assert said.count() == 1
    assert said.add(E, "x").add(E, "y").count() == 1
    assert said.add(A, "own").count() == 2


def test_what_its_author_says_under_another_id_by_now_is_no_second_source():
    assert Said().add(E, "y").add(B, "r", origins=[(E, "x")]).count() == 1


def test_an_origin_that_its_author_makes_up_is_no_second_source():
    said = Said().add(E, "y").add(E, "x", origins=[(A, "none")])
    assert said.add(B, "r", origins=[(E, "x"), (A, "none")]).count() == 1


@given(
    st.lists(st.tuples(st.integers(1, 6), st.sampled_from("xyz")), min_size=1, max_size=8),
    st.dictionaries(st.integers(1, 6), st.integers(1, 6), max_size=4),
)
def test_one_voice_is_never_two_sources_and_never_more_than_without(
    claims: list[tuple[int, str]], voices: dict[int, int]
) -> None:
    """Against all sets of authors: the most of whom no two say the same id or are one voice."""
    said = Said()
    for author, key in claims:
        said.add(author, key)
    counted = sources_of(said.claims, said.claims, said.lineage()._replace(voices=voices))
    keys: dict[int, set[str]] = {}
    for author, key in claims:
        keys.setdefault(author, set()).add(key)

    def apart(one: int, other: int) -> bool:
        return not keys[one] & keys[other] and voices.get(one, one) != voices.get(other, other)

    best = max(
        len(some)
        for size in range(1, len(keys) + 1)
        for some in itertools.combinations(keys, size)
        if all(apart(*pair) for pair in itertools.combinations(some, 2))
    )
    assert len(set(counted)) == best
    assert len(set(counted)) <= said.count()
    if len(keys) > 1 and len({voices.get(one, one) for one in keys}) < len(keys):
        assert is_entangled(said.claims, voices)
