"""A person is asked while a daemon runs: what was shown is sealed, once, and nothing that is something else by now."""

from __future__ import annotations

import os
import time
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest

from p2pshare.cli import console
from p2pshare.cli.session import DaemonSession, LocalSession, connect
from p2pshare.envelope.payload import compress_frame
from p2pshare.errors import ShareError
from p2pshare.intel.marking import Tlp
from p2pshare.operations.crossing import fields_of, name_of
from p2pshare.operations.publishing import Part, Prepare, Seal

if TYPE_CHECKING:
    from conftest import Company, Partner, Said

pytestmark = pytest.mark.end_to_end
Eventually = Callable[[Callable[[], Any], str], Any]
Answer = Callable[[], bool]


class Person:
    """Sits at the terminal: answers each question with the next of `answers`, and notes what was asked of the daemon."""

    def __init__(self, patch: pytest.MonkeyPatch, *answers: Answer) -> None:
        self._answers = list(answers)
        self.asked = 0
        self.operations: list[tuple[str, dict[str, Any]]] = []
        patch.setattr(console, "can_ask", lambda: True)
        patch.setattr(console, "ask", self._answer)
        for session in (DaemonSession, LocalSession):
            patch.setattr(session, "run", self._noting(session.run))

    def _answer(self, question: str) -> bool:
        self.asked += 1
        return self._answers.pop(0)()

    def _noting(self, run: Callable[..., Any]) -> Callable[..., Any]:
        def noted(session: Any, request: Any, progress: Any) -> Any:
            self.operations.append((name_of(request), fields_of(request)))
            return run(session, request, progress)

        return noted


def publish(alpha: Partner, value: str, code: int = 0) -> Said:
    path = alpha.home.parent / "values.txt"
    path.write_text(f"{value}\n")
    return alpha.cli("publish", str(path), "--format", "list", "--tlp", "green", code=code)


def waiting(alpha: Partner) -> list[Path]:
    with suppress(FileNotFoundError):
        return list((alpha.home / "spool").iterdir())
    return []


def think_for_two_minutes(alpha: Partner) -> None:
    [file] = waiting(alpha)
    before = time.time() - 120
    os.utime(file, (before, before))


@pytest.fixture
def alpha(company: Company) -> Partner:
    alpha, _ = company.linked("alpha", "bravo")
    alpha.start()
    return alpha


@pytest.mark.parametrize("has_daemon", [True, False])
def test_a_publication_is_handed_over_once_and_sealed_by_its_token(
    company: Company, monkeypatch: pytest.MonkeyPatch, has_daemon: bool
) -> None:
    alpha, _ = company.linked("alpha", "bravo")
    if has_daemon:
        alpha.start()
    seen: list[int] = []
    person = Person(monkeypatch, lambda: bool(seen.append(len(waiting(alpha))) or True))
    [envelope] = publish(alpha, "asked.example").out.split()
    assert (seen, waiting(alpha), person.asked) == ([1], [], 1)
    assert [name for name, _ in person.operations] == ["prepare", "seal"]
    assert set(person.operations[1][1]) == {"operation", "token"}
    assert alpha.query("SELECT hex(envelope_id) FROM envelope") == [(envelope.upper(),)]


def test_a_no_leaves_nothing_behind(alpha: Partner, monkeypatch: pytest.MonkeyPatch) -> None:
    Person(monkeypatch, lambda: False)
    publish(alpha, "not-asked-for.example", code=5)
    assert waiting(alpha) == []
    assert alpha.status()["envelopes"]["held"] == 0


def test_a_partner_who_is_removed_while_the_person_thinks_gets_nothing(
    alpha: Partner, monkeypatch: pytest.MonkeyPatch
) -> None:
    Person(monkeypatch, lambda: bool(alpha.cli("partner", "remove", "bravo")))
    said = publish(alpha, "shown-for-bravo.example", code=5)
    assert "this has changed: who would get it" in said.err
    assert "hint: publish again" in said.err
    assert waiting(alpha) == []
    assert alpha.status()["envelopes"]["held"] == 0


def test_who_thinks_for_longer_than_it_waits_is_not_asked_twice(
    alpha: Partner, monkeypatch: pytest.MonkeyPatch
) -> None:
    person = Person(monkeypatch, lambda: think_for_two_minutes(alpha) is None)
    publish(alpha, "slowly.example")
    assert person.asked == 1
    assert [name for name, _ in person.operations] == ["prepare", "seal", "prepare", "seal"]
    assert alpha.status()["envelopes"]["held"] == 1


def test_who_thinks_for_long_is_asked_again_when_something_else_would_leave(
    company: Company, alpha: Partner, monkeypatch: pytest.MonkeyPatch
) -> None:
    charlie = company.found("charlie")

    def think_while_another_is_added() -> bool:
        alpha.trust(charlie)
        think_for_two_minutes(alpha)
        return True

    person = Person(monkeypatch, think_while_another_is_added, lambda: False)
    said = publish(alpha, "for-two.example", code=5)
    assert person.asked == 2
    assert "for bravo, charlie" in said.err
    assert alpha.status()["envelopes"]["held"] == 0


def prepare(alpha: Partner) -> str:
    frame = compress_frame(
        b'[{"type":"indicator","id":"indicator--34655650-3d18-47b5-bb6c-b9bdb7b26203","created":"2026-01-01T00:00:00Z",'
        b'"modified":"2026-01-01T00:00:00Z","pattern":"[domain-name:value = \'waits.example\']","pattern_type":"stix",'
        b'"valid_from":"2026-01-01T00:00:00Z"}]'
    )
    with connect(alpha.home) as session:
        done = session.run(Prepare((Part(Tlp.GREEN, (frame,), 1, 0),)))
    assert (done.published, done.envelopes) == (1, [])
    return done.token


def seal(alpha: Partner, token: str) -> None:
    with connect(alpha.home) as session:
        session.run(Seal(token))


def test_what_waited_when_the_daemon_was_killed_is_gone_and_seals_nothing(alpha: Partner) -> None:
    token = prepare(alpha)
    alpha.kill()
    assert [one.name for one in waiting(alpha)] == [token]
    alpha.start()
    assert waiting(alpha) == []
    with pytest.raises(ShareError, match="nothing is prepared") as caught:
        seal(alpha, token)
    assert (caught.value.reason, caught.value.exit_code) == ("not-prepared", 3)
    assert alpha.status()["envelopes"]["held"] == 0


def test_a_daemon_that_stops_and_a_command_that_ends_leave_nothing_waiting(alpha: Partner) -> None:
    prepare(alpha)
    alpha.stop()
    assert waiting(alpha) == []
    (alpha.home / "spool" / ("0" * 32)).write_text("left by a killed command")
    with connect(alpha.home) as session:
        assert (session.is_daemon, waiting(alpha)) == (False, [])
    prepare(alpha)  # no daemon: by a command of its own, which has ended
    assert waiting(alpha) == []


def test_what_nobody_seals_is_removed_while_the_daemon_runs(alpha: Partner, eventually: Eventually) -> None:
    prepare(alpha)
    think_for_two_minutes(alpha)
    eventually(lambda: not waiting(alpha), "it is swept")


def test_what_is_refused_altogether_leaves_nothing_waiting(alpha: Partner) -> None:
    arguments = ("publish", "-", "--format", "list", "--tlp", "green", "--yes")
    assert "private-address" in alpha.cli(*arguments, stdin=b"10.0.0.1\n", code=5).err
    assert waiting(alpha) == []


def test_a_dry_run_leaves_nothing_waiting_and_nothing_to_seal(alpha: Partner) -> None:
    answer = alpha.publish("dry.example\n", "--dry-run")
    assert "token" not in answer
    assert waiting(alpha) == []
