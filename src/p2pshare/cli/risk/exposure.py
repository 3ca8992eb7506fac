"""`p2pshare risk exposure`: whether a vulnerability is ours, asked here, and told to a space when a person says so.

This file sends, so it never sees the inventory: a process of its own asks that (`exposure_answer`), and what it hands back is
held to a grammar (`aggregate`) before it is shown, asked about and sent.
"""

from __future__ import annotations

import json
import subprocess
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import click

from p2pshare.cli import console
from p2pshare.cli.command import Command
from p2pshare.cli.options import UsageProblem, json_option
from p2pshare.cli.risk.aggregate import AGGREGATE_BYTES_MAX, CVES_MAX, MARKING, Aggregate, read_aggregate
from p2pshare.cli.session import ask, read_or_ask
from p2pshare.errors import NotFoundError, OperatorError, RefusedError

ANSWER_SECONDS_MAX = 120  # the file may be busy with an import
CHILD = "p2pshare.cli.risk.exposure_answer"


@click.command(cls=Command)
@click.option(
    "--cve",
    "names",
    metavar="CVE",
    multiple=True,
    required=True,
    help="the vulnerability; repeat it, five at most",
)
@click.option(
    "--share", "space", metavar="SPACE", default="", help="tell the answer to the members of this space"
)
@click.option("--yes", is_flag=True, help="do not ask")
@json_option
@click.pass_obj
def exposure(home: Path, names: tuple[str, ...], space: str, yes: bool, as_json: bool) -> int:
    """answer for each CVE: no, or yes and 1-9, 10-99 or 100+ assets; with --share that, and nothing else, is told to a space.
    Exit code 3 when no document here says which products have it

    What is asked again within a day is answered as before: two answers of one day would tell what changed between them.
    """
    cves = _canonical(names)
    readers = _readers_of(home, space) if space else []
    answer = ask_apart(home, cves, space)
    told = [(cve, bucket or "no") for cve, exposed, bucket in answer.answers if exposed != "unknown"]
    for cve, exposed, _ in answer.answers:
        if exposed == "unknown":
            console.say(f"{cve}: not checked: no document that was read here says which products have it")
    entry = _share(home, space, readers, answer.as_of, told, yes=yes) if space and told else None
    if as_json:
        answers = [
            {"cve": cve, "exposed": exposed, "bucket": bucket or None}
            for cve, exposed, bucket in answer.answers
        ]
        console.print_json(
            {"as_of": answer.as_of, "answers": answers, "tlp": f"TLP:{MARKING}", "entry": entry}
        )
    elif entry is not None:
        console.print_result(f"{entry}  told")
    else:
        for cve, assets in told:
            console.print_result(f"{cve}  no" if assets == "no" else f"{cve}  yes  {assets}")
    return 0 if told else NotFoundError.exit_code


def _canonical(names: Sequence[str]) -> list[str]:
    """Returns the CVE ids, each once. Raises UsageProblem."""
    from p2pshare.intel.artefacts import canonical_cve
    from p2pshare.intel.refusals import InvalidValue

    try:
        cves = list(dict.fromkeys(canonical_cve(name.strip()) for name in names))
    except InvalidValue:
        raise UsageProblem("that is no CVE id", hint="as CVE-2026-12345") from None
    if len(cves) > CVES_MAX:
        raise UsageProblem(f"more than {CVES_MAX} at once", hint="ask in parts")
    return cves


def ask_apart(home: Path, cves: Sequence[str], space: str) -> Aggregate:
    """Returns what the process says that opens the inventory. Raises OperatorError `exposure`."""
    # -P: no folder of the moment says what is imported
    command = [sys.executable, "-P", "-m", CHILD, str(home), space, *cves]
    with subprocess.Popen(command, stdin=subprocess.DEVNULL, stdout=subprocess.PIPE) as child:
        assert child.stdout is not None
        raw = child.stdout.read(AGGREGATE_BYTES_MAX + 1)
        if len(raw) > AGGREGATE_BYTES_MAX:
            child.kill()
        try:
            code = child.wait(ANSWER_SECONDS_MAX)
        except subprocess.TimeoutExpired:
            child.kill()
            code = child.wait()
    if code != 0 and len(raw) <= AGGREGATE_BYTES_MAX:
        raise OperatorError(
            "the inventory could not be asked", hint="the reason stands above", reason="exposure"
        )
    return read_aggregate(raw, cves)


def _readers_of(home: Path, space: str) -> list[str]:
    """Returns who would read it besides us: by the name that it has here, else by its id. Raises NotFoundError."""
    from p2pshare.operations.exposing import HERE
    from p2pshare.operations.looking import ShowStatus
    from p2pshare.operations.partners import ListPartners
    from p2pshare.operations.spaces import ShowSpace

    members = json.loads(read_or_ask(home, ShowSpace(space)).canonical)["members"]
    names = {one.partner_id: one.alias for one in read_or_ask(home, ListPartners()).each}
    own = read_or_ask(home, ShowStatus()).partner_id
    readers = [one["id"] for one in members if one["status"] in HERE and one["id"] != own]
    return [names.get(reader) or reader for reader in readers]


def _share(
    home: Path, space: str, readers: Sequence[str], as_of: str, told: Sequence[tuple[str, Any]], *, yes: bool
) -> str:
    """Show what leaves and who reads it, ask, and tell it; returns the id of the entry. Raises RefusedError."""
    from p2pshare.operations.exposing import TellExposure, ToldExposure, told_text

    answers = tuple(ToldExposure(cve, assets) for cve, assets in told)
    console.say(f"tells {', '.join(map(console.shown, readers))}, TLP:{MARKING}, this and nothing else:")
    console.say(f"  {told_text(as_of, answers)}")
    if not yes:
        if not console.can_ask():
            raise UsageProblem("what is told stays told: share with --yes", hint="or on a terminal")
        if not console.ask("tell?"):
            raise RefusedError("nothing was told", reason="not-confirmed")
    return ask(home, TellExposure(space, as_of, answers)).entry
