"""The mistakes of scripts/sabotage can be made in the program as it is now; one of them is made here, and caught."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

from run_sabotage import CAUGHT, ROOMS, SURVIVED, Copy, all_sabotage, main, read_sabotage, stages_of

MISTAKES = {one.name: one for one in all_sabotage()}


@pytest.fixture(scope="module")
def copy(tmp_path_factory: pytest.TempPathFactory) -> Copy:
    return Copy(tmp_path_factory.mktemp("sabotage"))


def test_there_are_forty_mistakes_and_every_room_has_its_share() -> None:
    by_room = {room: sum(one.room == room for one in MISTAKES.values()) for room in ROOMS}
    assert len(MISTAKES) == sum(by_room.values()) == 40
    assert min(by_room.values()) >= 6
    assert all(name.startswith(f"{one.room}-") for name, one in MISTAKES.items())


@pytest.mark.parametrize("name", MISTAKES)
def test_a_mistake_changes_the_program_as_it_is_now(repository: Path, name: str) -> None:
    """A patch that no longer fits would be a mistake that nobody can catch; where the code has moved, make it anew."""
    one = MISTAKES[name]
    text = (repository / one.path).read_text(encoding="utf-8")
    changed = one.made_in(text)
    compile(changed, one.path, "exec")
    gone = set(one.before.splitlines()) - set(one.after.splitlines())
    assert [line for line in gone if line.split("#")[0].strip()], "a mistake is in code"
    assert len(one.breaks) > 40


def test_the_page_says_of_each_mistake_in_which_file_it_was_caught(repository: Path) -> None:
    page = (repository / "docs" / "sabotage.md").read_text(encoding="utf-8")
    rows = re.findall(r"^\| `([a-z0-9-]+)` \| `(tests/\S+\.py)` \| [^|]+ \|$", page, re.MULTILINE)
    assert [name for name, _ in rows] == list(MISTAKES)
    assert [file for _, file in rows if not (repository / file).is_file()] == []


def test_the_tests_that_are_to_catch_them_exist(repository: Path) -> None:
    for one in MISTAKES.values():
        for stage in stages_of(one):
            for word in stage:
                assert (repository / word.removeprefix("--ignore=")).exists(), word


def test_a_mistake_is_caught_by_the_first_test_that_fails_with_it_alone(copy: Copy) -> None:
    file = "tests/gossip/test_gossip_responder.py"
    judged = copy.judge(MISTAKES["gossip-every-shard-answered"], 60.0, [[file]])
    test = "test_keys_are_told_for_carried_circles_only_and_absent_looks_like_forbidden"
    assert (judged.outcome, judged.by) == (CAUGHT, f"{file}::{test}")


def test_what_no_test_asks_about_survives(copy: Copy) -> None:
    """Or a runner that calls everything caught would look as good."""
    judged = copy.judge(
        MISTAKES["gossip-every-shard-answered"], 60.0, [["tests/policy/test_policy_quota.py"]]
    )
    assert (judged.outcome, judged.by) == (SURVIVED, "tests/policy/test_policy_quota.py")


def test_what_was_run_before_is_not_run_again(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    results = tmp_path / "results.txt"
    results.write_text("".join(f"{name}\t{CAUGHT}\ttests/some.py::test\t1 s\n" for name in MISTAKES))
    assert main(["--results", str(results)]) == 0
    assert capsys.readouterr().out == "40 mistakes: 40 caught, 0 survived, 0 broken\n"
    results.write_text(f"{next(iter(MISTAKES))}\t{SURVIVED}\ttests/policy\t9 s\n")
    assert main(["--results", str(results), next(iter(MISTAKES))]) == 1
    assert main(["--results", str(results), "no-such-mistake"]) == 2


@pytest.mark.parametrize(
    ("old", "new"),
    [
        ("Breaks: ", ""),
        ("-", "-    one = 1\n-"),
        ("+++ src/p2pshare/policy/quota.py", "+++ src/p2pshare/policy/gate.py"),
    ],
)
def test_a_patch_of_another_form_is_refused(repository: Path, tmp_path: Path, old: str, new: str) -> None:
    text = (repository / "scripts/sabotage/policy-direct-counted-by-circle.patch").read_text(encoding="utf-8")
    other = tmp_path / "policy-other.patch"
    head, found, rest = text.rpartition(old) if old == "-" else text.partition(old)
    assert found
    other.write_text(head + new + rest, encoding="utf-8")
    with pytest.raises(ValueError, match="policy-other"):
        read_sabotage(other)
