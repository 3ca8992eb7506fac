"""The parent's side: start a caged child, hand it a rule and samples, and read its answer as one reads a stranger's.

The child is a new interpreter by exec: no environment, no descriptor but its three streams, another folder. It is given a time by the clock
besides its CPU seconds, and more bytes than an answer may have end it.
"""

from __future__ import annotations

import contextlib
import os
import selectors
import signal
import subprocess
import sys
import time
from collections.abc import Sequence

import msgspec

from p2pshare.engines.trial_words import (
    ANSWER_BYTES_MAX,
    RULE_BYTES_MAX,
    RULES_MAX,
    SAMPLES_BYTES_MAX,
    SAMPLES_MAX,
    EngineSample,
    RuleLanguage,
    TrialAnswer,
    TrialAnswers,
    TrialRequest,
)
from p2pshare.errors import OperatorError, RefusedError

RUN_SECONDS = 60.0  # by the clock: the child is nice, and others may need the machine
PROGRAM = (
    "import sys; language = sys.argv[1]; sys.path[:] = sys.argv[2:]\n"
    "from p2pshare.engines.child import main; main(language)"
)
OPERATOR_REASONS = ("extra-missing", "no-cage")
HINTS = {
    "extra-missing": "pip install 'p2pshare[detect]'",
    "no-cage": "rules of others run on Linux (x86-64, aarch64) with seccomp alone",
    "rule-refused": "mend the rule",
    "too-many-events": "try it on fewer samples",
    "killed-cpu": "a rule that takes so long is no use in a SIEM either",
    "killed-memory": "a rule that takes so much is no use in a SIEM either",
    "timed-out": "try again when the machine is less busy",
}
_PIPE_BYTES = 65_536


def run_rule(language: RuleLanguage, rule: bytes, samples: Sequence[EngineSample]) -> TrialAnswer:
    """Returns what the engine of a language makes of a rule and its samples, in a caged child process. Raises as `run_rules`, and as
    well for what is wrong with the rule."""
    [answer] = run_rules(language, [rule], samples)
    if answer.reason:
        raise _error_of(answer)
    return answer


def run_rules(
    language: RuleLanguage, rules: Sequence[bytes], samples: Sequence[EngineSample]
) -> list[TrialAnswer]:
    """Returns what the engine of a language makes of each rule on the same samples, in one caged child process: they are read once, and what is
    wrong with one rule stands in its answer. What ends the child ends it for all.

    Raises RefusedError with a reason of docs/labs-engines.md (`rule-refused`, `too-large`, `too-many-events`, `killed-cpu`, `killed-memory`,
    `timed-out`, `engine-failed`), OperatorError `extra-missing`, `no-cage`.
    """
    if (
        max(map(len, rules)) > RULE_BYTES_MAX
        or len(rules) > RULES_MAX
        or len(samples) > SAMPLES_MAX
        or _bytes_of(samples) > SAMPLES_BYTES_MAX
    ):
        raise RefusedError(
            f"a run has a rule of at most {RULE_BYTES_MAX} bytes, {SAMPLES_MAX} samples and {SAMPLES_BYTES_MAX} bytes of them",
            hint="try it on fewer samples",
            reason="too-large",
        )
    given = msgspec.msgpack.encode(TrialRequest(tuple(rules), tuple(samples)))
    command = [
        sys.executable,
        "-I",
        "-B",
        "-c",
        PROGRAM,
        language,
        *(os.path.abspath(one) for one in sys.path if one),
    ]
    try:
        child = subprocess.Popen(
            command,
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=subprocess.DEVNULL,
            env={},
            cwd="/",
            close_fds=True,
            start_new_session=True,
        )
    except OSError as error:
        raise OperatorError(f"the child cannot be started: {error.strerror}", reason="no-cage") from None
    with child:
        try:
            raw = _talk(child, given, time.monotonic() + RUN_SECONDS)
        finally:
            child.kill()
    return _read(raw, child.returncode, len(rules), len(samples))


def _bytes_of(samples: Sequence[EngineSample]) -> int:
    return sum(len(one.content) for one in samples)


def _talk(child: subprocess.Popen[bytes], given: bytes, until: float) -> bytes:
    """Returns what a child wrote until it closed its end, at most one byte more than an answer has. Raises RefusedError `timed-out`."""
    assert child.stdin is not None and child.stdout is not None
    answer, at = bytearray(), 0
    with selectors.DefaultSelector() as waiting:
        for stream, events in ((child.stdin, selectors.EVENT_WRITE), (child.stdout, selectors.EVENT_READ)):
            waiting.register(stream, events)
        os.set_blocking(child.stdin.fileno(), False)
        while len(answer) <= ANSWER_BYTES_MAX:
            left = until - time.monotonic()
            ready = waiting.select(left) if left > 0 else []
            if not ready:
                raise _too_long()
            for key, _ in ready:
                if key.fileobj is child.stdin:
                    try:
                        at += os.write(child.stdin.fileno(), given[at : at + _PIPE_BYTES])
                    except BrokenPipeError:
                        at = len(given)
                    if at >= len(given):
                        waiting.unregister(child.stdin)
                        with contextlib.suppress(BrokenPipeError):
                            child.stdin.close()
                else:
                    piece = os.read(child.stdout.fileno(), _PIPE_BYTES)
                    if not piece:
                        try:  # it has closed its end, and may still sleep
                            child.wait(max(0.0, until - time.monotonic()))
                        except subprocess.TimeoutExpired:
                            raise _too_long() from None
                        return bytes(answer)
                    answer += piece
    return bytes(answer)


def _too_long() -> RefusedError:
    return RefusedError(
        f"the run took more than {RUN_SECONDS:.0f} seconds", hint=HINTS["timed-out"], reason="timed-out"
    )


def _read(raw: bytes, code: int, rules: int, samples: int) -> list[TrialAnswer]:
    """Returns the answers of a child. Raises as `run_rules`."""
    try:
        answers = msgspec.msgpack.decode(raw, type=TrialAnswers).each
    except (msgspec.DecodeError, UnicodeDecodeError):
        answers = (TrialAnswer("", (), _ended(code), ""),)
    is_alone = len(answers) == 1 and answers[0].reason and not answers[0].walls
    if is_alone:
        raise _error_of(answers[0])
    if len(answers) != rules or any(len(one.hits_of) != samples for one in answers if not one.reason):
        raise _error_of(TrialAnswer("", (), "engine-failed", "its answer is none to what was asked"))
    return list(answers)


def _error_of(answer: TrialAnswer) -> OperatorError | RefusedError:
    kind = OperatorError if answer.reason in OPERATOR_REASONS else RefusedError
    told = f": {answer.why}" if answer.why else ""
    message = f"the rule was not run to its end ({answer.reason}){told}"
    return kind(message, hint=HINTS.get(answer.reason, ""), reason=answer.reason)


def _ended(code: int) -> str:
    """Returns the reason for which a child said nothing that can be read."""
    if code == -signal.SIGXCPU:
        return "killed-cpu"
    # a library that gets no memory aborts; SIGKILL is the kernel's, where the machine or the unit has none left
    if code in (-signal.SIGKILL, -signal.SIGABRT, -signal.SIGSEGV, -signal.SIGBUS):
        return "killed-memory"
    return "engine-failed"
