"""Checks, draws and reads playbooks of the sizes that docs/playbooks.md allows, and what was made to cost: CPU seconds of one process."""

from __future__ import annotations

import json
from collections.abc import Callable
from typing import Any

from measuring import Report, cpu_seconds

from p2pshare.exporters.playbooks.playbook_formats import load_playbook_exporter
from p2pshare.exporters.playbooks.playbook_record import PlaybookRecord
from p2pshare.importers.playbook_containers import CONTAINER_BYTES_MAX, read_container
from p2pshare.intel.playbooks.playbook_diff import compare
from p2pshare.intel.playbooks.playbook_drawing import draw_workflow
from p2pshare.intel.playbooks.playbook_lint import lint
from p2pshare.intel.playbooks.playbook_text import PLAYBOOK_BYTES_MAX, playbook_digest, playbook_of
from p2pshare.intel.playbooks.workflow import Workflow

AT = "2026-11-30T08:00:00.000Z"
LINT_SECONDS_MAX, HOSTILE_SECONDS_MAX = 2.0, 1.0


def name(kind: str, number: int) -> str:
    return f"{kind}--{number:08d}-0000-4000-8000-000000000000"


def playbook(workflow: dict[str, Any], **more: Any) -> dict[str, Any]:
    """A playbook around a workflow, that is valid where that is."""
    return {
        "type": "playbook",
        "spec_version": "cacao-2.0",
        "id": name("playbook", 1),
        "name": "A benchmark",
        "created_by": name("identity", 1),
        "created": AT,
        "modified": AT,
        "playbook_variables": {"__who__": {"type": "string", "value": "Ada"}},
        "workflow_start": name("start", 1),
        "workflow": workflow,
        "agent_definitions": {name("individual", 1): {"type": "individual", "name": "Officer"}},
        "target_definitions": {name("group", 1): {"type": "group", "name": "Wards"}},
        **more,
    }


def action(number: int, following: str) -> dict[str, Any]:
    return {
        "type": "action",
        "name": f"Step {number}",
        "description": "What is done here, why, and what comes of it where it is not done in time. " * 2,
        "commands": [
            {"type": "manual", "command": "Call __who__:value, and write down who said what, and when."}
        ],
        "agent": name("individual", 1),
        "targets": [name("group", 1)],
        "on_completion": following,
    }


def chain(steps: int) -> dict[str, Any]:
    """A start, actions one after the other, an end: so many steps in all."""
    workflow: dict[str, Any] = {name("start", 1): {"type": "start", "on_completion": name("action", 1)}}
    for number in range(1, steps - 1):
        following = name("action", number + 1) if number < steps - 2 else name("end", 1)
        workflow[name("action", number)] = action(number, following)
    return playbook({**workflow, name("end", 1): {"type": "end"}})


def circles(steps: int) -> dict[str, Any]:
    """Actions, each two of which lead to each other, and to nothing that is there."""
    workflow = {
        name("action", number): {
            "type": "action",
            "on_completion": name("action", number ^ 1),
            "agent": name("group", 9),
        }
        for number in range(steps)
    }
    return playbook(workflow)


def many_ends(ends: int) -> dict[str, Any]:
    """End steps that nothing leads to: the dearest text that we found."""
    return playbook({name("end", number): {"type": "end"} for number in range(ends)})


def below(levels: int, value: Any) -> Any:
    """A value below keys as long as keys may be."""
    for number in range(levels):
        value = {f"{number:02}" + "k" * 240: value}
    return value


def hostile() -> dict[str, bytes]:
    """What was made to cost. Each is refused."""
    misp = {
        "name": "security-playbook",
        "Attribute": [{"object_relation": "playbook-base64", "value": "A" * 5_592_408}],
    }
    return {
        "a variable of 1 MB": text(
            playbook({}, playbook_variables={"__x__": {"type": "string", "value": "a" * 1_000_000}})
        ),
        "100,000 lists in each other": b"[" * 100_000,
        "100,000 objects in each other": b'{"a":' * 100_000 + b"1" + b"}" * 100_000,
        "references in 5,000 circles": text(circles(10_000)),
        "a key of 3 MB over 100,000 lists": text({"k" * 3_000_000: [[]] * 100_000}),
        "100,000 lists below 60 long keys": text({"type": "playbook", "x": below(60, [[]] * 110_000)}),
        "200,000 variables below 60 long keys": text(
            {"type": "playbook", "x": below(60, [" __a__:value"] * 200_000)}
        ),
        "keys that stand twice": b'{"a":{' + b",".join(b'"k":1' for _ in range(200_000)) + b"}}",
        "numbers of 17 digits": b'{"a":[' + b",".join([b"9" * 17] * 200_000) + b"]}",
        "base64 of 4 MiB that is no JSON": text(misp),
        "a file of 12 MiB of spaces": b"{" + b" " * (CONTAINER_BYTES_MAX - 2) + b"}",
    }


def text(document: Any) -> bytes:
    return json.dumps(document).encode()


def measure(report: Report, *, rounds: int) -> None:
    lint(text(chain(10)))  # the schemas are read once
    long, hundred = text(chain(5_000)), chain(100)
    document = playbook_of(long).document
    report.gate(
        "playbooks: lint of 5,000 steps, s",
        _add(
            report,
            f"lint, 5,000 steps ({len(long) / 1e6:.1f} MB)",
            rounds,
            lambda: lint(long),
            lint(long).valid,
        ),
        LINT_SECONDS_MAX,
        is_at_least=False,
    )
    _add(report, "digest, 5,000 steps", rounds, lambda: playbook_digest(document))
    _add(report, "diff, 5,000 steps with themselves", rounds, lambda: compare(document, document))
    _add(report, "drawing, 100 steps", rounds, lambda: draw_workflow(Workflow(hundred), "T"))
    _add(report, "drawing, 5,000 steps", rounds, lambda: draw_workflow(Workflow(document), "T"))
    record = PlaybookRecord(playbook_of(long))
    for form in ("misp", "stix"):
        written = load_playbook_exporter(form)(record)
        is_read = [one.playbook.raw for one in read_container(written).playbooks] == [long]
        _add(
            report,
            f"export, 5,000 steps, {form}",
            rounds,
            lambda form=form: load_playbook_exporter(form)(record),
        )
        _add(
            report,
            f"import, 5,000 steps, {form}",
            rounds,
            lambda written=written: read_container(written),
            is_read,
        )
    dear = text(many_ends(50_000))
    _add(
        report,
        f"lint, 50,000 end steps ({len(dear) / 1e6:.1f} MB)",
        rounds,
        lambda: lint(dear),
        not lint(dear).valid,
    )
    worst = 0.0
    for what, raw in hostile().items():
        if len(raw) <= PLAYBOOK_BYTES_MAX:
            worst = max(
                worst,
                _add(
                    report, f"refused by lint: {what}", rounds, lambda raw=raw: lint(raw), not lint(raw).valid
                ),
            )
        read = read_container(raw)
        is_refused = all(not lint(one.playbook.raw).valid for one in read.playbooks)
        worst = max(
            worst,
            _add(
                report, f"refused at import: {what}", rounds, lambda raw=raw: read_container(raw), is_refused
            ),
        )
    report.gate("playbooks: the dearest refusal, s", worst, HOSTILE_SECONDS_MAX, is_at_least=False)


def _add(report: Report, what: str, rounds: int, work: Callable[[], object], is_well: bool = True) -> float:
    """Measure it, and stop where it does not do what it is measured for; returns the median."""
    if not is_well:
        raise AssertionError(what)
    return report.add(f"playbooks: {what}", "s", [cpu_seconds(work) for _ in range(rounds)]).median
