"""Bugs that somebody could make in the fold of labs: each is spoken against by a story."""

from __future__ import annotations

import json
from collections.abc import Callable
from typing import Any

import pytest
from lab_stories import LAB_STORIES

from p2pshare.identifiers import PartnerId
from p2pshare.limits import ENTRY_NUMBER_MAX
from p2pshare.spaces import fold as folding
from p2pshare.spaces import lab
from p2pshare.spaces.canonical import canonical
from p2pshare.spaces.fold import fold
from p2pshare.spaces.lab import LabFold
from p2pshare.spaces.register_clock import RegisterClock
from p2pshare.spaces.vertex import Vertex

Plant = Callable[[pytest.MonkeyPatch], None]


def authors_are_independent(patch: pytest.MonkeyPatch) -> None:
    patch.setattr(LabFold, "_authors_of", lambda self, of, digest: set())


def owners_are_independent(patch: pytest.MonkeyPatch) -> None:
    def authors_of(self: Any, of: str, digest: bytes) -> set[Any]:
        return {one.author for one in self._said_of[of].get(digest, ())}

    patch.setattr(LabFold, "_authors_of", authors_of)


def forks_count(patch: pytest.MonkeyPatch) -> None:
    patch.setattr(folding._View, "is_forked", lambda self, author: False)


def forks_are_never_pardoned(patch: pytest.MonkeyPatch) -> None:
    patch.setattr(folding._View, "is_forked", folding._View.has_fork)


def a_run_without_a_hit_passes(patch: pytest.MonkeyPatch) -> None:
    patch.setattr(lab, "has_passed", lambda run: not run.fn and not run.fp and not run.errors)


def a_run_that_broke_off_passes(patch: pytest.MonkeyPatch) -> None:
    patch.setattr(lab, "has_passed", lambda run: run.tp and not run.fn and not run.fp)


def nothing_is_waited_for(patch: pytest.MonkeyPatch) -> None:
    patch.setattr(lab, "SOAK_SECONDS", 0)


class Everything:
    """A past that has all entries in it."""

    def holds(self, vertex: Vertex) -> bool:
        return True

    def upto(self, author: PartnerId) -> int:
        return ENTRY_NUMBER_MAX


def promotions_see_what_is_beside_them(patch: pytest.MonkeyPatch) -> None:
    past_of = RegisterClock.past_of

    def see(self: RegisterClock, vertices: Any) -> Any:
        some = list(vertices)
        return Everything() if [one.kind for one in some] == ["promote"] else past_of(self, some)

    patch.setattr(RegisterClock, "past_of", see)


def the_days_count_from_the_first_word(patch: pytest.MonkeyPatch) -> None:
    patch.setattr(lab, "_first_of_streak", lambda words, is_good: words[0][0])


def the_days_count_from_the_last_word(patch: pytest.MonkeyPatch) -> None:
    patch.setattr(lab, "_first_of_streak", lambda words, is_good: words[-1][0])


def back_dated_words_are_believed(patch: pytest.MonkeyPatch) -> None:
    patch.setattr(LabFold, "_written_at", lambda self, of, digest: 0)


def authors_may_be_dropped(patch: pytest.MonkeyPatch) -> None:
    patch.setattr(lab, "version_fault", lambda before, after, *, is_own: "")


def licences_may_be_changed_by_all(patch: pytest.MonkeyPatch) -> None:
    fault = lab.version_fault
    patch.setattr(lab, "version_fault", lambda before, after, *, is_own: fault(before, after, is_own=True))


def buckets_are_taken_at_their_best(patch: pytest.MonkeyPatch) -> None:
    patch.setattr(lab, "greatest_in_bucket", lambda stated: stated)


def who_was_removed_still_disagrees(patch: pytest.MonkeyPatch) -> None:
    patch.setattr(folding._View, "is_named", lambda self, member: True)


def one_organisation_is_enough(patch: pytest.MonkeyPatch) -> None:
    patch.setattr(lab, "FIELD_FIGURES_MIN", 1)


def answers_are_kept_too_long(patch: pytest.MonkeyPatch) -> None:
    patch.setattr(LabFold, "_forget", lambda self, digest: None)


PLANTED: tuple[Plant, ...] = (
    authors_are_independent,
    owners_are_independent,
    forks_count,
    forks_are_never_pardoned,
    a_run_without_a_hit_passes,
    a_run_that_broke_off_passes,
    nothing_is_waited_for,
    promotions_see_what_is_beside_them,
    the_days_count_from_the_first_word,
    the_days_count_from_the_last_word,
    back_dated_words_are_believed,
    authors_may_be_dropped,
    licences_may_be_changed_by_all,
    buckets_are_taken_at_their_best,
    who_was_removed_still_disagrees,
    one_organisation_is_enough,
    answers_are_kept_too_long,
)


def told_wrongly() -> str:
    """Returns which story a fold contradicts, made at once or asked after each entry; "" for none."""
    for story in LAB_STORIES:
        entries = story.teller.entries
        growing = folding.SpaceFold()
        checks = {check.known: check for check in story.checks}
        known: set[Any] = set()
        for one, entry in entries.items():
            growing.add(entry)
            known.add(one)
            said = [json.loads(canonical(growing.state()))["state"]]
            check = checks.get(frozenset(known))
            if check is None:
                continue
            said.append(json.loads(canonical(fold(entries[one] for one in known)))["state"])
            for state in said:
                for place, wanted in check.state.items():
                    found = state
                    for key in place.split("."):
                        if isinstance(found, list):
                            found = found[int(key)] if int(key) < len(found) else None
                        else:
                            found = found[key]
                    if found != wanted:
                        return story.name
    return ""


@pytest.mark.parametrize("plant", PLANTED, ids=[plant.__name__ for plant in PLANTED])
def test_a_planted_bug_of_labs_is_caught(plant: Plant, monkeypatch: pytest.MonkeyPatch) -> None:
    plant(monkeypatch)
    assert told_wrongly() != ""


def test_without_a_planted_bug_nothing_is_told_wrongly() -> None:
    assert told_wrongly() == ""
