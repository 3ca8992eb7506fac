"""`p2pshare space`: what partners write together. What is written stays on this machine: entries do not travel yet."""

from __future__ import annotations

import json
import sys
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from p2pshare.cli import console
from p2pshare.cli.command import Group
from p2pshare.cli.options import UsageProblem, json_option
from p2pshare.cli.session import connect, read_or_ask
from p2pshare.errors import DaemonUnreachable, RefusedError

if TYPE_CHECKING:
    from p2pshare.operations.interface import A, Request

STAYS_HERE = "it stays on this machine: this version does not send entries of spaces"


@click.group(cls=Group)
def space() -> None:
    """open, list and show spaces, and write notes in them; nothing of it is sent to partners yet"""


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
    from msgspec.structs import asdict

    from p2pshare.intel.marking import Tlp
    from p2pshare.operations.spaces import OpenSpace

    request = OpenSpace(kind, title, Tlp.parse(tlp), names)
    if not yes:
        if not console.can_ask():
            raise UsageProblem("who is named stays named: open a space with --yes", hint="or on a terminal")
        console.say(f"names as members, besides you: {', '.join(map(console.shown, names)) or 'nobody'}")
        if not console.ask("open?"):
            raise RefusedError("no space was opened", reason="not-confirmed")
    opened = _write(home, request)
    if as_json:
        console.print_json(asdict(opened))
    else:
        console.print_result(f"{opened.space}  opened")
    console.say(STAYS_HERE)


@space.command()
@click.argument("space_id", metavar="ID")
@click.argument("text")
@json_option
@click.pass_obj
def note(home: Path, space_id: str, text: str, as_json: bool) -> None:
    """write the note TEXT into the space ID"""
    from msgspec.structs import asdict

    from p2pshare.operations.spaces import NoteInSpace

    written = _write(home, NoteInSpace(space_id, text))
    if as_json:
        console.print_json(asdict(written))
    else:
        console.print_result(f"{written.entry}  written")
    console.say(STAYS_HERE)


@space.command("list")
@json_option
@click.pass_obj
def list_(home: Path, as_json: bool) -> None:
    """list the spaces that are held here"""
    from p2pshare.operations.spaces import ListSpaces

    listed = read_or_ask(home, ListSpaces()).each
    if as_json:
        console.print_json(listed)
        return
    rows = (
        (one.space[:10], one.kind, one.tlp, one.entries, one.waiting, one.opener, one.title) for one in listed
    )
    console.print_table(("space", "kind", "tlp", "entries", "waiting", "opened by", "title"), rows)


@space.command()
@click.argument("space_id", metavar="ID")
@click.option(
    "--canonical", is_flag=True, help="the output that is the same at all who hold the same entries"
)
@json_option
@click.pass_obj
def show(home: Path, space_id: str, canonical: bool, as_json: bool) -> None:
    """show members, lead and notes of the space ID"""
    from p2pshare.operations.spaces import ShowSpace

    shown = read_or_ask(home, ShowSpace(space_id))
    if canonical:
        # the bytes themselves for a file or a pipe; a terminal would obey some of what others wrote
        console.print_result(console.shown(shown.canonical) if sys.stdout.isatty() else shown.canonical)
        return
    output: dict[str, Any] = json.loads(shown.canonical)
    for member in output["members"]:
        member["name"] = shown.names.get(member["id"])
    if as_json:
        console.print_json(output | {"waiting": shown.waiting})
        return
    _print(output, shown.names, shown.waiting)


def _print(output: dict[str, Any], names: dict[str, str], waiting: int) -> None:
    def called(member: str | None) -> str:
        return "contested" if member is None else names.get(member, member[:10])

    console.print_fields(
        {
            "space": output["space"],
            "title": output["title"],
            "kind": output["kind"],
            "tlp": output["tlp"],
            "lead": called(output["lead"]),
            "members": [f"{called(one['id'])} ({one['status']})" for one in output["members"]],
            "waiting": waiting,
        }
    )
    authors = {one["id"]: one["author"] for one in output["timeline"]}
    state = output["state"] or {}
    if state.get("closed"):
        console.print_result("closed")
    for one in state.get("notes", ()):
        absent = "(redacted)" if one["redacted"] else "(sealed)" if one["sealed"] else "(not here)"
        text = absent if one["text"] is None else console.shown(one["text"])
        console.print_result(f"{one['id'][:10]}  {console.shown(called(authors[one['id']]))}  {text}")


def _write(home: Path, request: Request[A]) -> A:
    """Have the daemon do it: its folds are at hand, and it is the one that will send. Raises DaemonUnreachable without one."""
    with connect(home) as session:
        if not session.is_daemon:
            raise DaemonUnreachable("spaces are written by the daemon", hint="start it with `p2pshare run`")
        return session.run(request)
