"""`p2pshare space`: what partners write together, of whatever kind; and notebooks, the smallest kind, which have no word of their own."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import click

from p2pshare.cli import console
from p2pshare.cli.options import json_option
from p2pshare.cli.session import read_or_ask
from p2pshare.cli.space_verbs import answer, confirm, say_links, space_group, write


def print_notes(output: Mapping[str, Any], called: Callable[[str | None], str]) -> None:
    """Print the notes of a notebook, oldest first."""
    authors = {one["id"]: one["author"] for one in output["timeline"]}
    state = output["state"]
    if state["closed"]:
        console.print_result("closed")
    late, after = set(state["late"]), set(state["after"])
    for one in state["notes"]:
        absent = "(redacted)" if one["redacted"] else "(sealed)" if one["sealed"] else "(not here)"
        text = absent if one["text"] is None else console.shown(one["text"])
        place = (
            "  (beside the close)"
            if one["id"] in late
            else "  (after the close)"
            if one["id"] in after
            else ""
        )
        console.print_result(f"{one['id'][:10]}  {console.shown(called(authors[one['id']]))}  {text}{place}")


space = space_group(
    "space",
    "",
    {"note": print_notes},
    "what partners write together: open, list, show, write and lead spaces",
)


@space.command("open")
@click.option("--kind", metavar="KIND", default="note", show_default=True, help="what it is for: note")
@click.option("--title", metavar="TITLE", required=True, help="what all members read above it")
@click.option(
    "--tlp", metavar="LEVEL", required=True, help="what is written in it is marked so, or more strictly"
)
@click.option("--invite", "names", metavar="NAME", multiple=True, help="a partner's alias or id; repeat it")
@click.option("--yes", is_flag=True, help="do not ask")
@json_option
@click.pass_obj
def open_(
    home: Path, kind: str, title: str, tlp: str, names: tuple[str, ...], yes: bool, as_json: bool
) -> None:
    """open a space with the partners that are named"""
    open_space(home, kind, title, tlp, names, yes=yes, as_json=as_json)


def open_space(
    home: Path, kind: str, title: str, tlp: str, names: tuple[str, ...], *, yes: bool, as_json: bool
) -> None:
    """Open a space of any kind, once a person has seen whom it names."""
    from p2pshare.intel.marking import Tlp
    from p2pshare.operations.spaces import OpenSpace, PreviewMembers

    request = OpenSpace(kind, title, Tlp.parse(tlp), names)

    def tell() -> None:
        console.say(f"names as members, besides you: {', '.join(map(console.shown, names)) or 'nobody'}")
        console.say(
            "name everybody now who shall take part: more than half of the members of any moment, silent since, can take the space"
            " over from there, and of few that is soon more than half"
        )
        say_links(read_or_ask(home, PreviewMembers(names)), "its members")

    confirm("who is named stays named: open?", yes=yes, tell=tell)
    opened = write(home, request)
    answer(opened, f"{opened.space}  opened", as_json=as_json)
    say_links(opened.links, "its members")


@space.command()
@click.argument("space_id", metavar="ID")
@click.argument("text")
@json_option
@click.pass_obj
def note(home: Path, space_id: str, text: str, as_json: bool) -> None:
    """write the note TEXT into the notebook ID"""
    from p2pshare.operations.spaces import NoteInSpace

    written = write(home, NoteInSpace(space_id, text))
    answer(written, f"{written.entry}  written", as_json=as_json)


@space.command()
@click.argument("space_id", metavar="ID")
@json_option
@click.pass_obj
def close(home: Path, space_id: str, as_json: bool) -> None:
    """close the notebook ID; its lead may"""
    from p2pshare.operations.spaces import CloseNotebook

    written = write(home, CloseNotebook(space_id))
    answer(written, f"{written.entry}  closed", as_json=as_json)


@space.command()
@click.argument("space_id", metavar="ID")
@json_option
@click.pass_obj
def reopen(home: Path, space_id: str, as_json: bool) -> None:
    """open the notebook ID again; any member may"""
    from p2pshare.operations.spaces import ReopenNotebook

    written = write(home, ReopenNotebook(space_id))
    answer(written, f"{written.entry}  reopened", as_json=as_json)
