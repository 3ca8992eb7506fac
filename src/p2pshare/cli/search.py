"""`p2pshare search`: objects by type, author, marking, label, age and words, over everything held here."""

from __future__ import annotations

import re
import time
from pathlib import Path
from typing import TYPE_CHECKING

import click

from p2pshare.cli import console
from p2pshare.cli.command import Command
from p2pshare.cli.options import UsageProblem, json_option
from p2pshare.cli.session import read_or_ask
from p2pshare.errors import NotFoundError

if TYPE_CHECKING:
    from p2pshare.queries.searching import FoundObject

LIMIT = 50
_AGE = re.compile(r"(\d{1,5})([hdw])")
_TYPE = re.compile(r"[a-z0-9-]{1,250}")
_SECONDS = {"h": 3_600, "d": 86_400, "w": 604_800}


@click.command(cls=Command)
@click.option(
    "--type", "type_", metavar="T", help="an object type, or that of a claimed value: malware, domain"
)
@click.option("--author", metavar="NAME", help="an author's alias or id")
@click.option("--tlp", metavar="LEVEL", help="marked exactly so: clear, green, amber, amber+strict, red")
@click.option("--label", metavar="L", default="", help="has this label or indicator type")
@click.option(
    "--since", metavar="WHEN", help="came in since: 2026-11-24, 2026-11-24T06:00:00Z, or 12h, 7d, 4w ago"
)
@click.option(
    "--text", metavar="WORDS", default="", help="says this, in a name, description, pattern, rule ..."
)
@click.option("--limit", type=click.IntRange(min=1), default=LIMIT, show_default=True, help="at most so many")
@json_option
@click.pass_obj
def search(
    home: Path,
    type_: str | None,
    author: str | None,
    tlp: str | None,
    label: str,
    since: str | None,
    text: str,
    limit: int,
    as_json: bool,
) -> int:
    """find current objects held here, newest first; exit code 3 when there are none"""
    from p2pshare.intel.marking import Tlp
    from p2pshare.operations.searching import Search

    if type_ is not None and not _TYPE.fullmatch(type_):
        raise UsageProblem("that is no type", hint="malware, indicator, report, domain, ipv4, ...")
    level = Tlp.parse(tlp) if tlp else None
    begin = None if since is None else instant_of(since, int(time.time()))
    with console.ProgressLine() as line:
        query = Search(limit, type_, author or None, level, begin, label, text)
        found = read_or_ask(home, query, line.show).each
    if as_json:
        console.print_json(found)
    else:
        for one in found:
            _print_found(one)
        if not found:
            console.say("nothing held here fits")
        if len(found) == limit:
            console.say(f"the newest {limit}; --limit N shows more")
    return 0 if found else NotFoundError.exit_code


def instant_of(text: str, now: int) -> int:
    """Returns the unix seconds of a day, an instant (RFC 3339) or an age such as `12h`. Raises UsageProblem."""
    from p2pshare.intel.instants import SECOND_US, parse_instant

    age = _AGE.fullmatch(text)
    if age:
        return now - int(age[1]) * _SECONDS[age[2]]
    try:
        return parse_instant(text if "T" in text.upper() else f"{text}T00:00:00Z") // SECOND_US
    except ValueError:
        raise UsageProblem(
            "--since is no time", hint="2026-11-24, 2026-11-24T06:00:00Z, or an age: 12h, 7d, 4w"
        ) from None


def _print_found(found: FoundObject) -> None:
    kind = found.pattern_type if found.pattern_type not in (None, "stix") else None
    parts = [found.id, kind or found.type, found.tlp, found.author]
    parts += ["withdrawn"] if found.is_revoked else []
    parts += ["origin-withdrawn"] if found.is_fallen else []
    parts += [found.received_at, found.title]
    console.print_result("  ".join(map(console.shown, parts)))
