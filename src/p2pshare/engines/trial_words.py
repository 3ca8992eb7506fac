"""What the two sides of a caged run say to each other: one request in, one answer out, in MessagePack.

Both sides read strictly: the parent because the child ran what others wrote, the child because it costs nothing.
"""

from __future__ import annotations

from typing import Annotated, Literal

from msgspec import Meta, Struct

from p2pshare.limits import MIB

ANSWER_BYTES_MAX = 4 * MIB  # 200,000 counts and their frame; what is longer is no answer
SAMPLES_BYTES_MAX = (
    96 * MIB
)  # of all samples of one run: the child has 512 MiB, and an event takes four times its bytes
SAMPLES_MAX = 10_000  # files of one run
RULES_MAX = 500  # of one run: they share its samples, and its limits
RULE_BYTES_MAX = 1 * MIB  # SigmaHQ's longest has 60 KiB, the longest YARA file that we met 900 KiB
EVENTS_MAX = 200_000  # of one run; beyond it the time of the child would end it, and say less
REASON_CHARACTERS_MAX = 400

RuleLanguage = Literal["sigma", "yara"]
SampleLabel = Literal["positive", "negative"]
SampleKind = Literal["event-json", "event-jsonl", "evtx-json", "pcap", "file"]
_Count = Annotated[int, Meta(ge=0, le=2**53 - 1)]


class EngineSample(Struct, frozen=True, array_like=True, forbid_unknown_fields=True):
    """A sample with its content."""

    label: SampleLabel
    kind: SampleKind
    content: bytes


class TrialRequest(Struct, frozen=True, array_like=True, forbid_unknown_fields=True):
    """Rules, and the samples on which each is tried."""

    rules: Annotated[tuple[bytes, ...], Meta(min_length=1, max_length=RULES_MAX)]
    samples: Annotated[tuple[EngineSample, ...], Meta(max_length=SAMPLES_MAX)]


class TrialAnswer(Struct, frozen=True, forbid_unknown_fields=True):
    """What the engine made of one rule. `reason` "" where it ran, else a code of docs/labs-engines.md, and `why` in words.

    tp to tn count samples, and lines of those that are lines; `errors` those of which it can say nothing. `hits_of`: how many events (of YARA
    rules) matched in each sample, in their order; -1 where the sample is an error. `walls` that stand.
    """

    engine: Annotated[str, Meta(max_length=REASON_CHARACTERS_MAX)]
    walls: Annotated[tuple[Annotated[str, Meta(max_length=32)], ...], Meta(max_length=16)]
    reason: Annotated[str, Meta(max_length=32, pattern="^[a-z-]*$")] = ""
    why: Annotated[str, Meta(max_length=REASON_CHARACTERS_MAX)] = ""
    tp: _Count = 0
    fn: _Count = 0
    fp: _Count = 0
    tn: _Count = 0
    errors: _Count = 0
    events: _Count = 0
    hits: _Count = 0
    milliseconds: _Count = 0
    hits_of: Annotated[
        tuple[Annotated[int, Meta(ge=-1, le=2**53 - 1)], ...], Meta(max_length=SAMPLES_MAX)
    ] = ()


class TrialAnswers(Struct, frozen=True, array_like=True, forbid_unknown_fields=True):
    """An answer for each rule, in their order; or one alone that is about none of them."""

    each: Annotated[tuple[TrialAnswer, ...], Meta(min_length=1, max_length=RULES_MAX)]
