"""`p2pshare status`: one screen about this node."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING

import click

from p2pshare.cli import console
from p2pshare.cli.command import Command
from p2pshare.cli.finding_alarms import finding_alarms
from p2pshare.cli.options import json_option
from p2pshare.cli.session import ask
from p2pshare.limits import MIB

if TYPE_CHECKING:
    from p2pshare.queries.status import NodeStatus, SpacesStatus


@click.command(cls=Command)
@json_option
@click.pass_obj
def status(home: Path, as_json: bool) -> None:
    """show this node, its partners and what it holds"""
    from p2pshare.operations.status import ShowStatus

    answer = ask(home, ShowStatus())
    answer.alarms.extend(finding_alarms(home, answer.name, answer.partner_id))
    if as_json:
        console.print_json(answer)
    else:
        _print_status(answer)


def _print_status(answer: NodeStatus) -> None:
    """Print what needs a person first, the worst of it at the top; then how things are."""
    running = "running" if answer.running else "not running"
    console.print_result(f"{console.shown(answer.name)}  {answer.partner_id}  daemon {running}")
    _print_what_needs_a_person(answer)
    held = answer.envelopes
    console.print_result(
        f"envelopes    held {held.held}  opened {held.opened}  unread {held.unread}  relayed {held.relayed}  pending {held.pending}"
    )
    disk = answer.disk
    console.print_result(
        f"disk         store {disk.store_bytes // MIB} MiB  free {disk.free_bytes // MIB} MiB"
        f"  an author at most {disk.author_bytes_max // MIB} MiB a circle"
    )
    console.print_result(f"observables  {_counts(answer.observables)}")
    console.print_result(f"refused      {_counts(answer.refused)}")
    if answer.writer:
        times = answer.writer
        console.print_result(
            f"writer       longest call {times.longest_seconds:.2f} s  {times.longest_call or 'none'}"
            f"  over limit {times.over_limit}  longest ping {times.longest_ping_seconds:.2f} s"
        )
    _print_spaces(answer.spaces)
    for consumer in answer.consumers:
        behind = f"  {consumer.lag} behind since {consumer.behind_since}" if consumer.behind_since else ""
        console.print_result(
            f"consumer     {console.shown(consumer.name)}  {consumer.state}{behind}  moved {consumer.moved_at or 'never'}"
        )
    for one in answer.publishing:
        if not one.reason:
            console.print_result(f"publishing   {one.publication}  {one.what} {one.done} of {one.of}")
    for handed in answer.handing_on:
        console.print_result(f"handing on   {console.shown(handed.partner)}  {handed.done} of {handed.of}")
    if answer.partners:
        console.print_partners(answer.partners)
    else:
        console.print_result("partners     none")


def _print_what_needs_a_person(answer: NodeStatus) -> None:
    """Print alarms, those of keys in other hands before the others; then what waits for an answer, and what came to nothing."""
    from p2pshare.queries.doctor_words import SEVERE

    for alarm in sorted(answer.alarms, key=lambda one: one.word not in SEVERE):
        console.print_result(console.shown(f"alarm {alarm.word}: {alarm.message}"))
        console.print_result(console.shown(f"  {alarm.hint}"))
    for warning in answer.warnings:
        console.say(f"warning: {console.shown(warning)}")
    asking = answer.pending_partners
    if asking.waiting or asking.accepted:
        console.print_result(
            f"pending      {asking.waiting} would be partners: `p2pshare partner pending` shows them"
            f"  {asking.accepted} accepted, their cards have not come"
        )
    if asking.introduced:
        console.print_result(
            f"introduced   {asking.introduced} on member lists were not accepted here: `p2pshare introduce list` names them"
        )
    for one in answer.spaces.invitations:
        title = f"'{one.title}'" if one.title else "its opening is not here yet"
        console.print_result(
            console.shown(f"invited      into {one.space[:10]} by {one.invited_by}: {title}")
        )
    for under_way in answer.publishing:
        if under_way.reason:
            told = f"publishing   {under_way.publication}  given up: {under_way.reason}"
            console.print_result(console.shown(told))
    for beside in answer.withdrawn_beside:
        console.print_result(
            console.shown(
                f"withdrawn    {beside.author} took back {beside.object_id}, which you stated as your own finding, too"
                f" ({beside.own_id}): {beside.reason or 'no reason given'}"
            )
        )


def _print_spaces(spaces: SpacesStatus) -> None:
    if not spaces.held and not spaces.invitations:
        return
    console.print_result(
        f"spaces       held {spaces.held}  invitations {len(spaces.invitations)}  contested {len(spaces.contested)}"
        f"  open votes {len(spaces.votes)}  waiting {spaces.waiting}  cut off {len(spaces.cut_off)}"
    )


def _counts(counts: Mapping[str, int]) -> str:
    return "  ".join(f"{console.shown(name)} {count}" for name, count in sorted(counts.items())) or "none"
