"""The operations behind `search` and `show`: what they answer from a store, and the same asked of the daemon, for members
of its group, who may not open the store's file."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from p2pshare.errors import AuthorError, NotFoundError
from p2pshare.identifiers import EnvelopeId, PartnerId
from p2pshare.intel.checks import is_id
from p2pshare.intel.marking import Tlp
from p2pshare.knowledge.interface import Wanted
from p2pshare.node.node import Node
from p2pshare.node.store import StoreReading
from p2pshare.service.arguments import Arguments, Progress, argument
from p2pshare.service.searching import find, raw_version, show_envelope, show_object, versions_of


def search_in(store: StoreReading, arguments: Arguments, progress: Progress) -> dict[str, Any]:
    """`{found: [...]}`; of the arguments, all but `limit` may be empty. Raises NotFoundError for an unknown author."""
    author, tlp = argument(arguments, "author", str, ""), argument(arguments, "tlp", str, "")
    limit = argument(arguments, "limit", int)
    if limit < 1:
        raise AuthorError("not a limit", hint="1 or more", reason="bad-argument")
    wanted = Wanted(
        type=argument(arguments, "type", str, "") or None,
        author=_author_of(store, author) if author else None,
        tlp=Tlp.parse(tlp) if tlp else None,
        since=argument(arguments, "since", int, 0) or None,
        label=argument(arguments, "label", str, ""),
        text=argument(arguments, "text", str, ""),
    )
    found = find(
        store, wanted, limit, lambda done, of: progress({"what": "searched", "done": done, "of": of})
    )
    return {"found": found}


def _author_of(store: StoreReading, name: str) -> PartnerId:
    """The author of that alias or id, present or past. Raises NotFoundError."""
    for partner_id, alias in store.partners.names().items():
        if name in (alias, partner_id.text):
            return partner_id
    raise NotFoundError("no author of that name is known here", hint="see `p2pshare partner list`")


def show_object_in(store: StoreReading, arguments: Arguments) -> dict[str, Any]:
    """What `show_object` tells, of one version where a number above 0 is given. Raises AuthorError, NotFoundError."""
    object_id, number = _asked(arguments)
    shown = show_object(store, object_id)
    if number:
        _require_version(number, len(shown["versions"]))
        shown["versions"] = [shown["versions"][number - 1]]
    return shown


def raw_object_in(store: StoreReading, arguments: Arguments) -> dict[str, Any]:
    """`{raw}`: the bytes as they were sealed, None where nobody said which of several. Raises AuthorError,
    NotFoundError."""
    object_id, number = _asked(arguments)
    versions = versions_of(store, object_id)
    if number:
        _require_version(number, len(versions))
    version = raw_version(versions, number or None)
    return {"raw": None if version is None else version.raw}


def _asked(arguments: Arguments) -> tuple[str, int]:
    object_id = argument(arguments, "id", str)
    if not is_id(object_id):
        raise AuthorError(
            "that is no id",
            hint="TYPE--UUID for an object, 64 hexadecimal digits for an envelope",
            reason="bad-id",
        )
    return object_id, argument(arguments, "number", int, 0)


def _require_version(number: int, versions: int) -> None:
    if not 1 <= number <= versions:
        raise NotFoundError(
            f"no version {number} is held here", hint="`p2pshare show ID` numbers those that are"
        )


def show_envelope_in(store: StoreReading, circles: Sequence[str], arguments: Arguments) -> dict[str, Any]:
    """What `show_envelope` tells. Raises AuthorError, NotFoundError."""
    try:
        envelope_id = EnvelopeId.parse(argument(arguments, "id", str))
    except ValueError:
        raise AuthorError("that is no envelope's id", hint="64 hexadecimal digits", reason="bad-id") from None
    return show_envelope(store, envelope_id, circles)


def search(node: Node, arguments: Arguments, progress: Progress) -> dict[str, Any]:
    return search_in(node.store, arguments, progress)


def show_held_object(node: Node, arguments: Arguments, progress: Progress) -> dict[str, Any]:
    return show_object_in(node.store, arguments)


def raw_held_object(node: Node, arguments: Arguments, progress: Progress) -> dict[str, Any]:
    return raw_object_in(node.store, arguments)


def show_held_envelope(node: Node, arguments: Arguments, progress: Progress) -> dict[str, Any]:
    return show_envelope_in(node.store, node.config.gossip.circles, arguments)
