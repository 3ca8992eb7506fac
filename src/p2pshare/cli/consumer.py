"""`p2pshare consumer`: names under which the change feed is followed, each with a cursor that the node keeps (docs/siem.md, "Consumers")."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING

import click

from p2pshare.cli import console
from p2pshare.cli.command import Command, Group
from p2pshare.cli.options import json_option
from p2pshare.cli.session import ask

if TYPE_CHECKING:
    from p2pshare.queries.consumer_states import ConsumerState


@click.group(cls=Group)
def consumer() -> None:
    """keep cursors for those who follow the change feed with `tail --consumer NAME`"""


@consumer.command(cls=Command)
@click.argument("name")
@json_option
@click.pass_obj
def add(home: Path, name: str, as_json: bool) -> None:
    """keep a cursor for NAME, from the beginning of the feed on"""
    from p2pshare.operations.consumers import AddConsumer

    _show_one(ask(home, AddConsumer(name)), as_json)


@consumer.command("list", cls=Command)
@json_option
@click.pass_obj
def list_(home: Path, as_json: bool) -> None:
    """list the consumers, and how far behind each is"""
    from p2pshare.operations.consumers import ListConsumers

    found = ask(home, ListConsumers()).each
    if as_json:
        console.print_json(found)
    else:
        _show(found)


@consumer.command(cls=Command)
@click.argument("name")
@json_option
@click.pass_obj
def reset(home: Path, name: str, as_json: bool) -> None:
    """have NAME told to begin again"""
    from p2pshare.operations.consumers import ResetConsumer

    _show_one(ask(home, ResetConsumer(name)), as_json)


@consumer.command(cls=Command)
@click.argument("name")
@json_option
@click.pass_obj
def remove(home: Path, name: str, as_json: bool) -> None:
    """forget NAME and its cursor"""
    from p2pshare.operations.consumers import RemoveConsumer

    _show_one(ask(home, RemoveConsumer(name)), as_json)


def _show_one(one: ConsumerState, as_json: bool) -> None:
    if as_json:
        console.print_json(one)
    else:
        _show([one])


def _show(found: Sequence[ConsumerState]) -> None:
    console.print_table(
        ("name", "state", "lag", "behind_since", "moved_at", "cursor"),
        ((one.name, one.state, one.lag, one.behind_since, one.moved_at, one.cursor) for one in found),
    )
