"""`lab.autorun`: only what another wrote, once for each text with each set of samples, and a child that hangs or fails is ended and told."""

from __future__ import annotations

import hashlib
import logging
import os
import sys
from collections.abc import Iterator

import pytest
from shared_spaces import hand_over, id_of, partners, run
from whole_nodes import NOW, World

from p2pshare.daemon import lab_runs
from p2pshare.daemon.lab_runs import run_command, run_due
from p2pshare.identifiers import EntryId
from p2pshare.intel.marking import Tlp
from p2pshare.node.node import Node
from p2pshare.operations.lab_autorun import AGAIN_SECONDS, AutorunRounds, DueRun
from p2pshare.operations.labs import OpenLab, PutInLab, SayInLab
from p2pshare.operations.space_membership import JoinSpace
from p2pshare.spaces.lab_entries import LabRun, LabSample, RuleVersion, encode_lab

TEXT = b"title: a rule"


@pytest.fixture(scope="module")
def two(tmp_path_factory: pytest.TempPathFactory) -> Iterator[tuple[Node, Node]]:
    world = World(tmp_path_factory.mktemp("autorun"))
    alpha, bravo = partners(world, "alpha", "bravo")
    yield alpha, bravo
    world.close()


def lab_with_rules(alpha: Node, bravo: Node, *rules: tuple[bytes, str]) -> str:
    lab = run(alpha, OpenLab("lab", "which?", 100, Tlp.GREEN, ("bravo",))).lab
    hand_over(lab, alpha, bravo)
    run(bravo, JoinSpace(lab))
    hand_over(lab, bravo, alpha)
    for text, language in rules:
        rule = RuleVersion(
            b"", language, hashlib.sha256(text).digest(), len(text), "t", "a", "DRL-1.1", "", (), ""
        )
        run(alpha, PutInLab(lab, "rule", encode_lab(rule), text))
    hand_over(lab, alpha, bravo)
    return lab


def add_sample(lab: str, alpha: Node, bravo: Node, content: bytes) -> None:
    sample = LabSample(hashlib.sha256(content).digest(), "event-json", "positive", len(content), "", (), 0)
    run(alpha, SayInLab(lab, "sample", encode_lab(sample)))
    hand_over(lab, alpha, bravo)


def test_what_another_wrote_is_due_once_and_again_when_the_samples_change(two: tuple[Node, Node]) -> None:
    alpha, bravo = two
    lab = lab_with_rules(alpha, bravo, (TEXT, "sigma"), (b"rule a {}", "yara"))
    mine, theirs = AutorunRounds(alpha), AutorunRounds(bravo)
    assert theirs.next_due(NOW) is None, "there is nothing to try it on"
    add_sample(lab, alpha, bravo, b"{}")
    due = DueRun(EntryId.parse(lab), hashlib.sha256(TEXT).digest())
    assert mine.next_due(NOW) is None, "it is our own"
    assert theirs.next_due(NOW) == due and theirs.next_due(NOW) is None, "once, and YARA never"
    theirs.come_back(due, NOW)
    assert theirs.next_due(NOW) is None and theirs.next_due(NOW + AGAIN_SECONDS) == due
    theirs.come_back(due, NOW)
    assert theirs.next_due(NOW + AGAIN_SECONDS) is None and theirs.next_due(NOW + 2 * AGAIN_SECONDS) == due
    said = LabRun(due.digest, bytes(32), "engine", 1, 0, 0, 0, 1, 0, 1, 1)
    run(bravo, SayInLab(lab, "run", encode_lab(said)))
    again = AutorunRounds(bravo)
    assert again.next_due(NOW) is None, "it was tried in an earlier life"
    add_sample(lab, alpha, bravo, b"[]")
    assert again.next_due(NOW) == due, "with these samples it was not"
    assert id_of(bravo) != id_of(alpha)


async def test_a_child_that_hangs_is_ended_and_one_that_fails_is_told(
    caplog: pytest.LogCaptureFixture, monkeypatch: pytest.MonkeyPatch
) -> None:
    python = [sys.executable, "-c"]
    assert await run_due([*python, f"import os; assert os.nice(0) == {os.nice(0)}"]) == 0
    with caplog.at_level(logging.WARNING):
        assert (
            await run_due([*python, "import sys; print('error: too slow', file=sys.stderr); sys.exit(5)"])
            == 5
        )
    assert "exit code 5): error: too slow" in caplog.text
    monkeypatch.setattr(lab_runs, "RUN_SECONDS_MAX", 0.3)
    assert await run_due([*python, "import time; time.sleep(60)"]) == -1


async def test_the_command_is_the_one_a_person_would_type_with_the_least_priority(
    two: tuple[Node, Node],
) -> None:
    alpha, _ = two
    command = run_command(alpha.home, DueRun(EntryId(bytes(32)), bytes(32)))
    assert command[-4:] == ["lab", "test", "00" * 32, "00" * 32]
    program = command[command.index("-c") + 1]
    shown = program.replace("main()", "assert os.nice(0) == 19")
    assert await run_due([sys.executable, "-P", "-c", shown]) == 0
    assert await run_due(command) == 4, "no daemon runs here"
