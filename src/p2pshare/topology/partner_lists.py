"""Partner lists: the links and circles of one partner, as a JSON file for the examination of the federation
(`doctor topology`).

The format is in docs/operations.md, "Partner lists". A list is read strictly: a key more or less, another
type or a partner twice refuses the whole file, because a link that is misread is a hole that nobody looks
for. It is not signed: a link counts where both of its ends list it
(docs/decisions/0009-partner-lists-are-not-signed.md).
"""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping, Sequence
from typing import Any, NoReturn, TypeVar

from p2pshare.config import Config
from p2pshare.envelope.card import Card, believe_chain
from p2pshare.errors import AuthorError
from p2pshare.identifiers import PartnerId
from p2pshare.intel.instants import SECOND_US, format_instant, parse_instant
from p2pshare.intel.json_text import is_shallow, parse_object, without_bom
from p2pshare.limits import (
    CARD_NAME_BYTES_MAX,
    PARTNER_LIST_ENTRIES_MAX,
    PARTNER_LISTS_MAX,
    TOPOLOGY_LINKS_MAX,
)
from p2pshare.partners.interface import PartnerRow
from p2pshare.topology.circles import ListedPartner, PartnerList

FORMAT = "p2pshare-partner-list"
VERSION = 1
_DEPTH_MAX = 4  # file, partners, partner, circles
_LIST_KEYS = {"format", "version", "made_at", "partner_id", "name", "has_address", "circles", "partners"}
_PARTNER_KEYS = {"partner_id", "name", "has_link", "circles"}

T = TypeVar("T")


def own_list(rows: Iterable[PartnerRow], config: Config, card: Card, now: int) -> PartnerList:
    """Returns the list of the node with this card; `rows` are its partners; `now` in unix seconds."""
    partners = [
        ListedPartner(row.partner_id, believe_chain(row.card).name, row.has_link, tuple(sorted(row.circles)))
        for row in rows
    ]
    return PartnerList(
        owner=card.partner_id,
        name=card.name,
        has_address=bool(card.urls),
        circles=tuple(sorted(config.gossip.circles)),
        made_at=now,
        partners=tuple(sorted(partners, key=lambda entry: entry.partner_id)),
    )


def encode_list(one: PartnerList) -> bytes:
    """Returns the file: JSON that a person can read before it leaves."""
    return (
        json.dumps(
            {
                "format": FORMAT,
                "version": VERSION,
                "made_at": format_instant(one.made_at * SECOND_US),
                "partner_id": one.owner.text,
                "name": one.name,
                "has_address": one.has_address,
                "circles": list(one.circles),
                "partners": [
                    {
                        "partner_id": entry.partner_id.text,
                        "name": entry.name,
                        "has_link": entry.has_link,
                        "circles": list(entry.circles),
                    }
                    for entry in one.partners
                ],
            },
            indent=1,
            ensure_ascii=True,
        ).encode("ascii")
        + b"\n"
    )


def decode_list(raw: bytes) -> PartnerList:
    """Returns the list in a file of at most PARTNER_LIST_BYTES_MAX bytes. Raises AuthorError
    `not-a-partner-list` (and the reasons of `intel.json_text`) that names the field and its fault."""
    raw = without_bom(raw)
    tree, fault = parse_object(raw) if is_shallow(raw, _DEPTH_MAX) else (None, None)
    if tree is None:
        place = f" at {fault.path}" if fault and fault.path else ""
        _refuse("the file", f"no JSON object of this format{place}: {fault.reason if fault else 'too-deep'}")
    if tree.get("format") != FORMAT:
        _refuse("format", f"not '{FORMAT}'")
    if _field(tree, "version", int, "version") != VERSION:
        _refuse("version", "of a version that this program does not know")
    _check_keys(tree, _LIST_KEYS, "the list")
    owner = _partner_id(tree, "partner_id")
    entries = _field(tree, "partners", list, "partners")
    if len(entries) > PARTNER_LIST_ENTRIES_MAX:
        _refuse("partners", f"more than {PARTNER_LIST_ENTRIES_MAX}")
    partners = tuple(_partner(entry, f"partners/{number}") for number, entry in enumerate(entries))
    if len({entry.partner_id for entry in partners} | {owner}) != len(partners) + 1:
        _refuse("partners", "a partner stands there twice, or the owner of the list")
    return PartnerList(
        owner=owner,
        name=_name(tree, "name"),
        has_address=_field(tree, "has_address", bool, "has_address"),
        circles=_circles(tree, "circles"),
        made_at=_instant(tree, "made_at"),
        partners=partners,
    )


def newest_of_each(lists: Iterable[PartnerList]) -> tuple[list[PartnerList], list[PartnerList]]:
    """Returns one list of each partner, and those that a newer one of the same partner replaced.

    Raises AuthorError `contradictory-lists` (two of one instant that differ) and `oversized`.
    """
    newest: dict[PartnerId, PartnerList] = {}
    replaced: list[PartnerList] = []
    for one in lists:
        known = newest.setdefault(one.owner, one)
        if known == one:
            continue
        if known.made_at == one.made_at:
            raise AuthorError(
                f"two lists of '{one.name}' of one instant say different things",
                hint="ask that partner which one is true",
                reason="contradictory-lists",
            )
        older, newest[one.owner] = sorted((known, one), key=lambda entry: entry.made_at)
        replaced.append(older)
    _check_size(list(newest.values()))
    return list(newest.values()), replaced


def _check_size(lists: Sequence[PartnerList]) -> None:
    if len(lists) > PARTNER_LISTS_MAX or sum(len(one.partners) for one in lists) > TOPOLOGY_LINKS_MAX:
        raise AuthorError(
            f"more than {PARTNER_LISTS_MAX} lists, or more than {TOPOLOGY_LINKS_MAX} links in them",
            hint="examine the federation in parts",
            reason="oversized",
        )


def _refuse(where: str, what: str) -> NoReturn:
    raise AuthorError(
        f"{where}: {what}",
        hint="`p2pshare partner export` writes such a file; ask the partner to send it again",
        reason="not-a-partner-list",
    )


def _check_keys(tree: Mapping[str, Any], keys: set[str], where: str) -> None:
    missing, unknown = sorted(keys - tree.keys()), len(tree.keys() - keys)
    if missing or unknown:
        _refuse(
            where, f"without '{missing[0]}'" if missing else "with a field that this format does not have"
        )


def _field(tree: Mapping[str, Any], name: str, kind: type[T], where: str) -> T:
    value = tree.get(name)
    if type(value) is not kind:
        _refuse(where, "missing, or of another type")
    return value


def _partner(entry: Any, where: str) -> ListedPartner:
    if type(entry) is not dict:
        _refuse(where, "not an object")
    _check_keys(entry, _PARTNER_KEYS, where)
    return ListedPartner(
        _partner_id(entry, f"{where}/partner_id"),
        _name(entry, f"{where}/name"),
        _field(entry, "has_link", bool, f"{where}/has_link"),
        _circles(entry, f"{where}/circles"),
    )


def _partner_id(tree: Mapping[str, Any], where: str) -> PartnerId:
    text = _field(tree, "partner_id", str, where)
    try:
        found = PartnerId.parse(text)
    except ValueError:
        _refuse(where, "not 64 hexadecimal digits")
    if found.text != text:
        _refuse(where, "not in lower case")
    return found


def _name(tree: Mapping[str, Any], where: str) -> str:
    name = _field(tree, "name", str, where)
    if not 1 <= len(name.encode("utf-8", "surrogatepass")) <= CARD_NAME_BYTES_MAX:
        _refuse(where, f"not 1 to {CARD_NAME_BYTES_MAX} bytes long")
    return name


def _circles(tree: Mapping[str, Any], where: str) -> tuple[str, ...]:
    names = _field(tree, "circles", list, where)
    if not all(type(name) is str and 1 <= len(name) <= CARD_NAME_BYTES_MAX for name in names):
        _refuse(where, "not a list of names")
    if names != sorted(set(names)):
        _refuse(where, "not in ascending order, or a circle stands there twice")
    return tuple(names)


def _instant(tree: Mapping[str, Any], where: str) -> int:
    try:
        return parse_instant(_field(tree, "made_at", str, where)) // SECOND_US
    except ValueError:
        _refuse(where, "not an instant such as 2026-01-31T12:00:00Z")
