"""Rules of labs on samples: 200 of them on 1,000 events, and what a partner feels while a hostile one takes all that a run may have.

The rules and events are drawn here; docs/labs-engines.md has the figures with SigmaHQ's own.
"""

from __future__ import annotations

import asyncio
import contextlib
import json
import multiprocessing
import random
import resource
from pathlib import Path

from measuring import Report, percentile
from spreading import Whole
from under_attack import _address, _client, _hellos

from p2pshare.engines.launch import run_rule, run_rules
from p2pshare.engines.trial_words import EngineSample
from p2pshare.errors import RefusedError

RULES, EVENTS = 200, 1_000
CPU_SECONDS_MAX = 2.0
LATENCY_RATIO_MAX = 2.0
FIELDS = ("CommandLine", "Image", "ParentImage", "TargetObject", "User")
WORDS = (
    "certutil",
    "powershell",
    "rundll32",
    "urlcache",
    "encoded",
    "temp",
    "users",
    "system32",
    "svchost",
    "http",
)


def measure(report: Report, folder: Path, *, rounds: int, hellos: int) -> None:
    chance = random.Random(17)
    rules = [_rule(number, chance).encode() for number in range(RULES)]
    lines = b"\n".join(json.dumps(_event(chance)).encode() for _ in range(EVENTS))
    sample = EngineSample("positive", "event-jsonl", lines)
    seconds = []
    for _ in range(rounds):
        before = children_cpu_seconds()
        answers = run_rules("sigma", rules, [sample])
        seconds.append(children_cpu_seconds() - before)
        assert not any(one.reason for one in answers) and sum(one.hits for one in answers) > 0
    report.add(
        f"{RULES} Sigma rules on {EVENTS} events, conversion and the child's start included", "CPU s", seconds
    )
    report.gate(
        f"CPU seconds of {RULES} rules on {EVENTS} events",
        sorted(seconds)[len(seconds) // 2],
        CPU_SECONDS_MAX,
        is_at_least=False,
    )
    quiet, beside, runs = asyncio.run(_beside(folder, hellos))
    report.add("hello while no rule runs, p99", "ms", [percentile(quiet, 0.99) * 1e3])
    report.add(
        "hello while a hostile rule takes its ten seconds of CPU, again and again, p99",
        "ms",
        [percentile(beside, 0.99) * 1e3],
    )
    report.add("... runs that were ended meanwhile", "", [runs])
    report.gate(
        "a partner's p99 beside a hostile rule / alone",
        percentile(beside, 0.99) / percentile(quiet, 0.99),
        LATENCY_RATIO_MAX,
        is_at_least=False,
    )


def children_cpu_seconds() -> float:
    used = resource.getrusage(resource.RUSAGE_CHILDREN)
    return used.ru_utime + used.ru_stime


def _rule(number: int, chance: random.Random) -> str:
    values = "".join(f"      - '{word}'\n" for word in chance.sample(WORDS, 3))
    return (
        f"title: rule {number}\nlogsource:\n  category: process_creation\ndetection:\n"
        f"  one:\n    {chance.choice(FIELDS)}|contains:\n{values}"
        f"  other:\n    {chance.choice(FIELDS)}|endswith: '\\{chance.choice(WORDS)}.exe'\n  condition: one or other\n"
    )


def _event(chance: random.Random) -> dict[str, object]:
    return {
        "Event": {
            "System": {"EventID": 1, "Channel": "Security"},
            "EventData": {field: "C:\\" + "\\".join(chance.sample(WORDS, 4)) + ".exe" for field in FIELDS},
        }
    }


async def _beside(folder: Path, hellos: int) -> tuple[list[float], list[float], int]:
    node, honest = (Whole(folder, name) for name in ("asked", "honest"))
    await node.trust(honest)
    await node.start()
    client = _client(honest.node.home, _address(node))
    await _hellos(client, 50)  # warm
    quiet = await _hellos(client, hellos)
    context = multiprocessing.get_context("spawn")
    ended = context.Value("i", 0)
    process = context.Process(target=_run_for_ever, args=(ended,), daemon=True)
    process.start()
    await asyncio.sleep(2)  # it imports, and its first child has begun
    beside = await _hellos(client, hellos)
    process.kill()
    await client.close()
    await node.end()
    return quiet, beside, ended.value


def _run_for_ever(ended: object) -> None:
    """As `lab test` does, in a process of its own: a rule that a second costs nothing has taken is no measure, so this one goes on."""
    events = "\n".join(json.dumps({"a": "a" * 2_000}) for _ in range(20_000)).encode()
    names = [f"s{number}" for number in range(500)]
    selections = "".join(f"  {name}:\n    a|re: '(a|b|ab)*c{number}'\n" for number, name in enumerate(names))
    rule = f"title: x\nlogsource:\n  category: t\ndetection:\n{selections}  condition: {' or '.join(names)}\n".encode()
    while True:
        with contextlib.suppress(RefusedError):
            run_rule("sigma", rule, [EngineSample("negative", "event-jsonl", events)])
        with ended.get_lock():  # type: ignore[attr-defined]
            ended.value += 1  # type: ignore[attr-defined]
