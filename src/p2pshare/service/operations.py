"""The operations behind the commands: a literal table from name to function.

The command line runs them in its own process when no daemon holds the home, and through the control socket when
one does; both get the very dict that `--json` prints. Arguments come over a local socket from permitted users
and are checked here all the same: a wrong type is refused, never believed. Only the daemon fills `links`, what
it knows of each link.
"""

from __future__ import annotations

import time
from collections.abc import Callable
from dataclasses import asdict, dataclass
from typing import Any

from p2pshare.errors import AuthorError
from p2pshare.identifiers import PartnerId
from p2pshare.intel.marking import Tlp
from p2pshare.limits import TTL_CLASS_BY_NAME
from p2pshare.node.node import Node
from p2pshare.service.arguments import Arguments, Progress, argument, names
from p2pshare.service.drafting import DraftPart
from p2pshare.service.explaining import explain, preview
from p2pshare.service.guarding import Confirmed, evaluate_again
from p2pshare.service.list_keeping import (
    allow,
    check_values,
    describe_allowed,
    describe_lists,
    disallow,
    import_list,
    index_of,
    set_list,
)
from p2pshare.service.lookup import look_up
from p2pshare.service.operations_assessing import list_proposals, opine, propose, sight
from p2pshare.service.operations_looking import (
    raw_held_object,
    search,
    show_held_envelope,
    show_held_object,
)
from p2pshare.service.operations_withdrawing import tell_recall, withdraw_objects
from p2pshare.service.overview import LinkState, partner_rows, status
from p2pshare.service.partners import add_partner, describe, remove_partner
from p2pshare.service.publishing import publish


@dataclass(frozen=True)
class Operation:
    """One operation, and what the daemon has to look at again after it."""

    run: Callable[[Node, Arguments, Progress], dict[str, Any]]
    changes_roster: bool = False
    changes_lists: bool = False
    publishes: bool = False
    only_reads: bool = False
    """Takes its time over the store and changes nothing: the daemon's writer need not wait for it."""


def _publish(node: Node, arguments: Arguments, progress: Progress) -> dict[str, Any]:
    parts = [_draft_part(raw) for raw in argument(arguments, "parts", list)]
    ttl = argument(arguments, "ttl", str, "") or node.config.ttl
    if ttl not in TTL_CLASS_BY_NAME:
        raise AuthorError(
            f"'{ttl}' is no ttl class", hint=f"one of {', '.join(TTL_CLASS_BY_NAME)}", reason="bad-ttl"
        )
    report = publish(
        node,
        parts,
        names=names(arguments, "to"),
        ttl_class=TTL_CLASS_BY_NAME[ttl],
        is_dry_run=argument(arguments, "dry_run", bool, False),
        confirmed=Confirmed(
            private=argument(arguments, "share_private", bool, False),
            listed=argument(arguments, "share_listed", bool, False),
        ),
        now=int(time.time()),
        progress=lambda what, done, of: progress({"what": what, "done": done, "of": of}),
    )
    refuse = report.refuse
    return {
        "published": report.published,
        "observables": report.observables,
        "refused": report.refusals.to_json(),
        "notes": report.notes.to_json(),
        "envelopes": [envelope_id.text for envelope_id in report.envelopes],
        "recipients": sorted(report.recipients),
        "skipped": [{"name": name, "reason": reason} for name, reason in sorted(report.skipped.items())],
        "markings": sorted(report.markings),
        "refusal": None
        if refuse is None
        else {"reason": refuse.reason, "message": refuse.message, "hint": refuse.hint},
    }


def pack_part(part: DraftPart) -> list[Any]:
    """A part as it crosses the control socket."""
    return [part.tlp.label, list(part.frames), part.objects, part.repeats]


def _draft_part(raw: Any) -> DraftPart:
    """A part as `pack_part` packs it: [marking label, [frame, ...], objects, repeats]."""
    if type(raw) is not list or [type(one) for one in raw] != [str, list, int, int]:
        raise AuthorError("a part of the publication is malformed", reason="bad-argument")
    if not all(type(frame) is bytes for frame in raw[1]) or not 0 <= raw[3] <= raw[2]:
        raise AuthorError("a part of the publication is malformed", reason="bad-argument")
    return DraftPart(Tlp.parse(raw[0]), tuple(raw[1]), raw[2], raw[3])


def _add_partner(node: Node, arguments: Arguments, progress: Progress) -> dict[str, Any]:
    added = add_partner(
        node,
        argument(arguments, "card", bytes),
        confirmed_fingerprint=argument(arguments, "fingerprint", str),
        alias=argument(arguments, "alias", str, ""),
        has_link=argument(arguments, "has_link", bool, True),
        now=int(time.time()),
    )
    return describe(added.entry) | {"safety_number": added.safety_number, "is_new": added.is_new}


def _remove_partner(node: Node, arguments: Arguments, progress: Progress) -> dict[str, Any]:
    return describe(remove_partner(node, argument(arguments, "name", str)))


def _links(arguments: Arguments) -> dict[PartnerId, LinkState]:
    return {PartnerId.parse(text): LinkState(*state) for text, state in arguments.get("links", {}).items()}


def _list_partners(node: Node, arguments: Arguments, progress: Progress) -> dict[str, Any]:
    return {"partners": partner_rows(node, _links(arguments), int(time.time()))}


def _status(node: Node, arguments: Arguments, progress: Progress) -> dict[str, Any]:
    is_running = "links" in arguments
    return status(node, _links(arguments), is_running=is_running, now=int(time.time()))


def _lookup(node: Node, arguments: Arguments, progress: Progress) -> dict[str, Any]:
    return {"answers": look_up(node.store, names(arguments, "values"), int(time.time()))}


def _explain(node: Node, arguments: Arguments, progress: Progress) -> dict[str, Any]:
    asked, partner = argument(arguments, "asked", str), argument(arguments, "partner", str)
    return explain(node, asked, partner, int(time.time()))


def _preview(node: Node, arguments: Arguments, progress: Progress) -> dict[str, Any]:
    with_list = argument(arguments, "with_list", bool, False)
    return preview(node, argument(arguments, "name", str), with_list=with_list)


def _import_warning_list(node: Node, arguments: Arguments, progress: Progress) -> dict[str, Any]:
    raw, action = argument(arguments, "raw", bytes), argument(arguments, "action", str, "")
    return import_list(index_of(node), raw, action, int(time.time()))


def _list_warning_lists(node: Node, arguments: Arguments, progress: Progress) -> dict[str, Any]:
    return {"lists": describe_lists(index_of(node))}


def _set_warning_list(node: Node, arguments: Arguments, progress: Progress) -> dict[str, Any]:
    wanted = [argument(arguments, name, str, "") for name in ("action", "enabled")]
    return set_list(index_of(node), argument(arguments, "name", str), *wanted)


def _check_values(node: Node, arguments: Arguments, progress: Progress) -> dict[str, Any]:
    return {"answers": check_values(index_of(node), names(arguments, "values"))}


def _allow(node: Node, arguments: Arguments, progress: Progress) -> dict[str, Any]:
    value, reason = argument(arguments, "value", str), argument(arguments, "reason", str, "")
    return allow(index_of(node), value, reason, int(time.time()))


def _disallow(node: Node, arguments: Arguments, progress: Progress) -> dict[str, Any]:
    return disallow(index_of(node), argument(arguments, "value", str), int(time.time()))


def _list_allowed(node: Node, arguments: Arguments, progress: Progress) -> dict[str, Any]:
    return {"allowed": describe_allowed(index_of(node))}


def _evaluate_again(node: Node, arguments: Arguments, progress: Progress) -> dict[str, Any]:
    return asdict(evaluate_again(node, int(time.time())))


OPERATIONS: dict[str, Operation] = {
    "allow-add": Operation(_allow, changes_lists=True),
    "allow-list": Operation(_list_allowed),
    "allow-remove": Operation(_disallow, changes_lists=True),
    "explain": Operation(_explain),
    "lookup": Operation(_lookup),
    "partner-add": Operation(_add_partner, changes_roster=True),
    "partner-list": Operation(_list_partners),
    "partner-preview": Operation(_preview),
    "partner-remove": Operation(_remove_partner, changes_roster=True),
    "opinion": Operation(opine, publishes=True),
    "proposal-list": Operation(list_proposals),
    "propose": Operation(propose, publishes=True),
    "publish": Operation(_publish, publishes=True),
    "recall-status": Operation(tell_recall),
    "search": Operation(search, only_reads=True),
    "show-envelope": Operation(show_held_envelope, only_reads=True),
    "show-object": Operation(show_held_object, only_reads=True),
    "show-raw": Operation(raw_held_object, only_reads=True),
    "sight": Operation(sight, publishes=True),
    "status": Operation(_status),
    "warninglist-check": Operation(_check_values),
    "warninglist-evaluate": Operation(_evaluate_again),
    "warninglist-import": Operation(_import_warning_list, changes_lists=True),
    "warninglist-list": Operation(_list_warning_lists),
    "warninglist-set": Operation(_set_warning_list, changes_lists=True),
    "withdraw": Operation(withdraw_objects, publishes=True),
}
