"""Quorums: stories of approvals, each told in every order; one organisation once, over one exact digest."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from itertools import permutations
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from p2pshare.intel.playbooks.quorum import ApprovalSaid, PlaybookVersion, QuorumTally, tally

V1, V2 = "2026-03-01T08:00:00.000Z", "2026-03-02T08:00:00.000Z"
X, Y = PlaybookVersion(V1, b"x"), PlaybookVersion(V2, b"y")
X_FORKED = PlaybookVersion("2026-03-01T08:00:00Z", b"z")  # the same instant as V1


def approve(entry: str, author: str, version: PlaybookVersion = X, after: Sequence[str] = ()) -> Any:
    return ("approve", ApprovalSaid(entry, author, version.digest), after)


def revoke(entry: str, author: str, version: PlaybookVersion = X, after: Sequence[str] = ()) -> Any:
    return ("revoke", ApprovalSaid(entry, author, version.digest), after)


def counted(
    acts: Iterable[Any],
    *,
    versions: Sequence[PlaybookVersion] = (X,),
    members: str = "ABC",
    equivocators: str = "",
    needed: int = 2,
    least_version: str = V1,
) -> QuorumTally:
    acts = list(acts)
    before = {said.entry: set(after) for _, said, after in acts}

    def precedes(one: str, other: str) -> bool:
        reached, waiting = set(), [other]
        while waiting:
            for parent in before.get(waiting.pop(), ()):
                if parent not in reached:
                    reached.add(parent)
                    waiting.append(parent)
        return one in reached

    answers = {
        tally(
            order_of_versions,
            [said for kind, said, _ in order if kind == "approve"],
            [said for kind, said, _ in order if kind == "revoke"],
            members=members,
            equivocators=equivocators,
            needed=needed,
            least_version=least_version,
            precedes=precedes,
        )
        for order in permutations(acts)
        for order_of_versions in permutations(versions)
    }
    [answer] = answers
    return answer


STORIES: list[tuple[str, list[Any], dict[str, Any], PlaybookVersion | None, str, int, str]] = [
    ("nobody", [], {}, None, "", 2, "ABC"),
    ("one of two", [approve("e4", "B")], {}, None, "B", 1, "AC"),
    ("two of two", [approve("e4", "B"), approve("e5", "C")], {}, X, "BC", 0, "A"),
    ("the owner may approve", [approve("e4", "A"), approve("e5", "C")], {}, X, "AC", 0, "B"),
    (
        "an approval of another version is none",
        [approve("e3", "B"), approve("e5", "C", Y)],
        {"versions": (X, Y)},
        None,
        "",
        2,
        "",
    ),
    (
        "an approval of no version is none",
        [approve("e3", "B", Y), approve("e4", "C")],
        {},
        None,
        "C",
        1,
        "AB",
    ),
    (
        "a new version without approvals leaves the old one in force",
        [approve("e3", "B"), approve("e4", "C")],
        {"versions": (X, Y)},
        X,
        "BC",
        0,
        "A",
    ),
    (
        "the newest that has enough",
        [approve("e3", "B"), approve("e4", "C"), approve("e5", "A", Y), approve("e6", "B", Y)],
        {"versions": (X, Y)},
        Y,
        "AB",
        0,
        "C",
    ),
    (
        "older than the least version",
        [approve("e3", "B"), approve("e4", "C")],
        {"versions": (X, Y), "least_version": V2},
        None,
        "",
        2,
        "ABC",
    ),
    (
        "one organisation twice is one",
        [approve("e3", "B"), approve("e4", "B", after=["e3"])],
        {},
        None,
        "B",
        1,
        "AC",
    ),
    (
        "revoked",
        [approve("e3", "B"), approve("e4", "C"), revoke("e5", "B", after=["e3"])],
        {},
        None,
        "C",
        1,
        "AB",
    ),
    (
        "revoked and approved again",
        [
            approve("e3", "B"),
            approve("e4", "C"),
            revoke("e5", "B", after=["e3"]),
            approve("e6", "B", after=["e5"]),
        ],
        {},
        X,
        "BC",
        0,
        "A",
    ),
    (
        "concurrent: the revocation wins",
        [approve("e3", "B"), revoke("e5", "B"), approve("e4", "C")],
        {},
        None,
        "C",
        1,
        "AB",
    ),
    (
        "another's revocation, and one of another version, take nothing out",
        [
            approve("e3", "B"),
            approve("e4", "C"),
            revoke("e5", "A", after=["e3"]),
            revoke("e6", "B", Y, after=["e3"]),
        ],
        {},
        X,
        "BC",
        0,
        "A",
    ),
    ("who has left", [approve("e3", "B"), approve("e4", "C")], {"members": "AB"}, None, "B", 1, "A"),
    ("who equivocates", [approve("e3", "B"), approve("e4", "C")], {"equivocators": "C"}, None, "B", 1, "A"),
    (
        "two contents under one version never mix, and none of them is in force",
        [approve("e3", "B"), approve("e4", "C", X_FORKED)],
        {"versions": (X, X_FORKED)},
        None,
        "",
        2,
        "",
    ),
    (
        "a fork with enough approvals is not in force either",
        [approve("e3", "B"), approve("e4", "C")],
        {"versions": (X, X_FORKED)},
        None,
        "BC",
        0,
        "A",
    ),
]


@pytest.mark.parametrize("number", range(len(STORIES)), ids=[story[0] for story in STORIES])
def test_a_story_comes_to_the_same_in_every_order(number: int) -> None:
    _, acts, given_, version, approvals, missing, may_still = STORIES[number]
    answer = counted(acts, **given_)
    assert (answer.version, "".join(answer.approvals), answer.missing, "".join(answer.may_still_approve)) == (
        version,
        approvals,
        missing,
        may_still,
    )


def test_each_version_is_told_with_its_own_approvals() -> None:
    answer = counted([approve("e3", "B"), approve("e5", "C", Y)], versions=(X, Y, X_FORKED))
    assert [(one.version, one.approvals, one.is_forked) for one in answer.of] == [
        (X, ("B",), True),
        (X_FORKED, (), True),
        (Y, ("C",), False),
    ]


@given(st.lists(st.tuples(st.sampled_from("ABCDE"), st.booleans(), st.sampled_from([X, Y])), max_size=5))
def test_nobody_is_counted_who_did_not_approve_that_very_digest(
    drawn: list[tuple[str, bool, PlaybookVersion]],
) -> None:
    """Nothing knows of anything here, so one revocation is enough."""
    acts = [
        (approve if is_approval else revoke)(f"e{number}", author, version)
        for number, (author, is_approval, version) in enumerate(drawn)
    ]
    answer = counted(acts, versions=(X, Y), members="ABCD", equivocators="D")
    for one in answer.of:
        said = {(author, is_approval) for author, is_approval, version in drawn if version == one.version}
        assert set(one.approvals) == {
            name for name in "ABC" if (name, True) in said and (name, False) not in said
        }
    assert answer.version is None or any(
        one.version == answer.version and len(one.approvals) >= 2 for one in answer.of
    )
