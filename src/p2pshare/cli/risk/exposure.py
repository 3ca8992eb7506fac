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
    title = _title_of(home, space) if space else ""
    answer = ask_apart(home, cves, space)
    known = [one for one in answer.answers if one[1] != "unknown"]
    for cve, exposed, _ in answer.answers:
        if exposed == "unknown":
            console.say(f"{cve}: not checked: no document that was read here says which products have it")
    entry = None
    if known:
        text = told_text(answer)
        if space:
            entry = _share(home, space, title, text, yes=yes)
        elif not as_json:
            for cve, exposed, bucket in known:
                console.print_result("  ".join(filter(None, (cve, exposed, bucket))))
    if as_json:
        told = [
            {"cve": cve, "exposed": exposed, "bucket": bucket or None}
            for cve, exposed, bucket in answer.answers
        ]
        console.print_json({"as_of": answer.as_of, "answers": told, "tlp": f"TLP:{MARKING}", "entry": entry})
    elif entry is not None:
        console.print_result(f"{entry}  told")
    return 0 if known else NotFoundError.exit_code


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


def told_text(answer: Aggregate) -> str:
    """Returns the sentence that is told: what is known of each vulnerability, and of which day that is."""
    parts = (
        f"{cve} {exposed}{f' ({bucket} assets)' if bucket else ''}"
        for cve, exposed, bucket in answer.answers
        if exposed != "unknown"
    )
    return f"exposure as of {answer.as_of}: {', '.join(parts)}"


def _title_of(home: Path, space: str) -> str:
    """Returns the title of the space. Raises NotFoundError, RefusedError for one that is marked less strictly."""
    from p2pshare.intel.marking import Tlp
    from p2pshare.operations.spaces import ShowSpace

    output: dict[str, Any] = json.loads(read_or_ask(home, ShowSpace(space)).canonical)
    marked = Tlp.parse(str(output["tlp"]).removeprefix("TLP:"))
    if marked < Tlp.AMBER_STRICT:
        raise RefusedError(
            f"the space is marked {marked.label}, and what is ours to lose is told under TLP:{MARKING} at least",
            hint="open one for it: `p2pshare space open --tlp amber+strict`",
            reason="marking",
        )
    return str(output["title"])


def _share(home: Path, space: str, title: str, text: str, *, yes: bool) -> str:
    """Show what leaves, ask, and tell it to the space; returns the id of the entry. Raises RefusedError."""
    from p2pshare.operations.spaces import NoteInSpace

    console.say(f"tells the members of '{console.shown(title)}', TLP:{MARKING}, this and nothing else:")
    console.say(f"  {text}")
    if not yes:
        if not console.can_ask():
            raise UsageProblem("what is told stays told: share with --yes", hint="or on a terminal")
        if not console.ask("tell?"):
            raise RefusedError("nothing was told", reason="not-confirmed")
    return ask(home, NoteInSpace(space, text)).entry
