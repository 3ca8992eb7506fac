"""Rules and samples that mean harm are refused or ended within bounds, each with its reason; and so is a child that lies."""

from __future__ import annotations

import json
import random

import pytest

from p2pshare.engines import launch
from p2pshare.engines.launch import run_rule, run_rules
from p2pshare.engines.trial_words import ANSWER_BYTES_MAX, RULE_BYTES_MAX, EngineSample
from p2pshare.errors import OperatorError, RefusedError

HIT = EngineSample("positive", "event-json", b'{"a": "b"}')
MISS = EngineSample("negative", "event-json", b'{"a": "c"}')


def sigma(selections: str, condition: str = "s") -> bytes:
    return f"title: x\nlogsource:\n  category: t\ndetection:\n{selections}  condition: {condition}\n".encode()


PLAIN = sigma("  s:\n    a: b\n")


def reason_of(language: str, rule: bytes, *samples: EngineSample) -> str:
    with pytest.raises((RefusedError, OperatorError)) as ended:
        run_rule(language, rule, samples or (HIT,))  # type: ignore[arg-type]
    return ended.value.reason


def test_a_rule_is_run_in_the_cage_and_says_so() -> None:
    answer = run_rule("sigma", PLAIN, [HIT, MISS, EngineSample("positive", "event-json", b"{")])
    assert (answer.tp, answer.fn, answer.fp, answer.tn, answer.errors) == (1, 0, 0, 1, 1)
    assert answer.hits_of == (1, 0, -1) and {"limits", "seccomp"} <= set(answer.walls)
    assert "pySigma" in answer.engine and "RE2" in answer.engine


def test_what_is_wrong_with_one_rule_stands_in_its_answer_and_keeps_no_other_back() -> None:
    good, bad, again = run_rules("sigma", [PLAIN, b"title: [", PLAIN], [HIT])
    assert (good.tp, bad.reason, again.tp) == (1, "rule-refused", 1)


@pytest.mark.parametrize(
    ("rule", "reason"),
    [
        (b"\xff\xfe", "rule-refused"),
        (b"", "rule-refused"),
        (sigma('  s:\n    "a\\0b": x\n'), "rule-refused"),
        (sigma('  s:\n    a: "\\uD800"\n'), "rule-refused"),
        (sigma("  s:\n    a|re: '(a+)+(b{1,900}){1,900}$'\n"), "rule-refused"),
        (sigma("  s:\n    a: b\n", "not " * 300 + "s"), "rule-refused"),
        (sigma("  s:\n    a: b\n", "not (" * 3_000 + "s" + ")" * 3_000), "rule-refused"),
        (sigma("  s:\n    a|expand: '%unknown%'\n"), "rule-refused"),
        (b"a: &a [x]\nb: &b [*a, *a]\n" * 3 + b"title: " + b"x" * 10, "rule-refused"),
        (b"x" * (1 << 20) + b"x", "too-large"),
    ],
)
def test_a_hostile_rule_of_sigma_is_refused(rule: bytes, reason: str) -> None:
    assert reason_of("sigma", rule) == reason


def test_ten_thousand_selections_and_many_values_run_or_end_within_bounds() -> None:
    many = "".join(f"  s{number}:\n    a: v{number}\n" for number in range(10_000))
    values = "  s:\n    a:\n" + "".join(f"      - v{number}\n" for number in range(15_000))
    answers = []
    for rule in (sigma(many, "1 of s*"), sigma(values)):
        try:
            answers.append(str(run_rule("sigma", rule, [HIT]).fn))
        except RefusedError as error:
            answers.append(error.reason)
    assert set(answers) <= {"1", "rule-refused", "killed-cpu", "killed-memory"}


def test_a_million_lines_are_too_many_events() -> None:
    assert (
        reason_of("sigma", PLAIN, EngineSample("negative", "event-jsonl", b"{}\n" * 1_000_000))
        == "too-many-events"
    )


@pytest.mark.parametrize(
    ("rule", "reason"),
    [
        (b'include "/etc/passwd" rule a { condition: true }', "rule-refused"),
        (b"rule a { condition: ", "rule-refused"),
        (b'import "no_such_module" rule a { condition: true }', "rule-refused"),
    ],
)
def test_a_rule_of_yara_that_reads_the_host_is_refused(rule: bytes, reason: str) -> None:
    assert reason_of("yara", rule, EngineSample("positive", "file", b"x")) == reason


@pytest.mark.parametrize("module", ["console", "cuckoo", "time"])
def test_modules_that_would_say_something_of_this_host_are_refused(module: str) -> None:
    asks = {"console": 'console.log("x")', "cuckoo": "cuckoo.sync.mutex(/x/)", "time": "time.now() > 0"}
    rule = f'import "{module}" rule a {{ condition: {asks[module]} }}'.encode()
    assert reason_of("yara", rule, EngineSample("positive", "file", b"x")) == "rule-refused"


def test_a_rule_of_yara_that_wants_a_gigabyte_is_ended() -> None:
    """27,000 patterns, each in 512 shapes: in 0.8 MiB of text, and 1.2 GiB in the compiler alone."""
    drawn = random.Random(17)
    texts = ("".join(drawn.choices("abcdefghij", k=12)) for _ in range(27_000))
    patterns = "".join(f'$a{number}="{text}" xor wide ascii\n' for number, text in enumerate(texts))
    rule = f"rule a {{ strings:\n{patterns}condition: any of them }}".encode()
    assert len(rule) < RULE_BYTES_MAX
    assert reason_of("yara", rule, EngineSample("positive", "file", b"x")) == "killed-memory"


def test_a_scan_that_does_not_end_is_an_error_of_its_sample(monkeypatch: pytest.MonkeyPatch) -> None:
    loops = (
        b"rule a { condition: for all i in (0..9999999999) : ( for all j in (0..99999999) : (i + j >= 0) ) }"
    )
    answer = run_rule("yara", loops, [EngineSample("positive", "file", b"x")])
    assert (answer.errors, answer.hits_of) == (1, (-1,))


def test_an_archive_of_archives_is_only_bytes() -> None:
    bomb = b"PK\x03\x04" * 100_000
    assert run_rule("sigma", PLAIN, [EngineSample("negative", "event-json", bomb)]).errors == 1
    assert (
        run_rule(
            "yara",
            b'rule a { strings: $a = "PK" condition: #a > 10 }',
            [EngineSample("positive", "file", bomb)],
        ).tp
        == 1
    )


LIES = {
    "nothing": "",
    "rubbish": "import os; os.write(1, b'\\xc1' * 100)",
    "too much": f"import os\nfor _ in range({ANSWER_BYTES_MAX // 65536 + 2}): os.write(1, bytes(65536))",
    "another number of answers": (
        "import os, msgspec; a = dict(engine='e', walls=['seccomp'], hits_of=[0]); os.write(1, msgspec.msgpack.encode([[a, a]]))"
    ),
    "hits that are none": (
        "import os, msgspec; a = dict(engine='e', walls=['seccomp'], hits_of=[-7]); os.write(1, msgspec.msgpack.encode([[a]]))"
    ),
    "a field that nobody knows": (
        "import os, msgspec; a = dict(engine='e', walls=['seccomp'], hits_of=[0], x=1); os.write(1, msgspec.msgpack.encode([[a]]))"
    ),
}


@pytest.mark.parametrize("lie", LIES)
def test_a_child_that_lies_is_believed_in_nothing(lie: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(launch, "PROGRAM", "import sys; sys.path[:] = sys.argv[2:]\n" + LIES[lie])
    assert reason_of("sigma", PLAIN) == "engine-failed"


@pytest.mark.parametrize(
    ("program", "reason"),
    [
        ("import time; time.sleep(60)", "timed-out"),
        ("import os, time; os.close(1); time.sleep(60)", "timed-out"),
        ("import os, signal; os.kill(os.getpid(), signal.SIGXCPU)", "killed-cpu"),
        ("import os, signal; os.kill(os.getpid(), signal.SIGKILL)", "killed-memory"),
        ("import os; os.abort()", "killed-memory"),
    ],
)
def test_a_child_that_does_not_answer_is_ended(
    program: str, reason: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(launch, "RUN_SECONDS", 1.0)
    monkeypatch.setattr(launch, "PROGRAM", program)
    assert reason_of("sigma", PLAIN) == reason


def test_a_child_that_reads_nothing_is_no_pipe_to_wait_at(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(launch, "RUN_SECONDS", 1.0)
    monkeypatch.setattr(launch, "PROGRAM", "import time; time.sleep(60)")
    large = EngineSample("positive", "event-json", json.dumps({"a": "b" * 1_000_000}).encode())
    assert reason_of("sigma", PLAIN, large) == "timed-out"


def test_without_the_libraries_the_extra_is_named(monkeypatch: pytest.MonkeyPatch) -> None:
    hidden = "import sys; language = sys.argv[1]; sys.path[:] = sys.argv[2:]\nsys.modules['sigma'] = None\n"
    monkeypatch.setattr(launch, "PROGRAM", hidden + "from p2pshare.engines.child import main; main(language)")
    assert reason_of("sigma", PLAIN) == "extra-missing"


def test_without_a_filter_nothing_is_run(monkeypatch: pytest.MonkeyPatch) -> None:
    bare = (
        "import sys; language = sys.argv[1]; sys.path[:] = sys.argv[2:]\n"
        "import platform; platform.machine = lambda: 'riscv64'\n"
        "from p2pshare.engines.child import main; main(language)"
    )
    monkeypatch.setattr(launch, "PROGRAM", bare)
    assert reason_of("sigma", PLAIN) == "no-cage"
