"""YARA: a rule file is compiled and each sample scanned by yara-x, which includes nothing and has no module that reads the host. Runs in the cage."""

from __future__ import annotations

import math
from collections.abc import Iterator, Sequence
from typing import Any

from p2pshare.engines.sigma_engine import RuleFault, SampleHits, answer_of
from p2pshare.engines.trial_words import EngineSample, TrialAnswer

SCAN_SECONDS = 5  # of one sample; the whole run has the child's CPU seconds
MATCHES_MAX = 1_000  # of one pattern in one sample: whether it matches is all that is asked
CLOSED_MODULES = ("console", "cuckoo", "time")
"""`console` writes, `cuckoo` reads a report, `time` is the clock: two partners would get two results."""


def engine_name() -> str:
    """Returns the engine with its version."""
    from importlib.metadata import version

    return f"yara-x {version('yara-x')}"


def read_samples(samples: Sequence[EngineSample]) -> Sequence[EngineSample]:
    """Returns the samples: a scan reads bytes."""
    return samples


def try_rule(text: bytes, samples: Sequence[EngineSample]) -> TrialAnswer:
    """Returns what a rule file makes of its samples; hits count its rules that match. Raises RuleFault `rule-refused`."""
    return answer_of(engine_name(), _tried(text, samples), len(samples))


def _tried(text: bytes, samples: Sequence[EngineSample]) -> Iterator[SampleHits]:
    import yara_x

    compiler = yara_x.Compiler()
    compiler.enable_includes(False)
    for module in CLOSED_MODULES:
        compiler.ignore_module(module)
    try:
        compiler.add_source(text.decode("utf-8"))
        ignored: Any = compiler.ignored_rules()  # type: ignore[misc]  # its stub says it is a property
        if ignored:  # one that is passed over in silence would look like one that does not hit
            raise RuleFault(
                "rule-refused", f"a rule uses a module that is closed: {', '.join(CLOSED_MODULES)}"
            )
        scanner = yara_x.Scanner(compiler.build())
    except (yara_x.CompileError, UnicodeDecodeError, ValueError) as error:
        raise RuleFault("rule-refused", str(error)) from None
    scanner.set_timeout(math.ceil(SCAN_SECONDS))
    scanner.max_matches_per_pattern(MATCHES_MAX)
    for place, sample in enumerate(samples):
        try:
            hits = len(scanner.scan(sample.content).matching_rules)
        except (yara_x.ScanError, yara_x.TimeoutError):
            yield SampleHits(sample.label, place, True, 1, 0)
            continue
        yield SampleHits(sample.label, place, False, 1, hits)


def warm() -> None:
    """Compile and scan once, so that nothing is read and no thread is begun later."""
    sample = EngineSample("negative", "file", b"warm")
    list(
        _tried(b'import "pe" rule warm { strings: $a = /w[a-z]+m/ condition: $a and not pe.is_pe }', [sample])
    )
