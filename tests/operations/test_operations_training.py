"""Courses between two nodes: what is listed, what takes the place of what, and what is attested."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path

import pytest
from courses_made import hash_of, object_of, small_course, tell_course, tell_raw
from whole_nodes import NOW, World, befriend, quiet, take_in, wire_of

from p2pshare.envelope.attestation import check_signer, decode_attestation, verify_signature
from p2pshare.errors import AuthorError, NotFoundError
from p2pshare.intel.course import course_bytes, course_object_id, read_course_object
from p2pshare.node.node import Node
from p2pshare.operations import training
from p2pshare.operations.training import AttestCourse, CoursesHeld, FindCourseVersion, ListCourses, ShowCourse
from p2pshare.operations.withdrawing import Withdraw
from p2pshare.sharing.intake import Arrival


@pytest.fixture
def pair(tmp_path: Path) -> Iterator[tuple[Node, Node]]:
    world = World(tmp_path)
    alpha, bravo = world.found("alpha"), world.found("bravo")
    befriend(alpha, bravo)
    befriend(bravo, alpha)
    yield alpha, bravo
    world.close()


def hand_over(giver: Node, taker: Node, now: int = NOW) -> None:
    own = giver.identity.partner_id
    wires = [
        wire_of(giver, one.envelope_id) for one in giver.store.log.entries(0, 1_000) if one.author == own
    ]
    take_in(taker, [Arrival(wire, own) for wire in wires], now)


def listed(node: Node) -> CoursesHeld:
    return ListCourses().run(node, NOW, quiet)


def test_a_partner_holds_the_course_its_author_and_its_hash(pair: tuple[Node, Node]) -> None:
    alpha, bravo = pair
    tell_course(alpha, small_course(), to=["bravo"])
    hand_over(alpha, bravo)
    [held] = listed(bravo).each
    assert (held.course, held.version, held.author, held.withdrawn) == ("first-aid", "1.0.0", "alpha", "")
    assert held.hash == hash_of(small_course()) and (held.materials, held.questions) == (1, 1)
    for called in ("first-aid", held.hash[:6], held.hash.upper(), held.object_id):
        assert ShowCourse(called).run(bravo, NOW, quiet).held == held
    for called in ("other", held.hash[:5], "0" * 64):
        with pytest.raises(NotFoundError):
            ShowCourse(called).run(bravo, NOW, quiet)


def test_a_newer_version_takes_the_place_of_the_older_one_and_the_older_is_still_attested(
    pair: tuple[Node, Node],
) -> None:
    alpha, bravo = pair
    old, new = small_course(), small_course(version="1.1.0")
    tell_course(alpha, old, to=["bravo"])
    tell_course(alpha, new, to=["bravo"], now=NOW + 60)
    hand_over(alpha, bravo, NOW + 60)
    assert [one.version for one in listed(bravo).each] == ["1.1.0"]
    author = alpha.identity.partner_id.text
    for course in (old, new):
        found = FindCourseVersion(author, "first-aid", hash_of(course)).run(bravo, NOW, quiet)
        stated = read_course_object(found.raw, alpha.identity.partner_id).raw
        raw = AttestCourse(author, stated, 3).run(bravo, NOW, quiet).raw
        said = decode_attestation(raw)
        verify_signature(said, check_signer(said.training, bravo.identity.card, NOW))
        assert (said.training.version, said.training.completed) == (course.course.version, 3)
        assert said.training.course_author == alpha.identity.partner_id


def test_a_withdrawn_course_is_told(pair: tuple[Node, Node]) -> None:
    alpha, bravo = pair
    tell_course(alpha, small_course(), to=["bravo"])
    [held] = listed(alpha).each
    Withdraw(held.object_id, "mistake").run(alpha, NOW + 1, quiet)
    hand_over(alpha, bravo, NOW + 1)
    assert [one.withdrawn for one in listed(bravo).each] == ["mistake"]
    found = FindCourseVersion(held.author_id, held.course, held.hash).run(bravo, NOW, quiet)
    assert found.held.withdrawn == "mistake", "the command refuses to attest it"


def test_what_only_says_that_it_is_a_course_is_counted_and_hides_none(pair: tuple[Node, Node]) -> None:
    alpha, bravo = pair
    good = object_of(small_course(), bravo.identity.partner_id)
    tell_course(bravo, small_course(), to=["alpha"])
    own = alpha.identity.partner_id
    base = json.loads(object_of(small_course(id="evil"), own))
    for number in range(3):
        uuid = f"00000000-0000-4000-8000-{number:012d}"
        tell_raw(alpha, json.dumps(base | {"id": f"p2pshare-course--{uuid}"}).encode(), to=["bravo"])
    tell_raw(alpha, json.dumps(base | {"course_bin": "%"}).encode(), to=["bravo"])
    hand_over(alpha, bravo)
    found = listed(bravo)
    assert [one.author for one in found.each] == ["bravo"] and good
    assert sorted(one.reason for one in found.refused) == ["malformed", *["wrong-author"] * 3]


def test_who_publishes_a_thousand_courses_hides_none_of_anothers(
    pair: tuple[Node, Node], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(training, "COURSES_PER_AUTHOR_MAX", 2)
    alpha, bravo = pair
    tell_course(bravo, small_course(), to=["alpha"])
    for number in range(4):
        tell_course(alpha, small_course(id=f"flood-{number}"), to=["bravo"], now=NOW + 1)
    hand_over(alpha, bravo, NOW + 1)
    found = listed(bravo)
    assert [one.author for one in found.each].count("alpha") == 2 and found.is_cut
    assert ShowCourse("first-aid").run(bravo, NOW, quiet).held.author == "bravo"


def test_two_authors_of_one_id_are_told_apart_by_the_hash(pair: tuple[Node, Node]) -> None:
    alpha, bravo = pair
    tell_course(alpha, small_course(), to=["bravo"])
    tell_course(bravo, small_course(title="Another"), to=["alpha"])
    hand_over(alpha, bravo)
    with pytest.raises(NotFoundError) as refused:
        ShowCourse("first-aid").run(bravo, NOW, quiet)
    assert refused.value.reason == "ambiguous-course"
    assert ShowCourse(hash_of(small_course())).run(bravo, NOW, quiet).held.author == "alpha"


def test_two_authors_of_the_same_course_are_no_riddle(pair: tuple[Node, Node]) -> None:
    """Ours comes with the program, so two CERTs may well publish it: one hash, and either will do that stands."""
    alpha, bravo = pair
    tell_course(alpha, small_course(), to=["bravo"])
    tell_course(bravo, small_course(), to=["alpha"])
    hand_over(alpha, bravo)
    shown = ShowCourse("first-aid").run(bravo, NOW, quiet).held
    other = "alpha" if shown.author != "alpha" else "bravo"
    Withdraw(shown.object_id, "mistake").run(bravo if other == "alpha" else alpha, NOW + 1, quiet)
    hand_over(alpha, bravo, NOW + 1)
    assert ShowCourse("first-aid").run(bravo, NOW, quiet).held.author == other


def test_the_withdrawal_of_one_copy_leaves_anothers_that_stands(pair: tuple[Node, Node]) -> None:
    """The record says of whom it was taken; that this one withdrew his copy is no reason against the same course of another."""
    alpha, bravo = pair
    tell_course(alpha, small_course(), to=["bravo"])
    tell_course(bravo, small_course(), to=["alpha"])
    hand_over(alpha, bravo)
    of_alpha, of_bravo = alpha.identity.partner_id.text, bravo.identity.partner_id.text
    find = FindCourseVersion(of_alpha, "first-aid", hash_of(small_course()))
    assert find.run(bravo, NOW, quiet).held.author_id == of_alpha
    [held] = [one for one in listed(bravo).each if one.author_id == of_alpha]
    Withdraw(held.object_id, "mistake").run(alpha, NOW + 1, quiet)
    hand_over(alpha, bravo, NOW + 1)
    shown = find.run(bravo, NOW, quiet)
    assert (shown.held.author_id, shown.held.withdrawn) == (of_bravo, "")
    raw = read_course_object(shown.raw, bravo.identity.partner_id).raw
    said = decode_attestation(AttestCourse(shown.held.author_id, raw, 1).run(bravo, NOW, quiet).raw)
    assert said.training.course_author == bravo.identity.partner_id
    # a newer version of the other's takes the place of his copy, and it is found all the same
    tell_course(bravo, small_course(version="2"), to=["alpha"], now=NOW + 2)
    assert find.run(bravo, NOW, quiet).held.author_id == of_bravo
    [held] = [one for one in listed(bravo).each if one.author_id == of_bravo]
    Withdraw(held.object_id, "mistake").run(bravo, NOW + 3, quiet)
    shown = find.run(bravo, NOW, quiet)
    assert (shown.held.author_id, shown.held.withdrawn) == (of_alpha, "mistake"), "no copy stands"
    other = FindCourseVersion(of_bravo, "first-aid", hash_of(small_course())).run(bravo, NOW, quiet)
    assert other.held.withdrawn == "mistake", "a withdrawal takes the older versions with it"


def test_a_course_whose_id_is_anothers_hash_does_not_stand_in_its_way(pair: tuple[Node, Node]) -> None:
    alpha, bravo = pair
    tell_course(bravo, small_course(), to=["alpha"])
    digest = hash_of(small_course())
    tell_course(alpha, small_course(id=digest), to=["bravo"])
    hand_over(alpha, bravo)
    for called in (digest, digest.upper(), course_object_id(bravo.identity.partner_id, "first-aid")):
        assert ShowCourse(called).run(bravo, NOW, quiet).held.author == "bravo"


def test_what_is_called_alike_is_told_apart_by_hash_and_author(
    pair: tuple[Node, Node], monkeypatch: pytest.MonkeyPatch
) -> None:
    alpha, bravo = pair
    tell_course(bravo, small_course(), to=["alpha"])
    tell_course(alpha, small_course(title="Other"), to=["bravo"])
    hand_over(alpha, bravo)
    with pytest.raises(NotFoundError) as refused:
        ShowCourse("first-aid").run(bravo, NOW, quiet)
    hint = refused.value.hint or ""
    assert f"{hash_of(small_course())[:12]} from bravo" in hint
    assert f"{hash_of(small_course(title='Other'))[:12]} from alpha" in hint
    assert training._digits_apart(["ab" * 32, "ab" * 16 + "cd" * 16]) == 33, (
        "two that were made to begin alike"
    )


def test_a_flood_of_one_partner_uses_up_nothing_of_what_all_may_have(
    pair: tuple[Node, Node], monkeypatch: pytest.MonkeyPatch
) -> None:
    """What is not looked at of one counts for nothing against the others: the walk stops at a number of courses that are read."""
    monkeypatch.setattr(training, "COURSES_PER_AUTHOR_MAX", 2)
    monkeypatch.setattr(training, "COURSES_WALKED_MAX", 5)
    alpha, bravo = pair
    tell_course(bravo, small_course(), to=["alpha"])
    for number in range(8):
        tell_course(alpha, small_course(id=f"flood-{number}"), to=["bravo"], now=NOW + 1)
    hand_over(alpha, bravo, NOW + 1)
    found = listed(bravo)
    assert sorted(one.author for one in found.each) == ["alpha", "alpha", "bravo"] and found.is_cut
    assert ShowCourse("first-aid").run(bravo, NOW, quiet).held.author == "bravo"


def test_versions_of_a_course_by_another_hide_none_of_its_authors(
    pair: tuple[Node, Node], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(training, "VERSIONS_READ_MAX", 1)
    alpha, bravo = pair
    tell_course(bravo, small_course(), to=["alpha"])
    own = bravo.identity.partner_id
    for number in range(3):
        forged = object_of(small_course(title=f"Forged {number}"), own, NOW + number)
        tell_raw(alpha, forged, to=["bravo"], now=NOW + number)
    hand_over(alpha, bravo, NOW + 3)
    assert FindCourseVersion(own.text, "first-aid").run(bravo, NOW, quiet).held.title == "First aid"


def test_pseudonyms_that_are_other_people_than_are_counted_are_not_signed(pair: tuple[Node, Node]) -> None:
    alpha, _ = pair
    tell_course(alpha, small_course(), to=["bravo"])
    author, raw = alpha.identity.partner_id.text, course_bytes(small_course().course)
    first, second = b"\1" * 16, b"\2" * 16
    for completed, pseudonyms in (
        (1, (first, second)),
        (2, (second, first)),
        (2, (first, first)),
        (1, (b"\1",)),
    ):
        with pytest.raises(AuthorError):
            AttestCourse(author, raw, completed, pseudonyms).run(alpha, NOW, quiet)
    for other in (b"{}", raw + b" ", raw.replace(b"First", b"f\\u0069rst"), b"\xff"):
        with pytest.raises(AuthorError) as refused:
            AttestCourse(author, other, 1).run(alpha, NOW, quiet)
        assert refused.value.reason == "bad-course"
    for by, digest in ((author, "0" * 64), ("00" * 32, "0" * 64)):
        with pytest.raises(NotFoundError):
            FindCourseVersion(by, "first-aid", digest).run(alpha, NOW, quiet)
