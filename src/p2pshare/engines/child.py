"""The child: imports its engine, closes the doors, proves it, and only then reads what others wrote.

It is started by `launch` and speaks MessagePack over its standard streams. Whatever happens it ends with one answer, or is ended.
"""

from __future__ import annotations

import sys
import time
from collections.abc import Callable, Sequence
from importlib import import_module
from typing import Any

import msgspec

from p2pshare.engines import walls
from p2pshare.engines.sigma_engine import RuleFault
from p2pshare.engines.trial_words import REASON_CHARACTERS_MAX, EngineAnswer, EngineRequest, EngineSample

ENGINES = {"sigma": "p2pshare.engines.sigma_engine", "yara": "p2pshare.engines.yara_engine"}
Trying = Callable[[bytes, Sequence[EngineSample]], EngineAnswer]


def main(language: str) -> None:
    """Be the child for rules of a language."""
    decode = msgspec.msgpack.Decoder(EngineRequest).decode
    encode = msgspec.msgpack.Encoder().encode
    encode(EngineAnswer("", ()))
    try:
        engine: Any = import_module(ENGINES[language])
        engine.warm()
        name: str = engine.engine_name()
    except ImportError:
        _say(
            encode(
                EngineAnswer("", (), "extra-missing", "the libraries of the extra detect are not installed")
            )
        )
        return
    stand: tuple[str, ...] = ()
    try:
        stand = walls.close_doors()
        walls.prove()
    except walls.CageFault as fault:
        _say(encode(EngineAnswer(name, stand, "no-cage", str(fault)[:REASON_CHARACTERS_MAX])))
        return
    answer = _answer(engine.try_rule, decode, sys.stdin.buffer.read())
    _say(encode(msgspec.structs.replace(answer, engine=name, walls=stand)))


def _answer(try_rule: Trying, decode: Callable[[bytes], EngineRequest], raw: bytes) -> EngineAnswer:
    begun = time.monotonic()
    try:
        request = decode(raw)
        del raw
        answer = try_rule(request.rule, request.samples)
    except RuleFault as fault:
        return EngineAnswer("", (), fault.reason, _words(fault.why))
    except MemoryError:
        return EngineAnswer("", (), "killed-memory", "the run needs more memory than it may have")
    except RecursionError:
        return EngineAnswer("", (), "rule-refused", "the rule or a sample nests too deep")
    except BaseException as error:  # noqa: BLE001 a panic of yara-x is one
        return EngineAnswer("", (), "engine-failed", _words(f"{type(error).__name__}: {error}"))
    return msgspec.structs.replace(answer, milliseconds=round(1_000 * (time.monotonic() - begun)))


def _words(text: str) -> str:
    return text.encode("utf-8", "replace").decode()[:REASON_CHARACTERS_MAX]


def _say(answer: bytes) -> None:
    sys.stdout.buffer.write(answer)
    sys.stdout.buffer.flush()
