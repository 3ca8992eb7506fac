"""Derivation: what an object says about where it comes from, made and read. Pure.

An author who passes on another's statement says so in the object itself, under its own signature: a property
extension (STIX 2.1 section 7.3) that names whose object it stems from, or the public source that it was taken from. So
a statement that is passed on is no second opinion, and it falls with the first.

It can only lessen the weight of whoever says it: each object speaks of itself, and nobody's of another. It fails closed: an
object whose derivation cannot be read is refused, for it must never count as a statement of its author's own.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Any
from uuid import uuid5

import msgspec

from p2pshare.errors import AuthorError
from p2pshare.identifiers import PartnerId
from p2pshare.intel.authoring import NAMESPACE, named_id
from p2pshare.intel.checks import is_id
from p2pshare.intel.display import is_safe

EXTENSION = f"extension-definition--{uuid5(NAMESPACE, 'extension:derivation')}"
BAD_DERIVATION = "bad-derivation"
ORIGINS_MAX = (
    8  # objects that one object stems from: a chain of that many restatements; each costs a stored row
)
PUBLIC_SOURCE_CHARACTERS_MAX = 256  # of the name of a public source: a URL without its query

_TAIL = EXTENSION.rpartition("--")[2].encode()
# The letters, digits and hyphen of the extension's id, written as escapes: no ordinary program writes them so.
_ESCAPED = re.compile(rb"\\u00(?:2[dD]|3[0-9]|6[1-9a-fA-F]|7[0-9aA])")


class ObjectOrigin(msgspec.Struct, frozen=True, gc=False, array_like=True, order=True):
    """Another object that one stems from: the partner who signed it, and its id."""

    author: PartnerId
    object_id: str


class Derivation(msgspec.Struct, frozen=True, gc=False, array_like=True):
    """What an object stems from: other objects, or a public source, or both; never nothing.

    An object with `origins` is *restated*: it is no statement of its author's own. One with a `public_source` alone is, but
    all that stems from one public source is one source.
    """

    origins: tuple[ObjectOrigin, ...] = ()
    public_source: str | None = None


def may_hold_derivation(text: bytes) -> bool:
    """Returns whether this JSON may hold the extension: a look at the bytes, before anything is decoded."""
    return _TAIL in text or (b"\\" in text and _ESCAPED.search(text) is not None)


def read_derivation(stix: Mapping[str, Any]) -> Derivation | None:
    """Returns what a parsed object says it stems from, None when it says nothing.

    Raises AuthorError bad-derivation: the extension is there and is not as docs/intelligence.md, "Derivation", has it.
    """
    extensions = stix.get("extensions")
    if not isinstance(extensions, dict) or EXTENSION not in extensions:
        return None
    said = extensions[EXTENSION]
    if not isinstance(said, dict):
        raise _bad("it is no object")
    entries, source = said.get("derived_from"), said.get("public_source")
    if entries is None and source is None:
        raise _bad("it names nothing")
    return Derivation(() if entries is None else _origins(entries), None if source is None else _name(source))


def with_derivation(stix: Mapping[str, Any], derivation: Derivation | None) -> dict[str, Any]:
    """Returns the object with `derivation` in place of what it says now; None takes it away."""
    extensions = {name: one for name, one in (stix.get("extensions") or {}).items() if name != EXTENSION}
    if derivation is not None:
        said: dict[str, Any] = {"extension_type": "property-extension"}
        if derivation.origins:
            said["derived_from"] = [
                {"author": one.author.text, "object": one.object_id} for one in derivation.origins
            ]
        if derivation.public_source is not None:
            said["public_source"] = derivation.public_source
        extensions[EXTENSION] = said
    bare = {name: one for name, one in stix.items() if name != "extensions"}
    return {**bare, "extensions": extensions} if extensions else bare


def restating(origin: ObjectOrigin, of: Derivation | None) -> Derivation:
    """Returns the derivation of an object that passes `origin` on, which itself says `of`: the origin first, then those that
    it names, as far as there is room. Whoever holds the last one only then hears of a withdrawal of the first, too."""
    named = () if of is None else of.origins
    origins = tuple(dict.fromkeys((origin, *named)))[:ORIGINS_MAX]
    return Derivation(origins, None if of is None else of.public_source)


def restated_id(author: PartnerId, origin: ObjectOrigin) -> str:
    """Returns the id of the object by which `author` passes `origin` on; doing so again is its next version."""
    type_ = origin.object_id.partition("--")[0]
    return f"{type_}--{named_id(f'restated:{author.text}:{origin.author.text}:{origin.object_id}')}"


def _origins(entries: object) -> tuple[ObjectOrigin, ...]:
    if not isinstance(entries, list) or not 0 < len(entries) <= ORIGINS_MAX:
        raise _bad(f"derived_from is no list of 1 to {ORIGINS_MAX}")
    return tuple(dict.fromkeys(map(_origin, entries)))


def _origin(entry: object) -> ObjectOrigin:
    if not isinstance(entry, dict) or not is_id(entry.get("object")):
        raise _bad("an entry of derived_from has no object id")
    try:
        return ObjectOrigin(PartnerId.parse(entry["author"]), entry["object"])
    except (KeyError, TypeError, ValueError, AttributeError):
        raise _bad("an entry of derived_from has no author") from None


def _name(source: object) -> str:
    if not isinstance(source, str) or not 0 < len(source) <= PUBLIC_SOURCE_CHARACTERS_MAX:
        raise _bad(f"public_source is no text of 1 to {PUBLIC_SOURCE_CHARACTERS_MAX} characters")
    if not is_safe(source):
        raise _bad("public_source holds characters that do not show")
    return source


def _bad(why: str) -> AuthorError:
    return AuthorError(
        f"the object's derivation cannot be read: {why}",
        hint="name the author and the id of each object that it stems from, or leave the extension out",
        reason=BAD_DERIVATION,
    )
