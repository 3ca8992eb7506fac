"""The child: imports its engine, closes the doors, proves it, and only then reads what others wrote.

It is started by `launch` and speaks MessagePack over its standard streams. Whatever happens it ends with one answer, or is ended.
"""

from __future__ import annotations

import sys
import time
from collections.abc import Callable
from importlib import import_module
from typing import Any

import msgspec

from p2pshare.engines import walls
from p2pshare.engines.sigma_engine import RuleFault
from p2pshare.engines.trial_words import REASON_CHARACTERS_MAX, TrialAnswer, TrialAnswers, TrialRequest

ENGINES = {"sigma": "p2pshare.engines.sigma_engine", "yara": "p2pshare.engines.yara_engine"}
Trying = Callable[[bytes, Any], TrialAnswer]


def main(language: str) -> None:
    """Be the child for rules of a language."""
    decode = msgspec.msgpack.Decoder(TrialRequest).decode
    encode = msgspec.msgpack.Encoder().encode
    encode(TrialAnswers((TrialAnswer("", ()),)))

    def alone(name: str, reason: str, why: str) -> bytes:
        return encode(TrialAnswers((TrialAnswer(name, (), reason, _words(why)),)))

    try:
        engine: Any = import_module(ENGINES[language])
        engine.warm()
        name: str = engine.engine_name()
    except ImportError:
        _say(alone("", "extra-missing", "the libraries of the extra detect are not installed"))
        return
    try:
        stand = walls.close_doors()
        walls.prove()
    except walls.CageFault as fault:
        _say(alone(name, "no-cage", str(fault)))
        return
    try:
        request = decode(sys.stdin.buffer.read())
        samples = engine.read_samples(request.samples)
    except MemoryError:
        _say(alone(name, "killed-memory", "the samples need more memory than a run may have"))
        return
    except RuleFault as fault:
        _say(alone(name, fault.reason, fault.why))
        return
    answers = (_answer(engine.try_rule, rule, samples) for rule in request.rules)
    _say(
        encode(TrialAnswers(tuple(msgspec.structs.replace(one, engine=name, walls=stand) for one in answers)))
    )


def _answer(try_rule: Trying, rule: bytes, samples: Any) -> TrialAnswer:
    begun = time.monotonic()
    try:
        answer = try_rule(rule, samples)
    except RuleFault as fault:
        return TrialAnswer("", (), fault.reason, _words(fault.why))
    except MemoryError:
        return TrialAnswer("", (), "killed-memory", "the run needs more memory than it may have")
    except RecursionError:
        return TrialAnswer("", (), "rule-refused", "the rule nests too deep")
    except BaseException as error:  # noqa: BLE001 a panic of yara-x is one
        return TrialAnswer("", (), "engine-failed", _words(f"{type(error).__name__}: {error}"))
    return msgspec.structs.replace(answer, milliseconds=round(1_000 * (time.monotonic() - begun)))


def _words(text: str) -> str:
    return text.encode("utf-8", "replace").decode()[:REASON_CHARACTERS_MAX]


def _say(answer: bytes) -> None:
    sys.stdout.buffer.write(answer)
    sys.stdout.buffer.flush()
