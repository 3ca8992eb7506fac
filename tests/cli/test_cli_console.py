"""How the command line speaks: data to stdout, talk to stderr, nothing from outside unescaped."""

from __future__ import annotations

import io
import json
import os
import pty
import re
import select
import subprocess
import sys

import pytest
from hypothesis import given
from hypothesis import strategies as st
from msgspec.structs import replace

from p2pshare.cli import console
from p2pshare.errors import ShareError
from p2pshare.queries.status import PartnerStatus

UNPRINTABLE = "\x1b[2J\u202e\u200b\x07\u2028"


IN_ORDER = """
import sys
from p2pshare.cli import console
from p2pshare.cli.output import write_output
from p2pshare.errors import ShareError
console.print_result('1')
console.say('2')
console.print_json(3)
console.warn('4')
console.print_fields({'five': 5})
console.print_counts('six', [{'count': 6, 'reason': 'x'}])
console.print_result('7')
write_output('-', b'8\\n')
console.print_result('9')
write_output('/dev/stderr', b'10\\n')
console.print_table(('n',), [(11,)])
write_output('/dev/stdout', b'12\\n')
console.print_result('13')
console.complain(ShareError('14'))
"""


class Terminal(io.StringIO):
    def isatty(self) -> bool:
        return True


def test_an_error_is_one_line_and_its_hint_another(capsys: pytest.CaptureFixture[str]) -> None:
    console.complain(ShareError("cannot read x: no such file", hint="give a file"))
    assert capsys.readouterr() == ("", "error: cannot read x: no such file\nhint: give a file\n")


def test_what_is_said_on_both_streams_comes_out_of_one_pipe_in_its_order() -> None:
    environment = {name: text for name, text in os.environ.items() if name != "PYTHONUNBUFFERED"}
    done = subprocess.run(
        [sys.executable, "-c", IN_ORDER],
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        env=environment,
        check=True,
    )
    numbers = [int(number) for number in re.findall(rb"\d+", done.stdout)]
    assert numbers == list(range(1, 15))


def test_an_error_as_json_is_one_line_with_the_words_of_a_person_on_a_terminal_too(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    terminal = Terminal()
    monkeypatch.setattr(sys, "stderr", terminal)
    monkeypatch.delenv("NO_COLOR", raising=False)
    console.complain(ShareError(f"<b>\x7f\u00fc{UNPRINTABLE}", hint="\udcff", reason="x"), as_json=True)
    line = terminal.getvalue()
    assert (line.count("\n"), line.isascii(), {"<", "\x7f", "\x1b"} & set(line)) == (1, True, set())
    message = f"<b>\\x7f\u00fc{console.shown(UNPRINTABLE)}"
    assert json.loads(line) == {
        "error": {"message": message, "hint": "\\udcff", "reason": "x", "exit_code": 1}
    }


def test_an_error_that_quotes_hostile_input_cannot_move_the_cursor(
    capsys: pytest.CaptureFixture[str],
) -> None:
    console.complain(ShareError(f"no partner is called '{UNPRINTABLE}'", hint=UNPRINTABLE))
    assert all(line.isprintable() for line in capsys.readouterr().err.splitlines())


@given(st.text())
def test_whatever_others_wrote_is_printable_when_shown(text: str) -> None:
    assert console.shown(text).isprintable()


@given(st.lists(st.tuples(st.text(), st.text() | st.none()), max_size=5))
def test_a_table_has_a_line_for_each_row_whatever_is_in_its_cells(rows: list[tuple[str, str | None]]) -> None:
    stream = io.StringIO()
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(sys, "stdout", stream)
        console.print_table(("alias", "name"), rows)
    assert stream.getvalue().count("\n") == len(rows)
    assert len(stream.getvalue().splitlines()) == len(rows)


def test_json_is_ascii_and_one_line_in_a_pipe(capsys: pytest.CaptureFixture[str]) -> None:
    console.print_json([{"value": UNPRINTABLE + "é"}])
    out = capsys.readouterr().out
    assert out.isascii()
    assert out.count("\n") == 1
    assert json.loads(out) == [{"value": UNPRINTABLE + "é"}]


def test_an_empty_result_is_still_json(capsys: pytest.CaptureFixture[str]) -> None:
    console.print_json([])
    assert capsys.readouterr().out == "[]\n"


@pytest.mark.parametrize(
    ("no_color", "expected"), [(None, "\x1b[31merror:\x1b[0m x\n"), ("1", "error: x\n"), ("", "error: x\n")]
)
def test_colour_on_a_terminal_only_without_no_color(
    monkeypatch: pytest.MonkeyPatch, no_color: str | None, expected: str
) -> None:
    terminal = Terminal()
    monkeypatch.setattr(sys, "stderr", terminal)
    monkeypatch.delenv("NO_COLOR", raising=False)
    if no_color is not None:
        monkeypatch.setenv("NO_COLOR", no_color)
    console.complain(ShareError("x"))
    assert terminal.getvalue() == expected


def test_progress_moves_on_a_terminal_and_cleans_up_after_itself(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("NO_COLOR", raising=False)
    terminal = Terminal()
    with console.ProgressLine(terminal) as line:
        line.show("sealed", 1, 2)
    assert terminal.getvalue() == "\r\x1b[Ksealed 1 of 2\r\x1b[K"


def test_progress_is_silent_in_a_pipe() -> None:
    pipe = io.StringIO()
    with console.ProgressLine(pipe) as line:
        line.show("sealed", 1, 2)
    assert pipe.getvalue() == ""


def test_refusals_show_reason_count_and_examples_on_stderr(capsys: pytest.CaptureFixture[str]) -> None:
    console.print_counts(
        "refused", [{"reason": "bad-address", "count": 3, "examples": ["line 4: 999.1.1.1", UNPRINTABLE]}]
    )
    out, err = capsys.readouterr()
    assert out == ""
    assert err.startswith("refused: 3 bad-address, for example line 4: 999.1.1.1, ")
    assert err.rstrip("\n").isprintable()


@pytest.mark.parametrize(
    ("answer", "expected"), [(b"y\n", "True"), (b"YES\n", "True"), (b"\n", "False"), (b"nope\n", "False")]
)
def test_a_question_is_asked_on_a_real_terminal_and_only_yes_is_yes(answer: bytes, expected: str) -> None:
    ours, theirs = pty.openpty()
    code = "from p2pshare.cli import console; print(console.can_ask(), console.ask('publish?'))"
    with subprocess.Popen(
        [sys.executable, "-c", code], stdin=theirs, stderr=theirs, stdout=subprocess.PIPE
    ) as asking:
        os.write(ours, answer)
        out, _ = asking.communicate()
    shown = b""
    while b"publish? [y/N]" not in shown:  # the echo of the answer may come alone
        assert select.select([ours], [], [], 10)[0], shown
        shown += os.read(ours, 1_000)
    os.close(theirs)
    os.close(ours)
    assert out.split() == [b"True", expected.encode()]


def test_what_a_partner_did_is_told_beneath_the_partners_and_its_own_words_stay_on_their_line(
    capsys: pytest.CaptureFixture[str],
) -> None:
    row = PartnerStatus(
        alias="bravo",
        partner_id="",
        name="Bravo",
        url="",
        fingerprint="",
        card_version=1,
        card_expires=None,
        has_link=True,
        state="open",
        last_exchange=None,
        circles=[],
        backlog=0,
        last_error="",
        noted={"bodies-withheld": 3, "x\n" + UNPRINTABLE: 1},
        carried_bytes=0,
        cost_bytes=0,
    )
    console.print_partners([row, replace(row, alias="charlie", noted={})])
    lines = capsys.readouterr().out.splitlines()
    assert len(lines) == 3
    assert lines[2].startswith("noted of bravo: bodies-withheld 3  x\\x0a")
    assert lines[2].isprintable()
