"""A large publication in real processes: killed at drawn moments it ends whole or not at all, and nobody misses a number."""

from __future__ import annotations

import json
import os
import random
import signal
import subprocess
import time
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest

from p2pshare.cli.session import is_running
from p2pshare.envelope.payload import compress_frame
from p2pshare.sharing import staging

if TYPE_CHECKING:
    from conftest import Company, Partner

pytestmark = pytest.mark.end_to_end
Eventually = Callable[..., Any]

VALUES = 21_000
PARTS = 3  # 9,207 values each, and what is left
FEW_VALUES = VALUES // 10
KILLS = 10
READING_SECONDS = (
    120.0  # reading begins after a pause that is drawn, and steps aside for whoever waits for the writer
)
SEED = 73


# Every limit that says in how many steps a publication goes is a tenth: a tenth of the values takes the same steps. Each step
# lasts as long as one of a large publication, so that a kill that is drawn falls into it as often; waiting costs no CPU.
SMALL_STEPS = """
import time
from p2pshare import limits
limits.FRAME_OBJECTS_MAX //= 10
limits.ENVELOPE_OBJECTS_TARGET //= 10
from p2pshare.sharing import publishing, staging
staging.ONE_CALL_OBJECTS //= 10
staging.STORED_ROWS_AT_ONCE //= 10
def lasting(work):
    def slowly(*arguments):
        time.sleep(0.1)
        done = work(*arguments)
        time.sleep(0.1)
        return done
    return slowly
publishing.Preparation.take = lasting(publishing.Preparation.take)
staging.step = lasting(staging.step)
"""


@pytest.fixture
def pair(company: Company) -> tuple[Partner, Partner]:
    alpha, bravo = company.linked("alpha", "bravo")
    return alpha, bravo


def listed(alpha: Partner, values: int = VALUES) -> Path:
    path = alpha.home.parent / "values.txt"
    path.write_text("".join(f"host-{number}.example\n" for number in range(values)))
    return path


def begin(alpha: Partner, values: int = VALUES, preface: str = "") -> subprocess.Popen[bytes]:
    path = str(listed(alpha, values))
    arguments = ("publish", path, "--format", "list", "--tlp", "green", "--yes", "--json")
    return subprocess.Popen(
        alpha.command(*arguments, preface=preface),
        stdout=subprocess.PIPE,
        stderr=subprocess.DEVNULL,
        stdin=subprocess.DEVNULL,
    )


def kill(process: subprocess.Popen[bytes]) -> None:
    with suppress(ProcessLookupError):
        os.kill(process.pid, signal.SIGKILL)
    process.communicate()


def claims(node: Partner) -> int:
    [(count,)] = node.query("SELECT count(*) FROM v1_claims WHERE type = 'domain' AND value LIKE 'host-%'")
    return int(count)


def envelopes(node: Partner) -> int:
    [(count,)] = node.query("SELECT count(*) FROM envelope")
    return int(count)


def test_a_publication_of_many_parts_comes_whole_and_is_one_thing_everywhere(
    pair: tuple[Partner, Partner], eventually: Eventually
) -> None:
    alpha, bravo = pair
    alpha.start()
    bravo.start()
    with begin(alpha) as command:
        assert command.stdout is not None
        answer = json.loads(command.stdout.read())
    assert (answer["published"], len(answer["envelopes"])) == (VALUES, PARTS)
    eventually(lambda: claims(bravo) == VALUES, "it has come", READING_SECONDS)
    eventually(lambda: bravo.status()["envelopes"]["unread"] == 0, "it was read", READING_SECONDS)
    for node in (alpha, bravo):
        [shown] = node.cli_json("show", answer["publication"], "--json")
        assert (shown["parts_held"], shown["parts"], shown["values"]) == (PARTS, PARTS, VALUES)
        assert {one["envelope_id"] for one in shown["envelopes"]} == set(answer["envelopes"])
        assert node.query("SELECT DISTINCT publication FROM v1_claims") == [(answer["publication"],)]
    assert bravo.status()["alarms"] == []
    assert alpha.status()["publishing"] == []


SLOW_AND_SWEPT = """
import time
from p2pshare.daemon import run
from p2pshare.sharing import publishing
run.SPOOL_SWEEP_SECONDS = 0.05
take = publishing.Preparation.take
def slowly(self, part):
    time.sleep(2.5)
    take(self, part)
publishing.Preparation.take = slowly
"""


def test_what_takes_seconds_to_prepare_is_not_swept_by_a_sweep_that_waited_for_it(
    pair: tuple[Partner, Partner],
) -> None:
    """The sweep's clock was read before it waited for the writer: what was ready then seemed to be from the future."""
    alpha, _ = pair
    alpha.preface = SLOW_AND_SWEPT
    alpha.start()
    assert alpha.publish("slowly.example\n")["published"] == 1


def left_half_sealed(alpha: Partner, monkeypatch: pytest.MonkeyPatch, value: str) -> str:
    """A publication that a command began, with no step done, and that no daemon goes on with."""
    from p2pshare.cli.session import connect
    from p2pshare.intel.marking import Tlp
    from p2pshare.operations.publishing import Part, Prepare, Seal

    monkeypatch.setattr(staging, "ONE_CALL_OBJECTS", 0)
    frame = compress_frame(
        b'[{"type":"indicator","id":"indicator--34655650-3d18-47b5-bb6c-b9bdb7b26203","created":"2026-01-01T00:00:00Z",'
        b'"modified":"2026-01-01T00:00:00Z","pattern":"[domain-name:value = \'%b\']","pattern_type":"stix",'
        b'"valid_from":"2026-01-01T00:00:00Z"}]' % value.encode()
    )
    with connect(alpha.home) as session:
        token = session.run(Prepare((Part(Tlp.GREEN, (frame,), 1, 0),))).token
        return session.run(Seal(token)).publication


def test_what_was_interrupted_is_shown_gone_on_with_or_discarded(
    pair: tuple[Partner, Partner], monkeypatch: pytest.MonkeyPatch
) -> None:
    alpha, _ = pair
    publication = left_half_sealed(alpha, monkeypatch, "one.example")
    assert f"publishing   {publication}  sealed 0 of 1" in alpha.cli("status").out
    assert "nothing of it has left" in alpha.cli("publish", "--discard", publication).err
    assert "nothing is on its way out" in alpha.cli("publish", "--resume").err
    assert envelopes(alpha) == 0
    publication = left_half_sealed(alpha, monkeypatch, "two.example")
    [envelope] = alpha.cli("publish", "--resume").out.split()
    assert alpha.cli_json("show", envelope, "--json")["publication"] == publication
    assert alpha.cli("publish", "--discard", publication, code=3).err
    publication = left_half_sealed(alpha, monkeypatch, "three.example")
    alpha.cli("partner", "remove", "bravo")
    assert "this has changed: who would get it" in alpha.cli("publish", "--resume", code=5).err
    assert alpha.status()["publishing"] == []
    assert envelopes(alpha) == 1


@pytest.mark.parametrize(
    "arguments",
    [(), ("--resume", "--discard", "0" * 32), ("values.txt", "--resume"), ("-", "--discard", "x")],
)
def test_what_goes_on_needs_no_file_and_what_begins_needs_one(
    pair: tuple[Partner, Partner], arguments: tuple[str, ...]
) -> None:
    assert "hint: " in pair[0].cli("publish", *arguments, code=2).err


@pytest.mark.parametrize("has_daemon", [True, False])
def test_killed_at_any_moment_it_ends_whole_or_not_at_all(
    pair: tuple[Partner, Partner], eventually: Eventually, has_daemon: bool
) -> None:
    """The daemon is killed where one runs, else the command; after each of the kills either all of it is there or nothing."""
    alpha, bravo = pair
    drawn = random.Random(SEED + has_daemon)
    began = time.monotonic()
    alpha.preface = SMALL_STEPS
    if has_daemon:
        alpha.start()
    whole = 0
    kill_after = 8.0  # on a busy machine; a publication that ends before makes it shorter
    for number in range(KILLS):
        with begin(alpha, FEW_VALUES, SMALL_STEPS) as command:
            began = time.monotonic()
            moment = drawn.uniform(0, kill_after)
            while time.monotonic() - began < moment and command.poll() is None:
                time.sleep(0.005)
            took = time.monotonic() - began
            if has_daemon:
                alpha.kill()
                command.communicate()
            else:
                kill(command)
        kill_after = max(took, 0.5) if took < moment else kill_after
        if has_daemon:
            alpha.start()
            eventually(lambda: alpha.status()["publishing"] == [], "what was confirmed goes on by itself")
        else:
            alpha.cli("publish", "--resume")
        count = envelopes(alpha)
        assert count in (whole * PARTS, (whole + 1) * PARTS), (
            f"a part of it, after kill {number} at {moment:.2f} s"
        )
        whole = count // PARTS
        assert claims(alpha) == (FEW_VALUES if whole else 0)
        held = alpha.home / "spool"
        assert not held.exists() or not [one for one in held.iterdir() if one.suffix == ".held"]
    if not is_running(alpha.home):
        alpha.start()
    bravo.start()
    alpha.publish("the-last.example\n")
    eventually(lambda: envelopes(bravo) == whole * PARTS + 1, "all that left has come")
    eventually(lambda: bravo.status()["envelopes"]["unread"] == 0, "it was read", READING_SECONDS)
    assert claims(bravo) == claims(alpha)
    assert bravo.query("SELECT count(*) FROM sequence_gap") == [(0,)]
    for node in (alpha, bravo):
        assert node.query("SELECT count(*) FROM sequence_fork") == [(0,)]
        assert [one["word"] for one in node.status()["alarms"]] == []


def test_the_command_is_killed_and_the_daemon_goes_on(
    pair: tuple[Partner, Partner], eventually: Eventually
) -> None:
    alpha, _ = pair
    alpha.preface = SMALL_STEPS
    alpha.start()
    with begin(alpha, FEW_VALUES, SMALL_STEPS) as command:
        eventually(
            lambda: list((alpha.home / "spool").glob("*.held")) or envelopes(alpha), "it was confirmed"
        )
        kill(command)
    eventually(lambda: claims(alpha) == FEW_VALUES, "the daemon ends it")
    assert envelopes(alpha) == PARTS
    eventually(lambda: alpha.status()["publishing"] == [], "it is at its end")
